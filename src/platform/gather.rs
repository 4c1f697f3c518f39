//! Reading a whole system for a description: a folder, or an archive of one.
//!
//! Both may be hostile: nothing is followed out of the folder or the archive,
//! devices and fifos are not opened, and all that is kept is bounded.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::tree::{Interest, Owner, Thing, Tree};
use super::write::split;
use crate::artifact::{Depth, examine, examine_bytes};

/// Files, folders and links read at most. A large desktop has some 700,000.
const MOST_ENTRIES: usize = 5_000_000;
/// The largest library read, in bytes. Real ones have up to some 200 MB.
const LARGEST_LIBRARY: u64 = 1 << 30;
/// The largest text read, in bytes: `ld.so.conf`, `os-release`.
const LARGEST_TEXT: u64 = 1 << 20;
/// What an archive may have between the contents of two files: headers and long names.
const LARGEST_HEADERS: u64 = 1 << 20;
/// Folders of a running system that hold no files of its own.
const NOT_READ: &[&str] = &["/proc", "/sys", "/dev", "/run"];

/// What was found in a system.
#[derive(Debug, Default)]
pub struct Gathered {
    pub tree: Tree,
    /// Texts by their paths: where the loader looks, and what the system is called.
    pub texts: BTreeMap<String, String>,
    /// Loaders and C libraries by their paths: what is compiled into them matters.
    pub loaders: BTreeMap<String, Vec<u8>>,
    /// Things whose names are no text.
    pub unnamed: usize,
}

/// Why a system could not be read.
#[derive(Debug)]
pub enum GatherError {
    Io(PathBuf, io::Error),
    NotAFolder(PathBuf),
    TooMany,
    Archive(io::Error),
    /// Another format, and what unpacks it.
    Packed(&'static str, &'static str),
}

impl fmt::Display for GatherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{} cannot be read: {error}", crate::text::path(path)),
            Self::NotAFolder(path) => write!(f, "{} is no folder", crate::text::path(path)),
            Self::TooMany => write!(f, "it has more than {MOST_ENTRIES} files, folders and links"),
            Self::Archive(error) => write!(f, "it cannot be read as a tar archive: {error}"),
            Self::Packed(format, tool) => {
                write!(
                    f,
                    "it is packed by {format}: unpack it on the way in, `{tool} FILE | …`, with `-` for FILE"
                )
            }
        }
    }
}

impl std::error::Error for GatherError {}

/// A folder that holds a system, `/` included.
pub fn root(folder: &Path) -> Result<Gathered, GatherError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |error| GatherError::Io(path, error)
    };
    let folder = folder.canonicalize().map_err(io(folder))?;
    if !folder.is_dir() {
        return Err(GatherError::NotAFolder(folder));
    }
    let mut gathered = Gathered::default();
    let mut count = 0;
    let mut left = vec![(folder.clone(), String::new())];
    while let Some((folder, inside)) = left.pop() {
        if NOT_READ.contains(&inside.as_str()) {
            continue;
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // What only its owner may read is no folder that a loader of everybody reads.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(GatherError::Io(folder, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            count += 1;
            if count > MOST_ENTRIES {
                return Err(GatherError::TooMany);
            }
            names.push(entry.map_err(io(&folder))?.file_name());
        }
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let Some(name) = name.to_str() else {
                gathered.unnamed += 1;
                continue;
            };
            let here = format!("{inside}/{name}");
            let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
            if found.is_dir() {
                left.push((path, here));
            } else if found.is_symlink() {
                let target = std::fs::read_link(&path).map_err(io(&path))?;
                if let Some(target) = target.to_str() {
                    gathered.tree.add(&here, Owner::plain(), Thing::Link(target.to_owned()));
                }
            } else if found.is_file() {
                gathered.file(&here, &path).map_err(io(&path))?;
            }
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn file(&mut self, here: &str, path: &Path) -> io::Result<()> {
        match Interest::of(here) {
            Interest::None => {}
            Interest::Text => {
                let mut text = Vec::new();
                std::fs::File::open(path)?.take(LARGEST_TEXT).read_to_end(&mut text)?;
                self.texts.insert(here.to_owned(), String::from_utf8_lossy(&text).into_owned());
            }
            Interest::Library => {
                if is_loader(here) {
                    let mut bytes = Vec::new();
                    std::fs::File::open(path)?.take(LARGEST_LIBRARY).read_to_end(&mut bytes)?;
                    self.loaders.insert(here.to_owned(), bytes);
                }
                if let Some(thing) = Thing::of(examine(path, Depth::Bindings)) {
                    self.tree.add(here, Owner::plain(), thing);
                }
            }
        }
        Ok(())
    }
}

