//! A strong reference that nothing defines.

use super::{Applies, Check, Lint, Sink, Subject, toml_string};
use crate::artifact::{Artifact, When};
use crate::finding::{BoundAt, Finding, Item, Level};
use crate::loader::{Because, Imports, Problem, Verdict};
use crate::policy::Provided;
use crate::policy::presets::{self, Chosen, Suggestion};
use crate::text::{count, escape, nearest_symbol, some_of};

pub static LINT: Lint = Lint {
    name: "symbol_undefined",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "a symbol that the file refers to is defined by nothing that is loaded with it",
    page: include_str!("symbol_undefined.md"),
    check: Check::Artifact(check),
};

/// Names shown to people in one note.
const SHOWN: usize = 6;
/// Names about which something more is said.
const HINTED: usize = 4;
/// Names that the subject of a finding holds in full.
const IN_SUBJECT: usize = 3;
/// Names to paste into the policy.
const PASTED: usize = 8;

/// A reference without a definition.
#[derive(Debug)]
pub struct Unresolved<'f> {
    pub name: &'f str,
    pub version: Option<&'f str>,
    file: Option<&'f str>,
    when: When,
}

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    let Some(Ok(bindings)) = &facts.bindings else { return Applies::No };
    let at_run_time = subject.verdict.map(|verdict| unresolved(subject, verdict)).unwrap_or_default();
    let at_run_time: Vec<_> = at_run_time.into_iter().filter(|one| !allowed(subject, one.name)).collect();
    let left = bindings.leftovers.iter().filter(|name| !allowed(subject, name));
    let left: Vec<String> = left.cloned().collect();
    let applies = match subject.verdict.is_some() || !left.is_empty() {
        true => Applies::Yes,
        false => Applies::No,
    };
    if !sink.is_heard() {
        return applies;
    }
    // What a well-known host program provides is one cause, the rest another.
    let host = match subject.is_executable(facts) {
        true => None,
        false => presets::suggest(at_run_time.iter().map(|one| one.name)),
    };
    let of_host =
        host.as_ref().and_then(|host| Chosen::parse(host.preset.trim_start_matches(presets::PREFIX)).ok());
    let (provided, rest): (Vec<_>, Vec<_>) =
        at_run_time.into_iter().partition(|one| of_host.is_some_and(|host| host.has(one.name)));
    if let Some(host) = host {
        sink.push(finding(subject, facts, &provided, Some(&host)));
    }
    if !rest.is_empty() {
        sink.push(finding(subject, facts, &rest, None));
    }
    if bindings.empty_plt_slots > 0 {
        sink.push(finding_of_slots(subject, bindings.empty_plt_slots));
    }
    if !left.is_empty() {
        sink.push(finding_of_leftovers(subject, &left));
    }
    applies
}

fn allowed(subject: &Subject<'_>, name: &str) -> bool {
    subject.rules.allows_undefined(name)
}

/// The references that the libraries at hand leave open. One with a version
/// was resolved when the file was linked; of a file that was built elsewhere
/// `symbol_undecidable` speaks.
pub fn unresolved<'f>(subject: &Subject<'_>, verdict: &'f Verdict) -> Vec<Unresolved<'f>> {
    let own = verdict.loaded.first().map(|loaded| &*loaded.path);
    let problems = verdict.problems.iter().filter_map(|problem| match problem {
        Problem::Symbol { name, version, file, needed_by, when, because } => {
            let counts = *because != Some(Because::Version) && Some(needed_by.as_str()) == own;
            let decided = version.is_none() || subject.from_cargo;
            (counts && decided).then_some(Unresolved {
                name,
                version: version.as_deref(),
                file: file.as_deref(),
                when: *when,
            })
        }
        _ => None,
    });
    let mut found: Vec<_> = problems.collect();
    found.sort_by_key(|one| (one.name, one.version));
    found
}

