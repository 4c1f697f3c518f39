//! A run path that exists on the machine that built the file.

use super::{Applies, Check, Lint, Sink, Subject};
use crate::finding::{Finding, Item, Level};
use crate::text;

pub static LINT: Lint = Lint {
    name: "run_path_leaks",
    default: Level::Warn,
    undecided: false,
    enforces_rule: false,
    summary: "a run path leads to a folder of the machine that built the file",
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
/// Parts of a path that only a build makes.
const BUILD_PARTS: &[&str] =
    &["/target/debug", "/target/release", "/.rustup/", "/.cargo/", "/deps", "/build/"];

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    let mut present = false;
    for (tag, paths) in [("DT_RPATH", &facts.rpath), ("DT_RUNPATH", &facts.runpath)] {
        for path in paths {
            present = true;
            let why = if is_of_a_build(path) {
                "on another machine it is missing, or is somebody else's: what lies there is loaded"
            } else if !path.starts_with('/') && !path.starts_with('$') {
                "it is taken from the folder in which the program is started"
            } else {
                continue;
            };
            let shown = if path.is_empty() { "(empty)" } else { path };
            sink.push(
                Finding::new(format!("`{}` looks for libraries in `{shown}`", subject.name.shown))
                    .subject(path)
                    .item(Item::RunPath { tag, path: path.clone() })
                    .note(format!("{tag}: {why}"))
                    .help(format!(
                        "link without that `-rpath`, or remove it:\npatchelf --remove-rpath {}",
                        text::path(&subject.place.path)
                    )),
            );
        }
    }
    if present { Applies::Yes } else { Applies::No }
}

fn is_of_a_build(path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    path.starts_with('/')
        && (BUILD_FOLDERS.iter().any(|start| folder.starts_with(start))
            || BUILD_PARTS.iter().any(|part| path.contains(part)))
}
