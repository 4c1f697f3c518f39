//! The program as it is released for machines like this one (`.github/workflows/release.yml`): what is measured.

use std::path::PathBuf;

use crate::process;

pub const TARGET: &str = "x86_64-unknown-linux-musl";

/// With what `check` runs beside each other: a page of code that is touched brings its neighbours into memory.
pub const FLAGS: &str = "-C link-arg=-Wl,-T,xtask/layout.ld";

/// Not where `CARGO_TARGET_DIR` or a configuration says, so that this is the one that was just built.
pub fn folder() -> PathBuf {
    crate::root().join("target")
}

pub fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = process::cargo();
    let build =
        ["build", "--release", "--locked", "--package", "cargo-compat-guard", "--bin", "cargo-compat"];
    cargo.args(build).args(["--target", TARGET, "--target-dir"]).arg(folder());
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", TARGET.replace('-', "_").to_uppercase());
    cargo.env(variable, FLAGS).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    process::run(&mut cargo)?;
    Ok(folder().join(TARGET).join("release/cargo-compat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_built_so() {
        let path = crate::root().join(".github/workflows/release.yml");
        let text = std::fs::read_to_string(path).unwrap();
        let entry = text.split("- target: ").find(|entry| entry.starts_with(TARGET)).unwrap();
        assert!(entry.contains(&format!("rustflags: {FLAGS}\n")), "{entry}");
    }
}
