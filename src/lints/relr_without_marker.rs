//! `DT_RELR` without the version need that guards it (fact 39).

use super::{Applies, Check, Lint, Sink, Subject, linker_option};
use crate::artifact::Libc;
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "relr_without_marker",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "packed relative relocations without the version need that guards them",
    page: include_str!("relr_without_marker.md"),
    check: Check::Artifact(check),
};

const MARKER: &str = "GLIBC_ABI_DT_RELR";

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    // The loader asks for the marker where libc is among the version needs
    // (glibc, elf/dl-version.c, `_dl_check_map_versions`).
    let needs_libc = facts.version_needs.iter().any(|need| need.file.starts_with("libc.so."));
    if !facts.relr || facts.libc == Libc::Musl || !needs_libc {
        return Applies::No;
    }
    if !facts.version_needs.iter().any(|need| need.version == MARKER) {
        sink.push(
            Finding::new(format!("`{}` has DT_RELR, but does not need `{MARKER}`", subject.name.shown))
                .subject("DT_RELR")
                .note("glibc 2.36 and later refuse it: \"DT_RELR without GLIBC_ABI_DT_RELR dependency\"")
                .note("older ones load it without relocating it, and it crashes")
                .help(format!(
                    "link without `--pack-dyn-relocs=relr`, which lld takes without the marker, {}",
                    linker_option(subject, "-Wl,--pack-dyn-relocs=none")
                )),
        );
    }
    Applies::Yes
}
