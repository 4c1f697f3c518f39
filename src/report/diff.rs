//! What changed between two releases, for `diff`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Effects, Style};
use serde::{Deserialize, Serialize};

use super::model::{PathText, SCHEMA_VERSION, Tool};
use super::{Failure, MessageFormat, Streams, human, json};
use crate::diff::{Aspect, Change, Comparison, FromTo, NotCompared, PairedBy};
use crate::exit::Happened;
use crate::release::{Holds, Member, Release};
use crate::text::{count, escape, path as shown, some_of};

const WIDTH: usize = 80;
/// Columns of what changed.
const NAME: usize = 22;
/// Names of a set that people are shown.
const NAMED: usize = 8;

const HEADING: Style = Style::new().effects(Effects::BOLD);
const WORSE: Style = AnsiColor::BrightRed.on_default().effects(Effects::BOLD);
const GAINED: Style = AnsiColor::BrightGreen.on_default();
const LOST: Style = AnsiColor::BrightRed.on_default();

/// All that `diff` has to say.
#[derive(Debug)]
pub struct Diff<'a> {
    pub old: &'a Release,
    pub new: &'a Release,
    pub comparison: &'a Comparison,
    pub happened: Happened,
}

/// The report of `cargo compat diff --message-format json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, expect(missing_debug_implementations, reason = "it is only written"))]
pub struct Object<'a> {
    schema_version: u32,
    tool: Tool,
    command: &'static str,
    exit_code: u8,
    old: Side<'a>,
    new: Side<'a>,
    summary: Summary,
    artifacts: Vec<ArtifactOut<'a>>,
    failures: Vec<&'a Failure>,
}

/// One of the two releases.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Side<'a> {
    #[serde(flatten)]
    path: PathText,
    /// Files that were read as artifacts.
    artifacts: usize,
    passed_over: &'a BTreeMap<&'static str, usize>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Summary {
    compared: usize,
    regressions: usize,
    other_changes: usize,
    lost: usize,
    gained: usize,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArtifactOut<'a> {
    pub status: Status,
    /// Its path in the old release; null where that has none.
    pub old: Option<&'a str>,
    pub new: Option<&'a str>,
    /// By what the two were taken for one.
    paired_by: Option<PairedBy>,
    pub architecture: Option<String>,
    pub changes: &'a [Change],
    pub not_compared: &'a [NotCompared],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Unchanged,
    Changed,
    /// Only the old release has it.
    Lost,
    /// Only the new release has it.
    Gained,
    /// One of the two was not read, or not all of the other release.
    NotCompared,
}

impl<'a> Diff<'a> {
    fn failures(&self) -> impl Iterator<Item = &'a Failure> {
        self.old.failures.iter().chain(&self.new.failures)
    }

    pub fn artifacts(&self) -> Vec<ArtifactOut<'a>> {
        let pairs = self.comparison.pairs.iter().map(|pair| {
            let (old, new) = (&self.old.members[pair.old], &self.new.members[pair.new]);
            let status = match (&old.holds, &new.holds) {
                (Holds::Facts(_), Holds::Facts(_)) if !pair.changes.is_empty() => Status::Changed,
                (Holds::Facts(_), Holds::Facts(_)) => Status::Unchanged,
                _ => Status::NotCompared,
            };
            ArtifactOut {
                status,
                old: Some(&old.path),
                new: Some(&new.path),
                paired_by: Some(pair.by),
                architecture: architecture(new),
                changes: &pair.changes,
                not_compared: &pair.not_compared,
            }
        });
        let [old_whole, new_whole] = self.comparison.whole;
        let alone = |is_new: bool, member: &'a Member| ArtifactOut {
            status: match is_new {
                true if old_whole => Status::Gained,
                false if new_whole => Status::Lost,
                _ => Status::NotCompared,
            },
            old: (!is_new).then_some(member.path.as_str()),
            new: is_new.then_some(member.path.as_str()),
            paired_by: None,
            architecture: architecture(member),
            changes: &[],
            not_compared: &[],
        };
        let lost = self.comparison.lost.iter().map(|at| alone(false, &self.old.members[*at]));
        let gained = self.comparison.gained.iter().map(|at| alone(true, &self.new.members[*at]));
        pairs.chain(lost).chain(gained).collect()
    }
}

