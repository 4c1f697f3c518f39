//! A signal ended the program.

use super::{Check, Lint, Sink, in_root, last_words, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "killed_by_signal",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: a signal ended the program",
    page: include_str!("killed_by_signal.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::Killed { signal } = &trial.outcome else { return };
    let finding =
        Finding::new(format!("`{}` was ended by the signal {}", trial.name.shown, name_of(*signal)));
    sink.push(last_words(
        of_root(finding, trial)
            .subject(name_of(*signal))
            .item(Item::Ended { signal: Some(*signal), code: None })
            .note(in_root(trial))
            .help(format!("run it alone:\n{}", trial.repeat)),
        trial,
    ));
}

/// signal(7); the numbers are those of the machine that runs the emulator.
fn name_of(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return other.to_string(),
    };
    name.to_owned()
}
