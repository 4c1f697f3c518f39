//! Files named on the command line, and those in folders.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::artifact::kind_of;
use crate::report::{Failure, PassedOver};
use crate::text;

/// A file to examine.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    /// Named on the command line, as opposed to found in a folder.
    pub named: bool,
}

#[derive(Debug, Default)]
pub struct Collected {
    pub files: Vec<Found>,
    pub passed_over: PassedOver,
    pub failures: Vec<Failure>,
    seen: HashSet<Identity>,
}

/// What makes two paths one file.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
fn identity(_path: &Path, metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(path: &Path, _metadata: &Metadata) -> Identity {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Collects files: folders are walked, links followed, and a file that is
/// reached twice is taken once. Nothing is opened here.
pub fn collect(paths: &[PathBuf]) -> Collected {
    let mut collected = Collected::default();
    for path in paths {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => collected.walk(path, &metadata),
            Ok(metadata) if metadata.is_file() => collected.take(path.clone(), &metadata, true),
            Ok(metadata) => collected.failures.push(
                Failure::new(format!("{} is {}, not an artifact", text::path(path), kind_of(&metadata)))
                    .note("it was not opened"),
            ),
            Err(error) => collected
                .failures
                .push(Failure::new(format!("{} cannot be read", text::path(path))).note(error.to_string())),
        }
    }
    collected
}

impl Collected {
    fn take(&mut self, path: PathBuf, metadata: &Metadata, named: bool) {
        if self.seen.insert(identity(&path, metadata)) {
            self.files.push(Found { path, named });
        }
    }

    fn walk(&mut self, folder: &Path, metadata: &Metadata) {
        if !self.seen.insert(identity(folder, metadata)) {
            return;
        }
        // Of a file and links to it the file's own name is kept: so links
        // come last, folder links included.
        let mut pending = vec![folder.to_owned()];
        let mut links = Vec::new();
        while let Some((folder, linked)) =
            pending.pop().map(|folder| (folder, false)).or_else(|| links.pop().map(|link| (link, true)))
        {
            if linked && !self.follow(&folder) {
                continue;
            }
            let entries = match std::fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
                Ok(entries) => entries,
                Err(error) => {
                    let failure = Failure::new(format!("{} cannot be listed", text::path(&folder)));
                    self.failures.push(failure.note(error.to_string()));
                    continue;
                }
            };
            let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                self.entry(path, &mut pending, &mut links);
            }
        }
        self.files.sort_by(|a, b| (!a.named, &a.path).cmp(&(!b.named, &b.path)));
    }

    fn entry(&mut self, path: PathBuf, pending: &mut Vec<PathBuf>, links: &mut Vec<PathBuf>) {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => links.push(path),
            Ok(metadata) if metadata.is_dir() => {
                if self.seen.insert(identity(&path, &metadata)) {
                    pending.push(path);
                }
            }
            Ok(metadata) if metadata.is_file() => self.take(path, &metadata, false),
            Ok(metadata) => self.pass_over(kind_of(&metadata).trim_start_matches("a ")),
            Err(error) => {
                let failure = Failure::new(format!("{} cannot be read", text::path(&path)));
                self.failures.push(failure.note(error.to_string()));
            }
        }
    }

    /// Follows a link in a folder; `true` where it leads to a folder that was
    /// not walked yet.
    fn follow(&mut self, path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.seen.insert(identity(path, &metadata)),
            Ok(metadata) if metadata.is_file() => {
                self.take(path.to_owned(), &metadata, false);
                false
            }
            Ok(metadata) => {
                self.pass_over(kind_of(&metadata).trim_start_matches("a "));
                false
            }
            Err(_) => {
                self.pass_over("broken link");
                false
            }
        }
    }

    pub fn pass_over(&mut self, kind: &'static str) {
        *self.passed_over.entry(kind).or_default() += 1;
    }
}

/// A list of paths: one a line, or between NULs where there is one.
pub fn read_list(mut input: impl Read) -> std::io::Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let separator = if bytes.contains(&0) { 0 } else { b'\n' };
    let lines = bytes.split(|byte| *byte == separator);
    Ok(lines.filter(|line| !line.is_empty()).map(path_of).collect())
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).trim_end_matches('\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_lines_or_nuls() {
        assert_eq!(read_list(&b"a\n\nb c\n"[..]).unwrap(), [PathBuf::from("a"), PathBuf::from("b c")]);
        assert_eq!(read_list(&b"a\nb\0c\0"[..]).unwrap(), [PathBuf::from("a\nb"), PathBuf::from("c")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_taken_once_by_its_own_name() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("sub/lib.so.1.2"), b"x").unwrap();
        symlink("sub/lib.so.1.2", at("a.so")).unwrap();
        symlink("sub", at("also")).unwrap();
        symlink("..", at("sub/up")).unwrap();
        symlink("nowhere", at("broken")).unwrap();
        std::fs::hard_link(at("sub/lib.so.1.2"), at("sub/lib.so.2")).unwrap();
        let collected = collect(&[folder.path().to_owned()]);
        let files: Vec<_> = collected.files.iter().map(|found| found.path.clone()).collect();
        assert_eq!(files, [at("sub/lib.so.1.2")]);
        assert_eq!(collected.passed_over.get("broken link"), Some(&1));
        assert!(collected.failures.is_empty());
    }
}
