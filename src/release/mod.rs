//! What a release consists of: the artifacts of a file, a folder, an archive
//! or a saved report, with their facts.

mod budget;
mod compressed;
mod deb;
mod members;
mod saved;
mod tarball;
mod zipped;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::budget::Budget;
use self::compressed::Compression;
use self::members::Members;
use crate::artifact::{self, Artifact, Depth, Examined, Format, ReadError};
use crate::files;
use crate::report::model::Verdict;
use crate::report::{Failure, Report};
use crate::text;

/// What is read of a file to tell its format, in bytes: a tar header, and as a
/// rule the DOS stub of a PE file.
const HEAD: usize = 1024;

/// One file that may be an artifact.
#[derive(Debug)]
pub struct Member {
    /// Its path in the release, with `/`; of a file that was named, its name.
    pub path: String,
    pub holds: Holds,
    pub platforms: Platforms,
}

/// What the loaders of platforms make of it, as far as that was asked.
pub type Platforms = BTreeMap<String, Verdict>;

impl Member {
    pub fn new(path: impl Into<String>, holds: Holds) -> Self {
        Self { path: path.into(), holds, platforms: Platforms::new() }
    }
}

#[derive(Debug)]
pub enum Holds {
    Facts(Box<Artifact>),
    /// A format in which programs ship, but which is not read.
    Other(Format),
    /// Why not.
    Unreadable(String),
}

