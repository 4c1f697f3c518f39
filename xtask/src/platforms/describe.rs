//! One suite on one architecture: packages in, a draft out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail, ensure};
use cargo_compat::artifact::{Arch, Class, Depth, Endian, examine_bytes};
use cargo_compat::loader::leave_open;
use cargo_compat::platform::{About, Draft, Entry, Interest, Owner, Thing, Tree, What, split};
use sha2::{Digest, Sha256};

use super::alternatives;
use super::apt::Apt;
use super::contents;
use super::packages::{self, Packages};

/// Changes whenever what is kept of a package does.
const KEPT: &str = "1";
/// The same for drafts.
const DRAFT: &str = "2";
/// Packages fetched in one call of apt, and such calls at a time: apt fetches from one server one after the other.
const BATCH: usize = 32;
const WORKERS: usize = 4;
/// A file of a package that is larger is not looked into.
const LARGEST: u64 = 1 << 30;

/// Debian's name of an architecture, the triplet of its folders, and its machine.
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

pub fn draft(
    cache: &Path,
    platform: &str,
    suite: &str,
    arch: &str,
    worth: usize,
    read: usize,
) -> anyhow::Result<Draft> {
    let place = cache.join(format!("{suite}-{arch}"));
    let kept = place.join(format!("draft-{KEPT}-{DRAFT}-{read}"));
    let apt = Apt::open(&place, suite, arch)?;
    let index = apt.indices("Packages")?.concat();
    let index = packages::parse(&index);
    let mut draft: Draft = match fs::read(&kept) {
        Ok(bytes) => postcard::from_bytes(&bytes).context("the draft that was kept is broken")?,
        Err(_) => {
            let draft = make(&apt, &place, platform, arch, &index, read)?;
            fs::write(&kept, postcard::to_stdvec(&draft)?)?;
            draft
        }
    };
    choose(&mut draft, &index, worth);
    Ok(draft)
}

/// Keeps the symbols of a plain install's packages, and of those that are worth their bytes: so many dependents for
/// each thousand symbols. Of the others the symbols are then unknown.
fn choose(draft: &mut Draft, index: &Packages, worth: usize) {
    let dependents = packages::dependents(index);
    let mut symbols: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &draft.entries {
        if let What::Library(facts) = &entry.what {
            *symbols.entry(entry.package.clone()).or_default() += facts.symbols.as_ref().map_or(0, Vec::len);
        }
    }
    for entry in &mut draft.entries {
        let package = entry.package.as_str();
        let needed_by = dependents.get(package).copied().unwrap_or(0);
        let is_worth = needed_by * 1000 >= worth * symbols.get(package).copied().unwrap_or(0);
        if let What::Library(facts) = &mut entry.what
            && !(entry.plain || is_worth || is_wanted(package, index))
        {
            facts.symbols = None;
        }
    }
    // Of packages that are only named the versions are of no use.
    let read: BTreeSet<&str> = draft
        .entries
        .iter()
        .filter(|entry| matches!(entry.what, What::Library(_)))
        .map(|entry| entry.package.as_str())
        .collect();
    draft.packages.retain(|(name, _)| read.contains(name.as_str()));
}

fn make(
    apt: &Apt,
    place: &Path,
    platform: &str,
    arch: &str,
    index: &Packages,
    read: usize,
) -> anyhow::Result<Draft> {
    let known = KNOWN.iter().find(|known| known.name == arch).context("no such architecture")?;
    let folders: Vec<String> =
        [format!("/usr/lib/{}", known.triplet), "/usr/lib".to_owned()].into_iter().collect();
    let listed = contents::libraries(&apt.indices("Contents-deb")?);
    let in_folders = |path: &str| {
        let path = merged(path);
        folders.iter().any(|folder| *folder == split(&path).0)
    };
    let plain = packages::plain(index);
    let count = packages::dependents(index);
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for (path, packages) in &listed {
        for package in packages {
            // Development packages have links only.
            let own = index.get(package).is_some_and(|found| found.architecture == arch);
            if !own || package.ends_with("-dev") {
                continue;
            }
            let enough =
                plain.contains(package.as_str()) || count.get(package.as_str()).copied().unwrap_or(0) >= read;
            if is_wanted(package, index) || enough && (in_folders(path) || in_own_folder(path)) {
                wanted.insert(package);
            }
        }
    }
    let size: u64 = wanted.iter().map(|name| index[*name].size).sum();
    println!("{platform}/{arch}: {} packages, {} MB", wanted.len(), size / 1_000_000);
    let things = read_all(apt, place, index, &wanted)?;

    let mut tree = Tree::with_folder_links(MERGED);
    for (package, things) in things {
        let owner = Owner { plain: plain.contains(package.as_str()), package };
        for (path, thing) in things {
            tree.add(&path, owner.clone(), thing);
        }
    }
    let mut versions: BTreeSet<&str> = wanted.clone();
    for (path, packages) in &listed {
        for package in packages.iter().filter(|package| !wanted.contains(package.as_str())) {
            if in_folders(path) && index.contains_key(package) {
                let owner = Owner { plain: plain.contains(package.as_str()), package: package.clone() };
                tree.add(path, owner, Thing::Unread("not looked into".to_owned()));
                versions.insert(package);
            } else {
                tree.add_other(path);
            }
        }
    }
    tree.make_soname_links(&folders);
    let libc = &index.get("libc6").context("the suite has no libc6")?.version;
    let release = apt.release()?;
    let date = String::from_utf8_lossy(&release);
    let date =
        date.lines().find_map(|line| line.strip_prefix("Date: ")).context("the release has no date")?;
    let hash: String = Sha256::digest(&release).iter().map(|byte| format!("{byte:02x}")).collect();
    let about = About {
        platform: platform.to_owned(),
        arch: known.arch.into(),
        triplet: known.triplet.to_owned(),
        libc: format!("glibc {}", libc.split('-').next().unwrap_or(libc)),
        search: folders,
        folder_links: Vec::new(),
        complete: true,
        provenance: vec![
            ("distribution".to_owned(), "Debian".to_owned()),
            ("architecture".to_owned(), arch.to_owned()),
            ("component".to_owned(), "main".to_owned()),
            ("release file of".to_owned(), date.to_owned()),
            ("SHA-256 of the signed release file".to_owned(), hash),
            ("packages looked into".to_owned(), wanted.len().to_string()),
        ],
    };
    let versions = versions.iter().map(|name| ((*name).to_owned(), index[*name].version.clone())).collect();
    let mut draft = tree.draft(about, versions);
    leave_open(&mut draft)?;
    // Facts about libraries that no C library changes are not worth their bytes: a process has one, its platform's.
    drop_libc_needs(&mut draft.entries);
    Ok(draft)
}

