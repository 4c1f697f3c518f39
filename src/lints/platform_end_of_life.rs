//! A promised platform gets no more security updates.

use super::{Check, Lint, Run, Sink};
use crate::finding::{Finding, Level};

pub static LINT: Lint = Lint {
    name: "platform_end_of_life",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "a platform of `runs-on` gets no more security updates",
    page: include_str!("platform_end_of_life.md"),
    check: Check::Run(check),
};

fn check(run: &Run<'_>, sink: &mut Sink<'_>) {
    let mut told = Vec::new();
    for names in run.policy.scopes.iter().filter_map(|scope| scope.keys.runs_on.as_ref()) {
        for name in names.value.iter() {
            let Some(platform) = crate::platform::find(&name.value) else { continue };
            let Some(end) = platform.end_of_life().filter(|end| *end < run.today) else { continue };
            if told.contains(&platform.name().to_owned()) {
                continue;
            }
            told.push(platform.name().to_owned());
            let mut finding = Finding::new(format!("{} is past its end of life", platform.title()))
                .subject(&name.value)
                .platform(&name.value)
                .forbids(&name.span, format!("no security updates for everybody since {end}"));
            if let Some((_, source)) = platform.sources().find(|(what, _)| *what == "dates") {
                finding = finding.note(format!("source: {source}"));
            }
            sink.push(
                finding.help("drop it from `runs-on`, or accept it by an [[exception]] with the reason"),
            );
        }
    }
}
