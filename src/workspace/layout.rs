//! `--no-build`: the files that cargo's layout expects, and how old they are
//! (Cargo Book, "Build Cache").

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cargo_metadata::{CrateType, Metadata, Package, Target, TargetKind};

use super::link_args::{self, Script};
use super::links::Links;
use super::settings::{Settings, host_triple, installed_host};
use super::{CargoArtifact, CargoOptions, Manifest, cargo};
use crate::artifact::Role;
use crate::lints::Stale;
use crate::process::Invocation;
use crate::report::{BuildInfo, Failure};

/// What should be there, whether it is or not.
#[derive(Debug)]
pub struct Expected {
    pub artifacts: Vec<CargoArtifact>,
    /// What build scripts left on disk about links.
    pub links: Links,
    pub info: BuildInfo,
}

/// The folder of a profile.
fn profile_folder(profile: &str) -> &str {
    match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    }
}

pub fn expected(options: &CargoOptions, manifest: &Manifest, folder: &Path) -> Result<Expected, Failure> {
    if options.tests
        || options.benches
        || options.all_targets
        || !options.test.is_empty()
        || !options.bench.is_empty()
    {
        return Err(Failure::new("`--no-build` cannot find tests and benches")
            .note("their file names hold a hash that only a build tells")
            .help("leave out `--no-build`"));
    }
    let settings = Settings::load(options, folder)?;
    let metadata = metadata(options)?;
    let target_dir = settings.target_dir(options, manifest, folder);
    let host = settings
        .needs_host()
        .then(|| {
            let rustc = settings.rustc();
            installed_host(&rustc).or_else(|| host_triple(&rustc))
        })
        .flatten();
    let triples = settings.triples(host.as_deref());
    let targets: Vec<(Option<String>, PathBuf)> = match settings.has_targets() {
        false => vec![(host, target_dir)],
        true => triples.into_iter().map(|triple| (Some(triple.clone()), target_dir.join(triple))).collect(),
    };
    let packages = selected(options, &metadata)?;
    are_there(options, &packages)?;
    let mut artifacts = Vec::new();
    let mut links = Links { rustc: settings.rustc(), ..Links::default() };
    for (triple, folder) in &targets {
        let folder = folder.join(profile_folder(options.profile()));
        let scripts: Vec<Script> = link_args::scripts_of_folder(&folder);
        if let Some(triple) = triple {
            links.linkers.extend(settings.linker(triple).map(|linker| (triple.clone(), linker)));
        }
        links.scripts.extend(scripts.iter().cloned());
        let flags = triple.as_deref().map(|triple| settings.rustflags(triple)).unwrap_or_default();
        let own = packages.iter().flat_map(|package| {
            let features = features(options, package);
            let targets = package.targets.iter().filter(move |target| wanted(options, target, &features));
            targets.map(|target| (*package, target))
        });
        // cargo puts the dylibs of dependencies there too.
        let linked = dependencies(&packages, &metadata).into_iter().flat_map(|package| {
            let targets =
                package.targets.iter().filter(|target| target.crate_types.contains(&CrateType::DyLib));
            targets.map(move |target| (package, target))
        });
        for (package, target) in own.chain(linked) {
            for (role, path) in files(target, &folder, triple.as_deref()) {
                let undefs = match role {
                    Role::Executable => link_args::undefs(&flags, &scripts, &package.name, &target.name),
                    Role::SharedObject => Vec::new(),
                };
                artifacts.push(CargoArtifact {
                    undefs,
                    compiler_flags: settings.cpu_flags(triple.as_deref()),
                    package: package.name.to_string(),
                    package_id: package.id.repr.clone(),
                    target: target.name.clone(),
                    role,
                    stale: stale(&path),
                    path,
                    triple: triple.clone(),
                });
            }
        }
    }
    links.triples = if settings.has_targets() {
        targets.iter().filter_map(|(triple, _)| triple.clone()).collect()
    } else {
        Vec::new()
    };
    let targets = targets.iter().map(|(triple, _)| triple.clone().unwrap_or_else(|| "host".to_owned()));
    let info =
        BuildInfo { profile: options.profile().to_owned(), targets: targets.collect(), compiled: None };
    Ok(Expected { artifacts, links, info })
}

/// What is to be said of an expected file that is not there.
pub fn missing(artifact: &CargoArtifact) -> Failure {
    Failure::new(format!("{} is not there", crate::text::path(&artifact.path)))
        .note(format!("`{}` of the package `{}` is built to it", artifact.target, artifact.package))
        .help("build it first, or leave out `--no-build`")
}

