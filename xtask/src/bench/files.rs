//! Real ELF files of this machine, always the same ones as long as nothing is installed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Debug information: not what anybody judges.
const LEFT_OUT: &str = "/usr/lib/debug";

#[derive(Debug)]
pub struct Files {
    pub paths: Vec<PathBuf>,
    pub bytes: u64,
    /// How many there were to choose from.
    pub of: usize,
}

/// `count` programs and libraries, evenly spread over the sorted list of all; fewer where there are not so many.
pub fn find(count: usize) -> Files {
    let mut roots = vec![PathBuf::from("/usr/bin"), PathBuf::from("/usr/lib")];
    let foreign = fs::read_dir("/usr").into_iter().flatten().flatten();
    roots.extend(
        foreign
            .filter(|entry| entry.file_name().to_string_lossy().contains("-linux-"))
            .map(|entry| entry.path().join("lib")),
    );
    // Of several names of one file the first.
    let mut found: BTreeMap<(u64, u64), (PathBuf, u64)> = BTreeMap::new();
    for root in roots {
        walk(&root, &mut |path, metadata| {
            let entry = found.entry((metadata.dev(), metadata.ino()));
            let entry = entry.or_insert_with(|| (path.clone(), metadata.len()));
            if path < entry.0 {
                entry.0 = path;
            }
        });
    }
    let mut all: Vec<(PathBuf, u64)> = found.into_values().collect();
    all.sort();
    let of = all.len();
    let taken = spread(of, count).map(|at| all[at].clone());
    let (paths, sizes): (Vec<PathBuf>, Vec<u64>) = taken.unzip();
    Files { paths, bytes: sizes.iter().sum(), of }
}

fn spread(of: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(of);
    (0..count).map(move |at| at * of / count)
}

/// Follows no links.
fn walk(folder: &Path, take: &mut impl FnMut(PathBuf, fs::Metadata)) {
    if folder == Path::new(LEFT_OUT) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(&path, take),
            Ok(metadata) if metadata.is_file() && is_artifact(&path) => take(path, metadata),
            _ => {}
        }
    }
}

/// ELF, and `e_type` is `ET_EXEC` or `ET_DYN`.
fn is_artifact(path: &Path) -> bool {
    let mut head = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let kind = if head[5] == 2 { [head[17], head[16]] } else { [head[16], head[17]] };
    read.is_ok() && head.starts_with(b"\x7fELF") && matches!(kind, [2 | 3, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_spread() {
        assert_eq!(spread(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(spread(3, 4).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(0, 4).count(), 0);
    }

    #[test]
    fn artifacts_are_told_from_other_files() {
        assert!(is_artifact(&std::env::current_exe().unwrap()));
        assert!(!is_artifact(&crate::root().join("Cargo.toml")));
        assert!(!is_artifact(Path::new("/no/such/file")));
    }
}
