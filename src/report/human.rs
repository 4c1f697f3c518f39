//! For people: rustc's look.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use annotate_snippets::{AnnotationKind, Element, Group, Level as Mark, Renderer, Snippet};
use anstyle::{AnsiColor, Effects, Style};

use super::{Check, Failure, shown_path, shown_place};
use crate::artifact::Format;
use crate::finding::{Finding, Level};
use crate::judge::Input;
use crate::lints;
use crate::policy::{Policy, Problem, Source};
use crate::text::{count, escape, some_of};

const WIDTH: usize = 80;
/// Cargo's column of verbs.
const STATUS: usize = 12;
/// What stands before the text of a note, beside its name: `   = note: `.
const MARGIN: usize = 14;
/// Artifacts named in the summary.
const NAMED: usize = 5;

const GOOD: Style = AnsiColor::BrightGreen.on_default().effects(Effects::BOLD);
const BAD: Style = AnsiColor::BrightRed.on_default().effects(Effects::BOLD);
const MIXED: Style = AnsiColor::BrightYellow.on_default().effects(Effects::BOLD);

pub fn check(out: &mut impl Write, report: &Check<'_>, quiet: bool, base: &Path) -> io::Result<()> {
    let mut explained = BTreeSet::new();
    for finding in report.findings() {
        let first = explained.insert(finding.lint);
        if let Some(policy) = report.policy {
            diagnostic(out, finding, policy, first, base)?;
        }
    }
    if report.judgement.is_some() && !(quiet && report.happened.code() == 0) {
        summary(out, report, base)?;
    }
    Ok(())
}

/// The first line wrapped; what follows is to be pasted, so it is left alone.
fn wrapped(text: &str) -> String {
    let text = text.lines().map(escape).collect::<Vec<_>>();
    let options = textwrap::Options::new(WIDTH - MARGIN)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let mut lines = Vec::new();
    for (at, line) in text.iter().enumerate() {
        if at == 0 {
            lines.extend(textwrap::wrap(line, &options).into_iter().map(String::from));
        } else {
            lines.push(line.clone());
        }
    }
    lines.join("\n")
}

fn title(text: &str, lint: &str) -> String {
    let first =
        textwrap::Options::new(WIDTH).break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation);
    // The first line shares its width with `warning[lint]: `.
    let head = " ".repeat("warning[]: ".len() + lint.len());
    let text = escape(text);
    let lines = textwrap::wrap(&text, first.initial_indent(&head));
    lines.join("\n").trim_start().to_owned()
}

fn diagnostic(
    out: &mut impl Write,
    finding: &Finding,
    policy: &Policy,
    first: bool,
    base: &Path,
) -> io::Result<()> {
    let mark = if finding.level == Level::Warn { Mark::WARNING } else { Mark::ERROR };
    let path = shown_path(&policy.source.path, base);
    let label = finding.forbids.as_ref().map(|forbids| escape(&forbids.label)).unwrap_or_default();
    let mut elements: Vec<Element<'_>> = Vec::new();
    if let Some(forbids) = &finding.forbids {
        elements.push(snippet(&policy.source, &path, &forbids.span, &label).into());
    }
    if let Some(place) = &finding.place {
        let line = format!("in {}", shown_place(place, base));
        elements.push(Mark::NOTE.message(line).into());
    }
    // A note is one line; what breaks it came from a file.
    elements.extend(finding.notes.iter().map(|note| Mark::NOTE.message(wrapped(&escape(note))).into()));
    if first {
        elements.push(Mark::NOTE.message(level_note(finding.lint, policy, &path)).into());
    }
    if let Some(help) = &finding.help {
        elements.push(Mark::HELP.message(wrapped(help)).into());
    }
    let group = mark.primary_title(title(&finding.message, finding.lint)).id(finding.lint).elements(elements);
    render(out, &[group])
}

