//! The shared libraries that the linker found on this machine: which symbols
//! they define, and in which versions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::artifact::{AbiVersion, Artifact, Depth, Examined, Release, Symbols, examine};

/// Where linkers for a target look on Debian and its relatives, and on those
/// with `lib64`: the folders of cross compilers first.
fn folders(triple: Option<&str>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(gnu) = triple.and_then(gnu_triplet) {
        folders.extend([format!("/usr/{gnu}/lib"), format!("/lib/{gnu}"), format!("/usr/lib/{gnu}")]);
    }
    folders.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"].map(str::to_owned));
    folders.into_iter().map(PathBuf::from).collect()
}

/// Without a vendor: `s390x-linux-gnu`.
fn gnu_triplet(triple: &str) -> Option<String> {
    let (machine, rest) = triple.split_once('-')?;
    let system = &rest[rest.find("linux-")?..];
    let machine = match machine {
        "i586" | "i686" => "i386",
        "riscv64gc" => "riscv64",
        "armv7" | "thumbv7neon" => "arm",
        other => other,
    };
    Some(format!("{machine}-{system}"))
}

/// The library by that file name, of the machine of `user`: in the folders
/// that were named, or where the linker looks.
pub fn find(name: &str, user: &Artifact, triple: Option<&str>, named: &[&Path]) -> Option<Box<Artifact>> {
    if name.contains('/') {
        return None;
    }
    let known = folders(triple);
    named.iter().copied().chain(known.iter().map(PathBuf::as_path)).find_map(|folder| {
        let path = folder.join(name);
        let found = path.is_file().then(|| examine(&path, Depth::Symbols));
        match found {
            Some(Ok(Examined::Elf(facts))) if facts.arch.same_as(user.arch) => Some(facts),
            _ => None,
        }
    })
}

/// The functions that a library defines.
pub fn defined(library: &Artifact) -> BTreeSet<&str> {
    let symbols = library.symbols.iter().flat_map(Symbols::known);
    symbols.filter(|symbol| symbol.defined).map(|symbol| symbol.name.as_str()).collect()
}

/// Of each symbol the releases in which it came, the oldest first: a newer
/// program may ask for an older one only where the linker finds that.
#[derive(Debug, Default)]
pub struct Releases(BTreeMap<String, Vec<Release>>);

impl Releases {
    /// Takes what a library defines in a namespace.
    pub fn add(&mut self, library: &Artifact, namespace: &str) {
        let symbols = library.symbols.iter().flat_map(Symbols::known);
        for symbol in symbols.filter(|symbol| symbol.defined) {
            let version = symbol.version.as_deref().map(|version| AbiVersion::parse(version, []));
            let Some(version) = version.filter(|version| version.namespace == namespace) else { continue };
            if let Some(release) = version.tag.release() {
                self.0.entry(symbol.name.clone()).or_default().push(release.clone());
            }
        }
        self.0.values_mut().for_each(|all| all.sort());
    }

    /// The oldest release that has the symbol.
    pub fn first(&self, symbol: &str) -> Option<&Release> {
        self.0.get(symbol)?.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triplets_have_no_vendor() {
        for (triple, gnu) in [
            ("s390x-unknown-linux-gnu", Some("s390x-linux-gnu")),
            ("x86_64-unknown-linux-gnu", Some("x86_64-linux-gnu")),
            ("powerpc64le-unknown-linux-gnu", Some("powerpc64le-linux-gnu")),
            ("riscv64gc-unknown-linux-gnu", Some("riscv64-linux-gnu")),
            ("x86_64-pc-windows-gnu", None),
        ] {
            assert_eq!(gnu_triplet(triple).as_deref(), gnu);
        }
    }
}
