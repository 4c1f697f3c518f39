//! The lints: each judges facts against rules and pushes findings. They see
//! facts, verdicts and rules, do no I/O and print nothing.
//!
//! A new lint is one file here, one line in [`LINTS`], one case folder.

use jiff::civil::Date;

use crate::artifact::{Artifact, Format, Libc, ReadError, Role};
use crate::emulate::Trial;
use crate::finding::{Finding, Level, Place};
use crate::judge::{NamedPlatform, UnusableCpu, Usage};
use crate::link::Completeness;
use crate::loader::Verdict;
use crate::policy::{Name, Policy, Rules};
use crate::text::is_unsafe;

mod allowance_unused;
mod archive_incomplete;
mod archive_undecidable;
mod artifact_stale;
mod child_not_started;
mod cpu_model_unusable;
pub mod cpu_too_new;
mod cpu_undecidable;
pub mod dlopen_dependency;
mod exception_expired;
mod executable_stack;
mod format_not_examined;
mod illegal_instruction;
mod interpreter_missing;
mod interpreter_unexpected;
mod killed_by_signal;
mod libc_mismatch;
mod library_missing;
mod library_not_allowed;
mod library_not_found;
mod library_renamed;
mod loader_missing;
mod no_rule_applies;
mod not_dynamic;
mod not_static;
mod on_platform;
mod package_needed;
pub mod page_size_too_small;
mod platform_end_of_life;
mod platform_undecided;
mod program_failed;
mod relocation_refused;
mod relr_without_marker;
mod root_is_sysroot;
mod run_path_leaks;
mod run_path_present;
mod start_refused;
mod static_glibc_loads_nss;
mod symbol_missing;
mod symbol_not_found;
mod symbol_undecidable;
mod symbol_undefined;
mod test_failed;
mod text_relocations;
mod timed_out;
mod undefs_allowed;
mod unreadable_artifact;
mod verdict_mismatch;
mod version_missing;
mod version_not_found;
mod version_too_new;
mod version_undecidable;
mod wrong_architecture;

/// Every lint, by name.
pub static LINTS: &[&Lint] = &[
    &allowance_unused::LINT,
    &archive_incomplete::LINT,
    &archive_undecidable::LINT,
    &artifact_stale::LINT,
    &child_not_started::LINT,
    &cpu_model_unusable::LINT,
    &cpu_too_new::LINT,
    &cpu_undecidable::LINT,
    &dlopen_dependency::LINT,
    &exception_expired::LINT,
    &executable_stack::LINT,
    &format_not_examined::LINT,
    &illegal_instruction::LINT,
    &interpreter_missing::LINT,
    &interpreter_unexpected::LINT,
    &killed_by_signal::LINT,
    &libc_mismatch::LINT,
    &library_missing::LINT,
    &library_not_allowed::LINT,
    &library_not_found::LINT,
    &library_renamed::LINT,
    &loader_missing::LINT,
    &no_rule_applies::LINT,
    &not_dynamic::LINT,
    &not_static::LINT,
    &package_needed::LINT,
    &page_size_too_small::LINT,
    &platform_end_of_life::LINT,
    &platform_undecided::LINT,
    &program_failed::LINT,
    &relocation_refused::LINT,
    &relr_without_marker::LINT,
    &root_is_sysroot::LINT,
    &run_path_leaks::LINT,
    &run_path_present::LINT,
    &start_refused::LINT,
    &static_glibc_loads_nss::LINT,
    &symbol_missing::LINT,
    &symbol_not_found::LINT,
    &symbol_undecidable::LINT,
    &symbol_undefined::LINT,
    &test_failed::LINT,
    &text_relocations::LINT,
    &timed_out::LINT,
    &undefs_allowed::LINT,
    &unreadable_artifact::LINT,
    &verdict_mismatch::LINT,
    &version_missing::LINT,
    &version_not_found::LINT,
    &version_too_new::LINT,
    &version_undecidable::LINT,
    &wrong_architecture::LINT,
];

