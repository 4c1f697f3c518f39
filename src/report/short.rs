//! One line a finding, for editors and `grep`.

use std::io::{self, Write};

use super::{Check, shown_place, summary};
use crate::finding::{Finding, Level};
use crate::policy::Policy;
use crate::text::{escape, path};

pub fn check(out: &mut impl Write, report: &Check<'_>, quiet: bool) -> io::Result<()> {
    let Some(policy) = report.policy else { return Ok(()) };
    for finding in report.findings() {
        line(out, finding, policy)?;
    }
    if report.judgement.is_some() && !(quiet && report.happened.code() == 0) {
        for line in summary::lines(report) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, finding: &Finding, policy: &Policy) -> io::Result<()> {
    let at = finding.forbids.as_ref().map(|forbids| policy.source.position(forbids.span.start));
    let file = path(&policy.source.path);
    let level = if finding.level == Level::Warn { "warning" } else { "error" };
    // Where an editor should jump to: the policy's line, else the file.
    match (at, &finding.place) {
        (Some((line, column)), _) => write!(out, "{file}:{line}:{column}: ")?,
        (None, Some(place)) => write!(out, "{}: ", path(&place.path))?,
        (None, None) => write!(out, "{file}: ")?,
    }
    write!(out, "{level}[{}]: {}", finding.lint, escape(&finding.message))?;
    // Of these the first note says why.
    if let Some(why) = finding.notes.first().filter(|_| finding.lint == "unreadable_artifact") {
        write!(out, ": {}", escape(why))?;
    }
    match &finding.place {
        Some(place) if at.is_some() => writeln!(out, " (in {})", shown_place(place)),
        Some(place) if !place.triples.is_empty() => writeln!(out, " ({})", escape(&place.triples.join(", "))),
        _ => writeln!(out),
    }
}
