//! Rendering. Only here is anything printed.

mod collect;
mod human;
mod json;
pub mod model;
mod pages;
mod short;
mod show;
mod stream;
mod summary;

use std::io::Write as _;

use serde::{Deserialize, Serialize};

pub use self::model::Report;
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
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BuildInfo {
    pub profile: String,
    pub targets: Vec<String>,
    /// Packages that cargo had to compile; `None` with `--no-build`.
    pub compiled: Option<usize>,
}

/// Files that were passed over, by kind.
pub type PassedOver = std::collections::BTreeMap<&'static str, usize>;

/// Writes a check's report.
pub fn check(report: &Report, format: MessageFormat, quiet: bool, streams: &Streams) -> std::io::Result<()> {
    let mut out = streams.out();
    let mut err = streams.err();
    human::problems(&mut err, report)?;
    match format {
        MessageFormat::Human => human::check(&mut out, report, quiet)?,
        MessageFormat::Short => short::check(&mut out, report, quiet)?,
        MessageFormat::Json => json::check(&mut out, report)?,
    }
    out.flush()?;
    for failure in &report.failures {
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
