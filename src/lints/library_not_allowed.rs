//! A needed library is not in `libraries`.

use std::collections::HashSet;

use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Item, Level};
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "library_not_allowed",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a needed library is not among those that the policy allows",
    page: include_str!("library_not_allowed.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(allowed)) = (subject.facts(), &subject.rules.libraries) else {
        return Applies::No;
    };
    let mut seen = HashSet::new();
    for name in &facts.needed {
        let listed = allowed.value.iter().any(|pattern| pattern.value.matches(name));
        if listed || facts.is_own_loader(name) || !seen.insert(name) {
            continue;
        }
        let label = if allowed.value.is_empty() { "no library is allowed" } else { "the libraries allowed" };
        let finding = Finding::new(format!("`{}` needs `{name}`, which is not allowed", subject.name.shown))
            .subject(name)
            .forbids(&allowed.span, label)
            .item(Item::Library { name: name.clone() });
        sink.push(finding.help(advice(subject, name)));
    }
    Applies::Yes
}

fn advice(subject: &Subject<'_>, name: &str) -> String {
    let shown = escape(name);
    let allow = format!("or allow it: add \"{shown}\" to `libraries`");
    match (subject.from_cargo, name) {
        (
            _,
            "libgcc_s.so.1" | "libm.so.6" | "libpthread.so.0" | "libdl.so.2" | "librt.so.1" | "libc.so.6",
        ) => {
            format!("it comes with the C compiler or C library; link them statically, {allow}")
        }
        (true, _) => {
            format!("the crate that links it may have a `vendored`, `bundled` or `static` feature; {allow}")
        }
        (false, _) => format!("link it statically, {allow}"),
    }
}
