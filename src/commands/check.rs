//! `cargo compat check`: do the artifacts keep the policy?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::artifact::{Artifact, Depth, Examined, Format, examine};
use crate::exit::Happened;
use crate::files::{self, Found};
use crate::finding::Level;
use crate::judge::{self, Input, Judgement};
use crate::lints::Reading;
use crate::policy::{self, FILE_NAME, Name, Policy, Problem, Selector, TargetSelector};
use crate::report::{self, BuildInfo, Failure, MessageFormat, PassedOver, Streams};
use crate::target;
use crate::text;
use crate::workspace::{self, CargoArtifact, CargoOptions};

#[derive(Debug)]
pub struct Options {
    pub cargo: CargoOptions,
    pub policy: Option<PathBuf>,
    /// Files and folders to judge; empty: what cargo builds.
    pub artifacts: Vec<PathBuf>,
    pub no_build: bool,
    pub format: MessageFormat,
}

/// What there is to judge.
#[derive(Default)]
struct Gathered {
    inputs: Vec<Input>,
    build: Option<BuildInfo>,
    failures: Vec<Failure>,
    not_selected: Vec<String>,
    passed_over: PassedOver,
}

/// Why a run ends early.
enum Stop {
    /// Wrong usage or no policy.
    Usage(Failure),
    /// The policy has problems.
    Policy(policy::Source, Vec<Problem>),
    /// Nothing could be judged.
    NotJudged(Failure),
}

pub fn run(mut options: Options, streams: &Streams) -> std::io::Result<u8> {
    let (happened, wrong, failure) = match judge_all(&mut options, streams) {
        Ok(outcome) => return outcome.report(&options, streams),
        Err(Stop::Usage(failure)) => (Happened { usage: true, ..Happened::default() }, None, Some(failure)),
        Err(Stop::Policy(source, problems)) => {
            (Happened { usage: true, ..Happened::default() }, Some((source, problems)), None)
        }
        Err(Stop::NotJudged(failure)) => {
            (Happened { not_judged: true, ..Happened::default() }, None, Some(failure))
        }
    };
    let failures: Vec<Failure> = failure.into_iter().collect();
    let report = report::Check {
        wrong_policy: wrong.as_ref().map(|(source, problems)| (source, problems.as_slice())),
        failures: &failures,
        happened,
        ..report::Check::default()
    };
    report::check(&report, options.format, options.cargo.quiet, streams)?;
    Ok(happened.code())
}

/// A run that came to a verdict.
struct Outcome {
    policy: Policy,
    gathered: Gathered,
    judgement: Judgement,
    happened: Happened,
}

impl Outcome {
    fn report(&self, options: &Options, streams: &Streams) -> std::io::Result<u8> {
        let report = report::Check {
            policy: Some(&self.policy),
            wrong_policy: None,
            build: self.gathered.build.as_ref(),
            inputs: &self.gathered.inputs,
            judgement: Some(&self.judgement),
            failures: &self.gathered.failures,
            not_selected: &self.gathered.not_selected,
            passed_over: Some(&self.gathered.passed_over),
            happened: self.happened,
        };
        report::check(&report, options.format, options.cargo.quiet, streams)?;
        Ok(self.happened.code())
    }
}

