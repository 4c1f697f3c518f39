use std::process::ExitCode;

// What is released is linked with musl (`.github/workflows/release.yml`).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    cargo_compat::run(std::env::args_os())
}
