//! What a later link takes: object files and archives of them. Which strong
//! references they leave open, what they define, and who refers to what.

pub mod archive;
mod object;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use self::archive::{Content, Member, members};
pub use self::object::Place;
use self::object::{Globals, Kind, Object, Window};
use super::format::{Format, sniff};
use super::{Arch, ReadError, Source, contained};

/// Names and symbols kept of one archive at most, in bytes. The largest
/// archives of Debian's C++ libraries have some 100 MiB.
const MOST_NAMES: u64 = 1 << 30;
/// Places told of one name.
const MOST_PLACES: usize = 8;

/// The facts of an object file or an archive.
#[derive(Debug, Clone)]
pub struct Linkable {
    pub format: Format,
    /// Of the first object; `None` where there is none.
    pub arch: Option<Arch>,
    /// Objects that were read.
    pub objects: usize,
    /// An archive of rustc's: it has `lib.rmeta`.
    pub rlib: bool,
    /// Members that hold no symbols that can be read, and why (fact 5).
    pub unread: Vec<Unread>,
    /// Strong references that no member answers, by name.
    pub open: Vec<Open>,
    /// Sections for which the linker makes `__start_…` and `__stop_…`, as far
    /// as an open reference asks for one.
    pub sections: BTreeSet<String>,
}

/// A member that was not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unread {
    pub member: String,
    pub why: String,
}

/// A strong reference that is open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Open {
    pub name: String,
    /// Of hidden visibility: a shared library cannot answer it.
    pub hidden: bool,
}

/// Who refers to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The archive's member; `None` in an object file.
    pub member: Option<String>,
    pub place: Place,
}

/// An object of a file, with the name of its member.
type Visit<'v> = dyn FnMut(Option<&str>, Window<'_>) -> Result<(), ReadError> + 'v;

/// Calls for the object that a file is, or each member of an archive; the
/// archive's folder is where a thin one finds its files.
fn each_object(
    path: &Path,
    source: &Source,
    unread: &mut Vec<Unread>,
    visit: &mut Visit<'_>,
) -> Result<Format, ReadError> {
    let format = match sniff(source)? {
        Format::Elf => Format::Object,
        format => format,
    };
    if format != Format::Archive {
        visit(None, Window { source, offset: 0, len: source.size() })?;
        return Ok(format);
    }
    for Member { name, content } in members(source)? {
        match content {
            Content::Here { offset, len } => {
                visit(Some(&name), Window { source, offset, len })?;
            }
            Content::File(file) => {
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                let opened = Source::open(&file);
                match opened {
                    Ok(source) => {
                        visit(Some(&name), Window { source: &source, offset: 0, len: source.size() })?;
                    }
                    Err(error) => unread.push(Unread {
                        why: format!("{} of the thin archive: {error}", crate::text::path(&file)),
                        member: name,
                    }),
                }
            }
        }
    }
    Ok(format)
}

/// The metadata that rustc keeps beside its objects; it holds no code.
fn is_metadata(member: Option<&str>) -> bool {
    matches!(member, Some("lib.rmeta" | "rust.metadata.bin"))
}

/// Reads which references a file leaves open.
pub fn read(path: &Path, source: &Source) -> Result<Linkable, ReadError> {
    let mut facts = Linkable {
        format: Format::Object,
        arch: None,
        objects: 0,
        rlib: false,
        unread: Vec::new(),
        open: Vec::new(),
        sections: BTreeSet::new(),
    };
    let mut unread = Vec::new();
    let mut missing = Vec::new();
    let mut kept: Vec<Globals> = Vec::new();
    let mut size = 0;
    facts.format = each_object(path, source, &mut missing, &mut |member, window| {
        if is_metadata(member) {
            facts.rlib = true;
            return Ok(());
        }
        let mut leave = |why: String| {
            unread.push(Unread { member: member.unwrap_or_default().to_owned(), why });
        };
        let globals = match (object::globals(window), member) {
            (Ok(Object::Relocatable(globals)), _) => globals,
            (Ok(Object::Other(what)), _) => {
                leave(what.to_owned());
                return Ok(());
            }
            (Err(error), None) => return Err(error),
            (Err(error), Some(_)) => {
                leave(error.to_string());
                return Ok(());
            }
        };
        match &facts.arch {
            Some(arch) if !arch.same_as(globals.arch) => {
                leave(format!("for {}, unlike the members before it", globals.arch));
                return Ok(());
            }
            _ => facts.arch = Some(globals.arch),
        }
        size += globals.size();
        if size > MOST_NAMES {
            return Err(ReadError::TooLarge { what: "all symbol tables", len: size, most: MOST_NAMES });
        }
        facts.objects += 1;
        kept.push(globals);
        Ok(())
    })?;
    facts.unread = unread;
    facts.unread.append(&mut missing);
    facts.open = open(&kept);
    if facts.open.iter().any(|open| open.name.starts_with("__start_") || open.name.starts_with("__stop_")) {
        let mut sections = BTreeSet::new();
        each_object(path, source, &mut Vec::new(), &mut |_, window| {
            // What could not be read was said before.
            sections.extend(object::section_names(window).unwrap_or_default());
            Ok(())
        })?;
        facts.sections = sections;
    }
    Ok(facts)
}

