//! `cargo compat check`: do the artifacts keep the policy?

use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::bind::{Libraries, bind};
use super::causes;
use super::gather::{Gathered, Request, gather};
use super::{runs_on, since};
use crate::artifact::Format;
use crate::exit::Happened;
use crate::finding::Level;
use crate::judge::{self, CpuExamined, Judgement, Scope};
use crate::lints::Reading;
use crate::policy::{self, At, Baseline, FILE_NAME, Policy, Problem, Selector, TargetSelector};
use crate::report::model::PathText;
use crate::report::{self, Failure, MessageFormat, Outputs, Report, ReportFile, Streams};
use crate::text;
use crate::today::today;
use crate::workspace::{self, CargoOptions};

#[derive(Debug)]
pub struct Options {
    pub request: Request,
    pub policy: Option<PathBuf>,
    pub format: MessageFormat,
    /// Reports beside the one on standard output.
    pub reports: Vec<(MessageFormat, PathBuf)>,
    /// From which level on a finding breaks the policy.
    pub fail_on: Level,
    /// Judge as if nothing had been found before.
    pub ignore_baseline: bool,
    /// Another release, to tell what changed.
    pub since: Option<PathBuf>,
}

/// Why a run ends early.
pub enum Stop {
    /// Wrong usage or no policy.
    Usage(Failure),
    /// The policy has problems.
    Policy(policy::Source, Vec<Problem>),
    /// Nothing could be judged.
    NotJudged(Failure),
    /// Reports that were asked for cannot be written; better said before a long build.
    Reports(Vec<Failure>),
}

pub fn run(mut options: Options, streams: &Streams) -> std::io::Result<u8> {
    let folder = std::env::current_dir();
    let today = today();
    let mut report =
        Report::new(folder.as_deref().unwrap_or(Path::new("")), today.to_string(), options.fail_on);
    let (files, mut lost) = open(&options.reports);
    let old = since::read(options.since.as_ref()).unwrap_or_else(|failures| {
        lost.extend(failures);
        None
    });
    let outcome = match &folder {
        _ if !lost.is_empty() => Err(Stop::Reports(lost)),
        Ok(folder) => judge_all(&mut options, folder, today, &mut report, streams),
        Err(error) => {
            Err(Stop::NotJudged(Failure::new("the current folder is gone").note(error.to_string())))
        }
    };
    // Diagnostics tell of a platform what is wrong there; all the rest is for lists and for machines.
    let mut formats = files.iter().map(ReportFile::format).chain([options.format]);
    let on_platforms = formats.any(|format| !matches!(format, MessageFormat::Human | MessageFormat::Short));
    match outcome {
        Ok(outcome) => outcome.tell(&mut report, on_platforms),
        Err(stop) => stop.tell(&mut report),
    }
    report.root = report.policy.as_ref().and_then(|policy| {
        let root = workspace::work_tree(Path::new(&policy.path.path))?;
        Some(PathText::new(&root))
    });
    since::add(&mut report, old, false, folder.as_deref().unwrap_or(Path::new("")));
    let outputs = Outputs { format: options.format, quiet: options.request.cargo.quiet, files };
    let code = report::check(&report, outputs, streams);
    // As above.
    std::mem::forget(report);
    code
}

/// Opens the files that reports go to, or says why not.
pub fn open(reports: &[(MessageFormat, PathBuf)]) -> (Vec<ReportFile>, Vec<Failure>) {
    let (mut files, mut lost) = (Vec::new(), Vec::new());
    for (at, (format, path)) in reports.iter().enumerate() {
        if reports[..at].iter().any(|(_, other)| other == path) {
            lost.push(Failure::new(format!("two reports would go to {}", text::path(path))));
            continue;
        }
        match ReportFile::open(*format, path.clone()) {
            Ok(file) => files.push(file),
            Err(failure) => lost.push(failure),
        }
    }
    (files, lost)
}

