//! A platform has a needed library under another file name.

use super::library_missing::renamed_here;
use super::{Applies, Check, Lint, Sink, Subject, on_platform};
use crate::finding::{Item, Level};
use crate::loader::Problem;
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "library_renamed",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a platform of `runs-on` has a needed library under another file name",
    page: include_str!("library_renamed.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    for on in &all {
        for problem in on.problems() {
            let Problem::Library { name, needed_by, .. } = problem else { continue };
            let Some(rename) = renamed_here(on, name) else { continue };
            let message = format!(
                "`{}` {} on {}: `{}` is called `{}` there",
                subject.name.shown,
                on.fails(),
                on.title(),
                escape(name),
                rename.new
            );
            let mut finding = on.finding(message, name).item(Item::Library { name: name.clone() });
            finding.notes.extend(on.chain(needed_by));
            finding = finding.note(&rename.why).note(match rename.same_interface {
                true => "no link was left behind under the old name, and the loader goes by the file's name",
                false => "the interface changed too",
            });
            sink.push(finding.note(format!("source: {}", rename.source)).help(&rename.help));
        }
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}