/// U − D of fact 27, by name.
fn open(kept: &[Globals]) -> Vec<Open> {
    let mut open: HashMap<&[u8], bool> = HashMap::new();
    for (name, kind) in kept.iter().flat_map(Globals::iter) {
        if matches!(kind, Kind::Undefined | Kind::UndefinedHidden) {
            *open.entry(name).or_default() |= kind == Kind::UndefinedHidden;
        }
    }
    for (name, kind) in kept.iter().flat_map(Globals::iter) {
        if kind == Kind::Defined {
            open.remove(defined_name(name));
        }
    }
    let mut open: Vec<Open> =
        open.into_iter().map(|(name, hidden)| Open { name: super::elf::lossy(name), hidden }).collect();
    open.sort();
    open
}

/// `.symver` defines `name@@VERSION`, which a plain reference binds to.
fn defined_name(name: &[u8]) -> &[u8] {
    match name.windows(2).position(|pair| pair == b"@@") {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// Who refers to each of the names, by relocations; a name that only stands in
/// a symbol table is left out: no linker asks for it. Names of debug
/// information count, as they do for the linker.
pub fn referrers(path: &Path, names: &HashSet<&str>) -> Result<BTreeMap<String, Vec<Referrer>>, ReadError> {
    let source = Source::open(path)?;
    let mut found: BTreeMap<String, Vec<Referrer>> = BTreeMap::new();
    let wanted = |name: &[u8]| {
        std::str::from_utf8(name)
            .map_or_else(|_| names.contains(super::elf::lossy(name).as_str()), |name| names.contains(name))
    };
    contained(|| {
        each_object(path, &source, &mut Vec::new(), &mut |member, window| {
            // What could not be read was said before.
            for (name, place) in object::references(window, &wanted).unwrap_or_default() {
                let places = found.entry(name).or_default();
                if places.len() < MOST_PLACES {
                    places.push(Referrer { member: member.map(str::to_owned), place });
                }
            }
            Ok(())
        })
    })?;
    Ok(found)
}

/// Calls for each name that an object file or archive defines.
pub fn definitions(path: &Path, arch: Arch, visit: &mut dyn FnMut(&[u8])) -> Result<Vec<Unread>, ReadError> {
    let source = Source::open(path)?;
    let mut unread = Vec::new();
    let mut missing = Vec::new();
    contained(|| {
        each_object(path, &source, &mut missing, &mut |member, window| {
            match object::globals(window) {
                Ok(Object::Relocatable(globals)) if globals.arch.same_as(arch) => {
                    for (name, kind) in globals.iter() {
                        if kind == Kind::Defined {
                            visit(defined_name(name));
                        }
                    }
                }
                Ok(Object::Relocatable(_)) => {}
                _ if is_metadata(member) => {}
                Ok(Object::Other(why)) => {
                    unread
                        .push(Unread { member: member.unwrap_or_default().to_owned(), why: why.to_owned() });
                }
                Err(error) if member.is_none() => return Err(error),
                Err(error) => unread
                    .push(Unread { member: member.unwrap_or_default().to_owned(), why: error.to_string() }),
            }
            Ok(())
        })
    })?;
    unread.append(&mut missing);
    Ok(unread)
}
