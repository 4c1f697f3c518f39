//! The ELF files of this machine, as inputs.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Every ELF executable and shared object of the system's own folders, of the cross compilers' too.
pub fn real_files() -> Vec<PathBuf> {
    let cross = ["s390x", "powerpc64le", "aarch64"].map(|arch| format!("/usr/{arch}-linux-gnu/lib"));
    let own = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec"].map(str::to_owned);
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for folder in own.into_iter().chain(cross) {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            // Separate debug information is no program.
            let debug = entry.path().extension().is_some_and(|ending| ending == "debug");
            if entry.file_type().is_file()
                && !debug
                && seen.insert((metadata.dev(), metadata.ino()))
                && is_linked_elf(entry.path())
            {
                files.push(entry.into_path());
            }
        }
    }
    files
}

/// `\x7fELF`, and `ET_EXEC` or `ET_DYN` in either byte order.
fn is_linked_elf(path: &Path) -> bool {
    let mut head = [0; 20];
    let read = fs::File::open(path).and_then(|file| file.read_exact_at(&mut head, 0));
    read.is_ok() && head.starts_with(b"\x7fELF") && (head[16] | head[17] == 2 || head[16] | head[17] == 3)
}
