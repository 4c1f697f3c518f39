//! Cargo projects to build: no dependency from a registry, next to nothing to compile.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Members of the large workspace: libraries, each on top of others, and programs and plug-ins on top of these.
const LIBRARIES: usize = 270;
const PROGRAMS: usize = 26;
const PLUGINS: usize = 4;
pub const MEMBERS: usize = LIBRARIES + PROGRAMS + PLUGINS;
const _: () = assert!(MEMBERS >= 300);
/// A library uses those this many before it: so there are as many rows of them, each as deep as the rest allows.
const ROWS: usize = 10;

/// A policy that every artifact built here keeps.
const POLICY: &str = "glibc = \"2.99\"\n";

/// A policy that no program of these years keeps.
const BROKEN_POLICY: &str = "glibc = \"2.4\"\nlibraries = []\n";

/// A staticlib: Rust's own libraries alone are some 300 members.
pub fn staticlib(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("staticlib");
    write(&root.join("Cargo.toml"), &(package("archive") + "[lib]\ncrate-type = [\"staticlib\"]\n"))?;
    let source = "#[unsafe(no_mangle)]\npub extern \"C\" fn length(number: u64) -> usize {\n    format!(\"{number}\").len()\n}\n";
    write(&root.join("src/lib.rs"), source)?;
    Ok(root)
}

/// A workspace of `MEMBERS` packages.
pub fn workspace(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("workspace");
    write(&root.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"member*\"]\n")?;
    write(&root.join("compat.toml"), POLICY)?;
    for at in 0..MEMBERS {
        member(&root, at)?;
    }
    Ok(root)
}

/// Crates below the large program: the generated libraries, and what this project's own library consists of.
pub const CRATES_OF_PROGRAM: usize = LIBRARIES + 80;

/// One program of hundreds of crates: this project's library with all that it depends on, and the libraries above.
/// It is built from what this repository's own build has fetched.
pub fn program(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("program");
    let mut manifest = package("program") + "[workspace]\n\n[dependencies]\n";
    manifest += &format!("cargo-compat-guard = {{ path = {:?} }}\n", crate::root());
    let uses: Vec<usize> = (LIBRARIES - ROWS..LIBRARIES).collect();
    for used in uses.iter().map(|used| name(*used)) {
        manifest += &format!("{used} = {{ path = \"{used}\" }}\n");
    }
    write(&root.join("Cargo.toml"), &manifest)?;
    let sum = uses.iter().map(|used| format!(" + {}::number()", name(*used))).collect::<String>();
    let source = format!(
        "fn main() -> std::process::ExitCode {{\n    println!(\"{{}}\", 1{sum});\n    \
         cargo_compat::run(std::env::args_os())\n}}\n"
    );
    write(&root.join("src/main.rs"), &source)?;
    for at in 0..LIBRARIES {
        member(&root, at)?;
    }
    let lock = crate::root().join("Cargo.lock");
    fs::copy(&lock, root.join("Cargo.lock")).with_context(|| format!("cannot copy {}", lock.display()))?;
    write(&root.join(".cargo/config.toml"), "[net]\noffline = true\n")?;
    write(&root.join("compat.toml"), BROKEN_POLICY)?;
    Ok(root)
}

fn member(root: &Path, at: usize) -> anyhow::Result<()> {
    let folder = root.join(name(at));
    let uses = uses(at);
    let mut manifest = package(&name(at));
    if at >= LIBRARIES + PROGRAMS {
        manifest += "[lib]\ncrate-type = [\"cdylib\"]\n\n";
    }
    manifest += "[dependencies]\n";
    for used in &uses {
        let used = name(*used);
        manifest += &format!("{used} = {{ path = \"../{used}\" }}\n");
    }
    write(&folder.join("Cargo.toml"), &manifest)?;
    let sum = uses.iter().map(|used| format!(" + {}::number()", name(*used))).collect::<String>();
    if (LIBRARIES..LIBRARIES + PROGRAMS).contains(&at) {
        let source = format!("fn main() {{\n    println!(\"{{}}\", 1{sum});\n}}\n");
        return write(&folder.join("src/main.rs"), &source);
    }
    let source = format!("pub fn number() -> u64 {{\n    1{sum}\n}}\n");
    write(&folder.join("src/lib.rs"), &source)
}

/// What a member depends on.
fn uses(at: usize) -> Vec<usize> {
    if at >= LIBRARIES {
        // Libraries of the last of every row.
        return (0..3).map(|more| LIBRARIES - 1 - (at + 3 * more) % ROWS).collect();
    }
    [ROWS, ROWS + 1, ROWS + 3].iter().filter_map(|back| at.checked_sub(*back)).collect()
}

/// One package with one program.
pub fn hello(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = folder.join("hello");
    write(&root.join("Cargo.toml"), &package("hello"))?;
    write(&root.join("src/main.rs"), "fn main() {\n    println!(\"Hello, world!\");\n}\n")?;
    write(&root.join("compat.toml"), POLICY)?;
    Ok(root)
}

fn name(at: usize) -> String {
    format!("member{at:03}")
}

fn package(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // What is there already is not built again.
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(at: usize) -> usize {
        uses(at).into_iter().map(depth_of).max().unwrap_or(0) + 1
    }

    /// Without walking the whole tree: the first one used is the deepest.
    fn depth_of(at: usize) -> usize {
        uses(at).first().map_or(1, |used| depth_of(*used) + 1)
    }

    #[test]
    fn members_use_what_stands_before_them() {
        for at in 0..MEMBERS {
            let mut uses = uses(at);
            assert!(uses.iter().all(|used| *used < at && *used < LIBRARIES), "{at}: {uses:?}");
            uses.sort();
            uses.dedup();
            assert!(at < LIBRARIES || uses.len() == 3, "{at}");
        }
        assert!(depth(MEMBERS - 1) > 25, "{}", depth(MEMBERS - 1));
    }
}
