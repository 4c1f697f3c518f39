//! `DT_RPATH` or `DT_RUNPATH` is set.

use super::{Applies, Check, Lint, Sink, Subject, pasted_path};
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "run_path_present",
    default: Level::Allow,
    undecided: false,
    enforces_rule: false,
    summary: "the file tells the loader where to look for libraries",
    page: include_str!("run_path_present.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    for (tag, paths) in [("DT_RPATH", &facts.rpath), ("DT_RUNPATH", &facts.runpath)] {
        if paths.is_empty() {
            continue;
        }
        let joined = paths.join(":");
        let mut finding = Finding::new(format!("`{}` has a run path", subject.name.shown))
            .subject(&joined)
            .note(format!("{tag} is `{joined}`"));
        finding
            .items
            .extend(paths.iter().map(|path| Item::RunPath { tag: tag.to_owned(), path: path.clone() }));
        if tag == "DT_RPATH" && !facts.runpath.is_empty() {
            finding = finding.note("the loader ignores it, because the file has a DT_RUNPATH too");
        } else if tag == "DT_RPATH" {
            finding =
                finding.note("the libraries that it needs inherit it, and it goes before LD_LIBRARY_PATH");
        } else {
            finding = finding.note("it serves the file's own needs only, not those of its libraries");
        }
        sink.push(finding.help(format!(
            "link without `-rpath`, or remove it:\npatchelf --remove-rpath {}",
            pasted_path(&subject.place.path)
        )));
    }
    Applies::Yes
}