impl Holds {
    fn of(examined: Result<Examined, ReadError>) -> Self {
        match examined {
            Ok(Examined::Elf(facts)) => Self::Facts(facts),
            Ok(Examined::Other(format)) => Self::Other(format),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// What was found where one path leads.
#[derive(Debug)]
pub struct Release {
    pub path: PathBuf,
    /// In the order of their paths.
    pub members: Vec<Member>,
    /// Whether it is one file, and no container.
    pub is_file: bool,
    /// Whether every file of it was come by, readable or not.
    pub is_whole: bool,
    /// Numbers of what is no artifact, by kind.
    pub passed_over: BTreeMap<&'static str, usize>,
    pub failures: Vec<Failure>,
}

/// Failures that are told one by one; a hostile archive has many.
const MOST_FAILURES: usize = 20;

impl Release {
    /// Reads what is there. Whatever could not be read is in its failures.
    pub fn read(path: &Path) -> Self {
        let mut release = Self {
            path: path.to_owned(),
            members: Vec::new(),
            is_file: false,
            is_whole: true,
            passed_over: BTreeMap::new(),
            failures: Vec::new(),
        };
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => release.folder(path),
            Ok(metadata) if metadata.is_file() => release.file(path),
            Ok(metadata) => release.fail(
                Failure::new(format!("{} is {}", text::path(path), artifact::kind_of(&metadata)))
                    .note("it was not opened"),
            ),
            Err(error) => release.fail(cannot_be_read(path, &error)),
        }
        release.members.sort_by(|a, b| a.path.cmp(&b.path));
        release.is_whole = release.failures.is_empty();
        let what = text::path(path);
        for member in &release.members {
            if let Holds::Unreadable(why) = &member.holds {
                let message = match release.is_file {
                    true => format!("{what} cannot be read"),
                    false => format!("`{}` of {what} cannot be read", text::escape(&member.path)),
                };
                release.failures.push(Failure::new(message).note(why.clone()));
            }
        }
        let facts = |member: &Member| matches!(member.holds, Holds::Facts(_));
        if !release.members.iter().any(facts) && release.failures.is_empty() {
            let failure = Failure::new(format!("{what} holds nothing to compare"))
                .note("ELF executables and shared objects are compared");
            release.fail(match release.members.is_empty() {
                true => failure,
                false => failure.note("Mach-O, PE and WebAssembly files are not read"),
            });
        }
        release
    }

    /// The artifacts of a report that is at hand.
    pub fn of_report(report: &Report) -> Self {
        Self {
            path: PathBuf::new(),
            members: saved::members_of(report),
            is_file: false,
            is_whole: report.complete && report.failures.is_empty(),
            passed_over: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    fn fail(&mut self, failure: Failure) {
        match self.failures.len() {
            MOST_FAILURES => {
                let more = format!("and more, in {}", text::path(&self.path));
                self.failures.push(Failure::new(more));
            }
            0..MOST_FAILURES => self.failures.push(failure),
            _ => {}
        }
    }

    fn pass_over(&mut self, kind: &'static str) {
        *self.passed_over.entry(kind).or_default() += 1;
    }

    fn file(&mut self, path: &Path) {
        let head = match head_of(path) {
            Ok(head) => head,
            Err(error) => return self.fail(cannot_be_read(path, &error)),
        };
        if is_archive(&head) {
            return self.archive(path, &head, String::new());
        }
        if saved::may_be(&head) {
            return match saved::read(path) {
                Ok(saved) => self.take_saved(path, saved),
                Err(failure) => self.fail(failure),
            };
        }
        self.is_file = true;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match Holds::of(artifact::examine(path, Depth::All)) {
            Holds::Other(format) if !format.ships_elsewhere() => self.fail(
                Failure::new(format!("{} is no release", text::path(path))).note(match unread(&head) {
                    Some(kind) => format!("it is {kind}, which is not read"),
                    None => format!("by its first bytes it is this: {format}"),
                }).help("compare executables, shared objects, folders and archives of them (tar, zip, deb), or JSON reports of this program"),
            ),
            holds => self.members.push(Member::new(name, holds)),
        }
    }

    fn take_saved(&mut self, path: &Path, saved: saved::Saved) {
        self.members.extend(saved.members);
        for failure in saved.failures {
            self.fail(Failure::new(failure).note(format!("so it says itself: {}", text::path(path))));
        }
    }

    fn folder(&mut self, folder: &Path) {
        let mut collected = files::collect(&[folder.to_owned()]);
        self.passed_over = std::mem::take(&mut collected.passed_over);
        for failure in std::mem::take(&mut collected.failures) {
            self.fail(failure);
        }
        enum Found {
            Holds(Holds),
            Archive(Vec<u8>),
            Saved,
            Failed(io::Error),
        }
        let found: Vec<(PathBuf, Found)> = std::mem::take(&mut collected.files)
            .into_par_iter()
            .map(|file| {
                let found = match head_of(&file.path) {
                    Err(error) => Found::Failed(error),
                    Ok(head) if is_archive(&head) => Found::Archive(head),
                    Ok(head) if saved::is_ours(&head) => Found::Saved,
                    Ok(_) => Found::Holds(Holds::of(artifact::examine(&file.path, Depth::All))),
                };
                (file.path, found)
            })
            .collect();
        for (path, found) in found {
            let below = path.strip_prefix(folder).unwrap_or(&path);
            let below: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            let below = below.join("/");
            match found {
                Found::Archive(head) => self.archive(&path, &head, format!("{below}/")),
                Found::Saved => match saved::read(&path) {
                    Ok(saved) => self.take_saved(&path, saved),
                    Err(failure) => self.fail(failure),
                },
                Found::Holds(Holds::Other(format)) if !format.ships_elsewhere() => {
                    self.pass_over(noun(format));
                }
                Found::Holds(holds) => self.members.push(Member::new(below, holds)),
                Found::Failed(error) => self.fail(cannot_be_read(&path, &error)),
            }
        }
    }

    fn archive(&mut self, path: &Path, head: &[u8], prefix: String) {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.fail(cannot_be_read(path, &error)),
        };
        let shown = text::path(path);
        let budget = Budget::of(len);
        let mut members = Members::new(self, shown.clone(), prefix, &budget);
        // A panic of a crate that reads archives is an error of this one.
        let read = std::panic::AssertUnwindSafe(|| read_archive(&file, head, path, &mut members));
        let outcome = std::panic::catch_unwind(read).unwrap_or_else(|panic| {
            let why = text::of_panic(&*panic);
            Err(io::Error::other(format!("reading it failed, which is a bug of cargo-compat: {why}")))
        });
        let Err(error) = outcome else { return };
        let failure = match budget.is_exceeded() {
            true => Failure::new(format!("{shown} expands without end"))
                .note(format!(
                    "of its {len} bytes more than {} came, and the rest was not read",
                    budget.most()
                ))
                .note("an archive may expand to 200 times its size, and to 256 MiB in any case"),
            // So the readers of xz and Zstandard say it.
            false if error.kind() == io::ErrorKind::OutOfMemory => {
                Failure::new(format!("{shown} is not read"))
                    .note("to unpack it takes more than 128 MiB of memory")
            }
            false => Failure::new(format!("{shown} cannot be read to its end")).note(error.to_string()),
        };
        self.fail(failure);
    }
}

fn read_archive(file: &File, head: &[u8], path: &Path, members: &mut Members<'_>) -> io::Result<()> {
    if is_zip(head) {
        return zipped::read(file, members);
    }
    let packed = BufReader::new(file);
    if head.starts_with(deb::MAGIC) {
        return deb::read(packed, members);
    }
    let budget = members.budget();
    let Some(compression) = Compression::of(head) else {
        return tarball::read(budget.bound(packed), members);
    };
    let mut stream = budget.bound(compression.reader(packed));
    let mut head = [0; HEAD];
    let len = peek(&mut stream, &mut head)?;
    let head = &head[..len];
    if tarball::is_tar(head) {
        return tarball::read(head.chain(stream), members);
    }
    // One file, compressed: its name is the archive's without the ending.
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut whole = head.chain(stream);
    members.file(stem.as_bytes(), &mut whole)?;
    io::copy(&mut whole, &mut io::sink()).map(|_| ())
}

fn cannot_be_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be read", text::path(path))).note(error.to_string())
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

fn is_archive(head: &[u8]) -> bool {
    is_zip(head) || head.starts_with(deb::MAGIC) || Compression::of(head).is_some() || tarball::is_tar(head)
}

/// A container that is known and not read, in words.
fn unread(head: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 4] = [
        (b"BZh", "compressed by bzip2"),
        (b"\xed\xab\xee\xdb", "an RPM package"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"hsqs", "a SquashFS image"),
    ];
    known.into_iter().find_map(|(magic, name)| head.starts_with(magic).then_some(name))
}

/// A noun that takes an `s`.
fn noun(format: Format) -> &'static str {
    match format {
        Format::Archive => "static archive",
        Format::Object => "object file",
        Format::Empty => "empty file",
        Format::Script => "script",
        Format::Core => "core dump",
        Format::DebugInfo => "debug information file",
        _ => "other file",
    }
}

fn head_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Fills the buffer as far as there is something; how far is the answer.
fn peek(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match source.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