fn judge_all(options: &mut Options, streams: &Streams) -> Result<Outcome, Stop> {
    let folder = std::env::current_dir().map_err(|error| {
        Stop::NotJudged(Failure::new("the current folder is gone").note(error.to_string()))
    })?;
    let manifest = match options.artifacts.is_empty() {
        true => Some(
            workspace::locate(&folder, options.cargo.manifest_path.as_deref()).map_err(Stop::NotJudged)?,
        ),
        false => None,
    };
    let policy = read_policy(options, &folder, manifest.as_ref())?;
    if manifest.is_some() {
        take_defaults(&mut options.cargo, &policy.build);
    }
    let policy = known_targets(policy, &options.cargo.targets)?;
    let mut gathered = match &manifest {
        Some(manifest) => from_cargo(options, &policy, manifest, &folder, streams)?,
        None => from_files(options, &policy),
    };
    let whole = manifest.is_some() && !options.cargo.selects();
    let today = jiff::Zoned::now().date();
    let judgement = match judge::judge(&policy, &gathered.inputs, whole, today) {
        Ok(judgement) => judgement,
        Err(problems) => return Err(Stop::Policy(policy.source, problems)),
    };
    let read = gathered.inputs.iter().any(|input| matches!(input.reading, Reading::Facts(_)));
    let unreadable = judgement.findings.iter().any(|finding| finding.undecided);
    if !read && !unreadable && gathered.failures.is_empty() {
        gathered.failures.push(nothing(&gathered, options));
    } else if read && !judgement.any_rule_applied {
        gathered.failures.push(
            Failure::new("no rule of the policy applied to anything")
                .note("a policy that asks nothing keeps nothing")
                .help(format!(
                    "say what must hold, in {}, for example:\nglibc = \"2.28\"",
                    text::path(&policy.source.path)
                )),
        );
    }
    let happened = Happened {
        usage: false,
        broken: judgement.findings.iter().any(|finding| finding.level == Level::Deny && !finding.undecided),
        not_judged: unreadable || !gathered.failures.is_empty(),
    };
    Ok(Outcome { policy, gathered, judgement, happened })
}

fn nothing(gathered: &Gathered, options: &Options) -> Failure {
    let not_examined = gathered.inputs.len();
    let failure = Failure::new("there was nothing to judge");
    let failure = match not_examined {
        0 => failure,
        _ => failure.note(
            "archives and object files are not examined yet: what they need is settled by the final link",
        ),
    };
    match options.artifacts.is_empty() {
        true => failure
            .note("executables and shared objects (cdylib, dylib) are judged")
            .help("was the right package selected? `cargo compat check --workspace` builds them all"),
        false => failure.note("no ELF executable or shared object was found in what was named"),
    }
}

fn read_policy(
    options: &Options,
    folder: &Path,
    manifest: Option<&workspace::Manifest>,
) -> Result<Policy, Stop> {
    let path = match (&options.policy, manifest) {
        (Some(path), _) => Ok(folder.join(path)),
        (None, Some(manifest)) => workspace::policy_below(&manifest.root, false),
        (None, None) => workspace::policy_below(folder, true),
    };
    let path = path.map_err(|searched| {
        let searched: Vec<_> = searched.iter().map(|folder| text::path(folder)).collect();
        Stop::Usage(
            Failure::new(format!("no {FILE_NAME} was found, so nothing can be judged"))
                .note(format!("searched: {}", searched.join(", ")))
                .help("write one; this is a whole policy:\nglibc = \"2.28\"\nlibraries = [\"libc.so.6\", \"libgcc_s.so.1\"]"),
        )
    })?;
    let source = policy::read(&path).map_err(|why| {
        Stop::Usage(Failure::new(format!("the policy {} cannot be read", text::path(&path))).note(why))
    })?;
    policy::parse(source).map_err(|(source, problems)| Stop::Policy(source, problems))
}

/// `[build]` gives what the command line leaves open.
fn take_defaults(cargo: &mut CargoOptions, build: &policy::Build) {
    if cargo.profile.is_none() {
        cargo.profile = build.profile.as_ref().map(|profile| profile.value.clone());
    }
    if cargo.targets.is_empty() {
        cargo.targets = build.targets.iter().map(|target| target.value.clone()).collect();
    }
    if cargo.features.is_empty() && !cargo.all_features && !cargo.no_default_features {
        cargo.features.clone_from(&build.features);
        cargo.all_features = build.all_features;
        cargo.no_default_features = build.no_default_features;
    }
}

/// A section for a triple that nobody knows would silently apply to nothing.
fn known_targets(policy: Policy, requested: &[String]) -> Result<Policy, Stop> {
    let mut problems = Vec::new();
    for scope in &policy.scopes {
        if let Selector::Target(TargetSelector::Triple(triple)) = &scope.selector
            && !requested.iter().any(|target| workspace::folder_of(target) == *triple)
        {
            problems.extend(policy::unknown_triple(triple, scope.span.clone()));
        }
    }
    if problems.is_empty() { Ok(policy) } else { Err(Stop::Policy(policy.source, problems)) }
}

