//! The description of a platform, as the loader's files.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use super::object::accepts;
use super::{
    Answer, Bind, Family, Imports, Memory, Name, Object, Offers, Probe, Problem, Provider, Reference, Root,
    Subject, Undecided, Verdict, Versions, load,
};
use crate::artifact::{Import, Release, VersionNeed, When};
use crate::platform::{self, Broken, Draft, Facts, Library, LibraryFacts, Open, Pack, System, What};

/// A described system, and the files that come with what is judged.
#[derive(Debug)]
pub struct Described<'s> {
    system: &'s System,
    family: Family,
    objects: Mutex<HashMap<String, Probe>>,
    /// Answers, by the path that was asked for.
    probed: RwLock<HashMap<String, Probe>>,
    beside: HashMap<String, (Arc<str>, Arc<Object>)>,
    memory: Memory,
    /// This machine's files, of which those count that a run path reaches from
    /// the file that is judged.
    here: Arc<Root>,
}

/// Folders of a system: what lies there belongs to this machine, and is not
/// shipped with the file.
const OF_THE_SYSTEM: &[&str] = &["/usr/", "/lib", "/bin/", "/sbin/", "/etc/"];

/// Answers kept: run paths may name very many folders.
const MOST_PROBED: usize = 1 << 16;

impl<'s> Described<'s> {
    /// What lies beside the files that are judged, on this machine: read once for all systems.
    pub fn here() -> Arc<Root> {
        Arc::new(Root::of_folders("/", Family::Glibc { release: None }, Vec::new()))
    }

    pub fn new(system: &'s System, here: Arc<Root>) -> Self {
        let family = match system.about().libc.strip_prefix("glibc") {
            Some(release) => Family::Glibc { release: Release::parse(release.trim()) },
            None => Family::Musl,
        };
        let (objects, probed) = (Mutex::default(), RwLock::default());
        let (beside, memory) = (HashMap::new(), Memory::default());
        Self { system, family, objects, probed, beside, memory, here }
    }

    /// Files that come with what is judged, found by name where no path leads
    /// to them: name, path, file.
    pub fn with_beside(mut self, files: impl IntoIterator<Item = (String, Arc<str>, Arc<Object>)>) -> Self {
        self.beside = files.into_iter().map(|(name, path, object)| (name, (path, object))).collect();
        self
    }

    fn look(&self, path: &str) -> Probe {
        match self.system.probe(path) {
            platform::Probe::Absent => Probe::Absent,
            platform::Probe::Library(libraries) => self.object(&libraries),
            platform::Probe::OtherMachine => Probe::OtherMachine,
            platform::Probe::NotElf => {
                Probe::NotLoadable("it is no ELF file: `invalid ELF header`".to_owned())
            }
            platform::Probe::Unknown(why) => Probe::Unknown(why),
        }
    }

    fn object(&self, libraries: &[Arc<Library>]) -> Probe {
        let [library] = libraries else { return self.one_of(libraries) };
        let known = self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(&library.path).cloned();
        known.unwrap_or_else(|| {
            let new = Probe::Found(Arc::new(object(library, self.system)));
            let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            objects.insert(library.path.clone(), new.clone());
            new
        })
    }

    /// Several packages bring the same path: what they have in common is known.
    fn one_of(&self, libraries: &[Arc<Library>]) -> Probe {
        let Some(first) = libraries.first() else { return Probe::Absent };
        let key: String = libraries.iter().map(|one| format!("{}\n{:?}\n", one.path, one.package)).collect();
        let known = self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let objects: Vec<Object> = libraries.iter().map(|one| object(one, self.system)).collect();
            let mut common = object(first, self.system);
            if objects.iter().any(|one| one.needed != common.needed) {
                common.imports = Imports::Unknown("several packages have this library".to_owned());
            }
            if objects.iter().any(|one| one.versions != common.versions) {
                let all = objects.iter().map(|one| one.versions.surely());
                let common_nodes = all.reduce(|all, nodes| Some(both(all?, nodes?)));
                common.versions = common_nodes.flatten().map_or(Versions::Unknown, Versions::AtLeast);
            }
            common.offers = Arc::new(OneOf(objects.into_iter().map(|one| one.offers).collect()));
            let new = Probe::Found(Arc::new(common));
            let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            objects.insert(key, new.clone());
            new
        })
    }
}

