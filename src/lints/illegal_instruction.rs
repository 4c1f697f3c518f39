//! The CPU does not know an instruction of the program.

use super::{Check, Lint, Sink, in_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "illegal_instruction",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: the program used an instruction that the CPU does not know",
    page: include_str!("illegal_instruction.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    if trial.outcome != Outcome::IllegalInstruction {
        return;
    }
    let shown = &trial.name.shown;
    let cpu = trial.surroundings.cpu.as_deref();
    let on = cpu.map(|cpu| format!(" on the CPU {cpu}")).unwrap_or_default();
    let mut finding = Finding::new(format!("`{shown}` ended at an illegal instruction{on}"))
        .subject(cpu.unwrap_or("cpu"))
        .note(in_root(trial));
    if let Some(span) = &trial.surroundings.cpu_span {
        finding = finding.forbids(span, "the oldest CPU promised");
    }
    if let Some(fault) = &trial.fault {
        let bytes: Vec<String> = fault.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut place = format!("at {:#x}", fault.address);
        if let Some(object) = &fault.object {
            place += &format!(" of {}", crate::text::path(std::path::Path::new(object)));
        }
        if let Some((function, into)) = &fault.function {
            place += &format!(", {into} bytes into `{function}`");
        }
        if !bytes.is_empty() {
            place += &format!("; the bytes there: {}", bytes.join(" "));
        }
        finding = finding.note(place).item(Item::Instruction {
            address: fault.address,
            object: fault.object.clone(),
            function: fault.function.as_ref().map(|(name, _)| name.clone()),
            bytes: bytes.concat(),
        });
        if fault.also_on_best && cpu.is_some() {
            finding = finding.note(
                "the best CPU that this QEMU has does not know it either: perhaps QEMU does not emulate it",
            );
        }
    }
    let help = match cpu {
        Some(cpu) => format!(
            "build for the CPU that is promised, in .cargo/config.toml:\n[target.{}]\nrustflags = [\"-C\", \"target-cpu={}\"]",
            trial.triple,
            rustc_name(cpu)
        ),
        None => {
            "say which CPU it is for, by `cpu` in compat.toml; a program may also trap by itself".to_owned()
        }
    };
    sink.push(finding.help(help));
}

/// LLVM's names of POWER CPUs are short.
fn rustc_name(cpu: &str) -> String {
    cpu.replace("power", "pwr")
}
