//! One platform on one architecture, as the loader asks it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::draft::About;
use super::pack::{
    Broken, DEFINES_VERSIONS, HAS_VERSION_TABLE, NO_DEFAULT_FOLDERS, PARTIAL, PackedFacts, PackedWhat, Place,
    RELR, SymbolsAt,
};
use super::published::{Layout, Libraries, triplet};
use super::read::{Pack, Symbols, template};
use super::reference;
use super::write::split;
use crate::artifact::{Arch, Found, Import, Libc, VersionNeed, When, libc_of_interpreter};

/// Links followed for one path (Linux, `MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// What is known of one platform on one architecture.
#[derive(Debug)]
pub struct System {
    about: About,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Described(Described),
    Facts(Box<FactsOnly>),
}

/// A full description.
#[derive(Debug)]
struct Described {
    pack: Arc<Pack>,
    bit: usize,
    /// Libraries that were asked for, by the path of the file.
    known: Mutex<HashMap<String, Vec<Arc<Library>>>>,
}

/// What is published.
#[derive(Debug)]
struct FactsOnly {
    interpreter: String,
    libraries: Libraries,
    /// Systems of the same architecture that are described in full, the oldest first.
    described: Vec<&'static System>,
    /// Libraries that were asked for, by their names; `None`: nothing is published of it.
    known: Mutex<HashMap<String, Option<Arc<Library>>>>,
}

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Probe {
    Absent,
    /// One library, or several where more than one package brings that path:
    /// which one an installation has is then not known.
    Library(Vec<Arc<Library>>),
    /// An ELF file of another machine, class or byte order: the loader skips it.
    OtherMachine,
    /// No ELF file: the loader stops.
    NotElf,
    /// The description does not tell, and why.
    Unknown(String),
}

/// A library of a platform.
#[derive(Debug)]
pub struct Library {
    /// The file, links followed.
    pub path: String,
    /// The package that brings it; `None`: the system has no packages.
    pub package: Option<String>,
    /// A plain install has it, without any package being asked for.
    pub plain: bool,
    /// What it needs and defines; `None`: it was not looked into, and nothing
    /// but its being there is known.
    pub facts: Option<LibraryFacts>,
}

/// What the loader asks of a library that it has found.
#[derive(Debug)]
pub struct LibraryFacts {
    pub soname: Option<String>,
    /// `DT_NEEDED`, in the file's order.
    pub needed: Vec<String>,
    /// `DT_RPATH` and `DT_RUNPATH`, split at the colons.
    pub rpath: Vec<String>,
    pub runpath: Vec<String>,
    pub version_needs: Vec<VersionNeed>,
    /// The version nodes that it defines, without the base.
    pub nodes: Vec<String>,
    /// `DT_VERSYM` is there. Without it a versioned reference to the library
    /// stops old loaders on an assertion (fact 37).
    pub has_version_table: bool,
    /// `DT_VERDEF` is there. Without it the library satisfies any version need,
    /// with a warning (fact 37).
    pub defines_versions: bool,
    /// `DF_1_NODEFLIB`: the default folders are not searched for its needs.
    pub no_default_folders: bool,
    /// `DT_RELR`.
    pub relr: bool,
    /// Strong references that its own needs leave open: for the program that
    /// loads it, or for nobody.
    pub unresolved: Vec<Import>,
    /// Nodes that are there by their numbers, and of whose symbols nothing is known.
    pub later_nodes: Vec<String>,
    /// The library may define more than is known.
    pub open_ended: bool,
    /// So with its nodes.
    pub more_nodes: bool,
    /// All nodes that symbols may be bound to, each with whether it is there.
    bound_to: Vec<(String, bool)>,
    second: u16,
    symbols: Option<Arc<SymbolSource>>,
}

/// Where a library's symbols are, and what was read of them.
#[derive(Debug)]
struct SymbolSource {
    pack: Arc<Pack>,
    bit: usize,
    at: SymbolsAt,
    /// Only names that something is known to ask for are there.
    partial: bool,
    read: OnceLock<Result<Symbols, Broken>>,
}

impl System {
    /// All systems of one description.
    pub fn all(pack: &Arc<Pack>) -> Vec<Self> {
        let system = |(bit, about): (usize, &About)| Self {
            about: about.clone(),
            source: Source::Described(Described { pack: Arc::clone(pack), bit, known: Mutex::default() }),
        };
        pack.systems.iter().enumerate().map(system).collect()
    }

