//! From functions to crates: the definitions in the archives that a program
//! was linked from.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::code::{Pattern, patterns};
use super::names;
use super::relocatable::{self, Kind, Said, Wanted};
use crate::artifact::archive::{self, Content};
use crate::artifact::{ReadError, Source};
use crate::workspace::{Outputs, Script};

/// Archives read at a time: each may hold some tables of an object in memory.
const AT_A_TIME: usize = 4;
/// Bytes of functions kept at most, to be found again in a stripped file.
const MOST_PATTERNS: usize = 64 << 20;

/// Whose an archive is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Of the sysroot.
    Std { crate_name: String },
    /// Of a package, by cargo's package id.
    Package { id: String, crate_name: Option<String> },
}

/// An rlib, or a static library that a build script named.
#[derive(Debug)]
pub struct Library {
    pub path: PathBuf,
    pub owner: Owner,
}

/// Where a definition or a reference is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub owner: Owner,
    /// The object, where rustc did not make it.
    pub object: Option<String>,
}

/// A reference to an import inside an archive.
#[derive(Debug, Clone)]
pub struct Reference {
    pub place: Place,
    pub function: Option<String>,
}

/// What the archives say of the names that were asked for.
#[derive(Debug, Default)]
pub struct Owners {
    defines: HashMap<String, Vec<Place>>,
    refers: HashMap<String, Vec<Reference>>,
    /// Functions that refer to the imports whose users have no name.
    pub patterns: Vec<(Place, Pattern)>,
    /// What could not be read, and why.
    pub unreadable: Vec<(PathBuf, ReadError)>,
    /// Archives that hold LLVM's code and nothing else: link-time optimisation.
    pub bitcode: usize,
    /// Packages, by cargo's ids, of which an archive holds objects of rustc's.
    pub with_objects: BTreeSet<String>,
}

impl Owners {
    pub fn of_function(&self, function: &str) -> &[Place] {
        self.defines.get(names::without_suffix(function)).map_or(&[], Vec::as_slice)
    }

    pub fn referring_to(&self, import: &str) -> &[Reference] {
        self.refers.get(import).map_or(&[], Vec::as_slice)
    }
}

