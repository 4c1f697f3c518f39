//! One line a finding, for editors and `grep`.

use std::io::{self, Write};
use std::path::Path;

use super::{Check, shown_path, shown_place};
use crate::finding::{Finding, Level};
use crate::policy::Policy;
use crate::text::{count, escape};

pub fn check(out: &mut impl Write, report: &Check<'_>, quiet: bool, base: &Path) -> io::Result<()> {
    let Some(policy) = report.policy else { return Ok(()) };
    for finding in report.findings() {
        line(out, finding, policy, base)?;
    }
    let counts = report.counts();
    if report.judgement.is_some() && !(quiet && report.happened.code() == 0) {
        writeln!(
            out,
            "{} judged: {}, {} undecided, {}",
            count(report.examined().count(), "artifact"),
            count(counts.errors, "error"),
            counts.undecided,
            count(counts.warnings, "warning"),
        )?;
    }
    Ok(())
}

fn line(out: &mut impl Write, finding: &Finding, policy: &Policy, base: &Path) -> io::Result<()> {
    let at = finding.forbids.as_ref().map(|forbids| policy.source.position(forbids.span.start));
    let path = shown_path(&policy.source.path, base);
    let level = if finding.level == Level::Warn { "warning" } else { "error" };
    // Where an editor should jump to: the policy's line, else the file.
    match (at, &finding.place) {
        (Some((line, column)), _) => write!(out, "{path}:{line}:{column}: ")?,
        (None, Some(place)) => write!(out, "{}: ", shown_path(&place.path, base))?,
        (None, None) => write!(out, "{path}: ")?,
    }
    write!(out, "{level}[{}]: {}", finding.lint, escape(&finding.message))?;
    match &finding.place {
        Some(place) if at.is_some() => writeln!(out, " (in {})", shown_place(place, base)),
        Some(place) if !place.triples.is_empty() => writeln!(out, " ({})", escape(&place.triples.join(", "))),
        _ => writeln!(out),
    }
}
