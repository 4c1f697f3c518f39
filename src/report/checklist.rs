//! The table of a release: each artifact, and what became of it where. Markdown and HTML write it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::model::{Artifact, Finding, Report, Status, Verdict};
use crate::finding::Level;

/// What stands in place of a target where nothing tells it.
pub const NO_TARGET: &str = "no target known";

/// The artifacts by target; or, where the policy names platforms, by platform.
#[derive(Debug)]
pub struct Checklist {
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    /// The artifact, as far as needed to tell it from the others.
    pub name: String,
    /// Its target, where the columns are not the targets.
    pub target: Option<String>,
    /// One for each column.
    pub cells: Vec<Cell>,
}

#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub state: State,
    /// Findings that made it so, by their index in the report.
    pub findings: Vec<usize>,
    /// Reasons that are no finding.
    pub why: Vec<String>,
    pub warnings: usize,
    pub accepted: usize,
}

/// The worst is the greatest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No such artifact for that target.
    #[default]
    Absent,
    Runs,
    Kept,
    /// A format that is not read, and that no rule concerns.
    NotExamined,
    /// It was read, but nothing was held against it.
    NoRule,
    Undecided,
    Fails,
}

impl State {
    pub fn words(self) -> &'static str {
        match self {
            Self::Absent => "not there",
            Self::Runs => "runs",
            Self::Kept => "kept",
            Self::NotExamined => "not examined",
            Self::NoRule => "no rule applies",
            Self::Undecided => "undecided",
            Self::Fails => "fails",
        }
    }

    /// Told apart without colour.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Absent => "–",
            Self::Runs | Self::Kept => "✓",
            Self::NotExamined | Self::NoRule => "○",
            Self::Undecided => "?",
            Self::Fails => "✗",
        }
    }
}

/// Why a cell is as it is: a lint, and what it is about.
#[derive(Debug)]
pub struct Reason<'r> {
    pub lint: &'r str,
    /// Its first finding, by its index in the report.
    pub first: usize,
    pub subjects: Vec<&'r str>,
}

impl Cell {
    pub fn reasons<'r>(&self, report: &'r Report) -> Vec<Reason<'r>> {
        let mut reasons: Vec<Reason<'r>> = Vec::new();
        for at in &self.findings {
            let finding = &report.findings[*at];
            let subject = finding.subject.as_deref();
            match reasons.iter_mut().find(|reason| reason.lint == finding.lint) {
                Some(reason) => reason.subjects.extend(subject),
                None => reasons.push(Reason {
                    lint: &finding.lint,
                    first: *at,
                    subjects: subject.into_iter().collect(),
                }),
            }
        }
        reasons
    }
}

impl Reason<'_> {
    /// What it is about, for people.
    pub fn about(&self) -> String {
        let subjects: Vec<String> =
            self.subjects.iter().map(|subject| crate::text::escape(subject)).collect();
        crate::text::some_of(&subjects, SUBJECTS)
    }
}

/// Reasons given in a cell.
const REASONS: usize = 6;
/// Subjects named in a cell.
const SUBJECTS: usize = 3;

impl Checklist {
    pub fn new(report: &Report) -> Self {
        let names = names(report);
        match report.artifacts.iter().any(|artifact| !artifact.platforms.is_empty()) {
            true => by_platform(report, &names),
            false => by_target(report, &names),
        }
    }
}

/// The triples, or what stands for none.
pub fn targets(artifact: &Artifact) -> Vec<&str> {
    match artifact.triples.as_slice() {
        [] => vec![NO_TARGET],
        triples => triples.iter().map(String::as_str).collect(),
    }
}

