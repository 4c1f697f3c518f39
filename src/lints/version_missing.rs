//! A library of a platform does not define a version that the file needs.

use std::collections::BTreeMap;

use super::{Applies, Check, Lint, Sink, Subject, on_platform};
use crate::finding::{Finding, Item, Level};
use crate::loader::Problem;
use crate::runs_on::newest_first;
use crate::text::{escape, some_of};

pub static LINT: Lint = Lint {
    name: "version_missing",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a library of a platform of `runs-on` does not define a version that is needed",
    page: include_str!("version_missing.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    for on in &all {
        // By the library, and who asks.
        let mut missing: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for problem in on.problems() {
            match problem {
                Problem::Version { file, version, needed_by, .. } => {
                    missing.entry((file, needed_by)).or_default().push(version);
                }
                Problem::VersionOfNothing { file, version, needed_by } => {
                    sink.push(assertion(
                        on,
                        version,
                        needed_by,
                        format!(
                            "it asks for `{}` of `{}`, which it does not need",
                            escape(version),
                            escape(file)
                        ),
                    ));
                }
                Problem::NoVersionTable { file, needed_by, symbol, .. } => sink.push(assertion(
                    on,
                    file,
                    needed_by,
                    format!(
                        "`{}` there has no versions, and `{}` is asked for with one",
                        escape(file),
                        escape(symbol)
                    ),
                )),
                Problem::PackedRelocations { file } => sink.push(
                    on.finding(format!("`{}` crashes on {}", subject.name.shown, on.title()), "DT_RELR")
                        .note(format!(
                            "the loader there does not know packed relocations, and leaves {} as it is",
                            escape(file)
                        ))
                        .help("link without them: `-Wl,-z,nopack-relative-relocs`"),
                ),
                _ => {}
            }
        }
        for ((file, needed_by), mut versions) in missing {
            newest_first(&mut versions);
            sink.push(finding(on, file, needed_by, &versions));
        }
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}

fn finding(on: &on_platform::On<'_>, file: &str, needed_by: &str, versions: &[&str]) -> Finding {
    let shown: Vec<String> = versions.iter().map(|version| format!("`{}`", escape(version))).collect();
    let plain: Vec<String> = versions.iter().map(|&version| version.to_owned()).collect();
    let message = format!(
        "`{}` {} on {}: `{}` has no {}",
        on.subject.name.shown,
        on.fails(),
        on.title(),
        escape(file),
        shown.first().map_or("", String::as_str)
    );
    let mut finding = on.finding(message, some_of(&plain, 3));
    finding.notes.extend(on.chain(needed_by));
    if shown.len() > 1 {
        finding = finding.note(format!("nor {}", some_of(&shown[1..], 6)));
    }
    let libc = on.system().map(|system| system.about().libc.clone()).unwrap_or_default();
    let of_glibc = versions.iter().any(|version| version.starts_with("GLIBC_"));
    if of_glibc && !libc.is_empty() {
        finding = finding.note(format!("it has {libc}"));
    }
    for version in versions {
        finding = finding.item(Item::Version {
            version: (*version).to_owned(),
            file: file.to_owned(),
            weak: false,
            symbols: None,
        });
    }
    let older = libc.strip_prefix("glibc ").filter(|_| of_glibc);
    finding.help(match (older, on.subject.triple.filter(|_| on.subject.from_cargo)) {
        (Some(release), Some(triple)) => format!(
            "build on {} or older, or link against its glibc:\ncargo compat check --build-with \"cargo zigbuild\" --target {triple}.{release}",
            on.title()
        ),
        (Some(_), None) => format!("build it on {} or older, or link it statically", on.title()),
        (None, _) => format!("build on {}, link the library statically, or ship it beside the program", on.title()),
    })
}

/// The loader gives up on an assertion, with a text that names no cause.
fn assertion(on: &on_platform::On<'_>, subject: &str, needed_by: &str, why: String) -> Finding {
    let message = format!("`{}` stops the loader of {} on an assertion", on.subject.name.shown, on.title());
    let mut finding = on.finding(message, subject).note(why);
    finding.notes.extend(on.chain(needed_by));
    finding.help("link it anew with the libraries that it needs")
}
