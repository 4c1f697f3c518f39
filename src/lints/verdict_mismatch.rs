//! The static verdict and the loader's differ.

use super::{Check, Lint, Sink, in_root};
use crate::emulate::Trial;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "verdict_mismatch",
    default: Level::Deny,
    undecided: true,
    enforces_rule: false,
    summary: "under `test`: what was predicted from the file, and what the loader did, differ",
    page: include_str!("verdict_mismatch.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    for one in &trial.mismatches {
        sink.push(
            Finding::new(format!("the verdict on `{}` is not the loader's: `{}`", trial.name.shown, one.subject))
                .subject(one.subject.as_str())
                .item(Item::Verdicts {
                    subject: one.subject.clone(),
                    predicted: one.predicted.clone(),
                    loader: one.loader.clone(),
                })
                .note(format!("predicted from the file and the root: {}", one.predicted))
                .note(format!("the loader itself: {}", one.loader))
                .note(in_root(trial))
                .help(format!("this is a bug of cargo-compat, or something that it does not know of this root; please report it, with what this says again:\n{}", trial.repeat)),
        );
    }
}
