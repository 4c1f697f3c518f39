//! Commands that are run, and what is said when one fails.

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context;

/// A command that ran and failed.
#[derive(Debug)]
pub struct Failed {
    command: String,
    status: ExitStatus,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed: {}", self.command, self.status)
    }
}

impl std::error::Error for Failed {}

/// Runs it in the repository's root, without standard input.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = line(command);
    let status = command
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if status.success() { Ok(()) } else { Err(Failed { command: line, status }.into()) }
}

/// What the command printed to standard output, or why there is none. Its standard error is shown.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let line = line(command);
    let output = command
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        return Err(Failed { command: line, status: output.status }.into());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something that is not UTF-8"))
}

/// Keeps rustup's proxy out where nothing says which toolchain it stands for: it would obey the `rust-toolchain.toml` of
/// a crate that is compiled (proc-macro2 asks for `rust-src`) and change the toolchain that everybody here uses.
pub fn pin_compiler(command: &mut Command, cargo: &Path) {
    let rustc = cargo.with_file_name("rustc");
    let pinned = ["RUSTUP_TOOLCHAIN", "RUSTC"].iter().any(|name| std::env::var_os(name).is_some());
    if !pinned && cargo.is_absolute() && rustc.is_file() {
        command.env("RUSTC", rustc);
    }
}

/// The cargo that runs this xtask, as if typed in a shell: without the variables that describe the xtask's own package.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let own = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if own {
            command.env_remove(name);
        }
    }
    let cargo = command.get_program().to_owned();
    pin_compiler(&mut command, Path::new(&cargo));
    command
}

/// The exit code of the command that failed; 1 for any other error, or where a signal ended the command.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let code = error.downcast_ref::<Failed>().and_then(|failed| failed.status.code());
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The command as one types it; a programme by its name rather than its path.
pub fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
