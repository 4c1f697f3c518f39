//! `cargo compat test`: run what was built in the root it must run in, and
//! hold the static verdict against the real loader's.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::emulate::Way;
use crate::finding::Level;
use crate::report::MessageFormat;
#[cfg(not(target_os = "linux"))]
use crate::report::Streams;
use crate::workspace::CargoOptions;

#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "Linux alone has the work that reads them"))]
pub struct Options {
    pub cargo: CargoOptions,
    /// Programs of the project to start themselves.
    pub programs: Vec<String>,
    /// Files to start, without cargo.
    pub artifacts: Vec<PathBuf>,
    /// For the tests or the programs.
    pub args: Vec<OsString>,
    pub policy: Option<PathBuf>,
    pub format: MessageFormat,
    /// Reports that go to files.
    pub reports: Vec<(MessageFormat, PathBuf)>,
    /// From which level on a finding breaks the policy.
    pub fail_on: Level,
    pub root: Option<String>,
    pub cpu: Option<String>,
    /// After which a program is ended.
    pub seconds: u64,
    /// Whether a runner of cargo's configuration is passed over.
    pub own_runner: bool,
    pub way: Option<Way>,
}

#[cfg(target_os = "linux")]
pub use super::trials::{entry, run};

/// This program as a process of a run: none of them is here.
#[cfg(not(target_os = "linux"))]
pub fn entry(_args: &[OsString]) -> Option<u8> {
    None
}

#[cfg(not(target_os = "linux"))]
pub fn run(options: Options, streams: &Streams) -> std::io::Result<u8> {
    use crate::report::{self, Failure};
    let _ = options;
    let failure = Failure::new("`cargo compat test` runs on Linux only")
        .note("it needs Linux's namespaces and QEMU's user mode")
        .help("in a container or a virtual machine with Linux, or in CI; what can be told without running:\ncargo compat check");
    report::failure(&failure, streams)?;
    Ok(crate::exit::NOT_JUDGED)
}
