//! What the loader would say.

use std::sync::Arc;

use super::{Names, Object};
use crate::artifact::{Refusal, When};

/// A file that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Where it was found.
    pub path: Arc<str>,
    /// The names by which needs refer to it.
    pub names: Names,
    pub object: Arc<Object>,
    /// The file that needed it first, by its place in the list.
    pub needed_by: Option<usize>,
    /// It is the file that is judged, or comes with it; the system has the rest.
    pub given: bool,
}

/// Why the program does not run, or not to its end. `needed_by` is the path of
/// the file that asks; the file that is judged is first in `Verdict::loaded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Nothing is at `PT_INTERP`, or nothing that the kernel can start.
    Interpreter {
        path: String,
        /// `None`: there is no such file.
        why: Option<String>,
    },
    /// A needed library is not there, or what is there stops the loader.
    Library {
        name: String,
        needed_by: String,
        /// Of a file that is there: its path, and what is wrong with it.
        found: Option<(String, String)>,
    },
    /// The library has version definitions and not this one.
    Version { file: String, path: String, version: String, needed_by: String },
    /// A version of a file that was not loaded is asked for: the loader stops
    /// on an assertion (fact 40).
    VersionOfNothing { file: String, version: String, needed_by: String },
    /// Nothing that is loaded defines the symbol.
    Symbol {
        name: String,
        version: Option<String>,
        /// The library that `DT_VERNEED` names for the version.
        file: Option<String>,
        needed_by: String,
        when: When,
        /// Another problem that explains this one.
        because: Option<Because>,
    },
    /// The symbol is found in the very library whose version is asked for, but
    /// that one has no version table: the loader stops on an assertion (fact 37).
    NoVersionTable { file: String, path: String, needed_by: String, symbol: String },
    /// Packed relative relocations, and a loader that does not know them (fact 39).
    PackedRelocations { file: String },
    /// The loader does not apply a relocation.
    Relocation {
        file: String,
        /// As `RefusedRelocation::shown` tells it.
        relocation: String,
        symbol: Option<String>,
        why: Refusal,
    },
}

impl Problem {
    /// Whether it stops the program before its first instruction.
    pub fn at(&self) -> When {
        match self {
            Self::Symbol { when, .. } => *when,
            _ => When::Start,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The version node is missing, and with it its symbols.
    Version,
    /// A library is missing, which may have had it.
    Library,
}

/// What the loader says and goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// "no version information available" (fact 37).
    NoVersionInformation { file: String, path: String, needed_by: String },
    /// "weak version … not found" (fact 9).
    WeakVersion { file: String, version: String, needed_by: String },
}

/// What could not be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecided {
    Interpreter {
        path: String,
        why: String,
    },
    Library {
        name: String,
        needed_by: String,
        why: String,
    },
    Version {
        file: String,
        version: String,
        needed_by: String,
        why: String,
    },
    Symbol {
        name: String,
        version: Option<String>,
        file: Option<String>,
        needed_by: String,
        when: When,
    },
    /// The references of a file are not known.
    References {
        file: String,
        why: String,
    },
}

#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The loader's scope, in its order; the file that is judged is the first.
    pub loaded: Vec<Loaded>,
    pub problems: Vec<Problem>,
    pub undecided: Vec<Undecided>,
    pub warnings: Vec<Warning>,
}

impl Verdict {
    /// Nothing is wrong, and nothing undecided.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.undecided.is_empty()
    }

    /// Names of libraries that are missing, or may be.
    pub(super) fn lacking(&self) -> impl Iterator<Item = &String> {
        let missing = self.problems.iter().filter_map(|problem| match problem {
            Problem::Library { name, .. } => Some(name),
            _ => None,
        });
        let unsure = self.undecided.iter().filter_map(|one| match one {
            Undecided::Library { name, .. } => Some(name),
            _ => None,
        });
        missing.chain(unsure)
    }
}
