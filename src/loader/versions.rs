//! Versions and relocations: `elf/dl-version.c` and what the loader refuses to apply.

use std::cell::LazyCell;
use std::sync::Arc;

use super::memory::{ByName, Met};
use super::name::same;
use super::{Family, Imports, Name, Object, Problem, Provider, Undecided, Verdict, Versions, Warning};
use crate::platform::hash;

/// The first glibc whose loader knows `DT_RELR` (NEWS of 2.36).
const KNOWS_RELR: [u32; 2] = [2, 36];

/// Each version need against the definitions of the file that it names.
pub(super) fn check_versions(provider: &dyn Provider, by_name: &ByName, verdict: &mut Verdict) {
    if provider.is_musl() {
        return;
    }
    let lacking: Vec<String> = verdict.lacking().cloned().collect();
    let loaded = &verdict.loaded;
    let old = LazyCell::new(
        || matches!(provider.family(), Family::Glibc { release: Some(release) } if release < KNOWS_RELR[..].into()),
    );
    let (mut problems, mut undecided, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (at, one) in loaded.iter().enumerate() {
        let needed_by = || one.path.to_string();
        let memory = provider.memory();
        let met = memory.and_then(|memory| memory.versions(&one.object));
        let is_met = met.as_ref().is_some_and(|met| met.holds(by_name, loaded));
        let mut by: Vec<(Name, Arc<Object>)> = Vec::new();
        let mut all_there = true;
        let needs = one.object.version_needs.iter().filter(|_| !is_met);
        let mut last: Option<(&str, Option<usize>)> = None;
        for need in needs {
            // The versions of one file lie together.
            let file = match last {
                Some((name, file)) if same(name, &need.file) => file,
                _ => by_name.find(&need.file, hash(need.file.as_bytes()), loaded),
            };
            let is_new = last.is_none_or(|(name, _)| !same(name, &need.file));
            last = Some((&need.file, file));
            let found = file.map(|at| (&loaded[at], &loaded[at].object.versions));
            if let Some((found, Versions::Nodes(nodes) | Versions::AtLeast(nodes))) = found
                && nodes.iter().any(|node| same(node, &need.version))
            {
                if is_new && at > 0 && memory.is_some() && met.is_none() {
                    by.push((Name::new(&need.file), Arc::clone(&found.object)));
                }
                continue;
            }
            all_there = false;
            let (file, version) = (need.file.clone(), need.version.clone());
            match found {
                None if lacking.contains(&need.file) => {}
                None => problems.push(Problem::VersionOfNothing { file, version, needed_by: needed_by() }),
                Some((_, Versions::Nodes(_))) if need.weak => {
                    warnings.push(Warning::WeakVersion { file, version, needed_by: needed_by() });
                }
                Some((found, Versions::Nodes(_))) => problems.push(Problem::Version {
                    file,
                    path: found.path.to_string(),
                    version,
                    needed_by: needed_by(),
                }),
                Some((found, Versions::Undefined)) => {
                    let new = Warning::NoVersionInformation {
                        file,
                        path: found.path.to_string(),
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
        if let Some(memory) = memory
            && met.is_none()
            && all_there
            && !by.is_empty()
        {
            memory.keep_versions(Met { of: Arc::clone(&one.object), by });
        }
        let marked = || one.object.version_needs.iter().any(|need| need.version == "GLIBC_ABI_DT_RELR");
        if one.object.relr && !marked() && *old {
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
                file: one.path.to_string(),
                relocation: refused.shown(),
                symbol: refused.symbol.clone(),
                why: if musl { refused.by_musl } else { refused.by_glibc }?,
            })
        })
    });
    let refused: Vec<Problem> = refused.collect();
    verdict.problems.extend(refused);
}
