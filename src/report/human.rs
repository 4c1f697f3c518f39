//! For people: rustc's look.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use annotate_snippets::{AnnotationKind, Element, Group, Level as Mark, Renderer, Snippet};
use anstyle::{AnsiColor, Effects, Style};

use super::model::{Finding, Position, Report};
use super::plain::Plain;
use super::{Failure, summary};
use crate::finding::Level;
use crate::text::{count, escape, escaped};

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

/// As `textwrap` does it; what is plain ASCII, as nearly all is, with less.
fn wrap(line: &str, width: usize) -> Vec<Cow<'_, str>> {
    if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return textwrap::wrap(line, plain(width));
    }
    let mut lines = Vec::new();
    // Where the line at hand starts, and where its last word ends.
    let (mut start, mut end, mut at) = (0, 0, 0);
    for word in line.split_inclusive(' ') {
        let after = at + word.trim_end_matches(' ').len();
        if after > at && after - start > width && at > start {
            lines.push(Cow::Borrowed(&line[start..end]));
            start = at;
        }
        if after > at {
            end = after;
        }
        at += word.len();
    }
    lines.push(Cow::Borrowed(&line[start..end]));
    lines
}

/// The first line wrapped; what follows is to be pasted, so it is left alone.
fn wrapped(text: &str) -> String {
    let mut all = String::with_capacity(text.len() + 8);
    for (at, line) in text.lines().map(escaped).enumerate() {
        if at > 0 {
            all.push('\n');
            all.push_str(&line);
            continue;
        }
        for (at, part) in wrap(&line, WIDTH - MARGIN).iter().enumerate() {
            if at > 0 {
                all.push('\n');
            }
            all.push_str(part);
        }
    }
    all
}

/// A title, wrapped: every line stands beside the head, `error[lint]: `.
fn title(text: &str, head: &str) -> String {
    wrap(&escaped(text), WIDTH - head.len()).join("\n")
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
    let mut notes: Vec<Cow<'_, str>> = Vec::with_capacity(finding.notes.len() + 2);
    notes.extend(report.place_text(finding).map(|place| Cow::Owned(format!("in {place}"))));
    // A note is one line; what breaks it came from a file.
    notes.extend(finding.notes.iter().map(|note| escaped(note)));
    if first {
        notes.extend(level_note(report, finding, &file).map(Cow::Owned));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_as_textwrap_does() {
        let words =
            ["a", "of", "libstdc++.so.6", "", "`GLIBC_2.34`,", "--with-a-hyphen", "longer_than_the_line_is"];
        let mut state = 7u32;
        for _ in 0..4000 {
            let mut text = String::new();
            for _ in 0..state % 14 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(words[(state >> 20) as usize % words.len()]);
                text.push(' ');
            }
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let text = if state & 1 << 20 == 0 { text.as_str() } else { text.trim_end() };
            for width in [1, 12, 20, 66] {
                assert_eq!(wrap(text, width), textwrap::wrap(text, plain(width)), "{text:?} {width}");
            }
        }
    }
}