#[derive(Debug)]
pub struct Lint {
    pub name: &'static str,
    pub default: Level,
    /// Its findings say that something could not be decided.
    pub undecided: bool,
    /// Whether it enforces a rule of the policy, as opposed to what holds
    /// without one.
    pub enforces_rule: bool,
    /// What it finds, in one line.
    pub summary: &'static str,
    /// The page that `explain` shows, in Markdown.
    pub page: &'static str,
    pub check: Check,
}

/// What a lint looks at.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// One artifact for one triple.
    Artifact(fn(&Subject<'_>, &mut Sink<'_>) -> Applies),
    /// The whole run, after every artifact.
    Run(fn(&Run<'_>, &mut Sink<'_>)),
    /// One program that `cargo compat test` ran.
    Trial(fn(&Trial, &mut Sink<'_>)),
    /// All that it ran.
    Trials(fn(&[Trial], &mut Sink<'_>)),
    /// A CPU that could not be emulated.
    UnusableCpu(fn(&UnusableCpu, &mut Sink<'_>)),
}

impl Check {
    /// Whether `cargo compat test` finds it, and not `check`.
    pub fn is_of_test(self) -> bool {
        matches!(self, Self::Trial(_) | Self::Trials(_) | Self::UnusableCpu(_))
    }
}

/// Whether a lint had anything to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    Yes,
    No,
}

pub fn find(name: &str) -> Option<&'static Lint> {
    LINTS.iter().copied().find(|lint| lint.name == name)
}

/// What reading a file gave.
#[derive(Debug)]
pub enum Reading {
    Facts(Box<Artifact>),
    /// An object file or archive, held against what a link would find.
    Linkable(Box<Completeness>),
    Other(Format),
    Unreadable(ReadError),
    /// A reason other than its bytes, in words.
    Ambiguous {
        message: String,
        help: String,
    },
}

/// An option by which the linker leaves references undefined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndefsOption {
    /// `None`: what was told is not known.
    pub option: Option<String>,
    /// Who told the linker, in words.
    pub by: String,
}

/// Why a file that was not built just now may not be what would be built.
#[derive(Debug, Clone)]
pub enum Stale {
    /// Sources that are newer than the file.
    Sources(Vec<String>),
    /// Without its `.d` file nobody knows its sources.
    Unknown { dep_info: String },
}

/// One artifact as the lints see it, on one of its triples.
#[derive(Debug)]
pub struct Subject<'a> {
    pub name: &'a Name,
    pub place: &'a Place,
    pub reading: &'a Reading,
    /// What cargo says it is for; the file's own word otherwise.
    pub role: Option<Role>,
    pub from_cargo: bool,
    pub stale: Option<&'a Stale>,
    /// What rustc was told by `-C`, as far as it concerns the CPU.
    pub compiler_flags: &'a [String],
    /// What lets its linker leave references undefined.
    pub undefs: &'a [UndefsOption],
    pub triple: Option<&'a str>,
    /// It is not one of several that the file may be for.
    pub sure_of_triple: bool,
    /// What the static loader says, with the libraries at hand.
    pub verdict: Option<&'a Verdict>,
    /// What the platforms' loaders make of it.
    pub platforms: &'a [NamedPlatform],
    pub rules: &'a Rules,
}

impl<'a> Subject<'a> {
    pub fn facts(&self) -> Option<&'a Artifact> {
        match self.reading {
            Reading::Facts(facts) => Some(facts),
            _ => None,
        }
    }

    pub fn linkable(&self) -> Option<&'a Completeness> {
        match self.reading {
            Reading::Linkable(done) => Some(done),
            _ => None,
        }
    }

    pub fn is_executable(&self, facts: &Artifact) -> bool {
        self.role.unwrap_or(facts.role) == Role::Executable
    }

    /// Fact 14: nothing of it is left to a loader.
    pub fn is_static(&self, facts: &Artifact) -> bool {
        facts.interpreter.is_none() && facts.needed.is_empty()
    }

    /// `cfg(target_os)` and `cfg(target_env)` of the triple.
    pub fn target(&self) -> Option<&'static cfg_expr::targets::TargetInfo> {
        cfg_expr::targets::get_builtin_target_by_triple(self.triple?)
    }

    /// The libc that the triple promises.
    pub fn promised_libc(&self) -> Option<Libc> {
        let target = self.target()?;
        if target.os.as_ref().is_some_and(|os| os.as_str() == "android") {
            return Some(Libc::Android);
        }
        match target.env.as_ref()?.as_str() {
            "gnu" => Some(Libc::Glibc),
            "musl" => Some(Libc::Musl),
            _ => None,
        }
    }
}

