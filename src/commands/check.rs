//! `cargo compat check`: do the artifacts keep the policy?

use std::path::{Path, PathBuf};

use super::gather::{Gathered, Request, gather};
use crate::exit::Happened;
use crate::finding::Level;
use crate::judge::{self, Judgement};
use crate::lints::Reading;
use crate::policy::{self, FILE_NAME, Policy, Problem, Selector, TargetSelector};
use crate::report::{self, Failure, MessageFormat, Streams};
use crate::text;
use crate::workspace::{self, CargoOptions};

#[derive(Debug)]
pub struct Options {
    pub request: Request,
    pub policy: Option<PathBuf>,
    pub format: MessageFormat,
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
    report::check(&report, options.format, options.request.cargo.quiet, streams)?;
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
        report::check(&report, options.format, options.request.cargo.quiet, streams)?;
        Ok(self.happened.code())
    }
}

fn judge_all(options: &mut Options, streams: &Streams) -> Result<Outcome, Stop> {
    let folder = std::env::current_dir().map_err(|error| {
        Stop::NotJudged(Failure::new("the current folder is gone").note(error.to_string()))
    })?;
    let manifest = match options.request.artifacts.is_empty() {
        true => Some(
            workspace::locate(&folder, options.request.cargo.manifest_path.as_deref())
                .map_err(Stop::NotJudged)?,
        ),
        false => None,
    };
    let policy = read_policy(options, &folder, manifest.as_ref())?;
    if manifest.is_some() {
        take_defaults(&mut options.request.cargo, &policy.build);
    }
    let policy = known_targets(policy, &options.request.cargo.targets)?;
    let mut gathered =
        gather(&options.request, &policy, manifest.as_ref(), &folder, streams).map_err(Stop::NotJudged)?;
    let whole = manifest.is_some() && !options.request.cargo.selects();
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
    match options.request.artifacts.is_empty() {
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
    let path = path.map(|path| path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path));
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
