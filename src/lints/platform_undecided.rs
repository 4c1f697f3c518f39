//! A platform's description does not tell whether the file loads.

use super::{Applies, Check, Lint, Sink, Subject, on_platform};
use crate::finding::{Item, Level};
use crate::loader::{Problem, Undecided};
use crate::runs_on::{Outcome, base};
use crate::text::{escape, some_of};

pub static LINT: Lint = Lint {
    name: "platform_undecided",
    default: Level::Deny,
    undecided: true,
    enforces_rule: true,
    summary: "what is known of a platform of `runs-on` does not tell whether the file loads",
    page: include_str!("platform_undecided.md"),
    check: Check::Artifact(check),
};

/// Names shown to people in one note.
const SHOWN: usize = 6;

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    for on in &all {
        let import = "make a description of such a system, and name it in `runs-on`:\ncargo compat platforms import NAME --root DIR";
        let Some(verdict) = on.verdict() else {
            if on.named.found.outcome == Outcome::Undecided {
                let arch = on.facts.arch;
                let message = format!("nothing is known of {} on {arch}", on.title());
                sink.push(on.finding(message, arch.to_string()).help(import));
            }
            continue;
        };
        if on.named.found.of_other_libc(on.facts).is_some() {
            continue;
        }
        let missing: Vec<&str> = verdict.problems.iter().filter_map(missing_library).collect();
        let mut subjects: Vec<String> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        let mut symbols: Vec<String> = Vec::new();
        let mut items = Vec::new();
        for one in &verdict.undecided {
            match one {
                Undecided::Symbol { name, version, file, needed_by, .. } => {
                    if on.is_own(needed_by) && subject.rules.allows_undefined(name) {
                        continue;
                    }
                    // As `symbol_missing`: a library that is missing may have had it.
                    let had = |name: &&str| file.as_deref().is_none_or(|file| file == *name);
                    if missing.iter().any(had) {
                        continue;
                    }
                    symbols.push(format!("`{}`", escape(name)));
                    items.push(Item::Symbol {
                        name: name.clone(),
                        version: version.clone(),
                        file: file.clone(),
                        at: None,
                    });
                    if subjects.is_empty() {
                        subjects.push(name.clone());
                    }
                }
                Undecided::Library { name, needed_by, why } => {
                    subjects.push(name.clone());
                    items.push(Item::Library { name: name.clone() });
                    let chain = on.chain(needed_by).map(|chain| format!(" ({chain})")).unwrap_or_default();
                    reasons.push(format!("`{}`: {}{chain}", escape(name), escape(why)));
                }
                Undecided::Interpreter { path, why } => {
                    subjects.push(path.clone());
                    reasons.push(format!("`{}`: {}", escape(path), escape(why)));
                }
                Undecided::Version { file, version, needed_by, why } => {
                    subjects.push(format!("{file}: {version}"));
                    let asker = escape(base(needed_by));
                    reasons.push(format!(
                        "`{}` of `{}`, for `{asker}`: {}",
                        escape(version),
                        escape(file),
                        escape(why)
                    ));
                }
                Undecided::References { file, why } => {
                    subjects.push(base(file).to_owned());
                    reasons.push(format!("what `{}` refers to: {}", escape(base(file)), escape(why)));
                }
            }
        }
        if subjects.is_empty() && symbols.is_empty() {
            continue;
        }
        subjects.dedup();
        let message = format!("whether `{}` loads on {} cannot be decided", subject.name.shown, on.title());
        let mut finding = on.finding(message, some_of(&subjects, 3));
        reasons.dedup();
        let more = reasons.len().saturating_sub(SHOWN);
        for reason in reasons.into_iter().take(SHOWN) {
            finding = finding.note(reason);
        }
        if more > 0 {
            finding = finding.note(format!("and {more} more"));
        }
        if !symbols.is_empty() {
            finding = finding.note(format!("whether anything defines {}", some_of(&symbols, SHOWN)));
        }
        finding.items = items;
        sink.push(finding.help(import));
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}

fn missing_library(problem: &Problem) -> Option<&str> {
    match problem {
        Problem::Library { name, .. } => Some(name),
        _ => None,
    }
}
