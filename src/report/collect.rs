//! From what a run found to a [`Report`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::model::{
    Accepted, Artifact, Finding, Labelled, LevelSet, Linkage, Needs, OnPlatform, PathText, PolicyText,
    Position, Problem, ProvidedBy, Report, SCHEMA_VERSION, Status, Summary, Tool, Verdict,
};
use crate::artifact::{AbiVersion, Artifact as Facts, Libc, Role};
use crate::exit::Happened;
use crate::finding::{self, Level};
use crate::judge::{CpuExamined, Input, Judged, Judgement, NamedPlatform};
use crate::lints::{self, Reading};
use crate::loader;
use crate::many::each;
use crate::policy::{self, Policy, Source};
use crate::runs_on;

impl Position {
    fn new(source: &Source, span: &Range<usize>) -> Self {
        let (line, column) = source.position(span.start);
        let (end_line, end_column) = source.position(span.end.min(source.text.len()));
        let path = PathText::new(&source.path);
        Self { path, line, column, end_line, end_column, start: span.start, end: span.end }
    }
}

impl Report {
    /// Of a run that has not come to anything yet.
    pub fn new(folder: &Path, date: String, fail_on: Level) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool::this(),
            command: "check".to_owned(),
            exit_code: 0,
            happened: Happened::default(),
            complete: false,
            date,
            folder: PathText::new(folder),
            root: None,
            policy: None,
            policy_problems: Vec::new(),
            fail_on,
            build: None,
            summary: Summary::default(),
            findings: Vec::new(),
            accepted: Vec::new(),
            levels: BTreeMap::new(),
            artifacts: Vec::new(),
            cpu: CpuExamined::default(),
            not_selected: Vec::new(),
            passed_over: BTreeMap::new(),
            failures: Vec::new(),
            runs: Vec::new(),
            since: None,
            remarks: Vec::new(),
        }
    }

    pub fn set_happened(&mut self, happened: Happened) {
        self.happened = happened;
        self.exit_code = happened.code();
    }

    /// The policy's text, and everything that is wrong in it.
    pub fn set_policy(&mut self, source: &Source, problems: &[policy::Problem]) {
        self.policy = Some(PolicyText { path: PathText::new(&source.path), text: source.text.clone() });
        let problem = |problem: &policy::Problem| Problem {
            message: problem.message.clone(),
            label: problem.label.clone(),
            help: problem.help.clone(),
            at: Position::new(source, &problem.span),
            other: problem.other.as_ref().map(|(span, label)| Labelled {
                at: Position::new(source, span),
                label: (*label).to_owned(),
            }),
        };
        self.policy_problems = problems.iter().map(problem).collect();
    }

    /// The verdict. What the loader found of each file is given back: it takes time to drop, and whose process ends
    /// soon does not.
    pub fn set_judgement(
        &mut self,
        policy: &Policy,
        inputs: Vec<Input>,
        judgement: Judgement,
        on_platforms: bool,
    ) -> Vec<LoaderFound> {
        self.complete = true;
        self.cpu = judgement.cpu;
        self.findings =
            judgement.findings.into_iter().map(|finding| self::finding(finding, policy)).collect();
        let accepted = judgement.accepted.into_iter().filter_map(|(finding, index)| {
            let exception = policy.exceptions.get(index)?;
            Some(Accepted {
                finding: self::finding(finding, policy),
                reason: exception.reason.clone(),
                until: exception.until.as_ref().map(|until| until.value.to_string()),
                baseline: false,
            })
        });
        self.accepted = accepted.collect();
        let file = policy.baseline.as_ref().map(|file| file.value.clone()).unwrap_or_default();
        self.accepted.extend(judgement.known.into_iter().map(|known| Accepted {
            finding: finding(known, policy),
            reason: format!("in the baseline {file}"),
            until: None,
            baseline: true,
        }));
        self.levels =
            self.findings.iter().map(|found| (found.lint.clone(), level(&found.lint, policy))).collect();
        let all = inputs.into_iter().zip(judgement.judged).collect();
        let (artifacts, found) =
            each(all, |(input, judged)| artifact(input, judged, on_platforms)).into_iter().unzip();
        self.artifacts = artifacts;
        self.count();
        found
    }

    /// The numbers, of what is there now.
    pub fn count(&mut self) {
        let mut summary = Summary { accepted: self.accepted.len(), ..Summary::default() };
        for finding in &self.findings {
            match (finding.undecided, finding.level) {
                (true, _) => summary.undecided += 1,
                (false, Level::Deny) => summary.errors += 1,
                (false, _) => summary.warnings += 1,
            }
        }
        summary.judged = self.artifacts.iter().filter(|artifact| artifact.status == Status::Judged).count();
        self.summary = summary;
    }
}

