//! Versions and symbols: `elf/dl-version.c` and `elf/dl-lookup.c`.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::{
    Answer, Because, Bind, Family, Imports, Loaded, Offers, Problem, Provider, Reference, Undecided, Verdict,
    Versions, Warning,
};
use crate::artifact::{Import, When};
use crate::platform::hash;

/// The first glibc whose loader knows `DT_RELR` (NEWS of 2.36).
const KNOWS_RELR: [u32; 2] = [2, 36];

/// Each version need against the definitions of the file that it names.
pub(super) fn check_versions(provider: &dyn Provider, verdict: &mut Verdict) {
    if provider.is_musl() {
        return;
    }
    let lacking: Vec<String> = verdict.lacking().cloned().collect();
    let by_name = Names::of(&verdict.loaded);
    let (mut problems, mut undecided, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for one in &verdict.loaded {
        let needed_by = || one.path.clone();
        for need in &one.object.version_needs {
            let found = by_name.get(need.file.as_str()).map(|found| (found, &found.object.versions));
            if let Some((_, Versions::Nodes(nodes) | Versions::AtLeast(nodes))) = found
                && nodes.contains(&need.version)
            {
                continue;
            }
            let (file, version) = (need.file.clone(), need.version.clone());
            match found {
                None if lacking.contains(&need.file) => {}
                None => problems.push(Problem::VersionOfNothing { file, version, needed_by: needed_by() }),
                Some((_, Versions::Nodes(_))) if need.weak => {
                    warnings.push(Warning::WeakVersion { file, version, needed_by: needed_by() });
                }
                Some((found, Versions::Nodes(_))) => problems.push(Problem::Version {
                    file,
                    path: found.path.clone(),
                    version,
                    needed_by: needed_by(),
                }),
                Some((found, Versions::Undefined)) => {
                    let new = Warning::NoVersionInformation {
                        file,
                        path: found.path.clone(),
                        needed_by: needed_by(),
                    };
                    if !warnings.contains(&new) {
                        warnings.push(new);
                    }
                }
                Some((_, Versions::Unknown)) if !one.given && provider.is_consistent() => {}
                Some((_, Versions::AtLeast(_))) if need.weak => {}
                Some((_, Versions::AtLeast(_))) => undecided.push(Undecided::Version {
                    file,
                    version,
                    needed_by: needed_by(),
                    why: "what is known of this library does not tell whether it has that version".to_owned(),
                }),
                Some((_, Versions::Unknown)) => undecided.push(Undecided::Version {
                    file,
                    version,
                    needed_by: needed_by(),
                    why: "the versions that this library defines are not known".to_owned(),
                }),
            }
        }
        let marked = || one.object.version_needs.iter().any(|need| need.version == "GLIBC_ABI_DT_RELR");
        if one.object.relr
            && !marked()
            && let Family::Glibc { release: Some(release) } = provider.family()
            && release < KNOWS_RELR[..].into()
        {
            problems.push(Problem::PackedRelocations { file: needed_by() });
        }
    }
    verdict.problems.extend(problems);
    verdict.undecided.extend(undecided);
    verdict.warnings.extend(warnings);
}

/// Relocations that the loader refuses. A system's own libraries have none.
pub(super) fn check_relocations(provider: &dyn Provider, verdict: &mut Verdict) {
    let musl = provider.is_musl();
    let all = verdict.loaded.iter().filter_map(|one| match &one.object.imports {
        Imports::Of(bindings) => Some((one, bindings)),
        _ => None,
    });
    let refused = all.flat_map(|(one, bindings)| {
        bindings.refused.iter().filter_map(move |refused| {
            Some(Problem::Relocation {
                file: one.path.clone(),
                relocation: refused.shown(),
                symbol: refused.symbol.clone(),
                why: if musl { refused.by_musl } else { refused.by_glibc }?,
            })
        })
    });
    let refused: Vec<Problem> = refused.collect();
    verdict.problems.extend(refused);
}

/// What is loaded, by hashes of the names that it was asked by: see `search::Index`.
struct Names<'v> {
    loaded: &'v [Loaded],
    names: Vec<(u64, &'v str, usize)>,
}

impl<'v> Names<'v> {
    fn of(loaded: &'v [Loaded]) -> Self {
        let all =
            loaded.iter().enumerate().flat_map(|(at, one)| one.names.iter().map(move |name| (name, at)));
        let names = all.map(|(name, at)| (hash(name.as_bytes()), name.as_str(), at)).collect();
        Self { loaded, names }
    }

    /// The first one.
    fn get(&self, name: &str) -> Option<&'v Loaded> {
        let hash = hash(name.as_bytes());
        let mut same = self.names.iter().filter(|(own, of, _)| *own == hash && *of == name);
        same.next().map(|(_, _, at)| &self.loaded[*at])
    }
}

