//! What the loader of a platform makes of a file: the static loader over the
//! platform's description, and what a user would have to install.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::artifact::{AbiVersion, Arch, Artifact, Cpu, Libc, Refusal, When};
use crate::loader::{Bind, Described, Name, Object, Problem, Root, Subject, Undecided, Verdict, load};
use crate::platform::{Platform, Probe, System};
use crate::text::some_of;

/// Symbols that one sentence names.
const SYMBOLS: usize = 4;

/// A file that comes with what is judged: the name it is asked by, its path, and what the loader reads of it.
pub type Beside = (String, Arc<str>, Arc<Object>);

/// The verdict of one platform on one file.
#[derive(Debug, Clone)]
pub struct OnPlatform {
    pub platform: Arc<Platform>,
    pub outcome: Outcome,
    /// Absent where no loader takes part, or nothing is known of the platform on this architecture.
    pub verdict: Option<Verdict>,
    /// Packages beyond a plain install that bring what the file needs.
    pub packages: Vec<String>,
    /// The system's libraries that the file itself needs.
    pub libraries: Vec<Library>,
    /// The file is for a newer CPU than the platform's oldest.
    pub cpu: Option<NewerCpu>,
}

/// A CPU that not every machine of a platform has.
#[derive(Debug, Clone, Copy)]
pub struct NewerCpu {
    pub needed: Cpu,
    /// The oldest that the platform runs on; `None`: that is not known.
    pub oldest: Option<Cpu>,
}

impl NewerCpu {
    /// `None`: every machine of the platform has it.
    pub fn on(platform: &Platform, arch: Arch, needed: Cpu) -> Option<Self> {
        let oldest = platform.cpu(arch);
        let fits = needed.is_base() || oldest.is_some_and(|oldest| !needed.is_newer_than(oldest));
        (!fits).then_some(Self { needed, oldest })
    }
}

/// A library that a package of the platform brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// As the file asks for it.
    pub name: Option<Name>,
    /// Any of them has it.
    pub packages: Arc<[String]>,
    /// Whether a plain install has it.
    pub plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No loader takes part.
    Static,
    Loads,
    /// Something is not known.
    Undecided,
    /// A function is missing, and the process ends when it is called.
    FailsAtCall,
    FailsAtStart,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Loads => "loads",
            Self::Undecided => "undecided",
            Self::FailsAtCall => "fails_at_call",
            Self::FailsAtStart => "fails_at_start",
        }
    }
}

impl OnPlatform {
    /// The platform on the file's architecture, where it is known.
    pub fn system(&self, facts: &Artifact) -> Option<&System> {
        self.platform.system(facts.arch)
    }

    /// The missing interpreter of a file that is for another C library than the
    /// platform's. All else that is missing follows from it.
    pub fn of_other_libc(&self, facts: &Artifact) -> Option<&Problem> {
        let own = match self.system(facts)?.about().libc.starts_with("musl") {
            true => Libc::Musl,
            false => Libc::Glibc,
        };
        let mut problems = self.verdict.iter().flat_map(|verdict| &verdict.problems);
        let other = matches!(facts.libc, Libc::Musl | Libc::Glibc) && facts.libc != own;
        problems.find(|problem| other && matches!(problem, Problem::Interpreter { why: None, .. }))
    }
}

/// Libraries by the system and their paths.
type Brought = HashMap<(usize, Arc<str>), Option<Library>>;

/// A platform that judges files, and remembers what it read of its libraries.
#[derive(Debug)]
pub struct Judge<'p> {
    platform: &'p Arc<Platform>,
    bind: Bind,
    /// What brings the library at a path, of each system in turn.
    brought: RwLock<Brought>,
    systems: Vec<(&'p System, Described<'p>)>,
}

