//! The file, or the flags it was built with, ask for a newer CPU than promised.

use super::on_platform::{self, On};
use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::{Artifact, Cpu};
use crate::finding::{Finding, Item, Level};
use crate::policy::At;

pub static LINT: Lint = Lint {
    name: "cpu_too_new",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "the file or its compiler flags ask for a newer CPU than the policy or a platform promises",
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

/// Who promises that the file runs on a CPU: the policy by `cpu`, or where it does not say, a platform.
#[derive(Debug)]
pub enum Promise<'s> {
    Policy(&'s At<Cpu>),
    Platform(On<'s>, Option<Cpu>),
}

/// The promises that hold for a file.
pub fn promises<'s>(subject: &'s Subject<'s>) -> Vec<Promise<'s>> {
    match &subject.rules.cpu {
        Some(cpu) => vec![Promise::Policy(cpu)],
        None => {
            let all = on_platform::each(subject).into_iter();
            all.map(|on| Promise::Platform(on, on.named.found.platform.cpu(on.facts.arch))).collect()
        }
    }
}

impl Promise<'_> {
    pub fn cpu(&self) -> Option<Cpu> {
        match self {
            Self::Policy(cpu) => Some(cpu.value),
            Self::Platform(_, cpu) => *cpu,
        }
    }

    /// A finding that stands at the promise in the policy.
    pub fn finding(&self, message: String, subject: String, of_policy: &str) -> Finding {
        match self {
            Self::Policy(cpu) => Finding::new(message).subject(subject).forbids(&cpu.span, of_policy),
            Self::Platform(on, cpu) => on.finding(message, subject).forbids(
                on.span,
                match cpu {
                    Some(cpu) => format!("it runs on the CPU {cpu} and newer"),
                    None => "the oldest CPU that it runs on is not known".to_owned(),
                },
            ),
        }
    }

    /// How to build for an older CPU, or to promise a newer one.
    pub fn advice(&self, subject: &Subject<'_>, needed: Option<Cpu>) -> String {
        let build = match (self.cpu(), subject.triple.filter(|_| subject.from_cargo)) {
            (Some(promised), Some(triple)) => format!(
                "build for the CPU that is promised, in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"target-cpu={}\"]",
                promised.for_rustc()
            ),
            (Some(promised), None) => {
                format!("build for the CPU that is promised:\n{}", promised.for_cc())
            }
            (None, _) => "say in compat.toml which CPU is the oldest that the release runs on".to_owned(),
        };
        match (self, needed) {
            (Self::Platform(..), Some(needed)) => {
                format!(
                    "{build}\nor, where every machine of yours is that new, say so in compat.toml:\ncpu = \"{needed}\""
                )
            }
            _ => build,
        }
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
    let (Some(facts), promises) = (subject.facts(), promises(subject)) else { return Applies::No };
    let signs = signs(facts, subject.compiler_flags);
    if signs.is_empty() || promises.is_empty() {
        return Applies::No;
    }
    for promise in promises {
        for sign in &signs {
            let Some(promised) = promise.cpu() else { continue };
            let Some(cpu) = sign.cpu.filter(|cpu| cpu.is_newer_than(promised)) else { continue };
            let name = &subject.name.shown;
            let message = match &promise {
                Promise::Policy(_) => format!("`{name}` is for the CPU {cpu} or newer"),
                Promise::Platform(on, _) => {
                    format!("`{name}` is for the CPU {cpu} or newer, and {} runs on older ones", on.title())
                }
            };
            let what = match sign.note {
                true => "glibc refuses it: \"CPU ISA level is lower than required\"",
                false => "it ends in an illegal instruction",
            };
            sink.push(
                promise
                    .finding(message, cpu.to_string(), "the oldest CPU promised")
                    .item(Item::Cpu { cpu: cpu.to_string(), seen: sign.seen.clone() })
                    .note(format!("{} says so; on an older CPU {what}", sign.seen))
                    .help(promise.advice(subject, Some(cpu))),
            );
        }
    }
    Applies::Yes
}
