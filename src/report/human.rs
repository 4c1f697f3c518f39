//! For people: rustc's look.

use std::collections::BTreeSet;
use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Element, Group, Level as Mark, Renderer, Snippet};
use anstyle::{AnsiColor, Effects, Style};

use super::model::{Finding, Position, Report};
use super::plain::Plain;
use super::{Failure, summary};
use crate::finding::Level;
use crate::text::{count, escape};

const WIDTH: usize = 80;
/// Cargo's column of verbs.
const STATUS: usize = 12;
/// What stands before the text of a note, beside its name: `   = note: `.
const MARGIN: usize = 14;

const GOOD: Style = AnsiColor::BrightGreen.on_default().effects(Effects::BOLD);
const BAD: Style = AnsiColor::BrightRed.on_default().effects(Effects::BOLD);
const MIXED: Style = AnsiColor::BrightYellow.on_default().effects(Effects::BOLD);

/// `colored` is whether anybody will see colours: what has none is made with less.
pub fn check(out: &mut impl Write, report: &Report, quiet: bool, colored: bool) -> io::Result<()> {
    let mut look = match colored {
        true => Look::Styled(Renderer::styled().term_width(WIDTH)),
        false => Look::Plain(Plain::new(WIDTH)),
    };
    let mut explained = BTreeSet::new();
    for finding in &report.findings {
        let text = diagnostic(&mut look, report, finding, explained.insert(&finding.lint));
        out.write_all(text.as_bytes())?;
    }
    if report.complete && !(quiet && report.happened.code() == 0) {
        let mut text = Vec::new();
        match colored {
            true => write_summary(&mut text, report)?,
            false => write_summary(&mut anstream::StripStream::new(&mut text), report)?,
        }
        out.write_all(&text)?;
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

enum Look<'r> {
    Styled(Renderer),
    Plain(Plain<'r>),
}

fn diagnostic<'r>(look: &mut Look<'r>, report: &'r Report, finding: &'r Finding, first: bool) -> String {
    let (mark, word) = match finding.level {
        Level::Warn => (Mark::WARNING, "warning"),
        _ => (Mark::ERROR, "error"),
    };
    let file = report.policy_shown();
    let label = finding.policy.as_ref().map(|forbids| escape(&forbids.label)).unwrap_or_default();
    let at = finding.policy.as_ref().map(|forbids| &forbids.at);
    let shown = at.map(|at| Element::from(snippet(report, &file, at, &label)));
    let mut notes = Vec::new();
    notes.extend(report.place_text(finding).map(|place| format!("in {place}")));
    // A note is one line; what breaks it came from a file.
    notes.extend(finding.notes.iter().map(|note| escape(note)));
    if first {
        notes.extend(level_note(report, finding, &file));
    }
    let notes = notes.iter().map(|note| ("note", wrapped(note)));
    let notes: Vec<_> = notes.chain(finding.help.iter().map(|help| ("help", wrapped(help)))).collect();
    let head = format!("{word}[{}]: ", finding.lint);
    let title = title(&finding.message, &head);
    let renderer = match look {
        Look::Plain(plain) if !notes.is_empty() => {
            let place = finding.policy.as_ref().map(|one| (one.at.start, one.at.end, one.label.as_str()));
            return plain.text(&head, &title, place, shown, &notes) + "\n";
        }
        Look::Plain(plain) => plain.renderer(),
        Look::Styled(renderer) => renderer,
    };
    let notes = notes.into_iter().map(|(word, text)| {
        let mark = if word == "note" { Mark::NOTE } else { Mark::HELP };
        mark.message(text).into()
    });
    let elements: Vec<Element<'_>> = shown.into_iter().chain(notes).collect();
    let mut text = renderer.render(&[mark.primary_title(title).id(&*finding.lint).elements(elements)]);
    text.push_str("\n\n");
    text
}

fn level_note(report: &Report, finding: &Finding, file: &str) -> Option<String> {
    let lint = &finding.lint;
    let set = report.levels.get(lint)?;
    let Some(at) = &set.at else {
        return Some(format!("`{lint}` is set to `{}` by default", set.level));
    };
    let note = format!("`{lint}` is set to `{}` in {file}:{}", set.level, at.line);
    Some(match finding.undecided && set.level != Level::Deny {
        true => format!("{note}, but what could not be decided stays an error"),
        false => note,
    })
}

/// What of the policy's text stands there; a saved report may say what it likes.
fn span(report: &Report, at: &Position) -> std::ops::Range<usize> {
    let text = text_of(report);
    let start = text.floor_char_boundary(at.start);
    start..text.floor_char_boundary(at.end).max(start)
}

fn text_of(report: &Report) -> &str {
    report.policy.as_ref().map_or("", |policy| &policy.text)
}

fn snippet<'a>(
    report: &'a Report,
    path: &'a str,
    at: &Position,
    label: &'a str,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let annotation = AnnotationKind::Primary.span(span(report, at));
    let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
    Snippet::source(text_of(report)).path(path).annotation(annotation)
}

fn render(out: &mut impl Write, groups: &[Group<'_>]) -> io::Result<()> {
    let renderer = Renderer::styled().term_width(WIDTH);
    writeln!(out, "{}\n", renderer.render(groups))
}

/// Every problem of a policy.
pub fn problems(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let file = report.policy_shown();
    for problem in &report.policy_problems {
        let label = escape(&problem.label);
        let mut at = snippet(report, &file, &problem.at, &label);
        let other = problem.other.as_ref().map(|other| (span(report, &other.at), escape(&other.label)));
        if let Some((span, label)) = &other {
            at = at.annotation(AnnotationKind::Context.span(span.clone()).label(label));
        }
        let mut elements: Vec<Element<'_>> = vec![at.into()];
        elements.extend(problem.help.iter().map(|help| Mark::HELP.message(wrapped(help)).into()));
        render(out, &[Mark::ERROR.primary_title(title(&problem.message, "error: ")).elements(elements)])?;
    }
    match report.policy_problems.len() {
        0 => Ok(()),
        many => {
            failure(out, &Failure::new(format!("{file} has {}; nothing was judged", count(many, "problem"))))
        }
    }
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
fn write_summary(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let style = match report.happened.code() {
        0 if report.summary.warnings > 0 => MIXED,
        0 => GOOD,
        _ => BAD,
    };
    let verb = if report.command == "test" { "Tested" } else { "Checked" };
    last_lines(out, verb, style, &summary::lines(report))
}

/// The last lines of a command: a verb as cargo has it, and what was done.
pub fn summary(out: &mut impl Write, verb: &str, good: bool, lines: &[String]) -> io::Result<()> {
    last_lines(out, verb, if good { GOOD } else { BAD }, lines)
}

fn last_lines(out: &mut impl Write, verb: &str, style: Style, lines: &[String]) -> io::Result<()> {
    let indent = " ".repeat(STATUS + 1);
    for (at, line) in lines.iter().enumerate() {
        let wrapped = textwrap::fill(line, plain(WIDTH).initial_indent(&indent).subsequent_indent(&indent));
        match wrapped.strip_prefix(&indent) {
            Some(rest) if at == 0 => writeln!(out, "{style}{verb:>STATUS$}{style:#} {rest}")?,
            _ => writeln!(out, "{wrapped}")?,
        }
    }
    Ok(())
}
