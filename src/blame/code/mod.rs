//! Inside a linked file: which functions need an import, and who calls them.
//!
//! A dynamic relocation gives the slot of an import. Code is scanned for
//! references to that slot, and to the stub that jumps through it; `.symtab`
//! names the function around each. No disassembler takes part.

mod addresses;
mod frames;
mod functions;
mod graph;
mod image;
mod lines;
mod patterns;
mod scan;
mod tables;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use self::functions::Functions;
use self::graph::Graph;
pub use self::graph::Reached;
use self::image::{Filled, Image, Section, Slot};
pub use self::lines::{Frame, Line, Lines};
pub use self::patterns::{Pattern, patterns};
use self::scan::{Found, NOBODY, Use};
use self::tables::Tables;
use crate::artifact::{ReadError, Source};

/// As many bytes alike are no chance.
const ENOUGH: usize = 24;
/// Bytes compared at most to name the users of one import.
const MOST_COMPARED: usize = 1 << 28;

/// The functions of `Scrt1.o`, `crti.o` and `crtbeginS.o`.
const START: [&str; 9] = [
    "_start",
    "_init",
    "_fini",
    "deregister_tm_clones",
    "register_tm_clones",
    "__do_global_dtors_aux",
    "frame_dummy",
    "call_weak_fn",
    "_dl_relocate_static_pie",
];

/// The architectures whose code is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    X86_64,
    S390x,
    Ppc64le,
    Aarch64,
}

/// Why a file's code says nothing.
#[derive(Debug)]
pub enum CannotSay {
    Unreadable(ReadError),
    /// An `e_machine` whose code is not understood.
    Machine(u16),
    /// What it is instead of a linked file of 64 bits.
    NotLinked(&'static str),
    /// The section headers were stripped, and nothing else says where what is.
    NoSections,
    /// More of something than any real file has.
    TooMuch(&'static str),
}

impl From<ReadError> for CannotSay {
    fn from(error: ReadError) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Display for CannotSay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Machine(machine) => write!(f, "code for machine {machine} (e_machine) is not understood"),
            Self::NotLinked(what) => f.write_str(what),
            Self::NoSections => f.write_str("it has no section headers that tell where its code is"),
            Self::TooMuch(what) => write!(f, "it has more {what} than are read"),
        }
    }
}

impl std::error::Error for CannotSay {}

/// A symbol that another file defines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Import {
    pub name: String,
    /// The version node that is asked for, `GLIBC_2.34`; `None` where any will do.
    pub version: Option<String>,
}

/// A function of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// Mangled names, the leading one first; several where functions were
    /// folded into one, none in a stripped file.
    pub symbols: Vec<String>,
    /// Where it begins.
    pub address: u64,
}

impl Function {
    pub fn symbol(&self) -> Option<&str> {
        self.symbols.first().map(String::as_str)
    }
}

/// Who needs an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Functions whose own code calls it or takes its address, by address.
    pub functions: Vec<Function>,
    /// Functions that name a table in data in which the import stands: they
    /// may call it.
    pub by_table: Vec<Function>,
    /// The names of such tables, as far as they have some.
    pub tables: Vec<String>,
    /// Places in code that belong to no known function.
    pub unnamed: Vec<u64>,
    /// No relocation fills in its address: nothing can call it.
    pub dead: bool,
}

/// How sure it is which function a match is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sure {
    /// A symbol of the file says so.
    Exact,
    /// Its bytes do, and those of no other function that was offered.
    Likely,
    /// It may be: its bytes are few, or those of others too.
    Candidate,
}

/// A function of a stripped file that is known by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub function: Function,
    /// Where in it the import is named.
    pub site: u64,
    pub sure: Sure,
}

/// A way of calls, the first of the functions the user's own and the last the
/// one asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub functions: Vec<Function>,
    /// Some step is by a table or an address that is taken, and so only likely.
    pub through_table: bool,
}

/// Functions of the user's own, each found out once: names take long to read.
#[derive(Debug)]
pub struct Users<F> {
    is_user: F,
    known: Vec<AtomicU8>,
}

const UNKNOWN: u8 = 2;

/// The code of one linked file.
#[derive(Debug)]
pub struct Code {
    machine: Machine,
    entry: u64,
    /// Sections of code.
    code: Vec<Section>,
    imports: Vec<Option<Import>>,
    /// The slots that hold imports, by the import's position.
    import_slots: Vec<(u32, u32)>,
    slots: Vec<Slot>,
    functions: Functions,
    tables: Tables,
    found: Found,
    graph: Graph,
}

impl Code {
    /// Reads a file's code, symbols and relocations.
    ///
    /// # Errors
    /// Where the file is not readable, for a machine that is not understood, or
    /// without section headers.
    pub fn open(path: &Path) -> Result<Self, CannotSay> {
        Self::read(&Source::open(path)?)
    }

