//! Fuzzing the readers: the targets of `fuzz/`, and the corpus that each starts from.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cargo_compat::artifact::{Arch, Class, Endian};
use cargo_compat::platform::{self, About, Definition, Draft, Entry, Facts, Open, What};

use crate::support::elf::Elf;
use crate::{Usage, process};

/// 64 KiB and a page: bfd lays ppc64le and aarch64 out in pages of 64 KiB, so that their smallest libraries have 66.
const MAX_LEN: u64 = 68 << 10;
/// Of each machine; the smallest.
const MOST_FILES: usize = 30;
/// A run without a length is a look at whether it runs.
const SMOKE_SECONDS: &str = "60";

struct Target {
    name: &'static str,
    seeds: fn() -> anyhow::Result<Seeds>,
    dictionary: &'static str,
}

/// File name → content.
type Seeds = BTreeMap<String, Vec<u8>>;

const TARGETS: &[Target] = &[
    Target { name: "elf", seeds: elf_seeds, dictionary: "elf.dict" },
    Target { name: "check", seeds: elf_seeds, dictionary: "elf.dict" },
    Target { name: "archive", seeds: archive_seeds, dictionary: "elf.dict" },
    Target { name: "description", seeds: description_seeds, dictionary: "elf.dict" },
    Target { name: "policy", seeds: policy_seeds, dictionary: "policy.dict" },
];

const MACHINES: &[&str] =
    &["x86-64", "i386", "aarch64", "arm", "s390x", "ppc64le", "ppc64", "riscv64", "mips", "loongarch64"];

/// Where Debian and its cross compilers keep programs and libraries.
const FOLDERS: &[&str] = &[
    "/usr/bin",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/aarch64-linux-gnu/lib",
    "/usr/s390x-linux-gnu/lib",
    "/usr/powerpc64le-linux-gnu/lib",
    "/usr/i686-linux-gnu/lib",
    "/usr/arm-linux-gnueabihf/lib",
];

pub fn corpus(arguments: &[String]) -> anyhow::Result<()> {
    if !arguments.is_empty() {
        return Err(Usage("`fuzz-corpus` takes no arguments".to_owned()).into());
    }
    TARGETS.iter().try_for_each(write_corpus)
}

pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (name, seconds) = match arguments {
        [name] => (name, SMOKE_SECONDS),
        [name, seconds] => (name, seconds.as_str()),
        _ => return Err(Usage("`fuzz` takes a target and a number of seconds".to_owned()).into()),
    };
    let Some(target) = TARGETS.iter().find(|target| target.name == *name) else {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        return Err(Usage(format!("no fuzz target is named `{name}`; there are {}", known.join(", "))).into());
    };
    if seconds.parse::<u32>().is_err() {
        return Err(Usage(format!("`{seconds}` is no number of seconds")).into());
    }
    write_corpus(target)?;
    // cargo fuzz needs nightly; only rustup's own cargo knows `+nightly`.
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz", "run", name, "--"]);
    command.args([
        format!("-max_len={MAX_LEN}"),
        format!("-dict=fuzz/{}", target.dictionary),
        format!("-max_total_time={seconds}"),
        "-rss_limit_mb=1024".to_owned(),
        "-timeout=5".to_owned(),
        "-close_fd_mask=3".to_owned(), // the reports, which are written for nobody here
        "-print_final_stats=1".to_owned(),
    ]);
    process::run(&mut command)
        .context("fuzzing needs `cargo install cargo-fuzz` and `rustup toolchain install nightly`")
}

