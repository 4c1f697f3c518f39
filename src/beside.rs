//! Files that are there whole or not at all: written beside, then renamed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file to come.
#[derive(Debug)]
pub enum Beside {
    Renamed {
        beside: NamedTempFile,
        path: PathBuf,
    },
    /// A device or a pipe: there is nothing to replace.
    Direct(PathBuf),
}

impl Beside {
    /// Makes sure that it can be written, and leaves what is there alone.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A link stays one: what it leads to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match path.metadata() {
            Ok(data) if data.is_dir() => return Err(io::Error::other("it is a folder")),
            Ok(data) if !data.is_file() => return Ok(Self::Direct(path)),
            _ => {}
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "its folder is not there"));
        }
        Ok(Self::Renamed { beside: NamedTempFile::new_in(folder)?, path })
    }

    /// Writes all of it.
    pub fn write(self, content: &[u8]) -> io::Result<()> {
        let (mut beside, path) = match self {
            Self::Direct(path) => return fs::OpenOptions::new().write(true).open(path)?.write_all(content),
            Self::Renamed { beside, path } => (beside, path),
        };
        beside.write_all(content)?;
        beside.as_file().sync_all()?;
        // A temporary file is for its owner alone; this one is as any other.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            beside.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        beside.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_left_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        drop(Beside::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        Beside::open(&path).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names_in(folder.path()), ["a"]);
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Beside::open(folder.path()).unwrap_err().to_string(), "it is a folder");
        let lost = folder.path().join("not/there");
        assert_eq!(Beside::open(&lost).unwrap_err().to_string(), "its folder is not there");
        assert_eq!(names_in(folder.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_a_device_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        Beside::open(&link).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        Beside::open(Path::new("/dev/null")).unwrap().write(b"new").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
