//! What to do, by cause: each advice names a crate, a feature, a flag or a
//! command, and holds for the case at hand.

use std::collections::BTreeSet;

use serde::Serialize;

use super::least::{label, version};
use super::packages::Packages;
use super::system::Releases;
use crate::artifact::{Artifact, Release};
use crate::finding::cause::{Answer, Cause, Origin, What};
use crate::text::{escape, some_of};

/// Features by which `-sys` crates build their library themselves.
const VENDORED: &[&str] = &["vendored", "bundled", "static", "vendor", "build-libz", "static-link"];
/// Functions that an older glibc has by another name, which its headers or its
/// `libc_nonshared.a` give (glibc NEWS, 2.28 and 2.33). On POWER it is the
/// linker: where the loader has `__tls_get_addr_opt` (2.22), it takes that
/// (binutils, `ld --tls-get-addr-optimize`).
const ONCE_OTHERWISE: &[&str] = &[
    "__tls_get_addr_opt",
    "fcntl64",
    "fstat",
    "fstat64",
    "fstatat",
    "fstatat64",
    "lstat",
    "lstat64",
    "mknod",
    "mknodat",
    "stat",
    "stat64",
];
/// Names shown.
const SHOWN: usize = 6;

/// What to do about some of the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Advice {
    /// What it is about: symbols, versions, libraries.
    pub about: Vec<String>,
    /// The first line says it; what can be pasted stands on lines of its own.
    pub text: String,
}

/// What is known of the case.
#[derive(Debug)]
pub struct Case<'a> {
    pub facts: &'a Artifact,
    pub triple: Option<&'a str>,
    pub from_cargo: bool,
    /// What the newest version should be, where somebody said so.
    pub limit: Option<&'a Release>,
    pub packages: Option<&'a Packages>,
    /// The package of the file, by cargo's id.
    pub package: Option<&'a str>,
    /// What the glibc on this machine has since when.
    pub releases: &'a Releases,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    OlderGlibc,
    OlderHeaders,
    NoPackedRelocations,
    /// A function that no older glibc has, needed by these.
    Newer(Vec<String>, Vec<String>),
    OlderLibstdcxx,
    Library(String, Vec<String>),
    /// A library and who uses it.
    OlderLibrary(String, Vec<String>),
    Nothing,
}

pub fn advice(case: &Case<'_>, answers: &[Answer]) -> Vec<Advice> {
    let mut found: Vec<(Remedy, Vec<String>)> = Vec::new();
    for answer in answers {
        let about = match &answer.what {
            What::Symbol { name, .. } | What::Library { name } => name.clone(),
            What::Version { version, .. } => version.clone(),
        };
        let remedy = remedy(case, answer);
        match found.iter_mut().find(|(known, _)| *known == remedy) {
            Some((_, names)) => names.push(about),
            None => found.push((remedy, vec![about])),
        }
    }
    found.sort_by_key(|(remedy, _)| matches!(remedy, Remedy::OlderGlibc));
    let advice = found.into_iter().filter_map(|(remedy, about)| {
        let text = words(case, answers, &remedy, &about)?;
        Some(Advice { about, text })
    });
    advice.collect()
}

fn remedy(case: &Case<'_>, answer: &Answer) -> Remedy {
    let causes = &answer.causes;
    let (name, weak) = match &answer.what {
        What::Library { name } => return library(case, name, causes),
        What::Version { version, .. } if version == "GLIBC_ABI_DT_RELR" => {
            return Remedy::NoPackedRelocations;
        }
        What::Version { .. } => ("", false),
        What::Symbol { name, weak, .. } => (name.as_str(), *weak),
    };
    let Some(version) = version(&answer.what) else { return Remedy::Nothing };
    match version.namespace.as_str() {
        "GLIBC" => {}
        "GLIBCXX" | "CXXABI" => return Remedy::OlderLibstdcxx,
        "GCC" => return Remedy::Nothing,
        _ => {
            let file = match &answer.what {
                What::Symbol { file: Some(file), .. } | What::Version { file, .. } => file,
                _ => return Remedy::Nothing,
            };
            return Remedy::OlderLibrary(file.clone(), labels(causes));
        }
    }
    if version.tag.release().is_some_and(|release| *release <= oldest(case)) {
        return Remedy::Nothing;
    }
    if name.starts_with("__isoc23_") {
        return Remedy::OlderHeaders;
    }
    let by_linking = weak
        || causes.iter().all(|cause| cause.origin != Origin::Package && cause.origin != Origin::Unknown)
        || ONCE_OTHERWISE.contains(&name)
        || has_older(case, name, version.tag.release());
    if by_linking {
        return Remedy::OlderGlibc;
    }
    let packages: BTreeSet<String> =
        causes.iter().filter(|cause| cause.origin == Origin::Package).map(label).collect();
    let is_own = |label: &&String| {
        let id = case.packages.and_then(|packages| packages.by_label(label));
        id.and_then(|id| case.packages?.get(id)).is_some_and(|package| package.is_own)
    };
    let own: Vec<String> = packages.iter().filter(is_own).cloned().collect();
    Remedy::Newer(packages.into_iter().collect(), own)
}

