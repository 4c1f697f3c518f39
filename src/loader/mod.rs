//! What the dynamic loader would say of a file, without running it: the one
//! place that knows glibc's rules (`elf/rtld.c`, `elf/dl-load.c`,
//! `elf/dl-version.c`, `elf/dl-lookup.c`) and musl's (`ldso/dynlink.c`).
//!
//! Whoever asks whether a library, a version or a symbol will be found asks
//! here, whatever provides the libraries: a root folder, a compiler's sysroot,
//! or the description of a platform.

mod bind;
mod described;
mod memory;
mod name;
mod object;
mod root;
mod root_files;
mod search;
mod verdict;
mod versions;

use std::sync::Arc;

pub use self::described::{Described, OpenReference, Whole, leave_open, open_references};
use self::memory::{ByName, Memory};
pub use self::name::{Name, Names};
pub use self::object::{Answer, Imports, Object, Offers, Reference, Versions};
pub use self::root::Root;
pub use self::root_files::{default_folders, glibc_release_of};
pub use self::verdict::{Because, Loaded, Problem, Undecided, Verdict, Warning};
use crate::artifact::{Artifact, Release};

/// Whose rules the loader follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Family {
    Glibc {
        /// Some of what it does depends on its release; `None`: not known.
        release: Option<Release>,
    },
    Musl,
}

/// A path of a system that lies in a folder, as a path of this machine: links
/// are followed as they would be with the folder as root.
pub fn resolve_in(folder: &std::path::Path, path: &std::path::Path) -> Option<std::path::PathBuf> {
    root::resolve(folder, path.to_str()?)
}

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Probe {
    Absent,
    Found(Arc<Object>),
    /// An ELF file for another machine: glibc passes over it (fact 41).
    OtherMachine,
    /// Something that ends the search with an error (fact 41), in words.
    NotLoadable(String),
    /// Whether something is there, or what, is not known, in words.
    Unknown(String),
}

/// Where the loader finds files.
pub trait Provider: Sync {
    fn family(&self) -> Family;

    /// Whether it is musl's: what a family is may have to be read first.
    fn is_musl(&self) -> bool {
        self.family() == Family::Musl
    }

    /// Folders searched last, in order, absolute (fact 42).
    fn default_folders(&self) -> &[String];

    /// Where `/etc/ld.so.cache` says that a name is.
    fn cached(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }

    /// What `$LIB` and `$PLATFORM` stand for; `None`: not known.
    fn token(&self, _name: &str) -> Option<String> {
        None
    }

    /// What is at an absolute path of the system.
    fn probe(&self, path: &str) -> Probe;

    /// What comes with the file that is judged at a path that one of its run
    /// paths makes of `$ORIGIN`.
    fn probe_given(&self, _path: &str) -> Probe {
        Probe::Absent
    }

    /// A file that comes with the one judged, and that the system will have
    /// where no path of the file tells: other artifacts of the same release.
    fn beside(&self, _name: &str) -> Option<(Arc<str>, Arc<Object>)> {
        None
    }

    /// What it remembers, where its answers are always the same.
    fn memory(&self) -> Option<&Memory> {
        None
    }

    /// Whether the system has nothing but what is here. A compiler's sysroot
    /// is no such thing: what it lacks is undecided.
    fn is_whole(&self) -> bool;

    /// Whether the system's libraries were made to go with each other, as a
    /// distribution's are: what is not known of one does not make its own
    /// needs undecided.
    fn is_consistent(&self) -> bool {
        false
    }
}

/// A system whose programs for musl are loaded by musl's loader, whatever its
/// own C library is: Debian has a package of it.
struct ForMusl<'p>(&'p dyn Provider, Vec<String>);

impl Provider for ForMusl<'_> {
    fn family(&self) -> Family {
        Family::Musl
    }

    fn default_folders(&self) -> &[String] {
        &self.1
    }

    fn probe(&self, path: &str) -> Probe {
        self.0.probe(path)
    }

    fn probe_given(&self, path: &str) -> Probe {
        self.0.probe_given(path)
    }

    fn beside(&self, name: &str) -> Option<(Arc<str>, Arc<Object>)> {
        self.0.beside(name)
    }

    fn is_whole(&self) -> bool {
        self.0.is_whole()
    }

    fn is_consistent(&self) -> bool {
        self.0.is_consistent()
    }
}

/// The file that is loaded, as a program or by a program that is not known.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Where it is on the system, for `$ORIGIN`.
    pub path: Arc<str>,
    pub interpreter: Option<String>,
    pub object: Arc<Object>,
}

impl Subject {
    /// `None`: the artifact was not read as deep as that.
    pub fn new(path: impl Into<Arc<str>>, facts: &Artifact) -> Option<Self> {
        let object = Arc::new(Object::of(facts)?);
        Some(Self { path: path.into(), interpreter: facts.interpreter.clone(), object })
    }
}

/// Whose references are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// Those of the file alone: its libraries are somebody else's to judge.
    Subject,
    /// Those of its libraries too, as the loader does.
    Everything,
    /// As before, without what only follows: the symbols of a library or of a version that is missing, or that may
    /// be.
    Causes,
}

/// Loads a file and all that it needs, binds every reference, and tells all
/// that is wrong, not the first thing only.
pub fn load(subject: &Subject, provider: &dyn Provider, bind: Bind) -> Verdict {
    let musl = subject.interpreter.as_deref().is_some_and(|path| path.contains("/ld-musl-"));
    if musl && !provider.is_musl() {
        // musl's own default (`ldso/dynlink.c`).
        let folders = ["/lib", "/usr/local/lib", "/usr/lib"].map(str::to_owned).to_vec();
        return load(subject, &ForMusl(provider, folders), bind);
    }
    let mut verdict = Verdict::default();
    search::load_all(subject, provider, &mut verdict);
    let by_name = ByName::of(&verdict.loaded);
    versions::check_versions(provider, &by_name, &mut verdict);
    versions::check_relocations(provider, &mut verdict);
    bind::bind_all(provider, bind, &by_name, &mut verdict);
    verdict
}
