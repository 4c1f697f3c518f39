//! `PT_INTERP` is not where the C library of this architecture has its loader.

use super::{Applies, Check, Lint, Sink, Subject, exception, pasted_path};
use crate::artifact::{Artifact, Libc};
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "interpreter_unexpected",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "the interpreter is not the one that systems of this architecture have",
    page: include_str!("interpreter_unexpected.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    let Some(path) = &facts.interpreter else { return Applies::No };
    // The tables know Linux.
    let os = subject.target().and_then(|target| target.os.as_ref());
    if os.is_some_and(|os| !matches!(os.as_str(), "linux" | "android")) {
        return Applies::No;
    }
    let Some(expected) = expected(facts) else {
        let mut finding =
            Finding::new(format!("the interpreter of `{}` cannot be judged", subject.name.shown))
                .subject(path)
                .item(Item::Interpreter { path: path.clone(), expected: Vec::new() })
                .note(format!("it names `{path}`; what {} has is not known here", facts.arch))
                .help(format!("if it is right, say so:\n{}", exception(LINT.name, path)));
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
            pasted_path(&subject.place.path)
        )),
        None => finding,
    });
    Applies::Yes
}

/// The interpreters that would do for the libc that the file is linked with;
/// whether it is the one that the triple promises, `libc_mismatch` judges.
/// `None`: the tables do not know this architecture.
fn expected(facts: &Artifact) -> Option<Vec<String>> {
    let glibc = facts.arch.glibc_interpreters();
    Some(match facts.libc {
        Libc::Android => vec!["/system/bin/linker64".to_owned(), "/system/bin/linker".to_owned()],
        Libc::Musl => {
            glibc?;
            vec![format!("/lib/ld-musl-{}.so.1", facts.arch)]
        }
        _ => glibc?.iter().map(|path| (*path).to_owned()).collect(),
    })
}
