//! The cargo project: where it is, what cargo builds of it.

mod build;
mod layout;
mod link_args;
mod linker;
mod links;
mod locate;
mod outputs;
mod relink;
mod settings;
mod sysroot;
#[cfg(target_os = "linux")]
mod test;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::artifact::Role;
use crate::judge::Input;
use crate::lints::{Reading, Stale, UndefsOption};
use crate::policy::Name;
use crate::report::Failure;

pub use self::build::build;
pub use self::layout::{expected, missing};
#[cfg(target_os = "linux")]
pub use self::linker::debian_package;
pub use self::linker::{cross_compiler, is_foreign};
pub use self::links::Links;
pub use self::locate::{Manifest, locate, policy_below, work_tree};
pub use self::outputs::{Outputs, Script, metadata, std_rlibs};
pub use self::relink::relink;
pub use self::settings::config_names_targets;
pub use self::sysroot::{libraries, of_rustc as libraries_of_rustc};
#[cfg(target_os = "linux")]
pub use self::test::{Ready, Tested, test};

/// What the user asks of cargo, in cargo's own terms.
#[derive(Debug, Clone, Default)]
pub struct CargoOptions {
    pub packages: Vec<String>,
    pub workspace: bool,
    pub exclude: Vec<String>,
    pub lib: bool,
    pub bins: bool,
    pub bin: Vec<String>,
    pub examples: bool,
    pub example: Vec<String>,
    pub tests: bool,
    pub test: Vec<String>,
    pub benches: bool,
    pub bench: Vec<String>,
    pub all_targets: bool,
    pub features: Vec<String>,
    pub all_features: bool,
    pub no_default_features: bool,
    pub profile: Option<String>,
    pub targets: Vec<String>,
    pub target_dir: Option<PathBuf>,
    pub manifest_path: Option<PathBuf>,
    pub jobs: Option<String>,
    pub locked: bool,
    pub offline: bool,
    pub frozen: bool,
    pub config: Vec<String>,
    pub unstable: Vec<String>,
    pub color: Option<String>,
    pub quiet: bool,
    pub verbose: u8,
    /// What follows `--`.
    pub rest: Vec<OsString>,
    /// Another command in the place of `cargo build`.
    pub build_with: Option<String>,
}

impl CargoOptions {
    /// Whether only part of the project was asked for.
    pub fn selects(&self) -> bool {
        !self.packages.is_empty() || !self.exclude.is_empty() || self.selects_targets()
    }

    pub fn selects_targets(&self) -> bool {
        self.lib
            || self.bins
            || self.examples
            || self.tests
            || self.benches
            || self.all_targets
            || [&self.bin, &self.example, &self.test, &self.bench].iter().any(|names| !names.is_empty())
    }

    pub fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or("dev")
    }

    /// The arguments of `cargo build`.
    pub fn build_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        let mut push = |arg: &str| args.push(arg.into());
        for (name, values) in [
            ("--package", &self.packages),
            ("--exclude", &self.exclude),
            ("--bin", &self.bin),
            ("--example", &self.example),
            ("--test", &self.test),
            ("--bench", &self.bench),
            ("--features", &self.features),
            ("--target", &self.targets),
            ("--config", &self.config),
            ("-Z", &self.unstable),
        ] {
            for value in values {
                push(name);
                push(value);
            }
        }
        for (name, set) in [
            ("--workspace", self.workspace),
            ("--lib", self.lib),
            ("--bins", self.bins),
            ("--examples", self.examples),
            ("--tests", self.tests),
            ("--benches", self.benches),
            ("--all-targets", self.all_targets),
            ("--all-features", self.all_features),
            ("--no-default-features", self.no_default_features),
            ("--locked", self.locked),
            ("--offline", self.offline),
            ("--frozen", self.frozen),
            ("--quiet", self.quiet),
        ] {
            if set {
                push(name);
            }
        }
        for (name, value) in [("--profile", &self.profile), ("--jobs", &self.jobs), ("--color", &self.color)]
        {
            if let Some(value) = value {
                push(name);
                push(value);
            }
        }
        // One `-v` is ours; the second is cargo's first.
        for _ in 1..self.verbose {
            push("-v");
        }
        for (name, value) in [("--target-dir", &self.target_dir), ("--manifest-path", &self.manifest_path)] {
            if let Some(value) = value {
                args.push(name.into());
                args.push(value.into());
            }
        }
        args.extend(self.rest.iter().cloned());
        args
    }
}

