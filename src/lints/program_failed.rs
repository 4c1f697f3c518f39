//! A program that was started ended with a code that means failure.

use super::{Check, Lint, Sink, in_root, last_words, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "program_failed",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: a program ended with an exit code that means failure",
    page: include_str!("program_failed.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::Failed { code } = &trial.outcome else { return };
    let finding = Finding::new(format!("`{}` ended with the exit code {code}", trial.name.shown));
    sink.push(last_words(
        of_root(finding, trial)
            .subject(format!("exit code {code}"))
            .item(Item::Ended { signal: None, code: Some(*code) })
            .note(in_root(trial))
            .help("give it arguments with which it succeeds:\ncargo compat test --bin NAME -- --version"),
        trial,
    ));
}
