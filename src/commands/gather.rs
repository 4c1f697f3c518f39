//! What there is to judge: what cargo builds, or files that are named.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::complete::{Said, complete};
use crate::artifact::{Artifact, Examined, Format, More, examine_by};
use crate::files::{self, Found};
use crate::judge::{self, Input};
use crate::lints::Reading;
use crate::many::each;
use crate::policy::{At, Name, Pattern, Policy};
use crate::report::{self, BuildInfo, Failure, PassedOver, Streams};
use crate::target;
use crate::text;
use crate::workspace::{self, CargoArtifact, CargoOptions, Outputs};

/// Where artifacts come from.
#[derive(Debug)]
pub struct Request {
    pub cargo: CargoOptions,
    /// Files and folders; empty: what cargo builds.
    pub artifacts: Vec<PathBuf>,
    pub no_build: bool,
    /// A folder that holds a system, in which libraries are looked for.
    pub root: Option<PathBuf>,
    /// Libraries that a later link of archives and objects brings.
    pub link_libs: Vec<String>,
}

/// What there is to judge.
#[derive(Debug, Default)]
pub struct Gathered {
    pub inputs: Vec<Input>,
    pub build: Option<BuildInfo>,
    pub failures: Vec<Failure>,
    pub not_selected: Vec<String>,
    /// What was built and is not of the release set.
    pub left_out: Vec<String>,
    /// Every name that was built.
    pub known: Vec<Name>,
    pub passed_over: PassedOver,
    /// The package of each file that cargo built, by cargo's package id.
    pub packages: HashMap<PathBuf, String>,
    /// The crates and build scripts behind them.
    pub outputs: Outputs,
}

/// Gathers, with cargo where a project was located.
pub fn gather(
    request: &Request,
    policy: &Policy,
    manifest: Option<&workspace::Manifest>,
    folder: &Path,
    streams: &Streams,
) -> Result<Gathered, Failure> {
    match manifest {
        Some(manifest) => from_cargo(request, policy, manifest, folder, streams),
        None => Ok(from_files(request, policy)),
    }
}

fn from_cargo(
    request: &Request,
    policy: &Policy,
    manifest: &workspace::Manifest,
    folder: &Path,
    streams: &Streams,
) -> Result<Gathered, Failure> {
    let verbose = request.cargo.verbose > 0;
    let mut say = |verb: &str, message: &str| {
        if verbose {
            // Progress that cannot be written must not end the run.
            let _ = report::status(verb, message, streams);
        }
    };
    let mut gathered = Gathered::default();
    let (mut artifacts, rlibs, links, info) = if request.no_build {
        let expected = workspace::expected(&request.cargo, manifest, folder)?;
        (expected.artifacts, Vec::new(), expected.links, expected.info)
    } else {
        let built = workspace::build(&request.cargo, manifest, folder, &mut say)?;
        gathered.failures = built.failures;
        gathered.outputs = built.outputs;
        (built.artifacts, built.rlibs, built.links, built.info)
    };
    artifacts.extend(rlibs_to_judge(policy, &artifacts, rlibs));
    gathered.known = artifacts.iter().map(|artifact| artifact.name(false)).collect();
    let mut artifacts = release_set(request, policy, &info, artifacts, &mut gathered);
    if request.no_build {
        artifacts.retain(|artifact| {
            let is_there = artifact.path.is_file();
            if !is_there {
                gathered.failures.push(workspace::missing(artifact));
            }
            is_there
        });
    }
    // cargo reports in the order in which it finished, which changes.
    artifacts.sort_by_cached_key(|artifact| {
        let triple = info.targets.iter().position(|target| artifact.triple.as_ref() == Some(target));
        (artifact.target.clone(), artifact.package.clone(), triple, artifact.path.clone())
    });
    gathered.packages =
        artifacts.iter().map(|artifact| (artifact.path.clone(), artifact.package_id.clone())).collect();
    gathered.inputs = read_built(policy, artifacts);
    let said = Said { links: Some(&links), libraries: &request.link_libs, ..Said::default() };
    complete(&mut gathered.inputs, policy, &said);
    gathered.build = Some(info);
    Ok(gathered)
}