fn level_note(lint: &str, policy: &Policy, path: &str) -> String {
    match policy.lints.get(lint) {
        Some(set) => {
            let (line, _) = policy.source.position(set.span.start);
            format!("`{lint}` is set to `{}` in {path}:{line}", set.value)
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
pub fn problems(out: &mut impl Write, source: &Source, problems: &[Problem], base: &Path) -> io::Result<()> {
    let path = shown_path(&source.path, base);
    for problem in problems {
        let label = escape(&problem.label);
        let mut elements: Vec<Element<'_>> = vec![snippet(source, &path, &problem.span, &label).into()];
        elements.extend(problem.help.iter().map(|help| Mark::HELP.message(wrapped(help)).into()));
        render(out, &[Mark::ERROR.primary_title(title(&problem.message, "")).elements(elements)])?;
    }
    let message = format!("{path} has {}; nothing was judged", count(problems.len(), "problem"));
    failure(out, &Failure::new(message))
}

pub fn failure(out: &mut impl Write, failure: &Failure) -> io::Result<()> {
    let mut elements: Vec<Element<'_>> = Vec::new();
    elements.extend(failure.notes.iter().map(|note| Mark::NOTE.message(wrapped(note)).into()));
    elements.extend(failure.help.iter().map(|help| Mark::HELP.message(wrapped(help)).into()));
    let group = Mark::ERROR.primary_title(title(&failure.message, "")).elements(elements);
    let renderer = Renderer::styled().term_width(WIDTH);
    writeln!(out, "{}", renderer.render(&[group]))
}

/// Cargo's own look of progress: a verb to the right of twelve columns.
pub fn status(out: &mut impl Write, verb: &str, message: &str) -> io::Result<()> {
    writeln!(out, "{GOOD}{verb:>STATUS$}{GOOD:#} {}", escape(message))
}

/// What was judged, of which build, and what came of it.
fn summary(out: &mut impl Write, report: &Check<'_>, base: &Path) -> io::Result<()> {
    let style = match report.happened.code() {
        0 => GOOD,
        _ => BAD,
    };
    let style = if report.happened.code() == 0 && report.counts().warnings > 0 { MIXED } else { style };
    let mut names: Vec<String> = report.examined().map(|input| escape(&input.name.shown)).collect();
    names.dedup();
    let what = match names.len() {
        0 => "nothing".to_owned(),
        1..=NAMED => names.join(", "),
        more => format!("{more} artifacts"),
    };
    let line = format!("{what} ({}): {}", circumstances(report), verdict(report));
    let lines = std::iter::once(line).chain(asides(report, base));
    let indent = " ".repeat(STATUS + 1);
    for (at, line) in lines.enumerate() {
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(&indent)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        let wrapped = textwrap::fill(&line, options);
        match wrapped.strip_prefix(&indent) {
            Some(rest) if at == 0 => writeln!(out, "{style}{:>STATUS$}{style:#} {rest}", "Checked")?,
            _ => writeln!(out, "{wrapped}")?,
        }
    }
    Ok(())
}

fn circumstances(report: &Check<'_>) -> String {
    let mut parts = Vec::new();
    match report.build {
        Some(build) => {
            parts.push(format!("profile {}", build.profile));
            parts.push(some_of(&build.targets, 3));
            parts.push(match build.compiled {
                None => "not built".to_owned(),
                Some(0) => "nothing to compile".to_owned(),
                Some(compiled) => format!("cargo compiled {}", count(compiled, "package")),
            });
        }
        None => {
            let mut triples: Vec<String> =
                report.examined().flat_map(|input| input.triples.clone()).collect();
            triples.sort();
            triples.dedup();
            parts.push(if triples.is_empty() { "no target known".to_owned() } else { some_of(&triples, 3) });
            parts.push("as files".to_owned());
        }
    }
    escape(&parts.join(", "))
}

fn verdict(report: &Check<'_>) -> String {
    let counts = report.counts();
    let mut parts = Vec::new();
    if counts.errors > 0 {
        parts.push(count(counts.errors, "error"));
    }
    if counts.undecided > 0 {
        parts.push(format!("{} undecided", counts.undecided));
    }
    if counts.warnings > 0 {
        parts.push(count(counts.warnings, "warning"));
    }
    if report.happened.not_judged && counts.undecided == 0 {
        parts.push("not all was judged".to_owned());
    }
    if !report.happened.broken && !report.happened.not_judged {
        parts.insert(0, "policy kept".to_owned());
    }
    parts.join(", ")
}

/// What the verdict does not cover, or covers by an exception.
fn asides(report: &Check<'_>, base: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let not_examined: Vec<_> = report.not_examined().collect();
    if not_examined.len() > NAMED {
        let mut kinds = BTreeMap::new();
        for (_, format) in &not_examined {
            *kinds.entry(format.to_string()).or_insert(0) += 1;
        }
        let kinds: Vec<_> = kinds.iter().map(|(kind, number)| count(*number, kind)).collect();
        lines.push(format!("not examined: {}", kinds.join(", ")));
    } else if !not_examined.is_empty() {
        let named =
            |(input, format): &(&Input, Format)| format!("{} ({format})", shown_path(&input.path, base));
        let named: Vec<_> = not_examined.iter().map(named).collect();
        lines.push(format!("not examined: {}", named.join(", ")));
    }
    if let Some(passed_over) = report.passed_over.filter(|passed_over| !passed_over.is_empty()) {
        let kinds: Vec<_> = passed_over.iter().map(|(kind, number)| count(*number, kind)).collect();
        lines.push(format!("passed over: {}", kinds.join(", ")));
    }
    if report.judgement.is_some_and(|judgement| judgement.cpu_not_examined) {
        lines.push(
            "CPU not examined: a file need not say what it needs; running it on the promised CPU shows it"
                .to_owned(),
        );
    }
    let accepted = report.judgement.map_or(0, |judgement| judgement.accepted.len());
    if accepted > 0 {
        lines.push(format!("accepted by exceptions: {}", count(accepted, "finding")));
    }
    if !report.not_selected.is_empty() {
        let names: Vec<_> = report.not_selected.iter().map(|name| escape(name)).collect();
        lines.push(format!("of the release set, not selected: {}", some_of(&names, NAMED)));
    }
    if let Some(input) = report.examined().find(|input| input.triples.len() > 1) {
        lines.push(format!(
            "{} may be for any of {}; the rules of all were applied",
            escape(&input.name.shown),
            some_of(&input.triples, 4)
        ));
    }
    lines
}
