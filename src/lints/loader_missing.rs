//! The program's interpreter is not in the root.

use super::{Check, Lint, Sink, in_root, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "loader_missing",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: the root has no such loader, so the program does not start",
    page: include_str!("loader_missing.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::LoaderMissing { interpreter } = &trial.outcome else { return };
    let shown = &trial.name.shown;
    sink.push(
        of_root(Finding::new(format!("`{shown}` does not start: the root has no loader `{interpreter}`")), trial)
            .subject(interpreter.as_str())
            .item(Item::Interpreter { path: interpreter.clone(), expected: Vec::new() })
            .note(in_root(trial))
            .note("a dynamic program is started by the loader that it names")
            .help(format!(
                "link it statically, in .cargo/config.toml:\n[target.{}]\nrustflags = [\"-C\", \"target-feature=+crt-static\"]",
                trial.triple
            )),
    );
}
