//! An object file or archive refers to something that no link would find.

use std::collections::BTreeMap;

use super::{Applies, Check, Lint, Sink, Subject, toml_string};
use crate::artifact::Referrer;
use crate::finding::{Finding, Item, Level, ReferredBy};
use crate::link::{Completeness, Unresolved, is_rust};
use crate::policy::Provided;
use crate::policy::presets::{self, Chosen, Suggestion};
use crate::text::{count, escape, some_of};

pub static LINT: Lint = Lint {
    name: "archive_incomplete",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "an archive or object file refers to a symbol that no link would find",
    page: include_str!("archive_incomplete.md"),
    check: Check::Artifact(check),
};

/// Names for which it is said who refers to them.
const SHOWN: usize = 6;
/// Names that the subject of a finding holds in full.
const IN_SUBJECT: usize = 3;
/// Names to paste into the policy.
const PASTED: usize = 8;

/// Why symbols are missing together.
enum Cause<'c> {
    /// A library has them that nobody named.
    Library(&'c str),
    /// A host program provides them.
    Host(Suggestion),
    Other,
}

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(done) = subject.linkable() else { return Applies::No };
    let missing = missing(subject, done);
    // Then nobody knows, and `archive_undecidable` says so.
    if !done.facts.unread.is_empty() || !done.unsure.is_empty() {
        return Applies::Yes;
    }
    let mut by_library: BTreeMap<&str, Vec<&Unresolved>> = BTreeMap::new();
    let mut rest = Vec::new();
    for one in missing {
        match &one.library {
            Some(library) => by_library.entry(library).or_default().push(one),
            None => rest.push(one),
        }
    }
    let host = presets::suggest(rest.iter().map(|one| one.name.as_str()));
    let chosen =
        host.as_ref().and_then(|host| Chosen::parse(host.preset.strip_prefix(presets::PREFIX)?).ok());
    let (provided, rest): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|one| chosen.is_some_and(|host| host.has(&one.name)));
    if let Some(host) = host {
        sink.push(finding(subject, done, &provided, &Cause::Host(host)));
    }
    for (library, missing) in by_library {
        sink.push(finding(subject, done, &missing, &Cause::Library(library)));
    }
    if !rest.is_empty() {
        sink.push(finding(subject, done, &rest, &Cause::Other));
    }
    Applies::Yes
}

/// What is unresolved, and not allowed.
pub fn missing<'d>(subject: &Subject<'_>, done: &'d Completeness) -> Vec<&'d Unresolved> {
    done.unresolved.iter().filter(|one| !subject.rules.allows_undefined(&one.name)).collect()
}

/// Names as items, for machines.
pub fn items(missing: &[&Unresolved]) -> Vec<Item> {
    let referrer = |by: &Referrer| ReferredBy {
        member: by.member.clone(),
        section: by.place.section.clone(),
        function: by.place.function.clone(),
    };
    let item = |one: &&Unresolved| Item::Reference {
        name: one.name.clone(),
        referrers: one.referrers.iter().map(referrer).collect(),
        nearest: one.nearest.clone(),
        library: one.library.clone(),
    };
    missing.iter().map(item).collect()
}

fn finding(
    subject: &Subject<'_>,
    done: &Completeness,
    missing: &[&Unresolved],
    cause: &Cause<'_>,
) -> Finding {
    let own = &subject.name.shown;
    let names: Vec<String> = missing.iter().map(|one| one.name.clone()).collect();
    let what = match &names[..] {
        [one] => format!("`{}`", shown(one)),
        more => count(more.len(), "symbol"),
    };
    let mut finding = match cause {
        Cause::Library(library) => Finding::new(format!(
            "`{own}` refers to {what} of `lib{library}`, and nothing says that it is linked with it"
        ))
        .subject(*library),
        Cause::Host(host) => {
            Finding::new(format!("`{own}` refers to {what}, which nothing in a link defines"))
                .subject(host.preset.clone())
        }
        Cause::Other => Finding::new(format!("`{own}` refers to {what}, which nothing defines"))
            .subject(some_of(&names, IN_SUBJECT)),
    };
    if let Some(allowed) = &subject.rules.undefined {
        finding = finding.forbids(&allowed.span, "what may stay undefined");
    }
    let told = missing.iter().take(SHOWN);
    finding.notes.extend(told.clone().map(|one| place_of(one)));
    if missing.len() > SHOWN {
        finding = finding.note(format!("and {}", count(missing.len() - SHOWN, "more symbol")));
    }
    for one in told {
        finding.notes.extend(hint(subject, one));
    }
    finding = finding.note(looked_in(done));
    finding.items = items(missing);
    finding.help(advice(subject, &names, cause))
}

