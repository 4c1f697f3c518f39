//! Segments are aligned to less than a page of systems that this architecture
//! has (fact 21).

use super::{Applies, Check, Lint, Sink, Subject, linker_option};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "page_size_too_small",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "segments are aligned to less than the page size of systems of this architecture",
    page: include_str!("page_size_too_small.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    let Some((page, common, who)) = page_size(facts.arch.machine) else { return Applies::No };
    let alignment = facts.load_alignment;
    if alignment == 0 || alignment % page == 0 {
        return Applies::Yes;
    }
    let finding = Finding::new(format!("the segments of `{}` are aligned to {alignment:#x} bytes only", subject.name.shown))
        .subject("PT_LOAD")
        .note(format!(
        "{who} have pages of {page:#x} bytes; there the loader refuses a library (\"ELF load command … not page-aligned\"), and a program dies at its start"
    ))
    .help(format!("align them to it, {}", linker_option(subject, &format!("-Wl,-z,max-page-size={page:#x}"))));
    sink.push(if common { finding } else { finding.at_most_warn() });
    Applies::Yes
}

/// The largest page of kernels that distributions ship, whether it is the
/// usual one, and who has it. Elsewhere the smallest alignment that linkers
/// use, 4 KiB, is the page.
pub fn page_size(machine: u16) -> Option<(u64, bool, &'static str)> {
    match machine {
        // Linux, arch/powerpc/Kconfig: PPC_64K_PAGES is what the server
        // distributions choose for ppc64le.
        21 => Some((0x10000, true, "the kernels of Debian, Ubuntu, Fedora and RHEL for this architecture")),
        // RHEL 8's only kernel and RHEL 9's kernel-64k.
        183 => Some((0x10000, false, "RHEL 8 and kernel-64k of RHEL 9")),
        // arch/loongarch/Kconfig: 16 KiB is the default.
        258 => Some((0x4000, true, "kernels for this architecture")),
        62 | 3 | 22 | 243 | 40 => Some((0x1000, true, "kernels for this architecture")),
        _ => None,
    }
}
