//! `cargo xtask agreement`: real packages' files, judged by `cargo compat show` and by the real loaders.
//!
//! For each architecture the files of [`PACKAGES`], or of packages chosen by chance, in each suite are put to the loader of each suite's root, and every
//! item is compared: missing libraries, versions and symbols, and when they are missed. Roots hold all that the archive
//! has for these files, so the loader misses nothing merely because a package is not installed. Registries are asked,
//! so CI does not run it.

mod compare;
mod loader;
mod packages;
mod root;
mod subjects;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};

use crate::platforms::apt::Apt;
use crate::{Usage, process};
use compare::{Count, Outcome};
use loader::{Loader, Said};
use root::Root;
use subjects::Subject;

/// Debian's name, the triplet of its folders, the loader's path (fact 16), and the static QEMU that runs it where the
/// machine is of another architecture.
struct Arch {
    debian: &'static str,
    triplet: &'static str,
    loader: &'static str,
    qemu: &'static str,
    /// Rust's name of it.
    rust: &'static str,
    /// `e_machine`.
    machine: u16,
}

const ARCHITECTURES: &[Arch] = &[
    Arch {
        debian: "amd64",
        triplet: "x86_64-linux-gnu",
        loader: "/lib64/ld-linux-x86-64.so.2",
        qemu: "qemu-x86_64-static",
        rust: "x86_64",
        machine: 62,
    },
    Arch {
        debian: "s390x",
        triplet: "s390x-linux-gnu",
        loader: "/lib/ld64.so.1",
        qemu: "qemu-s390x-static",
        rust: "s390x",
        machine: 22,
    },
    Arch {
        debian: "ppc64el",
        triplet: "powerpc64le-linux-gnu",
        loader: "/lib64/ld64.so.2",
        qemu: "qemu-ppc64le-static",
        rust: "powerpc64",
        machine: 21,
    },
    Arch {
        debian: "arm64",
        triplet: "aarch64-linux-gnu",
        loader: "/lib/ld-linux-aarch64.so.1",
        qemu: "qemu-aarch64-static",
        rust: "aarch64",
        machine: 183,
    },
];

struct Suite {
    name: &'static str,
    platform: &'static str,
}

const SUITES: &[Suite] = &[
    Suite { name: "bullseye", platform: "debian-11" },
    Suite { name: "bookworm", platform: "debian-12" },
    Suite { name: "trixie", platform: "debian-13" },
    Suite { name: "testing", platform: "debian-testing" },
];

/// Those that are asked about where none is named.
const USUAL: &[&str] = &["bookworm", "trixie"];

/// Loaders that are asked at a time.
const WORKERS: usize = 2;

struct Options {
    architectures: Vec<&'static Arch>,
    suites: Vec<&'static Suite>,
    /// apt's folders, packages and roots.
    folder: PathBuf,
    /// apt's folders, where `cargo xtask platforms` keeps them.
    cache: PathBuf,
    /// The program to judge by; without it the debug build.
    tool: Option<PathBuf>,
    /// Where `debian-12.pack` and its like are, instead of the program's own.
    descriptions: Option<PathBuf>,
    /// Files of one package.
    files: usize,
    /// So many packages of the whole archive, instead of the list.
    sample: Option<Sample>,
    keep: bool,
}

/// Packages by chance: the same seed gives the same ones.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    packages: usize,
    seed: u64,
}

/// `[--arch NAME]… [--suite NAME]… [--files N] [--sample PACKAGES] [--seed N] [--folder DIR] [--cache DIR] [--tool PROGRAM]
/// [--descriptions DIR] [--keep]`
pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    let tool = match &options.tool {
        Some(tool) => tool.clone(),
        None => build()?,
    };
    let mut wrong = 0;
    let mut pairs = 0;
    for arch in &options.architectures {
        let folder = options.folder.join(arch.debian);
        let count =
            one(arch, &options, &tool, &folder).with_context(|| format!("cannot try {}", arch.debian))?;
        for count in count.values() {
            wrong += count.disagreements;
            pairs += count.pairs;
        }
        if !options.keep {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    ensure!(pairs > 0, "no file was compared");
    ensure!(wrong == 0, "{wrong} of {pairs} pairs are judged otherwise than by the loader");
    Ok(())
}

impl Options {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self {
            architectures: Vec::new(),
            suites: Vec::new(),
            folder: std::env::temp_dir().join("cargo-compat-agreement"),
            cache: std::env::temp_dir().join("cargo-compat-platforms"),
            tool: None,
            descriptions: None,
            files: 3,
            sample: None,
            keep: false,
        };
        let mut seed = 1;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| Usage(format!("`{argument}` takes a value")));
            match argument.as_str() {
                "--arch" => {
                    let name = value()?;
                    let known = ARCHITECTURES.iter().find(|arch| arch.debian == name);
                    options.architectures.push(
                        known.ok_or_else(|| Usage(format!("`agreement` knows no architecture `{name}`")))?,
                    );
                }
                "--suite" => {
                    let name = value()?;
                    let known = SUITES.iter().find(|suite| suite.name == name);
                    options
                        .suites
                        .push(known.ok_or_else(|| Usage(format!("`agreement` knows no suite `{name}`")))?);
                }
                "--files" => options.files = value()?.parse()?,
                "--sample" => options.sample = Some(Sample { packages: value()?.parse()?, seed }),
                "--seed" => seed = value()?.parse()?,
                "--folder" => options.folder = std::path::absolute(value()?)?,
                "--cache" => options.cache = std::path::absolute(value()?)?,
                "--tool" => options.tool = Some(std::path::absolute(value()?)?),
                "--descriptions" => options.descriptions = Some(std::path::absolute(value()?)?),
                "--keep" => options.keep = true,
                other => return Err(Usage(format!("`agreement` does not take `{other}`")).into()),
            }
        }
        if let Some(sample) = &mut options.sample {
            sample.seed = seed;
        }
        if options.architectures.is_empty() {
            options.architectures = ARCHITECTURES.iter().collect();
        }
        if options.suites.is_empty() {
            options.suites = SUITES.iter().filter(|suite| USUAL.contains(&suite.name)).collect();
        }
        Ok(options)
    }
}

