//! What a later link would find for an object file or an archive: unresolved =
//! U − D − L − S (fact 27). U and D are facts of the file; L is what libraries
//! define, found as the C compiler finds them; S is what linker and rustc make.

mod library;
mod script;
mod search;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use self::library::{Library, Shelf};
use self::search::Search;
use crate::artifact::{self, Arch, Linkable, Open, Referrer};
use crate::text::nearest_symbol;

/// What every link for these systems brings: the C library's family, as rustc
/// names it for each staticlib, and the compiler's own.
const FAMILY: &[&str] = &["c", "m", "pthread", "dl", "rt", "util", "gcc_s"];
/// The compiler's sanitizers stand in for what other libraries define.
const INTERCEPTORS: &[&str] = &["asan", "hwasan", "lsan", "tsan", "ubsan"];
/// The compiler's part of a shared object, as files.
const STARTUP: &[&str] = &["libgcc.a", "crti.o", "crtbeginS.o", "crtendS.o", "crtn.o"];
/// Libraries looked through for one that has what is missing.
const MOST_LIBRARIES: usize = 600;
/// Larger ones are passed over, in bytes.
const LARGEST_LIBRARY: u64 = 64 << 20;
/// Names for which a similar one is looked for.
const MOST_EXPLAINED: usize = 64;
/// Names for which a library is looked for.
const MOST_LOOKED_UP: usize = 1000;

/// A library that is linked with, as someone named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// `z`, `:libz.a`, or a path.
    pub name: String,
    pub only_static: bool,
}

impl Wanted {
    /// As `rustc -l` takes it: `[KIND[:MODIFIERS]=]NAME[:RENAME]`. Frameworks
    /// are Apple's.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('=').unwrap_or(("", text));
        let kind = kind.split(':').next().unwrap_or(kind);
        // A rename stands for the name that `#[link]` has.
        let name = match name.strip_prefix(':') {
            Some(_) => name,
            None => name.split_once(':').map_or(name, |(_, renamed)| renamed),
        };
        let wanted = Self { name: name.to_owned(), only_static: kind == "static" };
        (kind != "framework" && !name.is_empty()).then_some(wanted)
    }
}

/// What is known of the link of one file.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub triple: Option<String>,
    /// The linker of cargo's configuration.
    pub linker: Option<String>,
    /// Folders named for libraries.
    pub folders: Vec<PathBuf>,
    pub libraries: Vec<Wanted>,
    /// What this is linked with beside libraries: rlibs of its dependencies and
    /// of the sysroot, objects that were named with it.
    pub objects: Vec<PathBuf>,
    /// Whether `objects` has every rlib.
    pub knows_rlibs: bool,
}

/// A reference that nothing answers.
#[derive(Debug, Clone)]
pub struct Unresolved {
    pub name: String,
    pub referrers: Vec<Referrer>,
    /// A name that exists and differs little.
    pub nearest: Option<String>,
    /// A library at hand that was not named and has it: `z`.
    pub library: Option<String>,
}

/// Whether a file is complete.
#[derive(Debug)]
pub struct Completeness {
    pub facts: Linkable,
    pub unresolved: Vec<Unresolved>,
    /// Open names that the policy allows.
    pub provided: Vec<String>,
    /// Why a name that looks unresolved may be resolved after all, in words.
    pub unsure: Vec<String>,
    /// Libraries that were asked, by the names under which they are linked.
    pub asked: Vec<String>,
}

/// Knows libraries and compilers, and keeps what was read.
#[derive(Debug, Default)]
pub struct Linker {
    searches: HashMap<(Option<String>, Option<String>), Search>,
    shelves: HashMap<Option<String>, Shelf>,
}

