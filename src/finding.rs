//! Findings: what a lint has to say, typed.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub mod cause;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Allow,
    Warn,
    Deny,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::Allow, Self::Warn, Self::Deny];

    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The artifact that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As the policy may call it.
    pub name: String,
    pub path: PathBuf,
    /// The target triples whose rules were applied; several where the file
    /// leaves open which it is.
    pub triples: Vec<String>,
}

/// The policy's words that forbid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forbids {
    pub span: Range<usize>,
    /// What to say there.
    pub label: String,
}

/// One thing inside a finding, for machines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Item {
    Version {
        version: String,
        file: String,
        /// `VER_FLG_WEAK`: the loader only warns.
        weak: bool,
        /// What carries the version. Empty: only the version table asks for
        /// it. Absent: the symbols could not be read.
        symbols: Option<Vec<SymbolUse>>,
    },
    Library {
        name: String,
    },
    /// Several that will do are told with ` | ` between them.
    Package {
        name: String,
    },
    Interpreter {
        path: String,
        expected: Vec<String>,
    },
    RunPath {
        tag: String,
        path: String,
    },
    Cpu {
        cpu: String,
        /// What says so.
        seen: String,
    },
    Source {
        path: String,
    },
    /// A reference of an object file or archive that no link would find.
    Reference {
        name: String,
        referrers: Vec<ReferredBy>,
        /// A name that exists and differs little.
        nearest: Option<String>,
        /// A library at hand that has it, and that nobody named.
        library: Option<String>,
    },
    /// A member whose symbols cannot be read.
    Unread {
        member: String,
        why: String,
    },
    /// An option for the linker.
    LinkOption {
        /// Absent: what the linker is told is not known.
        option: Option<String>,
        by: String,
    },
    /// A reference that nothing defines, as far as is known.
    Symbol {
        name: String,
        /// The version node that it asks for.
        version: Option<String>,
        /// The library that the version is needed of.
        file: Option<String>,
        /// When the loader looks for it; absent where it never does, or where that is not told.
        at: Option<BoundAt>,
    },
    /// A test of libtest.
    Test {
        name: String,
    },
    /// An instruction that the CPU does not know.
    Instruction {
        address: u64,
        object: Option<String>,
        function: Option<String>,
        /// In hexadecimal, as they lie in memory.
        bytes: String,
    },
    /// What a program ended by: a signal's number, an exit code.
    Ended {
        signal: Option<i32>,
        code: Option<i32>,
    },
    /// What the static verdict and the loader say.
    Verdicts {
        subject: String,
        predicted: String,
        loader: String,
    },
}

/// When the loader looks a symbol up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BoundAt {
    /// Before the first instruction.
    Start,
    /// When it is first called.
    Call,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SymbolUse {
    pub name: String,
    pub weak: bool,
    /// Defined here, by a copy relocation.
    pub copied: bool,
}

/// Where an object refers to a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReferredBy {
    /// Of an archive.
    pub member: Option<String>,
    pub section: String,
    /// The function, or object, that the reference is in.
    pub function: Option<String>,
}

/// One artifact × lint × cause.
#[derive(Debug, Clone)]
pub struct Finding {
    pub lint: &'static str,
    pub level: Level,
    /// Not "bad" but "could not be decided".
    pub undecided: bool,
    pub place: Option<Place>,
    /// The cause, by which exceptions name it.
    pub subject: Option<String>,
    /// The platform that it is about, as the policy names it.
    pub platform: Option<String>,
    pub message: String,
    pub forbids: Option<Forbids>,
    pub items: Vec<Item>,
    pub notes: Vec<String>,
    /// Who brought in what is inside, as far as that was looked for.
    pub causes: Vec<cause::Answer>,
    /// What to do; what can be pasted stands on lines of its own.
    pub help: Option<String>,
}

impl Finding {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            lint: "",
            level: Level::Deny,
            undecided: false,
            place: None,
            subject: None,
            platform: None,
            message: message.into(),
            forbids: None,
            items: Vec::new(),
            notes: Vec::new(),
            causes: Vec::new(),
            help: None,
        }
    }

    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub fn platform(mut self, name: &str) -> Self {
        self.platform = Some(name.to_owned());
        self
    }

    pub fn forbids(mut self, span: &Range<usize>, label: impl Into<String>) -> Self {
        self.forbids = Some(Forbids { span: span.clone(), label: label.into() });
        self
    }

    pub fn item(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// At most a warning, whatever the lint's level: the loader only warns.
    pub fn at_most_warn(mut self) -> Self {
        self.level = Level::Warn;
        self
    }

    /// Lint, artifact, triples, subject: by this a finding is known again.
    pub fn key(&self) -> (&'static str, Option<&Place>, Option<&str>) {
        (self.lint, self.place.as_ref(), self.subject.as_deref())
    }
}
