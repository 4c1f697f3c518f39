//! One suite on one architecture: packages in, a draft out.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use cargo_compat::artifact::{Arch, Class, Endian};
use cargo_compat::platform::{About, ArchName, Draft, Entry, Facts, Owner, Thing, Tree, What, hash, split};
use sha2::{Digest, Sha256};

use super::apt::Apt;
use super::contents;
use super::kept::{self, Kept, Store};
use super::packages::{self, Package, Packages};

/// Debian's name of an architecture, the triplet of its folders, and its machine.
#[derive(Debug)]
struct Known {
    name: &'static str,
    triplet: &'static str,
    arch: Arch,
}

const fn arch(machine: u16, endian: Endian, flags: u32) -> Arch {
    Arch { machine, class: Class::Elf64, endian, flags }
}

const KNOWN: &[Known] = &[
    Known { name: "amd64", triplet: "x86_64-linux-gnu", arch: arch(62, Endian::Little, 0) },
    Known { name: "arm64", triplet: "aarch64-linux-gnu", arch: arch(183, Endian::Little, 0) },
    Known { name: "s390x", triplet: "s390x-linux-gnu", arch: arch(22, Endian::Big, 0) },
    Known { name: "ppc64el", triplet: "powerpc64le-linux-gnu", arch: arch(21, Endian::Little, 2) },
];

/// All installations since Debian 10 have them (`usrmerge`; Debian 11's release notes, "merged /usr").
const MERGED: &[(&str, &str)] = &[
    ("/bin", "/usr/bin"),
    ("/lib", "/usr/lib"),
    ("/lib32", "/usr/lib32"),
    ("/lib64", "/usr/lib64"),
    ("/libx32", "/usr/libx32"),
    ("/sbin", "/usr/sbin"),
];

/// What the files of all systems ask for.
#[derive(Debug, Default)]
pub struct Asked {
    /// Hashes of the names of symbols.
    pub symbols: HashSet<u64>,
    /// Names of libraries.
    pub libraries: HashSet<String>,
}

/// One suite on one architecture: its indices, and what was learned of its packages.
#[derive(Debug)]
pub struct Site {
    apt: Apt,
    known: &'static Known,
    index: Packages,
    /// Paths of shared objects with their packages.
    listed: BTreeMap<String, Vec<String>>,
    store: Store,
    limits: Limits,
    /// They bring a library that may be needed by name.
    libraries: BTreeSet<String>,
    /// They may bring programs and plugins: what these import is of interest.
    programs: BTreeSet<String>,
}

/// Which packages of a site are looked into.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Packages of libraries of so many bytes at most.
    pub libraries: u64,
    /// And those on which so many depend, whatever their size.
    pub dependents: usize,
    /// Those of programs and plugins.
    pub programs: u64,
    /// Those of programs and plugins in C++.
    pub cxx: u64,
    /// See `Suite`.
    pub deep: bool,
}

/// As many depend on each of some alternatives: enough for reference BLAS, and not for the kernels of OpenBLAS.
const MANY: usize = 1000;

impl Site {
    pub fn open(
        cache: &Path,
        suite: &str,
        arch: &str,
        limits: Limits,
        asked: &Asked,
    ) -> anyhow::Result<Self> {
        let known = KNOWN.iter().find(|known| known.name == arch).context("no such architecture")?;
        let place = cache.join(format!("{suite}-{arch}"));
        let apt = Apt::open(&place, suite, arch)?;
        let index = packages::parse(&apt.indices("Packages")?.concat());
        let listed = contents::libraries(&apt.indices("Contents-deb")?);
        let store = Store::open(&place)?;
        let mut site = Self {
            apt,
            known,
            index,
            listed,
            store,
            limits,
            libraries: BTreeSet::new(),
            programs: BTreeSet::new(),
        };
        site.libraries = site.with_libraries(limits, asked);
        site.programs = site.with_programs(limits);
        Ok(site)
    }

    pub fn is_deep(&self) -> bool {
        self.limits.deep
    }

    /// The folders that the loader searches, without links.
    fn folders(&self) -> Vec<String> {
        vec![format!("/usr/lib/{}", self.known.triplet), "/usr/lib".to_owned()]
    }

    fn is_own(&self, package: &str) -> bool {
        self.index.get(package).is_some_and(|found| found.architecture == self.known.name)
    }

