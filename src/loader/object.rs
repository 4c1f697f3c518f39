//! What the loader needs to know of one file.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::artifact::{Arch, Artifact, Bindings, Found, Import, VersionNeed, gnu_hash};
use crate::platform;

use super::Name;
use super::name::same;

/// A reference to a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'r> {
    pub name: &'r str,
    /// The version node asked for.
    pub version: Option<&'r str>,
    /// A definition without a version will not do (the hidden bit of `vna_other`).
    pub exact: bool,
    /// Of the name, as descriptions have it and as files do: many libraries are asked.
    hash: u64,
    gnu_hash: u32,
}

impl<'r> Reference<'r> {
    fn new(import: &'r Import, known: &Known) -> Self {
        let (hash, gnu_hash, version) = (known.hash, known.gnu_hash, import.version.as_deref());
        Self { name: &import.name, version, exact: import.exact, hash, gnu_hash }
    }

    /// The platforms' hash of the name.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

impl Hash for Reference<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Both: names made to have one of them in common are hard enough to make.
        state.write_u64(self.hash ^ u64::from(self.gnu_hash).rotate_left(32));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

/// The definitions of one file.
pub trait Offers: fmt::Debug + Send + Sync {
    /// Whether glibc takes a definition of this file for the reference
    /// (`elf/dl-lookup.c`, `check_match`):
    ///
    /// - with a version: a definition of that version, hidden or not, or one
    ///   without a version that is not hidden;
    /// - without: a definition with a version index of 2 at most (the base or
    ///   the first version), hidden or not, or else the only one that is not
    ///   hidden (fact 38);
    /// - a file without a version table: any definition of the name (fact 37).
    fn offers(&self, reference: Reference<'_>) -> Answer;

    /// Whether musl takes one: any that is not hidden, whatever its version.
    fn offers_any(&self, reference: Reference<'_>) -> Answer;

    /// `DT_VERSYM` is there; `None`: not known.
    fn has_version_table(&self) -> Option<bool>;
}

/// Whether one of the definitions of a name answers a reference: see `Offers`.
pub(super) fn accepts<'f>(
    mut found: impl Iterator<Item = Found<'f>>,
    has_version_table: bool,
    reference: Reference<'_>,
) -> bool {
    match reference.version {
        _ if !has_version_table => found.next().is_some(),
        Some(version) => found.any(|one| match one.version {
            Some(own) => same(own, version),
            None => !one.hidden && !reference.exact,
        }),
        None => {
            let mut defaults = 0;
            let mut first = false;
            for one in found {
                first |= one.index.unwrap_or(0) <= 2;
                defaults += usize::from(!one.hidden);
            }
            first || defaults == 1
        }
    }
}

impl Offers for Bindings {
    fn offers(&self, reference: Reference<'_>) -> Answer {
        let found = self.exports.find_by(reference.name, reference.gnu_hash);
        let yes = accepts(found, self.exports.has_version_table(), reference);
        if yes { Answer::Yes } else { Answer::No }
    }

    fn offers_any(&self, reference: Reference<'_>) -> Answer {
        match self.exports.find_by(reference.name, reference.gnu_hash).any(|one| !one.hidden) {
            true => Answer::Yes,
            false => Answer::No,
        }
    }

    fn has_version_table(&self) -> Option<bool> {
        Some(self.exports.has_version_table())
    }
}

/// A file whose symbols could not be read.
#[derive(Debug)]
struct Unread;

impl Offers for Unread {
    fn offers(&self, _: Reference<'_>) -> Answer {
        Answer::Unknown
    }

    fn offers_any(&self, _: Reference<'_>) -> Answer {
        Answer::Unknown
    }

