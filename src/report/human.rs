//! For people: rustc's look.

use std::collections::BTreeSet;
use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Element, Group, Level as Mark, Renderer, Snippet};
use anstyle::{AnsiColor, Effects, Style};

use super::{Check, Failure, shown_place, summary};
use crate::finding::{Finding, Level};
use crate::lints;
use crate::policy::{Policy, Problem, Source};
use crate::text::{count, escape, path};

const WIDTH: usize = 80;
/// Cargo's column of verbs.
const STATUS: usize = 12;
/// What stands before the text of a note, beside its name: `   = note: `.
const MARGIN: usize = 14;

const GOOD: Style = AnsiColor::BrightGreen.on_default().effects(Effects::BOLD);
const BAD: Style = AnsiColor::BrightRed.on_default().effects(Effects::BOLD);
const MIXED: Style = AnsiColor::BrightYellow.on_default().effects(Effects::BOLD);

pub fn check(out: &mut impl Write, report: &Check<'_>, quiet: bool) -> io::Result<()> {
    let mut explained = BTreeSet::new();
    for finding in report.findings() {
        let first = explained.insert(finding.lint);
        if let Some(policy) = report.policy {
            diagnostic(out, finding, policy, first)?;
        }
    }
    if report.judgement.is_some() && !(quiet && report.happened.code() == 0) {
        write_summary(out, report)?;
    }
    Ok(())
}

fn plain<'a>(width: usize) -> textwrap::Options<'a> {
    textwrap::Options::new(width).break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation)
}

/// The first line wrapped; what follows is to be pasted, so it is left alone.
fn wrapped(text: &str) -> String {
    let mut lines = Vec::new();
    for (at, line) in text.lines().map(escape).enumerate() {
        if at == 0 {
            lines.extend(textwrap::wrap(&line, plain(WIDTH - MARGIN)).into_iter().map(String::from));
        } else {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// A title, wrapped: every line stands beside the head, `error[lint]: `.
fn title(text: &str, head: &str) -> String {
    textwrap::fill(&escape(text), plain(WIDTH - head.len()))
}

fn diagnostic(out: &mut impl Write, finding: &Finding, policy: &Policy, first: bool) -> io::Result<()> {
    let (mark, word) = match finding.level {
        Level::Warn => (Mark::WARNING, "warning"),
        _ => (Mark::ERROR, "error"),
    };
    let file = path(&policy.source.path);
    let label = finding.forbids.as_ref().map(|forbids| escape(&forbids.label)).unwrap_or_default();
    let mut elements: Vec<Element<'_>> = Vec::new();
    if let Some(forbids) = &finding.forbids {
        elements.push(snippet(&policy.source, &file, &forbids.span, &label).into());
    }
    let mut notes = Vec::new();
    notes.extend(finding.place.as_ref().map(|place| format!("in {}", shown_place(place))));
    // A note is one line; what breaks it came from a file.
    notes.extend(finding.notes.iter().map(|note| escape(note)));
    if first {
        notes.push(level_note(finding, policy, &file));
    }
    elements.extend(notes.iter().map(|note| Mark::NOTE.message(wrapped(note)).into()));
    if let Some(help) = &finding.help {
        elements.push(Mark::HELP.message(wrapped(help)).into());
    }
    let head = format!("{word}[{}]: ", finding.lint);
    let group = mark.primary_title(title(&finding.message, &head)).id(finding.lint).elements(elements);
    render(out, &[group])
}

fn level_note(finding: &Finding, policy: &Policy, file: &str) -> String {
    let lint = finding.lint;
    match policy.lints.get(lint) {
        Some(set) => {
            let (line, _) = policy.source.position(set.span.start);
            let note = format!("`{lint}` is set to `{}` in {file}:{line}", set.value);
            if finding.undecided && set.value != Level::Deny {
                return format!("{note}, but what could not be decided stays an error");
            }
            note
        }
        None => {
            let default = lints::find(lint).map_or(Level::Deny, |lint| lint.default);
            format!("`{lint}` is set to `{default}` by default")
        }
    }
}

fn snippet<'a>(
    source: &'a Source,
    path: &'a str,
    span: &std::ops::Range<usize>,
    label: &'a str,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let end = span.end.min(source.text.len());
    let annotation = AnnotationKind::Primary.span(span.start.min(end)..end);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
    Snippet::source(&source.text).path(path).annotation(annotation)
}

fn render(out: &mut impl Write, groups: &[Group<'_>]) -> io::Result<()> {
    let renderer = Renderer::styled().term_width(WIDTH);
    writeln!(out, "{}\n", renderer.render(groups))
}

/// Every problem of a policy.
pub fn problems(out: &mut impl Write, source: &Source, problems: &[Problem]) -> io::Result<()> {
    let file = path(&source.path);
    for problem in problems {
        let label = escape(&problem.label);
        let mut at = snippet(source, &file, &problem.span, &label);
        if let Some((span, label)) = &problem.other {
            at = at.annotation(AnnotationKind::Context.span(span.clone()).label(*label));
        }
        let mut elements: Vec<Element<'_>> = vec![at.into()];
        elements.extend(problem.help.iter().map(|help| Mark::HELP.message(wrapped(help)).into()));
        render(out, &[Mark::ERROR.primary_title(title(&problem.message, "error: ")).elements(elements)])?;
    }
    let message = format!("{file} has {}; nothing was judged", count(problems.len(), "problem"));
    failure(out, &Failure::new(message))
}

pub fn failure(out: &mut impl Write, failure: &Failure) -> io::Result<()> {
    let mut elements: Vec<Element<'_>> = Vec::new();
    elements.extend(failure.notes.iter().map(|note| Mark::NOTE.message(wrapped(note)).into()));
    elements.extend(failure.help.iter().map(|help| Mark::HELP.message(wrapped(help)).into()));
    let group = Mark::ERROR.primary_title(title(&failure.message, "error: ")).elements(elements);
    let renderer = Renderer::styled().term_width(WIDTH);
    writeln!(out, "{}", renderer.render(&[group]))
}

/// Cargo's own look of progress: a verb to the right of twelve columns.
pub fn status(out: &mut impl Write, verb: &str, message: &str) -> io::Result<()> {
    writeln!(out, "{GOOD}{verb:>STATUS$}{GOOD:#} {}", escape(message))
}

/// What was judged, of which build, and what came of it.
fn write_summary(out: &mut impl Write, report: &Check<'_>) -> io::Result<()> {
    let style = match report.happened.code() {
        0 if report.counts().warnings > 0 => MIXED,
        0 => GOOD,
        _ => BAD,
    };
    let indent = " ".repeat(STATUS + 1);
    for (at, line) in summary::lines(report).iter().enumerate() {
        let wrapped = textwrap::fill(line, plain(WIDTH).initial_indent(&indent).subsequent_indent(&indent));
        match wrapped.strip_prefix(&indent) {
            Some(rest) if at == 0 => writeln!(out, "{style}{:>STATUS$}{style:#} {rest}", "Checked")?,
            _ => writeln!(out, "{wrapped}")?,
        }
    }
    Ok(())
}
