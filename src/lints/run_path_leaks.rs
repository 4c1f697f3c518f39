//! A run path that exists on the machine that built the file.

use std::collections::HashSet;

use super::{Applies, Check, Lint, Sink, Subject, pasted_path};
use crate::finding::{Finding, Item, Level};
use crate::text::escape;

pub static LINT: Lint = Lint {
    name: "run_path_leaks",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "a run path leads to a folder of the machine that built the file",
    page: include_str!("run_path_leaks.md"),
    check: Check::Artifact(check),
};

/// Where people and build services keep their work.
const BUILD_FOLDERS: &[&str] = &[
    "/home/",
    "/root/",
    "/Users/",
    "/tmp/",
    "/var/tmp/",
    "/build/",
    "/builds/",
    "/workspace/",
    "/github/",
    "/__w/",
    "/io/",
    "/nix/store/",
    "/gnu/store/",
    "/opt/conda/",
    "/usr/local/cargo/",
];
/// Folders in a path that only a build makes.
const BUILD_PARTS: &[&str] = &["/target/debug/", "/target/release/", "/.rustup/", "/.cargo/", "/build/"];

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    let mut present = false;
    for (tag, paths) in [("DT_RPATH", &facts.rpath), ("DT_RUNPATH", &facts.runpath)] {
        let (bad, good): (Vec<&String>, Vec<&String>) =
            paths.iter().partition(|path| why_bad(path).is_some());
        present |= !paths.is_empty();
        let mut seen = HashSet::new();
        for path in bad {
            let Some(why) = why_bad(path).filter(|_| seen.insert(path)) else { continue };
            let shown = if path.is_empty() { "(empty)" } else { path };
            sink.push(
                Finding::new(format!("`{}` looks for libraries in `{shown}`", subject.name.shown))
                    .subject(path)
                    .item(Item::RunPath { tag: tag.to_owned(), path: path.clone() })
                    .note(format!("{tag}: {why}"))
                    .help(advice(subject, &good)),
            );
        }
    }
    if present { Applies::Yes } else { Applies::No }
}

fn why_bad(path: &str) -> Option<&'static str> {
    if is_of_a_build(path) {
        Some("on another machine it is missing, or is somebody else's: what lies there is loaded")
    } else if !path.starts_with('/') && !path.starts_with('$') {
        Some("it is taken from the folder in which the program is started")
    } else {
        None
    }
}

/// What is good in the run path stays.
fn advice(subject: &Subject<'_>, good: &[&String]) -> String {
    let file = pasted_path(&subject.place.path);
    let command = match good {
        [] => format!("patchelf --remove-rpath {file}"),
        _ => {
            let kept = good.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(":");
            format!("patchelf --set-rpath {} {file}", shell_words::quote(&escape(&kept)))
        }
    };
    format!("link without that `-rpath`, or take it out:\n{command}")
}

fn is_of_a_build(path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    let starts = BUILD_FOLDERS.iter().any(|start| folder.starts_with(start));
    // `-C rpath` leads from `$ORIGIN` up to the toolchain.
    starts || BUILD_PARTS.iter().any(|part| folder.contains(part))
}
