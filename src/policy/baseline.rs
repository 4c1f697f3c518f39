//! The baseline: findings that were there when it was made, so that only new
//! ones fail. A file of its own, because a program writes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Item};
use crate::lints;

/// Its name, where the policy names none yet.
pub const FILE_NAME: &str = "compat-baseline.toml";

const HEAD: &str = "\
# Findings that were there when this file was made: only new ones fail.
# `cargo compat init --baseline` makes it anew.
";

#[derive(Debug)]
pub struct Baseline {
    pub path: PathBuf,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    finding: Vec<Entry>,
}

/// A finding, by its key, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub lint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// More than this is new: a subject may be a whole namespace.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub items: BTreeSet<String>,
}

impl Entry {
    pub fn of(finding: &Finding) -> Self {
        let place = finding.place.as_ref();
        Self {
            lint: finding.lint.to_owned(),
            artifact: place.map(|place| place.name.clone()),
            targets: place.map(|place| place.triples.clone()).unwrap_or_default(),
            platform: finding.platform.clone(),
            subject: finding.subject.clone(),
            items: finding.items.iter().filter_map(word).collect(),
        }
    }

    /// Lint, artifact, targets, platform, subject.
    pub fn has_key_of(&self, other: &Self) -> bool {
        (&self.lint, &self.artifact, &self.targets, &self.platform, &self.subject)
            == (&other.lint, &other.artifact, &other.targets, &other.platform, &other.subject)
    }
}

/// What an item is known again by. Sources come and go.
fn word(item: &Item) -> Option<String> {
    Some(match item {
        Item::Version { version, file, .. } => format!("{version} of {file}"),
        Item::Library { name } => name.clone(),
        Item::Package { name } => format!("package {name}"),
        Item::Interpreter { path, .. } => path.clone(),
        Item::RunPath { tag, path } => format!("{tag} {path}"),
        Item::Cpu { cpu, .. } => cpu.clone(),
        Item::Symbol { name, version: Some(version), .. } => format!("{name}@{version}"),
        Item::Symbol { name, version: None, .. } => name.clone(),
        Item::Reference { name, .. } => name.clone(),
        Item::LinkOption { option, .. } => option.clone()?,
        Item::Test { name } => name.clone(),
        Item::Instruction { bytes, .. } => bytes.clone(),
        Item::Ended { signal: Some(signal), .. } => format!("signal {signal}"),
        Item::Ended { code: Some(code), .. } => format!("exit code {code}"),
        Item::Verdicts { subject, .. } => subject.clone(),
        // Members are called by hashes that change.
        Item::Source { .. } | Item::Unread { .. } | Item::Ended { .. } => return None,
    })
}

impl Baseline {
    /// Reads the file. `Err` says why it could not be, in words.
    pub fn read(path: &Path) -> Result<Self, String> {
        let source = super::read(path)?;
        let file: File = toml::from_str(&source.text).map_err(|error| error.message().to_owned())?;
        for entry in &file.finding {
            match lints::find(&entry.lint) {
                None => return Err(format!("there is no lint `{}`", entry.lint)),
                Some(lint) if lint.undecided => {
                    return Err(format!(
                        "`{}` says that nothing was decided; accept a single case by an [[exception]]",
                        entry.lint
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(Self { path: path.to_owned(), entries: file.finding })
    }

    /// The place of the entry with a finding's key, and what the finding has
    /// beyond it.
    pub fn find(&self, finding: &Finding) -> Option<(usize, Vec<String>)> {
        let found = Entry::of(finding);
        if finding.undecided {
            return None;
        }
        let at = self.entries.iter().position(|entry| entry.has_key_of(&found))?;
        Some((at, found.items.difference(&self.entries[at].items).cloned().collect()))
    }

    /// The file's text for what was found, beside entries that are kept. What
    /// is undecided is not in it.
    pub fn text(findings: &[Finding], kept: impl IntoIterator<Item = Entry>) -> String {
        let decided = findings.iter().filter(|finding| !finding.undecided);
        let entries: BTreeSet<Entry> = decided.map(Entry::of).chain(kept).collect();
        let file = File { finding: entries.into_iter().collect() };
        let text = toml::to_string(&file).unwrap_or_default();
        if file.finding.is_empty() { HEAD.to_owned() } else { format!("{HEAD}\n{text}") }
    }
}
