//! The loader must write into code.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "text_relocations",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "the loader must write into code, which hardened systems refuse",
    page: include_str!("text_relocations.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts().filter(|facts| facts.dynamic) else { return Applies::No };
    if facts.text_relocations {
        sink.push(
            Finding::new(format!("`{}` has text relocations", subject.name.shown))
                .subject("DT_TEXTREL")
                .note("systems that forbid writable code (SELinux's execmod, systemd's MemoryDenyWriteExecute) do not load it")
                .help("build every object that goes into it position-independent: -fPIC for C, and assembly that uses the GOT"),
        );
    }
    Applies::Yes
}