impl<'p> Judge<'p> {
    /// `beside`: files that come with those judged.
    pub fn new(platform: &'p Arc<Platform>, beside: &[Beside], here: &Arc<Root>, bind: Bind) -> Self {
        let described = |system: &'p System| {
            let own = beside.iter().filter(|(_, _, object)| object.arch.same_as(system.arch()));
            (system, Described::new(system, Arc::clone(here)).with_beside(own.cloned()))
        };
        Self {
            platform,
            bind,
            brought: RwLock::default(),
            systems: platform.systems().iter().map(described).collect(),
        }
    }

    /// Judges a file that was read with its bindings, as what is loaded: none of it where it was not.
    pub fn judge(&self, facts: &Artifact, subject: Option<&Subject>) -> OnPlatform {
        let needed = facts.x86_isa_needed.and_then(Cpu::of_x86_isa);
        let cpu = needed.and_then(|needed| NewerCpu::on(self.platform, facts.arch, needed));
        let mut found = OnPlatform {
            platform: Arc::clone(self.platform),
            outcome: Outcome::Static,
            verdict: None,
            packages: Vec::new(),
            libraries: Vec::new(),
            cpu,
        };
        let mut known = self.systems.iter().enumerate();
        let known = known.find(|(_, (system, _))| system.arch().same_as(facts.arch));
        if facts.is_static() || !facts.dynamic {
            // It asks for no loader, but for the machine.
            if known.is_none() {
                found.outcome = Outcome::Undecided;
            }
            return found;
        }
        let (Some((at, (_, described))), Some(subject)) = (known, subject) else {
            found.outcome = Outcome::Undecided;
            return found;
        };
        let verdict = load(subject, described, self.bind);
        found.libraries = self.libraries(&verdict, at);
        found.packages = packages(&found.libraries);
        found.outcome = outcome(&verdict);
        found.verdict = Some(verdict);
        found
    }

    /// The libraries of a system that the file itself needs; what these need comes with them.
    fn libraries(&self, verdict: &Verdict, system: usize) -> Vec<Library> {
        let direct = verdict.loaded.iter().filter(|loaded| loaded.needed_by == Some(0));
        let known = direct.filter_map(|loaded| {
            let key = (system, Arc::clone(&loaded.path));
            let known = self.brought.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            let library = known.unwrap_or_else(|| {
                let new = brought(self.systems[system].0, &loaded.path);
                self.brought.write().unwrap_or_else(PoisonError::into_inner).insert(key, new.clone());
                new
            })?;
            Some(Library { name: loaded.names.first().cloned(), ..library })
        });
        known.collect()
    }
}

fn outcome(verdict: &Verdict) -> Outcome {
    let at = |when: When| verdict.problems.iter().any(|problem| problem.at() == when);
    // What is only found out at a call does not hide what stops the start.
    let start_unsure = verdict.undecided.iter().any(|one| match one {
        Undecided::Symbol { when, .. } => *when == When::Start,
        _ => true,
    });
    match (at(When::Start), start_unsure, at(When::Call)) {
        (true, ..) => Outcome::FailsAtStart,
        (false, true, _) => Outcome::Undecided,
        (false, false, true) => Outcome::FailsAtCall,
        (false, false, false) if verdict.undecided.is_empty() => Outcome::Loads,
        (false, false, false) => Outcome::Undecided,
    }
}

/// What brings the library at a path of a system; `None`: no package does.
fn brought(system: &System, path: &str) -> Option<Library> {
    let Probe::Library(libraries) = system.probe(path) else { return None };
    let plain = libraries.iter().any(|library| library.plain);
    let mut packages: Vec<String> = libraries.iter().filter_map(|library| library.package.clone()).collect();
    packages.sort_unstable();
    packages.dedup();
    (!packages.is_empty()).then(|| Library { name: None, packages: packages.into(), plain })
}

/// The packages beyond a plain install; of alternatives any will do.
fn packages(libraries: &[Library]) -> Vec<String> {
    let beyond = libraries.iter().filter(|library| !library.plain);
    let names: BTreeSet<String> = beyond.map(|library| library.packages.join(" | ")).collect();
    names.into_iter().collect()
}

/// What keeps the file from running, a sentence each, and then what may keep it.
pub fn reasons(found: &OnPlatform, facts: &Artifact) -> Vec<String> {
    let (mut causes, doubts) = (causes(found, facts), doubts(found, facts));
    causes.extend(doubts);
    causes
}