fn metadata(options: &CargoOptions) -> Result<Metadata, Failure> {
    let mut invocation =
        Invocation::new(cargo()).args(["metadata", "--no-deps", "--format-version=1", "--quiet"]);
    if let Some(path) = &options.manifest_path {
        invocation.args.extend(["--manifest-path".into(), path.into()]);
    }
    for config in &options.config {
        invocation.args.extend(["--config".into(), config.into()]);
    }
    for (name, set) in
        [("--locked", options.locked), ("--offline", options.offline), ("--frozen", options.frozen)]
    {
        if set {
            invocation.args.push(name.into());
        }
    }
    match invocation.output_or_error() {
        Ok(Ok(json)) => serde_json::from_str(&json).map_err(|error| project_failure(&error.to_string())),
        Ok(Err(stderr)) => Err(project_failure(&stderr)),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// What `cargo metadata` said when it failed.
pub fn project_failure(why: &str) -> Failure {
    let mut failure = Failure::new("the project cannot be read");
    failure.notes.extend(why.trim().lines().map(str::to_owned));
    failure
}

/// The packages that cargo would build.
fn selected<'m>(options: &CargoOptions, metadata: &'m Metadata) -> Result<Vec<&'m Package>, Failure> {
    let members = metadata.workspace_packages();
    if !options.packages.is_empty() {
        return options
            .packages
            .iter()
            .map(|name| {
                members.iter().copied().find(|package| package.name.as_str() == name).ok_or_else(|| {
                    Failure::new(format!("no package `{name}` in the workspace"))
                        .note("`--no-build` takes packages by their plain names")
                })
            })
            .collect();
    }
    let all = if options.workspace { members } else { metadata.workspace_default_packages() };
    let excluded = |package: &&Package| options.exclude.iter().any(|name| package.name.as_str() == name);
    Ok(all.into_iter().filter(|package| !excluded(package)).collect())
}

/// Names on the command line must be in the project, as cargo demands.
fn are_there(options: &CargoOptions, packages: &[&Package]) -> Result<(), Failure> {
    let has = |kind: TargetKind, name: &String| {
        let mut targets = packages.iter().flat_map(|package| &package.targets);
        targets.any(|target| target.kind.contains(&kind) && target.name == *name)
    };
    for (kind, word, names) in
        [(TargetKind::Bin, "bin", &options.bin), (TargetKind::Example, "example", &options.example)]
    {
        if let Some(name) = names.iter().find(|name| !has(kind.clone(), name)) {
            return Err(Failure::new(format!("no {word} target named `{name}`")));
        }
    }
    if options.lib && !packages.iter().any(|package| package.targets.iter().any(is_library)) {
        return Err(Failure::new("no library target found"));
    }
    for feature in
        options.features.iter().flat_map(|list| list.split([' ', ','])).filter(|name| !name.is_empty())
    {
        let (owner, name) =
            feature.split_once('/').map_or((None, feature), |(owner, name)| (Some(owner), name));
        let known = |package: &&&Package| match owner {
            // A dependency's features are in no `--no-deps` metadata.
            Some(owner) if package.name.as_str() != owner => {
                package.dependencies.iter().any(|one| one.name == owner)
            }
            _ => {
                package.features.contains_key(name)
                    || package.dependencies.iter().any(|one| one.optional && one.name == name)
            }
        };
        if !packages.iter().any(|package| known(&package)) {
            return Err(Failure::new(format!("no selected package has the feature `{feature}`")));
        }
    }
    Ok(())
}

/// The features of a package that are on: those asked for, `default`, and
/// what they bring in turn.
fn features(options: &CargoOptions, package: &Package) -> BTreeSet<String> {
    let mut pending: Vec<&str> = Vec::new();
    if options.all_features {
        pending.extend(package.features.keys().map(String::as_str));
    }
    if !options.no_default_features {
        pending.push("default");
    }
    for feature in options.features.iter().flat_map(|list| list.split([' ', ','])) {
        match feature.split_once('/') {
            Some((owner, name)) if owner == package.name.as_str() => pending.push(name),
            Some(_) => {}
            None => pending.push(feature),
        }
    }
    let mut on = BTreeSet::new();
    while let Some(feature) = pending.pop() {
        if on.insert(feature.to_owned())
            && let Some(brings) = package.features.get(feature)
        {
            pending.extend(brings.iter().map(String::as_str));
        }
    }
    on
}

