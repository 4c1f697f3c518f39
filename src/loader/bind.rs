//! Symbols: `elf/dl-lookup.c`.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::memory::{Bound, ByName, Group, Hashed, Memory};
use super::object::{Known, References};
use super::{Answer, Because, Bind, Loaded, Name, Object, Problem, Provider, Reference, Undecided, Verdict};
use crate::artifact::{Import, When};
use crate::platform::hash;

/// Every strong reference against the definitions of all that is loaded.
pub(super) fn bind_all(provider: &dyn Provider, bind: Bind, by_name: &ByName, verdict: &mut Verdict) {
    let mut binder = Binder {
        provider,
        bind,
        musl: provider.is_musl(),
        loaded: &verdict.loaded,
        by_name,
        lacking: verdict.lacking().cloned().collect(),
        unsure: verdict.undecided.iter().filter_map(unsure_library).cloned().collect(),
        missing: Vec::new(),
        own: None,
        last: None,
        known: HashMap::default(),
        perhaps_in: Vec::new(),
        open: Vec::new(),
        problems: Vec::new(),
        undecided: Vec::new(),
    };
    let whose = match bind {
        Bind::Subject => 1.min(verdict.loaded.len()),
        Bind::Everything | Bind::Causes => verdict.loaded.len(),
    };
    for (at, one) in verdict.loaded[..whose].iter().enumerate() {
        match one.object.references() {
            Ok(references) => {
                binder.missing = missing_nodes(one, &verdict.problems);
                binder.all_of(at, references);
            }
            Err(_) if !one.given && provider.is_consistent() => {}
            Err(why) => binder
                .undecided
                .push(Undecided::References { file: one.path.to_string(), why: why.to_owned() }),
        }
    }
    let Binder { problems, undecided, .. } = binder;
    verdict.problems.extend(problems);
    verdict.undecided.extend(undecided);
}

/// Of these it is not known whether they are there.
fn unsure_library(one: &Undecided) -> Option<&String> {
    match one {
        Undecided::Library { name, .. } => Some(name),
        _ => None,
    }
}

/// The references of one verdict being bound.
struct Binder<'v> {
    provider: &'v dyn Provider,
    bind: Bind,
    musl: bool,
    loaded: &'v [Loaded],
    by_name: &'v ByName,
    lacking: Vec<String>,
    unsure: Vec<String>,
    /// Versions that the file at hand asks for and that are missing, by the names of the libraries.
    missing: Vec<(&'v str, &'v str)>,
    /// The file that has the version of the reference at hand: most have it of the same as the one before.
    own: Option<usize>,
    /// What was last found without a version: neighbours are often in the same file.
    last: Option<usize>,
    known: HashMap<Reference<'v>, Search, BuildHasherDefault<Hashed>>,
    /// What may have the reference at hand.
    perhaps_in: Vec<usize>,
    /// References of a file that was bound before, and what is known of them.
    open: Vec<(u32, State)>,
    problems: Vec<Problem>,
    undecided: Vec<Undecided>,
}

/// What is known of a reference that nothing had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Nowhere,
    /// Of some file that is not known.
    Perhaps,
    Somewhere,
}

/// What satisfies a reference.
enum By {
    /// The file that `DT_VERNEED` names.
    Own(usize),
    /// A file, and it does not matter which.
    Any(usize),
    /// Nothing, or what does may depend on all that is loaded.
    Other,
}

impl<'v> Binder<'v> {
    fn all_of(&mut self, at: usize, references: References<'v>) {
        let object = &self.loaded[at].object;
        let memory = self.provider.memory();
        if let Some(memory) = memory
            && let Some(bound) = memory.references(object)
        {
            return self.again(at, references, &bound, memory);
        }
        // The file that is judged may never be loaded again.
        let Some(memory) = memory.filter(|_| at > 0) else {
            for index in 0..references.len() {
                let (import, reference, known) = references.get(index);
                if known.other_file {
                    self.own = self.own_of(import);
                }
                if !import.weak {
                    self.one(at, import, reference, known);
                }
            }
            return;
        };
        let mut bound = Bound::new(Arc::clone(object));
        for index in 0..references.len() {
            let (import, reference, known) = references.get(index);
            if known.other_file {
                self.own = self.own_of(import);
            }
            if import.weak {
                continue;
            }
            let (name, by) = match self.one(at, import, reference, known) {
                By::Own(by) => (import.file.as_deref(), by),
                By::Any(by) => (None, by),
                By::Other if import.copied => {
                    bound.alone.push(index as u32);
                    continue;
                }
                By::Other => {
                    bound.left.push(index as u32);
                    continue;
                }
            };
            let by = &self.loaded[by].object;
            let is_same = |group: &&mut Group| Arc::ptr_eq(&group.by, by) && group.name.as_deref() == name;
            match bound.groups.iter_mut().find(is_same) {
                Some(group) => group.references.push(index as u32),
                None => bound.groups.push(Group {
                    name: name.map(Name::new),
                    by: Arc::clone(by),
                    references: vec![index as u32],
                }),
            }
        }
        memory.keep_references(bound);
    }

