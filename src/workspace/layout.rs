//! `--no-build`: the files that cargo's layout expects, and how old they are
//! (Cargo Book, "Build Cache").

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cargo_metadata::{CrateType, Metadata, Package, Target, TargetKind};

use super::{CargoArtifact, CargoOptions, Manifest, cargo, folder_of};
use crate::artifact::Role;
use crate::lints::Stale;
use crate::process::Invocation;
use crate::report::{BuildInfo, Failure};

/// What should be there.
#[derive(Debug)]
pub struct Expected {
    pub artifacts: Vec<CargoArtifact>,
    pub info: BuildInfo,
    /// One for each file that is not there.
    pub failures: Vec<Failure>,
}

/// The target folder, as cargo settles it.
pub fn target_dir(options: &CargoOptions, manifest: &Manifest, config: &cargo_config2::Config) -> PathBuf {
    if let Some(folder) = &options.target_dir {
        return std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
    }
    match &config.build.target_dir {
        Some(folder) => manifest.root.join(folder),
        None => manifest.root.join("target"),
    }
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
    let config = cargo_config2::Config::load_with_cwd(folder)
        .map_err(|error| Failure::new("cargo's configuration cannot be read").note(format!("{error:#}")))?;
    let requested = config
        .build_target_for_cli(&options.targets)
        .map_err(|error| Failure::new("cargo's configuration cannot be read").note(format!("{error:#}")))?;
    let metadata = metadata(options)?;
    let target_dir = target_dir(options, manifest, &config);
    let host = match requested.is_empty() {
        true => config.host_triple().map(str::to_owned).ok(),
        false => None,
    };
    let targets: Vec<(Option<String>, PathBuf)> = match requested.is_empty() {
        true => vec![(host.clone(), target_dir)],
        false => requested
            .iter()
            .map(|target| (Some(folder_of(target)), target_dir.join(folder_of(target))))
            .collect(),
    };
    let packages = selected(options, &metadata)?;
    let mut expected = Expected {
        artifacts: Vec::new(),
        info: BuildInfo {
            profile: options.profile().to_owned(),
            targets: targets
                .iter()
                .map(|(triple, _)| triple.clone().unwrap_or_else(|| "host".to_owned()))
                .collect(),
            compiled: None,
        },
        failures: Vec::new(),
    };
    for (triple, folder) in &targets {
        let folder = folder.join(profile_folder(options.profile()));
        for package in &packages {
            for target in package.targets.iter().filter(|target| wanted(options, target)) {
                for (role, path) in files(target, &folder, triple.as_deref()) {
                    let flags = super::compiler_flags(&config, triple.as_deref());
                    expected.add(package, target, role, path, triple.clone(), flags);
                }
            }
        }
    }
    Ok(expected)
}

impl Expected {
    fn add(
        &mut self,
        package: &Package,
        target: &Target,
        role: Role,
        path: PathBuf,
        triple: Option<String>,
        flags: Vec<String>,
    ) {
        if !path.is_file() {
            self.failures.push(
                Failure::new(format!("{} is not there", crate::text::path(&path)))
                    .note(format!(
                        "the {} `{}` of the package `{}` is built to it",
                        kind(target),
                        target.name,
                        package.name
                    ))
                    .help("build it first, or leave out `--no-build`"),
            );
            return;
        }
        self.artifacts.push(CargoArtifact {
            package: package.name.to_string(),
            target: target.name.clone(),
            role,
            stale: stale(&path),
            path,
            triple,
            compiler_flags: flags,
        });
    }
}

fn kind(target: &Target) -> String {
    target.kind.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
}

fn metadata(options: &CargoOptions) -> Result<Metadata, Failure> {
    let mut invocation =
        Invocation::new(cargo()).args(["metadata", "--no-deps", "--format-version=1", "--quiet"]);
    if let Some(path) = &options.manifest_path {
        invocation.args.extend(["--manifest-path".into(), path.into()]);
    }
    for (name, set) in
        [("--locked", options.locked), ("--offline", options.offline), ("--frozen", options.frozen)]
    {
        if set {
            invocation.args.push(name.into());
        }
    }
    let failed =
        |why: String| Failure::new(format!("`{}` failed", invocation.shown())).note(why.trim().to_owned());
    match invocation.output_or_error() {
        Ok(Ok(json)) => serde_json::from_str(&json).map_err(|error| failed(error.to_string())),
        Ok(Err(stderr)) => Err(failed(stderr)),
        Err(error) => Err(Failure::new(error.to_string())),
    }
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
    Ok(all
        .into_iter()
        .filter(|package| !options.exclude.iter().any(|name| package.name.as_str() == name))
        .collect())
}

fn wanted(options: &CargoOptions, target: &Target) -> bool {
    let kind = |wanted: TargetKind| target.kind.contains(&wanted);
    let named = |names: &[String]| names.contains(&target.name);
    let is_library =
        [TargetKind::Lib, TargetKind::CDyLib, TargetKind::DyLib, TargetKind::StaticLib, TargetKind::RLib]
            .into_iter()
            .any(kind);
    let enabled = target.required_features.iter().all(|feature| {
        options.all_features || options.features.iter().any(|on| on.split([' ', ',']).any(|on| on == feature))
    });
    if kind(TargetKind::Bin) {
        return named(&options.bin) || (enabled && (options.bins || !options.selects_targets()));
    }
    if kind(TargetKind::Example) {
        return named(&options.example) || (enabled && options.examples);
    }
    is_library && (options.lib || !options.selects_targets())
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