    /// The same of bytes or a file that is open.
    pub fn read(source: &Source) -> Result<Self, CannotSay> {
        let image = Image::open(source)?;
        let functions = Functions::read(&image)?;
        let slots = image.slots()?;
        let mut found = scan::scan(&image, &functions, &slots)?;
        let tables = Tables::read(&image, &slots, &found)?;
        let graph = Graph::new(&functions, &slots, &found, &tables);
        found.uses.sort_unstable_by_key(|one| (one.slot, one.site));
        let mut import_slots: Vec<(u32, u32)> = (slots.iter().zip(0..))
            .filter_map(|(slot, at)| match slot.filled {
                Filled::Symbol(symbol) | Filled::Copy(symbol) => Some((symbol, at)),
                Filled::Own(_) => None,
            })
            .collect();
        import_slots.sort_unstable();
        found.calls = Vec::new();
        found.taken = Vec::new();
        found.data = Vec::new();
        Ok(Self {
            machine: image.machine,
            entry: image.entry,
            code: image.sections.iter().filter(|section| section.is_code()).cloned().collect(),
            imports: image.imports()?,
            import_slots,
            slots,
            functions,
            tables,
            found,
            graph,
        })
    }

    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// Every symbol that another file has to define, in the file's order.
    pub fn imports(&self) -> impl Iterator<Item = &Import> {
        self.imports.iter().flatten()
    }

    /// Whether the file names its own functions, that is, has a `.symtab`.
    pub fn has_symbols(&self) -> bool {
        self.functions.named
    }

