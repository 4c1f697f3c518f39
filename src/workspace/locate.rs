//! Where the project is: found as cargo finds it, without calling cargo.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::policy::FILE_NAME;
use crate::report::Failure;

/// Where a project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
}

/// What matters of a `Cargo.toml`; cargo itself finds what is wrong with it.
#[derive(Deserialize)]
struct Facts {
    workspace: Option<Workspace>,
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Workspace {
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    workspace: Option<String>,
}

fn read(path: &Path) -> Result<Facts, Failure> {
    let failure = |why: String| Failure::new(format!("{} cannot be read", crate::text::path(path))).note(why);
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    toml::from_str(&text).map_err(|error: toml::de::Error| failure(error.message().to_owned()))
}

/// The workspace that the folder, or the named manifest, belongs to
/// (Cargo Book, "Workspaces": the root, `package.workspace`, `exclude`).
pub fn locate(folder: &Path, manifest_path: Option<&Path>) -> Result<Manifest, Failure> {
    let manifest = match manifest_path {
        Some(path) => folder.join(path),
        None => folder
            .ancestors()
            .map(|folder| folder.join("Cargo.toml"))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                Failure::new(format!(
                    "could not find `Cargo.toml` in `{}` or any parent directory",
                    crate::text::path(folder)
                ))
                .help("files are judged without a project by\ncargo compat check --artifact FILE")
            })?,
    };
    let own = read(&manifest)?;
    let package = manifest.parent().unwrap_or(folder);
    if own.workspace.is_some() {
        return Ok(Manifest { root: package.to_owned() });
    }
    if let Some(pointed) = own.package.and_then(|package| package.workspace) {
        return Ok(Manifest { root: package.join(pointed) });
    }
    for above in package.ancestors().skip(1) {
        let candidate = above.join("Cargo.toml");
        if !candidate.is_file() {
            continue;
        }
        if let Some(workspace) = read(&candidate)?.workspace {
            let excluded = |paths: &[String]| paths.iter().any(|path| package.starts_with(above.join(path)));
            // As in cargo, a member that is named outright stays one.
            let root = match excluded(&workspace.exclude) && !excluded(&workspace.members) {
                true => package,
                false => above,
            };
            return Ok(Manifest { root: root.to_owned() });
        }
    }
    Ok(Manifest { root: package.to_owned() })
}

/// The policy in the folder or the nearest one above it; else the folders
/// that were searched.
pub fn policy_below(folder: &Path, upward: bool) -> Result<PathBuf, Vec<PathBuf>> {
    let mut searched = Vec::new();
    for folder in folder.ancestors() {
        let path = folder.join(FILE_NAME);
        // Whatever is there by that name is meant: if it cannot be read, that
        // is said, and no other one is taken in its place.
        if path.symlink_metadata().is_ok() {
            return Ok(path);
        }
        searched.push(folder.to_owned());
        if !upward {
            break;
        }
    }
    Err(searched)
}

/// The root of git's work tree that holds a file: what code scanning and
/// annotations count paths from.
pub fn work_tree(file: &Path) -> Option<PathBuf> {
    // A file in linked work trees and submodules.
    file.ancestors().skip(1).find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn root(project: &tempfile::TempDir, folder: &str) -> PathBuf {
        let root = locate(&project.path().join(folder), None).unwrap().root;
        root.strip_prefix(project.path()).unwrap().to_owned()
    }

    const PACKAGE: &str = "[package]\nname = \"p\"\nversion = \"0.1.0\"\n";

    #[test]
    fn members_find_their_root() {
        let project = project(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"a\", \"x/in\"]\nexclude = [\"out\", \"x\"]\n"),
            ("a/Cargo.toml", PACKAGE),
            ("a/src/lib.rs", ""),
            ("out/Cargo.toml", PACKAGE),
            ("x/in/Cargo.toml", PACKAGE),
            ("far/Cargo.toml", "[package]\nname = \"f\"\nworkspace = \"../other\"\n"),
        ]);
        assert_eq!(root(&project, "a/src"), Path::new(""));
        assert_eq!(root(&project, "out"), Path::new("out"));
        assert_eq!(root(&project, "x/in"), Path::new(""));
        assert_eq!(root(&project, "far"), Path::new("far/../other"));
    }

    #[test]
    fn a_package_alone_is_its_own_root() {
        let project = project(&[("p/Cargo.toml", PACKAGE), ("p/src/main.rs", "")]);
        assert_eq!(root(&project, "p/src"), Path::new("p"));
    }
}
