//! The static verdict beside the real loader's, item by item.
//!
//! A disagreement is a bug of ours or something that the loader is told and we
//! are not; either way it is said, never decided silently.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::outcome::Outcome;
use super::plan::{End, Plan, Way};
use super::runner::{self, Output};
use super::trial::Mismatch;
use crate::artifact::{Artifact, Libc, When};
use crate::loader::{self, Bind, Family, Object, Probe, Problem, Provider, Root, Subject, Verdict};

/// What the comparison gave.
#[derive(Debug, Default)]
pub struct Compared {
    pub mismatches: Vec<Mismatch>,
    /// Of libraries, all that are missing but the one that the loader names.
    pub also_missing: Vec<String>,
}

/// The root as it is put together: the visible folders lie over it.
struct Assembled {
    root: Option<Root>,
    machine: Root,
    family: Family,
    visible: Vec<PathBuf>,
    /// `LD_LIBRARY_PATH`.
    libraries: Vec<PathBuf>,
}

impl Assembled {
    fn new(facts: &Artifact, plan: &Plan) -> Self {
        let interpreter = facts.interpreter.as_deref().unwrap_or_default();
        let root = plan.root.as_ref().map(|folder| Root::of_system(folder, facts.arch, interpreter));
        let family = match &root {
            Some(root) => root.family(),
            None if facts.libc == Libc::Musl => Family::Musl,
            None => Family::Glibc { release: None },
        };
        let libraries = plan.env.iter().find(|(name, _)| name == "LD_LIBRARY_PATH");
        Self {
            root,
            machine: Root::of_folders("/", family.clone(), Vec::new()),
            family,
            visible: plan.visible.clone(),
            libraries: libraries.map(|(_, list)| std::env::split_paths(list).collect()).unwrap_or_default(),
        }
    }
}

impl Provider for Assembled {
    fn family(&self) -> Family {
        self.family.clone()
    }

    fn default_folders(&self) -> &[String] {
        self.root.as_ref().map(Root::default_folders).unwrap_or_default()
    }

    fn cached(&self, name: &str) -> Vec<String> {
        self.root.as_ref().map(|root| root.cached(name)).unwrap_or_default()
    }

    fn token(&self, name: &str) -> Option<String> {
        self.root.as_ref().and_then(|root| root.token(name))
    }

    fn probe(&self, path: &str) -> Probe {
        if self.visible.iter().any(|folder| Path::new(path).starts_with(folder)) {
            return self.machine.probe(path);
        }
        let hidden = ["/proc", "/dev", "/tmp"].iter().any(|folder| Path::new(path).starts_with(folder));
        match &self.root {
            Some(root) if !hidden => root.probe(path),
            _ => Probe::Absent,
        }
    }

    fn beside(&self, name: &str) -> Option<(Arc<str>, Arc<Object>)> {
        self.libraries.iter().find_map(|folder| {
            let path = folder.join(name).to_str()?.to_owned();
            match self.probe(&path) {
                Probe::Found(object) => Some((path.into(), object)),
                _ => None,
            }
        })
    }

    fn is_whole(&self) -> bool {
        true
    }
}

/// Compares. Where the loader names only one missing library it is asked for
/// all of them; where a program is started itself, for what it loads too.
pub fn compare(facts: &Artifact, plan: &Plan, way: Way, outcome: &Outcome, is_test: bool) -> Compared {
    let path = plan.program.to_string_lossy().into_owned();
    let Some(subject) = Subject::new(path, facts) else { return Compared::default() };
    let verdict = loader::load(&subject, &Assembled::new(facts, plan), Bind::Everything);
    let mut compared = Compared::default();
    judge(&verdict, outcome, &mut compared);
    // musl's loader has no such mode, and without a loader nobody answers.
    let asks = facts.interpreter.is_some()
        && facts.libc == Libc::Glibc
        && way != Way::Prefix
        && match outcome {
            Outcome::LibraryNotFound { .. } => true,
            Outcome::LoaderMissing { .. } | Outcome::LoaderRefused { .. } | Outcome::NotStarted { .. } => {
                false
            }
            Outcome::VersionNotFound { .. } => false,
            _ => !is_test,
        };
    if asks && let Some(traced) = trace(plan, way) {
        let before = compared.mismatches.len();
        compare_libraries(&verdict, &traced, outcome, &mut compared);
        if compared.mismatches.len() > before {
            // Each library by its name says more than that it starts.
            compared.mismatches.retain(|one| one.subject != START);
        }
    }
    compared
}

/// The subject of what concerns the program as a whole.
const START: &str = "start";