    /// The references of a file that was bound before.
    fn again(&mut self, at: usize, references: References<'v>, bound: &Bound, memory: &Memory) {
        let (loaded, musl) = (self.loaded, self.musl);
        let mut all = std::mem::take(&mut self.open);
        all.clear();
        all.extend(bound.left.iter().map(|index| (*index, State::Nowhere)));
        if !bound.left.is_empty() {
            let ask = |by: &Object, index: u32| {
                let (_, reference, _) = references.get(index as usize);
                match musl {
                    true => by.offers.offers_any(reference),
                    false => by.offers.offers(reference),
                }
            };
            bound.ask_all(loaded, memory, ask, |by, said| {
                for place in &said.yes {
                    all[*place as usize].1 = State::Somewhere;
                }
                for place in &said.unknown {
                    let (index, state) = &mut all[*place as usize];
                    let import = || references.get(*index as usize).0;
                    if *state == State::Nowhere && is_doubt(&loaded[by], import(), musl) {
                        *state = State::Perhaps;
                    }
                }
            });
        }
        let before = all.len();
        let gone = bound.gone(self.by_name, loaded).chain(&bound.alone);
        all.extend(gone.map(|index| (*index, State::Somewhere)));
        if all.len() > before {
            all.sort_unstable_by_key(|(index, _)| *index);
        }
        for &(index, state) in &all {
            let (import, reference, known) = references.get(index as usize);
            if state == State::Somewhere {
                self.own = self.own_of(import);
                self.one(at, import, reference, known);
            } else if !self.is_of_lacking(import) {
                self.not_found(&loaded[at], import, state == State::Perhaps);
            }
        }
        self.open = all;
    }

    /// Whether nothing is said of it: what it lacks is.
    fn is_of_lacking(&self, import: &Import) -> bool {
        self.bind == Bind::Causes
            && !self.musl
            && !(self.lacking.is_empty() && self.missing.is_empty())
            && is_of_lacking(import, &self.lacking, &self.missing)
    }

    /// The file that `DT_VERNEED` names for a reference.
    fn own_of(&self, import: &Import) -> Option<usize> {
        let file = import.file.as_deref().filter(|_| !self.musl)?;
        self.by_name.find(file, hash(file.as_bytes()), self.loaded)
    }

    fn one(&mut self, at: usize, import: &'v Import, reference: Reference<'v>, known: &Known) -> By {
        let (musl, loaded, one) = (self.musl, self.loaded, &self.loaded[at]);
        if self.is_of_lacking(import) {
            return By::Other;
        }
        // Most are where `DT_VERNEED` says; that another file has it before decides nothing.
        if !import.copied
            && import.version.is_some()
            && let Some(own) = self.own
            && let offers = &loaded[own].object.offers
            && offers.has_version_table() == Some(true)
            && offers.offers(reference) == Answer::Yes
        {
            return By::Own(own);
        }
        // Which file has it first says nothing where no version is asked for, nor ever to musl.
        let is_plain = (import.version.is_none() || musl) && !import.copied;
        if is_plain {
            let there = self.last.filter(|at| ask(&loaded[*at], reference, musl) == Answer::Yes);
            let there = there.or_else(|| {
                let had_by = known.had_by();
                let before =
                    self.by_name.hashed(had_by).filter(|at| had_by != 0 && Some(*at) != self.last)?;
                (ask(&loaded[before], reference, musl) == Answer::Yes).then_some(before)
            });
            if let Some(found) = there {
                self.last = Some(found);
                return By::Any(found);
            }
        }
        // The main program's own copy does not count.
        let skip = (import.copied || !known.is_own).then_some(at);
        self.perhaps_in.clear();
        let found = match import.copied || at == 0 {
            // One file names a reference once, and most are the first one's.
            true => search(loaded, reference, musl, skip, &mut self.perhaps_in),
            false => {
                let search = self.known.entry(reference).or_insert_with(|| {
                    let mut perhaps_in = Vec::new();
                    Search { found: search(loaded, reference, musl, None, &mut perhaps_in), perhaps_in }
                });
                self.perhaps_in.extend(&search.perhaps_in);
                search.found
            }
        };
        if let Some(found) = found {
            if is_plain {
                self.last = Some(found);
                known.note(loaded[found].names.first().map_or(0, Name::hash));
                return By::Any(found);
            }
            if !musl
                && let Some(problem) = no_version_table(&loaded[found], import, &one.path)
                && !self.problems.contains(&problem)
            {
                self.problems.push(problem);
            }
            return By::Other;
        }
        let perhaps = self.perhaps_in.iter().any(|at| is_doubt(&loaded[*at], import, musl));
        self.not_found(one, import, perhaps);
        By::Other
    }

