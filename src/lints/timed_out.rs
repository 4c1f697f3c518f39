//! A program took too long, and was ended.

use super::{Check, Lint, Sink, in_root, last_words, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Level};
use crate::text::count;

pub static LINT: Lint = Lint {
    name: "timed_out",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: the program took longer than the time limit",
    page: include_str!("timed_out.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::TimedOut { seconds } = &trial.outcome else { return };
    let finding = Finding::new(format!(
        "`{}` was ended after {}",
        trial.name.shown,
        count(usize::try_from(*seconds).unwrap_or(usize::MAX), "second")
    ));
    sink.push(last_words(
        of_root(finding, trial)
            .subject("time")
            .note(in_root(trial))
            .help("if it is only slow, give it longer:\ncargo compat test --time-limit SECONDS"),
        trial,
    ));
}
