//! A folder that holds a system, or parts of one, as the loader's files.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::root_files::{self, Cache};
use super::{Family, Object, Probe, Provider};
use crate::artifact::{Arch, Depth, Examined, Format, ReadError, Release, examine};

/// Links followed for one path at most, as in the kernel (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// A root folder, its loader's default folders, and what was read of it.
#[derive(Debug)]
pub struct Root {
    folder: PathBuf,
    /// Of a whole system with glibc: what its own files tell, read when it is asked for.
    glibc: Option<Glibc>,
    family: OnceLock<Family>,
    /// The system's own, and those given.
    defaults: OnceLock<Vec<String>>,
    given: Vec<String>,
    whole: bool,
    beside: HashMap<String, (Arc<str>, Arc<Object>)>,
    probed: Mutex<HashMap<String, Probe>>,
}

#[derive(Debug, Clone)]
struct Glibc {
    arch: Arch,
    interpreter: String,
    cache: OnceLock<Option<Cache>>,
}

impl Glibc {
    /// The bytes of the system's loader; none where it cannot be read.
    fn loader(&self, folder: &Path) -> Vec<u8> {
        let path = resolve(folder, &self.interpreter);
        path.and_then(|path| root_files::read_whole(&path)).unwrap_or_default()
    }
}

impl Root {
    /// Folders of a system in which to look, as a compiler finds libraries:
    /// what they lack is undecided.
    pub fn of_folders(folder: impl Into<PathBuf>, family: Family, defaults: Vec<String>) -> Self {
        Self {
            folder: folder.into(),
            glibc: None,
            family: OnceLock::from(family),
            defaults: OnceLock::new(),
            given: defaults,
            whole: false,
            beside: HashMap::new(),
            probed: Mutex::default(),
        }
    }

    /// A whole system: its default folders are those that its own loader has,
    /// and `ld.so.cache` counts.
    pub fn of_system(folder: impl Into<PathBuf>, arch: Arch, interpreter: &str) -> Self {
        let folder = folder.into();
        if interpreter.contains("/ld-musl-") {
            let defaults = root_files::musl_folders(&folder, interpreter);
            return Self { whole: true, ..Self::of_folders(folder, Family::Musl, defaults) };
        }
        let glibc = Glibc { arch, interpreter: interpreter.to_owned(), cache: OnceLock::new() };
        let family = Family::Glibc { release: None };
        Self {
            glibc: Some(glibc),
            family: OnceLock::new(),
            whole: true,
            ..Self::of_folders(folder, family, Vec::new())
        }
    }

    /// Files that come with what is judged, found by name where no path leads
    /// to them.
    pub fn with_beside(mut self, files: impl IntoIterator<Item = (String, Arc<str>, Arc<Object>)>) -> Self {
        self.beside = files.into_iter().map(|(name, path, object)| (name, (path, object))).collect();
        self
    }

    /// More folders, searched last.
    pub fn with_folders(mut self, folders: impl IntoIterator<Item = String>) -> Self {
        self.given.extend(folders);
        self.defaults = OnceLock::new();
        self
    }

    /// A root with one folder more.
    pub fn copy_with_folder(&self, folder: String) -> Self {
        Self {
            folder: self.folder.clone(),
            glibc: self.glibc.clone(),
            family: self.family.clone(),
            defaults: OnceLock::new(),
            given: self.given.iter().cloned().chain([folder]).collect(),
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
        let family = self.family.get_or_init(|| {
            let glibc = self.glibc.as_ref();
            let release =
                glibc.and_then(|glibc| root_files::glibc_release(&self.folder, &glibc.loader(&self.folder)));
            Family::Glibc { release }
        });
        family.clone()
    }

    fn is_musl(&self) -> bool {
        self.family.get() == Some(&Family::Musl)
    }

    fn default_folders(&self) -> &[String] {
        self.defaults.get_or_init(|| {
            let own = self.glibc.as_ref();
            let own = own.map(|glibc| root_files::default_folders(&glibc.loader(&self.folder), glibc.arch));
            own.into_iter().flatten().chain(self.given.iter().cloned()).collect()
        })
    }

    fn cached(&self, name: &str) -> Vec<String> {
        let Some(glibc) = &self.glibc else { return Vec::new() };
        let cache = glibc.cache.get_or_init(|| Cache::of_system(&self.folder, glibc.arch));
        cache.as_ref().map(|cache| cache.find(name)).unwrap_or_default()
    }

    fn token(&self, name: &str) -> Option<String> {
        // musl knows no such token, and a compiler's folders are no system's.
        let of_system = name == "LIB" && self.glibc.is_some();
        let first = of_system.then(|| self.default_folders().first())??;
        Some(first.trim_start_matches("/usr").trim_matches('/').to_owned())
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

    fn beside(&self, name: &str) -> Option<(Arc<str>, Arc<Object>)> {
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
