use std::process::ExitCode;

fn main() -> ExitCode {
    cargo_compat::run(std::env::args_os())
}
