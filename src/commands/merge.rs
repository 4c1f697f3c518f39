//! `cargo compat report merge`: one checklist, and one exit code, of many
//! machines' reports.

use std::path::{Path, PathBuf};

use super::{check::open, since};
use crate::exit::Happened;
use crate::finding::Level;
use crate::report::merge::{Saved, merge};
use crate::report::{self, Failure, MessageFormat, Outputs, Report, Streams};
use crate::text;

/// No report is as large as this, in bytes.
const LARGEST: u64 = 1 << 30;

#[derive(Debug)]
pub struct Options {
    pub files: Vec<PathBuf>,
    pub format: MessageFormat,
    pub reports: Vec<(MessageFormat, PathBuf)>,
    pub quiet: bool,
    /// Another release, to tell what changed.
    pub since: Option<PathBuf>,
}

pub fn run(options: Options, streams: &Streams) -> std::io::Result<u8> {
    let (files, mut failures) = open(&options.reports);
    let old = since::read(options.since.as_ref()).unwrap_or_else(|lost| {
        failures.extend(lost);
        None
    });
    let mut saved = Vec::new();
    for path in &options.files {
        match read(path) {
            Ok(report) => saved.push(Saved { from: text::path(path), report }),
            Err(why) => failures.push(
                Failure::new(format!("{} is no report that can be merged", text::path(path))).note(why),
            ),
        }
    }
    let none = saved.is_empty();
    let report = if none { Err(None) } else { merge(saved, failures.clone()).map_err(Some) };
    let mut report = report.unwrap_or_else(|refused| {
        let folder = std::env::current_dir().unwrap_or_default();
        let mut report = Report::new(&folder, jiff::Zoned::now().date().to_string(), Level::Deny);
        report.command = "merge".to_owned();
        report.set_happened(Happened { usage: refused.is_some(), broken: false, not_judged: true });
        report.failures = failures;
        report.failures.extend(refused);
        report
    });
    since::add(&mut report, old, true, &std::env::current_dir().unwrap_or_default());
    let outputs = Outputs { format: options.format, quiet: options.quiet, files };
    report::check(&report, outputs, streams)
}

fn read(path: &Path) -> Result<Report, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err(format!("it is {}", crate::artifact::kind_of(&metadata)));
    }
    if metadata.len() > LARGEST {
        return Err(format!("it has {} bytes; more than {LARGEST} are not read", metadata.len()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let report = Report::from_json(&text)?;
    match report.command.as_str() {
        "merge" => Err("it is merged already; merge the reports that it was made of".to_owned()),
        _ => Ok(report),
    }
}
