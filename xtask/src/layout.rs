//! `xtask/layout.ld`: the functions that `check` runs, for the linker to put side by side.
//!
//! A page of code that is touched brings the fifteen around it into memory, so what is resident depends on how far
//! apart the functions lie. A name is taken without its hash where that tells it from others; of those that are many
//! under one name, which generic code is, the one with the hash stands before the rest. What no longer exists is
//! passed over, and what is missing lies with everything else: nothing but speed depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::bench::{Scratch, files, inputs};
use crate::{Usage, process, released};

const FILE: &str = "xtask/layout.ld";

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    if let Some(other) = arguments.first() {
        return Err(Usage(format!("`layout` takes no arguments, not `{other}`")).into());
    }
    let program = released::build()?;
    let scratch = Scratch::new()?;
    let large = inputs::large()?;
    let mut run = BTreeSet::new();
    for (policy, files) in [
        (format!("glibc = \"{}\"\n{}", inputs::LARGE_KEEPS, inputs::LARGE_HOST), vec![large.clone()]),
        (format!("glibc = \"{}\"\n{}", inputs::LARGE_BREAKS, inputs::LARGE_HOST), vec![large.clone()]),
        (format!("glibc = \"{}\"\n", inputs::LARGE_BREAKS), vec![large]),
        (format!("glibc = \"{}\"\n", inputs::FILES_BREAK), files::find(16).paths),
    ] {
        let path = scratch.path().join("compat.toml");
        fs::write(&path, policy).with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = Command::new("valgrind");
        let profile = scratch.path().join("profile");
        command.args(["-q", "--tool=callgrind", "--demangle=no"]);
        command.arg(format!("--callgrind-out-file={}", profile.display())).arg(&program);
        command.args(["compat", "check", "--policy"]).arg(&path);
        for file in files {
            command.arg("--artifact").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().context("cannot start valgrind (Debian: valgrind)")?;
        ensure!(matches!(status.code(), Some(0 | 1)), "`{}` ended with {status}", process::line(&command));
        let text =
            fs::read_to_string(&profile).with_context(|| format!("cannot read {}", profile.display()))?;
        run.extend(functions(&text).map(str::to_owned));
    }
    let symbols = process::output(Command::new("nm").arg("--defined-only").arg(&program))?;
    let names = order(&run, symbols.lines().filter_map(|line| line.split(' ').nth(2)));
    ensure!(names.len() > 100, "only {} functions were seen: is the program stripped?", names.len());
    let path = crate::root().join(FILE);
    fs::write(&path, script(&names)).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("{FILE}: {} functions", names.len());
    // cargo does not know that it depends on this file.
    forget(&released::folder().join(released::TARGET).join("release/deps"))
}

/// The functions of a profile. A name is written out once and called by its number from then on.
fn functions(profile: &str) -> impl Iterator<Item = &str> {
    profile.lines().filter_map(|line| {
        let rest = line.strip_prefix("fn=(").or_else(|| line.strip_prefix("cfn=("))?;
        let (_, name) = rest.split_once(") ")?;
        // Behind an apostrophe: how deep a recursion is.
        Some(name.split('\'').next().unwrap_or(name).trim())
    })
}

/// The section of a function (`-ffunction-sections`), whatever its hash.
fn pattern(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || !name.chars().all(plain) {
        return None;
    }
    let hash = name.starts_with("_ZN").then(|| name.rfind("17h")).flatten();
    let rest = hash.and_then(|at| Some((at, name[at + 3..].split_at_checked(16)?.1)));
    Some(match rest.filter(|(_, rest)| rest.starts_with('E')) {
        Some((at, rest)) => format!("{}17h*{rest}", &name[..at]),
        None => name.to_owned(),
    })
}

/// What is to be put side by side, in order.
fn order<'s>(run: &BTreeSet<String>, symbols: impl Iterator<Item = &'s str>) -> Vec<String> {
    let mut number: BTreeMap<String, usize> = BTreeMap::new();
    for pattern in symbols.filter_map(pattern) {
        *number.entry(pattern).or_default() += 1;
    }
    let (mut first, mut rest) = (BTreeSet::new(), BTreeSet::new());
    for name in run {
        let Some(pattern) = pattern(name) else { continue };
        if number.get(&pattern).is_some_and(|number| *number > 1) {
            first.insert(name.clone());
            rest.insert(pattern);
        } else {
            first.insert(pattern);
        }
    }
    first.into_iter().chain(rest).collect()
}

fn script(names: &[String]) -> String {
    let mut text =
        "/* Made by `cargo xtask layout`: what `check` runs, side by side. Only speed depends on it. */\n\
                    SECTIONS\n{\n  .text.first :\n  {\n    *(.text)\n"
            .to_owned();
    // Plain `.text` is libc's: there is little of it.
    for name in names {
        text += &format!("    *(.text.{name})\n");
    }
    text + "  }\n}\nINSERT BEFORE .text;\n"
}

/// Removes the linked program, so that it is linked again.
fn forget(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?.flatten()
    {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("cargo_compat-") && !name.contains('.')) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_the_rest_of_a_profile() {
        let profile =
            "ob=(1) /x\nfn=(2) main\n0 3\ncfn=(3) _ZN1a1b17h0123456789abcdefE'2\ncalls=1 0\n0 1\nfn=(2)\n";
        assert_eq!(functions(profile).collect::<Vec<_>>(), ["main", "_ZN1a1b17h0123456789abcdefE"]);
    }

    #[test]
    fn patterns_hold_no_hash() {
        assert_eq!(pattern("_ZN1a1b17h0123456789abcdefE").as_deref(), Some("_ZN1a1b17h*E"));
        assert_eq!(pattern("_ZN1a17h0123456789abcdefE.12").as_deref(), Some("_ZN1a17h*E.12"));
        assert_eq!(pattern("_RNvNtC3std4main").as_deref(), Some("_RNvNtC3std4main"));
        assert_eq!(pattern("memcpy").as_deref(), Some("memcpy"));
        assert_eq!(pattern("0x0000000000401000"), None);
        assert_eq!(pattern("a*"), None);
    }

    #[test]
    fn of_many_under_one_name_the_one_that_runs_goes_first() {
        let [one, other, alone] =
            [1, 2, 3].map(|at| format!("_ZN1{}17h{at:016x}E", if at < 3 { 'a' } else { 'b' }));
        let symbols = [one.as_str(), other.as_str(), alone.as_str()];
        let run = [other.clone(), alone.clone()].into();
        assert_eq!(order(&run, symbols.into_iter()), [other.as_str(), "_ZN1b17h*E", "_ZN1a17h*E"]);
    }

    #[test]
    fn the_script_only_puts_something_first() {
        let text = script(&["a".to_owned()]);
        assert!(text.contains("  {\n    *(.text)\n    *(.text.a)\n  }\n}\nINSERT BEFORE .text;\n"), "{text}");
    }
}