impl Linker {
    /// Holds a file against what its link would find. `allowed` says which
    /// names the policy allows.
    pub fn complete(
        &mut self,
        path: &Path,
        facts: Linkable,
        given: &Given,
        allowed: &dyn Fn(&str) -> bool,
    ) -> Completeness {
        let mut done = Completeness {
            unresolved: Vec::new(),
            provided: Vec::new(),
            unsure: Vec::new(),
            asked: Vec::new(),
            facts,
        };
        let Some(arch) = done.facts.arch else { return done };
        let mut open: Vec<Open> = (done.facts.open.iter())
            .filter(|open| !is_made(&done.facts, arch, &open.name))
            .cloned()
            .collect();
        let shelf = self.shelves.entry(given.triple.clone()).or_default();
        let mut read: Vec<Library> = Vec::new();
        for object in given.objects.iter().filter(|object| *object != path) {
            if open.is_empty() {
                return done;
            }
            match shelf.take(object, arch, &Search::default()) {
                Ok(libraries) => take(&mut open, libraries, &mut read),
                Err(why) => done.unsure.push(why),
            }
        }
        if open.is_empty() {
            return done;
        }
        let key = (given.triple.clone(), given.linker.clone());
        let search = self
            .searches
            .entry(key)
            .or_insert_with(|| Search::of_target(given.triple.as_deref(), given.linker.as_deref()));
        if search.compiler.is_none() {
            done.unsure.push(match &given.triple {
                Some(triple) => {
                    format!("no C compiler for {triple} was found, so its C library is not known")
                }
                None => "no C compiler was found, so the C library is not known".to_owned(),
            });
        }
        let search = search.with_folders(&given.folders);
        let family = FAMILY.iter().map(|name| Wanted { name: (*name).to_owned(), only_static: false });
        let of_compiler = family.filter_map(|wanted| Some((find(&search, &wanted)?, None)));
        let startup = STARTUP.iter().filter_map(|name| Some((search.file(name)?, None)));
        let mut libraries: Vec<(PathBuf, Option<&Wanted>)> = of_compiler.chain(startup).collect();
        for wanted in &given.libraries {
            match find(&search, wanted) {
                Some(path) => libraries.push((path, Some(wanted))),
                None => done.unsure.push(format!("the library `{}` was not found", wanted.name)),
            }
        }
        for (path, wanted) in libraries {
            if open.is_empty() {
                break;
            }
            match shelf.take(&path, arch, &search) {
                Ok(libraries) => take(&mut open, libraries, &mut read),
                Err(why) => done.unsure.push(why),
            }
            done.asked.extend(wanted.map(|wanted| wanted.name.clone()));
        }
        if done.facts.rlib && !given.knows_rlibs && open.iter().any(|open| is_rust(&open.name)) {
            done.unsure.push("which crates it is linked with is not known".to_owned());
        }
        let (provided, open): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|open| allowed(&open.name));
        done.provided = provided.into_iter().map(|open| open.name).collect();
        if !open.is_empty() {
            done.unresolved = explain(path, &open, arch, &read, &mut done.unsure);
            let elsewhere = done.unresolved.iter().any(|one| !is_rust(&one.name));
            if elsewhere && done.facts.unread.is_empty() {
                name_libraries(&mut done.unresolved, arch, &search, shelf);
            }
        }
        if done.unresolved.is_empty() {
            done.unsure.clear();
        }
        done
    }
}

/// Removes what the libraries answer.
fn take(open: &mut Vec<Open>, libraries: Vec<Library>, read: &mut Vec<Library>) {
    for library in libraries {
        open.retain(|open| !library.answers(&open.name, open.hidden));
        read.push(library);
    }
}

fn find(search: &Search, wanted: &Wanted) -> Option<PathBuf> {
    let path = Path::new(&wanted.name);
    if path.components().count() > 1 || wanted.name.ends_with(".a") || wanted.name.ends_with(".o") {
        return path.is_file().then(|| path.to_owned()).or_else(|| search.file(&wanted.name));
    }
    search.library(&wanted.name, wanted.only_static)
}

/// Who refers to what is open, and what may have been meant.
fn explain(
    path: &Path,
    open: &[Open],
    arch: Arch,
    read: &[Library],
    unsure: &mut Vec<String>,
) -> Vec<Unresolved> {
    let names: HashSet<&str> = open.iter().map(|open| open.name.as_str()).collect();
    let mut referrers: BTreeMap<String, Vec<Referrer>> = match artifact::referrers(path, &names) {
        Ok(referrers) => referrers,
        Err(error) => {
            unsure.push(error.to_string());
            BTreeMap::new()
        }
    };
    let nearest = near_names(path, open, arch, read);
    let told = open.iter().filter_map(|open| {
        Some(Unresolved {
            name: open.name.clone(),
            referrers: referrers.remove(&open.name)?,
            nearest: nearest.get(open.name.as_str()).cloned(),
            library: None,
        })
    });
    told.collect()
}

/// For each name one that exists and differs little.
fn near_names<'o>(path: &Path, open: &'o [Open], arch: Arch, read: &[Library]) -> HashMap<&'o str, String> {
    // Of short names every other is near.
    let mut near: HashMap<&str, String> = HashMap::new();
    let wrong: Vec<&str> = open
        .iter()
        .map(|open| open.name.as_str())
        .filter(|name| name.len() >= 5)
        .take(MOST_EXPLAINED)
        .collect();
    let mut compare = |name: &[u8]| {
        let Ok(name) = std::str::from_utf8(name) else { return };
        for wrong in &wrong {
            let known = near.get(wrong).map(String::as_str);
            let both = [Some(name), known].into_iter().flatten();
            if let Some(best) = nearest_symbol(wrong, both).filter(|best| known != Some(*best)) {
                let best = best.to_owned();
                near.insert(wrong, best);
            }
        }
    };
    // What cannot be read here was said before.
    let _ = artifact::definitions(path, arch, &mut compare);
    for library in read {
        library.each_name(&mut compare);
    }
    near
}