/// Members that the selected packages depend on, by their paths.
fn dependencies<'m>(packages: &[&'m Package], metadata: &'m Metadata) -> Vec<&'m Package> {
    let mut found: Vec<&Package> = packages.to_vec();
    let mut at = 0;
    while let Some(package) = found.get(at).copied() {
        at += 1;
        for dependency in &package.dependencies {
            let Some(path) = &dependency.path else { continue };
            let member =
                metadata.packages.iter().find(|package| package.manifest_path.parent() == Some(path));
            if let Some(member) = member.filter(|member| !found.iter().any(|known| known.id == member.id)) {
                found.push(member);
            }
        }
    }
    found.split_off(packages.len())
}

fn is_library(target: &Target) -> bool {
    [TargetKind::Lib, TargetKind::CDyLib, TargetKind::DyLib, TargetKind::StaticLib, TargetKind::RLib]
        .into_iter()
        .any(|kind| target.kind.contains(&kind))
}

fn wanted(options: &CargoOptions, target: &Target, features: &BTreeSet<String>) -> bool {
    let kind = |wanted: TargetKind| target.kind.contains(&wanted);
    let enabled = target.required_features.iter().all(|feature| features.contains(feature));
    if kind(TargetKind::Bin) {
        let named = options.bin.contains(&target.name);
        return named || (enabled && (options.bins || !options.selects_targets()));
    }
    if kind(TargetKind::Example) {
        return options.example.contains(&target.name) || (enabled && options.examples);
    }
    is_library(target) && (options.lib || !options.selects_targets())
}

fn files(target: &Target, folder: &Path, triple: Option<&str>) -> Vec<(Role, PathBuf)> {
    let example = target.kind.contains(&TargetKind::Example);
    let folder = if example { folder.join("examples") } else { folder.to_owned() };
    let windows = triple.is_some_and(|triple| triple.contains("-windows-"));
    let apple = triple.is_some_and(|triple| triple.contains("-apple-"));
    let library = target.name.replace('-', "_");
    let mut files = Vec::new();
    for crate_type in &target.crate_types {
        let (role, name) = match crate_type {
            CrateType::Bin if windows => (Role::Executable, format!("{}.exe", target.name)),
            CrateType::Bin => (Role::Executable, target.name.clone()),
            CrateType::CDyLib | CrateType::DyLib if windows => (Role::SharedObject, format!("{library}.dll")),
            CrateType::CDyLib | CrateType::DyLib if apple => {
                (Role::SharedObject, format!("lib{library}.dylib"))
            }
            CrateType::CDyLib | CrateType::DyLib => (Role::SharedObject, format!("lib{library}.so")),
            CrateType::StaticLib if windows => (Role::SharedObject, format!("{library}.lib")),
            CrateType::StaticLib => (Role::SharedObject, format!("lib{library}.a")),
            _ => continue,
        };
        files.push((role, folder.join(name)));
    }
    files
}

/// Holds the file's age against the sources in the `.d` file beside it.
fn stale(path: &Path) -> Option<Stale> {
    let dep_info = path.with_extension("d");
    let modified = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified());
    let (Ok(text), Ok(built)) = (std::fs::read_to_string(&dep_info), modified(path)) else {
        return Some(Stale::Unknown { dep_info: crate::text::path(&dep_info) });
    };
    let newer = |source: &PathBuf| modified(source).map_or(true, |changed: SystemTime| changed > built);
    let sources: Vec<String> =
        sources(&text).into_iter().filter(newer).map(|path| crate::text::path(&path)).collect();
    (!sources.is_empty()).then_some(Stale::Sources(sources))
}

/// The prerequisites in a `.d` file: a Makefile rule, a blank in a path
/// escaped by a backslash.
fn sources(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((_, prerequisites)) = line.split_once(": ") else { continue };
        let mut path = String::new();
        let mut letters = prerequisites.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if letters.peek() == Some(&' ') => path.extend(letters.next()),
                ' ' => found.extend((!path.is_empty()).then(|| PathBuf::from(std::mem::take(&mut path)))),
                _ => path.push(letter),
            }
        }
        found.extend((!path.is_empty()).then(|| PathBuf::from(path)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_a_rule() {
        let text = "/t/debug/hello: /p/src/main.rs /p/my\\ file.rs\n\n/t/debug/x:\n";
        assert_eq!(sources(text), [PathBuf::from("/p/src/main.rs"), PathBuf::from("/p/my file.rs")]);
    }
}