fn write_corpus(target: &Target) -> anyhow::Result<()> {
    let folder = crate::root().join("fuzz/corpus").join(target.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let seeds = (target.seeds)()?;
    ensure!(!seeds.is_empty(), "nothing to start `{}` from", target.name);
    for (name, content) in &seeds {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}: {} files in {}", target.name, seeds.len(), folder.display());
    Ok(())
}

fn elf_seeds() -> anyhow::Result<Seeds> {
    let mut seeds = Seeds::new();
    let everything = read_text(&crate::root().join("fuzz/seeds/elf/everything.toml"))?;
    for machine in MACHINES {
        for hash in ["gnu", "sysv", "both", "none"] {
            for sections in [true, false] {
                let head = format!("machine = '{machine}'\nhash = '{hash}'\nsections = {sections}");
                let elf: Elf = toml::from_str(&format!("{head}\n{everything}"))?;
                let name = format!("written-{machine}-{hash}-{}", if sections { "sections" } else { "bare" });
                seeds.insert(name, elf.to_bytes()?);
            }
        }
    }
    for (case, text) in cases()? {
        // A case may hold what this table's parser cannot know: other keys, other files.
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        let described = table.get("elf").and_then(toml::Value::as_table).into_iter().flatten();
        for (at, (_, description)) in described.enumerate() {
            let Ok(bytes) =
                description.clone().try_into::<Elf>().map_err(Into::into).and_then(|elf| elf.to_bytes())
            else {
                continue;
            };
            if bytes.len() as u64 <= MAX_LEN {
                seeds.insert(format!("case-{case}-{at}"), bytes);
            }
        }
    }
    seeds.extend(real_files()?);
    Ok(seeds)
}

/// The smallest ELF files of each machine.
fn real_files() -> anyhow::Result<Seeds> {
    let mut by_machine: BTreeMap<[u8; 2], Vec<(u64, PathBuf)>> = BTreeMap::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_file()
                && metadata.len() <= MAX_LEN
                && let Some(machine) = machine_of(&path)
            {
                by_machine.entry(machine).or_default().push((metadata.len(), path));
            }
        }
    }
    let mut seeds = Seeds::new();
    for files in by_machine.values_mut() {
        files.sort();
        for (_, path) in files.iter().take(MOST_FILES) {
            let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            seeds.insert(path.display().to_string().trim_start_matches('/').replace('/', "-"), content);
        }
    }
    Ok(seeds)
}

/// The smallest archives and object files of this machine and its cross compilers.
fn archive_seeds() -> anyhow::Result<Seeds> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry?.path();
            let is_one = path.extension().is_some_and(|kind| kind == "a" || kind == "o");
            let size = fs::symlink_metadata(&path).map_or(u64::MAX, |metadata| metadata.len());
            if is_one && size <= MAX_LEN {
                found.push((size, path));
            }
        }
    }
    found.sort();
    let mut seeds = Seeds::new();
    for (_, path) in found.iter().take(MOST_FILES * 4) {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        seeds.insert(path.display().to_string().trim_start_matches('/').replace('/', "-"), content);
    }
    Ok(seeds)
}

/// Small descriptions, of one system and of two.
fn description_seeds() -> anyhow::Result<Seeds> {
    let mut seeds = Seeds::new();
    let open = Open { names: vec![platform::hash(b"asked")], ..Open::default() };
    for (name, systems, partial) in
        [("one", 1, false), ("partial", 1, true), ("two", 2, false), ("both", 2, true)]
    {
        let drafts: Vec<Draft> = (0..systems).map(|at| draft(at, partial)).collect();
        let packed = platform::write(&drafts, 16, &open)?;
        seeds.insert(name.to_owned(), packed.bytes);
    }
    Ok(seeds)
}

