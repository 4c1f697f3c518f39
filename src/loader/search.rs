//! Finding needed libraries: `elf/dl-load.c`, `_dl_map_object`; for musl
//! `ldso/dynlink.c`, `load_library`.

use std::sync::Arc;

use super::memory::ByDefault;
use super::{Loaded, Name, Object, Probe, Problem, Provider, Subject, Undecided, Verdict};
use crate::artifact::Arch;
use crate::platform::hash;

/// Files loaded at most. The largest desktop programs load some 400.
const MOST_LOADED: usize = 4096;
/// Folders of run paths searched at most for one library.
const MOST_FOLDERS: usize = 8192;
/// So many files most programs load at most.
const USUAL: usize = 24;

/// Names that musl takes as its own (`ldso/dynlink.c`, `load_library`).
const MUSL_OWN: &[&str] = &["c", "pthread", "rt", "m", "dl", "util", "xnet"];

enum Outcome {
    Found(Arc<str>, Arc<Object>, bool),
    /// Something is there that stops the loader: path and what.
    Stopped(Arc<str>, String),
    Absent,
    Unknown(String),
}

pub(super) fn load_all(subject: &Subject, provider: &dyn Provider, verdict: &mut Verdict) {
    let own_names = subject.object.soname.iter().cloned().collect();
    verdict.loaded.push(Loaded {
        path: Arc::clone(&subject.path),
        names: own_names,
        object: Arc::clone(&subject.object),
        needed_by: None,
        given: true,
    });
    let interpreter =
        subject.interpreter.as_deref().and_then(|path| open_interpreter(path, subject, provider, verdict));
    let mut index = Index::default();
    verdict.loaded.reserve(USUAL);
    index.names.reserve(USUAL);
    index.paths.reserve(USUAL);
    index.add(0, &verdict.loaded[0]);
    let mut at = 0;
    while at < verdict.loaded.len() {
        let object = Arc::clone(&verdict.loaded[at].object);
        for name in &object.needed {
            take(name, at, interpreter.as_ref(), provider, verdict, &mut index);
        }
        at += 1;
    }
}

/// What is loaded, by hashes of its names and of its path, each with its place in the list: to look through hundreds
/// of numbers takes less than to keep as many names.
#[derive(Default)]
struct Index {
    names: Vec<(u64, usize)>,
    paths: Vec<(u64, usize)>,
}

impl Index {
    fn add(&mut self, at: usize, loaded: &Loaded) {
        let names = loaded.names.iter().chain(&loaded.object.soname);
        self.names.extend(names.map(|name| (name.hash(), at)));
        self.paths.push((hash(loaded.path.as_bytes()), at));
    }

    /// The first file loaded that answers to a name.
    fn named(&self, name: &Name, loaded: &[Loaded]) -> Option<usize> {
        let same = self.names.iter();
        let same = same.filter(|(own, at)| *own == name.hash() && answers_to(&loaded[*at], name));
        same.map(|(_, at)| *at).min()
    }

    fn at_path(&self, path: &str, loaded: &[Loaded]) -> Option<usize> {
        let hash = hash(path.as_bytes());
        let mut same = self.paths.iter().filter(|(own, at)| *own == hash && *loaded[*at].path == *path);
        same.next().map(|(_, at)| *at)
    }
}

fn open_interpreter(
    path: &str,
    subject: &Subject,
    provider: &dyn Provider,
    verdict: &mut Verdict,
) -> Option<Loaded> {
    let why = match provider.probe(path) {
        Probe::Found(object) if object.arch.same_as(subject.object.arch) => {
            let base = path.rsplit('/').next().unwrap_or(path);
            let own = object.soname.iter().filter(|name| ***name != *base).cloned();
            let names = [path, base].map(Name::new).into_iter().chain(own).collect();
            return Some(Loaded { path: path.into(), names, object, needed_by: None, given: false });
        }
        Probe::Found(_) | Probe::OtherMachine => Some("it is for another machine".to_owned()),
        Probe::NotLoadable(why) => Some(why),
        Probe::Unknown(why) => {
            verdict.undecided.push(Undecided::Interpreter { path: path.to_owned(), why });
            return None;
        }
        Probe::Absent if !provider.is_whole() => {
            let why = "it is not among the libraries at hand".to_owned();
            verdict.undecided.push(Undecided::Interpreter { path: path.to_owned(), why });
            return None;
        }
        Probe::Absent => None,
    };
    verdict.problems.push(Problem::Interpreter { path: path.to_owned(), why });
    None
}