    fn with_libraries(&self, limits: Limits, asked: &Asked) -> BTreeSet<String> {
        let folders = self.folders();
        let plain = packages::plain(&self.index);
        let dependents = packages::dependents(&self.index);
        let mut found = BTreeSet::new();
        for (path, packages) in &self.listed {
            let path = merged(path);
            let (folder, name) = split(&path);
            // What libraries are called in folders of their packages is known once programs were looked into.
            let is_asked = match asked.libraries.is_empty() {
                true => name.starts_with("lib"),
                false => asked.libraries.contains(name),
            };
            if !(is_asked || folders.iter().any(|own| own == folder)) {
                continue;
            }
            // Development packages have links only.
            for package in packages.iter().filter(|name| self.is_own(name) && !name.ends_with("-dev")) {
                let many = dependents.get(package.as_str()).copied().unwrap_or(0) >= limits.dependents
                    || is_wanted(package, &self.index);
                let is_small = self.index[package].size <= limits.libraries;
                if many || is_small || plain.contains(package.as_str()) {
                    found.insert(package.clone());
                }
            }
        }
        found
    }

    fn with_programs(&self, limits: Limits) -> BTreeSet<String> {
        let wanted = |name: &str, package: &Package| {
            self.is_own(name)
                && !name.ends_with("-dev")
                && !self.libraries.contains(name)
                && package.depends_on("libc6")
                && (package.size <= limits.programs
                    || package.size <= limits.cxx && package.depends_on("libstdc++6"))
        };
        let found = self.index.iter().filter(|(name, package)| wanted(name, package));
        found.map(|(name, _)| name.clone()).collect()
    }

    /// Fetches and reads what was not read before.
    pub fn fetch(&self, workers: usize) -> anyhow::Result<()> {
        let wanted: BTreeSet<&str> = self.wanted().collect();
        let left = wanted.iter().filter(|name| !self.store.has(name, &self.index));
        let left: u64 = left.map(|name| self.index[*name].size).sum();
        println!(
            "{}: {} packages of libraries, {} of programs; {} MB to fetch",
            self.known.name,
            self.libraries.len(),
            self.programs.len(),
            left / 1_000_000
        );
        self.store.fetch(&self.apt, &self.index, &wanted, workers)
    }

    pub fn arch(&self) -> &'static str {
        self.known.name
    }

    pub fn forget_what_is_not_kept(&mut self) {
        let Self { store, index, libraries, programs, .. } = self;
        libraries.retain(|name| store.has(name, index));
        programs.retain(|name| store.has(name, index));
    }

    fn wanted(&self) -> impl Iterator<Item = &str> {
        self.libraries.iter().chain(&self.programs).map(String::as_str)
    }

    fn kept(&self) -> impl Iterator<Item = anyhow::Result<(String, Kept)>> {
        kept::each(&self.store, &self.index, self.wanted())
    }

    /// Every file of the architecture that a loader loads.
    pub fn each_file(
        &self,
        mut visit: impl FnMut(&str, Option<&str>, &Facts) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let own = ArchName::from(self.known.arch);
        for one in self.kept() {
            let (_, kept) = one?;
            for (path, thing) in &kept.things {
                match thing {
                    Thing::Library(arch, facts) if arch.arch().same_as(own.arch()) => {
                        visit(path, None, facts)?;
                    }
                    _ => {}
                }
            }
            for (path, program) in &kept.programs {
                if program.arch.arch().same_as(own.arch()) {
                    visit(path, program.interpreter.as_deref(), &program.facts)?;
                }
            }
        }
        Ok(())
    }

    pub fn ask(&self, asked: &mut Asked) -> anyhow::Result<()> {
        self.each_file(|_, _, facts| {
            asked.symbols.extend(facts.unresolved.iter().map(|one| hash(one.name.as_bytes())));
            for name in &facts.needed {
                if !asked.libraries.contains(name) {
                    asked.libraries.insert(name.clone());
                }
            }
            Ok(())
        })
    }

    /// Adds packages that have a library which something needs, and that were passed over: a development package's link
    /// has the name that some programs ask for.
    pub fn complete(&mut self, asked: &Asked) {
        let folders = self.folders();
        let mut found = BTreeSet::new();
        for (path, packages) in &self.listed {
            let path = merged(path);
            let (folder, name) = split(&path);
            if folders.iter().any(|own| own == folder) && asked.libraries.contains(name) {
                found.extend(packages.iter().filter(|name| {
                    self.is_own(name) && name.ends_with("-dev") && !self.libraries.contains(*name)
                }));
            }
        }
        let found: Vec<String> = found.into_iter().cloned().collect();
        self.libraries.extend(found);
    }

    /// With all symbols, and all references of libraries.
    pub fn draft(&self, platform: &str, asked: &Asked) -> anyhow::Result<Draft> {
        let plain = packages::plain(&self.index);
        let owner = |package: &str| Owner { plain: plain.contains(package), package: package.to_owned() };
        let mut tree = Tree::with_folder_links(MERGED);
        let mut folders = self.folders();
        let mut added = BTreeSet::new();
        for one in self.kept() {
            let (package, kept) = one?;
            for (path, thing) in kept.things {
                tree.add(&path, owner(&package), thing);
            }
            let conf = kept.texts.iter().filter(|(path, _)| path.starts_with("/etc/ld.so.conf.d/"));
            added.extend(conf.flat_map(|(_, text)| folders_of(text)));
        }
        let own_triplet = |folder: &String| folder.contains(self.known.triplet);
        folders.extend(added.into_iter().map(|folder| merged(&folder)).filter(own_triplet));
        let mut seen = HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        let mut versions: BTreeSet<&str> = self.wanted().collect();
        for (path, packages) in &self.listed {
            let real = merged(path);
            let (folder, name) = split(&real);
            let is_wanted = asked.libraries.contains(name) && folders.iter().any(|own| own == folder);
            for package in packages {
                if self.libraries.contains(package) || self.programs.contains(package) {
                } else if is_wanted && self.index.contains_key(package) {
                    tree.add(path, owner(package), Thing::Unread("not looked into".to_owned()));
                    versions.insert(package);
                } else {
                    tree.add_other(path);
                }
            }
        }
        tree.make_soname_links(&folders);
        tree.keep(&folders, |name| asked.libraries.contains(name));
        folders.retain(|folder| self.folders().contains(folder) || tree.has_in(folder));
        let libc = &self.index.get("libc6").context("the suite has no libc6")?.version;
        let release = self.apt.release()?;
        let date = String::from_utf8_lossy(&release);
        let date =
            date.lines().find_map(|line| line.strip_prefix("Date: ")).context("the release has no date")?;
        let digest: String = Sha256::digest(&release).iter().map(|byte| format!("{byte:02x}")).collect();
        let about = About {
            platform: platform.to_owned(),
            arch: self.known.arch.into(),
            triplet: self.known.triplet.to_owned(),
            libc: format!("glibc {}", libc.split('-').next().unwrap_or(libc)),
            search: folders,
            folder_links: Vec::new(),
            complete: true,
            provenance: vec![
                ("distribution".to_owned(), "Debian".to_owned()),
                ("architecture".to_owned(), self.known.name.to_owned()),
                ("component".to_owned(), "main".to_owned()),
                ("release file of".to_owned(), date.to_owned()),
                ("SHA-256 of the signed release file".to_owned(), digest),
                ("packages looked into".to_owned(), self.libraries.len().to_string()),
            ],
        };
        let versions =
            versions.iter().map(|name| ((*name).to_owned(), self.index[*name].version.clone())).collect();
        let mut draft = tree.draft(about, versions);
        // Facts about libraries that no C library changes are not worth their bytes: a process has one, its
        // platform's.
        drop_libc_needs(&mut draft.entries);
        Ok(draft)
    }

    /// How many packages depend on one. Alternatives of one another count as if many did.
    pub fn dependents(&self) -> BTreeMap<&str, usize> {
        let mut count = packages::dependents(&self.index);
        for name in self.index.keys().filter(|name| is_wanted(name, &self.index)) {
            let count = count.entry(name).or_default();
            *count = (*count).max(MANY);
        }
        count
    }
}

