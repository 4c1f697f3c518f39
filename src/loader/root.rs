//! A folder that holds a system, or parts of one, as the loader's files.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{Family, Object, Probe, Provider};
use crate::artifact::{Arch, Depth, Examined, Format, ReadError, Release, examine};

/// Links followed for one path at most, as in the kernel (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// A root folder, its loader's default folders, and what was read of it.
#[derive(Debug)]
pub struct Root {
    folder: PathBuf,
    family: Family,
    defaults: Vec<String>,
    cache: HashMap<String, Vec<String>>,
    lib: Option<String>,
    whole: bool,
    beside: HashMap<String, (String, Arc<Object>)>,
    probed: Mutex<HashMap<String, Probe>>,
}

impl Root {
    /// Folders of a system in which to look, as a compiler finds libraries:
    /// what they lack is undecided.
    pub fn of_folders(folder: impl Into<PathBuf>, family: Family, defaults: Vec<String>) -> Self {
        Self {
            folder: folder.into(),
            family,
            defaults,
            cache: HashMap::new(),
            lib: None,
            whole: false,
            beside: HashMap::new(),
            probed: Mutex::default(),
        }
    }

    /// A whole system: its default folders are those that its own loader has,
    /// and `ld.so.cache` counts.
    pub fn of_system(folder: impl Into<PathBuf>, arch: Arch, interpreter: &str) -> Self {
        let folder = folder.into();
        let loader = resolve(&folder, interpreter).and_then(|path| super::root_files::read_whole(&path));
        let musl = interpreter.contains("/ld-musl-");
        let (family, defaults) = match musl {
            true => (Family::Musl, super::root_files::musl_folders(&folder, interpreter)),
            false => {
                let bytes = loader.as_deref().unwrap_or_default();
                let release = super::root_files::glibc_release(&folder, bytes);
                (Family::Glibc { release }, super::root_files::default_folders(bytes, arch))
            }
        };
        let cache = match musl {
            true => HashMap::new(),
            false => super::root_files::cache(&folder, arch),
        };
        let lib =
            defaults.first().map(|folder| folder.trim_start_matches("/usr").trim_matches('/').to_owned());
        Self { cache, lib, whole: true, ..Self::of_folders(folder, family, defaults) }
    }

    /// Files that come with what is judged, found by name where no path leads
    /// to them.
    pub fn with_beside(mut self, files: impl IntoIterator<Item = (String, String, Arc<Object>)>) -> Self {
        self.beside = files.into_iter().map(|(name, path, object)| (name, (path, object))).collect();
        self
    }

    /// More folders, searched last.
    pub fn with_folders(mut self, folders: impl IntoIterator<Item = String>) -> Self {
        self.defaults.extend(folders);
        self
    }

    /// A root with one folder more.
    pub fn copy_with_folder(&self, folder: String) -> Self {
        Self {
            folder: self.folder.clone(),
            family: self.family.clone(),
            defaults: self.defaults.iter().cloned().chain([folder]).collect(),
            cache: self.cache.clone(),
            lib: self.lib.clone(),
            whole: self.whole,
            beside: self.beside.clone(),
            probed: Mutex::default(),
        }
    }

    /// The same, but what it lacks may be elsewhere.
    pub fn not_whole(mut self) -> Self {
        self.whole = false;
        self
    }

    fn look(&self, path: &str) -> Probe {
        let Some(file) = resolve(&self.folder, path) else { return Probe::Absent };
        match std::fs::metadata(&file) {
            Err(_) => return Probe::Absent,
            // `open` succeeds on a folder, and reading it fails (fact 41).
            Ok(found) if found.is_dir() => return Probe::NotLoadable("it is a folder".to_owned()),
            Ok(found) if !found.is_file() => return Probe::NotLoadable("it is no regular file".to_owned()),
            Ok(_) => {}
        }
        match examine(&file, Depth::Bindings) {
            Ok(Examined::Elf(facts)) => match Object::of(&facts) {
                Some(object) => Probe::Found(Arc::new(object)),
                None => Probe::Unknown("its symbols were not read".to_owned()),
            },
            Ok(Examined::Other(Format::Empty)) => {
                Probe::NotLoadable("it is empty: `file too short`".to_owned())
            }
            Ok(Examined::Other(format)) => {
                Probe::NotLoadable(format!("it is a {format}: `invalid ELF header`"))
            }
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Probe::Absent,
            Err(error) => Probe::Unknown(format!("{path} cannot be read: {error}")),
        }
    }
}

impl Provider for Root {
    fn family(&self) -> Family {
        self.family.clone()
    }

    fn default_folders(&self) -> &[String] {
        &self.defaults
    }

    fn cached(&self, name: &str) -> Vec<String> {
        self.cache.get(name).cloned().unwrap_or_default()
    }

    fn token(&self, name: &str) -> Option<String> {
        if name == "LIB" { self.lib.clone() } else { None }
    }

    fn probe(&self, path: &str) -> Probe {
        let known = |probed: &HashMap<String, Probe>| probed.get(path).cloned();
        if let Ok(probed) = self.probed.lock()
            && let Some(known) = known(&probed)
        {
            return known;
        }
        let new = self.look(path);
        if let Ok(mut probed) = self.probed.lock() {
            probed.insert(path.to_owned(), new.clone());
        }
        new
    }

    fn beside(&self, name: &str) -> Option<(String, Arc<Object>)> {
        self.beside.get(name).cloned()
    }

    fn is_whole(&self) -> bool {
        self.whole
    }
}

/// A path of the system as a path of the machine that we run on. Links are
/// followed as they would be with the folder as root.
pub(super) fn resolve(folder: &Path, path: &str) -> Option<PathBuf> {
    if folder == Path::new("/") {
        return Some(PathBuf::from(path));
    }
    let mut todo: Vec<std::ffi::OsString> = parts(Path::new(path));
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        let Ok(found) = std::fs::symlink_metadata(folder.join(&next)) else { return None };
        if !found.is_symlink() {
            done = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        let target = std::fs::read_link(folder.join(&next)).ok()?;
        if target.has_root() {
            done = PathBuf::new();
        }
        todo.extend(parts(&target));
    }
    Some(folder.join(done))
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let named =
        path.components().rev().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(|part| part.as_os_str().to_owned()).collect()
}

impl From<Release> for Family {
    fn from(release: Release) -> Self {
        Self::Glibc { release: Some(release) }
    }
}
