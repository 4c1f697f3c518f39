//! Rendering. Only here is anything printed.

mod checklist;
mod collect;
mod diff;
mod github;
mod html;
mod human;
mod json;
mod markdown;
pub mod merge;
pub mod model;
mod pages;
mod plain;
mod platforms;
mod sarif;
mod short;
mod show;
mod since;
mod stream;
mod summary;
mod verdicts;
pub mod why;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::beside::Beside;
use crate::exit::NOT_JUDGED;
use crate::text;

#[cfg(test)]
pub use self::diff::Object as DiffObject;
pub use self::diff::{Diff, diff};
pub use self::model::{Report, SCHEMA_VERSION};
pub use self::pages::{lint_list, lint_page};
#[cfg(test)]
pub use self::platforms::Object as PlatformsObject;
pub use self::platforms::{
    Compared, Imported, platform_diff, platform_imported, platform_list, platform_page,
};
#[cfg(test)]
pub use self::show::Object as ShowObject;
pub use self::show::{Shown, show};
pub use self::since::Since;
pub use self::stream::Streams;
#[cfg(test)]
pub use self::verdicts::Line as ShowLine;
pub use self::verdicts::{show_other, show_platforms};

/// How results are written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFormat {
    Human,
    Short,
    Json,
    Sarif,
    Github,
    Markdown,
    Html,
}

impl MessageFormat {
    pub const ALL: [Self; 7] =
        [Self::Human, Self::Short, Self::Json, Self::Sarif, Self::Github, Self::Markdown, Self::Html];
}

/// What is to be written of a check, and where.
#[derive(Debug)]
pub struct Outputs {
    /// For standard output.
    pub format: MessageFormat,
    pub quiet: bool,
    pub files: Vec<ReportFile>,
}

/// A report that goes to a file.
#[derive(Debug)]
pub struct ReportFile {
    format: MessageFormat,
    path: PathBuf,
    file: Beside,
}

impl ReportFile {
    /// Makes sure that the file can be written, before anything is built.
    pub fn open(format: MessageFormat, path: PathBuf) -> Result<Self, Failure> {
        match Beside::open(&path) {
            Ok(file) => Ok(Self { format, path, file }),
            Err(error) => Err(not_written(&path, &error)),
        }
    }

    pub fn format(&self) -> MessageFormat {
        self.format
    }

    fn write(self, report: &Report) -> Result<(), Failure> {
        let mut text = Vec::new();
        // Without escape sequences: a file is no terminal.
        let written = render(&mut anstream::StripStream::new(&mut text), report, self.format, false, false)
            .and_then(|()| self.file.write(&text));
        written.map_err(|error| not_written(&self.path, &error))
    }
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("the report {} cannot be written", text::path(path))).note(error.to_string())
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

/// Writes a report in one format.
pub fn render(
    out: &mut impl Write,
    report: &Report,
    format: MessageFormat,
    quiet: bool,
    colored: bool,
) -> std::io::Result<()> {
    match format {
        MessageFormat::Human => human::check(out, report, quiet, colored),
        MessageFormat::Short => short::check(out, report, quiet),
        MessageFormat::Json => json::check(out, report),
        MessageFormat::Sarif => sarif::check(out, report),
        MessageFormat::Github => github::check(out, report),
        MessageFormat::Markdown => markdown::check(out, report, usize::MAX),
        MessageFormat::Html => html::check(out, report),
    }
}

/// Standard output writes each line by itself.
const BUFFER: usize = 32 << 10;

/// Writes a check's report wherever it is wanted, and answers with the exit code: a report that was asked for and
/// could not be written is no pass.
pub fn check(report: &Report, outputs: Outputs, streams: &Streams) -> std::io::Result<u8> {
    let mut err = streams.err();
    human::problems(&mut err, report)?;
    let mut failures = Vec::new();
    let github = outputs.format == MessageFormat::Github
        || outputs.files.iter().any(|file| file.format == MessageFormat::Github);
    for file in outputs.files {
        failures.extend(file.write(report).err());
    }
    let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|_| github);
    if let Err(error) = github::step_summary(report, summary.as_deref()) {
        failures.push(Failure::new("the summary of the step cannot be written").note(error.to_string()));
    }
    let colored = streams.out_is_colored();
    let out: Box<dyn Write> = match outputs.format {
        MessageFormat::Human if !colored => Box::new(streams.plain_out()),
        _ => Box::new(streams.out()),
    };
    let mut out = std::io::BufWriter::with_capacity(BUFFER, out);
    render(&mut out, report, outputs.format, outputs.quiet, colored)?;
    out.flush()?;
    drop(out);
    for failure in report.failures.iter().chain(&failures) {
        human::failure(&mut err, failure)?;
    }
    err.flush()?;
    Ok(match report.exit_code {
        0 if !failures.is_empty() => NOT_JUDGED,
        code => code,
    })
}

/// Writes a failure outside of any report.
pub fn failure(failure: &Failure, streams: &Streams) -> std::io::Result<()> {
    human::failure(&mut streams.err(), failure)
}

/// A line of progress, as cargo writes its own.
pub fn status(verb: &str, message: &str, streams: &Streams) -> std::io::Result<()> {
    human::status(&mut streams.err(), verb, message)
}

/// A line that a program wrote, among the progress: escaped, so that it cannot
/// act on a terminal.
pub fn passed_on(line: &str, streams: &Streams) -> std::io::Result<()> {
    let safe: Vec<String> = line.split('\t').map(text::escape).collect();
    writeln!(streams.err(), "{}", safe.join("\t"))
}

/// Standard output, for a program that was run in our place: not ours to word.
pub fn program_out() -> Box<dyn Write> {
    Box::new(std::io::stdout())
}

/// The same for standard error.
pub fn program_err() -> Box<dyn Write> {
    Box::new(std::io::stderr())
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
