//! One line a finding, for editors and `grep`.

use std::io::{self, Write};

use super::model::{Finding, Report};
use super::summary;
use crate::finding::Level;
use crate::text::escape;

pub fn check(out: &mut impl Write, report: &Report, quiet: bool) -> io::Result<()> {
    for finding in &report.findings {
        line(out, report, finding)?;
    }
    if report.complete && !(quiet && report.happened.code() == 0) {
        for line in summary::lines(report) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

pub fn line(out: &mut impl Write, report: &Report, finding: &Finding) -> io::Result<()> {
    let file = report.policy_shown();
    let level = if finding.level == Level::Warn { "warning" } else { "error" };
    // Where an editor should jump to: the policy's line, else the file.
    match (&finding.policy, &finding.path) {
        (Some(forbids), _) => write!(out, "{file}:{}:{}: ", forbids.at.line, forbids.at.column)?,
        (None, Some(path)) => write!(out, "{}: ", report.shown(path))?,
        (None, None) if file.is_empty() => {}
        (None, None) => write!(out, "{file}: ")?,
    }
    write!(out, "{level}[{}]: {}", finding.lint, escape(&finding.message))?;
    // Of these the first note says why.
    if let Some(why) = finding.notes.first().filter(|_| finding.lint == "unreadable_artifact") {
        write!(out, ": {}", escape(why))?;
    }
    match report.place_text(finding) {
        Some(place) if finding.policy.is_some() => writeln!(out, " (in {place})"),
        Some(_) if !finding.triples.is_empty() => writeln!(out, " ({})", escape(&finding.triples.join(", "))),
        _ => writeln!(out),
    }
}
