//! How the linked file itself uses its imports: what its code says, by the
//! names in its symbol table.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::code::{
    self, CannotSay, Chain, Code, Frame, Import, Line, Lines, Match, Pattern, Reached, References,
};
use super::names;
use crate::artifact::Source;
use crate::many::each_with;

/// Functions of one import that a chain is looked for: the nearest ones count.
const MOST_CHAINS: usize = 64;
/// Places of one import in one function that lines are looked for.
const MOST_PLACES: usize = 16;
/// Bytes of debug information that are read unasked: some 0.1 s.
const CHEAP: u64 = 32 << 20;

/// One import's use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// Who refers to it, or may, by a table that holds it, as far as they have
    /// names.
    pub functions: Vec<Function>,
    /// No relocation uses it.
    pub dead: bool,
    /// Where code without a name refers to it, as in a stripped file.
    pub nameless: Vec<u64>,
    /// Code without a name may refer to it by a table.
    pub by_nameless_table: bool,
}

impl Use {
    /// Whether its functions are not all that refers to it.
    pub fn is_nameless(&self) -> bool {
        !self.nameless.is_empty() || self.by_nameless_table
    }

    /// Whether code names it, with or without a name of its own.
    pub fn is_in_code(&self) -> bool {
        !self.nameless.is_empty() || self.functions.iter().any(|function| !function.by_table)
    }
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
    /// Where in it, where debug information tells.
    pub places: Vec<Place>,
}

/// Where a function refers to an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The functions that were inlined there, the innermost first.
    pub inlined: Vec<Frame>,
    /// In the function itself: where the outermost of those is called, if any.
    pub line: Option<Line>,
}

impl Place {
    fn new(mut frames: Vec<Frame>) -> Option<Self> {
        // A line without a function says nothing of what was inlined.
        let own = frames.pop().filter(|own| own.function.is_some())?;
        Some(Self { inlined: frames, line: own.line })
    }
}

/// What is looked for beside the functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    #[default]
    Functions,
    /// What was inlined into them, where debug information tells that cheaply.
    Inlined,
    /// Source lines, whatever they cost.
    Lines,
}

/// The uses of the imports that were asked for.
#[derive(Debug, Default)]
pub struct Uses {
    imports: HashMap<String, Use>,
    pub detail: Detail,
    /// Why the file could not be searched.
    pub unreadable: Option<String>,
    /// Why there are no source lines, where they were asked for.
    pub no_lines: Option<String>,
    file: Option<File>,
}

#[derive(Debug)]
struct File {
    source: Source,
    code: Code,
}

impl File {
    fn open(path: &Path) -> Result<Self, CannotSay> {
        let source = Source::open(path)?;
        let code = Code::read(&source)?;
        Ok(Self { source, code })
    }

    fn lines(&self, detail: Detail) -> (Option<Lines>, Option<String>) {
        let read = match detail {
            Detail::Functions => return (None, None),
            // What is not cheap was not asked for.
            Detail::Inlined => return (Lines::read_within(&self.source, CHEAP).ok().flatten(), None),
            Detail::Lines => Lines::read(&self.source),
        };
        match read {
            Ok(Some(lines)) => (Some(lines), None),
            Ok(None) => (None, Some("the file has no debug information that can be read".to_owned())),
            Err(error) => (None, Some(error.to_string())),
        }
    }
}

impl Uses {
    pub fn of(&self, import: &str) -> Option<&Use> {
        self.imports.get(import)
    }

    /// Whether functions have no names, because `.symtab` was stripped.
    pub fn is_stripped(&self) -> bool {
        self.file.as_ref().is_some_and(|file| !file.code.has_symbols())
    }