fn architecture(member: &Member) -> Option<String> {
    match &member.holds {
        Holds::Facts(facts) => Some(facts.arch.to_string()),
        _ => None,
    }
}

/// Writes what changed.
pub fn diff(report: &Diff<'_>, format: MessageFormat, quiet: bool, streams: &Streams) -> io::Result<()> {
    let mut out = streams.out();
    match format {
        MessageFormat::Json => json::write(&mut out, &object(report))?,
        _ if quiet && report.happened.code() == 0 => {}
        _ => people(&mut out, report)?,
    }
    out.flush()?;
    let mut err = streams.err();
    for failure in report.failures() {
        human::failure(&mut err, failure)?;
    }
    err.flush()
}

fn object<'a>(report: &Diff<'a>) -> Object<'a> {
    let side = |release: &'a Release| Side {
        path: PathText::new(&release.path),
        artifacts: release.members.iter().filter(|member| matches!(member.holds, Holds::Facts(_))).count(),
        passed_over: &release.passed_over,
    };
    let artifacts = report.artifacts();
    let of = |status| artifacts.iter().filter(|artifact| artifact.status == status).count();
    Object {
        schema_version: SCHEMA_VERSION,
        tool: Tool::this(),
        command: "diff",
        exit_code: report.happened.code(),
        old: side(report.old),
        new: side(report.new),
        summary: Summary {
            compared: of(Status::Unchanged) + of(Status::Changed),
            regressions: report.comparison.regressions(),
            other_changes: report.comparison.other_changes(),
            lost: of(Status::Lost),
            gained: of(Status::Gained),
        },
        artifacts,
        failures: report.failures().collect(),
    }
}

fn people(out: &mut impl Write, report: &Diff<'_>) -> io::Result<()> {
    let artifacts = report.artifacts();
    writeln!(out, "{LOST}--- {}{LOST:#}", shown(&report.old.path))?;
    writeln!(out, "{GAINED}+++ {}{GAINED:#}\n", shown(&report.new.path))?;
    for artifact in artifacts.iter().filter(|artifact| artifact.status != Status::Unchanged) {
        one(out, artifact, report)?;
        writeln!(out)?;
    }
    summary(out, report, &artifacts)
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What changed, and how, on one line. Names are not escaped yet.
pub fn words(change: &Change) -> (&'static str, String) {
    let of = change.subject.as_ref().map(|subject| format!("{subject}: ")).unwrap_or_default();
    let text = match &change.from_to {
        FromTo::Value { old, new } => value(change.aspect, old.as_deref(), new.as_deref()),
        FromTo::Set { gained, lost } => [(gained, "+"), (lost, "-")]
            .into_iter()
            .filter(|(names, _)| !names.is_empty())
            .map(|(names, sign)| format!("{sign} {}", some_of(names, NAMED)))
            .collect::<Vec<_>>()
            .join("; "),
    };
    (name(change.aspect), of + &text)
}

fn value(aspect: Aspect, old: Option<&str>, new: Option<&str>) -> String {
    format!("{} -> {}{}", old.unwrap_or("none"), new.unwrap_or("none"), grown(aspect, old, new))
}

fn one(out: &mut impl Write, artifact: &ArtifactOut<'_>, report: &Diff<'_>) -> io::Result<()> {
    let name = escape(file_name(artifact.new.or(artifact.old).unwrap_or_default()));
    let of = match &artifact.architecture {
        Some(architecture) => format!(" for {}", escape(architecture)),
        None => String::new(),
    };
    let paired = artifact.paired_by.map(|by| format!(", {}", paired(by))).unwrap_or_default();
    writeln!(out, "{HEADING}{name}{HEADING:#}{of}{paired}")?;
    for (release, path, sign, style) in
        [(report.old, artifact.old, '-', LOST), (report.new, artifact.new, '+', GAINED)]
    {
        if let Some(path) = path.filter(|_| !release.is_file) {
            writeln!(out, "  {style}{sign} {}{style:#}", escape(path))?;
        }
    }
    match artifact.status {
        Status::Lost => return row(out, "lost", "the new release does not have it", true),
        Status::Gained => return row(out, "gained", "the old release did not have it", false),
        Status::NotCompared => {
            let why = match (artifact.old, artifact.new) {
                (Some(_), Some(_)) => "one of the two was not read",
                (None, _) => "not all of the old release was read",
                (_, None) => "not all of the new release was read",
            };
            return row(out, "not compared", why, false);
        }
        Status::Changed | Status::Unchanged => {}
    }
    for change in artifact.changes {
        self::change(out, change)?;
    }
    for (at, not) in artifact.not_compared.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &artifact.not_compared[before]);
        if before.is_none_or(|before| before.why != not.why) {
            row(out, "not compared", &format!("{}: {}", everything(artifact, not), not.why), false)?;
        }
    }
    Ok(())
}