/// Flags that are `cargo build`'s and ours: behind `--` we would not know what
/// they settle.
const KNOWN_HERE: &[&str] = &[
    "--target",
    "--target-dir",
    "--release",
    "--profile",
    "--package",
    "--workspace",
    "--all",
    "--exclude",
    "--lib",
    "--bins",
    "--bin",
    "--examples",
    "--example",
    "--tests",
    "--test",
    "--benches",
    "--bench",
    "--all-targets",
    "--features",
    "--all-features",
    "--no-default-features",
    "--manifest-path",
    "--config",
    "--message-format",
];
const KNOWN_SHORT: &[&str] = &["-p", "-r", "-F"];

/// What is wrong with the command line, beyond what its parser knows.
pub fn usage_error(options: &CargoOptions) -> Option<Failure> {
    for word in options.rest.iter().filter_map(|word| word.to_str()) {
        let flag = word.split('=').next().unwrap_or(word);
        let short = KNOWN_SHORT.iter().find(|short| !word.starts_with("--") && word.starts_with(**short));
        if let Some(flag) = KNOWN_HERE.iter().find(|known| **known == flag).or(short) {
            let failure = Failure::new(format!("`{flag}` must stand before `--`"))
                .note("it settles what is judged, so it must not go to cargo alone");
            return Some(match *flag {
                "--message-format" => {
                    failure.note("cargo's own message format is what the artifacts are read from")
                }
                _ => failure,
            });
        }
    }
    if let Some(command) = &options.build_with {
        match shell_words::split(command) {
            Ok(words) if words.is_empty() => return Some(Failure::new("`--build-with` names no command")),
            Ok(_) => {}
            Err(error) => {
                return Some(
                    Failure::new(format!("`--build-with {command}` is no command")).note(error.to_string()),
                );
            }
        }
    }
    None
}

/// The cargo to call: cargo sets `CARGO` for its subcommands.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").filter(|cargo| !cargo.is_empty()).unwrap_or_else(|| "cargo".into())
}

/// Something that cargo built, or is expected to have built.
#[derive(Debug, Clone)]
pub struct CargoArtifact {
    pub package: String,
    /// cargo's package id.
    pub package_id: String,
    pub target: String,
    pub role: Role,
    pub path: PathBuf,
    pub triple: Option<String>,
    pub stale: Option<Stale>,
    pub compiler_flags: Vec<String>,
    /// What lets its linker leave references undefined.
    pub undefs: Vec<UndefsOption>,
}

impl CargoArtifact {
    /// The names that a policy may use. Where two of a run are alike, the
    /// package goes before.
    pub fn name(&self, alike: bool) -> Name {
        let file = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut name = Name::of_target(&self.package, &self.target, &file);
        if alike {
            name.shown = format!("{}:{}", self.package, self.target);
        }
        name
    }

    pub fn into_input(self, alike: bool, reading: Reading, triples: Vec<String>) -> Input {
        Input {
            name: self.name(alike),
            reading,
            role: Some(self.role),
            from_cargo: true,
            triples,
            stale: self.stale,
            compiler_flags: self.compiler_flags,
            undefs: self.undefs,
            path: self.path,
            verdict: None,
            object: std::sync::OnceLock::new(),
            platforms: Vec::new(),
        }
    }
}

/// A triple as cargo names its folder: a target's JSON file goes by its stem,
/// and `cargo zigbuild` takes a glibc version behind the triple.
pub fn folder_of(target: &str) -> String {
    if let Some(stem) = target.strip_suffix(".json") {
        return stem.rsplit(['/', '\\']).next().unwrap_or(stem).to_owned();
    }
    match target.split_once('.') {
        Some((triple, version)) if version.starts_with(|first: char| first.is_ascii_digit()) => {
            triple.to_owned()
        }
        _ => target.to_owned(),
    }
}