/// Whether glibc has an older version of the symbol, which an older one to
/// link against would give.
fn has_older(case: &Case<'_>, symbol: &str, needed: Option<&Release>) -> bool {
    let first = case.releases.first(symbol);
    first.zip(case.limit.or(needed)).is_some_and(|(first, limit)| match case.limit {
        Some(_) => first <= limit,
        None => first < limit,
    })
}

fn library(case: &Case<'_>, name: &str, causes: &[Cause]) -> Remedy {
    if case.facts.is_own_loader(name) {
        return Remedy::Nothing;
    }
    let mut of_packages: Vec<&Cause> = causes.iter().filter(|cause| cause.package.is_some()).collect();
    // Who uses it has no say in how it is linked, where a build script has.
    if of_packages.iter().any(|cause| cause.is_by_script()) {
        of_packages.retain(|cause| cause.is_by_script());
    }
    let crates: BTreeSet<String> = of_packages.into_iter().map(label).collect();
    Remedy::Library(name.to_owned(), crates.into_iter().collect())
}

fn words(case: &Case<'_>, answers: &[Answer], remedy: &Remedy, about: &[String]) -> Option<String> {
    let shown: Vec<String> = about.iter().map(|name| escape(name)).collect();
    let shown = some_of(&shown, SHOWN);
    Some(match remedy {
        Remedy::Nothing => return None,
        Remedy::OlderGlibc => older_glibc(case, answers, &shown),
        Remedy::OlderHeaders => format!(
            "{shown}: C code was built with the headers of a newer glibc; build it on an older system, or as C17:\n\
             CFLAGS=-std=gnu17"
        ),
        Remedy::NoPackedRelocations => {
            format!("{shown}: {}", linker_option(case, "-Wl,-z,nopack-relative-relocs"))
        }
        Remedy::Newer(crates, own) => newer(case, &shown, about, crates, own),
        Remedy::OlderLibstdcxx => format!(
            "{shown}: the C++ code takes what the compiler's libstdc++ has; build on a system with an older one"
        ),
        Remedy::OlderLibrary(file, crates) => older_library(case, &shown, &escape(file), crates),
        Remedy::Library(name, crates) => statically(case, &escape(name), crates),
    })
}

/// The oldest glibc that Rust's std and zig know (rustc, "Platform Support"),
/// or that there is for the architecture.
fn oldest(case: &Case<'_>) -> Release {
    let known = Release::parse("2.17").expect("a release");
    case.facts.arch.glibc_base().into_iter().fold(known, Release::max)
}

/// The newest glibc without what was asked after, where nobody named one.
fn before(case: &Case<'_>, answers: &[Answer]) -> Option<Release> {
    let versions = answers.iter().filter_map(|answer| version(&answer.what));
    let versions = versions.filter(|version| version.namespace == "GLIBC");
    let least = oldest(case);
    let newer = versions.filter_map(|version| version.tag.release().cloned()).filter(|one| *one > least);
    let minor: u32 = newer.min()?.to_string().split('.').nth(1)?.parse().ok()?;
    Release::parse(&format!("2.{}", minor.saturating_sub(1))).map(|before| before.max(least))
}

fn older_glibc(case: &Case<'_>, answers: &[Answer], shown: &str) -> String {
    let target = case.limit.cloned().map(|limit| limit.max(oldest(case))).or_else(|| before(case, answers));
    let target = target.map_or_else(|| "2.17".to_owned(), |release| release.to_string());
    let mut text = format!(
        "{shown}: no code must change; link against glibc {target} or an older one, on an older system"
    );
    let Some(triple) = case.triple.filter(|_| case.from_cargo) else { return text };
    text += " or by zig as below";
    if case.facts.interpreter.is_some() {
        let musl = triple.replace("-gnu", "-musl");
        // rustup has no std for s390x on musl.
        text += &match musl != triple && !triple.starts_with("s390x") {
            true => format!("; or statically, by `-C target-feature=+crt-static` or for {musl}"),
            false => "; or statically, by `-C target-feature=+crt-static`".to_owned(),
        };
    }
    format!("{text}:\ncargo zigbuild --target {triple}.{target}")
}

