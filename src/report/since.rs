//! What changed since another release, for the checklist.

use serde::{Deserialize, Serialize};

use super::diff::{Diff, Status, file_name, words};
use super::model::PathText;
use crate::diff::{Change, Comparison, NotCompared};
use crate::exit::Happened;
use crate::release::Release;
use crate::text::count;

/// Another release, and what of it is no longer so.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Since {
    /// The other release, as it was named.
    #[serde(flatten)]
    pub path: PathText,
    /// Artifacts of either; unchanged ones too.
    pub artifacts: Vec<Changed>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Changed {
    pub status: Status,
    /// Its path in the other release; null where that has none.
    pub old: Option<String>,
    pub new: Option<String>,
    pub architecture: Option<String>,
    pub changes: Vec<Change>,
    pub not_compared: Vec<NotCompared>,
}

/// A line of the table.
#[derive(Debug)]
pub struct Line {
    pub artifact: String,
    pub architecture: String,
    pub what: String,
    pub change: String,
    /// Whether something that used the old one may fail with the new one.
    pub worse: bool,
}

impl Since {
    pub fn new(old: &Release, new: &Release, comparison: &Comparison) -> Self {
        let diff = Diff { old, new, comparison, happened: Happened::default() };
        let changed = |one: super::diff::ArtifactOut<'_>| Changed {
            status: one.status,
            old: one.old.map(str::to_owned),
            new: one.new.map(str::to_owned),
            architecture: one.architecture,
            changes: one.changes.to_vec(),
            not_compared: one.not_compared.to_vec(),
        };
        Self {
            path: PathText::new(&old.path),
            artifacts: diff.artifacts().into_iter().map(changed).collect(),
        }
    }

    /// All that changed, for people. Names are not escaped yet.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for artifact in &self.artifacts {
            let path = artifact.new.as_ref().or(artifact.old.as_ref());
            let line = |what: &str, change: String, worse| Line {
                artifact: path.map(|path| file_name(path).to_owned()).unwrap_or_default(),
                architecture: artifact.architecture.clone().unwrap_or_default(),
                what: what.to_owned(),
                change,
                worse,
            };
            match artifact.status {
                Status::Lost => lines.push(line("artifact", "lost".to_owned(), true)),
                Status::Gained => lines.push(line("artifact", "new".to_owned(), false)),
                Status::NotCompared => lines.push(line("artifact", "not compared".to_owned(), false)),
                Status::Changed | Status::Unchanged => {}
            }
            for change in &artifact.changes {
                let (what, text) = words(change);
                lines.push(line(what, text, change.regression.is_some()));
            }
        }
        lines
    }

    /// The same in a few words.
    pub fn summary(&self) -> String {
        let lines = self.lines();
        let worse = lines.iter().filter(|line| line.worse).count();
        match (worse, lines.len() - worse) {
            (0, 0) => "no change".to_owned(),
            (0, others) => format!("no regression, {}", count(others, "change")),
            (worse, 0) => count(worse, "regression"),
            (worse, others) => format!("{}, {}", count(worse, "regression"), count(others, "other change")),
        }
    }
}
