//! `linkage = "dynamic"`, but the executable is static.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Level};
use crate::policy::Linkage;

pub static LINT: Lint = Lint {
    name: "not_dynamic",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "an executable that must be dynamic is static",
    page: include_str!("not_dynamic.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(linkage)) = (subject.facts(), &subject.rules.linkage) else { return Applies::No };
    if linkage.value != Linkage::Dynamic || !subject.is_executable(facts) {
        return Applies::No;
    }
    if subject.is_static(facts) {
        let finding =
            Finding::new(format!("`{}` is linked statically, but must be dynamic", subject.name.shown))
                .subject("linkage")
                .forbids(&linkage.span, "executables must be dynamic here")
                .note("it has no interpreter and no needed library");
        sink.push(match subject.triple.filter(|_| subject.from_cargo) {
            Some(triple) if triple.contains("musl") => {
                finding.help("build for the triple's sister with glibc (`-linux-gnu`), which is dynamic by default")
            }
            Some(triple) => finding.help(format!(
                "link the C library dynamically, in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"target-feature=-crt-static\"]"
            )),
            None => finding.help("link it without `-static` and `-static-pie`"),
        });
    }
    Applies::Yes
}