fn mismatch(subject: &str, predicted: impl Into<String>, loader: impl Into<String>) -> Mismatch {
    Mismatch { subject: subject.to_owned(), predicted: predicted.into(), loader: loader.into() }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Where the loader stopped, the verdict must have a reason of the same kind;
/// where it did not, none that stops it at the start.
fn judge(verdict: &Verdict, outcome: &Outcome, compared: &mut Compared) {
    let undecided = !verdict.undecided.is_empty();
    let problems = &verdict.problems;
    let fatal: Vec<&Problem> = problems.iter().filter(|problem| problem.at() == When::Start).collect();
    let all = || match fatal.as_slice() {
        [] => "it starts".to_owned(),
        some => some.iter().map(|problem| in_words(problem)).collect::<Vec<_>>().join("; "),
    };
    let mut differ = |subject: &str, loader: String| {
        if !undecided {
            compared.mismatches.push(mismatch(subject, all(), loader));
        }
    };
    match outcome {
        Outcome::LoaderMissing { interpreter } => {
            let predicted = problems
                .iter()
                .any(|problem| matches!(problem, Problem::Interpreter { path, .. } if path == interpreter));
            if !predicted {
                differ(interpreter, format!("there is no interpreter {interpreter}"));
            }
        }
        Outcome::LibraryNotFound { name } => {
            let predicted = problems.iter().any(
                |problem| matches!(problem, Problem::Library { name: own, found: None, .. } if own == name),
            );
            if !predicted {
                differ(name, format!("the library {name} is not found"));
            }
        }
        Outcome::VersionNotFound { versions } => compare_versions(verdict, versions, compared),
        Outcome::SymbolNotFound { symbol, version, .. } => {
            let predicted = problems.iter().any(|problem| {
                matches!(problem, Problem::Symbol { name, version: own, .. }
                    if name == symbol && (version.is_none() || own == version))
            });
            if !predicted {
                differ(symbol, format!("the symbol {symbol} is not found"));
            }
        }
        Outcome::LoaderRefused { message } => {
            if fatal.is_empty() {
                differ(START, message.clone());
            }
        }
        Outcome::NotStarted { message, .. } => {
            if fatal.is_empty() {
                differ(START, format!("the kernel does not start it: {message}"));
            }
        }
        // Fact 39: an old loader loads it unrelocated, and it crashes.
        Outcome::Killed { .. }
            if fatal.iter().all(|one| matches!(one, Problem::PackedRelocations { .. })) => {}
        _ => {
            if !fatal.is_empty() {
                differ(START, "the loader takes it".to_owned());
            }
        }
    }
}

fn compare_versions(verdict: &Verdict, found: &[super::outcome::MissingVersion], compared: &mut Compared) {
    let predicted: BTreeSet<(&str, &str, &str)> = verdict
        .problems
        .iter()
        .filter_map(|problem| match problem {
            Problem::Version { path, version, needed_by, .. } => {
                Some((version.as_str(), base(path), base(needed_by)))
            }
            _ => None,
        })
        .collect();
    let loader: BTreeSet<(&str, &str, &str)> =
        found.iter().map(|one| (one.version.as_str(), base(&one.library), base(&one.required_by))).collect();
    let words =
        |(version, library, by): &(&str, &str, &str)| format!("{library} lacks {version}, which {by} needs");
    for one in loader.difference(&predicted).filter(|_| verdict.undecided.is_empty()) {
        compared.mismatches.push(mismatch(one.0, "it is there", words(one)));
    }
    for one in predicted.difference(&loader) {
        compared.mismatches.push(mismatch(one.0, words(one), "it is there"));
    }
}

fn in_words(problem: &Problem) -> String {
    match problem {
        Problem::Interpreter { path, why: None } => format!("there is no interpreter {path}"),
        Problem::Interpreter { path, why: Some(why) } => {
            format!("the interpreter {path} cannot be started: {why}")
        }
        Problem::Library { name, found: None, .. } => format!("the library {name} is not found"),
        Problem::Library { name, found: Some((path, why)), .. } => {
            format!("the library {name} cannot be loaded: {path}: {why}")
        }
        Problem::Version { path, version, needed_by, .. } => {
            format!("{} lacks {version}, which {} needs", base(path), base(needed_by))
        }
        Problem::VersionOfNothing { file, version, .. } => {
            format!("{version} is asked of {file}, which is not loaded")
        }
        Problem::Symbol { name, version, .. } => match version {
            Some(version) => format!("the symbol {name}@{version} is not found"),
            None => format!("the symbol {name} is not found"),
        },
        Problem::NoVersionTable { path, .. } => format!("{path} has no version table"),
        Problem::PackedRelocations { file } => {
            format!("the loader does not know the packed relocations of {file}")
        }
        Problem::Relocation { file, relocation, .. } => {
            format!("the loader does not apply {relocation} in {file}")
        }
    }
}

/// The path at which the library lies for a CPU of which nothing is known, where
/// this is one for a newer CPU (fact 42): the verdict is about that one.
fn of_any_cpu(path: &str) -> String {
    match path.split_once("/glibc-hwcaps/") {
        Some((folder, rest)) => format!("{folder}/{}", base(rest)),
        None => path.to_owned(),
    }
}

/// What the loader says that it loads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traced {
    found: Vec<(String, String)>,
    missing: BTreeSet<String>,
}

