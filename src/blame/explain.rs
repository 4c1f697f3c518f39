//! The whole answer: uses in the linked file, owners of the functions, the
//! path to the user's package.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::path::Path;

use super::code::Line;
use super::libraries;
use super::nameless::named;
use super::names;
use super::owners::{self, Library, Owner, Owners, Place, Reference};
use super::packages::{self, Packages};
use super::relocatable::Wanted;
use super::uses::{Detail, Function, Use, Uses};
use crate::artifact::Artifact;
use crate::finding::cause::{Answer, Cause, Origin, SourceLine, Sureness, What};
use crate::text;
use crate::workspace::Outputs;

/// Functions kept of one cause.
const MOST_FUNCTIONS: usize = 32;

/// A linked file and what is known of where it came from.
#[derive(Debug)]
pub struct Program<'a> {
    pub path: &'a Path,
    pub facts: &'a Artifact,
    pub triple: Option<&'a str>,
    /// Its package, by cargo's package id.
    pub package: Option<&'a str>,
    /// Its own crate, as Rust source says it.
    pub crate_name: Option<String>,
    /// The archives that it was linked from; empty without cargo.
    pub libraries: &'a [Library],
    pub packages: Option<&'a Packages>,
    pub outputs: &'a Outputs,
}

/// Who brought in what, of one file.
#[derive(Debug, Default)]
pub struct Explained {
    pub answers: Vec<Answer>,
    /// What limits the answers.
    pub notes: Vec<String>,
    /// Functions have no names, so others than candidates could be told by
    /// linking once more.
    pub nameless: bool,
}

/// A question with the imports that it comes down to.
#[derive(Debug)]
pub struct Imports {
    pub all: BTreeSet<String>,
    /// What each library of those asked after provides.
    of_libraries: BTreeMap<String, Vec<String>>,
}

pub fn imports(program: &Program<'_>, asked: &[What]) -> Imports {
    let of_libraries = libraries::symbols(program, asked);
    let symbols = asked.iter().filter_map(|what| match what {
        What::Symbol { name, .. } => Some(name.clone()),
        _ => None,
    });
    Imports { all: symbols.chain(of_libraries.values().flatten().cloned()).collect(), of_libraries }
}

pub fn explain(program: &Program<'_>, asked: &[What], imports: &Imports, uses: &Uses) -> Explained {
    let of_libraries = &imports.of_libraries;
    let symbols = &imports.all;
    let mut wanted = Wanted::default();
    for name in symbols {
        wanted.imports.insert(names::in_objects(name).as_bytes());
        let Some(one) = uses.of(name) else { continue };
        for function in &one.functions {
            let chain = function.chain.iter();
            let inlined = function.places.iter().flat_map(|place| &place.inlined);
            let inlined = inlined.filter_map(|frame| frame.function.as_ref());
            let all = iter::once(&function.name).chain(chain).chain(inlined);
            wanted.functions.extend(all.map(|name| names::without_suffix(name).as_bytes()));
        }
        if one.is_nameless() {
            wanted.nameless.insert(name);
        }
    }
    let owners = match wanted.imports.is_empty() {
        true => Owners::default(),
        false => owners::search(program.libraries, &wanted),
    };
    let linked = match (program.packages, program.package) {
        (Some(packages), Some(package)) => Some(packages.linked_into(package)),
        _ => None,
    };
    let search = Search { program, uses, owners: &owners, linked };
    let mut explained = Explained::default();
    let mut is_doubted = false;
    for what in asked {
        let causes = match what {
            What::Symbol { name, .. } => {
                let (causes, doubted) = search.of_symbol(name);
                is_doubted |= doubted;
                causes
            }
            What::Version { .. } => vec![Cause::new(Origin::Linker, Sureness::Exact)],
            What::Library { name } => {
                let through = of_libraries.get(name).map(Vec::as_slice).unwrap_or_default();
                let (causes, doubted) = search.of_library(name, through);
                is_doubted |= doubted;
                causes
            }
        };
        explained.answers.push(Answer { what: what.clone(), causes });
    }
    let is_nameless = |name: &String| uses.of(name).is_some_and(Use::is_nameless);
    explained.nameless = uses.is_stripped() && symbols.iter().any(is_nameless);
    explained.notes = notes(program, &owners, uses, explained.nameless);
    if is_doubted {
        explained.notes.push(
            "the build is optimised: what a function needs may be in code inlined from a crate that it depends on; a build with `debug = \"line-tables-only\"` in its profile, and not stripped, tells".to_owned(),
        );
    }
    explained
}

