//! One library, as a linker takes it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::script::{self, Input};
use super::search::Search;
use crate::artifact::{self, Arch, Bindings, Depth, Examined, Format};

/// Scripts are shorter than this, in bytes.
const LONGEST_SCRIPT: u64 = 1 << 16;
/// Scripts that name scripts.
const DEEPEST: usize = 8;

#[derive(Debug, Clone)]
pub enum Library {
    Shared(Arc<Bindings>),
    Archive(Arc<HashSet<Vec<u8>>>),
}

impl Library {
    /// Whether it answers a reference: a shared library none that is hidden,
    /// and only by a default version.
    pub fn answers(&self, name: &str, hidden: bool) -> bool {
        match self {
            Self::Shared(bindings) => {
                let (plain, version) = match name.split_once('@') {
                    Some((plain, version)) if !plain.is_empty() => {
                        (plain, Some(version.trim_start_matches('@')))
                    }
                    _ => (name, None),
                };
                let fits = |name: &str, version: Option<&str>| {
                    bindings.exports.find(name).any(|found| match version {
                        Some(version) => found.version == Some(version),
                        None => !found.hidden,
                    })
                };
                !hidden && (fits(name, None) || (version.is_some() && fits(plain, version)))
            }
            Self::Archive(names) => names.contains(name.as_bytes()),
        }
    }

    pub fn each_name(&self, visit: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Shared(bindings) => bindings.exports.names().for_each(visit),
            Self::Archive(names) => names.iter().for_each(|name| visit(name)),
        }
    }
}

/// Libraries that were read, by path: `libc.so` stands for several.
#[derive(Debug, Default)]
pub struct Shelf {
    read: HashMap<PathBuf, Result<Vec<Library>, String>>,
}

impl Shelf {
    /// Reads a file, or takes what was read; `Err` says why it cannot serve.
    pub fn take(&mut self, path: &Path, arch: Arch, search: &Search) -> Result<Vec<Library>, String> {
        self.take_at(path, arch, search, 0)
    }

    fn take_at(
        &mut self,
        path: &Path,
        arch: Arch,
        search: &Search,
        depth: usize,
    ) -> Result<Vec<Library>, String> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let library = self.read(path, arch, search, depth);
        self.read.insert(path.to_owned(), library.clone());
        library
    }

    fn read(
        &mut self,
        path: &Path,
        arch: Arch,
        search: &Search,
        depth: usize,
    ) -> Result<Vec<Library>, String> {
        let shown = || crate::text::path(path);
        let failed = |error: artifact::ReadError| format!("{} cannot be read: {error}", shown());
        match artifact::examine(path, Depth::Bindings).map_err(failed)? {
            Examined::Elf(facts) if !facts.arch.same_as(arch) => {
                Err(format!("{} is for {}", shown(), facts.arch))
            }
            Examined::Elf(facts) => match facts.bindings {
                Some(Ok(bindings)) => Ok(vec![Library::Shared(bindings)]),
                Some(Err(why)) => Err(format!("the symbols of {} cannot be read: {why}", shown())),
                None => Err(format!("{} has no dynamic symbols", shown())),
            },
            Examined::Other(Format::Archive | Format::Object) => {
                let mut names = HashSet::new();
                let unread = artifact::definitions(path, arch, &mut |name| {
                    names.insert(name.to_owned());
                })
                .map_err(failed)?;
                match unread.first() {
                    Some(one) if names.is_empty() => Err(format!(
                        "the symbols of {} cannot be read: {} is {}",
                        shown(),
                        one.member,
                        one.why
                    )),
                    _ => Ok(vec![Library::Archive(Arc::new(names))]),
                }
            }
            Examined::Other(_) => {
                let not_one = || format!("{} is no library", shown());
                let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
                if depth >= DEEPEST || size > LONGEST_SCRIPT {
                    return Err(not_one());
                }
                let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
                let inputs = script::inputs(&String::from_utf8_lossy(&bytes)).ok_or_else(not_one)?;
                let mut libraries = Vec::new();
                for input in inputs {
                    let found = match &input {
                        Input::Library(name) => search.library(name, false),
                        Input::File(name) => search.file_of_script(path, name),
                    };
                    let missing = || format!("{} names {input:?}, which is not there", shown());
                    let found = found.ok_or_else(missing)?;
                    libraries.extend(self.take_at(&found, arch, search, depth + 1)?);
                }
                Ok(libraries)
            }
        }
    }
}