fn finding(
    subject: &Subject<'_>,
    facts: &Artifact,
    found: &[Unresolved<'_>],
    host: Option<&Suggestion>,
) -> Finding {
    let names: Vec<String> = found.iter().map(|one| one.name.to_owned()).collect();
    let shown: Vec<String> = found.iter().map(shown).collect();
    let what = match &shown[..] {
        [one] => format!("{one}, which `{}` refers to", subject.name.shown),
        _ => format!("{} that `{}` refers to", count(found.len(), "symbol"), subject.name.shown),
    };
    let mut finding = Finding::new(format!("nothing defines {what}")).subject(&match host {
        Some(host) => host.preset.clone(),
        None => subject_of(&names),
    });
    if found.len() > 1 {
        finding = finding.note(some_of(&shown, SHOWN));
    }
    if let Some(verdict) = subject.verdict {
        let loaded: Vec<String> =
            verdict.loaded.iter().skip(1).map(|one| format!("`{}`", escape(base(&one.path)))).collect();
        finding = finding.note(match loaded.is_empty() {
            true => "it needs no library that could define it".to_owned(),
            false => format!("looked for in {}", some_of(&loaded, SHOWN)),
        });
    }
    let mut narrower = false;
    for one in found.iter().take(HINTED) {
        match (host, subject.rules.provided(one.name)) {
            (None, _) => finding.notes.extend(hint(subject, one.name)),
            (Some(_), Provided::NotAllowed { preset_hint: Some(hint), .. }) => {
                narrower = true;
                finding.notes.push(hint);
            }
            (Some(_), _) => {}
        }
    }
    finding = finding.note(consequence(subject, facts, found));
    for one in found {
        finding = finding.item(Item::Symbol {
            name: one.name.to_owned(),
            version: one.version.map(str::to_owned),
            file: one.file.map(str::to_owned),
            at: Some(match one.when {
                When::Start => BoundAt::Start,
                When::Call => BoundAt::Call,
            }),
        });
    }
    finding.help(match host {
        Some(_) if narrower => {
            "use what the promised version of the host has, or promise a newer one in `undefined`".to_owned()
        }
        Some(host) => format!(
            "{} provides {} to what it loads; allow that:\nundefined = [\"{}\"]",
            host.host,
            if names.len() == 1 { "it" } else { "them" },
            host.preset
        ),
        None => advice(subject, facts, &names),
    })
}

/// A name that was perhaps meant: one that is allowed, or that a library has.
fn hint(subject: &Subject<'_>, wrong: &str) -> Option<String> {
    let own = escape(wrong);
    if let Provided::NotAllowed { nearest, preset_hint } = subject.rules.provided(wrong) {
        if preset_hint.is_some() {
            return preset_hint;
        }
        if let Some(near) = nearest {
            return Some(format!("`undefined` allows `{}`: is `{own}` misspelt?", escape(&near)));
        }
    }
    let (name, path) = nearest(subject.verdict?, wrong)?;
    Some(format!("`{}` has `{}`: is `{own}` misspelt?", escape(base(path)), escape(&name)))
}

/// `-z undefs` as bfd does it on x86-64: a PLT slot with `R_X86_64_NONE` (fact 23).
fn finding_of_slots(subject: &Subject<'_>, slots: usize) -> Finding {
    let slots = count(slots, "PLT slot");
    Finding::new(format!("`{}` calls through {slots} that nothing fills", subject.name.shown))
        .subject("PLT")
        .note(
            "the linker was told to allow undefined symbols (`-z undefs`, `--unresolved-symbols=ignore…`), \
             and kept no name",
        )
        .note("the first call through it jumps to no function: SIGSEGV")
        .help("link without that option, and the linker names the symbol and what refers to it")
}

/// A name that only `.symtab` has. gold leaves such names of sections that
/// `--gc-sections` dropped, too.
fn finding_of_leftovers(subject: &Subject<'_>, never: &[String]) -> Finding {
    let shown: Vec<String> = never.iter().map(|name| format!("`{}`", escape(name))).collect();
    let what = if shown.len() == 1 { shown[0].clone() } else { count(shown.len(), "symbol") };
    let mut finding =
        Finding::new(format!("`{}` was linked without a definition of {what}", subject.name.shown))
            .subject(subject_of(never));
    if never.len() > 1 {
        finding = finding.note(some_of(&shown, SHOWN));
    }
    for name in never {
        finding = finding.item(Item::Symbol { name: name.clone(), version: None, file: None, at: None });
    }
    finding
        .note("only `.symtab` names it, so the loader will not look for it; a call would jump to address 0")
        .note(
            "a linker that dropped the section which refers to it leaves the name, too: then it is harmless",
        )
        .help("link with `-z defs`, without `-z undefs`: where something refers to it, the linker says what")
        .at_most_warn()
}

fn shown(one: &Unresolved<'_>) -> String {
    match one.version {
        Some(version) => format!("`{}@{}`", escape(one.name), escape(version)),
        None => format!("`{}`", escape(one.name)),
    }
}

/// Another set of symbols is another cause: an exception for one must not
/// cover a symbol that joins it later.
fn subject_of(names: &[String]) -> String {
    some_of(names, IN_SUBJECT)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A name that differs little, in a library that is loaded.
fn nearest<'v>(verdict: &'v Verdict, wrong: &str) -> Option<(String, &'v str)> {
    // Of short names every other is near.
    if wrong.len() < 5 {
        return None;
    }
    verdict.loaded.iter().skip(1).find_map(|one| {
        let Imports::Of(bindings) = &one.object.imports else { return None };
        let names = bindings.exports.names().filter_map(|name| std::str::from_utf8(name).ok());
        Some((nearest_symbol(wrong, names)?.to_owned(), &*one.path))
    })
}

/// Fact 36: when it is found out.
fn consequence(subject: &Subject<'_>, facts: &Artifact, found: &[Unresolved<'_>]) -> String {
    let at_start = found.iter().any(|one| one.when == When::Start);
    match (subject.is_executable(facts), at_start) {
        (true, true) => {
            "the loader stops before the program's first instruction: \"undefined symbol\"".to_owned()
        }
        (false, true) => "whoever loads it fails at once, a `dlopen` too: \"undefined symbol\"".to_owned(),
        (_, false) => {
            "bound when it is first called: the process ends there, with \"undefined symbol\"".to_owned()
        }
    }
}

fn advice(subject: &Subject<'_>, facts: &Artifact, names: &[String]) -> String {
    let go = names.iter().any(|name| name.contains("(*") || name.contains(".go."));
    let mut text = if names.iter().any(|name| name.contains('/')) || go {
        "a Go link name is an import path taken literally: has the package moved, by vendoring for example?"
            .to_owned()
    } else if subject.from_cargo {
        "is a C file missing from the build script, or a `#[link(name = \"…\")]` for the library that has it?"
            .to_owned()
    } else {
        "link with the library that defines it".to_owned()
    };
    if !subject.is_executable(facts) {
        let listed: Vec<String> = names.iter().take(PASTED).map(|name| toml_string(name)).collect();
        let more = if names.len() > PASTED { ", …" } else { "" };
        text += &format!(
            "\nif the program that loads it defines it, allow it:\nundefined = [{}{more}]",
            listed.join(", ")
        );
    }
    text
}
