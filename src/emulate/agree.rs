//! A root that was made, against the description of its platform: what runs in
//! it must be what the static verdict speaks of.

use std::path::Path;

use crate::artifact::{Arch, Depth, Examined, examine};
use crate::loader;
use crate::platform::{self, Probe};

/// What a root lacks of what every installation has.
#[derive(Debug, Default)]
pub struct Lacking {
    /// Whole files, by their paths: of several packages that serve alike another
    /// was taken.
    pub libraries: Vec<String>,
    /// Version nodes of libraries that are there, in words.
    pub versions: Vec<String>,
}

/// `None`: there is no description to hold it against.
pub fn lacking(root: &Path, name: &str, arch: Arch) -> Option<Lacking> {
    let platform = platform::find(name)?;
    let system = platform.system(arch).filter(|system| system.is_described())?;
    let mut wanted = Vec::new();
    let plain = |item: platform::Item<'_>| {
        if item.plain && item.is_library && item.has_facts {
            wanted.push(format!("{}/{}", item.folder, item.name));
        }
    };
    system.each(plain).ok()?;
    wanted.sort();
    let mut lacking = Lacking::default();
    for path in wanted {
        let found = loader::resolve_in(root, Path::new(&path)).filter(|file| file.is_file());
        let Some(file) = found else {
            lacking.libraries.push(path);
            continue;
        };
        let (Ok(Examined::Elf(facts)), Probe::Library(described)) =
            (examine(&file, Depth::Needs), system.probe(&path))
        else {
            lacking.libraries.push(path);
            continue;
        };
        let nodes = described.first().and_then(|library| library.facts.as_ref()).map(|facts| &facts.nodes);
        for node in nodes.into_iter().flatten() {
            if !facts.version_definitions.contains(node) {
                lacking.versions.push(format!("{node} of {path}"));
            }
        }
    }
    Some(lacking)
}