/// Loads what one `DT_NEEDED` names, unless it is loaded already.
fn take(
    name: &Name,
    needed_by: usize,
    interpreter: Option<&Loaded>,
    provider: &dyn Provider,
    verdict: &mut Verdict,
    index: &mut Index,
) {
    if let Some(known) = index.named(name, &verdict.loaded) {
        let known = &mut verdict.loaded[known];
        if !known.names.iter().any(|own| own == name) {
            known.names.push(name.clone());
        }
        return;
    }
    if let Some(loader) = interpreter
        && (answers_to(loader, name) || (provider.is_musl() && is_musl_own(name)))
    {
        let mut loader = loader.clone();
        loader.needed_by = Some(needed_by);
        loader.names.push(name.clone());
        index.add(verdict.loaded.len(), &loader);
        verdict.loaded.push(loader);
        return;
    }
    if verdict.lacking().any(|lacking| **lacking == **name) {
        return;
    }
    let asker = || verdict.loaded[needed_by].path.to_string();
    if verdict.loaded.len() >= MOST_LOADED {
        let why = format!("more than {MOST_LOADED} files are not loaded");
        let unsure = Undecided::Library { name: name.to_string(), needed_by: asker(), why };
        verdict.undecided.push(unsure);
        return;
    }
    match find(name, needed_by, provider, &verdict.loaded) {
        Outcome::Found(path, object, given) => {
            // The same file under another name is loaded once.
            if let Some(known) = index.at_path(&path, &verdict.loaded) {
                index.names.push((name.hash(), known));
                verdict.loaded[known].names.push(name.clone());
                return;
            }
            let names = [name.clone()].into_iter().collect();
            let loaded = Loaded { path, names, object, needed_by: Some(needed_by), given };
            index.add(verdict.loaded.len(), &loaded);
            verdict.loaded.push(loaded);
        }
        Outcome::Stopped(path, why) => {
            let found = Some((path.to_string(), why));
            let missing = Problem::Library { name: name.to_string(), needed_by: asker(), found };
            verdict.problems.push(missing);
        }
        Outcome::Unknown(why) => {
            let unsure = Undecided::Library { name: name.to_string(), needed_by: asker(), why };
            verdict.undecided.push(unsure);
        }
        Outcome::Absent if !provider.is_whole() => {
            let why = "it is not among the libraries at hand".to_owned();
            let unsure = Undecided::Library { name: name.to_string(), needed_by: asker(), why };
            verdict.undecided.push(unsure);
        }
        Outcome::Absent => {
            let missing = Problem::Library { name: name.to_string(), needed_by: asker(), found: None };
            verdict.problems.push(missing);
        }
    }
}

/// A loaded file answers to the names it was asked by, and to its `DT_SONAME`.
fn answers_to(loaded: &Loaded, name: &Name) -> bool {
    loaded.names.iter().any(|own| own == name) || loaded.object.soname.as_ref() == Some(name)
}

fn is_musl_own(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("lib") else { return false };
    MUSL_OWN.iter().any(|own| rest.strip_prefix(own).is_some_and(|rest| rest.starts_with('.')))
}

