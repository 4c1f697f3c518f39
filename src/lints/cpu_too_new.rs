//! The file, or the flags it was built with, ask for a newer CPU than promised.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::{Artifact, Cpu};
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "cpu_too_new",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "the file or its compiler flags ask for a newer CPU than the policy promises",
    page: include_str!("cpu_too_new.md"),
    check: Check::Artifact(check),
};

/// One sign of what CPU a file is for (fact 54: their absence proves nothing).
#[derive(Debug)]
pub struct Sign {
    /// Where it was seen.
    pub seen: String,
    /// The level, where the tables know it.
    pub cpu: Option<Cpu>,
    /// Whether it is a note in the file, which the loader reads too.
    note: bool,
}

/// How to build for an older CPU.
pub fn advice(subject: &Subject<'_>, promised: Cpu) -> String {
    match subject.triple.filter(|_| subject.from_cargo) {
        Some(triple) => format!(
            "build for the CPU that is promised, in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"target-cpu={promised}\"]"
        ),
        None => format!("build for the CPU that is promised:\n-march={promised}"),
    }
}

/// What the file's notes and its compiler flags say. Flags that do not concern
/// the CPU, and what is switched off, are no sign.
pub fn signs(facts: &Artifact, flags: &[String]) -> Vec<Sign> {
    let machine = facts.arch.machine;
    let mut signs = Vec::new();
    // Debian's start files bring a note of the baseline into every program.
    if let Some(bits) = facts.x86_isa_needed.filter(|bits| *bits > 1) {
        signs.push(Sign {
            seen: format!("the file's ISA note (bits {bits:#x})"),
            cpu: Cpu::of_x86_isa(bits),
            note: true,
        });
    }
    for flag in flags {
        if let Some(name) = flag.strip_prefix("target-cpu=") {
            let cpu = Cpu::of_target_cpu(machine, name);
            signs.push(Sign { seen: format!("the compiler flag `-C {flag}`"), cpu, note: false });
        } else if let Some(features) = flag.strip_prefix("target-feature=") {
            for feature in features.split(',').filter_map(|feature| feature.strip_prefix('+')) {
                // Of these rustc's own have nothing to do with the CPU.
                if feature != "crt-static" {
                    let cpu = Cpu::of_feature(machine, feature);
                    signs.push(Sign {
                        seen: format!("the compiler flag `-C target-feature=+{feature}`"),
                        cpu,
                        note: false,
                    });
                }
            }
        }
    }
    signs
}

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(promised)) = (subject.facts(), &subject.rules.cpu) else { return Applies::No };
    let signs = signs(facts, subject.compiler_flags);
    if signs.is_empty() {
        return Applies::No;
    }
    for sign in signs {
        let Some(cpu) = sign.cpu.filter(|cpu| cpu.is_newer_than(promised.value)) else { continue };
        sink.push(
            Finding::new(format!("`{}` is for the CPU {cpu} or newer", subject.name.shown))
                .subject(cpu.to_string())
                .forbids(&promised.span, "the oldest CPU promised")
                .item(Item::Cpu { cpu: cpu.to_string(), seen: sign.seen.clone() })
                .note(match sign.note {
                true => format!("{} says so; on an older CPU glibc refuses it: \"CPU ISA level is lower than required\"", sign.seen),
                false => format!("{} says so; on an older CPU it ends in an illegal instruction", sign.seen),
            })
                .help(advice(subject, promised.value)),
        );
    }
    Applies::Yes
}