/// What was not compared for one reason.
fn everything(artifact: &ArtifactOut<'_>, not: &NotCompared) -> String {
    let same = artifact.not_compared.iter().filter(|other| other.why == not.why);
    same.map(|not| name(not.what)).collect::<Vec<_>>().join(", ")
}

fn paired(by: PairedBy) -> &'static str {
    match by {
        PairedBy::Named => "both named",
        PairedBy::Path => "paired by its path",
        PairedBy::PathWithoutNumbers => "paired by its path without numbers",
        PairedBy::FileName => "paired by its file name",
        PairedBy::Stem => "paired by its name without versions",
        PairedBy::OnlyExecutable => "paired as the only executable",
        PairedBy::OnlyArtifact => "paired as the only artifact",
    }
}

fn name(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Architecture => "architecture",
        Aspect::Role => "kind",
        Aspect::Linkage => "linkage",
        Aspect::Libc => "C library",
        Aspect::Interpreter => "interpreter",
        Aspect::Soname => "soname",
        Aspect::Floor => "newest version needed",
        Aspect::Needed => "needed",
        Aspect::Versions => "versions needed",
        Aspect::VersionsDefined => "versions defined",
        Aspect::Undefined => "undefined symbols",
        Aspect::Exported => "exported symbols",
        Aspect::RunPath => "run path",
        Aspect::InheritedRunPath => "run path (DT_RPATH)",
        Aspect::Cpu => "CPU",
        Aspect::Kernel => "oldest kernel",
        Aspect::PageSize => "segment alignment",
        Aspect::Stack => "stack",
        Aspect::TextRelocations => "text relocations",
        Aspect::PackedRelocations => "DT_RELR",
        Aspect::BindsAtStart => "binds at start",
        Aspect::PositionIndependent => "position-independent",
        Aspect::OpensAtRunTime => "opens at run time",
        Aspect::Platform => "runs on",
        Aspect::Size => "size in bytes",
    }
}

fn change(out: &mut impl Write, change: &Change) -> io::Result<()> {
    let name = name(change.aspect);
    let worse = change.regression.is_some();
    let of = change.subject.as_ref().map(|subject| format!("{subject}: ")).unwrap_or_default();
    match &change.from_to {
        FromTo::Value { old, new } => {
            let value = value(change.aspect, old.as_deref(), new.as_deref());
            row(out, name, &format!("{of}{value}"), worse)?;
        }
        FromTo::Set { gained, lost } => {
            let mut first = name;
            for (names, sign) in [(gained, '+'), (lost, '-')] {
                if !names.is_empty() {
                    row(
                        out,
                        first,
                        &format!("{of}{sign} {}", some_of(names, NAMED)),
                        worse && first == name,
                    )?;
                    first = "";
                }
            }
        }
    }
    match &change.regression {
        Some(why) => row(out, "", why, false),
        None => Ok(()),
    }
}

