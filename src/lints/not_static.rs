//! `linkage = "static"`, but the executable needs a loader.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::Artifact;
use crate::finding::{Finding, Item, Level};
use crate::policy::Linkage;
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "not_static",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "an executable that must be static needs a loader or libraries",
    page: include_str!("not_static.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(linkage)) = (subject.facts(), &subject.rules.linkage) else { return Applies::No };
    if linkage.value != Linkage::Static || !subject.is_executable(facts) {
        return Applies::No;
    }
    if subject.is_static(facts) {
        return Applies::Yes;
    }
    let mut finding =
        Finding::new(format!("`{}` is linked dynamically, but must be static", subject.name.shown))
            .subject("linkage")
            .forbids(&linkage.span, "executables must be static here");
    if let Some(path) = &facts.interpreter {
        finding = finding
            .note(format!("interpreter: `{path}`; without that file on the machine it does not start"))
            .item(Item::Interpreter { path: path.clone(), expected: Vec::new() });
    }
    if !facts.needed.is_empty() {
        let needed = facts.needed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        finding = finding.note(format!("needed libraries: {}", needed.join(", ")));
        finding.items.extend(facts.needed.iter().map(|name| Item::Library { name: name.clone() }));
    }
    if subject.from_cargo {
        finding = finding.note(format!(
            "rustc makes no cdylib with `+crt-static`; if the project has one, `--bin {}` builds the program alone",
            subject.name.shown.rsplit(':').next().unwrap_or_default()
        ));
    }
    sink.push(match advice(subject, facts) {
        Some(help) => finding.help(help),
        None => finding,
    });
    Applies::Yes
}

fn advice(subject: &Subject<'_>, facts: &Artifact) -> Option<String> {
    if !subject.from_cargo {
        return Some(
            "link it with `-static`, or with `-static-pie` where the C library has an `rcrt1.o`".to_owned(),
        );
    }
    let triple = subject.triple?;
    let mut help = format!(
        "link the C library statically, in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"target-feature=+crt-static\"]"
    );
    let third_party = facts.needed.iter().filter(|name| {
        !["libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "librt.so"]
            .iter()
            .any(|own| name.starts_with(own))
            && !facts.arch.is_loader_name(name)
    });
    let third_party: Vec<_> = third_party.map(|name| escape(name)).collect();
    if !third_party.is_empty() {
        help.push_str(&format!(
            "\nand give the crates that link {} their `vendored`, `bundled` or `static` feature",
            third_party.join(", ")
        ));
    }
    Some(help)
}
