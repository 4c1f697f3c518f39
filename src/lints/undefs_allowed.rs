//! The linker was told to let a program keep references that nothing defines.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::Role;
use crate::finding::{Finding, Item, Level};
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "undefs_allowed",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "a program's linker was told to leave references undefined",
    page: include_str!("undefs_allowed.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    // A shared object's undefined symbols stay where `symbol_undefined` sees
    // them, with the option or without.
    let executable = match (subject.role, subject.facts()) {
        (Some(role), _) => role == Role::Executable,
        (None, _) => false,
    };
    if !executable || subject.linkable().is_some() {
        return Applies::No;
    }
    for one in subject.undefs {
        let name = &subject.name.shown;
        let mut finding =
            match &one.option {
                Some(option) => Finding::new(format!("`{name}` is linked with `{}`", escape(option)))
                    .subject(option.clone()),
                None => Finding::new(format!("what the linker is told of `{name}` is not known"))
                    .subject("output"),
            };
        finding = finding.item(Item::LinkOption { option: one.option.clone(), by: one.by.clone() });
        sink.push(match &one.option {
            Some(_) => finding
                .note(format!("{} says so", escape(&one.by)))
                .note("a function that is missing is then no error of the linker: the program starts, and dies by SIGSEGV when it calls it")
                .note("on x86-64 nothing in the finished file shows it")
                .help("remove the option, and define what the linker then names"),
            None => {
                finding.undecided = true;
                finding
                    .note(format!("{} ran, and its output is not beside its folder `out`", escape(&one.by)))
                    .help("this version of cargo keeps it elsewhere: please report it")
            }
        });
    }
    Applies::Yes
}
