//! The arguments of `test`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::from::CargoArgs;
use super::{Common, FailOn, Format, report_file};
use crate::commands::test;
use crate::emulate::Way;

const EMULATION: &str = "Emulation options";

#[derive(Debug, Args)]
pub struct TestArgs {
    /// The policy [default: compat.toml beside the workspace's Cargo.toml; with --artifact, in this folder or the nearest above]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
    /// Write a report to a file, too (repeatable): json, sarif, github, markdown, html, human or short
    #[arg(long, value_name = "FMT=FILE", value_parser = report_file)]
    report: Vec<(Format, PathBuf)>,
    /// From which level on a finding breaks the policy
    #[arg(long, value_name = "LEVEL", default_value = "deny")]
    fail_on: FailOn,
    /// Start these programs, without cargo
    #[arg(long, value_name = "PATH", conflicts_with_all = [
        "package", "workspace", "all", "exclude", "lib", "bins", "bin", "examples", "example",
        "tests", "test", "benches", "bench", "all_targets", "features", "all_features", "no_default_features",
        "release", "profile", "manifest_path", "target_dir", "jobs", "locked", "offline", "frozen", "config", "unstable",
    ])]
    artifact: Vec<PathBuf>,
    /// The root to run in: `empty`, `sysroot`, a folder, or a platform with a root made [default: the policy's, else `sysroot`]
    #[arg(long, value_name = "ROOT", help_heading = EMULATION)]
    root: Option<String>,
    /// The CPU to emulate, as the policy's `cpu` [default: the policy's]
    #[arg(long, value_name = "CPU", help_heading = EMULATION)]
    cpu: Option<String>,
    /// End a program after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = clap::value_parser!(u64).range(1..), help_heading = EMULATION)]
    time_limit: u64,
    /// `qemu`: ours, although cargo's configuration has a runner for the target
    #[arg(long, value_name = "RUNNER", help_heading = EMULATION)]
    runner: Option<Runner>,
    /// How to keep a program to the root [default: the first that can be done]
    #[arg(long, value_name = "WAY", help_heading = EMULATION)]
    isolation: Option<Isolation>,
    #[command(flatten)]
    cargo: CargoArgs,
    /// Passed on to the tests, or with `--bin` and `--artifact` to the program
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Runner {
    Qemu,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Isolation {
    /// User, mount and process namespaces
    Namespaces,
    /// The same, made by `sudo -n`
    Sudo,
    /// Mount and process namespaces, as root
    Root,
    /// `qemu -L`: the machine's files stay visible, and cannot be written to
    Prefix,
}

impl TestArgs {
    pub fn into_options(self, common: &Common) -> test::Options {
        let mut cargo = self.cargo.into_options(common);
        // With `test`, this flag starts the program itself.
        let programs = std::mem::take(&mut cargo.bin);
        test::Options {
            cargo,
            programs,
            artifacts: self.artifact,
            args: self.rest,
            policy: self.policy,
            format: self.message_format.into(),
            reports: self.report.into_iter().map(|(format, path)| (format.into(), path)).collect(),
            fail_on: self.fail_on.into(),
            root: self.root,
            cpu: self.cpu,
            seconds: self.time_limit,
            own_runner: self.runner.is_some(),
            way: self.isolation.map(|way| match way {
                Isolation::Namespaces => Way::Namespaces,
                Isolation::Sudo => Way::Sudo,
                Isolation::Root => Way::Root,
                Isolation::Prefix => Way::Prefix,
            }),
        }
    }
}
