//! An artifact for which the policy says nothing.

use super::{Check, Lint, Run, Sink};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "no_rule_applies",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "no rule of the policy applies to an artifact",
    page: include_str!("no_rule_applies.md"),
    check: Check::Run(check),
};

fn check(run: &Run<'_>, sink: &mut Sink<'_>) {
    for place in &run.usage.without_rule {
        let mut finding = Finding::new(format!("no rule of the policy applies to `{}`", place.name))
            .note("it was read, but no rule that concerns it could be held against it")
            .help(format!(
                "say what holds for it, at the top of the policy or for it alone:\n[artifact.{}]\nlibraries = []",
                quoted(&place.name)
            ));
        finding.place = Some(place.clone());
        sink.push(finding);
    }
}

/// A TOML key: bare where it may be.
fn quoted(name: &str) -> String {
    let bare = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    if bare && !name.is_empty() { name.to_owned() } else { format!("{name:?}") }
}