/// Looks for what is missing in libraries that nobody named. Of several that
/// have a name, the one that has most of the names.
fn name_libraries(unresolved: &mut [Unresolved], arch: Arch, search: &Search, shelf: &mut Shelf) {
    let mut answers: Vec<(String, Vec<usize>)> = Vec::new();
    for (name, path) in search.shared().into_iter().take(MOST_LIBRARIES) {
        let small = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= LARGEST_LIBRARY);
        if !small || [FAMILY, INTERCEPTORS].iter().any(|known| known.contains(&name.as_str())) {
            continue;
        }
        let Ok(libraries) = shelf.take(&path, arch, search) else { continue };
        let has = |one: &Unresolved| {
            let shared = |library: &&Library| matches!(library, Library::Shared(_));
            libraries.iter().filter(shared).any(|library| library.answers(&one.name, false))
        };
        let asked = unresolved.iter().take(MOST_LOOKED_UP).enumerate();
        let has: Vec<usize> = asked.filter(|(_, one)| has(one)).map(|(at, _)| at).collect();
        if !has.is_empty() {
            answers.push((name, has));
        }
    }
    // The first of equals: they are in the linker's order.
    while let Some(most) = (0..answers.len()).rev().max_by_key(|at| answers[*at].1.len()) {
        let (name, has) = answers.remove(most);
        for at in &has {
            unresolved[*at].library = Some(name.clone());
        }
        for (_, left) in &mut answers {
            left.retain(|at| !has.contains(at));
        }
        answers.retain(|(_, left)| !left.is_empty());
    }
}

/// A name that rustc mangled (v0, or legacy with its hash).
pub fn is_rust(name: &str) -> bool {
    match rustc_demangle::try_demangle(name) {
        // C++ mangles alike, and has no hash.
        Ok(name) if name.as_str().starts_with("_ZN") => name.as_str().contains("17h"),
        demangled => demangled.is_ok(),
    }
}

/// S of fact 27: names that the linker makes, and rustc's allocator shim, which
/// is made at the final link (fact 52).
fn is_made(facts: &Linkable, arch: Arch, name: &str) -> bool {
    const OF_LINKER: &[&str] = &[
        "_GLOBAL_OFFSET_TABLE_",
        "_DYNAMIC",
        "_PROCEDURE_LINKAGE_TABLE_",
        "_TLS_MODULE_BASE_",
        "__dso_handle",
        "__ehdr_start",
        "__executable_start",
        "__bss_start",
        "_edata",
        "edata",
        "_end",
        "end",
        "_etext",
        "etext",
        "__etext",
    ];
    if OF_LINKER.contains(&name) {
        return true;
    }
    let section = name.strip_prefix("__start_").or_else(|| name.strip_prefix("__stop_"));
    if section.is_some_and(|section| facts.sections.contains(section)) {
        return true;
    }
    match arch.machine {
        EM_PPC64 if name == ".TOC." || is_save_routine(name) => return true,
        EM_RISCV if name == "__global_pointer$" => return true,
        _ => {}
    }
    facts.rlib
        && rustc_demangle::try_demangle(name).is_ok_and(|name| format!("{name:#}").starts_with("__rustc::"))
}

const EM_PPC64: u16 = 21;
const EM_RISCV: u16 = 243;

/// Out-of-line register save and restore routines, which the linker writes
/// (64-bit ELF V2 ABI for Power, "Register Save and Restore Functions").
fn is_save_routine(name: &str) -> bool {
    const ROUTINES: &[&str] = &[
        "_savegpr0_",
        "_restgpr0_",
        "_savegpr1_",
        "_restgpr1_",
        "_savefpr_",
        "_restfpr_",
        "_savevr_",
        "_restvr_",
    ];
    let number = ROUTINES.iter().find_map(|routine| name.strip_prefix(routine));
    number.and_then(|number| number.parse::<u8>().ok()).is_some_and(|number| (14..=31).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_as_rustc_names_them() {
        for (text, name, only_static) in [
            ("z", "z", false),
            ("dylib=ssl", "ssl", false),
            ("static=part", "part", true),
            ("static:+whole-archive=part", "part", true),
            ("static=old:new", "new", true),
            (":libz.a", ":libz.a", false),
        ] {
            let expected = Wanted { name: name.to_owned(), only_static };
            assert_eq!(Wanted::parse(text), Some(expected), "{text}");
        }
        assert_eq!(Wanted::parse("framework=Security"), None);
        assert_eq!(Wanted::parse("static="), None);
    }

    #[test]
    fn names_of_rust() {
        assert!(is_rust("_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE"));
        assert!(is_rust("_RNvCs15kBYyAo9fc_7mycrate7example"));
        for name in ["_ZN3FooC1Ev", "write_str", "example.com/x.(*T).entry", "_Znwm"] {
            assert!(!is_rust(name), "{name}");
        }
    }

    #[test]
    fn save_routines_of_power() {
        assert!(is_save_routine("_savegpr0_14") && is_save_routine("_restvr_31"));
        assert!(!is_save_routine("_savegpr0_") && !is_save_routine("_savegpr0_99"));
    }
}
