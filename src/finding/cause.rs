//! Causes: who brought in what a finding is about.

use serde::{Deserialize, Serialize};

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sureness {
    /// Read in the linked file, in its objects, or in what cargo said.
    Exact,
    /// The only one that fits, or known by its name alone.
    Likely,
    /// One of several that fit.
    Candidate,
}

/// What kind of thing needs it. Each has its own wording and its own advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A package: the user's own or a dependency.
    Package,
    /// Rust's standard library.
    Std,
    /// The C start files: `Scrt1.o`, `crti.o`, `crtbeginS.o`.
    StartFiles,
    /// What the C compiler and the C library link in on their own:
    /// `libgcc.a`, `libc_nonshared.a`.
    Toolchain,
    /// The linker: a version need that no symbol carries.
    Linker,
    /// Nothing: a symbol that no relocation uses.
    Dead,
    /// Some code that could not be attributed.
    Unknown,
}

/// A package and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PackageName {
    pub name: String,
    pub version: String,
}

/// One who needs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cause {
    pub origin: Origin,
    pub sure: Sureness,
    /// The crate, as Rust source says it.
    pub crate_name: Option<String>,
    /// The package that the crate is of.
    pub package: Option<PackageName>,
    /// From the user's package to that one.
    pub path: Vec<PackageName>,
    /// The object file, where it is not rustc's: a C object inside an rlib,
    /// or a start file.
    pub object: Option<String>,
    /// The functions that refer to it, demangled.
    pub functions: Vec<String>,
    /// The shortest chain of calls from the user's own code to one of these.
    pub chain: Vec<String>,
    /// Some step of the chain is by a table of functions, such as a vtable:
    /// weaker than a direct call.
    pub chain_by_table: bool,
    /// Where in the source it is referred to, where debug information was
    /// asked; as the compiler was given the files' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<SourceLine>,
}

/// A line of a source file, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceLine {
    pub file: String,
    pub line: u32,
}

impl Cause {
    pub fn new(origin: Origin, sure: Sureness) -> Self {
        Self {
            origin,
            sure,
            crate_name: None,
            package: None,
            path: Vec::new(),
            object: None,
            functions: Vec::new(),
            chain: Vec::new(),
            chain_by_table: false,
            lines: Vec::new(),
        }
    }

    /// Of a library: a build script named it. That comes without a function.
    pub fn is_by_script(&self) -> bool {
        (self.origin, self.sure) == (Origin::Package, Sureness::Exact) && self.functions.is_empty()
    }
}

/// What was brought in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum What {
    Symbol {
        name: String,
        /// Absent: the reference is not versioned.
        version: Option<String>,
        /// The library that the version is needed of.
        file: Option<String>,
        weak: bool,
    },
    /// A version that no symbol carries.
    Version {
        version: String,
        file: String,
    },
    Library {
        name: String,
    },
}

/// Who brought in one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Answer {
    pub what: What,
    pub causes: Vec<Cause>,
}
