//! Tests failed.

use super::{Check, Lint, Sink, in_root, last_words, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};
use crate::text::{count, some_of};

pub static LINT: Lint = Lint {
    name: "test_failed",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: tests failed",
    page: include_str!("test_failed.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::TestsFailed { tests } = &trial.outcome else { return };
    let shown = &trial.name.shown;
    let message = match tests.len() {
        0 => format!("the tests of `{shown}` failed"),
        number => format!(
            "{} of `{shown}` failed: {}",
            count(number, "test"),
            some_of(&tests.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), 6)
        ),
    };
    let mut finding = of_root(Finding::new(message), trial).subject("tests").note(in_root(trial));
    finding.items.extend(tests.iter().map(|name| Item::Test { name: name.clone() }));
    if let Some(why) = &trial.no_children {
        finding = finding.note(why.as_str());
    }
    if tests.is_empty() {
        finding = last_words(finding, trial);
    }
    sink.push(finding.help("what they say stands above; where they pass on this machine, it is the target, its libraries or QEMU"));
}
