//! Rendering. Only here is anything printed.

mod human;
mod json;
mod pages;
mod short;
mod show;
mod stream;
mod summary;

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::artifact::Format;
use crate::exit::Happened;
use crate::finding::{Finding, Level, Place};
use crate::judge::{Input, Judgement};
use crate::lints::Reading;
use crate::policy::{Policy, Problem, Source};

#[cfg(test)]
pub use self::json::Object as CheckObject;
pub use self::pages::{lint_list, lint_page};
#[cfg(test)]
pub use self::show::Object as ShowObject;
pub use self::show::{Shown, show};
pub use self::stream::Streams;

/// How results are written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFormat {
    Human,
    Short,
    Json,
}

/// Something that kept the program from judging, in words.
#[derive(Debug, Clone)]
pub struct Failure {
    pub message: String,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), notes: Vec::new(), help: None }
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What cargo was asked for, and what it did.
#[derive(Debug, Clone)]
pub struct BuildInfo {
    pub profile: String,
    pub targets: Vec<String>,
    /// Packages that cargo had to compile; `None` with `--no-build`.
    pub compiled: Option<usize>,
}

/// Files that were passed over, by kind.
pub type PassedOver = BTreeMap<&'static str, usize>;

/// All that `check` has to say.
#[derive(Debug, Default)]
pub struct Check<'a> {
    pub policy: Option<&'a Policy>,
    /// The policy's text, where it could not be read as a policy.
    pub wrong_policy: Option<(&'a Source, &'a [Problem])>,
    pub build: Option<&'a BuildInfo>,
    pub inputs: &'a [Input],
    pub judgement: Option<&'a Judgement>,
    pub failures: &'a [Failure],
    /// Of the release set, what the selection left out.
    pub not_selected: &'a [String],
    pub passed_over: Option<&'a PassedOver>,
    pub happened: Happened,
}

impl Check<'_> {
    fn findings(&self) -> &[Finding] {
        self.judgement.map_or(&[], |judgement| &judgement.findings)
    }

    /// Those that were examined, or should have been.
    fn examined(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| !matches!(input.reading, Reading::Other(_)))
    }

    /// Files whose format is not examined.
    fn not_examined(&self) -> impl Iterator<Item = (&Input, Format)> {
        self.inputs.iter().filter_map(|input| match input.reading {
            Reading::Other(format) => Some((input, format)),
            _ => None,
        })
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for finding in self.findings() {
            match (finding.undecided, finding.level) {
                (true, _) => counts.undecided += 1,
                (false, Level::Deny) => counts.errors += 1,
                (false, _) => counts.warnings += 1,
            }
        }
        counts
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    errors: usize,
    warnings: usize,
    undecided: usize,
}

/// A file and what it is for.
fn shown_place(place: &Place) -> String {
    let path = crate::text::path(&place.path);
    match place.triples.as_slice() {
        [] => path,
        // cargo's folder says it already.
        [triple] if path.split('/').any(|part| part == triple) => path,
        triples => format!("{path} for {}", crate::text::some_of(triples, 2)),
    }
}

/// Writes a check's report.
pub fn check(
    report: &Check<'_>,
    format: MessageFormat,
    quiet: bool,
    streams: &Streams,
) -> std::io::Result<()> {
    let mut out = streams.out();
    let mut err = streams.err();
    if let Some((source, problems)) = report.wrong_policy {
        human::problems(&mut err, source, problems)?;
    }
    match format {
        MessageFormat::Human => human::check(&mut out, report, quiet)?,
        MessageFormat::Short => short::check(&mut out, report, quiet)?,
        MessageFormat::Json => json::check(&mut out, report)?,
    }
    out.flush()?;
    for failure in report.failures {
        human::failure(&mut err, failure)?;
    }
    err.flush()
}

/// Writes a failure outside of any report.
pub fn failure(failure: &Failure, streams: &Streams) -> std::io::Result<()> {
    human::failure(&mut streams.err(), failure)
}

/// A line of progress, as cargo writes its own.
pub fn status(verb: &str, message: &str, streams: &Streams) -> std::io::Result<()> {
    human::status(&mut streams.err(), verb, message)
}

/// Prints a text that is ready: help, a version, a usage error.
pub fn text(text: &str, is_error: bool) -> std::io::Result<()> {
    let streams = Streams::new(None);
    if is_error {
        streams.err().write_all(text.as_bytes())
    } else {
        let mut out = streams.out();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}
