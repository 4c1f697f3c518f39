//! No model of the emulator stands for the promised CPU.

use super::{Check, Lint, Sink};
use crate::finding::{Finding, Level};
use crate::judge::UnusableCpu;

pub static LINT: Lint = Lint {
    name: "cpu_model_unusable",
    default: Level::Deny,
    undecided: true,
    enforces_rule: false,
    summary: "under `test`: the emulator has no usable model of the promised CPU, so nothing was run",
    page: include_str!("cpu_model_unusable.md"),
    check: Check::UnusableCpu(check),
};

fn check(one: &UnusableCpu, sink: &mut Sink<'_>) {
    let mut finding = Finding::new(format!(
        "{} has no usable model of the CPU {}, so nothing was run for {}",
        one.emulator, one.cpu, one.triple
    ))
    .subject(one.cpu.as_str())
    .note(format!("it says: {}", one.why));
    if let Some(span) = &one.span {
        finding = finding.forbids(span, "the oldest CPU promised");
    }
    sink.push(
        finding.help("install a newer QEMU, or run the tests on another CPU:\ncargo compat test --cpu CPU"),
    );
}