/// Files of which more counts than what the loader reads of a library.
fn is_loader(path: &str) -> bool {
    let name = split(path).1;
    name.starts_with("ld-")
        || name.starts_with("ld64.so")
        || name == "libc.so.6"
        || name.starts_with("libc-2.")
}

/// A tar archive of a system, as `docker export` writes it; gzip is undone.
pub fn archive(mut input: impl Read) -> Result<Gathered, GatherError> {
    let mut start = [0; 6];
    let mut have = 0;
    while have < start.len() {
        match input.read(&mut start[have..]).map_err(GatherError::Archive)? {
            0 => break,
            read => have += read,
        }
    }
    let start = &start[..have];
    let packed: &[(&[u8], &str, &str)] = &[
        (b"\xfd7zXZ\0", "xz", "xz -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
        (b"BZh", "bzip2", "bzip2 -dc"),
        (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    ];
    if let Some((_, format, tool)) = packed.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return Err(GatherError::Packed(format, tool));
    }
    let whole = start.chain(input);
    match start.starts_with(b"\x1f\x8b") {
        true => tar(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(whole)))),
        false => tar(BufReader::with_capacity(1 << 16, whole)),
    }
}

/// Reads no more than is allowed until more is.
struct Bounded<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let most = self.left.get().min(buffer.len() as u64) as usize;
        if most == 0 {
            return Err(io::Error::other(format!("a name or header of more than {LARGEST_HEADERS} bytes")));
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

fn tar(input: impl Read) -> Result<Gathered, GatherError> {
    let left = Rc::new(Cell::new(LARGEST_HEADERS));
    let mut archive = tar::Archive::new(Bounded { inner: input, left: Rc::clone(&left) });
    let mut gathered = Gathered::default();
    let mut same = Vec::new();
    let mut count = 0;
    for entry in archive.entries().map_err(GatherError::Archive)? {
        let mut entry = entry.map_err(GatherError::Archive)?;
        count += 1;
        if count > MOST_ENTRIES {
            return Err(GatherError::TooMany);
        }
        left.set(entry.size().saturating_add(LARGEST_HEADERS));
        let path = entry.path().ok().and_then(|path| inside(&path));
        let Some(path) = path else {
            gathered.unnamed += 1;
            drain(&mut entry)?;
            left.set(LARGEST_HEADERS);
            continue;
        };
        let kind = entry.header().entry_type();
        let target = entry.link_name().ok().flatten();
        let target = target.as_deref().and_then(Path::to_str).map(str::to_owned);
        if let Some(target) = target {
            if kind.is_symlink() {
                gathered.tree.add(&path, Owner::plain(), Thing::Link(target));
            } else if kind.is_hard_link() {
                same.extend(inside(Path::new(&target)).map(|target| (path, target)));
            }
        } else if (kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse())
            && Interest::of(&path) != Interest::None
        {
            gathered.entry(&path, &mut entry)?;
        }
        drain(&mut entry)?;
        left.set(LARGEST_HEADERS);
    }
    for (path, target) in same {
        gathered.tree.add_same(&path, &target);
    }
    Ok(gathered)
}

/// What is left of an entry is read here, so that the bound for headers holds for headers alone.
fn drain(entry: &mut impl Read) -> Result<(), GatherError> {
    io::copy(entry, &mut io::sink()).map(|_| ()).map_err(GatherError::Archive)
}

impl Gathered {
    fn entry(&mut self, path: &str, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), GatherError> {
        let mut bytes = Vec::new();
        if Interest::of(path) == Interest::Text {
            entry.take(LARGEST_TEXT).read_to_end(&mut bytes).map_err(GatherError::Archive)?;
            self.texts.insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
            return Ok(());
        }
        if entry.size() > LARGEST_LIBRARY {
            let why = format!("it has more than {LARGEST_LIBRARY} bytes");
            self.tree.add(path, Owner::plain(), Thing::Unread(why));
            return Ok(());
        }
        entry.read_to_end(&mut bytes).map_err(GatherError::Archive)?;
        if is_loader(path) {
            self.loaders.insert(path.to_owned(), bytes.clone());
        }
        if let Some(thing) = Thing::of(examine_bytes(bytes, Depth::Bindings)) {
            self.tree.add(path, Owner::plain(), thing);
        }
        Ok(())
    }
}

/// An entry's path as a path of the system. `None`: it is no text, or leads out.
fn inside(path: &Path) -> Option<String> {
    use std::path::Component;
    let mut inside = String::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => {
                inside.push('/');
                inside.push_str(part.to_str()?);
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}