fn finding(finding: finding::Finding, policy: &Policy) -> Finding {
    let (artifact, path, triples) = match finding.place {
        Some(place) => (Some(place.name), Some(PathText::new(&place.path)), place.triples),
        None => (None, None, Vec::new()),
    };
    Finding {
        lint: finding.lint.to_owned(),
        level: finding.level,
        undecided: finding.undecided,
        artifact,
        path,
        triples,
        subject: finding.subject,
        platform: finding.platform,
        message: finding.message,
        policy: finding.forbids.map(|forbids| Labelled {
            at: Position::new(&policy.source, &forbids.span),
            label: forbids.label,
        }),
        items: finding.items,
        notes: finding.notes,
        causes: finding.causes,
        help: finding.help,
    }
}

fn level(lint: &str, policy: &Policy) -> LevelSet {
    match policy.lints.get(lint) {
        Some(set) => LevelSet { level: set.value, at: Some(Position::new(&policy.source, &set.span)) },
        None => LevelSet { level: lints::find(lint).map_or(Level::Deny, |lint| lint.default), at: None },
    }
}

/// What the loader of each platform found of a file, and the one of the sysroot.
pub type LoaderFound = (Vec<NamedPlatform>, Option<loader::Verdict>);

fn artifact(input: Input, judged: Judged, on_platforms: bool) -> (Artifact, LoaderFound) {
    let mut artifact = Artifact {
        name: input.name.shown,
        path: PathText::new(&input.path),
        triples: input.triples,
        status: Status::Judged,
        format: None,
        error: None,
        needs: None,
        facts: None,
        rule_applied: judged.rule_applied,
        not_applicable: judged.not_applicable.into_iter().map(str::to_owned).collect(),
        platforms: Vec::new(),
    };
    if on_platforms && let Reading::Facts(facts) = &input.reading {
        artifact.platforms = input.platforms.iter().map(|named| on_platform(named, facts)).collect();
    }
    match input.reading {
        Reading::Facts(facts) => {
            artifact.needs = Some(needs(&facts, input.role));
            artifact.facts = Some(facts);
        }
        Reading::Linkable(done) => artifact.format = Some(done.facts.format),
        Reading::Other(format) => (artifact.status, artifact.format) = (Status::NotExamined, Some(format)),
        Reading::Unreadable(error) => {
            (artifact.status, artifact.error) = (Status::Unreadable, Some(error.to_string()));
        }
        Reading::Ambiguous { message, .. } => {
            (artifact.status, artifact.error) = (Status::Unreadable, Some(message));
        }
    }
    (artifact, (input.platforms, input.verdict))
}

fn provided_by(library: &runs_on::Library) -> Option<ProvidedBy> {
    Some(ProvidedBy {
        library: library.name.as_deref()?.to_owned(),
        packages: library.packages.to_vec(),
        plain: library.plain,
    })
}

fn on_platform(named: &NamedPlatform, facts: &Facts) -> OnPlatform {
    OnPlatform {
        platform: named.name.clone(),
        verdict: Verdict::of(&named.found),
        why: runs_on::reasons(&named.found, facts),
        packages: named.found.packages.clone(),
        libraries: named.found.libraries.iter().filter_map(provided_by).collect(),
    }
}

fn needs(facts: &Facts, role: Option<Role>) -> Needs {
    let is_static = facts.interpreter.is_none() && facts.needed.is_empty();
    let linkage = match (role.unwrap_or(facts.role), is_static) {
        (Role::Executable, true) => Some(Linkage::Static),
        (Role::Executable, false) => Some(Linkage::Dynamic),
        (Role::SharedObject, _) => None,
    };
    // Fact 13: musl ignores them. Fact 9: a weak need is no need.
    let counted = facts.version_needs.iter().filter(|need| !need.weak && facts.libc != Libc::Musl);
    let age_unknown = |version: &&String| AbiVersion::parse(version, []).tag.release().is_none();
    let unordered = counted.map(|need| &need.version).filter(age_unknown).cloned().collect();
    let floors =
        facts.floors().into_iter().map(|(namespace, floor)| (namespace, floor.to_string())).collect();
    Needs { linkage, floors, unordered }
}
