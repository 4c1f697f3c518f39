//! What there is to say of a run, whatever the format: every renderer reads a [`Report`] and nothing else, and the
//! JSON report is a [`Report`] as it is, so that a saved one can be rendered again, on another machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::since::Since;
use super::{BuildInfo, Failure};
use crate::artifact::{Artifact as Facts, Format};
use crate::emulate::outcome::{Counts, Outcome};
use crate::exit::Happened;
use crate::finding::cause::Answer;
use crate::finding::{Item, Level};
use crate::judge::CpuExamined;
use crate::text;

/// Raised when a field changes its meaning or goes; new fields do not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// The report of `cargo compat check --message-format json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    pub schema_version: u32,
    pub tool: Tool,
    pub command: String,
    pub exit_code: u8,
    pub happened: Happened,
    /// The run came to a verdict; without one, `failures` and `policy_problems` say why.
    pub complete: bool,
    /// The day of the run, as `2026-12-31`.
    pub date: String,
    /// Relative paths are relative to this folder, and people see others below it relative to it.
    pub folder: PathText,
    /// The root of the version control's work tree that holds the policy.
    pub root: Option<PathText>,
    pub policy: Option<PolicyText>,
    pub policy_problems: Vec<Problem>,
    /// From which level on a finding breaks the policy.
    pub fail_on: Level,
    pub build: Option<BuildInfo>,
    pub summary: Summary,
    pub findings: Vec<Finding>,
    pub accepted: Vec<Accepted>,
    /// Of each lint that found something, its level and who set it.
    pub levels: BTreeMap<String, LevelSet>,
    pub artifacts: Vec<Artifact>,
    pub cpu: CpuExamined,
    pub not_selected: Vec<String>,
    pub passed_over: BTreeMap<String, usize>,
    pub failures: Vec<Failure>,
    /// Of `test`: the programs that were run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
    /// What changed since another release, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// More lines of the summary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A program that `test` ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Run {
    pub artifact: String,
    #[serde(flatten)]
    pub path: PathText,
    pub triple: String,
    pub root: String,
    /// How it was kept to the root.
    pub way: String,
    /// Absent where the machine itself ran it.
    pub emulator: Option<String>,
    pub cpu: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What libtest counted.
    pub counts: Option<Counts>,
    /// How long it ran.
    pub seconds: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    pub name: String,
    pub version: String,
}

impl Tool {
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// A path as text, and as bytes in hexadecimal where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathText {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
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

    fn bytes(&self) -> Vec<u8> {
        let Some(hex) = &self.path_bytes else { return self.path.clone().into_bytes() };
        let digits: Vec<u8> =
            hex.chars().filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// For people: escaped, and relative where it lies below `folder`.
    pub fn shown(&self, folder: &Self) -> String {
        let bytes = self.bytes();
        let folder = folder.bytes();
        let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
        let base = match folder.as_slice() {
            [base @ .., last] if is_separator(last) => base,
            base => base,
        };
        let below = bytes.strip_prefix(base).and_then(|rest| match rest {
            [first, rest @ ..] if is_separator(first) && !rest.is_empty() => Some(rest),
            _ => None,
        });
        text::bytes(below.filter(|_| !folder.is_empty()).unwrap_or(&bytes))
    }

    /// As text relative to `folder`, by forward slashes; `None` where it lies elsewhere.
    pub fn below(&self, folder: &Self) -> Option<String> {
        let rest = self.path.strip_prefix(folder.path.as_str())?;
        let rest = rest
            .strip_prefix(['/', '\\'])
            .filter(|rest| !rest.split(['/', '\\']).any(|part| part == ".."))?;
        Some(if folder.path.contains('\\') { rest.replace('\\', "/") } else { rest.to_owned() })
    }
}

/// The policy as it was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PolicyText {
    #[serde(flatten)]
    pub path: PathText,
    pub text: String,
}

/// A part of the policy's text: lines and columns (in characters) count from 1, `start` and `end` are bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Position {
    #[serde(flatten)]
    pub path: PathText,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    pub start: usize,
    pub end: usize,
}

/// Something wrong in the policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Problem {
    pub message: String,
    pub label: String,
    pub help: Option<String>,
    pub at: Position,
    /// Another place that plays a part.
    pub other: Option<Labelled>,
}

/// A place and what to say there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Labelled {
    #[serde(flatten)]
    pub at: Position,
    pub label: String,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    pub judged: usize,
    pub errors: usize,
    pub warnings: usize,
    pub undecided: usize,
    pub accepted: usize,
}

