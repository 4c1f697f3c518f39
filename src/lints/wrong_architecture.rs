//! The file is for another machine than its target triple says.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::{Arch, Endian};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "wrong_architecture",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "the file is for another machine than its target triple says",
    page: include_str!("wrong_architecture.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(target), Some(triple)) = (subject.facts(), subject.target(), subject.triple)
    else {
        return Applies::No;
    };
    let endian = match target.endian {
        cfg_expr::targets::Endian::big => Endian::Big,
        cfg_expr::targets::Endian::little => Endian::Little,
    };
    let Some(promised) = Arch::of_target(target.arch.as_str(), target.pointer_width, endian) else {
        return Applies::No;
    };
    if !promised.same_as(facts.arch) {
        sink.push(
            Finding::new(format!("`{}` is for {}, not for {promised}", subject.name.shown, facts.arch))
                .subject(facts.arch.to_string())
                .note(format!("the target triple is `{triple}`"))
                .note("the kernel refuses such a program, and the loader passes over such a library")
                .help(
                    "name the triple that it was built for with `--target`, or build it again for this one",
                ),
        );
    }
    Applies::Yes
}
