//! A file could not be read, so nothing is known of it.

use super::{Applies, Check, Lint, Reading, Sink, Subject};
use crate::artifact::ReadError;
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "unreadable_artifact",
    default: Level::Deny,
    undecided: true,
    enforces_rule: false,
    summary: "a file could not be read, so nothing was decided about it",
    page: include_str!("unreadable_artifact.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let finding = match subject.reading {
        Reading::Unreadable(error) => Finding::new(format!("`{}` cannot be read", subject.name.shown))
            .note(error.to_string())
            .help(match error {
                ReadError::Io(_) => "make it readable, or judge a copy of it",
                ReadError::Bug(_) => "please report it, with the file",
                _ => {
                    "build or copy the file again; if the loader does take it, this is a bug of cargo-compat"
                }
            }),
        Reading::Ambiguous { message, help } => Finding::new(message).help(help),
        _ => return Applies::No,
    };
    sink.push(finding);
    Applies::Yes
}