impl Provider for Described<'_> {
    fn family(&self) -> Family {
        self.family.clone()
    }

    fn is_musl(&self) -> bool {
        self.family == Family::Musl
    }

    fn default_folders(&self) -> &[String] {
        self.system.search()
    }

    fn token(&self, name: &str) -> Option<String> {
        match (name, self.system.about().triplet.as_str()) {
            ("LIB", "") => Some(
                if self.system.arch().class == crate::artifact::Class::Elf64 { "lib64" } else { "lib" }
                    .to_owned(),
            ),
            ("LIB", triplet) => Some(format!("lib/{triplet}")),
            _ => None,
        }
    }

    fn probe(&self, path: &str) -> Probe {
        let known = self.probed.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        known.unwrap_or_else(|| {
            let new = self.look(path);
            let mut probed = self.probed.write().unwrap_or_else(PoisonError::into_inner);
            if probed.len() < MOST_PROBED {
                probed.insert(path.to_owned(), new.clone());
            }
            new
        })
    }

    fn probe_given(&self, path: &str) -> Probe {
        match OF_THE_SYSTEM.iter().any(|folder| path.starts_with(folder)) {
            true => Probe::Absent,
            false => self.here.probe(path),
        }
    }

    fn beside(&self, name: &str) -> Option<(Arc<str>, Arc<Object>)> {
        self.beside.get(name).cloned()
    }

    fn memory(&self) -> Option<&Memory> {
        Some(&self.memory)
    }

    fn is_whole(&self) -> bool {
        self.system.about().complete
    }

    fn is_consistent(&self) -> bool {
        true
    }
}

fn object(library: &Arc<Library>, system: &System) -> Object {
    let facts = library.facts.as_ref();
    let all = |names: fn(&LibraryFacts) -> &Vec<String>| facts.map(names).cloned().unwrap_or_default();
    Object {
        arch: system.arch(),
        soname: facts.and_then(|facts| facts.soname.as_deref().map(Name::new)),
        needed: facts.iter().flat_map(|facts| &facts.needed).map(|name| Name::new(name)).collect(),
        rpath: all(|facts| &facts.rpath),
        runpath: all(|facts| &facts.runpath),
        no_default_folders: facts.is_some_and(|facts| facts.no_default_folders),
        version_needs: facts.map(|facts| facts.version_needs.clone()).unwrap_or_default(),
        relr: facts.is_some_and(|facts| facts.relr),
        versions: match facts {
            None => Versions::Unknown,
            Some(facts) if facts.more_nodes => Versions::AtLeast(facts.nodes.clone()),
            Some(facts) if facts.defines_versions => Versions::Nodes(facts.nodes.clone()),
            Some(_) => Versions::Undefined,
        },
        imports: match facts {
            Some(facts) => Imports::Listed(facts.unresolved.clone()),
            None => Imports::Unknown("the description does not hold what this library needs".to_owned()),
        },
        offers: Arc::new(DescribedLibrary(Arc::clone(library))),
        known: OnceLock::new(),
    }
}

#[derive(Debug)]
struct DescribedLibrary(Arc<Library>);

impl Offers for DescribedLibrary {
    fn offers(&self, reference: Reference<'_>) -> Answer {
        let Some(facts) = &self.0.facts else { return Answer::Unknown };
        // A node that is there, and whose symbols are not known.
        if reference.version.is_some_and(|version| facts.later_nodes.iter().any(|node| node == version)) {
            return Answer::Unknown;
        }
        match facts.find(reference.hash()) {
            None => Answer::Unknown,
            Some(found) => match accepts(found, facts.has_version_table, reference) {
                true => Answer::Yes,
                false => Answer::No,
            },
        }
    }

