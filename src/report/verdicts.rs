//! Where a file runs, for `show`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::model::PathText;
use super::{MessageFormat, Streams, json, show};
use crate::artifact::{Artifact, Format, When};
use crate::loader::Problem;
use crate::runs_on::{OnPlatform, Outcome, base, causes, of_problem, of_undecided, reasons as reasons_of};
use crate::text::{escape, path as shown};

/// One line of `cargo compat show --message-format json`: one file on one platform.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Line {
    file: String,
    /// In hexadecimal, where the path is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    platform: String,
    arch: String,
    verdict: &'static str,
    /// Beyond a plain install.
    packages: Vec<String>,
    missing_libraries: Vec<LibraryOut>,
    missing_versions: Vec<VersionOut>,
    missing_symbols: Vec<SymbolOut>,
    /// The CPU that the file is for, where the platform runs on older ones, or
    /// that is not known. The verdict is that of a machine which has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<String>,
    /// Sentences: what else stops the loader.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_problems: Vec<String>,
    undecided: Vec<String>,
}

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct LibraryOut {
    name: String,
    /// The package that has it under another name.
    package: Option<String>,
}

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct VersionOut {
    file: String,
    version: String,
}

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct SymbolOut {
    name: String,
    version: Option<String>,
    at: When,
}

impl Line {
    fn new(path: &Path, facts: &Artifact, found: &OnPlatform) -> Self {
        let PathText { path: file, path_bytes } = PathText::new(path);
        let asker = |path: &str| format!(" ({})", base(path));
        let mut libraries = BTreeSet::new();
        let mut versions = BTreeSet::new();
        let mut symbols: BTreeSet<SymbolOut> = BTreeSet::new();
        let mut other = Vec::new();
        for problem in found.verdict.iter().flat_map(|verdict| &verdict.problems) {
            match problem {
                Problem::Library { name, .. } => {
                    let package = renamed(found, facts, name);
                    libraries.insert(LibraryOut { name: name.clone(), package });
                }
                Problem::Version { file, version, .. } => {
                    versions.insert(VersionOut { file: file.clone(), version: version.clone() });
                }
                Problem::Symbol { name, version, when, .. } => {
                    let new = SymbolOut { name: name.clone(), version: version.clone(), at: *when };
                    // Asked for by several files it fails at the earliest.
                    let call = SymbolOut { at: When::Call, name: name.clone(), version: version.clone() };
                    let start = SymbolOut { at: When::Start, name: name.clone(), version: version.clone() };
                    if new.at == When::Start {
                        symbols.remove(&call);
                    }
                    if !symbols.contains(&start) {
                        symbols.insert(new);
                    }
                }
                Problem::Interpreter { .. }
                | Problem::VersionOfNothing { .. }
                | Problem::NoVersionTable { .. }
                | Problem::PackedRelocations { .. }
                | Problem::Relocation { .. } => other.push(of_problem(problem, &asker)),
            }
        }
        let undecided = match &found.verdict {
            Some(verdict) => verdict.undecided.iter().map(|one| of_undecided(one, &asker)).collect(),
            None if found.outcome == Outcome::Undecided => reasons_of(found, facts),
            None => Vec::new(),
        };
        Self {
            file,
            path_bytes,
            platform: found.platform.name().to_owned(),
            arch: facts.arch.to_string(),
            verdict: found.outcome.name(),
            packages: found.packages.clone(),
            missing_libraries: libraries.into_iter().collect(),
            missing_versions: versions.into_iter().collect(),
            missing_symbols: symbols.into_iter().collect(),
            cpu: found.cpu.map(|cpu| cpu.needed.to_string()),
            other_problems: other,
            undecided,
        }
    }
}

/// The package that has a missing library under its new name.
fn renamed(found: &OnPlatform, facts: &Artifact, name: &str) -> Option<String> {
    let rename = crate::platform::renamed(name)?;
    let system = found.system(facts)?;
    system.search().iter().find_map(|folder| match system.probe(&format!("{folder}/{}", rename.new)) {
        crate::platform::Probe::Library(libraries) => libraries.first()?.package.clone(),
        _ => None,
    })
}

/// A file and its verdicts: a table for people, lines for machines.
pub fn show_platforms(
    path: &Path,
    facts: &Artifact,
    found: &[OnPlatform],
    format: MessageFormat,
    first: bool,
    streams: &Streams,
) -> io::Result<()> {
    let mut out = streams.out();
    if format == MessageFormat::Json {
        for one in found {
            json::write(&mut out, &Line::new(path, facts, one))?;
        }
        return out.flush();
    }
    if format == MessageFormat::Human {
        if !first {
            writeln!(out)?;
        }
        show::facts(&mut out, &shown(path), facts)?;
        writeln!(out)?;
    }
    let width = found.iter().map(|one| one.platform.name().len()).max().unwrap_or(0);
    for one in found {
        let mut text = match one.outcome {
            Outcome::Static => "runs: static".to_owned(),
            Outcome::Loads if one.packages.is_empty() => "loads".to_owned(),
            Outcome::Loads => format!("loads, with {}", one.packages.join(", ")),
            Outcome::Undecided => "undecided".to_owned(),
            Outcome::FailsAtCall => "fails at a call".to_owned(),
            Outcome::FailsAtStart => "fails".to_owned(),
        };
        // Of a file that fails the causes count; what is not decided beside them is no news.
        let reasons = Some(causes(one, facts)).filter(|causes| !causes.is_empty());
        let reasons = reasons.unwrap_or_else(|| reasons_of(one, facts));
        if let Some(reason) = reasons.first().filter(|_| one.outcome != Outcome::Loads || one.cpu.is_some()) {
            text += &format!(": {reason}");
            if reasons.len() > 1 {
                text += &format!(", and {} more", reasons.len() - 1);
            }
        }
        let name = one.platform.name();
        match format {
            MessageFormat::Short => writeln!(out, "{}: {name}: {}", shown(path), escape(&text))?,
            _ => writeln!(out, "  {name:<width$}  {}", escape(&text))?,
        }
    }
    out.flush()
}

/// A file that no platform is asked about.
pub fn show_other(path: &Path, kind: Format, format: MessageFormat, streams: &Streams) -> io::Result<()> {
    let said = format!("{}: {kind}; not examined", shown(path));
    if format == MessageFormat::Json {
        let mut err = streams.err();
        writeln!(err, "{said}")?;
        return err.flush();
    }
    let mut out = streams.out();
    writeln!(out, "{said}")?;
    out.flush()
}
