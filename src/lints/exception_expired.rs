//! An exception's `until` has passed: it no longer accepts anything.

use super::{Check, Lint, Run, Sink};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "exception_expired",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "an exception's date has passed",
    page: include_str!("exception_expired.md"),
    check: Check::Run(check),
};

fn check(run: &Run<'_>, sink: &mut Sink<'_>) {
    for exception in &run.policy.exceptions {
        let Some(until) = exception.until.as_ref().filter(|until| until.value < run.today) else { continue };
        sink.push(
            Finding::new(format!("the exception for `{}` expired on {}", exception.lint, until.value))
                .subject(exception.subject.as_deref().unwrap_or(exception.lint))
                .forbids(&until.span, "it held up to and including this day")
                .note(format!("its reason was: {}", exception.reason))
                .help("solve what it was for and remove it, or give it a new date"),
        );
    }
}