impl Stop {
    pub fn tell(self, report: &mut Report) {
        let nothing = Happened::default();
        match self {
            Self::Usage(failure) => {
                report.set_happened(Happened { usage: true, ..nothing });
                report.failures.push(failure);
            }
            Self::Policy(source, problems) => {
                report.set_happened(Happened { usage: true, ..nothing });
                report.set_policy(&source, &problems);
            }
            Self::NotJudged(failure) => {
                report.set_happened(Happened { not_judged: true, ..nothing });
                report.failures.push(failure);
            }
            Self::Reports(failures) => {
                report.set_happened(Happened { not_judged: true, ..nothing });
                report.failures = failures;
            }
        }
    }
}

/// A run that came to a verdict.
pub struct Outcome {
    pub policy: Policy,
    pub gathered: Gathered,
    pub judgement: Judgement,
    /// Whether all that the policy speaks of was there to be judged.
    pub whole: bool,
}

impl Outcome {
    fn tell(self, report: &mut Report, on_platforms: bool) {
        let Self { policy, gathered, judgement, .. } = self;
        let (undecided, decided): (Vec<_>, Vec<_>) =
            judgement.findings.iter().partition(|finding| finding.undecided);
        report.set_happened(Happened {
            usage: false,
            broken: decided.iter().any(|finding| finding.level >= report.fail_on),
            not_judged: !undecided.is_empty() || !gathered.failures.is_empty(),
        });
        // The process ends: what was found of thousands of files is not given back piece by piece.
        std::mem::forget(report.set_judgement(&policy, gathered.inputs, judgement, on_platforms));
        report.build = gathered.build;
        report.failures = gathered.failures;
        report.not_selected = gathered.not_selected;
        report.passed_over =
            gathered.passed_over.into_iter().map(|(kind, number)| (kind.to_owned(), number)).collect();
    }
}

/// Gathers and judges; the report learns which policy it was.
pub fn judge_all(
    options: &mut Options,
    folder: &Path,
    today: Date,
    report: &mut Report,
    streams: &Streams,
) -> Result<Outcome, Stop> {
    if let Some(failure) = workspace::usage_error(&options.request.cargo) {
        return Err(Stop::Usage(failure));
    }
    let manifest = match options.request.artifacts.is_empty() {
        true => Some(
            workspace::locate(folder, options.request.cargo.manifest_path.as_deref())
                .map_err(Stop::NotJudged)?,
        ),
        false => None,
    };
    if let Some(root) = options.request.root.as_ref().filter(|root| !root.is_dir()) {
        let failure = Failure::new(format!("the root {} is no folder", text::path(root)));
        return Err(Stop::Usage(failure.help("name the folder that holds `usr` and `lib` of the system")));
    }
    let policy =
        read_policy(options.policy.as_deref(), &options.request.artifacts, folder, manifest.as_ref())?;
    report.set_policy(&policy.source, &[]);
    if manifest.is_some() {
        take_defaults(&mut options.request.cargo, &policy.build, folder);
    }
    let policy = known_targets(policy, &options.request.cargo.targets)?;
    let (policy, baseline) = with_baseline(policy, options.ignore_baseline)?;
    let platforms = match runs_on::open_all(&policy) {
        Ok(platforms) => platforms,
        Err(problems) => return Err(Stop::Policy(policy.source, problems)),
    };
    let mut gathered =
        gather(&options.request, &policy, manifest.as_ref(), folder, streams).map_err(Stop::NotJudged)?;
    let libraries = Libraries { root: options.request.root.clone(), folders: gathered.outputs.folders() };
    bind(&mut gathered.inputs, &libraries);
    runs_on::judge_all(&mut gathered.inputs, &policy, &platforms);
    let whole = manifest.is_some() && !options.request.cargo.selects();
    let scope = Scope { whole, known: std::mem::take(&mut gathered.known), baseline };
    let mut judgement = match judge::judge(&policy, &gathered.inputs, &scope, today) {
        Ok(judgement) => judgement,
        Err(problems) => return Err(Stop::Policy(policy.source, problems)),
    };
    causes::add(&mut judgement.findings, &gathered);
    let read =
        gathered.inputs.iter().any(|input| matches!(input.reading, Reading::Facts(_) | Reading::Linkable(_)));
    let unreadable = judgement.findings.iter().any(|finding| finding.undecided);
    if !read && !unreadable && gathered.failures.is_empty() {
        gathered.failures.push(nothing(&gathered, options));
    } else if read && !judgement.any_rule_applied {
        gathered.failures.push(no_rule(&policy, &gathered, &judgement));
    }
    Ok(Outcome { policy, gathered, judgement, whole })
}

