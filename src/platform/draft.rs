//! What is known of a system before it is packed: a list of paths.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::fingerprint::hash;
use super::system::real;
use super::write::split;
use crate::artifact::{Arch, Artifact, Class, Endian, Release, When};

/// One platform on one architecture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Draft {
    pub about: About,
    /// Libraries and links to them.
    pub entries: Vec<Entry>,
    /// Paths of shared objects that are there and of which nothing else is known.
    pub others: Vec<String>,
    /// The packages that were looked at or named, with their versions.
    pub packages: Vec<(String, String)>,
}

/// What holds for a whole description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `debian-12`
    pub platform: String,
    pub arch: ArchName,
    /// Debian's multiarch triplet, `x86_64-linux-gnu`: folders named by it are
    /// alike on all architectures. Empty: there is none.
    pub triplet: String,
    /// `glibc 2.36` or `musl 1.2.5`; the number may be missing.
    pub libc: String,
    /// Where the loader looks when nothing else is said, in its order: absolute,
    /// without links.
    pub search: Vec<String>,
    /// Links to folders, in the order in which they apply: `/lib` → `/usr/lib`.
    pub folder_links: Vec<(String, String)>,
    /// Whether every shared object of the system is in `entries` or `others`:
    /// then what is in neither does not exist.
    pub complete: bool,
    /// Where it comes from, as pairs of a heading and a text.
    pub provenance: Vec<(String, String)>,
}

/// What of an ELF header tells machines apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchName {
    /// `e_machine`.
    pub machine: u16,
    pub elf64: bool,
    pub big_endian: bool,
    /// `e_flags`.
    pub flags: u32,
}

impl From<Arch> for ArchName {
    fn from(arch: Arch) -> Self {
        let Arch { machine, class, endian, flags } = arch;
        Self { machine, elf64: class == Class::Elf64, big_endian: endian == Endian::Big, flags }
    }
}

impl ArchName {
    pub fn arch(self) -> Arch {
        Arch {
            machine: self.machine,
            class: if self.elf64 { Class::Elf64 } else { Class::Elf32 },
            endian: if self.big_endian { Endian::Big } else { Endian::Little },
            flags: self.flags,
        }
    }
}

/// A path that the loader may open. Several packages may own one (fact 45).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Absolute, and its folder without links.
    pub path: String,
    /// Empty where the system has no packages.
    pub package: String,
    /// A plain install has it.
    pub plain: bool,
    pub what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum What {
    /// A symbolic link, absolute or relative to the folder it is in.
    Link(String),
    Library(Box<Facts>),
    /// A library of the platform's machine that was not looked into.
    Listed,
    OtherMachine,
    NotElf,
}

/// What the loader asks of a library.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Facts {
    pub soname: Option<String>,
    pub needed: Vec<String>,
    pub rpath: Vec<String>,
    pub runpath: Vec<String>,
    /// File, version node, and whether its lack is only a warning.
    pub version_needs: Vec<(String, String, bool)>,
    /// The version nodes that it defines, in the file's order.
    pub nodes: Vec<String>,
    /// Which of the nodes has the index 2, counted from 1; 0: none.
    pub second: u16,
    pub has_version_table: bool,
    pub defines_versions: bool,
    /// `DF_1_NODEFLIB`: no default folders for its needs.
    pub no_default_folders: bool,
    /// `DT_RELR`.
    pub relr: bool,
    /// What it defines, sorted. `None`: not known.
    pub symbols: Option<Vec<Definition>>,
    /// `symbols` has only those names that something is known to ask for.
    #[serde(skip)]
    pub partial: bool,
    /// References that nothing it needs satisfies: its host's, or nobody's.
    pub unresolved: Vec<Unresolved>,
}

/// One exported definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Definition {
    /// Of its name.
    pub hash: u64,
    /// Which of the nodes, counted from 1; 0: of no version.
    pub node: u16,
    /// Not the default version.
    pub hidden: bool,
}

