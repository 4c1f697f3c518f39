//! A relocation that the loader does not apply.

use super::{Applies, Check, Lint, Sink, Subject, on_platform};
use crate::artifact::{Libc, Refusal, RefusedRelocation};
use crate::finding::{Finding, Level};
use crate::loader::Problem;
use crate::runs_on::base;
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "relocation_refused",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "the loader cannot apply a relocation, and stops",
    page: include_str!("relocation_refused.md"),
    check: Check::Artifact(check),
};

const HELP: &str = "build every object that goes into it position-independent: -fPIC for C, and assembly that uses the GOT or the TOC; `-Wl,-z,text` makes the linker name the object";

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts().filter(|facts| facts.dynamic && !facts.is_static()) else {
        return Applies::No;
    };
    let Some(Ok(bindings)) = &facts.bindings else { return Applies::No };
    // A library without libc is for its program's, which the triple tells.
    let libc = match facts.libc {
        Libc::Unknown if subject.sure_of_triple => subject.promised_libc().unwrap_or(Libc::Unknown),
        known => known,
    };
    let by = |one: &RefusedRelocation| match libc {
        Libc::Musl => one.by_musl,
        _ => one.by_glibc,
    };
    let loader = if libc == Libc::Musl { "musl" } else { "glibc" };
    for one in &bindings.refused {
        let Some(why) = by(one) else { continue };
        let relocation = one.shown();
        let of = one.symbol.as_ref().map(|name| format!(", for `{}`", escape(name))).unwrap_or_default();
        let title = format!("the loader refuses `{}`", subject.name.shown);
        let note = match why {
            Refusal::Unknown => format!("it holds {relocation}{of}, which {loader} does not know"),
            Refusal::TooFar => format!(
                "it holds {relocation}{of}: 32 bits or fewer for an address that has more wherever the loader puts the file"
            ),
        };
        sink.push(Finding::new(title).subject(&relocation).note(note).help(HELP));
    }
    of_libraries(subject, sink);
    Applies::Yes
}

/// What comes with the file and is loaded with it on a platform.
fn of_libraries(subject: &Subject<'_>, sink: &mut Sink<'_>) {
    for on in on_platform::each(subject) {
        for problem in on.problems() {
            let Problem::Relocation { file, relocation, .. } = problem else { continue };
            if on.is_own(file) {
                continue;
            }
            let title = format!("`{}` {} on {}", subject.name.shown, on.fails(), on.title());
            sink.push(
                on.finding(title, relocation)
                    .note(format!(
                        "the loader refuses `{}`, which it needs, for {relocation}",
                        escape(base(file))
                    ))
                    .help(HELP),
            );
        }
    }
}
