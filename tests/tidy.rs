//! The architecture's rules. Each is a function from a source file to what is wrong in it, with a text that it
//! refuses and one that it accepts.

mod support {
    pub mod source;
}

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cargo_compat::lints::LINTS;
use support::source::{CodePath, Source};
use walkdir::WalkDir;

const MAX_LINES: usize = 600;
const FACTS: std::ops::RangeInclusive<i64> = 1..=54;

/// Lints that no case fires, each with the reason.
const NEVER_FIRED: &[(&str, &str)] = &[];

type Rule = fn(&Source) -> Vec<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` of which `is_wanted`, as (path from the root, text).
fn files(folder: &str, is_wanted: impl Fn(&Path) -> bool) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root().join(folder)).sort_by_file_name() {
        let entry = entry.unwrap_or_else(|error| panic!("{folder}: {error}"));
        let path = entry.path();
        if entry.file_type().is_file() && is_wanted(path) {
            let name = path.strip_prefix(root()).unwrap_or(path).display().to_string().replace('\\', "/");
            let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
            files.push((name, text));
        }
    }
    files
}

fn rust_files(folder: &str) -> Vec<Source> {
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    files(folder, is_rust).iter().map(|(path, text)| Source::new(path, text)).collect()
}

/// Applies `rule` to the folders, after it has shown that it can fail.
fn enforce(rule: Rule, folders: &[&str], refused: &[(&str, &str)], accepted: &[(&str, &str)]) {
    for (path, text) in refused {
        assert!(!rule(&Source::new(path, text)).is_empty(), "the rule accepts, in {path}: {text}");
    }
    for (path, text) in accepted {
        assert_eq!(rule(&Source::new(path, text)), [""; 0], "the rule refuses, in {path}: {text}");
    }
    let sources: Vec<_> = folders.iter().flat_map(|folder| rust_files(folder)).collect();
    assert!(!sources.is_empty(), "no source in {folders:?}");
    let wrong: Vec<_> = sources.iter().flat_map(rule).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

fn paths_where(source: &Source, what: &str, is_wrong: impl Fn(&CodePath) -> bool) -> Vec<String> {
    let wrong = source.paths().into_iter().filter(is_wrong);
    wrong.map(|path| format!("{}:{}: `{}`: {what}", source.path, path.line, path.parts.join("::"))).collect()
}

fn has_neighbours(path: &CodePath, first: &str, second: &str) -> bool {
    path.parts.windows(2).any(|pair| pair == [first, second])
}

fn object_only_in_readers(source: &Source) -> Vec<String> {
    if is_in(&source.path, &["src/artifact/", "src/artifact.rs", "src/blame/", "src/blame.rs"]) {
        return Vec::new();
    }
    paths_where(source, "only the readers know `object`", |path| {
        path.parts[0] == "object" && (path.parts.len() > 1 || path.follows_use)
    })
}

#[test]
fn object_is_known_only_to_the_readers() {
    enforce(
        object_only_in_readers,
        &["src"],
        &[
            ("src/loader.rs", "use object::elf;"),
            ("src/loader.rs", "use object as o;"),
            ("src/lints/a.rs", "fn f() { let x = ::object::elf::ET_DYN; }"),
            ("src/lints/a.rs", "use {serde::Serialize, object::elf};"),
        ],
        &[
            ("src/artifact/read.rs", "use object::elf;"),
            ("src/lints/a.rs", "let object = json::object::new(); // object::elf"),
        ],
    );
}

fn archives_only_in_release(source: &Source) -> Vec<String> {
    if is_in(&source.path, &["src/platform/", "src/release/"]) {
        return Vec::new();
    }
    paths_where(source, "only src/release/ and src/platform/ read archives", |path| {
        let archives = ["tar", "zip", "flate2", "lzma_rust2", "ruzstd"].contains(&path.parts[0].as_str());
        archives && (path.parts.len() > 1 || path.follows_use)
    })
}

/// Unpacking is bounded where it is done, of releases and of systems, and nothing is unpacked by its name.
#[test]
fn archives_are_read_in_two_places() {
    enforce(
        archives_only_in_release,
        &["src"],
        &[
            ("src/files.rs", "use zip::ZipArchive;"),
            ("src/files.rs", "fn f() { tar::Archive::new(a).unpack(b); }"),
        ],
        &[("src/release/a.rs", "use tar::Archive;"), ("src/files.rs", "let both = a.iter().zip(b);")],
    );
}

fn dwarf_only_in_blame(source: &Source) -> Vec<String> {
    if is_in(&source.path, &["src/blame/code/"]) {
        return Vec::new();
    }
    paths_where(source, "only src/blame/code/ knows DWARF", |path| {
        matches!(path.parts[0].as_str(), "addr2line" | "gimli")
    })
}

#[test]
fn dwarf_is_known_only_to_blame() {
    enforce(
        dwarf_only_in_blame,
        &["src"],
        &[
            ("src/blame/mod.rs", "use addr2line::gimli::Dwarf;"),
            ("src/lints/a.rs", "fn f(a: gimli::Dwarf) {}"),
        ],
        &[("src/blame/code/lines.rs", "use addr2line::Context;")],
    );
}

fn clap_only_in_cli(source: &Source) -> Vec<String> {
    if is_in(&source.path, &["src/cli.rs", "src/cli/"]) {
        return Vec::new();
    }
    paths_where(source, "only src/cli.rs and src/cli/ know `clap`", |path| {
        matches!(path.parts[0].as_str(), "clap" | "clap_cargo")
    })
}

#[test]
fn clap_is_known_only_to_the_command_line() {
    enforce(
        clap_only_in_cli,
        &["src"],
        &[("src/main.rs", "use clap::Parser;"), ("src/commands/a.rs", "#[derive(clap::Args)] struct A;")],
        &[
            ("src/cli.rs", "use clap::Parser;"),
            ("src/main.rs", "/* clap::Parser */ let a = \"clap::Parser\";"),
        ],
    );
}

fn processes_only_in_process(source: &Source) -> Vec<String> {
    if is_in(&source.path, &["src/process.rs"]) {
        return Vec::new();
    }
    paths_where(source, "only src/process.rs starts processes", |path| {
        has_neighbours(path, "Command", "new") || has_neighbours(path, "process", "Command")
    })
}

#[test]
fn processes_start_in_one_place() {
    enforce(
        processes_only_in_process,
        &["src"],
        &[
            ("src/workspace.rs", "use std::process::{Command, ExitCode};"),
            ("src/workspace.rs", "use std::{fs, process::Command};"),
            ("src/workspace.rs", "fn f() { Command::new(\"ldd\"); }"),
        ],
        &[
            ("src/process.rs", "use std::process::Command;"),
            ("src/main.rs", "use std::process::ExitCode; fn f(c: cli::Command) {}"),
        ],
    );
}

fn printing_only_in_report(source: &Source) -> Vec<String> {
    if is_in(&source.path, &["src/report/", "src/report.rs"]) {
        return Vec::new();
    }
    let mut wrong = paths_where(source, "only the renderers print", |path| path.parts[0] == "anstream");
    for needle in ["println!", "print!", "eprintln!", "eprint!", "stdout()", "stderr()"] {
        for (line, text) in source.code.lines().zip(1..).map(|(text, line)| (line, text)) {
            let starts_word = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if text.match_indices(needle).any(|(at, _)| starts_word(at)) {
                wrong.push(format!("{}:{line}: `{needle}`: only the renderers print", source.path));
            }
        }
    }
    wrong
}

#[test]
fn only_renderers_print() {
    enforce(
        printing_only_in_report,
        &["src"],
        &[
            ("src/main.rs", "fn main() { println!(); }"),
            ("src/main.rs", "fn main() { eprint!(\"{}\", 1); }"),
            ("src/commands/a.rs", "let out = std::io::stdout().lock();"),
            ("src/commands/a.rs", "use anstream::AutoStream;"),
        ],
        &[
            ("src/report/human.rs", "fn f() { println!(); }"),
            ("src/process.rs", "fn f(c: &mut C) { c.stdout(piped()); my_print!(); }"),
            ("src/main.rs", "#[cfg(test)]\nmod tests { fn f() { println!(); } }"),
        ],
    );
}

fn lints_do_no_io(source: &Source) -> Vec<String> {
    if !is_in(&source.path, &["src/lints/", "src/diff/"]) {
        return Vec::new();
    }
    paths_where(source, "what judges facts does no I/O", |path| {
        ["fs", "io", "env"].iter().any(|module| has_neighbours(path, "std", module))
            || path.parts.iter().rev().skip(1).any(|part| part == "File")
    })
}

#[test]
fn lints_see_only_facts() {
    enforce(
        lints_do_no_io,
        &["src"],
        &[
            ("src/lints/a.rs", "use std::{fmt, fs};"),
            ("src/lints/a.rs", "let a = std::env::var(\"A\");"),
            ("src/lints/a.rs", "use std::{fmt, io::{self, Read}};"),
            ("src/lints/a.rs", "let a = File::open(\"a\");"),
            ("src/diff/a.rs", "let a = std::fs::read(\"a\");"),
        ],
        &[("src/lints/a.rs", "use std::fmt; struct File;"), ("src/loader.rs", "use std::fs;")],
    );
}

/// The modules that depend on nothing else of ours, each with what it may use.
const FOUNDATIONS: [(&[&str], &[&str]); 3] = [
    (&["src/artifact/", "src/artifact.rs"], &["artifact", "text"]),
    (&["src/finding/", "src/finding.rs"], &["finding", "text"]),
    (&["src/platform/", "src/platform.rs"], &["artifact", "platform", "text"]),
];

fn foundations_stand_alone(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = FOUNDATIONS.iter().find(|(places, _)| is_in(&source.path, places)) else {
        return Vec::new();
    };
    let own = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = own.split('/').count();
    paths_where(source, "this module uses no other of ours", |path| {
        let ups = path.parts.iter().take_while(|part| *part == "super").count();
        let from_root = match path.parts[0].as_str() {
            "crate" | "cargo_compat" => Some(1),
            "super" if ups >= depth => Some(ups),
            _ => None,
        };
        // `use crate::{artifact, text}` gives a bare `crate` beside a path for each module.
        let module = from_root.and_then(|at| path.parts.get(at));
        module.is_some_and(|module| !allowed.contains(&module.as_str()))
    })
}

#[test]
fn the_foundations_use_no_other_module() {
    enforce(
        foundations_stand_alone,
        &["src"],
        &[
            ("src/artifact/read.rs", "use crate::policy::Policy;"),
            ("src/artifact/read.rs", "use crate::{artifact::Artifact, finding};"),
            ("src/artifact/read.rs", "use super::super::finding::Finding;"),
            ("src/artifact/mod.rs", "use super::finding::Finding;"),
            ("src/finding.rs", "fn f(a: &crate::artifact::Artifact) {}"),
            ("src/platform/mod.rs", "use crate::loader;"),
        ],
        &[
            (
                "src/artifact/read.rs",
                "use crate::artifact::Artifact; use crate::{text::escape}; use super::Class;",
            ),
            ("src/finding.rs", "use crate::text::escape;"),
            ("src/loader.rs", "use crate::artifact::Artifact;"),
        ],
    );
}

fn no_unsafe(source: &Source) -> Vec<String> {
    paths_where(source, "no `unsafe` of ours", |path| path.parts[0] == "unsafe")
}

#[test]
fn nothing_is_unsafe() {
    enforce(
        // Cases hold other people's code: a cdylib of edition 2024 says `unsafe(no_mangle)`.
        no_unsafe,
        &["src", "tests/support", "xtask"],
        &[("src/a.rs", "fn f() { unsafe { g() } }")],
        &[("src/a.rs", "#![forbid(unsafe_code)] // unsafe")],
    );
}

fn short_enough(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let wrong =
        (lines > MAX_LINES).then(|| format!("{}: {lines} lines are more than {MAX_LINES}", source.path));
    wrong.into_iter().collect()
}

#[test]
fn files_are_short() {
    let (long, short) = ("\n".repeat(MAX_LINES + 1), "\n".repeat(MAX_LINES));
    enforce(short_enough, &["src", "tests", "xtask"], &[("src/a.rs", &long)], &[("src/a.rs", &short)]);
}

fn exemptions_say_why(source: &Source) -> Vec<String> {
    let texts: Vec<_> = source.text.lines().collect();
    let mut wrong = Vec::new();
    for (i, code) in source.code.lines().enumerate() {
        let Some(attribute) = ["#[", "#!["].iter().find_map(|start| code.find(start)) else {
            continue;
        };
        let exempts = ["allow(", "expect("].iter().any(|word| code[attribute..].contains(word));
        let has_comment = |line: &str| line.contains("//");
        let says_why = has_comment(texts[i])
            || code.contains("reason =")
            || i.checked_sub(1).is_some_and(|before| texts[before].trim_start().starts_with("//"));
        if exempts && !says_why {
            wrong.push(format!("{}:{}: an exemption without its why", source.path, i + 1));
        }
    }
    wrong
}

#[test]
fn every_exemption_says_why() {
    enforce(
        exemptions_say_why,
        &["src"],
        &[
            ("src/a.rs", "fn g() {}\n#[allow(dead_code)]\nfn f() {}"),
            ("src/a.rs", "#![cfg_attr(x, allow(dead_code))]"),
        ],
        &[
            ("src/a.rs", "#[allow(dead_code)] // kept for the next lint\nfn f() {}"),
            ("src/a.rs", "// Kept for the next lint.\n#[allow(dead_code)]\nfn f() {}"),
            ("src/a.rs", "#[expect(dead_code, reason = \"kept\")]\nfn f() {}"),
            ("src/a.rs", "fn f() { policy.allow(1); }"),
        ],
    );
}

fn facts_in_range(path: &str, case: &str) -> Vec<String> {
    let case: toml::Table = match toml::from_str(case) {
        Ok(case) => case,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    let facts = case.get("facts").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let is_wrong = |fact: &&toml::Value| !fact.as_integer().is_some_and(|fact| FACTS.contains(&fact));
    facts.iter().filter(is_wrong).map(|fact| format!("{path}: there is no fact {fact}")).collect()
}

#[test]
fn cases_cite_facts_that_exist() {
    assert_eq!(facts_in_range("a", "facts = [0, 1, 54, 55]").len(), 2);
    assert_eq!(facts_in_range("a", "facts = ['x']").len(), 1);
    assert_eq!(facts_in_range("a", "why = 'none'"), [""; 0]);
    let cases = files("tests/cases", |path| path.ends_with("case.toml"));
    let wrong: Vec<_> = cases.iter().flat_map(|(path, text)| facts_in_range(path, text)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `stems`: of the files; `names`: in the registry; `transcripts`: all of them.
fn lints_complete(stems: &[&str], names: &[&str], transcripts: &str, never_fired: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (files, registered) = (BTreeSet::from_iter(stems), BTreeSet::from_iter(names));
    if names.len() != registered.len() {
        wrong.push("a lint is registered twice".to_owned());
    }
    wrong.extend(files.difference(&registered).map(|name| format!("src/lints/{name}.rs is not registered")));
    wrong.extend(
        registered.difference(&files).map(|name| format!("the lint `{name}` has no src/lints/{name}.rs")),
    );
    for name in names {
        let fires =
            ["error", "warning"].iter().any(|level| transcripts.contains(&format!("{level}[{name}]")));
        match (fires, never_fired.contains(name)) {
            (false, false) => wrong.push(format!("no case fires the lint `{name}`")),
            (true, true) => wrong.push(format!("`{name}` is excused from a case, and has one")),
            _ => {}
        }
    }
    let unknown = never_fired.iter().filter(|name| !names.contains(name));
    wrong.extend(unknown.map(|name| format!("`{name}` is excused from a case, and is no lint")));
    wrong
}

#[test]
fn every_lint_is_registered_and_fires_in_a_case() {
    let sound = lints_complete(&["a", "b"], &["b", "a"], "error[a]: x\nwarning[b]: x", &[]);
    assert_eq!(sound, [""; 0]);
    assert_eq!(lints_complete(&["a", "b"], &["a"], "error[a]", &[]).len(), 1);
    assert_eq!(lints_complete(&["a"], &["a", "a"], "error[a]", &[]).len(), 1);
    assert_eq!(lints_complete(&[], &["a"], "error[a]", &[]).len(), 1);
    assert_eq!(lints_complete(&["a"], &["a"], "error[ab]", &[]).len(), 1);
    assert_eq!(lints_complete(&["a"], &["a"], "error[a]", &["a"]).len(), 1);
    assert_eq!(lints_complete(&["a"], &["a"], "error[a]", &["c"]).len(), 1);

    let sources = files("src/lints", |path| path.extension().is_some_and(|extension| extension == "rs"));
    let stems: Vec<_> = (sources.iter())
        .map(|(path, _)| path.trim_start_matches("src/lints/").trim_end_matches(".rs"))
        // What several lints share is no lint.
        .filter(|stem| !["mod", "on_platform"].contains(stem))
        .collect();
    let names: Vec<_> = LINTS.iter().map(|lint| lint.name).collect();
    let transcripts = files("tests/cases", |path| path.ends_with("transcript.txt"));
    let transcripts: String = transcripts.into_iter().map(|(_, text)| text).collect();
    let excused: Vec<_> = NEVER_FIRED.iter().map(|(name, _)| *name).collect();
    let wrong = lints_complete(&stems, &names, &transcripts, &excused);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A case `lints/<lint>_silent` in which the lint says nothing.
fn is_silent(lint: &str, transcript: Option<&str>) -> bool {
    transcript.is_some_and(|text| {
        !["error", "warning"].iter().any(|level| text.contains(&format!("{level}[{lint}]")))
    })
}

#[test]
fn every_lint_is_silent_in_a_case() {
    assert!(is_silent("a", Some("error[ab]: x")));
    assert!(!is_silent("a", Some("warning[a]: x")));
    assert!(!is_silent("a", None));

    let transcripts = files("tests/cases/lints", |path| path.ends_with("transcript.txt"));
    for lint in LINTS {
        let path = format!("tests/cases/lints/{}_silent/transcript.txt", lint.name);
        let text = transcripts.iter().find(|(own, _)| *own == path).map(|(_, text)| text.as_str());
        assert!(is_silent(lint.name, text), "no case {path}, or `{}` is not silent in it", lint.name);
    }
}
