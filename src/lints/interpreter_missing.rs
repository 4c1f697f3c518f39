//! A platform does not have the interpreter that the file names.

use super::{Applies, Check, Lint, Sink, Subject, on_platform};
use crate::artifact::Libc;
use crate::finding::{Item, Level};
use crate::loader::Problem;
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "interpreter_missing",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a platform of `runs-on` does not have the interpreter that the file names",
    page: include_str!("interpreter_missing.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    for on in &all {
        for problem in on.problems() {
            let Problem::Interpreter { path, why } = problem else { continue };
            let shown = escape(path);
            let mut finding = on.finding(
                format!("`{}` {} on {}: no `{shown}`", subject.name.shown, on.fails(), on.title()),
                path,
            );
            finding = match why {
                None => finding.note(
                    "the kernel starts that file in the program's place: \"No such file or directory\"",
                ),
                Some(why) => finding.note(format!("what is there cannot be started: {}", escape(why))),
            };
            if on.facts.libc == Libc::Musl {
                finding = finding.note("the program is linked with musl, which that platform does not have");
            }
            let expected = on.facts.arch.glibc_interpreters().unwrap_or_default();
            finding = finding.item(Item::Interpreter {
                path: path.clone(),
                expected: expected.iter().map(|&path| path.to_owned()).collect(),
            });
            sink.push(finding.help("link it statically, or for the C library that the platform has"));
        }
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}