fn find(name: &Name, needed_by: usize, provider: &dyn Provider, loaded: &[Loaded]) -> Outcome {
    let asker = &loaded[needed_by];
    let mut unknown = None;
    // With whether `$ORIGIN` of a file that was given leads there.
    let mut paths: Vec<(String, bool)> = Vec::new();
    if name.contains('/') {
        // A needed name with a slash is a path (fact 41).
        match expand(name, asker, provider) {
            Some(path) if path.starts_with('/') => paths.push((path, asker.given && names_origin(name))),
            Some(_) => {
                unknown = Some("its path is relative to the folder the program is started in".to_owned());
            }
            None => unknown = Some(format!("what `{}` expands to is not known", &**name)),
        }
    } else {
        let mut in_folders = |folders: &[String], asker: &Loaded| {
            for folder in folders {
                match expand(folder, asker, provider) {
                    Some(path) if path.starts_with('/') => {
                        paths.push((join(&path, name), asker.given && names_origin(folder)));
                    }
                    // The folder in which the program is started: nothing can be promised of it.
                    Some(_) => {}
                    None => unknown = Some(format!("what the run path `{folder}` expands to is not known")),
                }
            }
        };
        let chain = std::iter::successors(Some(asker), |one| one.needed_by.map(|at| &loaded[at]));
        if provider.is_musl() {
            // Both kinds of run path are inherited; `DT_RUNPATH` wins.
            for one in chain {
                let own = if one.object.runpath.is_empty() { &one.object.rpath } else { &one.object.runpath };
                in_folders(own, one);
            }
        } else {
            if asker.object.runpath.is_empty() {
                let mut did_main = false;
                for one in chain {
                    did_main |= std::ptr::eq(one, &raw const loaded[0]);
                    // A `DT_RUNPATH` disables the object's own `DT_RPATH` (fact 20).
                    if one.object.runpath.is_empty() {
                        in_folders(&one.object.rpath, one);
                    }
                }
                if !did_main && loaded[0].object.runpath.is_empty() {
                    in_folders(&loaded[0].object.rpath, &loaded[0]);
                }
            }
            in_folders(&asker.object.runpath, asker);
            let in_default = |path: &str| {
                let folder = path.rsplit_once('/').map(|(folder, _)| folder);
                provider.default_folders().iter().any(|own| Some(own.as_str()) == folder)
            };
            let cached = provider.cached(name).into_iter();
            let cached = cached.filter(|path| !asker.object.no_default_folders || !in_default(path));
            paths.extend(cached.map(|path| (path, false)));
        }
    }
    let arch = loaded[0].object.arch;
    for (path, by_origin) in paths.into_iter().take(MOST_FOLDERS) {
        if by_origin
            && let Probe::Found(object) = provider.probe_given(&path)
            && object.arch.same_as(arch)
        {
            return Outcome::Found(path.into(), object, true);
        }
        match at_path(&path, name, arch, provider) {
            Some(ByDefault::Found(path, object)) => return Outcome::Found(path, object, false),
            Some(ByDefault::Stopped(path, why)) => return Outcome::Stopped(path, why),
            Some(ByDefault::Absent(why)) => unknown = why,
            None => {}
        }
    }
    // Which these are is read of the system only where nothing before has the name.
    if !name.contains('/') && (provider.is_musl() || !asker.object.no_default_folders) {
        let look = || in_default_folders(name, arch, provider);
        let found = match provider.memory() {
            Some(memory) => memory.by_default(name, look),
            None => look(),
        };
        match found {
            ByDefault::Found(path, object) => return Outcome::Found(path, object, false),
            ByDefault::Stopped(path, why) => return Outcome::Stopped(path, why),
            ByDefault::Absent(why) => unknown = why.or(unknown),
        }
    }
    if let Some((path, object)) = provider.beside(name) {
        return Outcome::Found(path, object, true);
    }
    match unknown {
        Some(why) => Outcome::Unknown(why),
        None => Outcome::Absent,
    }
}

fn in_default_folders(name: &Name, arch: Arch, provider: &dyn Provider) -> ByDefault {
    let mut unknown = None;
    for folder in provider.default_folders() {
        match at_path(&join(folder, name), name, arch, provider) {
            None => {}
            Some(ByDefault::Absent(why)) => unknown = why,
            Some(found) => return found,
        }
    }
    ByDefault::Absent(unknown)
}

/// What one path makes of a search. `None`: it goes on.
fn at_path(path: &str, name: &Name, arch: Arch, provider: &dyn Provider) -> Option<ByDefault> {
    match provider.probe(path) {
        Probe::Absent => None,
        Probe::Found(object) if object.arch.same_as(arch) => Some(ByDefault::Found(path.into(), object)),
        Probe::Found(_) | Probe::OtherMachine if provider.is_musl() || name.contains('/') => {
            Some(ByDefault::Stopped(path.into(), "it is for another machine".to_owned()))
        }
        Probe::Found(_) | Probe::OtherMachine => None,
        Probe::NotLoadable(why) => Some(ByDefault::Stopped(path.into(), why)),
        Probe::Unknown(why) => Some(ByDefault::Absent(Some(why))),
    }
}

fn names_origin(path: &str) -> bool {
    path.contains("$ORIGIN") || path.contains("${ORIGIN}")
}

fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

/// `$ORIGIN`, `$LIB` and `$PLATFORM`, with or without braces
/// (`elf/dl-load.c`, `_dl_dst_substitute`). `None`: not known.
fn expand(path: &str, of: &Loaded, provider: &dyn Provider) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (name, after) = match tail.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, after)) => (name, after),
            None => {
                let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
                tail.split_at(end)
            }
        };
        match name {
            "ORIGIN" => out.push_str(of.path.rsplit_once('/').map_or("", |(folder, _)| folder)),
            // musl knows only `$ORIGIN`.
            "LIB" | "PLATFORM" if !provider.is_musl() => out.push_str(&provider.token(name)?),
            _ => {
                out.push('$');
                rest = tail;
                continue;
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Some(normal(&out))
}

/// Without `.`, `..` and doubled slashes, so that one file has one path.
/// (`/a/link/..` would differ; run paths through links upwards are not real.)
fn normal(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