fn linker_option(case: &Case<'_>, option: &str) -> String {
    match case.triple.filter(|_| case.from_cargo) {
        Some(triple) => format!(
            "the linker packed the relative relocations; without, in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"link-arg={option}\"]"
        ),
        None => format!("the linker packed the relative relocations; without:\n{option}"),
    }
}

fn newer(case: &Case<'_>, shown: &str, about: &[String], crates: &[String], own: &[String]) -> String {
    let since: BTreeSet<&Release> = about.iter().filter_map(|name| case.releases.first(name)).collect();
    let since = match since.iter().next_back() {
        Some(release) => format!("no glibc before {release} has it"),
        None => "no older glibc has it".to_owned(),
    };
    if crates.is_empty() {
        return format!("{shown}: {since}, so the code that calls it must do without");
    }
    let names: Vec<String> = crates.iter().map(|name| format!("`{}`", escape(name))).collect();
    let names = some_of(&names, SHOWN);
    if crates.iter().all(|name| own.contains(name)) {
        return format!("{shown}: {since}, so {names} must do without, or look it up at run time by `dlsym`");
    }
    // Without cargo nobody knows which of the crates are the user's own.
    if case.packages.is_none() {
        return format!(
            "{shown}: {since}, so {names} must do without, or be another version or have other features"
        );
    }
    let first = crates.iter().find(|name| !own.contains(name)).map_or("", String::as_str);
    let spec = first.replacen(' ', "@", 1);
    format!(
        "{shown}: {since}, so another version or other features of {names} are needed; who asks for which features:\n\
         cargo tree --edges features --invert {}",
        shell_words::quote(&spec)
    )
}

fn older_library(case: &Case<'_>, shown: &str, file: &str, crates: &[String]) -> String {
    let link = format!("{shown}: link against an older {file}");
    match crates.iter().find_map(|label| vendored(case.packages?, case.package, label)) {
        Some((package, feature, command)) => {
            format!(
                "{link}, if there is one; the feature `{feature}` of `{package}` links it statically:\n{command}"
            )
        }
        None => format!("{link}, or have it built and linked statically"),
    }
}

/// The packages among the causes, each once.
fn labels(causes: &[Cause]) -> Vec<String> {
    let of_packages = causes.iter().filter(|cause| cause.package.is_some());
    let labels: BTreeSet<String> = of_packages.map(label).collect();
    labels.into_iter().collect()
}

fn statically(case: &Case<'_>, name: &str, crates: &[String]) -> String {
    let stem = name.strip_prefix("lib").unwrap_or(name).split(".so").next().unwrap_or(name);
    if matches!(stem, "c" | "m" | "pthread" | "dl" | "rt" | "util" | "gcc_s") {
        let is_musl = case.facts.libc == crate::artifact::Libc::Musl;
        let what = match stem {
            "gcc_s" => "std unwinds by it",
            _ => "it is the C library's own",
        };
        return match case.triple.filter(|_| case.from_cargo && !is_musl) {
            Some(triple) => format!(
                "{name}: {what}; an executable without it, in .cargo/config.toml:\n[target.{triple}]\nrustflags = [\"-C\", \"target-feature=+crt-static\"]"
            ),
            None => format!("{name}: {what}; only a static executable does without"),
        };
    }
    for cause in crates {
        if let Some(found) = case.packages.and_then(|packages| vendored(packages, case.package, cause)) {
            let (package, feature, command) = found;
            return format!("{name}: the feature `{feature}` of `{package}` links it statically:\n{command}");
        }
    }
    match crates.first() {
        Some(first) => format!(
            "{name}: `{}` has no feature that is known to link it statically; its build script may take a variable: see its documentation",
            escape(first)
        ),
        None => format!(
            "{name}: link it statically (`#[link(kind = \"static\")]`), or ship it beside the program"
        ),
    }
}

/// The package and the feature that builds its library, as near to the user as
/// it can be asked for, and the command that does.
fn vendored(packages: &Packages, user: Option<&str>, label: &str) -> Option<(String, String, String)> {
    let id = packages.by_label(label)?;
    let from = packages.nearest_own(id)?;
    let path = packages.path(from, id)?;
    let (found, feature) = packages.feature_along(&path, VENDORED)?;
    let package = packages.get(&found)?;
    let name = &package.name;
    let command = match package.is_own {
        // Features of a package can be named where that is built too.
        true => {
            let user = user.filter(|user| *user != found).and_then(|user| packages.get(user));
            let user = user.map_or_else(String::new, |user| format!("--package {} ", user.name.name));
            format!("cargo build {user}--package {0} --features {0}/{feature}", name.name)
        }
        // One more dependency on the same package turns it on for all.
        false => format!(
            "cargo add --package {} {}@{} --features {feature}",
            packages.get(from)?.name.name,
            name.name,
            name.version
        ),
    };
    Some((name.name.clone(), feature, command))
}
