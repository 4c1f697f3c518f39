//! Who brought what in, for `why`.

use std::io::{self, Write};

use anstyle::{AnsiColor, Effects, Style};
use serde::Serialize;

use super::model::{PathText, SCHEMA_VERSION, Tool};
use super::{BuildInfo, Failure, MessageFormat, Streams, human, json};
use crate::blame::advice::Advice;
use crate::blame::explain;
use crate::blame::least::Step;
use crate::blame::names::brief;
use crate::exit::Happened;
use crate::finding::cause::{Answer, Cause, Origin, SourceLine, Sureness, What};
use crate::judge::Input;
use crate::text::{count, escape, some_of};

/// Names of functions are long; a terminal of 80 columns breaks few lines more.
const WIDTH: usize = 100;
/// The widest column of symbols; a longer name stands on a line of its own.
const COLUMN: usize = 36;
/// Functions of one chain that are shown; more are left out in the middle.
const STEPS: usize = 6;

const NAME: Style = AnsiColor::BrightCyan.on_default().effects(Effects::BOLD);
const HEAD: Style = Style::new().effects(Effects::BOLD);
const HELP: Style = AnsiColor::BrightGreen.on_default().effects(Effects::BOLD);

/// The report of `cargo compat why --message-format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    schema_version: u32,
    tool: Tool,
    command: &'static str,
    pub exit_code: u8,
    /// What was asked after; null: every finding of the policy.
    pub asked: Option<String>,
    /// The policy whose findings are explained.
    pub policy: Option<PathText>,
    pub build: Option<BuildInfo>,
    pub artifacts: Vec<Explained>,
    /// Artifacts that have nothing of what was asked after.
    pub without: Vec<String>,
    pub failures: Vec<Failure>,
}

/// The answers about one file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explained {
    pub name: String,
    #[serde(flatten)]
    pub path: PathText,
    pub triples: Vec<String>,
    pub answers: Vec<Answer>,
    /// What keeps the newest version where it is.
    pub floors: Vec<Step>,
    pub advice: Vec<Advice>,
    /// What limits the answers.
    pub notes: Vec<String>,
    /// Functions have no names; `--relink` gives them theirs.
    pub nameless: bool,
    #[serde(skip)]
    shown: String,
    #[serde(skip)]
    from_cargo: bool,
}

impl Explained {
    pub fn new(input: &Input, floors: Vec<Step>, advice: Vec<Advice>, found: explain::Explained) -> Self {
        let path = crate::text::path(&input.path);
        let triples: Vec<&str> = input.triples.iter().map(String::as_str).collect();
        let shown = match triples.as_slice() {
            [triple] if !path.split('/').any(|part| part == *triple) => format!("{path}, {triple}"),
            _ => path,
        };
        Self {
            name: input.name.shown.clone(),
            path: PathText::new(&input.path),
            triples: input.triples.clone(),
            answers: found.answers,
            floors,
            advice,
            notes: found.notes,
            nameless: found.nameless,
            shown,
            from_cargo: input.from_cargo,
        }
    }
}

