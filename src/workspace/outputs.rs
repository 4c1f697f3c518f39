//! What cargo's messages tell of the crates and build scripts behind an
//! artifact: for `why`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{Artifact, BuildScript, Metadata, TargetKind};

use super::layout::project_failure;
use super::settings::Settings;
use super::{CargoOptions, cargo};
use crate::process::Invocation;
use crate::report::Failure;

/// Everything that was compiled or run beside the artifacts.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    pub crates: Vec<BuiltCrate>,
    pub scripts: Vec<Script>,
    /// Packages, by cargo's ids, of which something was compiled with
    /// optimisation, and so with functions of other crates inlined.
    pub optimised: BTreeSet<String>,
}

/// A library of some package, as cargo compiled it.
#[derive(Debug, Clone)]
pub struct BuiltCrate {
    /// cargo's package id.
    pub package: String,
    /// The crate's name, as Rust source says it.
    pub name: String,
    /// Its rlib; a dylib's or cdylib's own files are artifacts.
    pub rlibs: Vec<PathBuf>,
    pub features: Vec<String>,
    /// The first of its files.
    pub place: PathBuf,
    /// `None`: made without `--target`.
    pub triple: Option<String>,
}

/// What a build script told cargo (Cargo Book, "Build Scripts").
#[derive(Debug, Clone)]
pub struct Script {
    pub package: String,
    /// `cargo::rustc-link-lib`: `[KIND[:MODIFIERS]=]NAME`.
    pub linked_libs: Vec<String>,
    /// `cargo::rustc-link-search`, without its `KIND=`.
    pub linked_paths: Vec<PathBuf>,
    pub out_dir: PathBuf,
    /// `None`: run without `--target`.
    pub triple: Option<String>,
}

impl Outputs {
    pub fn take_crate(&mut self, artifact: &Artifact) {
        if artifact.profile.opt_level != "0" {
            self.optimised.insert(artifact.package_id.repr.clone());
        }
        let library = [TargetKind::Lib, TargetKind::RLib, TargetKind::DyLib, TargetKind::CDyLib];
        let Some(first) = artifact.filenames.first() else { return };
        if !library.iter().any(|kind| artifact.target.kind.contains(kind)) {
            return;
        }
        let rlibs = artifact.filenames.iter().filter(|file| file.extension() == Some("rlib"));
        self.crates.push(BuiltCrate {
            package: artifact.package_id.repr.clone(),
            name: artifact.target.name.replace('-', "_"),
            rlibs: rlibs.map(|file| file.clone().into()).collect(),
            features: artifact.features.clone(),
            place: first.clone().into(),
            triple: None,
        });
    }

    pub fn take_script(&mut self, script: BuildScript) {
        let bare = |path: &str| match path.split_once('=') {
            Some(("native" | "dependency" | "crate" | "framework" | "all", path)) => PathBuf::from(path),
            _ => PathBuf::from(path),
        };
        self.scripts.push(Script {
            package: script.package_id.repr,
            linked_libs: script.linked_libs.into_iter().map(Into::into).collect(),
            linked_paths: script.linked_paths.iter().map(|path| bare(path.as_str())).collect(),
            out_dir: script.out_dir.into(),
            triple: None,
        });
    }

    /// The folders in which build scripts have libraries looked for.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> =
            self.scripts.iter().flat_map(|script| script.linked_paths.iter().cloned()).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Says of each which target it was made for, by its folder. With
    /// `--target` what has no such folder was made for the building machine,
    /// and is left out.
    pub fn settle(&mut self, has_targets: bool, triple_of: impl Fn(&Path) -> Option<String>) {
        for one in &mut self.crates {
            one.triple = triple_of(&one.place);
        }
        for one in &mut self.scripts {
            one.triple = triple_of(&one.out_dir);
        }
        self.crates.retain(|one| one.triple.is_some() || !has_targets);
        self.scripts.retain(|one| one.triple.is_some() || !has_targets);
    }
}

/// The whole graph of packages, with the features that the build had.
pub fn metadata(options: &CargoOptions, triples: &[String]) -> Result<Metadata, Failure> {
    let mut invocation = Invocation::new(cargo()).args(["metadata", "--format-version=1", "--quiet"]);
    for triple in triples {
        invocation.args.extend(["--filter-platform".into(), triple.into()]);
    }
    for feature in &options.features {
        invocation.args.extend(["--features".into(), feature.into()]);
    }
    for (name, set) in [
        ("--all-features", options.all_features),
        ("--no-default-features", options.no_default_features),
        ("--locked", options.locked),
        ("--offline", options.offline),
        ("--frozen", options.frozen),
    ] {
        if set {
            invocation.args.push(name.into());
        }
    }
    if let Some(path) = &options.manifest_path {
        invocation.args.extend(["--manifest-path".into(), path.into()]);
    }
    for config in &options.config {
        invocation.args.extend(["--config".into(), config.into()]);
    }
    match invocation.output_or_error() {
        Ok(Ok(json)) => serde_json::from_str(&json).map_err(|error| project_failure(&error.to_string())),
        Ok(Err(stderr)) => Err(project_failure(&stderr)),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// The folder of the standard library's own rlibs.
pub fn std_rlibs(options: &CargoOptions, folder: &Path, triple: Option<&str>) -> Option<PathBuf> {
    let mut rustc = Settings::load(options, folder).ok()?.rustc().args(["--print", "target-libdir"]);
    if let Some(triple) = triple {
        rustc.args.extend(["--target".into(), triple.into()]);
    }
    Some(PathBuf::from(rustc.output().ok()??.trim()))
}