/// What keeps the file from running, without what follows from it.
pub fn causes(found: &OnPlatform, facts: &Artifact) -> Vec<String> {
    let mut causes = Vec::new();
    if let Some(problem) = found.of_other_libc(facts) {
        return vec![of_problem(problem, &by(found))];
    }
    // By the library and who asks: its versions are one cause.
    let mut versions: Vec<((&str, &str), Vec<&str>)> = Vec::new();
    let by = by(found);
    for problem in found.verdict.iter().flat_map(|verdict| &verdict.problems) {
        match problem {
            Problem::Symbol { because: Some(_), .. } => {}
            Problem::Version { file, version, needed_by, .. } => {
                match versions.iter_mut().find(|(of, _)| *of == (file.as_str(), needed_by.as_str())) {
                    Some((_, known)) => known.push(version),
                    None => versions.push(((file, needed_by), vec![version])),
                }
            }
            problem => causes.push(of_problem(problem, &by)),
        }
    }
    let of_versions = versions.into_iter().map(|((file, needed_by), mut versions)| {
        newest_first(&mut versions);
        format!("{file} has no {}{}", versions.join(", "), by(needed_by))
    });
    let after_libraries = causes.iter().take_while(|cause| !cause.starts_with("nothing defines ")).count();
    causes.splice(after_libraries..after_libraries, of_versions);
    causes.extend(found.cpu.map(|NewerCpu { needed, oldest }| match oldest {
        Some(oldest) => format!("it is for the CPU {needed}, and the platform for {oldest}"),
        None => format!("it is for the CPU {needed}, and the platform's oldest is not known"),
    }));
    causes.dedup();
    causes
}

/// What is not decided.
fn doubts(found: &OnPlatform, facts: &Artifact) -> Vec<String> {
    let Some(verdict) = &found.verdict else {
        let title = found.platform.title();
        let nothing = format!("nothing is known of {title} on {}", facts.arch);
        return (found.outcome == Outcome::Undecided).then_some(nothing).into_iter().collect();
    };
    let by = by(found);
    let (symbols, others): (Vec<&Undecided>, Vec<&Undecided>) =
        verdict.undecided.iter().partition(|one| matches!(one, Undecided::Symbol { .. }));
    let mut doubts: Vec<String> = others.into_iter().map(|one| of_undecided(one, &by)).collect();
    doubts.extend(together(symbols, |one| match one {
        Undecided::Symbol { name, version, needed_by, .. } => {
            Some((symbol(name, version.as_deref()), by(needed_by)))
        }
        _ => None,
    }));
    doubts.dedup();
    doubts
}

/// Of many symbols that nobody knows of one sentence for each file that asks.
fn together(
    symbols: Vec<&Undecided>,
    read: impl Fn(&Undecided) -> Option<(String, String)>,
) -> impl Iterator<Item = String> {
    let mut asked: Vec<(String, Vec<String>)> = Vec::new();
    for (name, by) in symbols.into_iter().filter_map(read) {
        match asked.iter_mut().find(|(known, _)| *known == by) {
            Some((_, names)) => names.push(name),
            None => asked.push((by, vec![name])),
        }
    }
    asked.into_iter().map(|(by, mut names)| {
        names.dedup();
        format!("whether anything defines {}{by}", some_of(&names, SYMBOLS))
    })
}

/// A symbol as the loader names it.
fn symbol(name: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{name}@{version}"),
        None => name.to_owned(),
    }
}

/// Tells who asks, where it is not the file itself.
fn by(found: &OnPlatform) -> impl Fn(&str) -> String {
    let own = found.verdict.as_ref().and_then(|verdict| verdict.loaded.first());
    let own = own.map(|loaded| loaded.path.clone());
    move |needed_by: &str| match Some(needed_by) == own.as_deref() {
        true => String::new(),
        false => format!(" (needed by {})", base(needed_by)),
    }
}

/// Sorts versions for people: of each namespace the newest first.
pub fn newest_first(versions: &mut Vec<&str>) {
    versions.sort_by_cached_key(|version| {
        let parsed = AbiVersion::parse(version, []);
        (parsed.namespace, std::cmp::Reverse(parsed.tag.release().cloned()))
    });
    versions.dedup();
}

