//! Something that the policy allows, and nothing uses.

use super::{Check, Lint, Run, Sink};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "allowance_unused",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "an allowed library, an exception or a section that nothing uses",
    page: include_str!("allowance_unused.md"),
    check: Check::Run(check),
};

fn check(run: &Run<'_>, sink: &mut Sink<'_>) {
    for (span, pattern) in &run.usage.unused_libraries() {
        sink.push(
            Finding::new(format!("no artifact needs the allowed library `{pattern}`"))
                .subject(*pattern)
                .forbids(span, "nothing that was judged needs it")
                .help("remove it from `libraries`"),
        );
    }
    for (index, exception) in run.policy.exceptions.iter().enumerate() {
        let for_this_lint = exception.lint == LINT.name;
        if for_this_lint
            || run.usage.exceptions_used.contains(&index)
            || !(run.whole || run.usage.exceptions_in_reach.contains(&index))
        {
            continue;
        }
        let mut finding = Finding::new(format!("no finding needs this exception for `{}`", exception.lint))
            .subject(exception.subject.as_deref().unwrap_or(exception.lint))
            .forbids(&exception.span, "nothing was found that it accepts");
        if let Some(subject) = &exception.subject {
            finding = finding.note(format!(
                "it is for the subject `{subject}`, and a finding's subject must be just that"
            ));
        }
        sink.push(finding.help("remove it"));
    }
    if run.whole {
        for (span, name) in &run.usage.unmatched_artifacts(run.policy) {
            let finding = Finding::new(format!("no artifact is called `{name}`"))
                .subject(*name)
                .forbids(span, "this section applies to nothing");
            sink.push(match run.usage.nearest(name) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(
                    "correct the name, or remove the section; if another package builds it:\ncargo compat check --workspace",
                ),
            });
        }
    }
}