/// The name of each artifact, or its path where another of that name is for the same target.
pub fn names(report: &Report) -> Vec<String> {
    let mut number: HashMap<(&str, &str), usize> = HashMap::new();
    for artifact in &report.artifacts {
        for target in targets(artifact) {
            *number.entry((&artifact.name, target)).or_default() += 1;
        }
    }
    let alike: BTreeMap<&str, bool> =
        number.iter().fold(BTreeMap::new(), |mut alike, ((name, _), number)| {
            *alike.entry(*name).or_default() |= *number > 1;
            alike
        });
    let name = |artifact: &Artifact| match alike[artifact.name.as_str()] {
        true => report.shown(&artifact.path),
        false => crate::text::escape(&artifact.name),
    };
    report.artifacts.iter().map(name).collect()
}

/// Findings and accepted ones of each artifact, by its index.
struct Found {
    findings: Vec<Vec<usize>>,
    accepted: Vec<Vec<usize>>,
}

impl Found {
    fn new(report: &Report) -> Self {
        let mut at: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (index, artifact) in report.artifacts.iter().enumerate() {
            at.entry((&artifact.name, &artifact.path.path)).or_default().push(index);
        }
        let of = |finding: &Finding| {
            let key = finding.artifact.as_deref().zip(finding.path.as_ref().map(|path| path.path.as_str()));
            let alike = key.and_then(|key| at.get(&key)).into_iter().flatten().copied();
            alike.filter(|index| finding.is_about(&report.artifacts[*index])).collect::<Vec<_>>()
        };
        let sort = |all: Vec<&Finding>| {
            let mut sorted = vec![Vec::new(); report.artifacts.len()];
            for (index, finding) in all.into_iter().enumerate() {
                for artifact in of(finding) {
                    sorted[artifact].push(index);
                }
            }
            sorted
        };
        Self {
            findings: sort(report.findings.iter().collect()),
            accepted: sort(report.accepted.iter().map(|accepted| &accepted.finding).collect()),
        }
    }
}

fn cell(report: &Report, found: &Found, index: usize, target: &str) -> Cell {
    let artifact = &report.artifacts[index];
    let concerns =
        |finding: &Finding| finding.triples.is_empty() || finding.triples.iter().any(|own| own == target);
    let mut cell = Cell {
        state: match artifact.status {
            Status::Judged if artifact.rule_applied => State::Kept,
            Status::Judged => State::NoRule,
            Status::NotExamined => State::NotExamined,
            Status::Unreadable => State::Undecided,
        },
        ..Cell::default()
    };
    for at in found.findings[index].iter().copied() {
        let finding = &report.findings[at];
        if !concerns(finding) {
            continue;
        }
        let state = match finding.undecided {
            true => State::Undecided,
            false if finding.level >= report.fail_on => State::Fails,
            false => {
                cell.warnings += 1;
                continue;
            }
        };
        cell.state = cell.state.max(state);
        cell.findings.push(at);
    }
    let accepted = found.accepted[index].iter().filter(|at| concerns(&report.accepted[**at].finding));
    cell.accepted = accepted.count();
    cell.why.extend(artifact.error.iter().filter(|_| cell.findings.is_empty()).cloned());
    cell.why.extend(artifact.format.iter().map(ToString::to_string));
    cell
}

fn by_target(report: &Report, names: &[String]) -> Checklist {
    let found = Found::new(report);
    let mut columns: Vec<String> = report.build.iter().flat_map(|build| build.targets.clone()).collect();
    for target in report.artifacts.iter().flat_map(targets) {
        if !columns.iter().any(|column| column == target) {
            columns.push(target.to_owned());
        }
    }
    // A target of which nothing came stays: the table says so.
    columns.sort_by_key(|column| column == NO_TARGET);
    let mut rows: Vec<Row> = Vec::new();
    let mut at: HashMap<&str, usize> = HashMap::new();
    for (index, artifact) in report.artifacts.iter().enumerate() {
        let row = *at.entry(&names[index]).or_insert_with(|| {
            let cells = vec![Cell::default(); columns.len()];
            rows.push(Row { name: names[index].clone(), target: None, cells });
            rows.len() - 1
        });
        for target in targets(artifact) {
            if let Some(column) = columns.iter().position(|column| column == target) {
                rows[row].cells[column] = cell(report, &found, index, target);
            }
        }
    }
    Checklist { columns, rows }
}