impl Report {
    pub fn new(asked: Option<String>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool::this(),
            command: "why",
            exit_code: 0,
            asked,
            policy: None,
            build: None,
            artifacts: Vec::new(),
            without: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub fn set_happened(&mut self, happened: Happened) {
        self.exit_code = happened.code();
    }
}

pub fn write(report: &Report, format: MessageFormat, streams: &Streams) -> io::Result<()> {
    let mut out = streams.out();
    match format {
        MessageFormat::Short => short(&mut out, report)?,
        MessageFormat::Json => json::write(&mut out, report)?,
        // The command line offers no other.
        _ => people(&mut out, report)?,
    }
    out.flush()?;
    let mut err = streams.err();
    for failure in &report.failures {
        human::failure(&mut err, failure)?;
    }
    err.flush()
}

fn people(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for (at, one) in report.artifacts.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{HEAD}{}{HEAD:#} ({})", escape(&one.name), one.shown)?;
        answers(out, &one.answers)?;
        floors(out, &one.floors)?;
        for note in &one.notes {
            aside(out, "note", note)?;
        }
        if one.nameless && one.from_cargo {
            aside(
                out,
                "note",
                "`--relink` links it once more with its symbols, to name the functions; only the last crate is compiled again",
            )?;
        }
        for advice in &one.advice {
            aside(out, "help", &advice.text)?;
        }
    }
    if !report.without.is_empty() {
        writeln!(out)?;
        aside(out, "note", &format!("not needed by {}", some_of(&report.without, 6)))?;
    }
    if report.artifacts.is_empty() && report.failures.is_empty() {
        writeln!(out, "nothing is forbidden, so there is nothing to explain")?;
    }
    Ok(())
}

/// A note or help, wrapped; what follows its first line is to be pasted.
fn aside(out: &mut impl Write, kind: &str, text: &str) -> io::Result<()> {
    let style = if kind == "help" { HELP } else { HEAD };
    let head = format!("  {style}{kind}{style:#}: ");
    let indent = " ".repeat(2 + kind.len() + 2);
    for (at, line) in text.lines().enumerate() {
        let line = escape(line);
        if at > 0 {
            writeln!(out, "{indent}{line}")?;
            continue;
        }
        let wrapped = fill(&line, indent.len());
        for (at, line) in wrapped.iter().enumerate() {
            writeln!(out, "{}{line}", if at == 0 { &head } else { &indent })?;
        }
    }
    Ok(())
}

fn fill(text: &str, indent: usize) -> Vec<String> {
    let options = textwrap::Options::new(WIDTH.saturating_sub(indent))
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    // An arrow stays with what it leads to.
    let text = text.replace("→ ", "→\u{a0}");
    let text = match text.strip_prefix("at ") {
        Some(place) => format!("at\u{a0}{place}"),
        None => text,
    };
    textwrap::wrap(&text, options).into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

fn named(what: &What) -> String {
    match what {
        What::Symbol { name, version: Some(version), .. } => format!("{name}@{version}"),
        What::Symbol { name, version: None, .. } | What::Library { name } => name.clone(),
        What::Version { version, .. } => version.clone(),
    }
}

fn answers(out: &mut impl Write, answers: &[Answer]) -> io::Result<()> {
    let names: Vec<String> = answers.iter().map(|answer| escape(&named(&answer.what))).collect();
    let widths = names.iter().map(|name| name.chars().count());
    let column = widths.filter(|width| *width <= COLUMN).max().unwrap_or(COLUMN) + 4;
    for (answer, name) in answers.iter().zip(&names) {
        let mut head = format!("  {NAME}{name}{NAME:#}");
        let width = name.chars().count() + 2;
        if width + 2 > column {
            writeln!(out, "{head}")?;
            head = " ".repeat(column);
        } else {
            head.push_str(&" ".repeat(column - width));
        }
        let weak = matches!(answer.what, What::Symbol { weak: true, .. });
        for (at, cause) in answer.causes.iter().enumerate() {
            let mut lines = cause_lines(answer, cause);
            if at == 0 && weak && cause.origin != Origin::Dead {
                lines[0].push_str(", a weak reference");
            }
            for line in lines.iter().flat_map(|line| fill(line, column)) {
                writeln!(out, "{head}{line}")?;
                head = " ".repeat(column);
            }
        }
    }
    Ok(())
}

fn sure(cause: &Cause) -> &'static str {
    match cause.sure {
        Sureness::Exact => "",
        Sureness::Likely => "likely ",
        Sureness::Candidate => "perhaps ",
    }
}

/// How a package comes to a library; nothing where it is about something else.
fn way_to_library(answer: &Answer, cause: &Cause) -> &'static str {
    if !matches!(answer.what, What::Library { .. }) || cause.origin != Origin::Package {
        return "";
    }
    match answer.causes.iter().any(Cause::is_by_script) {
        _ if cause.is_by_script() => "linked by the build script of ",
        true => "used by ",
        false => "linked by ",
    }
}

