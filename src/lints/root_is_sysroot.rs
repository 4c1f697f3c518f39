//! The root is that of the compiler.

use super::{Check, Lint, Sink};
use crate::emulate::Trial;
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "root_is_sysroot",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: it ran with the compiler's own libraries, which proves nothing about older systems",
    page: include_str!("root_is_sysroot.md"),
    check: Check::Trials(check),
};

fn check(trials: &[Trial], sink: &mut Sink<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for trial in trials.iter().filter(|trial| trial.surroundings.is_sysroot) {
        if seen.contains(&trial.triple.as_str()) {
            continue;
        }
        seen.push(&trial.triple);
        let folder =
            trial.surroundings.folder.as_ref().map(|folder| crate::text::path(folder)).unwrap_or_default();
        let mut finding = Finding::new(format!(
            "the tests for {} ran with the libraries that it was built against",
            trial.triple
        ))
        .subject(trial.triple.as_str())
        .note(format!("the root is `sysroot`: {folder}"))
        .note("that they pass there proves nothing about older systems");
        if let Some(span) = &trial.surroundings.root_span {
            finding = finding.forbids(span, "the compiler's own libraries");
        }
        sink.push(finding.help(format!(
            "name the oldest system that it must run on, in compat.toml:\n[target.{}.test]\nroot = \"debian-12\"",
            trial.triple
        )));
    }
}