    /// A platform of which facts are published; `described` are full
    /// descriptions for the same architecture, the oldest first.
    pub fn published(
        platform: &str,
        libraries: &Libraries,
        arch: Arch,
        described: Vec<&'static Self>,
    ) -> Option<Self> {
        let interpreter = libraries.interpreter(arch)?;
        let search = libraries.search(arch);
        let libc = match (&libraries.glibc, &libraries.musl) {
            (Some(release), _) => format!("glibc {release}"),
            (None, Some(release)) => format!("musl {release}"),
            (None, None) => return None,
        };
        let about = About {
            platform: platform.to_owned(),
            arch: arch.into(),
            triplet: match libraries.layout {
                Layout::Multiarch => triplet(arch),
                Layout::Lib64 | Layout::Lib => String::new(),
            },
            libc,
            folder_links: Vec::new(),
            complete: true,
            provenance: Vec::new(),
            search,
        };
        let libraries = libraries.clone();
        let facts = FactsOnly { interpreter, libraries, described, known: Mutex::default() };
        let source = Source::Facts(Box::new(facts));
        Some(Self { about, source })
    }

    pub fn about(&self) -> &About {
        &self.about
    }

    pub fn arch(&self) -> Arch {
        self.about.arch.arch()
    }

    /// Where the loader looks when nothing else is said, in its order.
    pub fn search(&self) -> &[String] {
        &self.about.search
    }

    /// Whether it is described in full, or only by what is published.
    pub fn is_described(&self) -> bool {
        matches!(self.source, Source::Described(_))
    }

    /// What the loader would find at an absolute path.
    pub fn probe(&self, path: &str) -> Probe {
        match &self.source {
            Source::Facts(facts) => facts.probe(path, &self.about),
            Source::Described(described) => described.probe(path, &self.about).unwrap_or_else(|broken| {
                Probe::Unknown(format!("the description of {} is broken: {broken}", self.about.platform))
            }),
        }
    }

    /// The version of a package. `None`: the description does not know it.
    pub fn package_version(&self, name: &str) -> Result<Option<String>, Broken> {
        let packages = self.packages()?;
        let at = packages.binary_search_by(|(own, _)| (*own).cmp(name));
        Ok(at.ok().map(|at| packages[at].1.to_owned()))
    }

    /// Names, versions: all packages that the description was made of.
    pub fn packages(&self) -> Result<Vec<(&str, &str)>, Broken> {
        match &self.source {
            Source::Described(described) => described.pack.packages(described.bit),
            Source::Facts(_) => Ok(Vec::new()),
        }
    }