/// The findings that the policy's baseline has.
fn with_baseline(policy: Policy, ignored: bool) -> Result<(Policy, Option<Baseline>), Stop> {
    let (Some(at), Some(path), false) = (&policy.baseline, policy.baseline_path(), ignored) else {
        return Ok((policy, None));
    };
    match Baseline::read(&path) {
        Ok(baseline) => Ok((policy, Some(baseline))),
        Err(why) => {
            let problem = Problem::new("the baseline cannot be read", at.span.clone())
                .label(why.lines().next().unwrap_or_default())
                .help("make it anew:\ncargo compat init --baseline");
            Err(Stop::Policy(policy.source, vec![problem]))
        }
    }
}

fn no_rule(policy: &Policy, gathered: &Gathered, judgement: &Judgement) -> Failure {
    let failure = Failure::new("no rule of the policy applied to anything that was judged");
    let file = text::path(&policy.source.path);
    let empty = policy.scopes.iter().all(|scope| scope.keys.is_empty());
    let ceilings_only = policy.scopes.iter().all(|scope| scope.keys.has_only_versions());
    if policy.scopes.iter().any(|scope| scope.keys.cpu.is_some()) && judgement.cpu == CpuExamined::NotAtAll {
        return failure
            .note("`cpu` could not be held against anything: no file and no compiler flag says which CPU it needs")
            .help("run the program on the CPU that is promised; and add a rule that can be judged");
    }
    if gathered.inputs.iter().all(|input| !matches!(input.reading, Reading::Facts(_))) {
        let mut failure = failure;
        if gathered
            .inputs
            .iter()
            .any(|input| matches!(&input.reading, Reading::Linkable(done) if done.facts.rlib))
        {
            failure = failure.note(
                "nothing that ships was built; does another package build it? `--workspace` builds all",
            );
        }
        return failure
            .note("of archives and objects only whether they are complete is judged; the other rules are about what is linked of them")
            .help(format!("say that they must be, in {file}; nothing may stay undefined:\nundefined = []"));
    }
    match (empty, ceilings_only) {
        (true, _) => failure
            .note("a policy that asks nothing keeps nothing")
            .help(format!("say what must hold, in {file}, for example:\nglibc = \"2.28\"")),
        // Fact 13.
        (false, true) => failure
            .note("version ceilings do not apply to musl, which ignores version needs, nor to other formats than ELF")
            .help(format!("add a rule that does apply, in {file}: `linkage` or `libraries`")),
        (false, false) => failure.note("its sections are for other targets or artifacts, or for another kind of file"),
    }
}

fn nothing(gathered: &Gathered, options: &Options) -> Failure {
    let mut failure = Failure::new("there was nothing to judge");
    let formats: Vec<Format> = gathered
        .inputs
        .iter()
        .filter_map(|input| match input.reading {
            Reading::Other(format) => Some(format),
            _ => None,
        })
        .collect();
    if formats.iter().any(|format| format.links_later()) {
        failure = failure.note(
            "archives and object files in a folder are passed over: name one to have it judged, whether it is complete",
        );
    }
    if formats.iter().any(|format| format.ships_elsewhere()) {
        failure = failure.note("only ELF files are read; Mach-O, PE and WebAssembly are not");
    }
    if !gathered.left_out.is_empty() {
        let names = text::some_of(&gathered.left_out, 5);
        return failure.note(format!("built, but not in the release set (`artifacts`): {names}"));
    }
    match options.request.artifacts.is_empty() {
        true => failure
            .note("executables and shared objects (cdylib, dylib) are judged")
            .help("was the right package selected? This builds them all:\ncargo compat check --workspace"),
        false => failure.note("no ELF executable or shared object was found in what was named"),
    }
}

