//! Who linked a shared library: the build script that named it, or whoever
//! uses what it defines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::explain::Program;
use super::owners::Linked;
use super::system;
use crate::artifact::Symbols;
use crate::finding::cause::{Cause, Origin, Sureness, What};

/// Symbols of one library that are asked after: enough to name its users.
const MOST_SYMBOLS: usize = 2000;

/// The imports that each library of those asked for provides.
pub fn symbols(program: &Program<'_>, asked: &[What]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for what in asked {
        if let What::Library { name } = what {
            found.insert(name.clone(), of_library(program, name));
        }
    }
    found
}

fn of_library(program: &Program<'_>, name: &str) -> Vec<String> {
    let symbols = program.facts.symbols.as_ref().map(Symbols::known).unwrap_or_default();
    let imported = || symbols.iter().filter(|symbol| !symbol.defined || symbol.file.is_some());
    let versioned = imported().filter(|symbol| symbol.file.as_deref() == Some(name));
    let mut found: BTreeSet<String> = versioned.map(|symbol| symbol.name.clone()).collect();
    // A reference without a version names no library: who defines it does.
    let folders: Vec<&Path> =
        scripts(program).flat_map(|script| &script.linked_paths).map(std::path::PathBuf::as_path).collect();
    let has_bare = imported().any(|symbol| symbol.file.is_none());
    let library = has_bare.then(|| system::find(name, program.facts, program.triple, &folders)).flatten();
    if let Some(library) = library {
        let defined = system::defined(&library);
        let bare =
            imported().filter(|symbol| symbol.file.is_none() && defined.contains(symbol.name.as_str()));
        found.extend(bare.map(|symbol| symbol.name.clone()));
    }
    found.into_iter().filter(|name| !name.is_empty()).take(MOST_SYMBOLS).collect()
}

fn scripts<'a>(program: &Program<'a>) -> impl Iterator<Item = &'a crate::workspace::Script> {
    let triple = program.triple;
    let is_of = move |own: &Option<String>| own.as_deref().is_none_or(|own| Some(own) == triple);
    program.outputs.scripts.iter().filter(move |script| is_of(&script.triple))
}

/// The packages whose build scripts linked the library, by cargo's ids.
pub fn linked_by<'a>(program: &Program<'a>, library: &str) -> Vec<&'a str> {
    let names = |word: &String| {
        let linked = Linked::parse(word);
        let rest = library.strip_prefix("lib").and_then(|rest| rest.strip_prefix(linked.name));
        !linked.is_static()
            && rest
                .and_then(|rest| rest.strip_prefix(".so"))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let scripts = scripts(program).filter(|script| script.linked_libs.iter().any(names));
    let mut ids: Vec<&str> = scripts.map(|script| script.package.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Libraries that programs of this kind have whatever their crates do.
pub fn of_the_toolchain(program: &Program<'_>, library: &str) -> Option<Cause> {
    match library {
        // std's `unwind` crate says `#[link(name = "gcc_s")]`.
        "libgcc_s.so.1" => Some(Cause::new(Origin::Std, Sureness::Exact)),
        "libc.so.6" => Some(Cause::new(Origin::Toolchain, Sureness::Exact)),
        _ if program.facts.is_own_loader(library) => Some(Cause::new(Origin::Toolchain, Sureness::Exact)),
        _ => None,
    }
}