/// Every strong reference against the definitions of all that is loaded.
pub(super) fn bind_all(provider: &dyn Provider, bind: Bind, verdict: &mut Verdict) {
    let musl = provider.is_musl();
    let lacking: Vec<String> = verdict.lacking().cloned().collect();
    // Of these it is not known whether they are there.
    let unsure: Vec<&String> = verdict
        .undecided
        .iter()
        .filter_map(|one| match one {
            Undecided::Library { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    let (mut problems, mut undecided) = (Vec::new(), Vec::new());
    let whose = match bind {
        Bind::Subject => &verdict.loaded[..1.min(verdict.loaded.len())],
        Bind::Everything | Bind::Causes => &verdict.loaded[..],
    };
    let by_name = Names::of(&verdict.loaded);
    let mut known: HashMap<Reference<'_>, Search, BuildHasherDefault<Hashed>> = HashMap::default();
    // What was last found without a version: neighbours are often in the same file.
    let mut last: Option<usize> = None;
    for (at, one) in whose.iter().enumerate() {
        let imports = match one.object.imports() {
            Ok(imports) => imports,
            Err(_) if !one.given && provider.is_consistent() => continue,
            Err(why) => {
                undecided.push(Undecided::References { file: one.path.clone(), why: why.to_owned() });
                continue;
            }
        };
        let missing = missing_nodes(one, verdict);
        // Most references name the same library as the one before.
        let mut before: (Option<&str>, Option<&Loaded>) = (None, None);
        for (import, reference, is_own) in imports.filter(|(import, ..)| !import.weak) {
            if bind == Bind::Causes && !musl && is_of_lacking(import, &lacking, &missing) {
                continue;
            }
            // Most are where `DT_VERNEED` says; that another file has it before decides nothing.
            let own = import.file.as_deref().filter(|_| !musl && !import.copied && import.version.is_some());
            if own != before.0 {
                before = (own, own.and_then(|file| by_name.get(file)));
            }
            let own = before.1.map(|one| &one.object.offers);
            let is_there = |own: &&Arc<dyn Offers>| {
                own.has_version_table() == Some(true) && own.offers(reference) == Answer::Yes
            };
            if own.is_some_and(|own| is_there(&own)) {
                continue;
            }
            // Which file has it first says nothing where no version is asked for.
            let is_plain = import.version.is_none() && !import.copied;
            if is_plain && last.is_some_and(|at| ask(&verdict.loaded[at], reference, musl) == Answer::Yes) {
                continue;
            }
            // The main program's own copy does not count.
            let skip = (import.copied || !is_own).then_some(at);
            let search = match import.copied || at == 0 {
                // One file names a reference once, and most are the first one's.
                true => &search(&verdict.loaded, reference, musl, skip),
                false => {
                    known.entry(reference).or_insert_with(|| search(&verdict.loaded, reference, musl, None))
                }
            };
            if let Some(found) = search.found {
                if is_plain {
                    last = Some(found);
                }
                if !musl
                    && let Some(problem) = no_version_table(&verdict.loaded[found], import, &one.path)
                    && !problems.contains(&problem)
                {
                    problems.push(problem);
                }
                continue;
            }
            // A version is defined by the library that the need names; that another one, of which nothing is
            // known, has the same is no real doubt.
            let perhaps_in: Vec<String> = search
                .perhaps_in
                .iter()
                .map(|at| &verdict.loaded[*at])
                .filter(|one| match (&import.version, &import.file) {
                    (Some(_), Some(file)) => musl || one.names.contains(file),
                    _ => true,
                })
                .map(|one| one.path.clone())
                .collect();
            match &perhaps_in {
                perhaps if !perhaps.is_empty() && !one.given && provider.is_consistent() => {}
                perhaps if !perhaps.is_empty() => undecided.push(Undecided::Symbol {
                    name: import.name.clone(),
                    version: import.version.clone(),
                    file: import.file.clone(),
                    needed_by: one.path.clone(),
                    when: import.when,
                    perhaps_in: perhaps.clone(),
                }),
                _ => {
                    let because = because(import, &lacking, &missing);
                    if bind == Bind::Causes && because.is_some() {
                        continue;
                    }
                    let unsure = because == Some(Because::Library)
                        && match (&import.version, &import.file) {
                            (Some(_), Some(file)) => unsure.contains(&file),
                            _ => !unsure.is_empty(),
                        };
                    let when = if musl { When::Start } else { import.when };
                    if unsure {
                        undecided.push(Undecided::Symbol {
                            name: import.name.clone(),
                            version: import.version.clone(),
                            file: import.file.clone(),
                            needed_by: one.path.clone(),
                            when,
                            perhaps_in: lacking.clone(),
                        });
                    } else {
                        problems.push(Problem::Symbol {
                            name: import.name.clone(),
                            version: import.version.clone(),
                            file: import.file.clone(),
                            needed_by: one.path.clone(),
                            when,
                            because,
                        });
                    }
                }
            }
        }
    }
    verdict.problems.extend(problems);
    verdict.undecided.extend(undecided);
}

/// A reference comes with its hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Default)]
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

fn search(loaded: &[Loaded], reference: Reference<'_>, musl: bool, skip: Option<usize>) -> Search {
    let mut result = Search::default();
    for (at, one) in loaded.iter().enumerate().filter(|(at, _)| Some(*at) != skip) {
        match ask(one, reference, musl) {
            Answer::Yes => {
                result.found = Some(at);
                break;
            }
            Answer::No => {}
            Answer::Unknown => result.perhaps_in.push(at),
        }
    }
    result
}

/// Fact 37: found, but in the library whose version is asked for, and that one
/// has no version table at all (`elf/dl-lookup.c`, `check_match`, the assertion).
fn no_version_table(found: &Loaded, import: &Import, needed_by: &str) -> Option<Problem> {
    import.version.as_ref()?;
    let file = import.file.as_ref().filter(|file| found.names.contains(file))?;
    (found.object.offers.has_version_table() == Some(false)).then(|| Problem::NoVersionTable {
        file: file.clone(),
        path: found.path.clone(),
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
fn missing_nodes<'v>(one: &Loaded, verdict: &'v Verdict) -> Vec<(&'v str, &'v str)> {
    let missing = verdict.problems.iter().filter_map(|problem| match problem {
        Problem::Version { file, version, needed_by, .. } if *needed_by == one.path => {
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
