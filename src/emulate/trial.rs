//! One program that was run, with all that is known of it: what the lints of
//! `cargo compat test` judge.

use std::ops::Range;
use std::path::PathBuf;

use super::outcome::{Counts, Outcome};
use crate::policy::Name;

#[derive(Debug, Clone)]
pub struct Trial {
    pub name: Name,
    pub path: PathBuf,
    pub triple: String,
    /// Tests, as opposed to a program that was started itself.
    pub is_test: bool,
    pub outcome: Outcome,
    pub counts: Option<Counts>,
    pub surroundings: Surroundings,
    /// In seconds.
    pub seconds: f64,
    /// The last of what it wrote, by lines.
    pub said: Vec<String>,
    /// Why what it starts will not run, where it is so.
    pub no_children: Option<String>,
    /// Why it could write to this machine's files, where it could.
    pub written: Option<String>,
    /// Where an illegal instruction stands.
    pub fault: Option<Fault>,
    /// What the static verdict and the loader say differently.
    pub mismatches: Vec<Mismatch>,
    /// Libraries that the static verdict says are missing: the loader reports
    /// one at a time (fact 19).
    pub also_missing: Vec<String>,
    /// A command that runs it again.
    pub repeat: String,
}

/// In what a program ran.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Its libraries are the compiler's own.
    pub is_sysroot: bool,
    /// It ran by the runner of cargo's configuration.
    pub is_configured: bool,
    /// As the policy or the command line calls it.
    pub root: String,
    /// Where the policy says so.
    pub root_span: Option<Range<usize>>,
    /// Where the root lies on this machine; the empty root lies nowhere.
    pub folder: Option<PathBuf>,
    pub cpu: Option<String>,
    pub cpu_span: Option<Range<usize>>,
    /// Features of the CPU that the emulator lacks.
    pub cpu_without: usize,
    /// `QEMU 7.2.22`; none: the machine itself.
    pub emulator: Option<String>,
    /// How it was kept to the root.
    pub way: String,
}

/// An illegal instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub address: u64,
    /// The file that it stands in, as a path of the root.
    pub object: Option<String>,
    /// The function, and how far in it, in bytes.
    pub function: Option<(String, u64)>,
    pub bytes: Vec<u8>,
    /// The emulator's best CPU does not know it either.
    pub also_on_best: bool,
}

/// One point on which the static verdict and the loader differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What it is about: a library, a version, a symbol, or the whole.
    pub subject: String,
    pub predicted: String,
    pub loader: String,
}