pub(super) fn read_policy(
    named: Option<&Path>,
    artifacts: &[PathBuf],
    folder: &Path,
    manifest: Option<&workspace::Manifest>,
) -> Result<Policy, Stop> {
    let path = match (named, manifest) {
        (Some(path), _) => Ok(folder.join(path)),
        (None, Some(manifest)) => workspace::policy_below(&manifest.root, false),
        (None, None) => workspace::policy_below(folder, true),
    };
    let path = path.map_err(|searched| {
        let searched: Vec<_> = searched.iter().map(|folder| text::path(folder)).collect();
        Stop::Usage(
            Failure::new(format!("no {FILE_NAME} was found, so nothing can be judged"))
                .note(format!("searched:\n{}", searched.join("\n")))
                .help(match artifacts.first().filter(|path| path.as_os_str() != "-") {
                    Some(path) => format!(
                        "write one that it keeps today, or name one by `--policy`:\ncargo compat init --artifact {}",
                        shell_words::quote(&text::path(path))
                    ),
                    None => "write one that today's artifacts keep:\ncargo compat init".to_owned(),
                }),
        )
    })?;
    let source = policy::read(&path).map_err(|why| {
        Stop::Usage(Failure::new(format!("the policy {} cannot be read", text::path(&path))).note(why))
    })?;
    policy::parse(source).map_err(|(source, problems)| Stop::Policy(source, problems))
}

/// `[build]` gives what the command line leaves open.
pub(super) fn take_defaults(cargo: &mut CargoOptions, build: &policy::Build, folder: &Path) {
    if cargo.profile.is_none() {
        cargo.profile = build.profile.as_ref().map(|profile| profile.value.clone());
    }
    if cargo.targets.is_empty() && !workspace::config_names_targets(cargo, folder) {
        cargo.targets = build.targets.iter().map(|target| target.value.clone()).collect();
    }
    if cargo.features.is_empty() && !cargo.all_features && !cargo.no_default_features {
        cargo.features.clone_from(&build.features);
        cargo.all_features = build.all_features;
        cargo.no_default_features = build.no_default_features;
    }
}

/// What names a triple that nobody knows would silently apply to nothing.
pub(super) fn known_targets(policy: Policy, requested: &[String]) -> Result<Policy, Stop> {
    let of_scopes = policy.scopes.iter().filter_map(|scope| match &scope.selector {
        Selector::Target(TargetSelector::Triple(triple)) => Some((triple, &scope.span)),
        _ => None,
    });
    let of_exceptions = policy.exceptions.iter().filter_map(|exception| match exception.target.as_ref()? {
        At { value: TargetSelector::Triple(triple), span } => Some((triple, span)),
        _ => None,
    });
    let of_build = policy.build.targets.iter().map(|target| (&target.value, &target.span));
    let of_build = of_build.filter(|(target, _)| !target.ends_with(".json") && *target != "host-tuple");
    let custom: Vec<String> = requested
        .iter()
        .filter(|target| !policy.build.targets.iter().any(|own| own.value == **target))
        .map(|target| workspace::folder_of(target))
        .collect();
    let mut problems: Vec<Problem> = of_scopes
        .chain(of_exceptions)
        .chain(of_build)
        .filter(|(triple, _)| !custom.contains(triple))
        .filter_map(|(triple, span)| policy::unknown_triple(triple, span.clone()))
        .collect();
    if problems.is_empty() {
        return Ok(policy);
    }
    problems.sort_by_key(|problem| problem.span.start);
    Err(Stop::Policy(policy.source, problems))
}