/// A system with a library, a link to it, and what else a path may be.
fn draft(number: usize, partial: bool) -> Draft {
    let arch = Arch { machine: 62, class: Class::Elf64, endian: Endian::Little, flags: 0 };
    let names = ["known", "other", if number == 0 { "first" } else { "second" }];
    let mut symbols: Vec<Definition> = names
        .iter()
        .zip([0, 1, 1])
        .map(|(name, node)| Definition { hash: platform::hash(name.as_bytes()), node, hidden: node == 1 })
        .collect();
    symbols.sort_unstable();
    let facts = Facts {
        soname: Some("liba.so.1".to_owned()),
        needed: vec!["libc.so.6".to_owned()],
        runpath: vec!["$ORIGIN".to_owned()],
        nodes: vec!["A_1".to_owned()],
        has_version_table: true,
        defines_versions: true,
        symbols: Some(symbols),
        partial,
        ..Facts::default()
    };
    let entry =
        |path: &str, what| Entry { path: path.to_owned(), package: "a".to_owned(), plain: true, what };
    Draft {
        about: About {
            platform: format!("system-{number}"),
            arch: arch.into(),
            triplet: String::new(),
            libc: "glibc 2.36".to_owned(),
            search: vec!["/lib".to_owned()],
            folder_links: vec![("/lib64".to_owned(), "lib".to_owned())],
            complete: true,
            provenance: Vec::new(),
        },
        entries: vec![
            entry("/lib/liba.so.1", What::Library(Box::new(facts))),
            entry("/lib/libb.so", What::Link("liba.so.1".to_owned())),
            entry("/lib/libc.so", What::NotElf),
            entry("/lib/libd.so.1", What::Listed),
        ],
        others: vec!["/opt/libx.so".to_owned()],
        packages: vec![("a".to_owned(), "1.0-1".to_owned())],
    }
}

/// `e_machine` as it stands there, of an ELF file that is no object file.
fn machine_of(path: &Path) -> Option<[u8; 2]> {
    let mut head = [0; 20];
    fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    let is_object = head[16..18] == [1, 0] || head[16..18] == [0, 1];
    (head.starts_with(b"\x7fELF") && !is_object).then_some([head[18], head[19]])
}

fn policy_seeds() -> anyhow::Result<Seeds> {
    let root = crate::root();
    let mut seeds = Seeds::new();
    for entry in fs::read_dir(root.join("fuzz/seeds/policy"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        seeds.insert(name, fs::read(&path)?);
    }
    seeds.insert("own".to_owned(), fs::read(root.join("compat.toml"))?);
    for (at, block) in toml_blocks(&read_text(&root.join("README.md"))?).enumerate() {
        seeds.insert(format!("readme-{at}"), block.into());
    }
    for (case, text) in cases()? {
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        let files = table.get("file").and_then(toml::Value::as_table).into_iter().flatten();
        let policies = files.filter(|(path, _)| path.ends_with("compat.toml"));
        for (at, (_, file)) in policies.enumerate() {
            if let Some(text) = file.get("text").and_then(toml::Value::as_str) {
                seeds.insert(format!("case-{case}-{at}"), text.into());
            }
        }
    }
    Ok(seeds)
}

fn toml_blocks(markdown: &str) -> impl Iterator<Item = &str> {
    markdown.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block))
}

/// Each `case.toml` of the tests, by its area and name.
fn cases() -> anyhow::Result<Vec<(String, String)>> {
    let mut cases = Vec::new();
    let Ok(areas) = fs::read_dir(crate::root().join("tests/cases")) else { return Ok(cases) };
    for area in areas {
        for case in fs::read_dir(area?.path())? {
            let folder = case?.path();
            let mut parts = folder.components().rev().map(|part| part.as_os_str().to_string_lossy());
            let (name, area) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let path = folder.join("case.toml");
            if path.is_file() {
                cases.push((format!("{area}-{name}"), read_text(&path)?));
            }
        }
    }
    cases.sort();
    Ok(cases)
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_toml() {
        let text = "a\n```toml\nglibc = 1\n```\n```sh\nb\n```\n```toml\nc\nd\n```\n```toml\nno end";
        assert_eq!(toml_blocks(text).collect::<Vec<_>>(), ["glibc = 1", "c\nd"]);
    }

    #[test]
    fn wrong_arguments_are_usage() {
        for words in [&[] as &[&str], &["no-target"], &["elf", "soon"], &["elf", "1", "2"]] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert!(run(&words).unwrap_err().is::<Usage>(), "{words:?}");
        }
        assert!(corpus(&["x".to_owned()]).unwrap_err().is::<Usage>());
    }

    #[test]
    fn the_writer_gives_seeds_for_every_machine() {
        let seeds = elf_seeds().unwrap();
        assert!(seeds.keys().filter(|name| name.starts_with("written-")).count() == MACHINES.len() * 8);
    }
}