fn from_cargo(
    options: &Options,
    policy: &Policy,
    manifest: &workspace::Manifest,
    folder: &Path,
    streams: &Streams,
) -> Result<Gathered, Stop> {
    let verbose = options.cargo.verbose > 0;
    let mut say = |verb: &str, message: &str| {
        if verbose {
            // Progress that cannot be written must not end the run.
            let _ = report::status(verb, message, streams);
        }
    };
    let (artifacts, info, failures) = if options.no_build {
        let expected = workspace::expected(&options.cargo, manifest, folder).map_err(Stop::NotJudged)?;
        (expected.artifacts, expected.info, expected.failures)
    } else {
        let built = workspace::build(&options.cargo, manifest, folder, &mut say).map_err(Stop::NotJudged)?;
        (built.artifacts, built.info, built.failures)
    };
    let mut gathered = Gathered { failures, ..Gathered::default() };
    // After a failed build nothing tells which files are of which sources.
    let artifacts = if gathered.failures.is_empty() || options.no_build { artifacts } else { Vec::new() };
    let artifacts = release_set(options, policy, &info, artifacts, &mut gathered);
    gathered.inputs = read_built(policy, artifacts);
    gathered.build = Some(info);
    Ok(gathered)
}

/// Keeps what belongs to the release, and misses what does not come.
fn release_set(
    options: &Options,
    policy: &Policy,
    info: &BuildInfo,
    artifacts: Vec<CargoArtifact>,
    gathered: &mut Gathered,
) -> Vec<CargoArtifact> {
    let Some(set) = &policy.artifacts else { return artifacts };
    if !gathered.failures.is_empty() && !options.no_build {
        return artifacts;
    }
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
            if options.cargo.selects() {
                gathered.not_selected.push(name.to_owned());
            } else {
                let (line, _) = policy.source.position(pattern.span.start);
                gathered.failures.push(
                    Failure::new(format!("`{name}` of the release set was not built for {triple}"))
                        .note(format!("`artifacts` in {}:{line} names it", text::path(&policy.source.path)))
                        .help("is it built by another package? `cargo compat check --workspace`"),
                );
            }
        }
    }
    gathered.not_selected.sort();
    gathered.not_selected.dedup();
    let wanted =
        |artifact: &CargoArtifact| set.iter().any(|pattern| artifact.name(false).matches(&pattern.value));
    artifacts.into_iter().filter(wanted).collect()
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
    let mut seen = std::collections::HashSet::new();
    artifacts.retain(|artifact| seen.insert(artifact.path.clone()));
    let alike = |artifact: &CargoArtifact| {
        let others = artifacts.iter().filter(|other| other.triple == artifact.triple);
        others.into_iter().any(|other| other.target == artifact.target && other.package != artifact.package)
            || writers[&artifact.path].len() > 1
    };
    let alike: Vec<bool> = artifacts.iter().map(alike).collect();
    artifacts
        .into_par_iter()
        .zip(alike)
        .map(|(artifact, alike)| {
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
            let triples =
                if triples.is_empty() { artifact.triple.iter().cloned().collect() } else { triples };
            artifact.into_input(alike, reading, triples)
        })
        .collect()
}

fn from_files(options: &Options, policy: &Policy) -> Gathered {
    let mut paths = Vec::new();
    let mut failures = Vec::new();
    for path in &options.artifacts {
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
        options.cargo.targets.iter().map(|target| workspace::folder_of(target)).collect();
    let read: Vec<(Found, Input)> = std::mem::take(&mut collected.files)
        .into_par_iter()
        .map(|found| {
            let input = read_file(policy, &found.path, &named);
            (found, input)
        })
        .collect();
    let mut inputs = Vec::new();
    for (found, input) in read {
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
        triples,
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
    match examine(path, Depth::Needs) {
        Ok(Examined::Elf(facts)) => {
            let triples = triples(&facts);
            let facts = match judge::wants_symbols(policy, name, &triples, &facts) {
                true => match examine(path, Depth::Symbols) {
                    Ok(Examined::Elf(facts)) => facts,
                    _ => facts,
                },
                false => facts,
            };
            (Reading::Facts(facts), triples)
        }
        Ok(Examined::Other(format)) => (Reading::Other(format), Vec::new()),
        Err(error) => (Reading::Unreadable(error), Vec::new()),
    }
}
