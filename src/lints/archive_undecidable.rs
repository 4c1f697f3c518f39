//! Whether an archive or object file is complete cannot be decided.

use super::archive_incomplete::{items, missing, place_of};
use super::{Applies, Check, Lint, Sink, Subject, pasted_path};
use crate::finding::{Finding, Item, Level};
use crate::text::{count, escape, some_of};

pub static LINT: Lint = Lint {
    name: "archive_undecidable",
    default: Level::Deny,
    undecided: true,
    enforces_rule: false,
    summary: "members of an archive, or what it is linked with, cannot be read",
    page: include_str!("archive_undecidable.md"),
    check: Check::Artifact(check),
};

/// Members and names shown to people.
const SHOWN: usize = 4;

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(done) = subject.linkable() else { return Applies::No };
    let missing = missing(subject, done);
    let unread = &done.facts.unread;
    if unread.is_empty() && (done.unsure.is_empty() || missing.is_empty()) {
        return Applies::Yes;
    }
    let mut finding = Finding::new(format!("whether `{}` is complete cannot be decided", subject.name.shown))
        .subject(if unread.is_empty() { "libraries" } else { "members" });
    if !unread.is_empty() {
        let of = unread.len() + done.facts.objects;
        finding = finding.note(format!("{} of {} cannot be read", unread.len(), count(of, "member")));
        for one in unread.iter().take(SHOWN) {
            finding = finding.note(match one.member.as_str() {
                "" => one.why.clone(),
                member => format!("`{}`: {}", escape(member), escape(&one.why)),
            });
        }
        if unread.len() > SHOWN {
            finding = finding.note(format!("and {} more", unread.len() - SHOWN));
        }
    }
    finding.notes.extend(done.unsure.iter().take(SHOWN).map(|why| escape(why)));
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|one| format!("`{}`", escape(&one.name))).collect();
        finding = finding.note(format!("what was read leaves open {}", some_of(&names, SHOWN)));
        finding.notes.extend(missing.iter().take(1).map(|one| place_of(one)));
    }
    let unread_items =
        unread.iter().map(|one| Item::Unread { member: one.member.clone(), why: one.why.clone() });
    finding.items = unread_items.chain(items(&missing)).collect();
    let optimised = unread.iter().any(|one| one.why.contains("link-time"));
    sink.push(finding.help(if optimised {
        "build it without link-time optimisation for this check: `lto = \"off\"` in the profile".to_owned()
    } else if !unread.is_empty() {
        format!("build the archive again; see what its members are:\nar tv {}", pasted_path(&subject.place.path))
    } else if done.facts.rlib && !subject.from_cargo {
        "let cargo build it, which tells the crates it is linked with:\ncargo compat check".to_owned()
    } else {
        "install what is not found, or name the folder or file of a library:\ncargo compat check --link-lib PATH"
            .to_owned()
    }));
    Applies::Yes
}