/// Nobody ships an rlib: what it leaves open shows in the program or library
/// that it becomes part of. So it is judged where nothing else was built, or
/// where the release set names it and nothing else.
fn rlibs_to_judge(
    policy: &Policy,
    artifacts: &[CargoArtifact],
    rlibs: Vec<CargoArtifact>,
) -> Vec<CargoArtifact> {
    if artifacts.is_empty() {
        return rlibs;
    }
    let set = policy.artifacts.as_deref().unwrap_or_default();
    let names = |one: &CargoArtifact, pattern: &At<Pattern>| one.name(false).matches(&pattern.value);
    let alone = |rlib: &CargoArtifact| {
        set.iter().any(|pattern| names(rlib, pattern) && !artifacts.iter().any(|other| names(other, pattern)))
    };
    rlibs.into_iter().filter(alone).collect()
}

/// Keeps what belongs to the release, and misses what does not come.
fn release_set(
    request: &Request,
    policy: &Policy,
    info: &BuildInfo,
    artifacts: Vec<CargoArtifact>,
    gathered: &mut Gathered,
) -> Vec<CargoArtifact> {
    let Some(set) = &policy.artifacts else { return artifacts };
    for pattern in set {
        for triple in &info.targets {
            let built = artifacts.iter().any(|artifact| {
                artifact.triple.as_ref().is_none_or(|own| own == triple)
                    && artifact.name(false).matches(&pattern.value)
            });
            let name = pattern.value.text();
            if built {
                continue;
            }
            if request.cargo.selects() {
                gathered.not_selected.push(name.to_owned());
                continue;
            }
            let (line, _) = policy.source.position(pattern.span.start);
            let failure = Failure::new(format!("`{name}` of the release set was not built for {triple}"))
                .note(format!("`artifacts` in {}:{line} names it", text::path(&policy.source.path)));
            let known = gathered.known.iter().map(|name| name.shown.as_str());
            let near = text::did_you_mean(name, known).map(|near| format!("did you mean `{near}`?"));
            let elsewhere = || "is it built by another package?\ncargo compat check --workspace".to_owned();
            let help = near.or_else(|| (!request.cargo.workspace).then(elsewhere));
            gathered.failures.push(match help {
                Some(help) => failure.help(help),
                None => failure,
            });
        }
    }
    gathered.not_selected.sort();
    gathered.not_selected.dedup();
    let (kept, left): (Vec<_>, Vec<_>) = artifacts
        .into_iter()
        .partition(|artifact| set.iter().any(|pattern| artifact.name(false).matches(&pattern.value)));
    gathered.left_out = left.iter().map(|artifact| artifact.name(false).shown).collect();
    kept
}

fn read_built(policy: &Policy, mut artifacts: Vec<CargoArtifact>) -> Vec<Input> {
    // Two packages may write one file: then it is only one of them.
    let mut writers: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for artifact in &artifacts {
        let writers = writers.entry(artifact.path.clone()).or_default();
        let name = format!("{}:{}", artifact.package, artifact.target);
        if !writers.contains(&name) {
            writers.push(name);
        }
    }
    let mut seen = HashSet::new();
    artifacts.retain(|artifact| seen.insert(artifact.path.clone()));
    let alike = |artifact: &CargoArtifact| {
        let others = artifacts.iter().filter(|other| other.triple == artifact.triple);
        others.into_iter().any(|other| other.target == artifact.target && other.package != artifact.package)
            || writers[&artifact.path].len() > 1
    };
    let alike: Vec<bool> = artifacts.iter().map(alike).collect();
    let work: Vec<(CargoArtifact, bool)> = artifacts.into_iter().zip(alike).collect();
    each(work, |(artifact, alike)| {
        let writers = &writers[&artifact.path];
        let own: Vec<String> = artifact.triple.iter().cloned().collect();
        let (reading, triples) = if writers.len() > 1 {
            let named: Vec<_> = writers.iter().map(|name| format!("`{name}`")).collect();
            let ambiguous = Reading::Ambiguous {
                message: format!(
                    "{} are built to one file, so only one of them is there",
                    named.join(" and ")
                ),
                help: format!("judge one at a time:\ncargo compat check --package {}", artifact.package),
            };
            (ambiguous, own)
        } else {
            // Without a word from cargo or rustc, the file itself tells.
            let triples = |facts: &Artifact| match own.is_empty() {
                true => target::triples(facts, &[], Some(policy)),
                false => own.clone(),
            };
            reading(policy, &artifact.path, &artifact.name(alike), triples)
        };
        let triples = if triples.is_empty() { artifact.triple.iter().cloned().collect() } else { triples };
        artifact.into_input(alike, reading, triples)
    })
}

