//! For GitHub Actions: annotations as workflow commands, and a summary of the step.
//!
//! Source: GitHub's documentation, "Workflow commands for GitHub Actions"; the limits of annotations stand in
//! `docs/problem-matchers.md` of actions/toolkit, that of a message in `ExecutionContext.cs` of actions/runner, that of
//! a summary in "Adding a job summary".

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};

use super::model::{Finding, Position, Report};
use super::{markdown, short, summary};
use crate::text::{count, escape};

/// What GitHub shows of each level, for one step.
const ANNOTATIONS: usize = 10;
/// In UTF-16 units; the runner cuts what is longer.
const MESSAGE: usize = 4096;
/// In bytes; a longer summary is refused whole.
const SUMMARY: usize = 1 << 20;

/// One `::error …::` or `::warning …::`.
struct Annotation<'r> {
    is_error: bool,
    title: &'r str,
    at: Option<&'r Position>,
    /// Escaped; the first one says it all.
    lines: Vec<String>,
    finding: Option<&'r Finding>,
}

pub fn check(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        annotations(report).into_iter().partition(|annotation| annotation.is_error);
    let mut hidden = Vec::new();
    for (name, all) in [("error", &errors), ("warning", &warnings)] {
        for annotation in all.iter().take(ANNOTATIONS) {
            write_annotation(out, report, name, annotation)?;
        }
        hidden.extend(all.iter().skip(ANNOTATIONS));
    }
    if !hidden.is_empty() {
        let number = count(hidden.len(), "finding");
        writeln!(out, "GitHub annotates {ANNOTATIONS} of each level in a step; {number} more:")?;
        for finding in hidden.into_iter().filter_map(|annotation| annotation.finding) {
            short::line(out, report, finding)?;
        }
    }
    if report.complete {
        for line in summary::lines(report) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// What kept the run from judging first: it explains the rest.
fn annotations(report: &Report) -> Vec<Annotation<'_>> {
    let mut all = Vec::new();
    for problem in &report.policy_problems {
        let mut lines = vec![escape(&problem.message), escape(&problem.label)];
        lines.retain(|line| !line.is_empty());
        help(&mut lines, problem.help.as_deref());
        let at = Some(&problem.at);
        all.push(Annotation { is_error: true, title: "wrong policy", at, lines, finding: None });
    }
    for failure in &report.failures {
        let mut lines = vec![escape(&failure.message)];
        lines.extend(failure.notes.iter().flat_map(|note| note.lines()).map(escape));
        help(&mut lines, failure.help.as_deref());
        all.push(Annotation { is_error: true, title: "not judged", at: None, lines, finding: None });
    }
    all.extend(report.findings.iter().map(|finding| of_finding(report, finding)));
    all
}

fn of_finding<'r>(report: &Report, finding: &'r Finding) -> Annotation<'r> {
    let mut lines = vec![escape(&finding.message)];
    lines.extend(report.place_text(finding).map(|place| format!("in {place}")));
    let label = finding.policy.iter().map(|forbids| escape(&forbids.label));
    lines.extend(label.filter(|label| !label.is_empty()));
    lines.extend(finding.notes.iter().map(|note| escape(note)));
    help(&mut lines, finding.help.as_deref());
    Annotation {
        is_error: finding.is_error(),
        title: &finding.lint,
        at: finding.policy.as_ref().map(|forbids| &forbids.at),
        lines,
        finding: Some(finding),
    }
}

fn help(lines: &mut Vec<String>, help: Option<&str>) {
    let Some(help) = help else { return };
    let mut of_help = help.lines().map(escape);
    lines.push(format!("help: {}", of_help.next().unwrap_or_default()));
    lines.extend(of_help);
}

fn write_annotation(
    out: &mut impl Write,
    report: &Report,
    name: &str,
    annotation: &Annotation<'_>,
) -> io::Result<()> {
    let mut properties = Vec::new();
    // Without a file of the repository there is nothing to annotate, and the message stands in the log alone.
    if let Some(policy) = &report.policy
        && let Some(file) = report.in_repository(&policy.path)
    {
        properties.push(("file", file));
        if let Some(at) = annotation.at {
            properties.push(("line", at.line.to_string()));
            properties.push(("endLine", at.end_line.to_string()));
            if at.line == at.end_line {
                properties.push(("col", at.column.to_string()));
                properties.push(("endColumn", at.end_column.to_string()));
            }
        }
    }
    properties.push(("title", annotation.title.to_owned()));
    let properties: Vec<String> =
        properties.iter().map(|(name, value)| format!("{name}={}", property(value))).collect();
    writeln!(out, "::{name} {}::{}", properties.join(","), data(&cut(&annotation.lines.join("\n"))))
}

/// At most as long as the runner passes on, at a whole character.
fn cut(text: &str) -> String {
    let mut units = 0;
    let fits = |letter: &char| {
        units += letter.len_utf16();
        units < MESSAGE
    };
    let kept: String = text.chars().take_while(fits).collect();
    if kept.len() == text.len() { kept } else { kept + "…" }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&escape(text)).replace(':', "%3A").replace(',', "%2C")
}

/// Adds the checklist to the summary of the step, where GitHub offers one.
pub fn step_summary(report: &Report, file: Option<&OsStr>) -> io::Result<()> {
    let Some(file) = file.filter(|file| !file.is_empty()) else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let used = usize::try_from(file.metadata()?.len()).unwrap_or(SUMMARY);
    // Another program may have written there without ending its line.
    let mut text = if used > 0 { vec![b'\n', b'\n'] } else { Vec::new() };
    let limit = SUMMARY.saturating_sub(used + text.len());
    markdown::check(&mut text, report, limit)?;
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_properties_cannot_leave_their_place() {
        assert_eq!(data("100%\n::error::x"), "100%25%0A::error::x");
        assert_eq!(property("a,b:c\n%0A"), "a%2Cb%3Ac\\n%250A");
    }

    #[test]
    fn a_message_is_cut_as_the_runner_counts() {
        assert_eq!(cut("a"), "a");
        let exact = "a".repeat(MESSAGE - 1);
        assert_eq!(cut(&exact), exact);
        for letter in ["a", "ü", "𝄞"] {
            let cut = cut(&letter.repeat(MESSAGE));
            assert!(cut.ends_with('…') && cut.encode_utf16().count() <= MESSAGE);
        }
    }
}