    /// Every file and link of this system: folder, name and what it is.
    pub fn each(&self, visit: impl FnMut(Item<'_>)) -> Result<(), Broken> {
        self.each_named("", visit)
    }

    /// Those of which the file's name starts so.
    pub fn each_named(&self, start: &str, mut visit: impl FnMut(Item<'_>)) -> Result<(), Broken> {
        let Source::Described(Described { pack, bit, .. }) = &self.source else { return Ok(()) };
        for row in pack.rows_named(start) {
            let row = row?;
            for place in row.places.iter().filter(|place| place.systems >> bit & 1 == 1) {
                let facts = match place.what {
                    PackedWhat::Library(at) => row.facts(at)?,
                    _ => None,
                };
                let facts = facts.as_ref();
                visit(Item {
                    folder: place.folder.replace(super::pack::TRIPLET, &self.about.triplet),
                    name: row.name,
                    package: place.package,
                    plain: place.plain >> bit & 1 == 1,
                    link: match place.what {
                        PackedWhat::Link(target) => Some(target),
                        _ => None,
                    },
                    soname: facts.and_then(|facts| facts.soname),
                    is_library: matches!(place.what, PackedWhat::Library(_) | PackedWhat::Listed),
                    has_facts: facts.is_some(),
                    has_symbols: facts.is_some_and(|facts| facts.symbols.is_some()),
                });
            }
        }
        Ok(())
    }
}

impl FactsOnly {
    /// A library by its name, made when it is asked for.
    fn library(&self, name: &str, about: &About) -> Option<Arc<Library>> {
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(name).cloned();
        known.unwrap_or_else(|| {
            let path = match split(&self.interpreter).1 == name {
                true => self.interpreter.clone(),
                false => format!("{}/{name}", about.search[1]),
            };
            let new = reference::library(name, path, &self.libraries, about.arch.arch(), &self.described);
            lock().entry(name.to_owned()).or_insert_with(|| new.map(Arc::new)).clone()
        })
    }

    fn probe(&self, path: &str, about: &About) -> Probe {
        let (folder, name) = split(path);
        let platform = &about.platform;
        if path == self.interpreter || about.search.iter().any(|own| own == folder) {
            return match self.library(name, about) {
                Some(library) => Probe::Library(vec![library]),
                None if self.libraries.nothing_else || about.arch.arch().is_loader_name(name) => {
                    Probe::Absent
                }
                None => Probe::Unknown(format!(
                    "what is published of {platform} does not tell whether it has {name}"
                )),
            };
        }
        // The loader of another C library or architecture has a folder of its own.
        match libc_of_interpreter(path) {
            Libc::Unknown => {
                Probe::Unknown(format!("what is published of {platform} says nothing of {path}"))
            }
            _ => Probe::Absent,
        }
    }
}

impl Described {
    fn probe(&self, path: &str, about: &About) -> Result<Probe, Broken> {
        let mut found: Option<Vec<Arc<Library>>> = None;
        let mut unknown = None;
        let mut links = 0;
        let mut left = vec![path.to_owned()];
        // A link may be made in several ways, by several packages.
        while let Some(path) = left.pop() {
            let Some(path) = real(&path, about) else { continue };
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
            if let Some(libraries) = known {
                found.get_or_insert_default().extend(libraries);
                continue;
            }
            let (folder, name) = split(&path);
            let wanted = template(folder, about);
            let row = self.pack.row(name)?;
            let places = row.iter().flat_map(|row| &row.places);
            let here: Vec<&Place<'_>> =
                places.filter(|place| place.systems >> self.bit & 1 == 1 && place.folder == wanted).collect();
            let mut libraries = Vec::new();
            for place in &here {
                match place.what {
                    PackedWhat::Link(target) => {
                        links += 1;
                        if links > MOST_LINKS {
                            return Ok(Probe::Absent); // ELOOP
                        }
                        left.push(if target.starts_with('/') {
                            target.to_owned()
                        } else {
                            format!("{folder}/{target}")
                        });
                    }
                    PackedWhat::OtherMachine => return Ok(Probe::OtherMachine),
                    PackedWhat::NotElf => return Ok(Probe::NotElf),
                    PackedWhat::Listed => libraries.push(Arc::new(self.library(&path, place, None))),
                    PackedWhat::Library(at) => {
                        let facts = row.as_ref().map(|row| row.facts(at)).transpose()?.flatten();
                        let facts = facts.ok_or_else(|| Broken("a library has no facts".to_owned()))?;
                        libraries.push(Arc::new(self.library(&path, place, Some(&facts))));
                    }
                }
            }
            if !libraries.is_empty() {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                // Another thread may have been first: then its libraries stay.
                let libraries = known.entry(path.clone()).or_insert(libraries);
                found.get_or_insert_default().extend(libraries.iter().cloned());
            }
            if here.is_empty() {
                if !about.complete {
                    unknown = Some(format!("the description does not tell whether {path} exists"));
                } else if self.pack.has_other(self.bit, &template(&path, about))? {
                    unknown = Some(format!("the description says nothing of {path} but that it exists"));
                }
            }
        }
        Ok(match (found, unknown) {
            (Some(libraries), _) => Probe::Library(libraries),
            (None, Some(why)) => Probe::Unknown(why),
            (None, None) => Probe::Absent,
        })
    }

    fn library(&self, path: &str, place: &Place<'_>, facts: Option<&PackedFacts<'_>>) -> Library {
        Library {
            path: path.to_owned(),
            package: (!place.package.is_empty()).then(|| place.package.to_owned()),
            plain: place.plain >> self.bit & 1 == 1,
            facts: facts.map(|facts| LibraryFacts::new(facts, &self.pack, self.bit)),
        }
    }
}

/// The path with `.`, `..` and links to folders resolved. `None`: it is not
/// absolute, or links never end.
pub(super) fn real(path: &str, about: &About) -> Option<String> {
    let mut left: Vec<&str> = path.strip_prefix('/')?.split('/').rev().collect();
    let mut real = String::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part {
            "" | "." => {}
            ".." => real.truncate(real.rfind('/').unwrap_or(0)),
            part => {
                real.push('/');
                real.push_str(part);
                // The last part is a file; a link there is a row.
                if left.is_empty() {
                    break;
                }
                let link = about.folder_links.iter().find(|(from, _)| *from == real);
                if let Some((_, to)) = link {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    match to.strip_prefix('/') {
                        Some(_) => real.clear(),
                        None => real.truncate(real.rfind('/').unwrap_or(0)),
                    }
                    left.extend(to.split('/').rev());
                }
            }
        }
    }
    Some(real)
}

/// One path of a system, for lists.
#[derive(Debug)]
pub struct Item<'a> {
    pub folder: String,
    pub name: &'a str,
    /// Empty: of no package.
    pub package: &'a str,
    pub plain: bool,
    /// Where it leads, if it is a link.
    pub link: Option<&'a str>,
    pub soname: Option<&'a str>,
    pub is_library: bool,
    /// It was looked into.
    pub has_facts: bool,
    pub has_symbols: bool,
}