fn notes(program: &Program<'_>, owners: &Owners, uses: &Uses, nameless: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(why) = &uses.unreadable {
        notes.push(format!("the code of the file could not be searched: {why}"));
    }
    if program.libraries.is_empty() {
        notes.push(
            "crates are known by the names of functions alone: without cargo, no rlib was read".to_owned(),
        );
    }
    if nameless {
        notes.push(match program.libraries.is_empty() {
            true => "the file is stripped, so its functions have no names".to_owned(),
            false => "the file is stripped, so its functions have no names: they are known by their bytes in the objects of its crates, and others are candidates".to_owned(),
        });
    }
    if let Some(why) = &uses.no_lines {
        notes.push(format!("there are no source lines: {why}"));
    }
    if owners.bitcode > 0 {
        notes.push(format!(
            "{} by link-time optimisation: what a function calls may be inlined from another crate",
            match owners.bitcode {
                1 => "1 rlib was linked".to_owned(),
                many => format!("{many} rlibs were linked"),
            }
        ));
    }
    for (path, error) in owners.unreadable.iter().take(3) {
        notes.push(format!("{} could not be read: {error}", text::path(path)));
    }
    if owners.unreadable.len() > 3 {
        notes.push(format!("nor could {} more archives", owners.unreadable.len() - 3));
    }
    notes
}

/// Whose a function is, and how sure that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Belongs {
    pub origin: Origin,
    pub package: Option<String>,
    pub crate_name: Option<String>,
    pub object: Option<String>,
    pub sure: Sureness,
}

/// One who may need it, and the function by which.
pub(super) type Found<'f> = (Belongs, Option<Cow<'f, Function>>);

impl Belongs {
    pub fn new(origin: Origin, sure: Sureness) -> Self {
        Self { origin, package: None, crate_name: None, object: None, sure }
    }

    pub fn at(place: &Place, sure: Sureness) -> Self {
        let object = place.object.clone();
        match &place.owner {
            Owner::Std { crate_name } => {
                Self { crate_name: Some(crate_name.clone()), object, ..Self::new(Origin::Std, sure) }
            }
            Owner::Package { id, crate_name } => Self {
                package: Some(id.clone()),
                crate_name: crate_name.clone(),
                object,
                ..Self::new(Origin::Package, sure)
            },
        }
    }
}

pub(super) struct Search<'a> {
    pub program: &'a Program<'a>,
    pub uses: &'a Uses,
    pub owners: &'a Owners,
    /// Packages that can be part of the file.
    pub linked: Option<BTreeSet<&'a str>>,
}