    fn offers_any(&self, reference: Reference<'_>) -> Answer {
        match self.0.facts.as_ref().and_then(|facts| facts.find(reference.hash())) {
            None => Answer::Unknown,
            Some(mut found) => {
                if found.any(|one| !one.hidden) {
                    Answer::Yes
                } else {
                    Answer::No
                }
            }
        }
    }

    fn has_version_table(&self) -> Option<bool> {
        Some(self.0.facts.as_ref()?.has_version_table)
    }
}

/// One of several files, and it is not known which.
#[derive(Debug)]
struct OneOf(Vec<Arc<dyn Offers>>);

impl OneOf {
    fn all(&self, ask: impl Fn(&dyn Offers) -> Answer) -> Answer {
        let mut answers = self.0.iter().map(|one| ask(&**one));
        let first = answers.next().unwrap_or(Answer::Unknown);
        if answers.all(|answer| answer == first) { first } else { Answer::Unknown }
    }
}

impl Offers for OneOf {
    fn offers(&self, reference: Reference<'_>) -> Answer {
        self.all(|one| one.offers(reference))
    }

    fn offers_any(&self, reference: Reference<'_>) -> Answer {
        self.all(|one| one.offers_any(reference))
    }

    fn has_version_table(&self) -> Option<bool> {
        let mut all = self.0.iter().map(|one| one.has_version_table());
        let first = all.next()??;
        all.all(|one| one == Some(first)).then_some(first)
    }
}

fn both(mut nodes: Vec<String>, others: Vec<String>) -> Vec<String> {
    nodes.retain(|node| others.contains(node));
    nodes
}

/// Leaves to each library of a draft only those references that the libraries
/// which it needs do not satisfy. Before, drafts hold all of them.
pub fn leave_open(draft: &mut Draft) -> Result<(), Broken> {
    Whole::of(draft)?.leave_open(draft);
    Ok(())
}

/// A draft that is asked before it is packed for good.
#[derive(Debug)]
pub struct Whole(Vec<System>);

impl Whole {
    pub fn of(draft: &Draft) -> Result<Self, Broken> {
        let packed = platform::write(std::slice::from_ref(draft), 40, &Open::default())?;
        Ok(Self(System::all(&Arc::new(Pack::open(packed.bytes.into())?))))
    }

    pub fn described(&self) -> Described<'_> {
        Described::new(&self.0[0], Described::here())
    }

    /// See `leave_open`: of the draft that this was made of.
    pub fn leave_open(&self, draft: &mut Draft) {
        let described = self.described();
        let mut links: HashMap<String, Vec<String>> = HashMap::new();
        for (link, files) in draft.files_behind_links() {
            for file in files {
                links.entry(file).or_default().push(link.clone());
            }
        }
        for entry in &mut draft.entries {
            let What::Library(facts) = &mut entry.what else { continue };
            // `$ORIGIN` is the folder of the link by which it was found.
            let by_origin = facts.rpath.iter().chain(&facts.runpath).any(|path| path.contains("ORIGIN"));
            let links = links.get(&entry.path).filter(|_| by_origin).into_iter().flatten();
            let paths = std::iter::once(&entry.path).chain(links);
            // What is perhaps there is there: a distribution is consistent.
            let verdicts = paths.map(|path| verdict(&described, path, None, facts, Bind::Subject));
            let open: HashSet<_> = verdicts
                .flat_map(|verdict| missing(verdict.problems))
                .map(|one| (one.name, one.version))
                .collect();
            facts.unresolved.retain(|one| open.contains(&(one.name.clone(), one.version.clone())));
        }
    }
}

/// A reference that is missing on a system, or not decided there.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OpenReference {
    /// The path of the file that makes it.
    pub needed_by: String,
    pub name: String,
    pub version: Option<String>,
}

