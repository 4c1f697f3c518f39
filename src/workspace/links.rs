//! What a build said of links: native libraries, crates, linkers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::link_args::Script;
use crate::link::{Given, Wanted};
use crate::process::Invocation;

#[derive(Debug)]
pub struct Links {
    pub scripts: Vec<Script>,
    /// Rlibs and dylibs of every crate that was built.
    pub rlibs: Vec<PathBuf>,
    /// The targets that were named: each has a folder of its own.
    pub triples: Vec<String>,
    /// Linkers by triple.
    pub linkers: BTreeMap<String, String>,
    pub rustc: Invocation,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            scripts: Vec::new(),
            rlibs: Vec::new(),
            triples: Vec::new(),
            linkers: BTreeMap::new(),
            rustc: Invocation::new("rustc"),
        }
    }
}

impl Links {
    /// The build scripts that ran for a triple.
    pub fn scripts_of(&self, triple: Option<&str>) -> Vec<Script> {
        self.scripts.iter().filter(|script| self.is_for(&script.out_dir, triple)).cloned().collect()
    }

    /// Fact 50: the messages carry no triple; the folder does.
    fn is_for(&self, path: &Path, triple: Option<&str>) -> bool {
        let Some(triple) = triple.filter(|triple| self.triples.iter().any(|own| own == triple)) else {
            return true;
        };
        path.components().any(|part| part.as_os_str() == triple)
    }

    /// What is known of the link of something that was built for a triple; for
    /// an rlib, with the crates that it is built with.
    pub fn given(&self, triple: Option<&str>, rlib: bool) -> Given {
        let scripts = self.scripts_of(triple);
        let mut given = Given {
            triple: triple.map(str::to_owned),
            linker: triple.and_then(|triple| self.linkers.get(triple)).cloned(),
            libraries: scripts
                .iter()
                .flat_map(|script| &script.libraries)
                .filter_map(|text| Wanted::parse(text))
                .collect(),
            folders: scripts.iter().flat_map(|script| script.folders.clone()).collect(),
            ..Given::default()
        };
        given.libraries.dedup();
        if rlib && !self.rlibs.is_empty() {
            given.knows_rlibs = true;
            given.objects = self.rlibs.iter().filter(|path| self.is_for(path, triple)).cloned().collect();
            given.objects.extend(self.of_sysroot(triple));
        }
        given
    }

    /// The rlibs that come with rustc.
    fn of_sysroot(&self, triple: Option<&str>) -> Vec<PathBuf> {
        let mut rustc = self.rustc.clone().args(["--print", "target-libdir"]);
        if let Some(triple) = triple {
            rustc = rustc.args(["--target", triple]);
        }
        let Ok(Some(folder)) = rustc.output() else { return Vec::new() };
        let entries = std::fs::read_dir(folder.trim()).into_iter().flatten().flatten();
        let mut rlibs: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "rlib"))
            .collect();
        rlibs.sort();
        rlibs
    }
}