    /// The mangled names of all functions that the file holds.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        (0..self.functions.len() as u32).flat_map(|at| self.functions.names(at))
    }

    /// Who needs an import. One that the file does not have is dead.
    pub fn references(&self, import: &Import) -> References {
        let mut references = References { dead: true, ..References::default() };
        let mut tables = Vec::new();
        for slot in self.slots_of(import) {
            references.dead = false;
            let slot = &self.slots[slot as usize];
            if matches!(slot.filled, Filled::Symbol(_)) {
                tables.extend(self.tables.at(slot.address));
            }
        }
        let (mut functions, mut by_table) = (Vec::new(), Vec::new());
        for one in self.uses(import) {
            match one.function {
                NOBODY => references.unnamed.push(one.site),
                function if one.in_data => by_table.push(function),
                function => functions.push(function),
            }
        }
        // Who reads a table at the import's own place is a better answer than
        // whoever names the table.
        if by_table.is_empty() {
            by_table.extend(tables.iter().flat_map(|table| self.graph.users_of_table(*table)));
        }
        for list in [&mut functions, &mut by_table] {
            list.sort_unstable();
            list.dedup();
        }
        by_table.retain(|function| functions.binary_search(function).is_err());
        references.tables =
            tables.into_iter().filter_map(|table| self.tables.name(table)).map(str::to_owned).collect();
        references.tables.sort();
        references.tables.dedup();
        references.functions = functions.into_iter().map(|at| self.function(at)).collect();
        references.by_table = by_table.into_iter().map(|at| self.function(at)).collect();
        references
    }

    /// Where in a function's code an import is named, by address.
    pub fn sites(&self, import: &Import, function: &Function) -> Vec<u64> {
        let at = self.functions.starting(function.address);
        let own = self.uses(import).filter(|one| at == Some(one.function));
        let mut sites: Vec<u64> = own.map(|one| one.site).collect();
        sites.sort_unstable();
        sites.dedup();
        sites
    }

    /// Which of the functions offered stand where an import is used: for a file
    /// that is stripped. `source` is the file that the code was read of.
    ///
    /// # Errors
    /// Where the file cannot be read any more.
    pub fn match_functions(
        &self,
        source: &Source,
        import: &Import,
        patterns: &[&Pattern],
    ) -> Result<Vec<Match>, CannotSay> {
        let patterns: Vec<&Pattern> =
            patterns.iter().copied().filter(|one| one.import == import.name).collect();
        let mut sites: Vec<u64> = self.uses(import).map(|one| one.site).collect();
        sites.sort_unstable();
        sites.dedup();
        let mut matches: Vec<Match> = Vec::new();
        let mut compared = 0_usize;
        for site in sites {
            let mut found: Vec<(&Pattern, u64)> = Vec::new();
            for pattern in &patterns {
                for own in pattern.sites() {
                    let Some(start) = site.checked_sub(*own) else { continue };
                    if !self.may_be(start, pattern.len() as u64) {
                        continue;
                    }
                    compared += pattern.len();
                    if compared > MOST_COMPARED {
                        return Err(CannotSay::TooMuch("functions to compare with"));
                    }
                    let Some(code) = self.code_at(source, start, pattern.len() as u64)? else { continue };
                    if pattern.matches(&code) {
                        found.push((pattern, start));
                    }
                }
            }
            found.sort_by(|(a, _), (b, _)| b.weight().cmp(&a.weight()).then(a.name.cmp(&b.name)));
            found.dedup_by(|(a, _), (b, _)| a.name == b.name);
            let sure = match &found[..] {
                [(only, _)] if only.weight() >= ENOUGH => Sure::Likely,
                // What is inside of something longer says less than that.
                [(first, _), (second, _), ..] if first.weight() >= ENOUGH.max(2 * second.weight()) => {
                    Sure::Likely
                }
                _ => Sure::Candidate,
            };
            let best = found.first().map_or(0, |(pattern, _)| pattern.weight());
            for (pattern, start) in found.iter().filter(|(pattern, _)| 2 * pattern.weight() > best) {
                let function = Function { symbols: vec![pattern.name.clone()], address: *start };
                matches.push(Match { function, site, sure });
            }
        }
        // A function is linked once: of two that look like it one is another.
        let mut starts: HashMap<String, HashSet<u64>> = HashMap::new();
        for one in &matches {
            for name in &one.function.symbols {
                starts.entry(name.clone()).or_default().insert(one.function.address);
            }
        }
        for one in &mut matches {
            if one.function.symbols.iter().any(|name| starts[name].len() > 1) {
                one.sure = Sure::Candidate;
            }
        }
        Ok(matches)
    }

    /// Whether a function of that length may begin at an address: unwinding
    /// knows where most do.
    fn may_be(&self, start: u64, len: u64) -> bool {
        let Some(at) = self.functions.at(start) else { return true };
        let entry = &self.functions.entries[at as usize];
        entry.start == start && len <= entry.end - start
    }

    /// Code at an address, where there is that much.
    fn code_at(&self, source: &Source, address: u64, len: u64) -> Result<Option<Vec<u8>>, CannotSay> {
        let holds = |section: &&Section| section.holds(address) && section.end() - address >= len;
        let Some(section) = self.code.iter().find(holds) else { return Ok(None) };
        Ok(Some(source.read(section.offset + (address - section.address), len, "code")?))
    }

    /// The slots that an import fills, by their positions.
    fn slots_of(&self, import: &Import) -> impl Iterator<Item = u32> {
        let is_it = |own: &Option<Import>| own.as_ref() == Some(import);
        let symbols = self.imports.iter().enumerate().filter(move |(_, own)| is_it(own));
        symbols.flat_map(|(symbol, _)| {
            let from = self.import_slots.partition_point(|(own, _)| (*own as usize) < symbol);
            let slots = self.import_slots[from..].iter();
            slots.take_while(move |(own, _)| *own as usize == symbol).map(|(_, slot)| *slot)
        })
    }

    fn uses(&self, import: &Import) -> impl Iterator<Item = &Use> {
        let uses = self.slots_of(import).flat_map(|slot| {
            let from = self.found.uses.partition_point(|one| one.slot < slot);
            self.found.uses[from..].iter().take_while(move |one| one.slot == slot)
        });
        // Where initialised data ends, and a copy may begin, is a place that
        // the start files name.
        uses.filter(|one| {
            let starts = |name: &str| START.contains(&name);
            matches!(self.slots[one.slot as usize].filled, Filled::Symbol(_))
                || one.function == NOBODY
                || !self.functions.names(one.function).any(starts)
        })
    }

    /// Whether a function is of the C start files, which the linker adds to
    /// every program: the entry, and what runs constructors and destructors.
    pub fn is_start_file(&self, function: &Function) -> bool {
        function.address == self.entry
            || function.symbols.iter().any(|symbol| START.contains(&symbol.as_str()))
    }

    /// The shortest way to a function from one of which `is_user`, given
    /// mangled names. Calls count before tables: a way by calls alone is
    /// preferred to any by a table.
    pub fn chain(&self, to: &Function, is_user: impl Fn(&str) -> bool) -> Option<Chain> {
        self.chain_from(to, &self.users(is_user), &mut Reached::default())
    }

    /// Those in whose code chains begin, for many chains.
    pub fn users<F: Fn(&str) -> bool>(&self, is_user: F) -> Users<F> {
        Users { is_user, known: (0..self.functions.len()).map(|_| AtomicU8::new(UNKNOWN)).collect() }
    }

    pub fn chain_from<F: Fn(&str) -> bool>(
        &self,
        to: &Function,
        users: &Users<F>,
        reached: &mut Reached,
    ) -> Option<Chain> {
        let to = self.functions.starting(to.address)?;
        let is_user = |at: u32| {
            let known = &users.known[at as usize];
            if known.load(Relaxed) == UNKNOWN {
                known.store(u8::from(self.functions.names(at).any(&users.is_user)), Relaxed);
            }
            known.load(Relaxed) == 1
        };
        let way = self.graph.way(to, reached, is_user)?;
        Some(Chain {
            functions: way.functions.into_iter().map(|at| self.function(at)).collect(),
            through_table: way.through_table,
        })
    }

    fn function(&self, at: u32) -> Function {
        Function {
            symbols: self.functions.names(at).map(str::to_owned).collect(),
            address: self.functions.entries[at as usize].start,
        }
    }
}