/// What a cause is, and where there is one its path.
fn cause_lines(answer: &Answer, cause: &Cause) -> Vec<String> {
    let sure = sure(cause);
    let functions = functions(cause);
    let behind = if functions.is_empty() { String::new() } else { format!(" ({functions})") };
    let first = match cause.origin {
        Origin::Dead => "nothing uses it, but the loader wants it all the same".to_owned(),
        Origin::Linker => "the linker: no symbol carries it".to_owned(),
        Origin::StartFiles => {
            format!("{sure}the C start file {}", escape(cause.object.as_deref().unwrap_or("Scrt1.o")))
        }
        Origin::Toolchain => format!("{sure}the C library itself"),
        Origin::Std => format!("{sure}std{behind}"),
        Origin::Unknown if functions.is_empty() => "code that could not be attributed".to_owned(),
        Origin::Unknown => format!("code that could not be attributed: {functions}"),
        Origin::Package => {
            let name = match (&cause.package, &cause.crate_name) {
                (Some(package), _) => format!("{} {}", package.name, package.version),
                (None, Some(name)) => format!("the crate {name}"),
                (None, None) => "a crate".to_owned(),
            };
            let name = format!("{}{}", way_to_library(answer, cause), escape(&name));
            match &cause.object {
                Some(object) => format!("{sure}{name}, its {}{behind}", escape(object)),
                None => format!("{sure}{name}{behind}"),
            }
        }
    };
    let mut lines = vec![first];
    if cause.path.len() > 1 {
        let path = cause.path.iter().map(|package| format!("{} {}", package.name, package.version));
        lines.push(format!("by {}", escape(&path.collect::<Vec<_>>().join(" › "))));
    }
    if !cause.lines.is_empty() {
        let places: Vec<String> = cause.lines.iter().map(place).collect();
        lines.push(format!("at {}", some_of(&places, 3)));
    }
    lines
}

/// A line of source, without what every path of its kind begins with.
fn place(at: &SourceLine) -> String {
    let file = at.file.as_str();
    let below = |folder: &str| Some(file.split_once(folder)?.1.split_once('/')?.1);
    let file = match below("/registry/src/").or_else(|| below("/rustc/")) {
        Some(rest) => escape(rest),
        None => crate::text::path(std::path::Path::new(file)),
    };
    format!("{file}:{}", at.line)
}

/// The shortest chain, else the functions.
fn functions(cause: &Cause) -> String {
    let names = |names: &[String]| names.iter().map(|name| escape(&brief(name))).collect::<Vec<_>>();
    // How the user's code comes to std does not matter: it always does.
    if cause.chain.len() < 2 || cause.origin == Origin::Std {
        return some_of(&names(&cause.functions), if cause.origin == Origin::Std { 1 } else { 2 });
    }
    let mut steps = names(&cause.chain);
    // One after the other they differ in their arguments alone.
    steps.dedup();
    let text = match steps.len() {
        ..=STEPS => steps.join(" → "),
        many => {
            let (first, last) = (&steps[..STEPS / 2], &steps[many - STEPS / 2..]);
            format!("{} → … → {}", first.join(" → "), last.join(" → "))
        }
    };
    match cause.chain_by_table {
        true => format!("{text}, by a table of functions"),
        false => text,
    }
}

fn floors(out: &mut impl Write, steps: &[Step]) -> io::Result<()> {
    for (at, step) in steps.iter().enumerate() {
        let keepers: Vec<String> = step.keepers.iter().map(|keeper| escape(keeper)).collect();
        let without = match &step.without {
            Some(without) => format!("without, it is {without}"),
            None => "without, no version is needed".to_owned(),
        };
        let text =
            format!("{} {}, kept by {}; {without}", escape(&step.namespace), step.floor, listed(&keepers));
        aside(out, if at == 0 { "floor" } else { "then" }, &text)?;
    }
    Ok(())
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= 8 => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {}", names[..6].join(", "), count(names.len() - 6, "other")),
    }
}

/// One line a cause, for editors and `grep`.
fn short(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for one in &report.artifacts {
        for answer in &one.answers {
            for cause in &answer.causes {
                let lines = cause_lines(answer, cause).join(", ");
                writeln!(out, "{}: {}: {lines}", one.shown, escape(&named(&answer.what)))?;
            }
        }
    }
    Ok(())
}
