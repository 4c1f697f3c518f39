//! `cargo compat diff`: what changed between two releases?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::runs_on;
use crate::artifact::{Artifact, Role};
use crate::diff;
use crate::exit::{Happened, USAGE};
use crate::loader::{Bind, Described, Object, Subject};
use crate::platform::Platform;
use crate::release::{Holds, Member, Release};
use crate::report::model::Verdict;
use crate::report::{self, Failure, MessageFormat, Streams};
use crate::runs_on::{Beside, Judge};

#[derive(Debug)]
pub struct Options {
    pub old: PathBuf,
    pub new: PathBuf,
    pub fail_on_regression: bool,
    /// Names or paths of platforms; empty: all that are known.
    pub platforms: Vec<String>,
    pub format: MessageFormat,
    pub quiet: bool,
}

pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
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
    let read = |path: &Path| {
        let mut release = Release::read(path);
        hold(&mut release, &platforms, !options.platforms.is_empty());
        release
    };
    let (old, new) = rayon::join(|| read(&options.old), || read(&options.new));
    let comparison = diff::compare(&old, &new);
    let unread = !old.failures.is_empty() || !new.failures.is_empty();
    let happened = Happened {
        usage: false,
        broken: options.fail_on_regression && comparison.regressions() > 0,
        not_judged: unread || comparison.is_undecided(),
    };
    let report = report::Diff { old: &old, new: &new, comparison: &comparison, happened };
    report::diff(&report, options.format, options.quiet, streams)?;
    Ok(happened.code())
}

/// Asks the platforms about every file of a release; what a saved report says stays. What is undecided is news only of
/// those that were picked.
pub fn hold(release: &mut Release, platforms: &[(String, Arc<Platform>)], picked: bool) {
    let beside: Vec<Beside> = release.members.iter().filter_map(library).flatten().collect();
    let here = Described::here();
    let judges: Vec<_> = platforms
        .iter()
        .map(|(name, platform)| (name, platform, Judge::new(platform, &beside, &here, Bind::Causes)))
        .collect();
    release.members.par_iter_mut().for_each(|member| {
        let Holds::Facts(facts) = &member.holds else { return };
        // A saved report has what was needed for its lints, not what the loader binds.
        if facts.bindings.is_none() || !member.platforms.is_empty() {
            return;
        }
        let subject = Subject::new(place(member), facts);
        for (name, platform, judge) in &judges {
            // Of an architecture that a platform does not have there is nothing to say.
            if platform.system(facts.arch).is_some() {
                let verdict = Verdict::of(&judge.judge(facts, subject.as_ref()));
                if picked || verdict != Verdict::Undecided {
                    member.platforms.insert((*name).clone(), verdict);
                }
            }
        }
    });
}

/// Where a package would put it.
fn place(member: &Member) -> String {
    format!("/{}", member.path)
}

/// A shared object of the release, by its file name and its soname.
fn library(member: &Member) -> Option<Vec<Beside>> {
    let facts: &Artifact = match &member.holds {
        Holds::Facts(facts) if facts.role == Role::SharedObject && facts.dynamic => facts,
        _ => return None,
    };
    let object = Arc::new(Object::of(facts)?);
    let file = member.path.rsplit('/').next().map(str::to_owned);
    let mut names: Vec<String> = file.into_iter().chain(facts.soname.clone()).collect();
    names.dedup();
    let path: Arc<str> = place(member).into();
    Some(names.into_iter().map(|name| (name, Arc::clone(&path), Arc::clone(&object))).collect())
}
