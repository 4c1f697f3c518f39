//! A library of the root lacks a version that the program needs.

use super::{Check, Lint, Sink, in_root, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};
use crate::text::some_of;

pub static LINT: Lint = Lint {
    name: "version_not_found",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: a library of the root lacks a version that is needed",
    page: include_str!("version_not_found.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::VersionNotFound { versions } = &trial.outcome else { return };
    let shown = &trial.name.shown;
    let mut libraries: Vec<&str> = versions.iter().map(|one| one.library.as_str()).collect();
    libraries.sort_unstable();
    libraries.dedup();
    for library in libraries {
        let own: Vec<_> = versions.iter().filter(|one| one.library == library).collect();
        let mut names: Vec<String> = own.iter().map(|one| format!("`{}`", one.version)).collect();
        names.sort_unstable();
        names.dedup();
        let mut finding = of_root(
            Finding::new(format!("`{shown}` does not start: `{library}` lacks {}", some_of(&names, 4))),
            trial,
        )
        .subject(library)
        .note(in_root(trial));
        for one in &own {
            if one.required_by != trial.path.to_string_lossy()
                && !one.required_by.ends_with(&format!("/{shown}"))
            {
                finding = finding.note(format!("{} is needed by {}", one.version, one.required_by));
            }
            finding.items.push(Item::Version {
                version: one.version.clone(),
                file: one.library.clone(),
                weak: false,
                symbols: None,
            });
        }
        let version = own.first().map_or("", |one| one.version.as_str());
        let path = crate::text::path(&trial.path);
        sink.push(finding.help(format!(
            "build it on the oldest system that it must run on, or against that system's libraries; what of it needs the version:\ncargo compat why {} --artifact {}",
            shell_words::quote(version),
            shell_words::quote(&path)
        )));
    }
}