fn grown(aspect: Aspect, old: Option<&str>, new: Option<&str>) -> String {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    match (aspect, number(old), number(new)) {
        (Aspect::Size, Some(old), Some(new)) => format!(" ({:+.1} %)", (new / old - 1.0) * 100.0),
        _ => String::new(),
    }
}

/// A line of what, and how it changed; one that is worse is marked.
fn row(out: &mut impl Write, name: &str, value: &str, worse: bool) -> io::Result<()> {
    let indent = " ".repeat(2 + 6 + NAME + 2);
    let options = textwrap::Options::new(WIDTH - indent.len())
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    for (at, line) in textwrap::wrap(&escape(value), options).iter().enumerate() {
        match (at, worse) {
            (0, true) => writeln!(out, "  {WORSE}worse{WORSE:#} {name:<NAME$}  {line}")?,
            (0, false) => writeln!(out, "{}{name:<NAME$}  {line}", " ".repeat(8))?,
            _ => writeln!(out, "{indent}{line}")?,
        }
    }
    Ok(())
}

fn summary(out: &mut impl Write, report: &Diff<'_>, artifacts: &[ArtifactOut<'_>]) -> io::Result<()> {
    let of = |status| artifacts.iter().filter(|artifact| artifact.status == status).count();
    let compared = of(Status::Changed) + of(Status::Unchanged);
    let mut parts = Vec::new();
    let regressions = report.comparison.regressions();
    if regressions > 0 {
        parts.push(count(regressions, "regression"));
    }
    let others = report.comparison.other_changes();
    match (regressions, others) {
        (0, 0) if compared == 0 => {}
        (0, 0) => parts.push("no change".to_owned()),
        (_, 0) => {}
        (0, others) => parts.push(format!("no regression, {}", count(others, "change"))),
        (_, others) => parts.push(count(others, "other change")),
    }
    if report.happened.not_judged {
        parts.push(if parts.is_empty() { "not compared" } else { "not all was compared" }.to_owned());
    }
    let not_told = artifacts.iter().flat_map(|artifact| artifact.not_compared);
    let mut not_told: Vec<_> =
        not_told.filter(|not| not.what != Aspect::Size).map(|not| name(not.what)).collect();
    not_told.sort_unstable();
    not_told.dedup();
    let mut lines = vec![format!("{}: {}", count(compared, "artifact"), parts.join(", "))];
    if !not_told.is_empty() {
        lines.push(format!("not compared everywhere: {}", not_told.join(", ")));
    }
    if of(Status::Unchanged) > 0 {
        let names = artifacts.iter().filter(|artifact| artifact.status == Status::Unchanged);
        let names: Vec<_> =
            names.filter_map(|artifact| artifact.new).map(|path| escape(file_name(path))).collect();
        lines.push(format!("unchanged: {}", some_of(&names, NAMED)));
    }
    for (word, release) in [("old", report.old), ("new", report.new)] {
        if let Some(line) = set_aside(release) {
            lines.push(format!("in the {word} one, {line}"));
        }
    }
    let good = regressions == 0 && !report.happened.not_judged;
    human::summary(out, "Compared", good, &lines)
}

/// What of a release was not compared, by kind.
fn set_aside(release: &Release) -> Option<String> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for member in &release.members {
        if let Holds::Other(format) = member.holds {
            *kinds.entry(format.to_string()).or_default() += 1;
        }
    }
    let list = |kinds: Vec<(String, usize)>| {
        kinds.iter().map(|(kind, number)| count(*number, kind)).collect::<Vec<_>>().join(", ")
    };
    let other = list(kinds.into_iter().collect());
    let over: Vec<_> =
        release.passed_over.iter().map(|(kind, number)| ((*kind).to_owned(), *number)).collect();
    let over = list(over);
    match (other.is_empty(), over.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("passed over: {over}")),
        (false, true) => Some(format!("not examined: {other}")),
        (false, false) => Some(format!("not examined: {other}; passed over: {over}")),
    }
}