/// Packages whose libraries matter however few depend on them by name: those that stand for one another by
/// alternatives, and musl, which is the C library of other platforms.
fn is_wanted(package: &str, index: &Packages) -> bool {
    package == "musl" || packages::provides_library(&index[package])
}

/// A library in a folder of its package's own, which only an absolute run path reaches (fact 45), and which is named
/// like one: plugins are not.
fn in_own_folder(path: &str) -> bool {
    let (folder, name) = split(path);
    name.starts_with("lib")
        && [
            "/samba",
            "/postfix",
            "/systemd",
            "/libfakeroot",
            "/pulseaudio",
            "/ceph",
            "/nss",
            "/R/lib",
            "/girepository",
        ]
        .iter()
        .any(|own| folder.ends_with(own))
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

type Things = Vec<(String, Thing)>;

/// Every wanted package, fetched where nothing was kept of it.
fn read_all(
    apt: &Apt,
    place: &Path,
    index: &Packages,
    wanted: &BTreeSet<&str>,
) -> anyhow::Result<BTreeMap<String, Things>> {
    let kept = place.join(format!("packages-{KEPT}"));
    fs::create_dir_all(&kept)?;
    let file = |name: &str| kept.join(format!("{name}_{}", index[name].version.replace(['/', ':'], "%")));
    let missing: Vec<&str> = wanted.iter().copied().filter(|name| !file(name).exists()).collect();
    let batches: Vec<&[&str]> = missing.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (batches, next, failures, file) = (&batches, &next, &failures, &file);
            scope.spawn(move || {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) =
                        read_batch(apt, &place.join(format!("worker-{worker}")), index, batch, file)
                    {
                        failures.lock().unwrap().push(error);
                    }
                }
            });
        }
    });
    if let Some(error) = failures.into_inner().unwrap().into_iter().next() {
        return Err(error);
    }
    let read = |name: &&str| {
        let path = file(name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let things = postcard::from_bytes(&bytes).with_context(|| format!("{} is broken", path.display()))?;
        Ok(((*name).to_owned(), things))
    };
    wanted.iter().map(read).collect()
}

fn read_batch(
    apt: &Apt,
    folder: &Path,
    index: &Packages,
    batch: &[&str],
    kept: &impl Fn(&str) -> std::path::PathBuf,
) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    let exact: Vec<String> = batch.iter().map(|name| format!("{name}={}", index[*name].version)).collect();
    apt.download(&exact, folder)?;
    for entry in fs::read_dir(folder)? {
        let deb = entry?.path();
        let name = deb.file_name().and_then(|name| name.to_str()).context("a package's name is no text")?;
        let name = name.split('_').next().unwrap_or(name);
        let things = read_package(&deb).with_context(|| format!("cannot read {name}"))?;
        let path = kept(name);
        let beside = path.with_extension("new");
        fs::write(&beside, postcard::to_stdvec(&things)?)?;
        fs::rename(&beside, &path)?;
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// The libraries and links of a package, and the links that its script makes.
fn read_package(deb: &Path) -> anyhow::Result<Things> {
    let mut things = Things::new();
    let mut hard_links = Vec::new();
    archive(deb, "--fsys-tarfile", |path, entry| {
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            let target = entry.link_name()?.context("a link without target")?;
            things.push((path, Thing::Link(target.to_string_lossy().into_owned())));
        } else if Interest::of(&path) != Interest::Library {
        } else if kind.is_hard_link() {
            let target = entry.link_name()?.context("a link without target")?;
            hard_links.push((path, absolute(&target)));
        } else if kind.is_file() {
            ensure!(entry.size() <= LARGEST, "{path} has {} bytes", entry.size());
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            if let Some(thing) = Thing::of(examine_bytes(bytes, Depth::Bindings)) {
                things.push((path, thing));
            }
        }
        Ok(())
    })?;
    for (path, target) in hard_links {
        if let Some((_, thing)) = things.iter().find(|(own, _)| *own == target) {
            things.push((path, thing.clone()));
        }
    }
    archive(deb, "--ctrl-tarfile", |path, entry| {
        if path == "/postinst" || path == "/preinst" {
            let mut script = Vec::new();
            entry.take(1 << 20).read_to_end(&mut script)?;
            for (link, target) in alternatives::links(&String::from_utf8_lossy(&script)) {
                things.push((link, Thing::Link(target)));
            }
        }
        Ok(())
    })?;
    Ok(things)
}

fn absolute(path: &Path) -> String {
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
