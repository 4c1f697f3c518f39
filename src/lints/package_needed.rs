//! What the file needs is not in a plain install of a platform.

use super::{Applies, Check, Lint, Sink, Subject, on_platform, toml_string};
use crate::finding::{Item, Level};
use crate::text::{escape, some_of};

pub static LINT: Lint = Lint {
    name: "package_needed",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a plain install of a platform of `runs-on` lacks a package that is needed; a warning unless `install = \"plain\"`",
    page: include_str!("package_needed.md"),
    check: Check::Artifact(check),
};

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let all = on_platform::each(subject);
    for on in &all {
        let declared = |package: &String| {
            let allowed = subject.rules.packages.iter().flat_map(|packages| &packages.value);
            // One of several will do.
            allowed.into_iter().any(|pattern| package.split(" | ").any(|name| pattern.value.matches(name)))
        };
        let packages: Vec<String> =
            on.named.found.packages.iter().filter(|one| !declared(one)).cloned().collect();
        if packages.is_empty() {
            continue;
        }
        let shown: Vec<String> = packages.iter().map(|name| format!("`{}`", escape(name))).collect();
        let noun = if packages.len() == 1 { "package" } else { "packages" };
        let mut finding = on
            .finding(
                format!("`{}` needs the {noun} {} on {}", subject.name.shown, some_of(&shown, 3), on.title()),
                some_of(&packages, 3),
            )
            .note(format!("a plain install lacks {}", if packages.len() == 1 { "it" } else { "them" }));
        if shown.len() > 3 {
            finding = finding.note(some_of(&shown, 20));
        }
        if let Some(plain) = &subject.rules.plain_install {
            finding = finding.forbids(&plain.span, "nothing beyond a plain install");
        } else {
            finding = finding.at_most_warn();
        }
        for name in &packages {
            finding = finding.item(Item::Package { name: name.clone() });
        }
        let listed: Vec<String> =
            packages.iter().map(|name| toml_string(name.split(" | ").next().unwrap_or(name))).collect();
        sink.push(finding.help(format!(
            "where the program's own package asks for them, say so:\npackages = [{}]",
            listed.join(", ")
        )));
    }
    if all.is_empty() { Applies::No } else { Applies::Yes }
}
