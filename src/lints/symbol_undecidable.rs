//! Whether a reference is defined cannot be decided.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Item, Level};
use crate::loader::{Because, Problem, Undecided};
use crate::text::{count, escape, some_of};

pub static LINT: Lint = Lint {
    name: "symbol_undecidable",
    default: Level::Deny,
    undecided: true,
    enforces_rule: false,
    summary: "a library that may define a symbol is not at hand",
    page: include_str!("symbol_undecidable.md"),
    check: Check::Artifact(check),
};

/// Names shown to people in one note.
const SHOWN: usize = 6;

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    if let Some(Err(why)) = &facts.bindings {
        let name = &subject.name.shown;
        let finding = Finding::new(format!("the references of `{name}` cannot be read"))
            .subject("relocations")
            .note(escape(why))
            .help("the loader stumbles over it too: build or strip the file anew");
        sink.push(finding);
        return Applies::Yes;
    }
    let Some(verdict) = subject.verdict else { return Applies::No };
    // Where platforms are promised, theirs are the answers; what one leaves open, `platform_undecided` says.
    if !subject.platforms.is_empty() {
        return Applies::Yes;
    }
    let own = verdict.loaded.first().map(|loaded| &*loaded.path);
    let mut names: Vec<(String, Option<String>, Option<String>)> = Vec::new();
    let mut absent: Vec<String> = Vec::new();
    let mut differs: Vec<String> = Vec::new();
    for one in &verdict.undecided {
        match one {
            // What has a version was found when the file was linked.
            Undecided::Symbol { name, version: None, needed_by, .. } if Some(needed_by.as_str()) == own => {
                names.push((name.clone(), None, None));
            }
            Undecided::Library { name, .. } => absent.push(format!("`{}`", escape(name))),
            _ => {}
        }
    }
    for problem in &verdict.problems {
        match problem {
            Problem::Symbol { name, version: Some(version), file, needed_by, because, .. }
                if *because != Some(Because::Version)
                    && Some(needed_by.as_str()) == own
                    && !subject.from_cargo =>
            {
                differs.extend(file.clone());
                names.push((name.clone(), Some(version.clone()), file.clone()));
            }
            Problem::Symbol { name, version: None, needed_by, because: Some(Because::Library), .. }
                if Some(needed_by.as_str()) == own =>
            {
                names.push((name.clone(), None, None));
            }
            Problem::Library { name, .. } => absent.push(format!("`{}`", escape(name))),
            _ => {}
        }
    }
    names.retain(|(name, ..)| !subject.rules.allows_undefined(name));
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Applies::Yes;
    }
    let shown: Vec<String> = names
        .iter()
        .map(|(name, version, _)| match version {
            Some(version) => format!("`{}@{}`", escape(name), escape(version)),
            None => format!("`{}`", escape(name)),
        })
        .collect();
    let plain: Vec<String> = names.iter().map(|(name, ..)| name.clone()).collect();
    let mut finding = Finding::new(format!(
        "whether anything defines {} that `{}` refers to cannot be decided",
        if names.len() == 1 { shown[0].clone() } else { count(names.len(), "symbol") },
        subject.name.shown
    ))
    .subject(some_of(&plain, 3));
    if names.len() > 1 {
        finding = finding.note(some_of(&shown, SHOWN));
    }
    if !absent.is_empty() {
        finding = finding.note(format!("not at hand here: {}", some_of(&absent, SHOWN)));
    }
    differs.sort();
    differs.dedup();
    for file in &differs {
        finding = finding.note(format!(
            "the `{}` at hand has the version and not the symbol; where the file will run it may have both",
            escape(file)
        ));
    }
    for (name, version, file) in names {
        finding = finding.item(Item::Symbol { name, version, file, at: None });
    }
    sink.push(finding.help(
        "name a folder that holds the system it runs on, or install the libraries for this target:\ncargo compat check --root DIR",
    ));
    Applies::Yes
}