/// What is open when a file is loaded with all that it needs. `facts` hold all references of the file. Also what
/// is loaded with it.
pub fn open_references(
    described: &Described<'_>,
    path: &str,
    interpreter: Option<&str>,
    facts: &Facts,
    bind: Bind,
) -> (Vec<OpenReference>, Vec<String>) {
    let verdict = verdict(described, path, interpreter, facts, bind);
    let undecided = verdict.undecided.into_iter().filter_map(|undecided| match undecided {
        Undecided::Symbol { name, version, needed_by, .. } => {
            Some(OpenReference { needed_by, name, version })
        }
        _ => None,
    });
    let open = missing(verdict.problems).chain(undecided).collect();
    (open, verdict.loaded.into_iter().skip(1).map(|one| one.path.to_string()).collect())
}

fn verdict(
    described: &Described<'_>,
    path: &str,
    interpreter: Option<&str>,
    facts: &Facts,
    bind: Bind,
) -> Verdict {
    let object = Arc::new(subject(facts, described.system));
    let subject = Subject { path: path.into(), interpreter: interpreter.map(str::to_owned), object };
    load(&subject, described, bind)
}

fn missing(problems: Vec<Problem>) -> impl Iterator<Item = OpenReference> {
    problems.into_iter().filter_map(|problem| match problem {
        Problem::Symbol { name, version, needed_by, .. } => Some(OpenReference { needed_by, name, version }),
        _ => None,
    })
}

/// A library of the draft, with all its references.
fn subject(facts: &Facts, system: &System) -> Object {
    let imports = facts.unresolved.iter().map(|one| Import {
        name: one.name.clone(),
        version: one.version.clone(),
        file: one.file.clone(),
        exact: one.exact,
        weak: false,
        when: if one.at_start { When::Start } else { When::Call },
        copied: false,
    });
    Object {
        arch: system.arch(),
        soname: facts.soname.as_deref().map(Name::new),
        needed: facts.needed.iter().map(|name| Name::new(name)).collect(),
        rpath: facts.rpath.clone(),
        runpath: facts.runpath.clone(),
        no_default_folders: facts.no_default_folders,
        version_needs: (facts.version_needs.iter())
            .map(|(file, version, weak)| VersionNeed {
                file: file.clone(),
                version: version.clone(),
                weak: *weak,
                index: 0,
            })
            .collect(),
        relr: facts.relr,
        versions: match facts.defines_versions {
            true => Versions::Nodes(facts.nodes.clone()),
            false => Versions::Undefined,
        },
        imports: Imports::Listed(imports.collect()),
        offers: Arc::new(Own(facts.symbols.iter().flatten().map(|one| one.hash).collect())),
        known: OnceLock::new(),
    }
}

/// A library's own definitions satisfy its references, of whatever version.
#[derive(Debug)]
struct Own(Vec<u64>);

impl Offers for Own {
    fn offers(&self, reference: Reference<'_>) -> Answer {
        self.offers_any(reference)
    }

    fn offers_any(&self, reference: Reference<'_>) -> Answer {
        // `Facts::of` sorts them.
        match self.0.binary_search(&reference.hash()) {
            Ok(_) => Answer::Yes,
            Err(_) => Answer::No,
        }
    }

