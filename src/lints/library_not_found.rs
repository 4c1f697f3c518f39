//! The loader does not find a library in the root.

use super::{Check, Lint, Sink, in_root, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};
use crate::text::some_of;

pub static LINT: Lint = Lint {
    name: "library_not_found",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: the loader does not find a needed library in the root",
    page: include_str!("library_not_found.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::LibraryNotFound { name } = &trial.outcome else { return };
    let shown = &trial.name.shown;
    let finding = Finding::new(format!("`{shown}` does not start: the library `{name}` is not found"));
    let mut finding = of_root(finding, trial)
        .subject(name.as_str())
        .item(Item::Library { name: name.clone() })
        .note(in_root(trial));
    if !trial.also_missing.is_empty() {
        // Fact 19.
        finding = finding.note(format!(
            "the loader names one at a time; missing too: {}",
            some_of(&trial.also_missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), 8)
        ));
        finding.items.extend(trial.also_missing.iter().map(|name| Item::Library { name: name.clone() }));
    }
    sink.push(
        finding.help(
            "ship the library beside the program, install its package in the root, or link it statically",
        ),
    );
}