impl LibraryFacts {
    fn new(packed: &PackedFacts<'_>, pack: &Arc<Pack>, bit: usize) -> Self {
        let all = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            soname: packed.soname.map(str::to_owned),
            needed: all(&packed.needed),
            rpath: all(&packed.rpath),
            runpath: all(&packed.runpath),
            version_needs: (packed.version_needs.iter())
                .map(|(file, version, weak)| VersionNeed {
                    file: (*file).to_owned(),
                    version: (*version).to_owned(),
                    weak: *weak,
                    index: 0,
                })
                .collect(),
            nodes: all(&packed.nodes),
            has_version_table: packed.flags & HAS_VERSION_TABLE != 0,
            defines_versions: packed.flags & DEFINES_VERSIONS != 0,
            no_default_folders: packed.flags & NO_DEFAULT_FOLDERS != 0,
            relr: packed.flags & RELR != 0,
            unresolved: (packed.unresolved.iter())
                .map(|&(name, version, file, exact, at_start)| Import {
                    name: name.to_owned(),
                    version: version.map(str::to_owned),
                    file: file.map(str::to_owned),
                    exact,
                    weak: false,
                    when: if at_start { When::Start } else { When::Call },
                    copied: false,
                })
                .collect(),
            later_nodes: Vec::new(),
            open_ended: false,
            more_nodes: false,
            bound_to: packed.nodes.iter().map(|&name| (name.to_owned(), true)).collect(),
            second: packed.second,
            symbols: packed
                .symbols
                .clone()
                .map(|at| SymbolSource {
                    pack: Arc::clone(pack),
                    bit,
                    at,
                    partial: packed.flags & PARTIAL != 0,
                    read: OnceLock::new(),
                })
                .map(Arc::new),
        }
    }

    /// The same library with fewer nodes, and others of which nothing is known
    /// but that they are there.
    pub(super) fn older(&self, keep: impl Fn(&str) -> bool, later: Vec<String>, open_ended: bool) -> Self {
        let there = self.nodes.iter().filter(|node| keep(node)).cloned();
        Self {
            soname: self.soname.clone(),
            needed: self.needed.clone(),
            rpath: self.rpath.clone(),
            runpath: self.runpath.clone(),
            no_default_folders: self.no_default_folders,
            relr: false,
            version_needs: Vec::new(),
            nodes: there.chain(later.iter().cloned()).collect(),
            later_nodes: later,
            open_ended,
            more_nodes: false,
            has_version_table: self.has_version_table,
            defines_versions: self.defines_versions,
            unresolved: Vec::new(),
            bound_to: self.nodes.iter().map(|node| (node.clone(), keep(node))).collect(),
            second: self.second,
            symbols: self.symbols.clone(),
        }
    }

    /// Whether it is known what the library defines.
    pub fn knows_symbols(&self) -> bool {
        self.symbols().is_some()
    }

    fn symbols(&self) -> Option<&Symbols> {
        let source = self.symbols.as_ref()?;
        source.read.get_or_init(|| source.pack.symbols(source.bit, &source.at, source.partial)).as_ref().ok()
    }

    /// How many definitions are known.
    pub fn symbol_count(&self) -> Option<usize> {
        Some(self.symbols()?.len())
    }

    /// The definitions known of the name with this hash, as `Exports::find`
    /// gives them for a file. `None`: none is known, and there may be one.
    pub fn find(&self, hash: u64) -> Option<impl Iterator<Item = Found<'_>>> {
        let source = self.symbols.as_ref()?;
        let symbols = self.symbols()?;
        let found = symbols.find(hash).filter_map(|(node, hidden)| {
            let version = usize::from(node).checked_sub(1).and_then(|at| self.bound_to.get(at));
            let version = match version {
                Some((_, false)) => return None,
                Some((name, true)) => Some(name.as_str()),
                None => None,
            };
            let index = match node {
                0 => 1,
                node if node == self.second => 2,
                _ => 3,
            };
            Some(Found { index: self.has_version_table.then_some(index), hidden, version })
        });
        let mut found = found.peekable();
        if found.peek().is_some() {
            return Some(found);
        }
        let perhaps = |source: &SymbolSource| {
            self.open_ended || source.partial && !symbols.is_known_to_lack(hash, &source.pack)
        };
        if perhaps(source) { None } else { Some(found) }
    }
}