/// A problem in one sentence; `by` tells who asks.
pub fn of_problem(problem: &Problem, by: &dyn Fn(&str) -> String) -> String {
    match problem {
        Problem::Interpreter { path, why: None } => format!("there is no {path}"),
        Problem::Interpreter { path, why: Some(why) } => format!("{path}: {why}"),
        Problem::Library { name, needed_by, found: None } => format!("{name} is missing{}", by(needed_by)),
        Problem::Library { name, needed_by, found: Some((path, why)) } => {
            format!("{name}: {path}: {why}{}", by(needed_by))
        }
        Problem::Version { file, version, needed_by, .. } => {
            format!("{file} has no {version}{}", by(needed_by))
        }
        Problem::VersionOfNothing { file, version, needed_by } => {
            format!("{version} of {file} is asked for, which is not needed{}", by(needed_by))
        }
        Problem::Symbol { name, version, needed_by, when, .. } => {
            let symbol = symbol(name, version.as_deref());
            let when = if *when == When::Call { ", found out at the call" } else { "" };
            format!("nothing defines {symbol}{when}{}", by(needed_by))
        }
        Problem::NoVersionTable { file, needed_by, .. } => {
            format!("{file} has no version table{}", by(needed_by))
        }
        Problem::PackedRelocations { file } => {
            format!("the loader does not know the packed relocations of {}", base(file))
        }
        Problem::Relocation { file, relocation, why: Refusal::Unknown, .. } => {
            format!("the loader does not know {relocation} in {}", base(file))
        }
        Problem::Relocation { file, relocation, why: Refusal::TooFar, .. } => {
            format!("{relocation} in {} cannot hold the address that the loader gives it", base(file))
        }
    }
}

/// The same of what is not decided.
pub fn of_undecided(one: &Undecided, by: &dyn Fn(&str) -> String) -> String {
    match one {
        Undecided::Interpreter { path, why } => format!("whether {path} is there: {why}"),
        Undecided::Library { name, needed_by, why } => {
            format!("whether {name} is there: {why}{}", by(needed_by))
        }
        Undecided::Version { file, version, needed_by, .. } => {
            format!("whether {file} has {version}{}", by(needed_by))
        }
        Undecided::Symbol { name, version, needed_by, .. } => {
            format!("whether anything defines {}{}", symbol(name, version.as_deref()), by(needed_by))
        }
        Undecided::References { file, why } => format!("what {} refers to: {why}", base(file)),
    }
}

pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Another version of a library that a platform has, and its package: `libfuse3.so.4`, for `libfuse3.so.3`.
pub fn relative(system: &System, name: &str) -> Option<(String, Option<String>)> {
    let stem = &name[..name.find(".so")? + 3];
    let mut found: Option<(String, Option<String>)> = None;
    let visited = system.each_named(stem, |item| {
        let is_relative = item.name.starts_with(stem)
            && item.name != name
            && item.name.as_bytes().get(stem.len()) == Some(&b'.')
            // `libfuse3.so.3.17.2` is the file behind `libfuse3.so.3`.
            && item.name.matches('.').count() <= name.matches('.').count()
            && system.search().contains(&item.folder);
        if is_relative && found.as_ref().is_none_or(|(known, _)| known.as_str() < item.name) {
            found = Some((item.name.to_owned(), (!item.package.is_empty()).then(|| item.package.to_owned())));
        }
    });
    visited.ok()?;
    found
}

/// A folder that holds the very library, and where the loader does not look of
/// itself: a private one (fact 45). With its package.
pub fn private(system: &System, name: &str) -> Option<(String, Option<String>)> {
    let mut found = None;
    let visited = system.each_named(name, |item| {
        if found.is_none() && item.name == name && !system.search().contains(&item.folder) {
            let package = (!item.package.is_empty()).then(|| item.package.to_owned());
            found = Some((item.folder, package));
        }
    });
    visited.ok()?;
    found
}
