//! How the linked file itself uses its imports: what its code says, by the
//! names in its symbol table.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::code::{Code, Import};
use super::names;

/// Functions of one import that a chain is looked for: the nearest ones count.
const MOST_CHAINS: usize = 64;

/// One import's use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// These functions refer to it, or may, by a table that holds it.
    By(Vec<Function>),
    /// No relocation uses it.
    Dead,
    /// Something refers to it that has no name, as in a stripped file.
    Nameless,
}

/// A function that refers to an import, by its name in the symbol table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// It does not refer to it itself, but to a table that holds it.
    pub by_table: bool,
    /// The C start files brought it.
    pub is_start: bool,
    /// The shortest chain of calls from the user's own code to it, both
    /// included; empty where none was found.
    pub chain: Vec<String>,
    /// Some step of the chain is by a table: weaker than a direct call.
    pub through_table: bool,
}

/// The uses of the imports that were asked for.
#[derive(Debug, Default)]
pub struct Uses {
    imports: HashMap<String, Use>,
    /// Why the file could not be searched.
    pub unreadable: Option<String>,
}

impl Uses {
    pub fn of(&self, import: &str) -> Option<&Use> {
        self.imports.get(import)
    }

    /// Searches a file's code for these imports. `own` are the user's own
    /// crates; where none is known, chains begin at `main`.
    pub fn search(path: &Path, imports: &[String], own: &[&str]) -> Self {
        let code = match Code::open(path) {
            Ok(code) => code,
            Err(error) => {
                return Self { imports: HashMap::new(), unreadable: Some(error.to_string()) };
            }
        };
        let is_own = |name: &str| match own {
            [] => name == "main",
            own => names::crate_of(name).is_some_and(|name| own.contains(&name.as_str())),
        };
        // One name may be imported in more than one version.
        let mut by_name: BTreeMap<&str, Vec<&Import>> = BTreeMap::new();
        for import in code.imports() {
            by_name.entry(import.name.as_str()).or_default().push(import);
        }
        let mut found = HashMap::new();
        for name in imports {
            let Some(all) = by_name.get(name.as_str()) else { continue };
            let mut functions: Vec<Function> = Vec::new();
            let mut dead = true;
            for import in all {
                let references = code.references(import);
                dead &= references.dead;
                let direct = references.functions.iter().map(|function| (function, false));
                let tables = references.by_table.iter().map(|function| (function, true));
                for (function, by_table) in direct.chain(tables) {
                    let Some(symbol) = function.symbol() else { continue };
                    let chain =
                        (functions.len() < MOST_CHAINS).then(|| code.chain(function, is_own)).flatten();
                    functions.push(Function {
                        name: symbol.to_owned(),
                        by_table,
                        is_start: code.is_start_file(function),
                        through_table: chain.as_ref().is_some_and(|chain| chain.through_table),
                        chain: chain.map_or_else(Vec::new, |chain| {
                            chain.functions.iter().filter_map(|one| one.symbol().map(str::to_owned)).collect()
                        }),
                    });
                }
            }
            // What a table holds counts only where nothing calls it outright.
            if functions.iter().any(|function| !function.by_table) {
                functions.retain(|function| !function.by_table);
            }
            let one = match (dead, functions.is_empty()) {
                (true, _) => Use::Dead,
                (false, true) => Use::Nameless,
                (false, false) => Use::By(functions),
            };
            found.insert(name.clone(), one);
        }
        Self { imports: found, unreadable: None }
    }
}
