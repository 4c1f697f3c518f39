//! The inside of `cargo compat`; no API promise is made here.

use std::ffi::OsString;
use std::process::ExitCode;

pub mod artifact;
mod cli;
mod commands;
pub mod exit;
mod files;
pub mod finding;
pub mod judge;
pub mod lints;
pub mod policy;
mod process;
pub mod report;
mod target;
mod text;
mod workspace;

use cli::Task;
use report::Streams;

/// Runs the program on its arguments, its own name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = match cli::parse(args) {
        Ok(parsed) => parsed,
        Err(message) => {
            let code = if message.is_error { exit::USAGE } else { exit::KEPT };
            return finish(report::text(&message.text, message.is_error).map(|()| code));
        }
    };
    let streams = Streams::new(parsed.color.as_deref());
    finish(match parsed.task {
        Task::Check(options) => commands::check::run(*options, &streams),
        Task::Show(options) => commands::show::run(&options, &streams),
    })
}

/// A report that could not be written is no report, so it is no pass.
fn finish(result: std::io::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // A reader that has seen enough, such as `head`, is no error; but
            // then nobody can rely on the exit code either.
            if error.kind() != std::io::ErrorKind::BrokenPipe {
                let failure = report::Failure::new("the report could not be written").note(error.to_string());
                // Nothing is left to be told where this fails too.
                let _ = report::failure(&failure, &Streams::new(None));
            }
            ExitCode::from(exit::NOT_JUDGED)
        }
    }
}
