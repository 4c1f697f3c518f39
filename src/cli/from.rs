//! Where artifacts come from: cargo's own flags, and ours.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::Common;
use crate::commands::gather::Request;
use crate::workspace::CargoOptions;

const BUILD: &str = "Build options";
const SELECT: &str = "Target selection";

/// Where artifacts come from: cargo's own flags, and ours.
#[derive(Debug, Args)]
pub struct FromArgs {
    /// Take these files, or every artifact in these folders, without cargo; `-` reads a list from standard input
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = [
        "no_build", "build_with", "package", "workspace", "all", "exclude", "lib", "bins", "bin", "examples", "example",
        "tests", "test", "benches", "bench", "all_targets", "features", "all_features", "no_default_features",
        "release", "profile", "manifest_path", "target_dir", "jobs", "locked", "offline", "frozen", "config",
        "unstable", "rest",
    ])]
    artifact: Vec<PathBuf>,
    /// Look for libraries in this folder, which holds the system that the artifacts run on [default: the libraries at hand for the target]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Take what was built before; a file older than its sources is an error
    #[arg(long, conflicts_with_all = ["build_with", "rest"])]
    no_build: bool,
    /// A library that a later link of archives and objects brings: a name, a path, or a folder to look in (repeatable)
    #[arg(long, value_name = "LIB")]
    link_lib: Vec<String>,
    /// Build by this command, which must take cargo's flags: "cargo zigbuild"
    #[arg(long, value_name = "COMMAND")]
    build_with: Option<String>,
    #[command(flatten)]
    cargo: CargoArgs,
    /// Passed on to `cargo build`
    #[arg(last = true, value_name = "CARGO ARGS", help_heading = BUILD)]
    rest: Vec<OsString>,
}

/// Cargo's own flags.
#[derive(Debug, Args)]
pub struct CargoArgs {
    /// Judge for this target triple (repeatable)
    #[arg(long, value_name = "TRIPLE", help_heading = BUILD)]
    target: Vec<String>,
    /// Build artifacts in release mode, with optimizations
    #[arg(short, long, help_heading = BUILD, conflicts_with = "profile")]
    release: bool,
    /// Build artifacts with the specified profile
    #[arg(long, value_name = "PROFILE-NAME", help_heading = BUILD)]
    profile: Option<String>,
    #[command(flatten, next_help_heading = "Package selection")]
    workspace: clap_cargo::Workspace,
    #[command(flatten, next_help_heading = "Feature selection")]
    features: clap_cargo::Features,
    /// Path to Cargo.toml
    #[arg(long, value_name = "PATH", help_heading = "Manifest options")]
    manifest_path: Option<PathBuf>,
    /// Build only this package's library
    #[arg(long, help_heading = SELECT)]
    lib: bool,
    /// Build all binaries
    #[arg(long, help_heading = SELECT)]
    bins: bool,
    /// Build only the specified binary
    #[arg(long, value_name = "NAME", help_heading = SELECT)]
    bin: Vec<String>,
    /// Build all examples
    #[arg(long, help_heading = SELECT)]
    examples: bool,
    /// Build only the specified example
    #[arg(long, value_name = "NAME", help_heading = SELECT)]
    example: Vec<String>,
    /// Build all targets that have `test = true` set
    #[arg(long, help_heading = SELECT)]
    tests: bool,
    /// Build only the specified test target
    #[arg(long, value_name = "NAME", help_heading = SELECT)]
    test: Vec<String>,
    /// Build all targets that have `bench = true` set
    #[arg(long, help_heading = SELECT)]
    benches: bool,
    /// Build only the specified bench target
    #[arg(long, value_name = "NAME", help_heading = SELECT)]
    bench: Vec<String>,
    /// Build all targets
    #[arg(long, help_heading = SELECT)]
    all_targets: bool,
    /// Directory for all generated artifacts
    #[arg(long, value_name = "DIRECTORY", help_heading = BUILD)]
    target_dir: Option<PathBuf>,
    /// Number of parallel jobs
    #[arg(short, long, value_name = "N", help_heading = BUILD)]
    jobs: Option<String>,
    /// Assert that `Cargo.lock` will remain unchanged
    #[arg(long, help_heading = BUILD)]
    locked: bool,
    /// Run without accessing the network
    #[arg(long, help_heading = BUILD)]
    offline: bool,
    /// Equivalent to specifying both --locked and --offline
    #[arg(long, help_heading = BUILD)]
    frozen: bool,
    /// Override a configuration value of cargo
    #[arg(long, value_name = "KEY=VALUE|PATH", help_heading = BUILD)]
    config: Vec<String>,
    /// Unstable (nightly-only) flags to cargo
    #[arg(short = 'Z', value_name = "FLAG", help_heading = BUILD)]
    unstable: Vec<String>,
}

impl FromArgs {
    pub fn into_request(self, common: &Common) -> Request {
        let mut cargo = self.cargo.into_options(common);
        cargo.rest = self.rest;
        cargo.build_with = self.build_with;
        Request {
            cargo,
            artifacts: self.artifact,
            no_build: self.no_build,
            root: self.root,
            link_libs: self.link_lib,
        }
    }
}

impl CargoArgs {
    pub fn into_options(self, common: &Common) -> CargoOptions {
        CargoOptions {
            packages: self.workspace.package,
            workspace: self.workspace.workspace || self.workspace.all,
            exclude: self.workspace.exclude,
            lib: self.lib,
            bins: self.bins,
            bin: self.bin,
            examples: self.examples,
            example: self.example,
            tests: self.tests,
            test: self.test,
            benches: self.benches,
            bench: self.bench,
            all_targets: self.all_targets,
            features: self.features.features,
            all_features: self.features.all_features,
            no_default_features: self.features.no_default_features,
            profile: self.profile.or_else(|| self.release.then(|| "release".to_owned())),
            targets: self.target,
            target_dir: self.target_dir,
            manifest_path: self.manifest_path,
            jobs: self.jobs,
            locked: self.locked,
            offline: self.offline,
            frozen: self.frozen,
            config: self.config,
            unstable: self.unstable,
            color: common.color.map(|color| color.name().to_owned()),
            quiet: common.quiet,
            verbose: common.verbose,
            ..CargoOptions::default()
        }
    }
}
