//! `cargo xtask platforms`: full descriptions, made from an archive's packages.
//!
//! The archive is the one that the machine's own apt uses, whatever its address; apt fetches and verifies. What was
//! learned of each package is kept in a folder outside the repository, so that a second run fetches nothing.

pub mod alternatives;
pub mod apt;
mod choose;
pub mod contents;
pub mod describe;
pub mod kept;
pub mod packages;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cargo_compat::platform::{self, Draft, What};

use self::describe::{Asked, Limits, Site};
use crate::Usage;

/// A suite that is described: the platform's name, the suite's, and Debian's names of the architectures.
struct Suite {
    platform: &'static str,
    suite: &'static str,
    architectures: &'static [&'static str],
    /// Packages of libraries that little depends on are looked into.
    deep: bool,
    /// Programs too, for what they ask for.
    programs: &'static [&'static str],
    /// Of programs those in C++ alone, but large ones too: for vtables and type information, which on x86-64 are copied
    /// by weak references and nowhere else.
    cxx: &'static [&'static str],
}

const SUITES: &[Suite] = &[
    Suite {
        platform: "debian-12",
        suite: "bookworm",
        architectures: &["amd64", "arm64", "s390x", "ppc64el"],
        deep: true,
        programs: &["amd64", "s390x", "ppc64el"],
        cxx: &["arm64"],
    },
    Suite {
        platform: "debian-13",
        suite: "trixie",
        architectures: &["amd64", "arm64", "s390x", "ppc64el"],
        deep: true,
        // On other architectures the names are those of the suite before.
        programs: &["amd64"],
        cxx: &[],
    },
    Suite {
        platform: "debian-11",
        suite: "bullseye",
        architectures: &["amd64"],
        deep: false,
        programs: &[],
        cxx: &[],
    },
    Suite {
        platform: "debian-testing",
        suite: "testing",
        architectures: &["amd64", "arm64", "s390x", "ppc64el"],
        deep: false,
        programs: &[],
        cxx: &[],
    },
];

/// The architecture whose programs are looked into: the names that they ask for are nearly the same on all.
const FIRST: &str = "amd64";

/// Where the descriptions go, in the repository.
const PACK: &str = "src/platform/data/debian.pack";

/// All symbols of a library are kept where so many packages depend on its package for each thousand of them. Of others
/// those that something in the archive asks for.
const WORTH: usize = 200;

/// A symbol that is not there is taken for one that is once in 2^13 times, if nothing in the archive asks for it there.
const SURETY: u8 = 13;

/// Packages of libraries with so many bytes are looked into, and those of programs.
const LIBRARIES: u64 = 12_000_000;
const PROGRAMS: u64 = 6_000_000;
/// On other architectures than the first: long doubles, and symbols that x86-64 copies, have other names there.
const SMALL_PROGRAMS: u64 = 500_000;
/// Packages of libraries on which so many depend are looked into whatever their size; and where a suite is not deep,
/// those on which so many do, and no others.
const MANY: usize = 20;
const SOME: usize = 15;

struct Options {
    /// Downloads, indices and what was learned of packages.
    cache: PathBuf,
    /// `debian-12/s390x`, or nothing: all.
    only: Vec<String>,
    output: PathBuf,
    worth: usize,
    surety: u8,
    limits: Limits,
    small_programs: u64,
    /// Packages are only read, for later.
    fetch: bool,
    /// Nothing is fetched: what was read before has to do.
    kept: bool,
    workers: usize,
    /// A folder that keeps what was made of packages, for trying other choices.
    drafts: Option<PathBuf>,
}

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let options = read(arguments)?;
    std::fs::create_dir_all(&options.cache)
        .with_context(|| format!("cannot create {}", options.cache.display()))?;
    let mut sites = Vec::new();
    let mut asked = Asked::default();
    // What programs ask for is looked into on the first architecture, and tells what matters on the others.
    for is_first in [true, false] {
        let before = sites.len();
        for suite in SUITES {
            for arch in suite.architectures.iter().filter(|arch| (**arch == FIRST) == is_first) {
                let name = format!("{}/{arch}", suite.platform);
                if !options.only.is_empty() && !options.only.contains(&name) {
                    continue;
                }
                let programs = if is_first { options.limits.programs } else { options.small_programs };
                let limits = Limits {
                    libraries: if suite.deep { options.limits.libraries } else { 0 },
                    dependents: if suite.deep { MANY } else { options.limits.dependents },
                    programs: if suite.programs.contains(arch) { programs } else { 0 },
                    cxx: if suite.cxx.contains(arch) { options.limits.cxx } else { 0 },
                    deep: suite.deep,
                };
                let mut site = Site::open(&options.cache, suite.suite, arch, limits, &asked)
                    .with_context(|| format!("cannot open {name}"))?;
                if options.kept {
                    site.forget_what_is_not_kept();
                } else {
                    site.fetch(options.workers).with_context(|| format!("cannot fetch {name}"))?;
                }
                sites.push((suite.platform, site));
            }
        }
        for (_, site) in sites[before..].iter().filter(|(_, site)| is_first || site.is_deep()) {
            site.ask(&mut asked)?;
        }
    }
    ensure!(!sites.is_empty(), "nothing to describe");
    if options.fetch {
        return Ok(());
    }
    for (_, site) in &mut sites {
        site.complete(&asked);
        if options.kept {
            site.forget_what_is_not_kept();
        } else {
            site.fetch(options.workers)?;
        }
    }
    println!("{} symbols and {} libraries are asked for", asked.symbols.len(), asked.libraries.len());
    let (mut drafts, open) = choose::drafts(&sites, &asked, options.drafts.as_deref())?;
    choose::shorten(&mut drafts, &sites, &asked, options.worth);
    for (draft, (name, _)) in drafts.iter().zip(&sites) {
        print_counts(name, draft);
    }
    let packed = platform::write(&drafts, options.surety, &open)?;
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
        surety: SURETY,
        limits: Limits {
            libraries: LIBRARIES,
            programs: PROGRAMS,
            cxx: PROGRAMS,
            dependents: SOME,
            deep: true,
        },
        small_programs: SMALL_PROGRAMS,
        fetch: false,
        kept: false,
        workers: 2,
        drafts: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| Usage(format!("`{argument}` takes a value")));
        match argument.as_str() {
            "--cache" => options.cache = Path::new(value()?).to_path_buf(),
            "--output" => options.output = Path::new(value()?).to_path_buf(),
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--worth" => options.worth = value()?.parse()?,
            "--dependents" => options.limits.dependents = value()?.parse()?,
            "--fetch" => options.fetch = true,
            "--drafts" => options.drafts = Some(Path::new(value()?).to_path_buf()),
            "--kept" => options.kept = true,
            "--libraries" => options.limits.libraries = value()?.parse()?,
            "--small-programs" => options.small_programs = value()?.parse()?,
            "--programs" => options.limits.programs = value()?.parse()?,
            "--cxx-programs" => options.limits.cxx = value()?.parse()?,
            "--workers" => options.workers = value()?.parse()?,
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