    /// Whether Rust functions of the file have names of the older kind; std's
    /// own have the newer one.
    pub fn has_legacy_names(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.code.functions().any(names::is_legacy))
    }

    /// Searches a file's code for these imports. `own` are the user's own
    /// crates; where none is known, chains begin at `main`.
    pub fn search(path: &Path, imports: &[String], own: &[&str], detail: Detail) -> Self {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return Self { unreadable: Some(error.to_string()), ..Self::default() },
        };
        let (lines, no_lines) = file.lines(detail);
        let is_own = |name: &str| match own {
            [] => name == "main",
            own => names::crate_of(name).is_some_and(|name| own.contains(&name.as_str())),
        };
        let users = file.code.users(is_own);
        // One name may be imported in more than one version.
        let mut by_name: BTreeMap<&str, Vec<&Import>> = BTreeMap::new();
        for import in file.code.imports() {
            by_name.entry(import.name.as_str()).or_default().push(import);
        }
        let asked = imports.iter().filter_map(|name| Some((name, by_name.get(name.as_str())?)));
        let with_sites = lines.is_some();
        let used = each_with(asked.collect(), Reached::default, |reached, (name, all)| {
            let mut one = Use { dead: true, ..Use::default() };
            let mut sites = Vec::new();
            for import in all {
                let references = file.code.references(import);
                one.dead &= references.dead;
                let chain = |function: &_| file.code.chain_from(function, &users, reached);
                sites.extend(one.take(&file.code, import, &references, chain, with_sites));
            }
            (name, one, sites)
        });
        let mut found = HashMap::new();
        for (name, mut one, sites) in used {
            if let Some(lines) = &lines {
                for (function, sites) in one.functions.iter_mut().zip(sites) {
                    let places = sites.iter().take(MOST_PLACES);
                    function.places = places.filter_map(|site| Place::new(lines.frames(*site))).collect();
                }
            }
            // What a table holds counts only where nothing calls it outright.
            if one.functions.iter().any(|function| !function.by_table) || !one.nameless.is_empty() {
                one.functions.retain(|function| !function.by_table);
                one.by_nameless_table = false;
            }
            found.insert(name.clone(), one);
        }
        Self { imports: found, detail, unreadable: None, no_lines, file: Some(file) }
    }

    /// Which of the functions offered stand where nameless code refers to an
    /// import, by their bytes.
    pub fn matches(&self, import: &str, offered: &[&Pattern]) -> Vec<Match> {
        let (Some(file), Some(one)) = (&self.file, self.of(import)) else { return Vec::new() };
        let mut found = Vec::new();
        for import in file.code.imports().filter(|own| own.name == import) {
            // What cannot be compared is no match.
            let matches = file.code.match_functions(&file.source, import, offered).unwrap_or_default();
            found.extend(matches.into_iter().filter(|found| one.nameless.contains(&found.site)));
        }
        found
    }
}

impl Use {
    /// Takes who refers to an import; where each does, if that is wanted.
    fn take(
        &mut self,
        code: &Code,
        import: &Import,
        references: &References,
        mut chain: impl FnMut(&code::Function) -> Option<Chain>,
        with_sites: bool,
    ) -> Vec<Vec<u64>> {
        let mut all_sites = Vec::new();
        let direct = references.functions.iter().map(|function| (function, false));
        let tables = references.by_table.iter().map(|function| (function, true));
        for (function, by_table) in direct.chain(tables) {
            let is_start = code.is_start_file(function);
            let name = match function.symbol() {
                Some(name) => name,
                // What a stripped program begins with.
                None if is_start => "_start",
                None => {
                    match by_table {
                        true => self.by_nameless_table = true,
                        false => self.nameless.extend(code.sites(import, function)),
                    }
                    continue;
                }
            };
            let chain = if self.functions.len() < MOST_CHAINS { chain(function) } else { None };
            let has_sites = with_sites && !by_table;
            all_sites.push(if has_sites { code.sites(import, function) } else { Vec::new() });
            self.functions.push(Function {
                places: Vec::new(),
                name: name.to_owned(),
                by_table,
                is_start,
                through_table: chain.as_ref().is_some_and(|chain| chain.through_table),
                chain: chain.map_or_else(Vec::new, |chain| {
                    chain.functions.iter().filter_map(|one| one.symbol().map(str::to_owned)).collect()
                }),
            });
        }
        // Without symbols nothing tells a function from what lies between two.
        if !code.has_symbols() || self.functions.is_empty() {
            self.nameless.extend(&references.unnamed);
        }
        all_sites
    }
}