/// The folders that a part of `/etc/ld.so.conf` names.
fn folders_of(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| line.starts_with('/')).map(|line| line.trim_end_matches('/').to_owned()).collect()
}

/// Packages whose libraries matter however few depend on them by name: those that stand for one another by
/// alternatives, and musl, which is the C library of other platforms.
fn is_wanted(package: &str, index: &Packages) -> bool {
    package == "musl" || packages::provides_library(&index[package])
}

pub fn merged(path: &str) -> String {
    MERGED
        .iter()
        .find_map(|(from, to)| {
            Some(format!("{to}{}", path.strip_prefix(from).filter(|rest| rest.starts_with('/'))?))
        })
        .unwrap_or_else(|| path.to_owned())
}

fn drop_libc_needs(entries: &mut [Entry]) {
    const LIBC: &[&str] =
        &["libc.so.", "libm.so.", "libpthread.so.", "libdl.so.", "librt.so.", "ld-linux", "ld64.so."];
    for entry in entries {
        if let What::Library(facts) = &mut entry.what {
            facts.version_needs.retain(|(file, ..)| !LIBC.iter().any(|libc| file.starts_with(libc)));
        }
    }
}

pub fn absolute(path: &Path) -> String {
    let path = path.to_string_lossy();
    format!("/{}", path.trim_start_matches("./").trim_start_matches('/'))
}

pub type Stream = std::process::ChildStdout;

/// Walks one of a package's archives, which dpkg unpacks.
pub fn archive(
    deb: &Path,
    which: &str,
    mut visit: impl FnMut(String, &mut tar::Entry<'_, Stream>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut child = Command::new("dpkg-deb")
        .arg(which)
        .arg(deb)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let stream = child.stdout.take().context("dpkg-deb has no output")?;
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = absolute(&entry.path()?);
        visit(path, &mut entry)?;
    }
    // What follows the last entry is read too, so that dpkg-deb can end.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    let status = child.wait()?;
    if !status.success() {
        bail!("dpkg-deb failed: {status}");
    }
    Ok(())
}
