//! What the static loader says of each artifact, with the libraries at hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact::{Arch, Artifact, Class, Endian, Libc, Role};
use crate::judge::Input;
use crate::lints::Reading;
use crate::loader::{Bind, Root, Subject, Undecided, Verdict, load};
use crate::many::each;
use crate::runs_on::Beside;
use crate::workspace::{libraries, libraries_of_rustc};

/// Where libraries are looked for.
#[derive(Debug, Clone, Default)]
pub struct Libraries {
    /// A folder that holds a whole system; without one: what is at hand.
    pub root: Option<PathBuf>,
    /// Folders in which more libraries are: those that build scripts name.
    pub folders: Vec<PathBuf>,
}

/// What decides where libraries are found.
type Key = (u16, Class, Endian, Libc, Option<String>);

/// Binds every artifact that a loader loads.
pub fn bind(inputs: &mut [Input], libraries: &Libraries) {
    let beside: Vec<Beside> = inputs.iter().filter_map(of_release).flatten().collect();
    let mut roots: HashMap<Key, Root> = HashMap::new();
    for input in inputs.iter() {
        let Some(facts) = loadable(input) else { continue };
        roots.entry(key(facts, input)).or_insert_with(|| {
            let own = beside.iter().filter(|(_, _, object)| object.arch.same_as(facts.arch));
            root(facts, input, libraries).with_beside(own.cloned())
        });
    }
    let say = |input: &mut Input| {
        let Some(facts) = loadable(input) else { return };
        input.verdict = roots.get(&key(facts, input)).and_then(|root| verdict(input, facts, root));
    };
    each(inputs.iter_mut().collect(), say);
}

/// Static files have no loader, and other systems' loaders other rules.
pub fn loadable(input: &Input) -> Option<&Artifact> {
    match &input.reading {
        Reading::Facts(facts) if facts.dynamic && facts.libc != Libc::Android => Some(facts),
        _ => None,
    }
}

fn key(facts: &Artifact, input: &Input) -> Key {
    let Arch { machine, class, endian, .. } = facts.arch;
    (machine, class, endian, facts.libc, input.triples.first().cloned())
}

fn root(facts: &Artifact, input: &Input, given: &Libraries) -> Root {
    let root = match &given.root {
        Some(folder) => {
            let glibc = facts.arch.glibc_interpreters().and_then(<[_]>::first).map(|path| (*path).to_owned());
            let usual = match facts.libc {
                Libc::Musl => format!("/lib/ld-musl-{}.so.1", facts.arch),
                _ => glibc.unwrap_or_default(),
            };
            Root::of_system(folder.clone(), facts.arch, facts.interpreter.as_deref().unwrap_or(&usual))
        }
        None => libraries(facts, input.triples.first().map(String::as_str)),
    };
    root.with_folders(given.folders.iter().map(|folder| folder.to_string_lossy().into_owned()))
}

/// A shared object of the same release, by its file name and its soname.
pub fn of_release(input: &Input) -> Option<Vec<Beside>> {
    let facts = loadable(input).filter(|facts| input.role.unwrap_or(facts.role) == Role::SharedObject)?;
    let object = input.object()?;
    let path: Arc<str> = absolute(&input.path).into();
    let file = input.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let names = file.into_iter().chain(facts.soname.clone());
    Some(names.map(|name| (name, Arc::clone(&path), Arc::clone(object))).collect())
}

fn verdict(input: &Input, facts: &Artifact, root: &Root) -> Option<Verdict> {
    let subject = subject(input, facts, absolute(&real_path(input, facts)))?;
    let verdict = load(&subject, root, Bind::Subject);
    // A dynamically linked std lies in rustc's own folder.
    let of_rust = verdict.undecided.iter().any(|one| match one {
        Undecided::Library { name, .. } => name.starts_with("libstd-") || name.starts_with("librustc_"),
        _ => false,
    });
    match input.triples.first().filter(|_| of_rust).and_then(|triple| libraries_of_rustc(triple)) {
        Some(folder) => Some(load(&subject, &root.copy_with_folder(folder), Bind::Subject)),
        None => Some(verdict),
    }
}

/// What loaders are asked of: a file at a path.
pub fn subject(input: &Input, facts: &Artifact, path: impl Into<Arc<str>>) -> Option<Subject> {
    let object = Arc::clone(input.object()?);
    Some(Subject { path: path.into(), interpreter: facts.interpreter.clone(), object })
}

/// `$ORIGIN` of a program is where it really lies (`/proc/self/exe`); of a
/// library, where it was found.
pub fn real_path(input: &Input, facts: &Artifact) -> PathBuf {
    match input.role.unwrap_or(facts.role) {
        Role::Executable => input.path.canonicalize().unwrap_or_else(|_| input.path.clone()),
        Role::SharedObject => input.path.clone(),
    }
}

pub fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}
