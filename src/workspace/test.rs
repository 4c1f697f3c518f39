//! One `cargo test`, with runners of ours.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use cargo_metadata::Message;

use super::build::{MESSAGES, explain, find_linkers, package_name};
use super::linker::{self, Found};
use super::settings::{Settings, host_triple};
use super::{CargoOptions, Manifest, cargo};
use crate::policy::Name;
use crate::process::Invocation;
use crate::report::{BuildInfo, Failure};

/// What is settled before cargo is called.
#[derive(Debug)]
pub struct Ready {
    settings: Settings,
    linkers: Vec<Found>,
    /// What the tests are built for.
    pub triples: Vec<String>,
    pub target_dir: PathBuf,
}

impl Ready {
    pub fn new(options: &CargoOptions, manifest: &Manifest, folder: &Path) -> Result<Self, Failure> {
        let settings = Settings::load(options, folder)?;
        let host = settings.needs_host().then(|| host_triple(&settings.rustc())).flatten();
        let triples = match settings.has_targets() {
            true => settings.triples(host.as_deref()),
            false => host.into_iter().collect(),
        };
        if triples.is_empty() {
            return Err(Failure::new("rustc does not tell the triple of this machine"));
        }
        let target_dir = settings.target_dir(options, manifest, folder);
        Ok(Self { linkers: find_linkers(&settings), triples, target_dir, settings })
    }

    /// The runner that cargo's configuration names, and its arguments.
    pub fn runner(&self, triple: &str) -> Option<(PathBuf, Vec<OsString>)> {
        self.settings.runner(triple)
    }

    /// The linker for a triple.
    pub fn linker(&self, triple: &str) -> Option<PathBuf> {
        let found = self.linkers.iter().find(|found| found.triple == triple);
        found
            .map(|found| PathBuf::from(&found.linker))
            .or_else(|| self.settings.linker(triple).map(PathBuf::from))
    }
}

/// A test program that cargo built.
#[derive(Debug)]
pub struct TestProgram {
    pub name: Name,
    pub path: PathBuf,
}

/// What came of a call.
#[derive(Debug)]
pub struct Tested {
    pub info: BuildInfo,
    pub programs: Vec<TestProgram>,
    pub status: ExitStatus,
    /// The last of what the tests wrote to standard output.
    pub said: Vec<String>,
}

/// Lines of the tests that are kept: those of documentation are told apart in
/// them alone.
const KEPT: usize = 100_000;

/// Calls cargo by `follower`, which ends it when we end. `runners`: by triple,
/// as cargo splits them at blanks. `line` gets what the tests write to standard
/// output.
pub fn test(
    options: &CargoOptions,
    ready: &Ready,
    follower: &[&str],
    runners: &[(String, String)],
    line: &mut dyn FnMut(&str),
    say: &mut dyn FnMut(&str, &str),
) -> Result<Tested, Failure> {
    let typed = typed(options);
    let mut invocation = Invocation::new(follower[0]).args(&follower[1..]).args([cargo()]);
    invocation = invocation.args(["test", "--no-fail-fast", MESSAGES]).args(options.build_args());
    invocation.env.extend(ready.linkers.iter().map(Found::variable));
    for (triple, runner) in runners {
        invocation.env.push((variable(triple).into(), runner.into()));
    }
    for found in &ready.linkers {
        say("Linking", &format!("for {} with {}", found.triple, found.linker));
    }
    say("Running", &typed);
    let mut programs = Vec::new();
    let mut compiled = std::collections::BTreeSet::new();
    let mut built = None;
    let mut said: Vec<String> = Vec::new();
    let status = invocation
        .stream(|text| {
            // What a test prints may look like cargo's messages; those end here.
            let message = match built {
                None => serde_json::from_str::<Message>(text).ok(),
                Some(_) => None,
            };
            match message {
                Some(Message::CompilerArtifact(artifact)) => {
                    if !artifact.fresh {
                        compiled.insert(artifact.package_id.repr.clone());
                    }
                    if let Some(path) = artifact.executable {
                        let package = package_name(&artifact.package_id.repr, &artifact.target.name);
                        let file = path.file_name().unwrap_or_default();
                        let name = Name::of_target(&package, &artifact.target.name, file);
                        programs.push(TestProgram { name, path: path.into() });
                    }
                }
                Some(Message::BuildFinished(finished)) => built = Some(finished.success),
                Some(Message::TextLine(_)) | None => {
                    line(text);
                    if said.len() < KEPT {
                        said.push(text.to_owned());
                    }
                }
                Some(_) => {}
            }
        })
        .map_err(|error| Failure::new("cargo could not be started").note(error.to_string()))?;
    if built != Some(true) {
        let failure = Failure::new("the build failed, so nothing was run")
            .note(format!("`{typed}` ended with {status}"));
        return Err(explain(failure, &ready.settings, &ready.triples));
    }
    let info = BuildInfo {
        profile: options.profile.clone().unwrap_or_else(|| "test".to_owned()),
        targets: ready.triples.clone(),
        compiled: Some(compiled.len()),
    };
    Ok(Tested { info, programs, status, said })
}

/// As one would type it.
pub fn typed(options: &CargoOptions) -> String {
    Invocation::new("cargo").args(["test", "--no-fail-fast"]).args(options.build_args()).shown()
}

/// The variable by which cargo takes a runner; it goes before its files.
fn variable(triple: &str) -> String {
    linker::variable(triple).replace("_LINKER", "_RUNNER")
}
