//! A platform does not have a library that the file needs.

use super::{Applies, Check, Lint, Sink, Subject, on_platform};
use crate::finding::{Item, Level};
use crate::loader::Problem;
use crate::platform::{self, Rename, System};
use crate::runs_on::{private, relative};
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "library_missing",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a platform of `runs-on` does not have a library that is needed",
    page: include_str!("library_missing.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    for on in &all {
        for problem in on.problems() {
            let Problem::Library { name, needed_by, found } = problem else { continue };
            if renamed_here(on, name).is_some() {
                continue;
            }
            let shown = escape(name);
            let message = match found {
                None => format!("`{}` {} on {}: no `{shown}`", subject.name.shown, on.fails(), on.title()),
                Some(_) => format!(
                    "`{}` {} on {}: `{shown}` is unusable",
                    subject.name.shown,
                    on.fails(),
                    on.title()
                ),
            };
            let mut finding = on.finding(message, name).item(Item::Library { name: name.clone() });
            finding.notes.extend(on.chain(needed_by));
            if let Some((path, why)) = found {
                finding = finding.note(format!("{}: {}", escape(path), escape(why)));
            }
            if found.is_none() {
                finding = finding
                    .note(on.system().map_or_else(String::new, |system| what_it_has(on, system, name)));
            }
            sink.push(finding.help(
                "build on that platform, link the library statically, or ship it beside the program with a run path of `$ORIGIN`",
            ));
        }
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}

/// What the platform has instead.
fn what_it_has(on: &on_platform::On<'_>, system: &System, name: &str) -> String {
    let of = |package: Option<String>| package.map(|package| format!(", in {package}")).unwrap_or_default();
    if let Some((other, package)) = relative(system, name) {
        return format!("it has `{}`{}: another interface", escape(&other), of(package));
    }
    if let Some((folder, package)) = private(system, name) {
        return format!("it has one in {}{}, where only a run path leads", escape(&folder), of(package));
    }
    if !system.is_described() {
        return "what is built for it brings such a library along, as `auditwheel repair` makes wheels do"
            .to_owned();
    }
    // A system that was described from a root or an archive has no packages.
    match on.named.found.platform.sources().next().is_some() {
        true => "no package of it has a library of that name".to_owned(),
        false => "it has no library of that name".to_owned(),
    }
}

/// The reviewed rename of a library, where the platform has the new name.
pub fn renamed_here(on: &on_platform::On<'_>, name: &str) -> Option<&'static Rename> {
    let rename = platform::renamed(name)?;
    let system = on.system()?;
    let has = |folder: &String| {
        matches!(system.probe(&format!("{folder}/{}", rename.new)), platform::Probe::Library(_))
    };
    system.search().iter().any(has).then_some(rename)
}
