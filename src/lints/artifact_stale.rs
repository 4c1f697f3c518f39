//! With `--no-build`: the file may not be what a build would give now.

use super::{Applies, Check, Lint, Sink, Stale, Subject};
use crate::finding::{Finding, Item, Level};
use crate::text::some_of;

pub static LINT: Lint = Lint {
    name: "artifact_stale",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "a file is older than its sources",
    page: include_str!("artifact_stale.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(stale) = subject.stale else { return Applies::No };
    let shown = &subject.name.shown;
    let finding = match stale {
        Stale::Sources(sources) => {
            let mut finding = Finding::new(format!("`{shown}` is older than its sources"))
                .note(format!("changed since: {}", some_of(sources, 4)));
            finding.items.extend(sources.iter().map(|path| Item::Source { path: path.clone() }));
            finding
        }
        Stale::Unknown { dep_info } => {
            let message = format!("whether `{shown}` is older than its sources is not known");
            let mut finding =
                Finding::new(message).note(format!("cargo's list of its sources is not there: {dep_info}"));
            finding.undecided = true;
            finding
        }
    };
    sink.push(finding.subject("sources").help("leave out `--no-build`, so that cargo builds it first"));
    Applies::Yes
}
