//! The inside of `cargo compat`; no API promise is made here.

use std::ffi::OsString;
use std::process::ExitCode;

pub mod artifact;
mod beside;
pub mod blame;
mod cli;
mod commands;
pub mod diff;
pub mod emulate;
pub mod exit;
mod files;
pub mod finding;
pub mod judge;
mod link;
pub mod lints;
pub mod loader;
mod many;
pub mod platform;
pub mod policy;
mod process;
pub mod release;
pub mod report;
pub mod runs_on;
mod target;
mod text;
mod today;
mod workspace;

use cli::Task;
use report::Streams;

/// Runs the program on its arguments, its own name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A panic of a reader becomes a finding about its file, and any other one
    // an error that says whose fault it is.
    std::panic::set_hook(Box::new(|_| {}));
    let args: Vec<OsString> = args.into_iter().collect();
    std::panic::catch_unwind(|| run_command(args)).unwrap_or_else(|panic| {
        let failure = report::Failure::new("cargo-compat itself failed; nothing was judged")
            .note(text::of_panic(&*panic))
            .help("this is a bug: please report it, with what was run");
        // Nothing is left to be told where this fails too.
        let _ = report::failure(&failure, &Streams::new(None));
        ExitCode::from(exit::NOT_JUDGED)
    })
}

fn run_command(args: Vec<OsString>) -> ExitCode {
    if let Some(code) = commands::test::entry(&args) {
        return ExitCode::from(code);
    }
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
        Task::Completions(script) => report::text(&script, false).map(|()| exit::KEPT),
        Task::Diff(options) => commands::diff::run(&options, &streams),
        Task::Explain(name) => commands::explain::run(name.as_deref(), &streams),
        Task::Init(options) if options.baseline => commands::baseline::run(*options, &streams),
        Task::Init(options) => commands::init::run(&options, &streams),
        Task::Merge(options) => commands::merge::run(options, &streams),
        Task::Platforms(options) => commands::platforms::run(&options, &streams),
        Task::Why(options) => commands::why::run(*options, &streams),
        Task::Test(options) => commands::test::run(*options, &streams),
        Task::MakeRoot(options) => commands::make_root::run(&options, &streams),
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