/// A symbol's name for people: of Rust and C++ as they are written there.
fn shown(name: &str) -> String {
    match rustc_demangle::try_demangle(name) {
        Ok(plain) if is_rust(name) => escape(&format!("{plain:#}")),
        _ => escape(name),
    }
}

/// Who refers to it: relocation, section, symbol.
pub fn place_of(one: &Unresolved) -> String {
    let by = |by: &Referrer| {
        let at = match (&by.place.function, by.place.section.as_str()) {
            (Some(function), _) => format!("`{}`", shown(function)),
            (None, section) => format!("the section `{}`", escape(section)),
        };
        match &by.member {
            Some(member) => format!("{at} in `{}`", escape(member)),
            None => at,
        }
    };
    let places: Vec<String> = one.referrers.iter().map(by).collect();
    format!("`{}` is referred to by {}", shown(&one.name), some_of(&places, 2))
}

fn hint(subject: &Subject<'_>, one: &Unresolved) -> Option<String> {
    let name = shown(&one.name);
    if let Provided::NotAllowed { nearest, preset_hint } = subject.rules.provided(&one.name) {
        if preset_hint.is_some() {
            return preset_hint;
        }
        if let Some(near) = nearest {
            return Some(format!("`undefined` allows `{}`: is `{name}` misspelt?", escape(&near)));
        }
    }
    let near = one.nearest.as_ref()?;
    Some(format!("there is a `{}`: is `{name}` misspelt?", shown(near)))
}

fn looked_in(done: &Completeness) -> String {
    let mut places = vec![format!("its {}", count(done.facts.objects, "object"))];
    places.push("the libraries of libc and the C compiler".to_owned());
    if done.facts.rlib {
        places.push("the crates that it is built with".to_owned());
    }
    places.extend(done.asked.iter().map(|name| format!("`{}`", escape(name))));
    format!("looked for in {}", places.join(", "))
}

fn advice(subject: &Subject<'_>, names: &[String], cause: &Cause<'_>) -> String {
    match cause {
        Cause::Library(library) => {
            let library = toml_string(library);
            match subject.from_cargo {
                true => format!(
                    "is it named by `#[link(name = {library})]` alone? cargo's messages do not tell of that; say it in compat.toml:\nlink-libs = [{library}]"
                ),
                false => format!("say that it is linked with it, in compat.toml:\nlink-libs = [{library}]"),
            }
        }
        Cause::Host(host) => format!(
            "{} provides {} to what it loads; allow that:\nundefined = [\"{}\"]",
            host.host,
            if names.len() == 1 { "it" } else { "them" },
            host.preset
        ),
        Cause::Other => {
            let first = if names.iter().any(|name| name.contains('/') || name.contains("(*")) {
                "a Go link name is an import path taken literally: has the package moved, by vendoring for example?"
            } else if subject.from_cargo {
                "is a C file missing from the build script, or a `#[link(name = \"…\")]` for the library that has it?"
            } else {
                "is an object missing from it? A library that it is linked with is named by `--link-lib`"
            };
            let listed: Vec<String> = names.iter().take(PASTED).map(|name| toml_string(name)).collect();
            let more = if names.len() > PASTED { ", …" } else { "" };
            format!(
                "{first}\nif who links it defines {}, allow it:\nundefined = [{}{more}]",
                if names.len() == 1 { "the symbol" } else { "them" },
                listed.join(", ")
            )
        }
    }
}
