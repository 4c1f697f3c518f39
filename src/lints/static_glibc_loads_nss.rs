//! A static program whose glibc loads modules at run time (fact 17).

use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Level};
use crate::text::some_of;

pub static LINT: Lint = Lint {
    name: "static_glibc_loads_nss",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "a static program calls functions for which glibc loads modules at run time",
    page: include_str!("static_glibc_loads_nss.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    if !(subject.is_executable(facts) && subject.is_static(facts) && facts.abi_tag.is_some()) {
        return Applies::No;
    }
    let calls: Vec<String> = facts
        .name_service_calls
        .iter()
        .map(|call| match call.split_once(" → ") {
            Some((caller, callee)) => format!("{:#} → {callee}", rustc_demangle::demangle(caller)),
            None => call.clone(),
        })
        .collect();
    if !calls.is_empty() {
        sink.push(
            Finding::new(format!("`{}` is static, but glibc loads modules for it at run time", subject.name.shown))
                .subject("NSS")
                .note(format!("calls: {}", some_of(&calls, 3)))
                .note("what nsswitch.conf names beyond `files` and `dns` it loads as libnss_*.so, and converters as gconv modules; of another glibc than the one it was linked with they fail or crash")
                .help("resolve names without libc (hickory-resolver), or link with musl, whose resolver is built in"),
        );
    }
    Applies::Yes
}