fn by_platform(report: &Report, names: &[String]) -> Checklist {
    let found = Found::new(report);
    let mut columns = vec!["policy".to_owned()];
    for on in report.artifacts.iter().flat_map(|artifact| &artifact.platforms) {
        if !columns.contains(&on.platform) {
            columns.push(on.platform.clone());
        }
    }
    let mut rows = Vec::new();
    for (index, artifact) in report.artifacts.iter().enumerate() {
        for target in targets(artifact) {
            let mut cells = vec![cell(report, &found, index, target)];
            for platform in &columns[1..] {
                let on = artifact.platforms.iter().find(|on| on.platform == *platform);
                cells.push(on.map_or_else(Cell::default, |on| Cell {
                    state: match on.verdict {
                        Verdict::Runs => State::Runs,
                        Verdict::Undecided => State::Undecided,
                        Verdict::Fails => State::Fails,
                    },
                    why: brief(&on.why),
                    ..Cell::default()
                }));
            }
            rows.push(Row { name: names[index].clone(), target: Some(target.to_owned()), cells });
        }
    }
    Checklist { columns, rows }
}

/// As many reasons as a cell has room for.
fn brief(why: &[String]) -> Vec<String> {
    let mut brief: Vec<String> = why.iter().take(REASONS).cloned().collect();
    if why.len() > REASONS {
        brief.push(format!("and {} more", why.len() - REASONS));
    }
    brief
}

/// What packages of the platforms bring.
pub const PACKAGES: &str = "packages";

/// The packages of the needed libraries, for each list of them the platforms.
fn packages(artifact: &Artifact) -> String {
    let mut lists: Vec<(String, Vec<&str>)> = Vec::new();
    for on in &artifact.platforms {
        let names: BTreeSet<String> = on.libraries.iter().map(|one| one.packages.join(" | ")).collect();
        let list = names.into_iter().collect::<Vec<_>>().join(", ");
        match lists.iter_mut().find(|(known, _)| *known == list) {
            _ if list.is_empty() => {}
            Some((_, platforms)) => platforms.push(&on.platform),
            None => lists.push((list, vec![&on.platform])),
        }
    }
    let shown = lists.iter().map(|(list, platforms)| format!("{}: {list}", platforms.join(", ")));
    shown.collect::<Vec<_>>().join("; ")
}

/// What a file needs, for people: one line a subject.
pub fn needs(artifact: &Artifact) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(needs) = &artifact.needs {
        let linkage = match needs.linkage {
            Some(super::model::Linkage::Static) => "static",
            Some(super::model::Linkage::Dynamic) => "dynamic",
            None => "shared object",
        };
        rows.push(("linkage", linkage.to_owned()));
        let floors = needs.floors.iter().map(|(namespace, floor)| format!("{namespace} {floor}"));
        let floors: Vec<String> = floors.chain(needs.unordered.iter().cloned()).collect();
        rows.push(("floors", floors.join(", ")));
    }
    if let Some(facts) = &artifact.facts {
        rows.push(("architecture", facts.arch.to_string()));
        rows.push(("needed libraries", facts.needed.join(", ")));
        rows.push((PACKAGES, packages(artifact)));
        rows.push(("interpreter", facts.interpreter.clone().unwrap_or_default()));
        rows.push(("run path", [&*facts.rpath, &*facts.runpath].concat().join(":")));
        rows.push(("kernel", facts.abi_tag.clone().unwrap_or_default()));
    }
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

/// Whether a finding fails the run, warns, or could not be decided.
pub fn weight(report: &Report, finding: &Finding) -> &'static str {
    match (finding.undecided, finding.level) {
        (true, _) => "undecided",
        (false, Level::Deny) => "error",
        (false, _) if report.fail_on == Level::Warn => "error",
        (false, _) => "warning",
    }
}