fn from_files(request: &Request, policy: &Policy) -> Gathered {
    let mut paths = Vec::new();
    let mut failures = Vec::new();
    for path in &request.artifacts {
        if path.as_os_str() == "-" {
            match files::read_list(std::io::stdin().lock()) {
                Ok(list) => paths.extend(list),
                Err(error) => failures
                    .push(Failure::new("the list on standard input cannot be read").note(error.to_string())),
            }
        } else {
            paths.push(path.clone());
        }
    }
    let mut collected = files::collect(&paths);
    let named: Vec<String> =
        request.cargo.targets.iter().map(|target| workspace::folder_of(target)).collect();
    let read: Vec<(Found, Input)> = each(std::mem::take(&mut collected.files), |found| {
        let input = read_file(policy, &found.path, &named);
        (found, input)
    });
    let mut inputs = Vec::new();
    let mut paths_named = Vec::new();
    for (found, input) in read {
        if found.named {
            paths_named.push(found.path.clone());
        }
        match &input.reading {
            Reading::Other(format) if !format.ships_elsewhere() && !format.links_later() => {
                if found.named {
                    let message =
                        format!("{} is {}, not an artifact", text::path(&found.path), with_article(*format));
                    collected.failures.push(Failure::new(message));
                } else {
                    collected.pass_over(plural_noun(*format));
                }
            }
            _ => inputs.push(input),
        }
    }
    failures.append(&mut collected.failures);
    let said =
        Said { libraries: &request.link_libs, triples: &named, named: &paths_named, ..Said::default() };
    complete(&mut inputs, policy, &said);
    Gathered { inputs, failures, passed_over: collected.passed_over, ..Gathered::default() }
}

fn with_article(format: Format) -> String {
    let article = if matches!(format, Format::Empty) { "an" } else { "a" };
    format!("{article} {format}")
}

/// A noun that takes an `s`.
fn plural_noun(format: Format) -> &'static str {
    match format {
        Format::Empty => "empty file",
        Format::Script => "script",
        Format::Core => "core dump",
        Format::DebugInfo => "debug information file",
        _ => "other file",
    }
}

fn read_file(policy: &Policy, path: &Path, named: &[String]) -> Input {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = Name::of_file(&file);
    let (reading, triples) =
        reading(policy, path, &name, |facts| target::triples(facts, named, Some(policy)));
    let triples = if triples.is_empty() { named.to_vec() } else { triples };
    Input {
        name,
        path: path.to_owned(),
        reading,
        role: None,
        from_cargo: false,
        stale: None,
        compiler_flags: Vec::new(),
        undefs: Vec::new(),
        triples,
        verdict: None,
        object: std::sync::OnceLock::new(),
        platforms: Vec::new(),
    }
}

/// Reads a file as deep as its verdict needs: symbols only where they have
/// something to explain.
fn reading(
    policy: &Policy,
    path: &Path,
    name: &Name,
    triples: impl Fn(&Artifact) -> Vec<String>,
) -> (Reading, Vec<String>) {
    let mut found = Vec::new();
    let examined = examine_by(path, |facts| {
        found = triples(facts);
        More { symbols: judge::symbols_wanted(policy, name, &found, facts), bindings: true }
    });
    let reading = match examined {
        Ok(Examined::Elf(facts)) => Reading::Facts(facts),
        Ok(Examined::Other(format)) => Reading::Other(format),
        Err(error) => Reading::Unreadable(error),
    };
    (reading, found)
}