/// One artifact × lint × cause. Its key is lint, artifact, triples, platform and subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    pub lint: String,
    pub level: Level,
    pub undecided: bool,
    /// The artifact's name; absent where it is about the policy alone.
    pub artifact: Option<String>,
    #[serde(flatten)]
    pub path: Option<PathText>,
    pub triples: Vec<String>,
    pub subject: Option<String>,
    /// The platform that it is about, as the policy names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    pub message: String,
    /// The policy's words that forbid.
    pub policy: Option<Labelled>,
    pub items: Vec<Item>,
    pub notes: Vec<String>,
    /// Who brought in what is inside; empty where that was not looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Answer>,
    pub help: Option<String>,
}

impl Finding {
    pub fn is_error(&self) -> bool {
        self.undecided || self.level == Level::Deny
    }

    /// By this a finding is known again, wherever the files lie.
    pub fn key(&self) -> String {
        let parts = [&self.lint, self.artifact.as_deref().unwrap_or_default()]
            .map(str::to_owned)
            .into_iter()
            .chain([self.triples.join(","), self.subject.clone().unwrap_or_default()])
            .chain(self.platform.clone());
        parts.map(|part| part.replace('\\', "\\\\").replace('|', "\\|")).collect::<Vec<_>>().join("|")
    }

    pub fn is_about(&self, artifact: &Artifact) -> bool {
        self.path.as_ref() == Some(&artifact.path)
            && self.artifact.as_ref() == Some(&artifact.name)
            && self.triples.iter().all(|triple| artifact.triples.contains(triple))
    }
}

/// A finding that an exception of the policy accepts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Accepted {
    #[serde(flatten)]
    pub finding: Finding,
    pub reason: String,
    pub until: Option<String>,
    /// Not an exception, but the baseline has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LevelSet {
    pub level: Level,
    /// Where the policy sets it; absent: the lint's default.
    pub at: Option<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Judged,
    NotExamined,
    Unreadable,
}

/// A file, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Artifact {
    pub name: String,
    #[serde(flatten)]
    pub path: PathText,
    pub triples: Vec<String>,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<Facts>>,
    pub rule_applied: bool,
    pub not_applicable: Vec<String>,
    /// The verdict for each platform that the policy names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<OnPlatform>,
}

/// What packagers and installers ask of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Needs {
    /// Whether an executable is static; absent for a library.
    pub linkage: Option<Linkage>,
    /// The newest version needed, by namespace. Weak needs do not count: the loader only warns. Empty where the
    /// C library ignores versions.
    pub floors: BTreeMap<String, String>,
    /// Needed version nodes whose age nobody knows, such as `GLIBC_PRIVATE`.
    pub unordered: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    Static,
    Dynamic,
}

/// What a platform's loader makes of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OnPlatform {
    pub platform: String,
    pub verdict: Verdict,
    /// Why it fails or is undecided, one sentence each.
    pub why: Vec<String>,
    /// Packages beyond a plain install that bring what it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// The platform's libraries that the file itself needs, each with its package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<ProvidedBy>,
}

/// A needed library, and who brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProvidedBy {
    /// As the file asks for it.
    pub library: String,
    /// Packages that have it; any of them will do.
    pub packages: Vec<String>,
    /// Whether a plain install has it.
    pub plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Runs,
    Undecided,
    Fails,
}

impl Verdict {
    pub fn of(found: &crate::runs_on::OnPlatform) -> Self {
        use crate::runs_on::{NewerCpu, Outcome};
        match found.outcome {
            Outcome::Static | Outcome::Loads => match found.cpu {
                None => Self::Runs,
                Some(NewerCpu { oldest: None, .. }) => Self::Undecided,
                Some(_) => Self::Fails,
            },
            Outcome::Undecided => Self::Undecided,
            _ => Self::Fails,
        }
    }
}