/// The run as the lints see it, when every artifact was judged.
#[derive(Debug)]
pub struct Run<'a> {
    pub policy: &'a Policy,
    pub usage: &'a Usage,
    pub today: Date,
    /// Whether all that the policy speaks of was there to be judged: no part
    /// of the project was selected, and no file named.
    pub whole: bool,
}

/// Where findings go; it knows the lint and its level.
#[derive(Debug)]
pub struct Sink<'a> {
    lint: &'static Lint,
    level: Level,
    place: Option<&'a Place>,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Sink<'a> {
    pub fn new(
        lint: &'static Lint,
        level: Level,
        place: Option<&'a Place>,
        findings: &'a mut Vec<Finding>,
    ) -> Self {
        Self { lint, level, place, findings }
    }

    /// Whether a decided finding is taken: to word one costs time, many of them much.
    pub fn is_heard(&self) -> bool {
        self.level != Level::Allow
    }

    pub fn push(&mut self, mut finding: Finding) {
        finding.lint = self.lint.name;
        finding.undecided |= self.lint.undecided;
        if !finding.undecided {
            finding.level = finding.level.min(self.level);
        }
        if finding.level == Level::Allow {
            return;
        }
        finding.place = finding.place.or_else(|| self.place.cloned());
        self.findings.push(finding);
    }
}

/// Where a program ran.
fn in_root(trial: &Trial) -> String {
    let around = &trial.surroundings;
    if around.is_configured {
        return format!("it ran {}", around.way);
    }
    let folder = match &around.folder {
        Some(folder) if around.root != crate::text::path(folder) => {
            format!(" ({})", crate::text::path(folder))
        }
        _ => String::new(),
    };
    let emulator = around.emulator.as_ref().map(|name| format!(", by {name}")).unwrap_or_default();
    let without = match around.cpu_without {
        0 => String::new(),
        number => format!(" without {number} features that it cannot emulate"),
    };
    let cpu = around.cpu.as_ref().map(|cpu| format!(" as {cpu}{without}")).unwrap_or_default();
    format!("it ran in the root `{}`{folder} {}{emulator}{cpu}", around.root, around.way)
}

/// With the policy's line that names the root.
fn of_root(finding: Finding, trial: &Trial) -> Finding {
    match &trial.surroundings.root_span {
        Some(span) => finding.forbids(span, "it must run in this root"),
        None => finding,
    }
}

/// With the last lines that the program wrote.
fn last_words(mut finding: Finding, trial: &Trial) -> Finding {
    if !trial.said.is_empty() {
        finding.notes.push(format!("it wrote last: {}", trial.said.join(" | ")));
    }
    finding
}

/// A path as a shell takes it.
fn pasted_path(path: &std::path::Path) -> String {
    shell_words::quote(&crate::text::path(path)).into_owned()
}

/// A TOML string on one line, with every character that is unsafe in a
/// terminal as TOML's own escape: it can be pasted, and means the same. None of
/// them needs more than four digits.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if is_unsafe(character) => quoted += &format!("\\u{:04X}", u32::from(character)),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

/// An exception to paste.
fn exception(lint: &str, subject: &str) -> String {
    let subject = toml_string(subject);
    format!("[[exception]]\nlint = \"{lint}\"\nsubject = {subject}\nreason = \"…\"")
}

/// How to have the linker told something, as this file was built.
fn linker_option(subject: &Subject<'_>, option: &str) -> String {
    match subject.triple.filter(|_| subject.from_cargo) {
        Some(triple) => {
            format!("in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"link-arg={option}\"]")
        }
        None => format!("by this option of the compiler:\n{option}"),
    }
}
