//! A needed version node falls under a ceiling but is no number.

use super::{Applies, Check, Lint, Sink, Subject, exception};
use crate::artifact::Libc;
use crate::finding::{Finding, Item, Level};
use crate::policy::Against;

pub static LINT: Lint = Lint {
    name: "version_undecidable",
    default: Level::Deny,
    undecided: true,
    enforces_rule: true,
    summary: "a needed version node is a name that no ceiling can be compared with",
    page: include_str!("version_undecidable.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    if facts.libc == Libc::Musl || subject.rules.versions.is_empty() {
        return Applies::No;
    }
    for need in &facts.version_needs {
        let (namespace, Against::Undecidable(ceiling)) = subject.rules.judge(&need.version) else { continue };
        let mut finding = Finding::new(format!(
            "`{}` needs `{}`, which cannot be compared with a version",
            subject.name.shown, need.version
        ))
        .subject(&need.version)
        .forbids(&ceiling.span, format!("whether it is within this {namespace} version is not known"))
        .item(Item::Version {
            version: need.version.clone(),
            file: need.file.clone(),
            weak: need.weak,
            symbols: None,
        })
        .note(format!("`{}` is asked of `{}`", need.version, need.file));
        if need.version.ends_with("_PRIVATE") {
            finding = finding.note("private nodes may change with every build of the library");
        }
        sink.push(finding.help(format!(
            "if every system you promise has it, accept it:\n{}",
            exception(LINT.name, &need.version)
        )));
    }
    Applies::Yes
}
