//! A root with the libraries that an archive has for some files: what packages contain, and what their installation
//! makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cargo_compat::artifact::{Artifact, Depth, Examined, examine};
use cargo_compat::platform::{Interest, split};

use super::Arch;
use super::loader::{QEMU, within};
use super::subjects::Subject;
use crate::platforms::apt::Apt;
use crate::platforms::describe::{archive, merged};
use crate::platforms::packages::{self, Packages};
use crate::platforms::{alternatives, contents};
use crate::process;

/// They bring the loader, `/etc/ld.so.conf` and `ldconfig`.
const FIRST: [&str; 2] = ["libc6", "libc-bin"];
const LDCONFIG: &str = "/usr/sbin/ldconfig";

pub struct Root<'a> {
    apt: &'a Apt,
    arch: &'static Arch,
    path: PathBuf,
    index: Packages,
    /// Paths of shared objects as they are after the merge of `/usr`, with their packages.
    listed: BTreeMap<String, Vec<String>>,
    /// The same by the last part.
    named: BTreeMap<String, Vec<String>>,
    installed: BTreeSet<String>,
    /// How many packages depend on one.
    dependents: BTreeMap<String, usize>,
}

impl<'a> Root<'a> {
    /// With the loader and nothing else. `shared` is where subjects are mounted.
    pub fn make(apt: &'a Apt, arch: &'static Arch, path: &Path, shared: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        for (from, to) in
            [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
        {
            fs::create_dir_all(path.join(to)).with_context(|| format!("cannot create {}", path.display()))?;
            symlink(to, path.join(from)).with_context(|| format!("{} is there already", path.display()))?;
        }
        fs::create_dir_all(path.join("dev"))?;
        let files = shared.join("files");
        fs::create_dir_all(path.join(files.strip_prefix("/").unwrap_or(&files)))?;
        if std::env::consts::ARCH != arch.rust {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            let qemu = std::env::split_paths(&folders)
                .map(|folder| folder.join(arch.qemu))
                .find(|path| path.is_file());
            let qemu = qemu.with_context(|| format!("{} is not installed", arch.qemu))?;
            fs::copy(qemu, path.join(QEMU.trim_start_matches('/')))?;
        }
        let mut listed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (file, owners) in contents::libraries(&apt.indices("Contents-deb")?) {
            let file = merged(&file);
            named.entry(split(&file).1.to_owned()).or_default().push(file.clone());
            listed.entry(file).or_default().extend(owners);
        }
        let index = packages::parse(&apt.indices("Packages")?.concat());
        let dependents = packages::dependents(&index);
        let dependents = dependents.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let path_here = path.to_path_buf();
        let installed = BTreeSet::new();
        let mut root = Self { apt, arch, path: path_here, index, listed, named, installed, dependents };
        root.install(&FIRST.map(str::to_owned).into())?;
        ensure!(within(&root.path, arch.loader).exists(), "{} has no {}", path.display(), arch.loader);
        Ok(root)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn packages(&self) -> usize {
        self.installed.len()
    }

    /// Brings what the files need, and what that needs.
    pub fn complete(&mut self, files: &[Subject]) -> anyhow::Result<()> {
        loop {
            let mut wanted = BTreeSet::new();
            // Run paths that one object passes on to another are not followed one by one: all of them are looked in.
            let mut run_paths = BTreeSet::new();
            let mut seen = BTreeSet::new();
            let mut queue: Vec<(String, Box<Artifact>)> =
                files.iter().map(|file| (String::new(), file.facts.clone())).collect();
            while let Some((folder, facts)) = queue.pop() {
                for one in facts.runpath.iter().chain(&facts.rpath) {
                    let one = one.replace("${ORIGIN}", "$ORIGIN");
                    if one.starts_with('/') {
                        run_paths.insert(tidy(&one));
                    } else if let Some(rest) = one.strip_prefix("$ORIGIN")
                        && !folder.is_empty()
                    {
                        run_paths.insert(tidy(&format!("{folder}{rest}")));
                    }
                }
                for name in &facts.needed {
                    let Some(path) = self.find(name, &run_paths, &mut wanted) else { continue };
                    if !seen.insert(path.clone()) {
                        continue;
                    }
                    if let Ok(Examined::Elf(facts)) = examine(&within(&self.path, &path), Depth::Needs) {
                        queue.push((split(&path).0.to_owned(), facts));
                    }
                }
            }
            wanted.retain(|package| !self.installed.contains(package));
            if wanted.is_empty() {
                return Ok(());
            }
            self.install(&wanted)?;
        }
    }

    /// Installs what has these names wherever the loader looks, and says which of them came.
    pub fn add(&mut self, names: BTreeSet<String>) -> anyhow::Result<BTreeSet<String>> {
        let mut wanted = BTreeSet::new();
        let mut come = BTreeSet::new();
        for name in names {
            let before = wanted.len();
            self.find(&name, &BTreeSet::new(), &mut wanted);
            if wanted.len() > before {
                come.insert(name);
            }
        }
        if !wanted.is_empty() {
            self.install(&wanted)?;
        }
        Ok(come)
    }

    /// Where a needed library is in the root; else the package that would bring it is wanted.
    fn find(
        &self,
        name: &str,
        run_paths: &BTreeSet<String>,
        wanted: &mut BTreeSet<String>,
    ) -> Option<String> {
        if name.contains('/') {
            let path = merged(name);
            return within(&self.path, &path).exists().then_some(path);
        }
        let defaults = [format!("/usr/lib/{}", self.arch.triplet), "/usr/lib".to_owned()];
        let folders = || run_paths.iter().map(|path| merged(path)).chain(defaults.iter().cloned());
        for folder in folders() {
            let path = format!("{folder}/{name}");
            if within(&self.path, &path).exists() {
                return Some(path);
            }
        }
        for folder in folders() {
            if let Some(owner) = self.owner(&format!("{folder}/{name}")) {
                wanted.insert(owner);
                return None;
            }
        }
        // A package's script may make a link to it (fact 42), or `/etc/ld.so.conf.d` name its folder.
        let elsewhere = self.named.get(name)?;
        let below = |path: &&String| path.starts_with(&format!("{}/", defaults[0]));
        if let Some(owner) = elsewhere.iter().filter(below).find_map(|path| self.owner(path)) {
            wanted.insert(owner);
        }
        None
    }

    /// Of the packages that have it and are not there yet the one that most others depend on, as apt would take it:
    /// packages that exclude one another have the same library, built otherwise (Qt's for OpenGL ES).
    fn owner(&self, path: &str) -> Option<String> {
        let owners = self.listed.get(path)?.iter();
        let fresh = |name: &&String| self.index.contains_key(*name) && !self.installed.contains(*name);
        let needed_by = |name: &&String| self.dependents.get(*name).copied().unwrap_or(0);
        owners.filter(fresh).rev().max_by_key(needed_by).cloned()
    }

    fn install(&mut self, names: &BTreeSet<String>) -> anyhow::Result<()> {
        let downloads = self.path.with_extension("downloads");
        fs::create_dir_all(&downloads)?;
        let exact: Vec<String> =
            names.iter().map(|name| format!("{name}={}", self.index[name].version)).collect();
        let mut links = Vec::new();
        for some in exact.chunks(32) {
            self.apt.download(some, &downloads)?;
            for entry in fs::read_dir(&downloads)? {
                let deb = entry?.path();
                self.unpack(&deb, &mut links).with_context(|| format!("cannot unpack {}", deb.display()))?;
                fs::remove_file(&deb)?;
            }
        }
        for (link, target) in links {
            let link = self.path.join(merged(&link).trim_start_matches('/'));
            if Interest::of(&target) == Interest::Library
                && within(&self.path, &target).exists()
                && !link.exists()
            {
                fs::create_dir_all(link.parent().unwrap_or(&self.path))?;
                let _ = fs::remove_file(&link);
                symlink(&target, &link)?;
            }
        }
        self.installed.extend(names.iter().cloned());
        self.ldconfig()
    }

    /// Libraries, links to them, and the loader's configuration; `links` are those that the scripts make.
    fn unpack(&self, deb: &Path, links: &mut Vec<(String, String)>) -> anyhow::Result<()> {
        archive(deb, "--fsys-tarfile", |path, entry| {
            let path = merged(&path);
            if (Interest::of(&path) == Interest::None && path != LDCONFIG)
                || path.starts_with("/usr/lib/debug/")
            {
                return Ok(());
            }
            let place = self.path.join(path.trim_start_matches('/'));
            let kind = entry.header().entry_type();
            if !kind.is_file() && !kind.is_symlink() && !kind.is_hard_link() {
                return Ok(());
            }
            fs::create_dir_all(place.parent().unwrap_or(&self.path))?;
            let _ = fs::remove_file(&place);
            if kind.is_file() {
                std::io::copy(entry, &mut fs::File::create(&place)?)?;
                let mode = if path == LDCONFIG || path.contains("/ld") { 0o755 } else { 0o644 };
                fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
            } else if let Some(target) = entry.link_name()? {
                if kind.is_symlink() {
                    symlink(&target, &place)?;
                } else {
                    let target = merged(&format!("/{}", target.to_string_lossy().trim_start_matches("./")));
                    fs::hard_link(self.path.join(target.trim_start_matches('/')), &place)?;
                }
            }
            Ok(())
        })?;
        archive(deb, "--ctrl-tarfile", |path, entry| {
            if path == "/postinst" || path == "/preinst" {
                let mut script = Vec::new();
                std::io::copy(entry, &mut script)?;
                links.extend(alternatives::links(&String::from_utf8_lossy(&script)));
            }
            Ok(())
        })
    }

    /// The root's own one: it makes the links that packages lack, and the cache.
    fn ldconfig(&self) -> anyhow::Result<()> {
        fs::create_dir_all(self.path.join("var/cache/ldconfig"))?;
        let mut command = Command::new("bwrap");
        command.arg("--bind").arg(&self.path).args([
            "/",
            "--dev",
            "/dev",
            "--chdir",
            "/",
            "--clearenv",
            "--",
        ]);
        if std::env::consts::ARCH != self.arch.rust {
            command.arg(QEMU);
        }
        process::run(command.arg(LDCONFIG).stderr(std::process::Stdio::null()))
    }
}

/// A path without `.`, `..` and doubled slashes.
fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
