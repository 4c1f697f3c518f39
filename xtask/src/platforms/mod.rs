//! `cargo xtask platforms`: full descriptions, made from an archive's packages.
//!
//! The archive is the one that the machine's own apt uses, whatever its address; apt fetches and verifies. What was
//! learned of each package is kept in a folder outside the repository, so that a second run fetches nothing.

pub mod alternatives;
pub mod apt;
pub mod contents;
pub mod describe;
pub mod packages;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cargo_compat::platform::{self, Draft, What};

use crate::Usage;

/// A suite that is described: the platform's name, the suite's, and Debian's names of the architectures.
struct Suite {
    platform: &'static str,
    suite: &'static str,
    architectures: &'static [&'static str],
}

const SUITES: &[Suite] = &[
    Suite {
        platform: "debian-12",
        suite: "bookworm",
        architectures: &["amd64", "arm64", "s390x", "ppc64el"],
    },
    Suite { platform: "debian-13", suite: "trixie", architectures: &["amd64", "arm64", "s390x", "ppc64el"] },
    Suite { platform: "debian-11", suite: "bullseye", architectures: &["amd64"] },
    Suite {
        platform: "debian-testing",
        suite: "testing",
        architectures: &["amd64", "arm64", "s390x", "ppc64el"],
    },
];

/// Where the descriptions go, in the repository.
const PACK: &str = "src/platform/data/debian.pack";

/// A package's symbols are kept where so many other packages depend on it for each thousand of them.
const WORTH: usize = 6;

/// So many packages must depend on a package for it to be looked into; a plain install's are in any case.
const READ: usize = 20;

/// A symbol that is not there is taken for one that is once in 2^22 times.
const SURETY: u8 = 22;

struct Options {
    /// Downloads, indices and what was learned of packages.
    cache: PathBuf,
    /// `debian-12/s390x`, or nothing: all.
    only: Vec<String>,
    output: PathBuf,
    worth: usize,
    /// Packages with so many dependents are looked into.
    read: usize,
    surety: u8,
}

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let options = read(arguments)?;
    std::fs::create_dir_all(&options.cache)
        .with_context(|| format!("cannot create {}", options.cache.display()))?;
    let mut drafts = Vec::new();
    for suite in SUITES {
        for arch in suite.architectures {
            let name = format!("{}/{arch}", suite.platform);
            if options.only.is_empty() || options.only.contains(&name) {
                let draft = describe::draft(
                    &options.cache,
                    suite.platform,
                    suite.suite,
                    arch,
                    options.worth,
                    options.read,
                )
                .with_context(|| format!("cannot describe {name}"))?;
                print_counts(&name, &draft);
                drafts.push(draft);
            }
        }
    }
    ensure!(!drafts.is_empty(), "nothing to describe");
    let packed = platform::write(&drafts, options.surety)?;
    println!("{:?}", packed.sizes);
    println!("{}: {} bytes", options.output.display(), packed.bytes.len());
    let beside = options.output.with_extension("new");
    std::fs::write(&beside, &packed.bytes)
        .and_then(|()| std::fs::rename(&beside, &options.output))
        .with_context(|| format!("cannot write {}", options.output.display()))
}

fn read(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options {
        cache: std::env::temp_dir().join("cargo-compat-platforms"),
        only: Vec::new(),
        output: crate::root().join(PACK),
        worth: WORTH,
        read: READ,
        surety: SURETY,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| Usage(format!("`{argument}` takes a value")));
        match argument.as_str() {
            "--cache" => options.cache = Path::new(value()?).to_path_buf(),
            "--output" => options.output = Path::new(value()?).to_path_buf(),
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--worth" => options.worth = value()?.parse()?,
            "--read" => options.read = value()?.parse()?,
            "--surety" => options.surety = value()?.parse()?,
            other => return Err(Usage(format!("`platforms` does not take `{other}`")).into()),
        }
    }
    Ok(options)
}

fn print_counts(name: &str, draft: &Draft) {
    let libraries = || {
        draft.entries.iter().filter_map(|entry| match &entry.what {
            What::Library(facts) => Some(facts),
            _ => None,
        })
    };
    let known = || libraries().filter_map(|facts| facts.symbols.as_ref());
    println!(
        "{name}: {} paths and {} others; {} libraries read, {} with {} symbols; {} open references; {} packages",
        draft.entries.len(),
        draft.others.len(),
        libraries().count(),
        known().count(),
        known().map(Vec::len).sum::<usize>(),
        libraries().map(|facts| facts.unresolved.len()).sum::<usize>(),
        draft.packages.len(),
    );
}
