//! Libraries of platforms that are known by published facts: the same library
//! of a full description, without what came later.
//!
//! A symbol that glibc 2.36 has at `GLIBC_2.17` was there in 2.28: nodes are
//! never added to once they are released. (libpthread's functions moved to libc
//! in 2.34 and keep their old nodes, so that a look-up over all finds them.)

use std::sync::Arc;

use super::published::Libraries;
use super::system::{Library, LibraryFacts, Probe, System};
use super::write::split;
use crate::artifact::{AbiVersion, Arch, Release, Tag};

/// Libraries that glibc itself brings.
pub const GLIBC: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "libBrokenLocale.so.1",
    "libthread_db.so.1",
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libnss_compat.so.2",
];

/// Libraries that GCC brings to all systems.
pub const GCC: &[&str] = &["libgcc_s.so.1", "libstdc++.so.6"];

/// One library by its name, as a published platform has it. `described` are the
/// systems of the same architecture that are described in full, the oldest
/// first. `None`: nothing is published of it.
pub fn library(
    name: &str,
    path: String,
    libraries: &Libraries,
    arch: Arch,
    described: &[&'static System],
) -> Option<Library> {
    let of_gcc = GCC.contains(&name);
    let of_libc = libraries.interpreter(arch).is_some_and(|own| split(&own).1 == name)
        || libraries.glibc.is_some() && GLIBC.contains(&name);
    if !of_gcc && !of_libc && !libraries.others.iter().any(|other| other == name) {
        return None;
    }
    let package =
        libraries.gcc_packages.iter().find(|package| of_gcc && name.starts_with(package.as_str())).cloned();
    let limits = Limits { libraries, arch };
    let facts = match (&libraries.musl, name) {
        (Some(release), _) if of_libc => musl(release, path.as_str(), described),
        (None, "libgcc_s.so.1") => numbered(name, "GCC", &limits, described),
        (None, "libstdc++.so.6") => numbered(name, "GLIBCXX", &limits, described),
        (None, _) if of_libc => numbered(name, "GLIBC", &limits, described),
        (None, _) => any(name, &limits, described),
        // GCC's libraries need the libc that they were built for.
        (Some(_), _) => None,
    };
    Some(Library { path, plain: package.is_none(), package, facts })
}

/// A library whose releases show in its nodes.
fn numbered(
    name: &str,
    namespace: &'static str,
    limits: &Limits<'_>,
    described: &[&'static System],
) -> Option<LibraryFacts> {
    let wanted = limits.newest(namespace)?;
    // libm and its like do not get a node in each release: the C library's count for all of glibc.
    let measure = if namespace == "GLIBC" { "libc.so.6" } else { name };
    let mut newest_known = None;
    for system in described {
        let Some(library) = in_default_folders(system, name) else { continue };
        let Some(release) = in_default_folders(system, measure).and_then(|of| newest(&of, namespace)) else {
            continue;
        };
        let enough = release >= wanted;
        newest_known = Some((release, library));
        if enough {
            break;
        }
    }
    let (release, library) = newest_known?;
    let mut later = if release < wanted { between(namespace, &release, &wanted) } else { Vec::new() };
    later.extend(limits.libraries.some_of_nodes(name, limits.arch));
    let grows = limits.libraries.gcc_grows && namespace != "GLIBC";
    let mut older = library.facts.as_ref()?.older(|node| limits.has(node), later, release < wanted || grows);
    older.more_nodes = grows;
    Some(older)
}

/// A library that is said to be there and no more: the oldest that is known,
/// and what that one lacks is not known.
fn any(name: &str, limits: &Limits<'_>, described: &[&'static System]) -> Option<LibraryFacts> {
    let library = described.iter().find_map(|system| in_default_folders(system, name))?;
    Some(library.facts.as_ref()?.older(|node| limits.has(node), Vec::new(), true))
}

/// musl as Debian has it: the newest that is not newer than the platform's.
fn musl(wanted: &Release, loader: &str, described: &[&'static System]) -> Option<LibraryFacts> {
    let mut found = None;
    for system in described {
        let version = system.package_version("musl").ok().flatten();
        let release = version.and_then(|version| Release::parse(version.split('-').next()?));
        let Some(release) = release.filter(|release| release <= wanted) else { continue };
        if let Probe::Library(libraries) = system.probe(loader)
            && let Some(library) = libraries.into_iter().find(|library| library.facts.is_some())
        {
            found = Some((release, library));
        }
    }
    let (release, library) = found?;
    Some(library.facts.as_ref()?.older(|_| true, Vec::new(), release < *wanted))
}

fn in_default_folders(system: &System, name: &str) -> Option<Arc<Library>> {
    let paths = system.search().iter().map(|folder| format!("{folder}/{name}"));
    paths.chain([format!("/lib64/{name}")]).find_map(|path| match system.probe(&path) {
        Probe::Library(libraries) => libraries.into_iter().find(|library| library.facts.is_some()),
        _ => None,
    })
}

/// The newest numbered node of a library in a namespace.
fn newest(library: &Library, namespace: &str) -> Option<Release> {
    let nodes = library.facts.as_ref()?.nodes.iter();
    let releases = nodes.filter_map(|node| {
        let version = AbiVersion::parse(node, []);
        match version.tag {
            Tag::Number(release) if version.namespace == namespace => Some(release),
            _ => None,
        }
    });
    releases.max()
}

/// How new the libraries of a platform are on one architecture.
struct Limits<'l> {
    libraries: &'l Libraries,
    arch: Arch,
}

impl Limits<'_> {
    fn newest(&self, namespace: &str) -> Option<Release> {
        self.libraries.limit(namespace, self.arch)
    }

    /// Whether the platform's libraries have a node, by its number. Names
    /// without a number have been there for long.
    fn has(&self, node: &str) -> bool {
        // GCC 5 (gcc/libstdc++-v3/config/abi/pre/float128.ver).
        let node = if node == "CXXABI_FLOAT128" { "CXXABI_1.3.9" } else { node };
        let version = AbiVersion::parse(node, []);
        match (version.tag.release(), self.newest(&version.namespace)) {
            (Some(release), Some(limit)) => *release <= limit,
            _ => true,
        }
    }
}

/// The nodes after one release, up to another one: the last number counts up.
fn between(namespace: &str, after: &Release, to: &Release) -> Vec<String> {
    let (after, to) = (after.to_string(), to.to_string());
    let (Some((stem, from)), Some((other, until))) = (after.rsplit_once('.'), to.rsplit_once('.')) else {
        return Vec::new();
    };
    match (from.parse::<u32>(), until.parse::<u32>()) {
        (Ok(from), Ok(until)) if stem == other && until - from.min(until) < 100 => {
            (from + 1..=until).map(|last| format!("{namespace}_{stem}.{last}")).collect()
        }
        _ => Vec::new(),
    }
}
