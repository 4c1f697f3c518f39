//! Something that the policy allows, and nothing uses.

use super::{Check, Lint, Run, Sink};
use crate::finding::{Finding, Level};
use crate::text::some_of;

pub static LINT: Lint = Lint {
    name: "allowance_unused",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "an allowed library or symbol, a limit, an exception or a section that nothing uses",
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
    for (span, entry) in &run.usage.unused_undefined() {
        sink.push(
            Finding::new(format!("no artifact has an undefined symbol that `{entry}` allows"))
                .subject(*entry)
                .forbids(span, "nothing that was judged needs it")
                .help("remove it from `undefined`"),
        );
    }
    for (index, exception) in run.policy.exceptions.iter().enumerate() {
        // An expired one is `exception_expired`'s.
        let expired = exception.until.as_ref().is_some_and(|until| until.value < run.today);
        let for_this_lint = exception.lint == LINT.name;
        // What `test` finds, `check` does not.
        let of_test = super::find(exception.lint).is_some_and(|lint| lint.check.is_of_test());
        // Nor does a run for one target tell of another.
        let elsewhere = exception.target.is_some() && !run.usage.exceptions_for_these.contains(&index);
        if expired
            || of_test
            || elsewhere
            || for_this_lint
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
            let subjects = run.usage.subjects_of(exception.lint);
            if !subjects.is_empty() {
                finding =
                    finding.note(format!("what this lint found has the subject {}", some_of(&subjects, 4)));
            }
        }
        let artifact = exception.artifact.as_ref();
        let near = artifact
            .and_then(|pattern| run.usage.nearest(pattern.text()).filter(|near| *near != pattern.text()));
        sink.push(match near {
            Some(near) => finding.help(format!("is it for the artifact `{near}`? Else remove it")),
            None => finding.help("remove it"),
        });
    }
    for (span, namespace) in &run.usage.unused_namespaces() {
        sink.push(
            Finding::new(format!("no artifact needs a version of `{namespace}`"))
                .subject(*namespace)
                .forbids(span, "nothing that was judged needs one")
                .help("correct the namespace, or remove the limit"),
        );
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
