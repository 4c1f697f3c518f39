//! A library that the file opens at run time, and says so in a note.

use super::{Applies, Check, Lint, Sink, Subject, exception};
use crate::artifact::Artifact;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "dlopen_dependency",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "a library that is opened at run time is required, and not among those allowed",
    page: include_str!("dlopen_dependency.md"),
    check: Check::Artifact(check),
};

/// One entry of a note (UAPI Group, "ELF Metadata for dlopen()").
#[derive(serde::Deserialize)]
struct Entry {
    /// Any one of them serves.
    soname: Vec<String>,
    feature: Option<String>,
    description: Option<String>,
    priority: Option<String>,
}

/// Every soname in the notes that can be read.
pub fn sonames(facts: &Artifact) -> impl Iterator<Item = String> {
    let entries = facts.dlopen.iter().filter_map(|note| serde_json::from_str::<Vec<Entry>>(note).ok());
    entries.flatten().flat_map(|entry| entry.soname)
}

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts().filter(|facts| !facts.dlopen.is_empty()) else { return Applies::No };
    for note in &facts.dlopen {
        let Ok(entries) = serde_json::from_str::<Vec<Entry>>(note) else {
            sink.push(
                Finding::new(format!(
                    "`{}` has a note of libraries it opens, which cannot be read",
                    subject.name.shown
                ))
                .subject(".note.dlopen")
                .note(format!("the note is: {note}")),
            );
            continue;
        };
        for entry in entries {
            entry_finding(subject, &entry, sink);
        }
    }
    Applies::Yes
}

fn entry_finding(subject: &Subject<'_>, entry: &Entry, sink: &mut Sink<'_>) {
    // The specification's default is "recommended": the program runs without.
    if entry.priority.as_deref() != Some("required") {
        return;
    }
    let allowed = |name: &String| {
        let list = subject.rules.libraries.as_ref();
        list.is_some_and(|list| list.value.iter().any(|pattern| pattern.value.matches(name)))
    };
    if entry.soname.iter().any(allowed) {
        return;
    }
    let first = entry.soname.first().map_or("", String::as_str);
    let names: Vec<_> = entry.soname.iter().map(|name| format!("`{name}`")).collect();
    let mut finding =
        Finding::new(format!("`{}` opens {} at run time", subject.name.shown, names.join(" or ")))
            .subject(first);
    finding.items.extend(entry.soname.iter().map(|name| Item::Library { name: name.clone() }));
    if let Some(description) = entry.description.as_ref().or(entry.feature.as_ref()) {
        finding = finding.note(format!("for: {description}"));
    }
    sink.push(
        finding.note("DT_NEEDED does not name it: the program starts without it and fails later").help(
            match subject.rules.libraries {
                Some(_) => "see that the package depends on it, and allow it in `libraries`".to_owned(),
                None => format!(
                    "see that the package depends on it, and say so:\n{}",
                    exception(LINT.name, first)
                ),
            },
        ),
    );
}