    /// Nothing has it; `perhaps`: as far as that is known.
    fn not_found(&mut self, one: &Loaded, import: &Import, perhaps: bool) {
        let mut when = import.when;
        let mut unsure = perhaps;
        if unsure && !one.given && self.provider.is_consistent() {
            return;
        }
        let because = because(import, &self.lacking, &self.missing);
        if !unsure {
            if self.bind == Bind::Causes && because.is_some() {
                return;
            }
            unsure = because == Some(Because::Library)
                && match (&import.version, &import.file) {
                    (Some(_), Some(file)) => self.unsure.contains(file),
                    _ => !self.unsure.is_empty(),
                };
            when = if self.musl { When::Start } else { import.when };
        }
        let (name, version, file) = (import.name.clone(), import.version.clone(), import.file.clone());
        let needed_by = one.path.to_string();
        match unsure {
            true => self.undecided.push(Undecided::Symbol { name, version, file, needed_by, when }),
            false => self.problems.push(Problem::Symbol { name, version, file, needed_by, when, because }),
        }
    }
}

struct Search {
    found: Option<usize>,
    perhaps_in: Vec<usize>,
}

fn ask(one: &Loaded, reference: Reference<'_>, musl: bool) -> Answer {
    match musl {
        true => one.object.offers.offers_any(reference),
        false => one.object.offers.offers(reference),
    }
}

/// The first file that has it; `perhaps_in` gets those before of which that is not known.
fn search(
    loaded: &[Loaded],
    reference: Reference<'_>,
    musl: bool,
    skip: Option<usize>,
    perhaps_in: &mut Vec<usize>,
) -> Option<usize> {
    for (at, one) in loaded.iter().enumerate().filter(|(at, _)| Some(*at) != skip) {
        match ask(one, reference, musl) {
            Answer::Yes => return Some(at),
            Answer::No => {}
            Answer::Unknown => perhaps_in.push(at),
        }
    }
    None
}

/// Whether a file of which it is not known may have a reference. A version is defined by the library that the
/// need names; that another one, of which nothing is known, has the same is no real doubt.
fn is_doubt(one: &Loaded, import: &Import, musl: bool) -> bool {
    match (&import.version, &import.file) {
        (Some(_), Some(file)) => musl || one.names.contains(file),
        _ => true,
    }
}

/// Fact 37: found, but in the library whose version is asked for, and that one
/// has no version table at all (`elf/dl-lookup.c`, `check_match`, the assertion).
fn no_version_table(found: &Loaded, import: &Import, needed_by: &str) -> Option<Problem> {
    import.version.as_ref()?;
    let file = import.file.as_ref().filter(|file| found.names.contains(file))?;
    (found.object.offers.has_version_table() == Some(false)).then(|| Problem::NoVersionTable {
        file: file.clone(),
        path: found.path.to_string(),
        needed_by: needed_by.to_owned(),
        symbol: import.name.clone(),
    })
}

/// Whether it is for a version of a library that is missing, or may be, or that has no such version.
fn is_of_lacking(import: &Import, lacking: &[String], missing: &[(&str, &str)]) -> bool {
    import.version.is_some()
        && (import.file.as_ref().is_some_and(|file| lacking.contains(file))
            || node_is_missing(import, missing))
}

/// The versions that a file asks for and that are missing, by the names of the libraries.
fn missing_nodes<'v>(one: &Loaded, problems: &'v [Problem]) -> Vec<(&'v str, &'v str)> {
    let missing = problems.iter().filter_map(|problem| match problem {
        Problem::Version { file, version, needed_by, .. } if **needed_by == *one.path => {
            Some((file.as_str(), version.as_str()))
        }
        _ => None,
    });
    missing.collect()
}

fn node_is_missing(import: &Import, missing: &[(&str, &str)]) -> bool {
    let (Some(file), Some(version)) = (&import.file, &import.version) else { return false };
    missing.iter().any(|(own, node)| node == version && own == file)
}

fn because(import: &Import, lacking: &[String], missing: &[(&str, &str)]) -> Option<Because> {
    if node_is_missing(import, missing) {
        return Some(Because::Version);
    }
    // A symbol whose version names a library that is there would be in that one.
    let elsewhere = import.file.as_ref().is_none_or(|file| lacking.contains(file));
    (elsewhere && !lacking.is_empty()).then_some(Because::Library)
}
