//! For machines: one object, described in `docs/report.md`.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::Check;
use crate::artifact::{Artifact, Format};
use crate::finding::{Finding, Item};
use crate::judge::{CpuExamined, Input, Judged};
use crate::lints::Reading;
use crate::policy::{Policy, Source};

/// Raised when a field changes its meaning or goes; new fields do not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// The report of `cargo compat check --message-format json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, expect(missing_debug_implementations, reason = "it is only written"))]
pub struct Object<'a> {
    schema_version: u32,
    tool: Tool,
    command: &'static str,
    exit_code: u8,
    policy: Option<PathText>,
    policy_problems: Vec<Problem>,
    build: Option<Build<'a>>,
    summary: Summary,
    findings: Vec<FindingOut<'a>>,
    accepted: Vec<Accepted<'a>>,
    artifacts: Vec<ArtifactOut<'a>>,
    cpu_not_examined: bool,
    not_selected: &'a [String],
    passed_over: std::collections::BTreeMap<&'static str, usize>,
    failures: Vec<Failure<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Tool {
    pub const THIS: Self = Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };
}

/// A path as text, and as bytes in hexadecimal where it is not UTF-8.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathText {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

impl PathText {
    pub fn new(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self { path: text.to_owned(), path_bytes: None },
            None => Self {
                path: path.to_string_lossy().into_owned(),
                path_bytes: Some(
                    path.as_os_str().as_encoded_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
                ),
            },
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Position {
    #[serde(flatten)]
    path: PathText,
    line: usize,
    column: usize,
}

impl Position {
    fn new(source: &Source, offset: usize) -> Self {
        let (line, column) = source.position(offset);
        Self { path: PathText::new(&source.path), line, column }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Problem {
    message: String,
    label: String,
    help: Option<String>,
    at: Position,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Build<'a> {
    profile: &'a str,
    targets: &'a [String],
    compiled: Option<usize>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Summary {
    judged: usize,
    errors: usize,
    warnings: usize,
    undecided: usize,
    accepted: usize,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct FindingOut<'a> {
    lint: &'a str,
    level: crate::finding::Level,
    undecided: bool,
    artifact: Option<&'a str>,
    #[serde(flatten)]
    path: Option<PathText>,
    triples: &'a [String],
    subject: Option<&'a str>,
    message: &'a str,
    policy: Option<Position>,
    items: &'a [Item],
    notes: &'a [String],
    help: Option<&'a str>,
}

impl<'a> FindingOut<'a> {
    fn new(finding: &'a Finding, policy: Option<&'a Policy>) -> Self {
        let place = finding.place.as_ref();
        let forbids = finding.forbids.as_ref();
        Self {
            lint: finding.lint,
            level: finding.level,
            undecided: finding.undecided,
            artifact: place.map(|place| place.name.as_str()),
            path: place.map(|place| PathText::new(&place.path)),
            triples: place.map_or(&[], |place| &place.triples),
            subject: finding.subject.as_deref(),
            message: &finding.message,
            policy: policy
                .zip(forbids)
                .map(|(policy, forbids)| Position::new(&policy.source, forbids.span.start)),
            items: &finding.items,
            notes: &finding.notes,
            help: finding.help.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Accepted<'a> {
    #[serde(flatten)]
    finding: FindingOut<'a>,
    reason: &'a str,
    until: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ArtifactOut<'a> {
    name: &'a str,
    #[serde(flatten)]
    path: PathText,
    triples: &'a [String],
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Artifact>,
    rule_applied: bool,
    not_applicable: &'a [&'static str],
}

impl<'a> ArtifactOut<'a> {
    fn new(input: &'a Input, judged: Option<&'a Judged>) -> Self {
        let mut out = Self {
            name: &input.name.shown,
            path: PathText::new(&input.path),
            triples: &input.triples,
            status: "judged",
            format: None,
            error: None,
            facts: None,
            rule_applied: judged.is_some_and(|judged| judged.rule_applied),
            not_applicable: judged.map_or(&[], |judged| &judged.not_applicable),
        };
        match &input.reading {
            Reading::Facts(facts) => out.facts = Some(facts),
            Reading::Other(format) => (out.status, out.format) = ("not-examined", Some(*format)),
            Reading::Unreadable(error) => (out.status, out.error) = ("unreadable", Some(error.to_string())),
            Reading::Ambiguous { message, .. } => {
                (out.status, out.error) = ("unreadable", Some(message.clone()));
            }
        }
        out
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure<'a> {
    message: &'a str,
    notes: &'a [String],
    help: Option<&'a str>,
}

impl<'a> Failure<'a> {
    pub fn new(failure: &'a super::Failure) -> Self {
        Self { message: &failure.message, notes: &failure.notes, help: failure.help.as_deref() }
    }
}

pub fn check(out: &mut impl Write, report: &Check<'_>) -> io::Result<()> {
    let source = report.wrong_policy.map(|(source, _)| source).or(report.policy.map(|policy| &policy.source));
    let counts = report.counts();
    let judged = report.judgement.map_or(&[][..], |judgement| &judgement.judged);
    let accepted = report.judgement.map_or(&[][..], |judgement| &judgement.accepted);
    let object = Object {
        schema_version: SCHEMA_VERSION,
        tool: Tool::THIS,
        command: "check",
        exit_code: report.happened.code(),
        policy: source.map(|source| PathText::new(&source.path)),
        policy_problems: report.wrong_policy.map_or_else(Vec::new, |(source, problems)| {
            let problem = |problem: &crate::policy::Problem| Problem {
                message: problem.message.clone(),
                label: problem.label.clone(),
                help: problem.help.clone(),
                at: Position::new(source, problem.span.start),
            };
            problems.iter().map(problem).collect()
        }),
        build: report.build.map(|build| Build {
            profile: &build.profile,
            targets: &build.targets,
            compiled: build.compiled,
        }),
        summary: Summary {
            judged: report.inputs.iter().filter(|input| matches!(input.reading, Reading::Facts(_))).count(),
            errors: counts.errors,
            warnings: counts.warnings,
            undecided: counts.undecided,
            accepted: accepted.len(),
        },
        findings: report.findings().iter().map(|finding| FindingOut::new(finding, report.policy)).collect(),
        accepted: accepted
            .iter()
            .filter_map(|(finding, index)| {
                let exception = report.policy?.exceptions.get(*index)?;
                Some(Accepted {
                    finding: FindingOut::new(finding, report.policy),
                    reason: &exception.reason,
                    until: exception.until.as_ref().map(|until| until.value.to_string()),
                })
            })
            .collect(),
        artifacts: report
            .inputs
            .iter()
            .enumerate()
            .map(|(at, input)| ArtifactOut::new(input, judged.get(at)))
            .collect(),
        cpu_not_examined: report.judgement.is_some_and(|judgement| judgement.cpu == CpuExamined::NotAtAll),
        not_selected: report.not_selected,
        passed_over: report.passed_over.cloned().unwrap_or_default(),
        failures: report.failures.iter().map(Failure::new).collect(),
    };
    write(out, &object)
}

/// Compact, and with everything escaped that could act on a terminal: a report
/// is looked at in one, too.
struct Escaping;

impl serde_json::ser::Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut from = 0;
        for (at, letter) in fragment.char_indices().filter(|(_, letter)| crate::text::is_unsafe(*letter)) {
            out.write_all(&fragment.as_bytes()[from..at])?;
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            from = at + letter.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[from..])
    }
}

pub fn write(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    object.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Escaping))?;
    writeln!(out)
}
