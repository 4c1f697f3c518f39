//! A sign of the CPU that cannot be compared with the one promised.

use super::cpu_too_new::{Promise, Sign, promises, signs};
use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::Cpu;
use crate::finding::Level;

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
    let (Some(facts), promises) = (subject.facts(), promises(subject)) else { return Applies::No };
    let signs = signs(facts, subject.compiler_flags);
    let mut applies = Applies::No;
    for promise in promises {
        let base = |cpu: Option<Cpu>| cpu.is_some_and(Cpu::is_base);
        let compared = |sign: &&Sign| base(sign.cpu) || sign.cpu.is_some() && promise.cpu().is_some();
        for sign in signs.iter().filter(|sign| !compared(sign)) {
            applies = Applies::Yes;
            let message = format!("which CPU `{}` needs is not known", subject.name.shown);
            let finding = match (&promise, sign.cpu) {
                (Promise::Platform(on, None), Some(cpu)) => promise
                    .finding(
                        format!(
                            "`{}` is for the CPU {cpu} or newer, and what {} runs on is not known",
                            subject.name.shown,
                            on.title()
                        ),
                        sign.seen.clone(),
                        "",
                    )
                    .note(format!("{} says so", sign.seen)),
                _ => promise
                    .finding(message, sign.seen.clone(), "whether it runs on this CPU is not known")
                    .note(format!("{} cannot be compared with it", sign.seen)),
            };
            let finding = match sign.seen.contains("target-cpu=native") {
                true => finding.note("`native` is the CPU of whichever machine builds it"),
                false => finding,
            };
            sink.push(finding.help(promise.advice(subject, sign.cpu)));
        }
    }
    applies
}
