//! Holds archives and object files against what their later link would find.

use std::path::{Path, PathBuf};

use crate::artifact::{Arch, Format, Linkable, examine_linkable};
use crate::judge::Input;
use crate::link::{Given, Linker, Wanted};
use crate::lints::Reading;
use crate::policy::Policy;
use crate::target;
use crate::workspace::Links;

/// What the command line and cargo say of later links.
#[derive(Debug, Default)]
pub struct Said<'s> {
    /// `None`: files were named, and cargo was not asked.
    pub links: Option<&'s Links>,
    /// `--link-lib`.
    pub libraries: &'s [String],
    /// `--target`.
    pub triples: &'s [String],
    /// Which files were named themselves, rather than found in a folder.
    pub named: &'s [PathBuf],
}

/// Reads each archive and object of those that are to be judged.
pub fn complete(inputs: &mut [Input], policy: &Policy, said: &Said<'_>) {
    let mut linker = Linker::default();
    let is_object =
        |input: &&Input| matches!(input.reading, Reading::Other(Format::Object | Format::Archive));
    // Objects that are named together are linked together.
    let together: Vec<PathBuf> = match said.links {
        Some(_) => Vec::new(),
        None => inputs
            .iter()
            .filter(is_object)
            .filter(|input| said.named.contains(&input.path))
            .map(|input| input.path.clone())
            .collect(),
    };
    for input in inputs {
        let Reading::Other(format @ (Format::Archive | Format::Object)) = input.reading else { continue };
        let named = said.links.is_some() || said.named.contains(&input.path);
        if !named || !input.triples.iter().all(|triple| target::is_linux(triple)) {
            continue;
        }
        let facts = match examine_linkable(&input.path) {
            Ok(facts) => facts,
            Err(error) => {
                input.reading = Reading::Unreadable(error);
                continue;
            }
        };
        // Of another system's format: it is named as not examined.
        if facts.objects == 0
            && facts.unread.iter().all(|one| one.why.starts_with("no ELF"))
            && !facts.unread.is_empty()
        {
            continue;
        }
        if input.triples.is_empty() {
            input.triples = facts.arch.map(|arch| triples(arch, said.triples)).unwrap_or_default();
        }
        let objects = if format == Format::Object { together.as_slice() } else { &[] };
        let given = given(input, &facts, policy, said, objects);
        let allowed = |name: &str| {
            let all = |triple: &String| {
                policy.rules(Some(triple), &input.name).is_ok_and(|rules| rules.allows_undefined(name))
            };
            !input.triples.is_empty() && input.triples.iter().all(all)
        };
        let done = linker.complete(&input.path, facts, &given, &allowed);
        input.reading = Reading::Linkable(Box::new(done));
    }
}

/// The triples of a file that says its architecture and nothing else.
fn triples(arch: Arch, named: &[String]) -> Vec<String> {
    let fits = |triple: &&String| target::arch(triple).is_none_or(|own| own.same_as(arch));
    let fitting: Vec<String> = named.iter().filter(fits).cloned().collect();
    match (named.is_empty(), fitting.is_empty()) {
        (true, _) => target::glibc_triple(arch).into_iter().collect(),
        (false, true) => named.to_vec(),
        (false, false) => fitting,
    }
}

fn given(input: &Input, facts: &Linkable, policy: &Policy, said: &Said<'_>, objects: &[PathBuf]) -> Given {
    let triple = input.triples.first();
    let mut given = match said.links {
        Some(links) => links.given(triple.map(String::as_str), facts.rlib),
        None => Given::default(),
    };
    given.triple = triple.cloned();
    given.objects.extend(objects.iter().cloned());
    if facts.rlib && said.links.is_none() {
        given.objects.extend(beside(&input.path));
    }
    // A path in the policy is one beside it.
    let folder = policy.source.path.parent().unwrap_or(Path::new(""));
    for triple in &input.triples {
        let rules = policy.rules(Some(triple), &input.name).ok();
        let of_policy = rules.and_then(|rules| rules.link_libs).into_iter().flat_map(|list| list.value);
        for wanted in of_policy.filter_map(|library| Wanted::parse(&library.value)) {
            let below = folder.join(&wanted.name);
            let is_path = wanted.name.contains('/') && below.is_file();
            given.libraries.push(match is_path {
                true => Wanted { name: below.to_string_lossy().into_owned(), ..wanted },
                false => wanted,
            });
        }
    }
    for library in said.libraries {
        match Path::new(library).is_dir() {
            true => given.folders.push(library.into()),
            false => given.libraries.extend(Wanted::parse(library)),
        }
    }
    given
}

/// Rlibs that lie with one that was named: cargo's `deps`.
fn beside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for folder in [folder.to_owned(), folder.join("deps")] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let rlibs = entries.map(|entry| entry.path());
        found.extend(rlibs.filter(|path| path.extension().is_some_and(|ending| ending == "rlib")));
    }
    found
}
