//! A test failed because a program that it starts does not run here.

use super::{Check, Lint, Sink, in_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "child_not_started",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: a test failed because a program that it starts could not be started",
    page: include_str!("child_not_started.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::ChildNotStarted { program } = &trial.outcome else { return };
    let why = trial.no_children.as_deref().unwrap_or("the kernel does not know programs of another machine");
    sink.push(
        Finding::new(format!("cannot start child process: `{}` starts `{}`", trial.name.shown, crate::text::path(std::path::Path::new(program))))
            .subject("child")
            .note(in_root(trial))
            .note(why)
            .help("run it where user namespaces and Linux 6.7 or later are; or let the machine itself know QEMU, by the package `qemu-user-binfmt` or `binfmt-support`"),
    );
}