/// A strong reference of a library that its own needs leave open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unresolved {
    pub name: String,
    pub version: Option<String>,
    /// The library that `DT_VERNEED` names for the version.
    pub file: Option<String>,
    /// A definition without a version will not do.
    pub exact: bool,
    /// Looked up when the library is loaded, not when it is first called.
    pub at_start: bool,
}

impl Facts {
    /// Of a library that was read with its bindings. All its strong references
    /// count as unresolved.
    pub fn of(artifact: &Artifact) -> Self {
        let bindings = match &artifact.bindings {
            Some(Ok(bindings)) => Some(bindings),
            _ => None,
        };
        let nodes = artifact.version_definitions.clone();
        let mut facts = Self {
            soname: artifact.soname.clone(),
            needed: artifact.needed.clone(),
            rpath: artifact.rpath.clone(),
            runpath: artifact.runpath.clone(),
            version_needs: (artifact.version_needs.iter())
                .map(|need| (need.file.clone(), need.version.clone(), need.weak))
                .collect(),
            // Where the symbols are not known, linkers' custom is: the base is 1, the first node 2.
            second: u16::from(!nodes.is_empty()),
            defines_versions: !nodes.is_empty(),
            has_version_table: !nodes.is_empty() || !artifact.version_needs.is_empty(),
            no_default_folders: false,
            relr: artifact.relr,
            symbols: None,
            partial: false,
            unresolved: Vec::new(),
            nodes,
        };
        let Some(bindings) = bindings else { return facts };
        let exports = &bindings.exports;
        facts.no_default_folders = bindings.no_default_folders;
        facts.has_version_table = exports.has_version_table();
        facts.defines_versions = exports.defines_versions();
        let index: HashMap<&str, u16> =
            facts.nodes.iter().zip(1u16..).map(|(name, at)| (name.as_str(), at)).collect();
        let mut symbols = Vec::new();
        for (name, found) in exports.all() {
            let node = found.version.and_then(|version| index.get(version).copied()).unwrap_or(0);
            if found.index == Some(2) {
                facts.second = node;
            }
            symbols.push(Definition { hash: hash(name), node, hidden: found.hidden });
        }
        symbols.sort_unstable();
        symbols.dedup();
        facts.symbols = Some(symbols);
        facts.unresolved = (bindings.imports.iter())
            .filter(|import| !import.weak)
            .map(|import| Unresolved {
                name: import.name.clone(),
                version: import.version.clone(),
                file: import.file.clone(),
                exact: import.exact,
                at_start: import.when == When::Start,
            })
            .collect();
        facts
    }
}

impl Draft {
    /// The files that each link to a file leads to: alternatives are several.
    pub fn files_behind_links(&self) -> HashMap<String, Vec<String>> {
        let mut targets: HashMap<&str, Vec<String>> = HashMap::new();
        for Entry { path, what, .. } in &self.entries {
            if let What::Link(target) = what {
                let target = match target.starts_with('/') {
                    true => target.clone(),
                    false => format!("{}/{target}", split(path).0),
                };
                targets.entry(path).or_default().extend(real(&target, &self.about));
            }
        }
        let mut files: HashMap<String, Vec<String>> = HashMap::new();
        for path in targets.keys() {
            let mut left = vec![(*path).to_owned()];
            let mut seen: BTreeSet<String> = BTreeSet::new();
            while let Some(path) = left.pop() {
                let further = targets.get(path.as_str()).into_iter().flatten();
                left.extend(further.filter(|path| seen.insert((*path).clone())).cloned());
            }
            seen.retain(|path| !targets.contains_key(path.as_str()));
            files.insert((*path).to_owned(), seen.into_iter().collect());
        }
        files
    }
}

impl About {
    /// The release of glibc; `None`: another C library, or not known.
    pub fn glibc(&self) -> Option<Release> {
        Release::parse(self.libc.strip_prefix("glibc ")?)
    }
}
