//! A platform's libraries have the versions, and not the symbol.

use std::collections::HashSet;

use super::{Applies, Check, Lint, Sink, Subject, on_platform, symbol_undefined};
use crate::artifact::When;
use crate::finding::{BoundAt, Item, Level};
use crate::loader::Problem;
use crate::runs_on::base;
use crate::text::{count, escape, some_of};

pub static LINT: Lint = Lint {
    name: "symbol_missing",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "the libraries of a platform of `runs-on` do not define a symbol that is needed",
    page: include_str!("symbol_missing.md"),
    check: Check::Artifact(check),
};

/// Names shown to people in one note.
const SHOWN: usize = 6;

type Missing<'f> = (&'f str, Option<&'f str>, Option<&'f str>, When);

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    let told = if all.is_empty() { HashSet::new() } else { told(subject) };
    for on in &all {
        let mut by_asker: Vec<(&str, Vec<Missing<'_>>)> = Vec::new();
        for problem in on.problems() {
            // What a missing version or library explains is told there.
            let Problem::Symbol { name, version, file, needed_by, when, because: None } = problem else {
                continue;
            };
            let own = on.is_own(needed_by);
            if own
                && (subject.rules.allows_undefined(name)
                    || (version.is_none() && told.contains(name.as_str())))
            {
                continue;
            }
            let missing = (name.as_str(), version.as_deref(), file.as_deref(), *when);
            match by_asker.iter_mut().find(|(asker, _)| asker == needed_by) {
                Some((_, list)) => list.push(missing),
                None => by_asker.push((needed_by, vec![missing])),
            }
        }
        for (needed_by, missing) in by_asker {
            sink.push(finding(on, needed_by, &missing));
        }
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}

/// What `symbol_undefined` speaks of: nothing at hand has it either.
fn told<'s>(subject: &'s Subject<'_>) -> HashSet<&'s str> {
    let unresolved = subject.verdict.map(|verdict| symbol_undefined::unresolved(subject, verdict));
    unresolved.into_iter().flatten().filter(|one| one.version.is_none()).map(|one| one.name).collect()
}

fn finding(on: &on_platform::On<'_>, needed_by: &str, missing: &[Missing<'_>]) -> crate::finding::Finding {
    let plain: Vec<String> = missing.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let shown: Vec<String> = missing
        .iter()
        .map(|(name, version, ..)| match version {
            Some(version) => format!("`{}@{}`", escape(name), escape(version)),
            None => format!("`{}`", escape(name)),
        })
        .collect();
    let at_start = missing.iter().any(|(.., when)| *when == When::Start);
    let what = if shown.len() == 1 { shown[0].clone() } else { count(shown.len(), "symbol") };
    let name = &on.subject.name.shown;
    let message = match at_start {
        true => format!("`{name}` {} on {}: nothing defines {what}", on.fails(), on.title()),
        false => format!("`{name}` fails on {} when it calls {what}", on.title()),
    };
    let mut finding = on.finding(message, some_of(&plain, 3));
    finding.notes.extend(on.chain(needed_by));
    if shown.len() > 1 {
        finding = finding.note(some_of(&shown, SHOWN));
    }
    let mut files: Vec<&str> = missing.iter().filter_map(|(_, _, file, _)| *file).collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        finding = finding.note(format!(
            "its `{}` is older than the one that was linked with: it has the version, and not what came to it later",
            escape(base(file))
        ));
    }
    for (name, version, file, when) in missing {
        finding = finding.item(Item::Symbol {
            name: (*name).to_owned(),
            version: version.map(str::to_owned),
            file: file.map(str::to_owned),
            at: Some(if *when == When::Start { BoundAt::Start } else { BoundAt::Call }),
        });
    }
    finding.help(format!("build on {} or older, or do without what came later", on.title()))
}
