//! What is judged, and under which policies.

use std::path::PathBuf;

use anyhow::ensure;

/// The large shared object, and glibc ceilings that it keeps and breaks. Broken is more work: the symbols are read.
const LARGE: &str = "target/fixtures/polars-runtime-32/_polars_runtime_32/_polars_runtime.abi3.so";
pub const LARGE_KEEPS: &str = "2.17";
pub const LARGE_BREAKS: &str = "2.14";
/// What it needs of Python is no finding: so there is one, or none.
pub const LARGE_HOST: &str = "undefined = [\"preset:python-abi3\"]\n";

/// What every file of a system keeps, and what most of any system of these years break.
pub const FILES_KEEP: &str = "2.99";
pub const FILES_BREAK: &str = "2.17";
/// A system holds plug-ins of many programs: what these provide is looked for all the same.
pub const FILES_HOSTS: &str = "[lints]\nsymbol_undefined = \"allow\"\n";

pub fn large() -> anyhow::Result<PathBuf> {
    let path = crate::root().join(LARGE);
    ensure!(path.is_file(), "{LARGE} is missing; this fetches it: cargo xtask fixtures");
    Ok(path)
}