    fn has_version_table(&self) -> Option<bool> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Arch, Class, Endian};
    use crate::platform::{About, Definition, Entry, Unresolved, hash};

    const ARCH: Arch = Arch { machine: 62, class: Class::Elf64, endian: Endian::Little, flags: 0 };

    fn entry(path: &str, what: What) -> Entry {
        Entry { path: path.to_owned(), package: String::new(), plain: true, what }
    }

    /// `/opt/liba.so` needs `libb.so` and `f` of it, and finds it beside itself.
    fn draft(links: &[(&str, &str)]) -> Draft {
        let f = Unresolved { name: "f".to_owned(), version: None, file: None, exact: false, at_start: true };
        let a = Facts {
            needed: vec!["libb.so".to_owned()],
            runpath: vec!["$ORIGIN".to_owned()],
            symbols: Some(Vec::new()),
            unresolved: vec![f],
            ..Facts::default()
        };
        let f = Definition { hash: hash(b"f"), node: 0, hidden: false };
        let b = Facts { symbols: Some(vec![f]), ..Facts::default() };
        let links = links.iter().map(|(path, target)| entry(path, What::Link((*target).to_owned())));
        let libraries = [("/opt/liba.so", a), ("/opt/libb.so", b)];
        let libraries = libraries.map(|(path, facts)| entry(path, What::Library(Box::new(facts))));
        Draft {
            about: About {
                platform: "p".to_owned(),
                arch: ARCH.into(),
                triplet: String::new(),
                libc: "glibc 2.36".to_owned(),
                search: vec!["/lib".to_owned()],
                folder_links: Vec::new(),
                complete: true,
                provenance: Vec::new(),
            },
            entries: links.chain(libraries).collect(),
            others: Vec::new(),
            packages: Vec::new(),
        }
    }

    fn left_open(mut draft: Draft) -> usize {
        leave_open(&mut draft).unwrap();
        let facts = draft.entries.iter().filter_map(|entry| match &entry.what {
            What::Library(facts) => Some(facts.unresolved.len()),
            _ => None,
        });
        facts.sum()
    }

    #[test]
    fn origin_is_the_folder_of_the_link() {
        assert_eq!(left_open(draft(&[])), 0);
        assert_eq!(left_open(draft(&[("/opt/liba.so.1", "liba.so")])), 0);
        assert_eq!(left_open(draft(&[("/lib/liba.so", "../opt/liba.so")])), 1);
        assert_eq!(left_open(draft(&[("/lib/liba.so", "liba.so.1"), ("/lib/liba.so.1", "/opt/liba.so")])), 1);
    }

    /// A program that needs `names`, looks in `/other` first if it is told to, and defines `f` or not.
    fn program(names: &[&str], other: bool, defines: bool) -> Facts {
        let f = Definition { hash: hash(b"f"), node: 0, hidden: false };
        Facts {
            needed: names.iter().map(|&name| name.to_owned()).collect(),
            runpath: other.then(|| "/other".to_owned()).into_iter().collect(),
            symbols: Some(defines.then_some(f).into_iter().collect()),
            ..Facts::default()
        }
    }

    #[test]
    fn what_was_found_before_changes_no_verdict() {
        // `/lib/liba.so` needs `libb.so`, which has `g`; `f` is for the program to have. `/other/libb.so` has none.
        let open = |name: &str| Unresolved {
            name: name.to_owned(),
            version: None,
            file: None,
            exact: false,
            at_start: true,
        };
        let library = |needed: &[&str], unresolved: &[&str], symbols: &[&str]| Facts {
            needed: needed.iter().map(|&name| name.to_owned()).collect(),
            unresolved: unresolved.iter().map(|name| open(name)).collect(),
            symbols: Some(
                symbols
                    .iter()
                    .map(|name| Definition { hash: hash(name.as_bytes()), node: 0, hidden: false })
                    .collect(),
            ),
            ..Facts::default()
        };
        let libraries = [
            ("/lib/liba.so", library(&["libb.so"], &["f", "g"], &[])),
            ("/lib/libb.so", library(&[], &[], &["g"])),
            ("/other/libb.so", library(&[], &[], &[])),
        ];
        let entries = libraries.map(|(path, facts)| entry(path, What::Library(Box::new(facts))));
        let whole = Whole::of(&Draft { entries: entries.into(), ..draft(&[]) }).unwrap();
        let programs = [
            program(&["liba.so"], false, false),
            program(&["liba.so"], false, true),
            program(&["libb.so", "liba.so"], true, false),
            program(&["libb.so", "liba.so"], true, true),
        ];
        let missing = |described: &Described<'_>, facts: &Facts| {
            verdict(described, "/app/p", None, facts, Bind::Everything).problems
        };
        let alone: Vec<_> = programs.iter().map(|facts| missing(&whole.described(), facts)).collect();
        assert_eq!(alone.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 2, 1]);
        for first in 0..4 {
            for second in 0..4 {
                let described = whole.described();
                for at in [first, second, first, 3 - second, second] {
                    assert_eq!(missing(&described, &programs[at]), alone[at], "{first} {second} {at}");
                }
            }
        }
    }
}