    fn has_version_table(&self) -> Option<bool> {
        None
    }
}

/// The version nodes that a file defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// There is no `DT_VERDEF`: whatever version is asked for, the loader only
    /// warns (fact 37).
    Undefined,
    Nodes(Vec<String>),
    /// These, and perhaps more.
    AtLeast(Vec<String>),
    Unknown,
}

impl Versions {
    /// Those that are surely there. `None`: where there are none, any will do, or nothing is known.
    pub fn surely(&self) -> Option<Vec<String>> {
        match self {
            Self::Nodes(nodes) | Self::AtLeast(nodes) => Some(nodes.clone()),
            Self::Undefined | Self::Unknown => None,
        }
    }
}

/// The references that a file makes.
#[derive(Debug, Clone)]
pub enum Imports {
    Of(Arc<Bindings>),
    /// Given one by one. Of a library of a platform: only those that nothing
    /// among the libraries that it needs there satisfies.
    Listed(Vec<Import>),
    /// Why they are not known.
    Unknown(String),
}

/// A file to load: what the loader reads of it.
#[derive(Debug)]
pub struct Object {
    pub arch: Arch,
    pub soname: Option<Name>,
    pub needed: Vec<Name>,
    pub rpath: Vec<String>,
    pub runpath: Vec<String>,
    /// `DF_1_NODEFLIB`.
    pub no_default_folders: bool,
    pub version_needs: Vec<VersionNeed>,
    /// `DT_RELR`.
    pub relr: bool,
    pub versions: Versions,
    pub imports: Imports,
    pub offers: Arc<dyn Offers>,
    /// Of the imports, in their order: made once, asked by every platform.
    pub known: OnceLock<Vec<Known>>,
}

/// What is known of an import whatever it is loaded with.
#[derive(Debug)]
pub struct Known {
    /// The hashes of its name: as descriptions have it, and as files do.
    hash: u64,
    gnu_hash: u32,
    /// The file that imports it may define it, too, in another version.
    pub is_own: bool,
    /// It has its version of another file than the import before it, or of none.
    pub other_file: bool,
    /// The hash of a name of the file that had it last, on whatever system: where to ask first. 0: none.
    pub had_by: AtomicU64,
}

/// The references of a file.
#[derive(Debug, Clone, Copy)]
pub struct References<'o> {
    imports: &'o [Import],
    known: &'o [Known],
}

impl<'o> References<'o> {
    pub fn len(&self) -> usize {
        self.imports.len()
    }

    pub fn get(&self, at: usize) -> (&'o Import, Reference<'o>, &'o Known) {
        let (import, known) = (&self.imports[at], &self.known[at]);
        (import, Reference::new(import, known), known)
    }
}

impl Known {
    pub fn had_by(&self) -> u64 {
        self.had_by.load(Ordering::Relaxed)
    }

    pub fn note(&self, file: u64) {
        self.had_by.store(file, Ordering::Relaxed);
    }
}

impl Object {
    /// `None`: the artifact was not read as deep as that (`Depth::Bindings`).
    pub fn of(facts: &Artifact) -> Option<Self> {
        let (imports, offers, versions, no_default_folders): (_, Arc<dyn Offers>, _, _) =
            match facts.bindings.as_ref()? {
                Ok(bindings) => (
                    Imports::Of(Arc::clone(bindings)),
                    Arc::clone(bindings) as Arc<dyn Offers>,
                    match bindings.exports.defines_versions() {
                        true => Versions::Nodes(bindings.exports.nodes().to_vec()),
                        false => Versions::Undefined,
                    },
                    bindings.no_default_folders,
                ),
                Err(why) => (Imports::Unknown(why.clone()), Arc::new(Unread), Versions::Unknown, false),
            };
        Some(Self {
            arch: facts.arch,
            soname: facts.soname.as_deref().map(Name::new),
            needed: facts.needed.iter().map(|name| Name::new(name)).collect(),
            rpath: facts.rpath.clone(),
            runpath: facts.runpath.clone(),
            no_default_folders,
            version_needs: facts.version_needs.clone(),
            relr: facts.relr,
            versions,
            imports,
            offers,
            known: OnceLock::new(),
        })
    }

    /// `Err`: why they are not known.
    pub fn references(&self) -> Result<References<'_>, &str> {
        let imports = match &self.imports {
            Imports::Of(bindings) => &bindings.imports,
            Imports::Listed(imports) => imports,
            Imports::Unknown(why) => return Err(why),
        };
        let known = self.known.get_or_init(|| {
            let mut before = None;
            let known = imports.iter().map(|import| {
                let name = import.name.as_bytes();
                let mut known = Known {
                    hash: platform::hash(name),
                    gnu_hash: gnu_hash(name),
                    is_own: true,
                    other_file: before.replace(&import.file) != Some(&import.file),
                    had_by: AtomicU64::new(0),
                };
                let reference = Reference::new(import, &known);
                let all = [self.offers.offers(reference), self.offers.offers_any(reference)];
                known.is_own = all != [Answer::No; 2];
                known
            });
            known.collect()
        });
        Ok(References { imports, known })
    }
}
