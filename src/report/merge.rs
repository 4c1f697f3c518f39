//! One report of many: each runner of a matrix judges what it built, and the release is all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::model::{Artifact, Finding, Labelled, PathText, Position, Report, Status, Tool};
use super::{BuildInfo, Failure};
use crate::exit::Happened;
use crate::policy;
use crate::text::some_of;
use crate::workspace::folder_of;

/// A report, and where it was saved, for people.
#[derive(Debug)]
pub struct Saved {
    pub from: String,
    pub report: Report,
}

/// Makes one report. `Err`: they are of different policies, so that there is
/// no one thing that they say.
pub fn merge(mut saved: Vec<Saved>, mut failures: Vec<Failure>) -> Result<Report, Failure> {
    one_policy(&saved)?;
    // Named twice, as two globs do it.
    let mut seen = BTreeSet::new();
    saved.retain(|one| seen.insert(serde_json::to_string(&one.report).unwrap_or_default()));
    failures.extend(twice(&saved));
    failures.extend(missing(&saved));

    let first = saved.first().ok_or_else(|| Failure::new("there was no report to merge"))?;
    let mut merged = Report { tool: Tool::this(), command: "merge".to_owned(), ..first.report.clone() };
    if let Some(with_policy) = saved.iter().find(|one| one.report.policy.is_some()) {
        merged.folder.clone_from(&with_policy.report.folder);
        merged.root.clone_from(&with_policy.report.root);
        merged.policy.clone_from(&with_policy.report.policy);
    }
    let policy = merged.policy.as_ref().map(|policy| policy.path.clone());
    merged.artifacts.clear();
    merged.accepted.clear();
    merged.not_selected.clear();
    merged.passed_over.clear();
    merged.failures.clear();
    merged.build = None;
    let all = saved.iter().filter(|one| one.report.complete).count();
    // Of the run and not of a file: who says it, by what it is known again.
    let mut of_run: BTreeMap<String, (Finding, Vec<String>)> = BTreeMap::new();
    merged.findings.clear();
    let mut happened = Happened { not_judged: !failures.is_empty(), ..Happened::default() };
    for Saved { from, report } in saved {
        let moved = Moved { folder: report.folder, policy: policy.clone() };
        happened.usage |= report.happened.usage;
        happened.broken |= report.happened.broken;
        happened.not_judged |= report.happened.not_judged;
        merged.complete &= report.complete;
        merged.date = merged.date.max(report.date);
        merged.fail_on = merged.fail_on.min(report.fail_on);
        merged.cpu = merged.cpu.max(report.cpu);
        merged.not_selected.extend(report.not_selected);
        for (kind, number) in report.passed_over {
            *merged.passed_over.entry(kind).or_default() += number;
        }
        merged.build = both(merged.build.take(), report.build);
        merged.levels.extend(report.levels.into_iter().map(|(lint, mut set)| {
            set.at = set.at.map(|at| moved.position(at));
            (lint, set)
        }));
        merged.artifacts.extend(report.artifacts.into_iter().map(|artifact| moved.artifact(artifact)));
        merged.accepted.extend(report.accepted.into_iter().map(|mut accepted| {
            accepted.finding = moved.finding(accepted.finding);
            accepted
        }));
        for finding in report.findings.into_iter().map(|finding| moved.finding(finding)) {
            if finding.artifact.is_some() {
                merged.findings.push(finding);
                continue;
            }
            let key = format!("{} {:?} {}", finding.lint, finding.subject, finding.message);
            of_run.entry(key).or_insert_with(|| (finding, Vec::new())).1.push(from.clone());
        }
        merged
            .failures
            .extend(report.failures.into_iter().map(|failure| failure.note(format!("so {from} says"))));
    }
    for (mut finding, from) in of_run.into_values() {
        if from.len() < all {
            finding.notes.push(format!("so says {} alone", some_of(&from, 3)));
        }
        merged.findings.push(finding);
    }
    let judged: BTreeSet<&str> = merged.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    merged.not_selected.retain(|name| !judged.contains(name.as_str()));
    merged.not_selected.sort();
    merged.not_selected.dedup();
    merged.artifacts.sort_by(|a, b| (&a.name, &a.triples, &a.path).cmp(&(&b.name, &b.triples, &b.path)));
    merged.failures.extend(failures);
    merged.count();
    merged.set_happened(happened);
    Ok(merged)
}

/// Line ends are the checkout's, and not the policy's.
fn same_lines(a: &str, b: &str) -> bool {
    a.lines().eq(b.lines())
}