/// Asks the loader itself (ld.so(8), `LD_TRACE_LOADED_OBJECTS`); the program
/// does not begin. Never asked of a file that is only to be read.
fn trace(plan: &Plan, way: Way) -> Option<Traced> {
    let mut plan = plan.clone();
    plan.env.push(("LD_TRACE_LOADED_OBJECTS".into(), "1".into()));
    plan.seconds = plan.seconds.min(60);
    let record = runner::run(&plan, way, Output::Kept).ok()?;
    let text = record.stdout.text();
    (matches!(record.end, End::Exited(_)) && !text.is_empty()).then(|| parse_trace(&text))
}

/// `\tlibc.so.6 => /lib/libc.so.6 (0x…)`, `\tlibx.so => not found`,
/// `\t/lib/ld64.so.1 (0x…)`.
fn parse_trace(text: &str) -> Traced {
    let mut traced = Traced::default();
    for line in text.lines().filter_map(|line| line.strip_prefix('\t')) {
        match line.split_once(" => ") {
            Some((name, "not found")) => drop(traced.missing.insert(name.to_owned())),
            Some((name, rest)) => {
                if let Some((path, _)) = rest.rsplit_once(" (0x") {
                    traced.found.push((name.to_owned(), path.to_owned()));
                }
            }
            // The loader itself, the kernel's own object.
            None => {}
        }
    }
    traced
}

fn compare_libraries(verdict: &Verdict, traced: &Traced, outcome: &Outcome, compared: &mut Compared) {
    let missing: BTreeSet<String> = verdict
        .problems
        .iter()
        .filter_map(|problem| match problem {
            Problem::Library { name, found: None, .. } => Some(name.clone()),
            _ => None,
        })
        .collect();
    for name in traced.missing.difference(&missing).filter(|_| verdict.undecided.is_empty()) {
        compared.mismatches.push(mismatch(name, "it is found", "it is not found"));
    }
    for name in missing.difference(&traced.missing) {
        let found = traced.found.iter().find(|(own, _)| own == name);
        let loader = found.map_or_else(|| "it is found".to_owned(), |(_, path)| format!("it is {path}"));
        compared.mismatches.push(mismatch(name, "it is not found", loader));
    }
    for (name, path) in traced.found.iter().filter(|(name, _)| !missing.contains(name)) {
        let ours = verdict.loaded.iter().find(|loaded| loaded.names.contains(name));
        match ours {
            Some(ours) if *ours.path != **path && *ours.path != *of_any_cpu(path) => {
                compared.mismatches.push(mismatch(
                    name,
                    format!("it is {}", ours.path),
                    format!("it is {path}"),
                ));
            }
            Some(_) => {}
            None if verdict.undecided.is_empty() => {
                compared.mismatches.push(mismatch(name, "it is not loaded", format!("it is {path}")));
            }
            None => {}
        }
    }
    if let Outcome::LibraryNotFound { name } = outcome {
        compared.also_missing = missing.into_iter().filter(|own| own != name).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_read() {
        let traced = parse_trace(
            "\tlinux-vdso.so.1 (0x00007f)\n\tlibx.so.1 => not found\n\tlibc.so.6 => /lib/a b/libc.so.6 (0x0000004002851000)\n\t/lib/ld64.so.1 (0x0000004000000000)\n",
        );
        assert_eq!(traced.found, [("libc.so.6".to_owned(), "/lib/a b/libc.so.6".to_owned())]);
        assert_eq!(traced.missing, BTreeSet::from(["libx.so.1".to_owned()]));
    }

    fn compared(verdict: &Verdict, outcome: &Outcome) -> Vec<Mismatch> {
        let mut compared = Compared::default();
        judge(verdict, outcome, &mut compared);
        compared.mismatches
    }

    // A verdict that says less, more or something else than the loader is seen.
    #[test]
    fn disagreements_are_seen() {
        let clean = Verdict::default();
        let library = Problem::Library { name: "libx.so".into(), needed_by: "/p".into(), found: None };
        let missing = Verdict { problems: vec![library], ..Verdict::default() };
        let not_found = Outcome::LibraryNotFound { name: "libx.so".into() };
        let other = Outcome::LibraryNotFound { name: "liby.so".into() };
        assert_eq!(compared(&missing, &not_found), []);
        assert_eq!(compared(&clean, &Outcome::Passed), []);
        assert_eq!(compared(&missing, &Outcome::Passed).len(), 1);
        assert_eq!(compared(&clean, &not_found).len(), 1);
        assert_eq!(compared(&missing, &other).len(), 1);
        assert_eq!(compared(&missing, &Outcome::Failed { code: 1 }).len(), 1);
        let versions = |version: &str| {
            vec![super::super::outcome::MissingVersion {
                version: version.into(),
                library: "/lib/libc.so.6".into(),
                required_by: "/p".into(),
            }]
        };
        let version = Problem::Version {
            file: "libc.so.6".into(),
            path: "/usr/lib/libc.so.6".into(),
            version: "GLIBC_2.38".into(),
            needed_by: "/p".into(),
        };
        let old = Verdict { problems: vec![version], ..Verdict::default() };
        assert_eq!(compared(&old, &Outcome::VersionNotFound { versions: versions("GLIBC_2.38") }), []);
        assert_eq!(compared(&old, &Outcome::VersionNotFound { versions: versions("GLIBC_2.39") }).len(), 2);
    }
}
