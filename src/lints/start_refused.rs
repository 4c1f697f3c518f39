//! The loader or the kernel refuses the program for another reason.

use super::{Check, Lint, Sink, in_root, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "start_refused",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: the loader or the kernel refuses to start the program",
    page: include_str!("start_refused.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let why = match &trial.outcome {
        Outcome::LoaderRefused { message } => format!("the loader says: {message}"),
        Outcome::NotStarted { message, .. } => format!("the kernel says: {message}"),
        _ => return,
    };
    let finding = Finding::new(format!("`{}` does not start", trial.name.shown));
    sink.push(
        of_root(finding, trial)
            .subject("start")
            .note(in_root(trial))
            .note(why)
            .help("what the file is, and what it needs, is said by\ncargo compat show"),
    );
}
