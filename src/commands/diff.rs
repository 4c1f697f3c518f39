//! `cargo compat diff`: what changed between two releases?

use std::path::PathBuf;

use crate::diff;
use crate::exit::Happened;
use crate::release::Release;
use crate::report::{self, MessageFormat, Streams};

#[derive(Debug)]
pub struct Options {
    pub old: PathBuf,
    pub new: PathBuf,
    pub fail_on_regression: bool,
    pub format: MessageFormat,
    pub quiet: bool,
}

pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
    let (old, new) = rayon::join(|| Release::read(&options.old), || Release::read(&options.new));
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
