//! `cargo compat show`: what does this file need, and where does it run?

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::bind::absolute;
use super::runs_on;
use crate::artifact::{Artifact, Depth, Examined, ReadError, Role, examine};
use crate::exit::{KEPT, NOT_JUDGED, USAGE};
use crate::files;
use crate::loader::{Bind, Described, Subject};
use crate::report::{self, Failure, MessageFormat, Shown, Streams};
use crate::runs_on::Judge;
use crate::text;

/// Files read at a time: thousands in one call stay within bounded memory.
const AT_A_TIME: usize = 64;

#[derive(Debug)]
pub struct Options {
    pub files: Vec<PathBuf>,
    pub format: MessageFormat,
    /// Names or paths of platforms; empty: all that are known.
    pub platforms: Vec<String>,
    /// No platforms at all.
    pub facts_only: bool,
}

pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
    let mut failures = Vec::new();
    let files = listed(&options.files, &mut failures);
    if options.facts_only {
        return facts_of(&files, failures, options.format, streams);
    }
    let platforms = match runs_on::named_or_all(&options.platforms) {
        Ok(platforms) => platforms,
        Err((message, help)) => {
            let failure = Failure::new(message);
            let failure = match help {
                Some(help) => failure.help(help),
                None => failure,
            };
            report::failure(&failure, streams)?;
            return Ok(USAGE);
        }
    };
    let here = Described::here();
    let judges: Vec<Judge<'_>> =
        platforms.iter().map(|(_, platform)| Judge::new(platform, &[], &here, Bind::Everything)).collect();
    let picked = !options.platforms.is_empty();
    // Of one file people want to know what it needs, too.
    let depth = if options.format == MessageFormat::Json { Depth::Bindings } else { Depth::All };
    let mut first = true;
    for some in files.chunks(AT_A_TIME) {
        let read: Vec<_> = some
            .par_iter()
            .map(|path| {
                let examined = examine(path, depth);
                let found = match &examined {
                    Ok(Examined::Elf(facts)) => {
                        let place = place(path, facts);
                        let subject = Subject::new(place.to_string_lossy(), facts);
                        let all = judges.iter().map(|judge| judge.judge(facts, subject.as_ref()));
                        // What is not known for an architecture at all is no news unless asked for.
                        all.filter(|found| picked || found.system(facts).is_some()).collect()
                    }
                    _ => Vec::new(),
                };
                (path, examined, found)
            })
            .collect();
        for (path, examined, found) in read {
            match examined {
                Ok(Examined::Elf(facts)) => {
                    report::show_platforms(path, &facts, &found, options.format, first, streams)?;
                    first = false;
                }
                Ok(Examined::Other(format)) => {
                    report::show_other(path, format, options.format, streams)?;
                    first = false;
                }
                Err(error) => failures.push(unreadable(path, &error)),
            }
        }
    }
    for failure in &failures {
        report::failure(failure, streams)?;
    }
    Ok(if failures.is_empty() { KEPT } else { NOT_JUDGED })
}

fn facts_of(
    files: &[PathBuf],
    mut failures: Vec<Failure>,
    format: MessageFormat,
    streams: &Streams,
) -> std::io::Result<u8> {
    let mut shown = Vec::new();
    for path in files {
        match examine(path, Depth::Symbols) {
            Ok(Examined::Elf(facts)) => shown.push(Shown::Facts(path.clone(), facts)),
            Ok(Examined::Other(format)) => shown.push(Shown::Other(path.clone(), format)),
            Err(error) => failures.push(unreadable(path, &error)),
        }
    }
    let code = if failures.is_empty() { KEPT } else { NOT_JUDGED };
    report::show(&shown, &failures, code, format, streams)?;
    Ok(code)
}

fn unreadable(path: &Path, error: &ReadError) -> Failure {
    match error {
        ReadError::NotAFile(kind) => {
            Failure::new(format!("{} is {kind}, not a file to show", text::path(path)))
        }
        error => Failure::new(format!("{} cannot be read", text::path(path))).note(error.to_string()),
    }
}

/// Where `$ORIGIN` is: of a program where it really lies.
fn place(path: &Path, facts: &Artifact) -> PathBuf {
    let real = match facts.role {
        Role::Executable => path.canonicalize().ok(),
        Role::SharedObject => None,
    };
    absolute(&real.unwrap_or_else(|| path.to_owned())).into()
}

fn listed(named: &[PathBuf], failures: &mut Vec<Failure>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in named {
        if path.as_os_str() != "-" {
            files.push(path.clone());
            continue;
        }
        match files::read_list(std::io::stdin().lock()) {
            Ok(list) => files.extend(list),
            Err(error) => failures
                .push(Failure::new("the list on standard input cannot be read").note(error.to_string())),
        }
    }
    files
}