fn one_policy(saved: &[Saved]) -> Result<(), Failure> {
    let mut with = saved.iter().filter_map(|one| Some((&one.from, one.report.policy.as_ref()?)));
    let Some((from, first)) = with.next() else { return Ok(()) };
    let Some((other, policy)) = with.find(|(_, policy)| !same_lines(&policy.text, &first.text)) else {
        return Ok(());
    };
    let lines = first.text.lines().map(Some).chain(std::iter::repeat(None));
    let others = policy.text.lines().map(Some).chain(std::iter::repeat(None));
    let differs = lines.zip(others).take_while(|(a, b)| a.is_some() || b.is_some()).position(|(a, b)| a != b);
    let at = differs.map_or(1, |at| at + 1);
    let line =
        |text: &str| text.lines().nth(at - 1).map_or("no such line".to_owned(), |line| format!("`{line}`"));
    Err(Failure::new("the reports are of different policies; nothing was merged")
        .note(format!("line {at} in {from}: {}", line(&first.text)))
        .note(format!("line {at} in {other}: {}", line(&policy.text)))
        .help("judge all of a release by one policy, of one commit"))
}

/// One artifact for one target in two reports: nobody knows which one ships.
fn twice(saved: &[Saved]) -> Vec<Failure> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut failures = Vec::new();
    for Saved { from, report } in saved {
        let mut own = BTreeSet::new();
        for artifact in report.artifacts.iter().filter(|artifact| artifact.status != Status::NotExamined) {
            own.extend(artifact.triples.iter().map(|triple| (artifact.name.as_str(), triple.as_str())));
        }
        for (name, triple) in own {
            match seen.get(&(name, triple)) {
                Some(other) => failures.push(
                    Failure::new(format!("`{name}` for {triple} is in two reports"))
                        .note(format!("{other} and {from}; nothing tells which one ships")),
                ),
                None => {
                    seen.insert((name, triple), from);
                }
            }
        }
    }
    failures
}

/// The targets of `[build]` that no complete report is of.
fn missing(saved: &[Saved]) -> Vec<Failure> {
    let Some(text) = saved.iter().find_map(|one| one.report.policy.as_ref()) else { return Vec::new() };
    let source = policy::Source { path: PathBuf::from(&text.path.path), text: text.text.clone() };
    let policy = match policy::parse(source) {
        Ok(policy) => policy,
        Err((_, problems)) => {
            let mut failure = Failure::new(
                "the policy of the reports cannot be read by this version, so nobody knows which targets it names",
            );
            failure.notes.extend(problems.into_iter().map(|problem| problem.message));
            return vec![failure];
        }
    };
    let complete = saved.iter().filter(|one| one.report.complete);
    let came: BTreeSet<String> = complete
        .flat_map(|one| {
            let built = one.report.build.iter().flat_map(|build| build.targets.iter());
            built
                .chain(one.report.artifacts.iter().flat_map(|artifact| &artifact.triples))
                .cloned()
                .collect::<Vec<_>>()
        })
        .collect();
    let named: BTreeSet<String> =
        policy.build.targets.iter().map(|target| folder_of(&target.value)).collect();
    let failure = |target: &policy::At<String>| {
        let (line, _) = policy.source.position(target.span.start);
        Failure::new(format!("no complete report came for {}", target.value))
            .note(format!("`targets` in {}:{line} names it", crate::text::path(&policy.source.path)))
    };
    let has_come = |target: &&policy::At<String>| match target.value.as_str() {
        // Whatever machine it was: one that is not named otherwise.
        "host-tuple" => came.iter().any(|triple| !named.contains(triple)),
        target => came.contains(&folder_of(target)),
    };
    policy.build.targets.iter().filter(|target| !has_come(target)).map(failure).collect()
}

fn both(one: Option<BuildInfo>, other: Option<BuildInfo>) -> Option<BuildInfo> {
    let (Some(mut one), Some(other)) = (one.clone(), other.clone()) else { return one.or(other) };
    if !one.profile.split(", ").any(|profile| profile == other.profile) {
        one.profile = format!("{}, {}", one.profile, other.profile);
    }
    one.targets.extend(other.targets);
    one.targets.sort();
    one.targets.dedup();
    one.compiled = one.compiled.zip(other.compiled).map(|(one, other)| one + other);
    Some(one)
}

/// From one machine's folder to where all of them meet: what lay below that
/// folder is relative, and the policy is one file.
struct Moved {
    folder: PathText,
    policy: Option<PathText>,
}

impl Moved {
    fn path(&self, path: PathText) -> PathText {
        match path.below(&self.folder) {
            Some(below) if path.path_bytes.is_none() => PathText { path: below, path_bytes: None },
            _ => path,
        }
    }

    fn position(&self, at: Position) -> Position {
        Position { path: self.policy.clone().unwrap_or(at.path), ..at }
    }

    fn artifact(&self, artifact: Artifact) -> Artifact {
        Artifact { path: self.path(artifact.path), ..artifact }
    }

    fn finding(&self, finding: Finding) -> Finding {
        Finding {
            path: finding.path.map(|path| self.path(path)),
            policy: finding.policy.map(|place| Labelled { at: self.position(place.at), ..place }),
            ..finding
        }
    }
}
