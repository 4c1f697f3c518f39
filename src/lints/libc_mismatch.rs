//! The target triple says one C library, the file another (fact 15).

use super::{Applies, Check, Lint, Sink, Subject};
use crate::artifact::{Artifact, Libc};
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "libc_mismatch",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "the target triple says one C library, the file is linked with another",
    page: include_str!("libc_mismatch.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let (Some(facts), Some(promised), Some(triple)) =
        (subject.facts(), subject.promised_libc(), subject.triple)
    else {
        return Applies::No;
    };
    if facts.libc == Libc::Unknown {
        return Applies::No;
    }
    if facts.libc != promised {
        let mut finding = Finding::new(format!(
            "`{}` is linked with {}, but `{triple}` promises {promised}",
            subject.name.shown, facts.libc
        ))
        .subject(facts.libc.to_string());
        if let Some(path) = &facts.interpreter {
            finding = finding
                .note(format!("interpreter: `{path}`"))
                .item(Item::Interpreter { path: path.clone(), expected: Vec::new() });
        }
        let signs = signs(facts);
        if !signs.is_empty() {
            finding = finding.note(format!("needed libraries: {}", signs.join(", ")));
        }
        finding = finding.help(match promised {
            Libc::Musl => "let rustc link its own musl: leave out `-C target-feature=-crt-static`".to_owned(),
            _ => format!("link with a compiler for `{triple}`, in .cargo/config.toml:\n[target.{triple}]\nlinker = \"…\""),
        });
        sink.push(finding);
    }
    Applies::Yes
}

fn signs(facts: &Artifact) -> Vec<String> {
    let of_libc = |name: &&String| name.starts_with("libc.") || facts.arch.is_loader_name(name);
    facts.needed.iter().filter(of_libc).map(|name| format!("`{name}`")).collect()
}
