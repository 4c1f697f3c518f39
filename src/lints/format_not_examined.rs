//! A program or library in a format that is not read, to which a rule would
//! apply.

use super::{Applies, Check, Lint, Reading, Sink, Subject};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "format_not_examined",
    default: Level::Deny,
    undecided: true,
    enforces_rule: false,
    summary: "a rule applies to a file in a format that is not read",
    page: include_str!("format_not_examined.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Reading::Other(format) = subject.reading else { return Applies::No };
    // Symbol versions exist in ELF only: a ceiling says nothing here.
    let spans = [
        subject.rules.linkage.as_ref().map(|rule| &rule.span),
        subject.rules.libraries.as_ref().map(|rule| &rule.span),
    ];
    let Some(span) = spans.into_iter().flatten().next().filter(|_| format.ships_elsewhere()) else {
        return Applies::No;
    };
    let shown = crate::text::escape(&subject.name.shown);
    sink.push(
        Finding::new(format!("`{shown}` is a {format}, which cargo-compat does not read"))
            .subject(format.to_string())
            .forbids(span, "whether this rule is kept is not known")
            .help(format!(
                "keep the rule to ELF targets, or accept that this file is not examined:\n[[exception]]\nlint = \"{}\"\nartifact = \"{shown}\"\nreason = \"…\"",
                LINT.name
            )),
    );
    Applies::Yes
}
