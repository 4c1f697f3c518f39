//! A sign of the CPU that cannot be compared with the one promised.

use super::cpu_too_new::{advice, signs};
use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "cpu_undecidable",
    default: Level::Deny,
    undecided: true,
    enforces_rule: true,
    summary: "compiler flags or notes name a CPU that cannot be compared with the one promised",
    page: include_str!("cpu_undecidable.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(promised)) = (subject.facts(), &subject.rules.cpu) else { return Applies::No };
    let unknown: Vec<_> =
        signs(facts, subject.compiler_flags).into_iter().filter(|sign| sign.cpu.is_none()).collect();
    if unknown.is_empty() {
        return Applies::No;
    }
    for sign in unknown {
        let mut finding = Finding::new(format!("which CPU `{}` needs is not known", subject.name.shown))
            .subject(&sign.seen)
            .forbids(&promised.span, "whether it runs on this CPU is not known")
            .note(format!("{} cannot be compared with it", sign.seen));
        if sign.seen.contains("target-cpu=native") {
            finding = finding.note("`native` is the CPU of whichever machine builds it");
        }
        sink.push(finding.help(advice(subject, promised.value)));
    }
    Applies::Yes
}