impl Search<'_> {
    /// The causes, and whether inlined code of other crates may be among them.
    fn of_symbol(&self, name: &str) -> (Vec<Cause>, bool) {
        if self.uses.of(name).is_some_and(|one| one.dead) {
            return (vec![Cause::new(Origin::Dead, Sureness::Exact)], false);
        }
        let mut found = self.users(name);
        let is_doubted = self.doubt(name, &mut found);
        (self.grouped(found), is_doubted)
    }

    /// Who refers to an import, or may.
    fn users(&self, name: &str) -> Vec<Found<'_>> {
        let Some(one) = self.uses.of(name) else { return self.candidates(name, &[]) };
        let mut found = Vec::new();
        for function in &one.functions {
            found.extend(self.of_function(name, function));
        }
        if one.functions.iter().any(|function| function.by_table) {
            self.sift(name, &mut found);
        }
        if !one.dead && (one.is_nameless() || one.functions.is_empty()) {
            found.extend(self.nameless(name, one));
        }
        found
    }

    /// Of those that name a table which holds an import, such whose objects
    /// refer to it: what lies beside a table may be taken for it.
    fn sift<'f>(&self, import: &str, found: &mut Vec<Found<'f>>) {
        let mut referring: Vec<&Reference> =
            self.owners.referring_to(names::in_objects(import)).iter().collect();
        referring.retain(|one| self.can_be(&one.place.owner));
        let whose = |owner: &Belongs| (owner.origin, owner.package.clone());
        let is_of =
            |one: &Reference, owner: &Belongs| whose(&Belongs::at(&one.place, owner.sure)) == whose(owner);
        let refers = |owner: &Belongs| referring.iter().any(|one| is_of(one, owner));
        if found.iter().any(|(owner, _)| refers(owner)) {
            found.retain(|(owner, _)| refers(owner));
        } else if !referring.is_empty() {
            // Nobody keeps the final crate's objects, nor reads LLVM's code.
            let is_open =
                |owner: &Belongs| self.owners.bitcode > 0 || owner.package.as_deref() == self.program.package;
            found.retain(|(owner, _)| owner.origin == Origin::Package && is_open(owner));
            found.extend(referring.iter().map(|one| named(one, Sureness::Likely)));
        }
        let first = found.first().map(|(owner, _)| whose(owner));
        let is_one = found.iter().all(|(owner, _)| Some(whose(owner)) == first);
        let most = if is_one { Sureness::Likely } else { Sureness::Candidate };
        for (owner, _) in found {
            owner.sure = owner.sure.max(most);
        }
    }

    /// Whose a function is that refers to an import; several where that
    /// cannot be told.
    pub(super) fn owner(&self, import: &str, function: &Function) -> Vec<Belongs> {
        let places: Vec<&Place> = self
            .owners
            .of_function(&function.name)
            .iter()
            .filter(|place| self.can_be(&place.owner))
            .collect();
        match distinct(&places).as_slice() {
            [] => self.by_name(import, function),
            [one] => vec![Belongs::at(one, Sureness::Exact)],
            _ => self.among(import, function, &places),
        }
    }

    /// Of a function that several archives define, such as an inlined one:
    /// those whose own copy refers to the import, or the one that its caller
    /// is of.
    fn among(&self, import: &str, function: &Function, places: &[&Place]) -> Vec<Belongs> {
        let refers = |place: &&&Place| {
            self.owners.referring_to(names::in_objects(import)).iter().any(|reference| {
                reference.place == ***place && reference.function.as_deref() == Some(function.name.as_str())
            })
        };
        let referring: Vec<&Place> = places.iter().filter(refers).copied().collect();
        let left = if referring.is_empty() { places.to_vec() } else { referring };
        if let [one] = distinct(&left).as_slice() {
            return vec![Belongs::at(one, Sureness::Exact)];
        }
        // The caller next to it is in the same object as its own copy.
        for caller in function.chain.iter().rev().filter(|caller| **caller != function.name) {
            let callers = self.owners.of_function(caller);
            let same = |place: &&&Place| callers.iter().any(|caller| caller.owner == place.owner);
            let same: Vec<&Place> = left.iter().filter(same).copied().collect();
            if let [one] = distinct(&same).as_slice() {
                return vec![Belongs::at(one, Sureness::Likely)];
            }
        }
        distinct(&left).into_iter().map(|place| Belongs::at(place, Sureness::Candidate)).collect()
    }

    /// Of a function that no archive defines: it stands in the objects of the
    /// final crate, or in what the C compiler adds.
    fn by_name(&self, import: &str, function: &Function) -> Vec<Belongs> {
        let name = function.name.as_str();
        // A program without start files has a `_start` of its own.
        if function.is_start && names::of_start_files(import) {
            let object = Some(names::start_file(name).to_owned());
            return vec![Belongs { object, ..Belongs::new(Origin::StartFiles, Sureness::Exact) }];
        }
        let Some(crate_name) = names::crate_of(name) else {
            return self.c_function(import, function);
        };
        // Link-time optimisation puts functions of other crates into this one.
        let by_lto = self.owners.bitcode > 0;
        if self.program.crate_name.as_ref() == Some(&crate_name) {
            return vec![self.own(if by_lto { Sureness::Candidate } else { Sureness::Exact })];
        }
        let is_optimised = self.program.libraries.is_empty() || by_lto;
        if names::is_std(&crate_name) {
            // Generic and inlined functions of std are compiled where they are
            // used: if no rlib has it, in the final crate.
            let is_stds = !names::is_legacy(name) && self.uses.has_legacy_names();
            if !is_optimised && !is_stds && self.program.crate_name.is_some() {
                return vec![self.own(Sureness::Likely)];
            }
            // std itself is compiled with the new names of rustc; one by an old
            // name was compiled in the crate that uses it.
            if names::is_legacy(name)
                && let Some(caller) = self.nearest_crate(function)
            {
                return self.by_crate(&caller, Sureness::Candidate);
            }
            let std = Belongs::new(Origin::Std, Sureness::Likely);
            return vec![Belongs { crate_name: Some(crate_name), ..std }];
        }
        // A generic function is compiled where it is used, with what it was
        // given; where that is inlined, the import may be of either.
        let is_doubtful = by_lto || self.is_optimised();
        let mut found =
            self.by_crate(&crate_name, if is_doubtful { Sureness::Candidate } else { Sureness::Likely });
        if self.program.libraries.is_empty() {
            return found;
        }
        let caller = function.chain.iter().rev().nth(1).and_then(|name| names::crate_of(name));
        let is_another = |caller: &String| *caller != crate_name && !names::is_std(caller);
        if let Some(caller) = caller.filter(is_another) {
            found.extend(self.by_crate(&caller, Sureness::Candidate));
        }
        if self.program.crate_name.is_some() && is_doubtful {
            found.push(self.own(Sureness::Candidate));
        }
        found
    }

    /// Whether the file's own crate was compiled with optimisation.
    fn is_optimised(&self) -> bool {
        self.program.package.is_some_and(|id| self.program.outputs.optimised.contains(id))
    }

    /// The crate nearest to a function on its chain that is not std's.
    fn nearest_crate(&self, function: &Function) -> Option<String> {
        let callers = function.chain.iter().rev().filter_map(|name| names::crate_of(name));
        callers.into_iter().find(|name| !names::is_std(name))
    }

    /// Whose a crate is, by its name alone.
    pub(super) fn by_crate(&self, crate_name: &str, sure: Sureness) -> Vec<Belongs> {
        if self.program.crate_name.as_deref() == Some(crate_name) {
            return vec![self.own(sure)];
        }
        let ids = match (self.program.packages, &self.linked) {
            (Some(packages), Some(linked)) => packages.of_crate(crate_name, linked),
            _ => Vec::new(),
        };
        let by_crate =
            |sure| Belongs { crate_name: Some(crate_name.to_owned()), ..Belongs::new(Origin::Package, sure) };
        match ids.as_slice() {
            [] if names::is_also_in_std(crate_name) => vec![by_crate(Sureness::Candidate)],
            [] => vec![by_crate(sure)],
            [id] => vec![Belongs { package: Some((*id).to_owned()), ..by_crate(sure) }],
            several => several
                .iter()
                .map(|id| Belongs { package: Some((*id).to_owned()), ..by_crate(Sureness::Candidate) })
                .collect(),
        }
    }

    /// A C function that no archive defines under its name: by the objects
    /// that refer to the import, if any do.
    fn c_function(&self, import: &str, function: &Function) -> Vec<Belongs> {
        let referring =
            self.owners.referring_to(names::in_objects(import)).iter().map(|reference| &reference.place);
        let mut of_std = referring.clone().filter(|place| matches!(place.owner, Owner::Std { .. }));
        // rustc makes `main`, and calls only std from it.
        if function.name == "main"
            && self.program.crate_name.is_some()
            && let Some(place) = of_std.next()
        {
            return vec![Belongs::at(place, Sureness::Likely)];
        }
        let native: Vec<&Place> =
            referring.filter(|place| place.object.is_some() && self.can_be(&place.owner)).collect();
        match distinct(&native).as_slice() {
            // Who calls it may have brought it along; the final crate may have
            // it by a name of C: `extern "C" fn`.
            [] => match self.nearest_crate(function) {
                Some(caller) => self.by_crate(&caller, Sureness::Candidate),
                None if self.program.crate_name.is_some() => vec![self.own(Sureness::Candidate)],
                None => vec![Belongs::new(Origin::Unknown, Sureness::Candidate)],
            },
            [one] => vec![Belongs::at(one, Sureness::Likely)],
            several => several.iter().map(|place| Belongs::at(place, Sureness::Candidate)).collect(),
        }
    }

    /// The package of the file itself.
    pub(super) fn own(&self, sure: Sureness) -> Belongs {
        Belongs {
            package: self.program.package.map(str::to_owned),
            crate_name: self.program.crate_name.clone(),
            ..Belongs::new(Origin::Package, sure)
        }
    }

    pub(super) fn can_be(&self, owner: &Owner) -> bool {
        match (owner, &self.linked) {
            (Owner::Package { id, .. }, Some(linked)) => linked.contains(id.as_str()),
            _ => true,
        }
    }

    fn of_library(&self, name: &str, symbols: &[String]) -> (Vec<Cause>, bool) {
        if let Some(cause) = libraries::of_the_toolchain(self.program, name) {
            return (vec![cause], false);
        }
        let scripts = libraries::linked_by(self.program, name);
        let scripts =
            scripts.into_iter().filter(|id| self.linked.as_ref().is_none_or(|linked| linked.contains(id)));
        let by_script: Vec<Belongs> = scripts
            .map(|id| Belongs {
                package: Some(id.to_owned()),
                ..Belongs::new(Origin::Package, Sureness::Exact)
            })
            .collect();
        let named: BTreeSet<&str> = by_script.iter().filter_map(|owner| owner.package.as_deref()).collect();
        let mut causes = self.grouped(by_script.iter().map(|owner| (owner.clone(), None)).collect());
        for cause in &mut causes {
            cause.crate_name = None;
        }
        // Who uses it: where no build script names it, who may have linked it.
        let mut found: Vec<Found<'_>> = Vec::new();
        let mut is_doubted = false;
        for symbol in symbols {
            let mut users = self.users(symbol);
            is_doubted |= self.doubt(symbol, &mut users);
            found.extend(users);
        }
        found.retain(|(owner, _)| !owner.package.as_deref().is_some_and(|id| named.contains(id)));
        if named.is_empty() {
            for (owner, _) in &mut found {
                // That it uses the library does not say that it linked it.
                owner.sure = owner.sure.max(Sureness::Likely);
            }
        }
        causes.extend(self.grouped(found));
        if causes.is_empty() {
            causes.push(match symbols.is_empty() {
                true => Cause::new(Origin::Unknown, Sureness::Candidate),
                false => Cause::new(Origin::Dead, Sureness::Exact),
            });
        }
        (causes, is_doubted)
    }

    /// One cause for each owner, with its functions and the shortest chain.
    fn grouped(&self, found: Vec<Found<'_>>) -> Vec<Cause> {
        type Key = (Origin, Option<String>, Option<String>);
        let mut groups: BTreeMap<Key, Vec<Found<'_>>> = BTreeMap::new();
        for (owner, function) in found {
            // Of std it does not matter which of its crates it is.
            let crate_name = if owner.origin == Origin::Std { None } else { owner.crate_name.clone() };
            groups
                .entry((owner.origin, owner.package.clone(), crate_name))
                .or_default()
                .push((owner, function));
        }
        let mut causes: Vec<Cause> = groups.into_values().map(|group| self.cause(&group)).collect();
        causes.sort_by_key(|cause| (cause.sure, cause.path.len(), cause.origin));
        causes
    }

    fn cause(&self, group: &[Found<'_>]) -> Cause {
        let surest = group.iter().map(|(owner, _)| owner.sure).min().unwrap_or(Sureness::Candidate);
        let owner = &group[0].0;
        let mut cause = Cause::new(owner.origin, surest);
        cause.crate_name.clone_from(&owner.crate_name);
        cause.object = group.iter().find_map(|(owner, _)| owner.object.clone());
        // Beside what is sure, what may be says nothing.
        let counts = |owner: &Belongs| owner.sure < Sureness::Candidate || surest == Sureness::Candidate;
        let functions: HashMap<&str, &Function> = group
            .iter()
            .filter(|(owner, _)| counts(owner))
            .filter_map(|(_, function)| {
                function.as_deref().map(|function| (function.name.as_str(), function))
            })
            .collect();
        let mut functions: Vec<&Function> = functions.into_values().collect();
        // The shortest chain first, and the same one in every run.
        functions.sort_by(|a, b| {
            let key = |function: &Function| {
                (function.chain.is_empty(), function.through_table, function.chain.len())
            };
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        if let Some(first) = functions.first() {
            cause.chain = first.chain.iter().map(|name| names::demangled(name)).collect();
            cause.chain_by_table = first.through_table;
        }
        cause.functions =
            functions.iter().take(MOST_FUNCTIONS).map(|function| names::demangled(&function.name)).collect();
        // How std does it nobody asked.
        let is_told = cause.origin != Origin::Std || self.uses.detail == Detail::Lines;
        let lines = functions.iter().filter(|_| is_told).flat_map(|function| &function.places);
        cause.lines = lines.filter_map(|place| place.line.as_ref()).map(source_line).collect();
        cause.lines.sort();
        cause.lines.dedup();
        cause.lines.truncate(MOST_FUNCTIONS);
        cause.package = owner.package.as_deref().and_then(packages::name_of_id);
        if let (Some(packages), Some(id)) = (self.program.packages, owner.package.as_deref()) {
            cause.package = packages.get(id).map(|package| package.name.clone()).or(cause.package);
            if let Some(from) = self.program.package {
                cause.path = packages.path(from, id).map(|path| packages.names(&path)).unwrap_or_default();
            }
        }
        cause
    }
}

fn source_line(line: &Line) -> SourceLine {
    SourceLine { file: line.file.clone(), line: line.line }
}

/// One place for each owner.
pub(super) fn distinct<'p>(places: &[&'p Place]) -> Vec<&'p Place> {
    let mut seen = BTreeSet::new();
    places.iter().copied().filter(|place| seen.insert(&place.owner)).collect()
}
