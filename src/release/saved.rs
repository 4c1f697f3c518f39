//! Saved reports: what `check` and `show` write as JSON.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;

use super::{Holds, Member};
use crate::artifact::{Artifact, Format};
use crate::report::model::{self, OnPlatform, PathText};
use crate::report::{Failure, Report, SCHEMA_VERSION};
use crate::text;

/// No report is as large as this, in bytes.
const LARGEST: u64 = 1 << 30;

/// What a report says of files.
#[derive(Debug)]
pub struct Saved {
    pub members: Vec<Member>,
    /// What it says was not read.
    pub failures: Vec<String>,
}

/// Whether a file that was named may be a report: JSON begins so.
pub fn may_be(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"{")
}

/// Whether a file in a folder is one: as this program writes it.
pub fn is_ours(head: &[u8]) -> bool {
    head.starts_with(b"{\"schema_version\":") && memchr_name(head)
}

fn memchr_name(head: &[u8]) -> bool {
    let name = concat!("\"", env!("CARGO_PKG_NAME"), "\"").as_bytes();
    head.windows(name.len()).any(|window| window == name)
}

/// What every report has, of whatever schema.
#[derive(Deserialize)]
struct Head {
    schema_version: u32,
    tool: Tool,
    command: String,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Body {
    folder: Option<PathText>,
    /// Of `check`.
    #[serde(default)]
    artifacts: Vec<Entry>,
    /// Of `show`.
    #[serde(default)]
    files: Vec<Entry>,
    #[serde(default)]
    failures: Vec<Said>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    format: Option<Format>,
    error: Option<String>,
    facts: Option<Box<Artifact>>,
    #[serde(default)]
    platforms: Vec<OnPlatform>,
}

impl Entry {
    /// By its path from the folder of the report, which another machine has elsewhere.
    fn member(self, folder: Option<&PathText>) -> Option<Member> {
        let holds = match (self.facts, self.format, self.error) {
            (Some(facts), ..) => Holds::Facts(facts),
            (None, Some(format), _) if !format.ships_elsewhere() => return None,
            (None, Some(format), _) => Holds::Other(format),
            (None, None, error) => {
                Holds::Unreadable(error.unwrap_or_else(|| "the report holds no facts of it".to_owned()))
            }
        };
        let path = PathText { path: self.path, path_bytes: None };
        let below = folder.and_then(|folder| path.below(folder));
        let platforms = self.platforms.into_iter().map(|on| (on.platform, on.verdict)).collect();
        Some(Member {
            platforms,
            ..Member::new(below.unwrap_or_else(|| path.path.replace('\\', "/")), holds)
        })
    }
}

/// The same of a report that is at hand.
pub fn members_of(report: &Report) -> Vec<Member> {
    let entry = |artifact: &model::Artifact| Entry {
        path: artifact.path.path.clone(),
        format: artifact.format,
        error: artifact.error.clone(),
        facts: artifact.facts.clone(),
        platforms: artifact.platforms.clone(),
    };
    report.artifacts.iter().filter_map(|artifact| entry(artifact).member(Some(&report.folder))).collect()
}

#[derive(Deserialize)]
struct Said {
    message: String,
}

pub fn read(path: &Path) -> Result<Saved, Failure> {
    let shown = text::path(path);
    let wrong = |note: String| Failure::new(format!("{shown} is no report that can be read")).note(note);
    let open = || File::open(path).map(BufReader::new);
    let len = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if len > LARGEST {
        return Err(wrong(format!("it has {len} bytes; more than {LARGEST} are not read")));
    }
    let failed = |error: std::io::Error| wrong(error.to_string());
    let head: Head =
        serde_json::from_reader(open().map_err(failed)?).map_err(|error| wrong(error.to_string()))?;
    if head.tool.name != env!("CARGO_PKG_NAME") {
        return Err(wrong(format!("it was written by `{}`", text::escape(&head.tool.name))));
    }
    if head.schema_version > SCHEMA_VERSION {
        return Err(Failure::new(format!("{shown} is of a newer kind than this program reads"))
            .note(format!(
                "its schema_version is {}, written by version {}; this is version {}, which knows {SCHEMA_VERSION}",
                head.schema_version,
                text::escape(&head.tool.version),
                env!("CARGO_PKG_VERSION")
            ))
            .help("install a newer version of cargo-compat"));
    }
    if !matches!(head.command.as_str(), "check" | "merge" | "show") {
        let command = text::escape(&head.command);
        return Err(wrong(format!(
            "it is of `cargo compat {command}`; those of `check` and `show` hold facts"
        )));
    }
    let body: Body =
        serde_json::from_reader(open().map_err(failed)?).map_err(|error| wrong(error.to_string()))?;
    let members =
        body.artifacts.into_iter().chain(body.files).filter_map(|entry| entry.member(body.folder.as_ref()));
    Ok(Saved {
        members: members.collect(),
        failures: body.failures.into_iter().map(|said| said.message).collect(),
    })
}