impl Report {
    /// Reads a saved report.
    pub fn from_json(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            schema_version: Option<u32>,
            command: Option<String>,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| format!("it is no report: {error}"))?;
        match (head.schema_version, head.command.as_deref()) {
            (None, _) | (_, None) => Err("it is no report of cargo-compat".to_owned()),
            (Some(newer), _) if newer > SCHEMA_VERSION => Err(format!(
                "it was written by a newer cargo-compat: its schema is {newer}, and this program reads up to \
                 {SCHEMA_VERSION}"
            )),
            (_, Some("check" | "test" | "merge")) => {
                serde_json::from_str(text).map_err(|error| format!("it is no report of `check`: {error}"))
            }
            (_, Some(other)) => Err(format!("it is the report of `{}`, not of `check`", text::escape(other))),
        }
    }

    /// Those that were examined, or should have been.
    pub fn examined(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(|artifact| artifact.status != Status::NotExamined)
    }

    /// Files whose format is not examined.
    pub fn not_examined(&self) -> impl Iterator<Item = (&Artifact, Format)> {
        self.artifacts
            .iter()
            .filter(|artifact| artifact.status == Status::NotExamined)
            .filter_map(|artifact| Some((artifact, artifact.format?)))
    }

    /// A path for people.
    pub fn shown(&self, path: &PathText) -> String {
        path.shown(&self.folder)
    }

    /// A path as version control names it, by forward slashes; `None` outside of the work tree.
    pub fn in_repository(&self, path: &PathText) -> Option<String> {
        path.below(self.root.as_ref().unwrap_or(&self.folder))
    }

    /// The policy's path for people.
    pub fn policy_shown(&self) -> String {
        self.policy.as_ref().map(|policy| self.shown(&policy.path)).unwrap_or_default()
    }

    /// The file that a finding is about, if it is about one, and what it is for where the path does not say that;
    /// both for people.
    pub fn place(&self, finding: &Finding) -> Option<(String, Option<String>)> {
        let path = self.shown(finding.path.as_ref()?);
        let target = match finding.triples.as_slice() {
            [] => None,
            // cargo's folder says it already.
            [triple] if path.split('/').any(|part| part == triple) => None,
            triples => Some(text::escape(&text::some_of(triples, 2))),
        };
        Some((path, target))
    }

    /// The same in plain text.
    pub fn place_text(&self, finding: &Finding) -> Option<String> {
        Some(match self.place(finding)? {
            (path, None) => path,
            (path, Some(target)) => format!("{path} for {target}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{human, json, short};

    /// The reports in the transcripts of the cases.
    fn saved() -> Vec<String> {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let mut reports = Vec::new();
        for entry in walkdir::WalkDir::new(cases).sort_by_file_name().into_iter().flatten() {
            if entry.file_name() == "transcript.txt" {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                reports.extend(
                    text.lines().filter(|line| line.contains("\"command\":\"check\"")).map(str::to_owned),
                );
            }
        }
        reports
    }

    fn written(write: impl Fn(&mut Vec<u8>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_saved_report_is_read_back_whole() {
        let saved = saved();
        assert!(saved.len() > 3, "only {} reports in the transcripts", saved.len());
        for text in saved {
            let report = Report::from_json(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(written(|out| json::check(out, &report)).trim_end(), text);
            assert_eq!(written(|out| human::check(out, &report, false, true)).is_empty(), !report.complete);
            assert_eq!(written(|out| short::check(out, &report, false)).is_empty(), !report.complete);
        }
    }

    #[test]
    fn what_is_no_report_or_a_newer_one_is_refused_by_name() {
        for (text, expected) in [
            ("", "it is no report: "),
            ("{}", "it is no report of cargo-compat"),
            ("[]", "it is no report: "),
            ("{\"schema_version\":1,\"command\":\"show\"}", "it is the report of `show`"),
            ("{\"schema_version\":2,\"command\":\"check\"}", "it was written by a newer cargo-compat"),
            ("{\"schema_version\":1,\"command\":\"check\"}", "it is no report of `check`: missing field"),
        ] {
            let error = Report::from_json(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    /// Spans that lie must not make a renderer fail.
    #[test]
    fn a_saved_report_may_lie() {
        let text = saved().into_iter().find(|text| text.contains("\"start\":")).unwrap();
        let mut report = Report::from_json(&text).unwrap();
        for (start, end) in [(usize::MAX, 0), (1, usize::MAX), (9, 3), (usize::MAX, usize::MAX)] {
            report.policy =
                Some(PolicyText { path: PathText::new(Path::new("ü")), text: "üüü = \"ü\"".to_owned() });
            for finding in &mut report.findings {
                if let Some(policy) = &mut finding.policy {
                    (policy.at.start, policy.at.end) = (start, end);
                }
            }
            assert!(!written(|out| human::check(out, &report, false, true)).is_empty());
        }
    }

    #[test]
    fn paths_are_shown_from_where_the_run_was() {
        let path = |text: &str| PathText { path: text.to_owned(), path_bytes: None };
        for (file, folder, expected) in [
            ("/a/b/c", "/a/b", "c"),
            ("/a/bc", "/a/b", "/a/bc"),
            ("/a/b", "/a/b", "/a/b"),
            ("/a", "/", "a"),
            ("/a", "", "/a"),
            ("C:\\a\\b", "C:\\a", "b"),
            ("b\u{202e}", "/a", "b\\u{202e}"),
        ] {
            assert_eq!(path(file).shown(&path(folder)), expected);
        }
        let odd = PathText { path: "/a/\u{fffd}".to_owned(), path_bytes: Some("2f612fff".to_owned()) };
        assert_eq!(odd.shown(&path("/a")), "\\xff");
        assert_eq!(path("/a/b/c").below(&path("/a")).as_deref(), Some("b/c"));
        assert_eq!(path("C:\\a\\b\\c").below(&path("C:\\a")).as_deref(), Some("b/c"));
        assert_eq!(path("/ab").below(&path("/a")), None);
        assert_eq!(path("/a/../b").below(&path("/a")), None);
    }
}