/// The archives that programs for a target are linked from.
pub fn libraries(outputs: &Outputs, triple: Option<&str>, std: Option<&Path>) -> Vec<Library> {
    let is_of = |own: &Option<String>| own.as_deref().is_none_or(|own| Some(own) == triple);
    let mut found = Vec::new();
    let mut with_rlib = BTreeSet::new();
    for one in outputs.crates.iter().filter(|one| is_of(&one.triple)) {
        let owner = Owner::Package { id: one.package.clone(), crate_name: Some(one.name.clone()) };
        for path in &one.rlibs {
            with_rlib.insert(one.package.as_str());
            found.push(Library { path: path.clone(), owner: owner.clone() });
        }
    }
    for script in outputs.scripts.iter().filter(|script| is_of(&script.triple)) {
        // rustc packs static libraries into the rlib, unless it is told not to.
        let packed = with_rlib.contains(script.package.as_str());
        for library in script.linked_libs.iter().map(|word| Linked::parse(word)) {
            if !library.is_static() || (packed && !library.modifiers.contains("-bundle")) {
                continue;
            }
            let owner = Owner::Package { id: script.package.clone(), crate_name: None };
            found.extend(static_library(script, library.name).map(|path| Library { path, owner }));
        }
    }
    let entries = std.and_then(|folder| std::fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = stem.trim_start_matches("lib");
            let crate_name = name.rsplit_once('-').map_or(name, |(name, _)| name).to_owned();
            found.push(Library { owner: Owner::Std { crate_name }, path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    found
}

/// A word of `cargo::rustc-link-lib`: `[KIND[:MODIFIERS]=]NAME[:RENAME]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Linked<'w> {
    pub kind: Option<&'w str>,
    pub modifiers: &'w str,
    pub name: &'w str,
}

impl<'w> Linked<'w> {
    pub fn parse(word: &'w str) -> Self {
        let (kind, name) = match word.split_once('=') {
            Some((kind, name)) => (Some(kind), name),
            None => (None, word),
        };
        let (kind, modifiers) = match kind.and_then(|kind| kind.split_once(':')) {
            Some((kind, modifiers)) => (Some(kind), modifiers),
            None => (kind, ""),
        };
        // What is behind a colon is the name in the source.
        Self { kind, modifiers, name: name.split(':').next().unwrap_or(name) }
    }

    pub fn is_static(&self) -> bool {
        self.kind.is_some_and(|kind| kind.starts_with("static"))
    }
}

fn static_library(script: &Script, name: &str) -> Option<PathBuf> {
    let file = format!("lib{name}.a");
    script.linked_paths.iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// Reads the archives for the names asked for, and nothing else of them.
pub fn search(libraries: &[Library], wanted: &Wanted<'_>) -> Owners {
    let threads = rayon::current_num_threads().min(AT_A_TIME);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let results: Vec<_> = match pool {
        Ok(pool) => {
            pool.install(|| libraries.par_iter().map(|library| read_library(library, wanted)).collect())
        }
        Err(_) => libraries.iter().map(|library| read_library(library, wanted)).collect(),
    };
    let mut owners = Owners::default();
    let mut kept = 0;
    for (library, result) in libraries.iter().zip(results) {
        match result {
            Ok(found) => {
                owners.bitcode += usize::from(found.only_bitcode);
                if let (true, Owner::Package { id, .. }) = (found.has_objects, &library.owner) {
                    owners.with_objects.insert(id.clone());
                }
                for (function, place) in found.defines {
                    owners.defines.entry(function).or_default().push(place);
                }
                for (import, reference) in found.refers {
                    owners.refers.entry(import).or_default().push(reference);
                }
                kept += found.patterns.iter().map(|(_, pattern)| pattern.len()).sum::<usize>();
                if kept <= MOST_PATTERNS {
                    owners.patterns.extend(found.patterns);
                }
            }
            Err(error) => owners.unreadable.push((library.path.clone(), error)),
        }
    }
    for places in owners.defines.values_mut() {
        places.sort();
        places.dedup();
    }
    owners
}

#[derive(Default)]
struct InLibrary {
    defines: Vec<(String, Place)>,
    refers: Vec<(String, Reference)>,
    patterns: Vec<(Place, Pattern)>,
    only_bitcode: bool,
    has_objects: bool,
}

fn read_library(library: &Library, wanted: &Wanted<'_>) -> Result<InLibrary, ReadError> {
    let source = Source::open(&library.path)?;
    let mut found = InLibrary::default();
    let (mut objects, mut bitcode) = (0, 0);
    for member in archive::members(&source)? {
        if member.name == "lib.rmeta" {
            continue;
        }
        let outside;
        let (source, at) = match member.content {
            Content::Here { offset, len } => (&source, relocatable::Place { offset, len }),
            Content::File(file) => {
                outside = Source::open(&library.path.with_file_name("").join(file))?;
                (&outside, relocatable::Place { offset: 0, len: outside.size() })
            }
        };
        match relocatable::read(source, at, wanted)? {
            Kind::Object(said) => {
                let place = Place { owner: library.owner.clone(), object: native_object(&member.name) };
                objects += usize::from(place.object.is_none());
                found.take(source, at, &place, said, wanted);
            }
            Kind::Bitcode => bitcode += 1,
            Kind::Other => {}
        }
    }
    found.only_bitcode = bitcode > 0 && objects == 0;
    found.has_objects = objects > 0;
    Ok(found)
}

impl InLibrary {
    fn take(
        &mut self,
        source: &Source,
        at: relocatable::Place,
        place: &Place,
        said: Said,
        wanted: &Wanted<'_>,
    ) {
        let is_nameless = |import: &str| {
            wanted.nameless.contains(import) || wanted.nameless.contains(names::as_linked(import))
        };
        if said.refers.iter().any(|(import, _)| is_nameless(import)) {
            // What cannot be found again stays a candidate.
            let found = patterns(source, at.offset, at.len, &wanted.nameless).unwrap_or_default();
            self.patterns.extend(found.into_iter().map(|pattern| (place.clone(), pattern)));
        }
        self.defines.extend(said.defines.into_iter().map(|function| (function, place.clone())));
        self.refers.extend(
            said.refers
                .into_iter()
                .map(|(import, function)| (import, Reference { place: place.clone(), function })),
        );
    }
}

/// The name of an object that a C compiler made; rustc's own say so.
fn native_object(name: &str) -> Option<String> {
    if name.contains(".rcgu.") || name.contains("rust.allocator") {
        return None;
    }
    // The `cc` crate puts a hash before the source's name.
    let bare = name
        .split_once('-')
        .filter(|(hash, _)| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Some(bare.map_or(name, |(_, rest)| rest).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_build_scripts() {
        let linked = |kind, modifiers, name| Linked { kind, modifiers, name };
        for (word, expected) in [
            ("ssl", linked(None, "", "ssl")),
            ("dylib=ssl", linked(Some("dylib"), "", "ssl")),
            ("static:+whole-archive,-bundle=z", linked(Some("static"), "+whole-archive,-bundle", "z")),
            ("static-nobundle=z", linked(Some("static-nobundle"), "", "z")),
            ("dylib=a:b", linked(Some("dylib"), "", "a")),
        ] {
            assert_eq!(Linked::parse(word), expected);
        }
    }

    /// Every real rlib of the sysroot's smaller ones, with bytes changed and
    /// cut off: facts or an error, no panic, and no memory to speak of.
    #[test]
    #[cfg_attr(
        any(target_arch = "s390x", target_arch = "powerpc64"),
        ignore = "starts rustc, which is not in the root where this architecture is emulated"
    )]
    fn changed_archives_are_errors_at_most() {
        let rustc = crate::process::Invocation::new("rustc").args(["--print", "target-libdir"]);
        let folder = rustc.output().unwrap().unwrap();
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder.trim()).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.ends_with(".rlib")
                && ["libpanic_unwind", "libunwind"].iter().any(|own| name.starts_with(own))
        });
        assert!(!paths.is_empty());
        let mut wanted = Wanted::default();
        wanted.functions.insert(b"__rust_start_panic");
        wanted.imports.insert(b"_Unwind_RaiseException");
        wanted.nameless.insert("_Unwind_RaiseException");
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        let (mut read, mut refused) = (0, 0);
        for path in paths {
            let bytes = std::fs::read(&path).unwrap();
            for round in 0..2000 {
                let mut changed = bytes.clone();
                for _ in 0..round % 8 {
                    let at = next() % changed.len();
                    changed[at] = next() as u8;
                }
                if round % 5 == 0 {
                    changed.truncate(next() % bytes.len());
                }
                let source = Source::from_bytes(changed);
                let all = || -> Result<(), ReadError> {
                    for member in archive::members(&source)? {
                        let Content::Here { offset, len } = member.content else { continue };
                        let at = relocatable::Place { offset, len };
                        if let Kind::Object(_) = relocatable::read(&source, at, &wanted)? {
                            let _ = patterns(&source, offset, len, &wanted.nameless);
                        }
                    }
                    Ok(())
                };
                let mut result = Ok(());
                let measured = allocation_counter::measure(|| result = all());
                assert!(measured.bytes_max < 8 << 20, "{} bytes", measured.bytes_max);
                match result {
                    Ok(()) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(read > 100 && refused > 100, "{read} were read, {refused} refused");
    }

    #[test]
    fn objects_of_c() {
        let named = native_object;
        assert_eq!(named("0123456789abcdef-sqlite3.o").as_deref(), Some("sqlite3.o"));
        assert_eq!(named("inflate.o").as_deref(), Some("inflate.o"));
        assert_eq!(named("std-d1237ef7159db0a2.std.e28293b1aa0f68bd-cgu.0.rcgu.o"), None);
    }
}