/// The program's debug build.
fn build() -> anyhow::Result<PathBuf> {
    process::run(process::cargo().args(["build", "--locked", "--package", "cargo-compat-guard"]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    Ok(target.join("debug/cargo-compat"))
}

/// All files of an architecture on all roots: counts by the suite of the files and that of the root.
fn one(
    arch: &'static Arch,
    options: &Options,
    tool: &Path,
    folder: &Path,
) -> anyhow::Result<BTreeMap<(&'static str, &'static str), Count>> {
    let mut archives = Vec::new();
    let mut files = Vec::new();
    for suite in &options.suites {
        let apt = Apt::open(
            &options.cache.join(format!("{}-{}", suite.name, arch.debian)),
            suite.name,
            arch.debian,
        )?;
        let found =
            subjects::fetch(&apt, suite.name, arch, &folder.join("files"), options.files, options.sample)?;
        println!("{} {}: {} files", suite.name, arch.debian, found.len());
        files.extend(found);
        archives.push(apt);
    }
    ensure!(!files.is_empty(), "there is no file to ask about");
    let ours = compare::ask(tool, options.descriptions.as_deref(), &options.suites, &files)?;
    let mut counts: BTreeMap<(&'static str, &'static str), Count> = BTreeMap::new();
    for (suite, apt) in options.suites.iter().zip(&archives) {
        let mut root = Root::make(apt, arch, &folder.join(suite.name), folder)?;
        root.complete(&files)?;
        let loader = Loader::new(arch, root.path(), folder);
        let mut theirs = ask_all(&loader, &files)?;
        // What the loader misses and the archive has all the same is installed, and the loader asked again.
        loop {
            let missed = theirs.iter().flatten().flat_map(|said| said.libraries.iter().cloned());
            let come = root.add(missed.collect())?;
            if come.is_empty() {
                break;
            }
            for (file, said) in files.iter().zip(&mut theirs) {
                if said.as_ref().is_some_and(|said| said.libraries.iter().any(|name| come.contains(name))) {
                    *said = Some(loader.ask(file)?);
                }
            }
        }
        println!("{} {}: a root of {} packages", suite.name, arch.debian, root.packages());
        for (file, said) in files.iter().zip(&theirs) {
            let line = ours.get(&(file.path.clone(), suite.platform.to_owned()));
            let count = counts.entry((file.suite, suite.name)).or_default();
            let outcome = compare::compare(line, said.as_ref());
            count.add(&outcome);
            if let Outcome::Disagree(reason) | Outcome::Undecided(reason) = &outcome {
                let kind = if matches!(outcome, Outcome::Undecided(_)) { "undecided" } else { "DISAGREE" };
                println!(
                    "{kind}: {} {} {} on {}: {reason}",
                    arch.debian,
                    file.suite,
                    file.name(),
                    suite.platform
                );
            }
        }
    }
    for ((from, on), count) in &counts {
        println!("{}: files of {from} on {on}: {count}", arch.debian);
    }
    Ok(counts)
}

/// What the loader says of each; nothing where it is not asked, because the file is static.
fn ask_all(loader: &Loader, files: &[Subject]) -> anyhow::Result<Vec<Option<Said>>> {
    let next = AtomicUsize::new(0);
    let said = Mutex::new(Vec::with_capacity(files.len()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = files.get(at) else { break };
                    let answer = if file.facts.is_static() { Ok(None) } else { loader.ask(file).map(Some) };
                    said.lock().expect("no worker panics").push((at, answer));
                }
            });
        }
    });
    let mut said = said.into_inner().expect("no worker panics");
    said.sort_by_key(|(at, _)| *at);
    said.into_iter().map(|(_, answer)| answer).collect()
}
