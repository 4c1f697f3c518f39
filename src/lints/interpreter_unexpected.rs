//! `PT_INTERP` is not where the C library of this architecture has its loader.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::{Artifact, Libc};
use crate::finding::{Finding, Item, Level};
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "interpreter_unexpected",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "the interpreter is not the one that systems of this architecture have",
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    let Some(path) = &facts.interpreter else { return Applies::No };
    // The tables know Linux.
    if subject.target().is_some_and(|target| target.os.as_ref().is_none_or(|os| os.as_str() != "linux")) {
        return Applies::No;
    }
    let Some(expected) = expected(subject, facts) else {
        let mut finding = Finding::new(format!(
            "whether `{}` names the right interpreter is not known for {}",
            subject.name.shown, facts.arch
        ))
        .subject(path)
        .item(Item::Interpreter { path: path.clone(), expected: Vec::new() })
        .note(format!("it names `{path}`"))
        .help(format!(
            "if it is right, say so:\n[[exception]]\nlint = \"{}\"\nsubject = \"{}\"\nreason = \"…\"",
            LINT.name,
            escape(path)
        ));
        finding.undecided = true;
        sink.push(finding);
        return Applies::Yes;
    };
    if expected.iter().any(|right| right == path) || facts.arch.is_musl_interpreter(path) == Some(true) {
        return Applies::Yes;
    }
    let named: Vec<_> = expected.iter().map(|right| format!("`{right}`")).collect();
    let mut finding = Finding::new(format!("`{}` names an unusual interpreter", subject.name.shown))
        .subject(path)
        .item(Item::Interpreter { path: path.clone(), expected: expected.clone() })
        .note(format!("it names `{path}`; on {} it is {}", facts.arch, named.join(" or ")))
        .note("where that file is missing, the program does not start: \"No such file or directory\"");
    if path.starts_with("/nix/store/") || path.starts_with("/gnu/store/") {
        finding = finding.note("this path exists only on the machine that built it, or with its store");
    }
    sink.push(match expected.first() {
        Some(right) => finding.help(format!(
            "link with the system's own compiler, or set it:\npatchelf --set-interpreter {right} {}",
            crate::text::path(&subject.place.path)
        )),
        None => finding,
    });
    Applies::Yes
}

/// The interpreters that would do. `None`: the tables do not know this
/// architecture.
fn expected(subject: &Subject<'_>, facts: &Artifact) -> Option<Vec<String>> {
    let glibc = facts.arch.glibc_interpreters()?;
    Some(match subject.promised_libc() {
        Some(Libc::Android) if facts.libc == Libc::Android => {
            vec!["/system/bin/linker64".to_owned(), "/system/bin/linker".to_owned()]
        }
        Some(Libc::Musl) => vec![format!("/lib/ld-musl-{}.so.1", facts.arch)],
        _ => glibc.iter().map(|path| (*path).to_owned()).collect(),
    })
}
