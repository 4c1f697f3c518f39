//! A platform does not have the interpreter that the file names.

use super::{Applies, Check, Lint, Sink, Subject, on_platform};
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
            let libc = on.system().map(|system| system.about().libc.as_str()).unwrap_or_default();
            let other = on.named.found.of_other_libc(on.facts).is_some();
            if other {
                finding =
                    finding.note(format!("it is linked with {}, and the platform has {libc}", on.facts.libc));
            }
            let expected = on.facts.arch.glibc_interpreters().unwrap_or_default();
            finding = finding.item(Item::Interpreter {
                path: path.clone(),
                expected: expected.iter().map(|&path| path.to_owned()).collect(),
            });
            sink.push(finding.help(match (other, expected.first()) {
                (true, _) if libc.starts_with("musl") => {
                    format!("build it for musl:\ncargo build --target {}-unknown-linux-musl", on.facts.arch)
                }
                (false, Some(usual)) if usual != path => {
                    format!("name the usual one when it is linked: `-Wl,--dynamic-linker={usual}`, or link it statically")
                }
                _ => "link it statically, or for the C library that the platform has".to_owned(),
            }));
        }
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}
