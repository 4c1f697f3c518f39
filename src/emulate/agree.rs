//! A root that was made, against the description of its platform: what runs in
//! it must be what the static verdict speaks of.

use std::path::Path;

use crate::artifact::{Arch, Depth, Examined, examine};
use crate::loader;
use crate::platform::{self, Probe};

/// What the root lacks of the libraries that every installation has, in words;
/// `None`: there is no description to hold it against.
pub fn lacking(root: &Path, name: &str, arch: Arch) -> Option<Vec<String>> {
    let platform = platform::find(name)?;
    let system = platform.system(arch).filter(|system| system.is_described())?;
    let mut wanted = Vec::new();
    let plain = |item: platform::Item<'_>| {
        if item.plain && item.is_library && item.has_facts {
            wanted.push(format!("{}/{}", item.folder, item.name));
        }
    };
    if let Err(broken) = system.each(plain) {
        return Some(vec![format!("the description of {name} is broken: {broken}")]);
    }
    wanted.sort();
    let mut lacking = Vec::new();
    for path in wanted {
        let found = loader::resolve_in(root, Path::new(&path)).filter(|file| file.is_file());
        let Some(file) = found else {
            lacking.push(path);
            continue;
        };
        let (Ok(Examined::Elf(facts)), Probe::Library(described)) =
            (examine(&file, Depth::Needs), system.probe(&path))
        else {
            lacking.push(format!("{path} as a library"));
            continue;
        };
        let nodes = described.first().and_then(|library| library.facts.as_ref()).map(|facts| &facts.nodes);
        for node in nodes.into_iter().flatten() {
            if !facts.version_definitions.contains(node) {
                lacking.push(format!("{node} of {path}"));
            }
        }
    }
    Some(lacking)
}
