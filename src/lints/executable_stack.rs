//! The file asks for an executable stack.

use super::{Applies, Check, Lint, Sink, Subject, linker_option};
use crate::artifact::Stack;
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "executable_stack",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "an executable stack is asked for, which newer systems refuse",
    page: include_str!("executable_stack.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    if facts.stack == Stack::NotExecutable {
        return Applies::Yes;
    }
    let executable = subject.is_executable(facts);
    let mut finding = Finding::new(match facts.stack {
        Stack::Executable => format!("`{}` asks for an executable stack", subject.name.shown),
        _ => format!("`{}` leaves it to the system whether its stack is executable", subject.name.shown),
    })
    .subject("PT_GNU_STACK");
    if facts.stack == Stack::Unsaid {
        finding = finding.note("it has no PT_GNU_STACK: the kernel and the C library decide, and stacks of threads are executable on most architectures");
    }
    if !executable {
        // glibc NEWS, 2.41: dlopen no longer makes the stack executable.
        finding = finding.note(
            "from glibc 2.41 on, dlopen refuses such a library in a process whose stack is not executable",
        );
    }
    sink.push(finding.note("most often one assembly file lacks the mark that it needs none").help(format!(
        "add to that file `.section .note.GNU-stack,\"\",%progbits`, or link it so, {}",
        linker_option(subject, "-Wl,-z,noexecstack")
    )));
    Applies::Yes
}
