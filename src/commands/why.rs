//! `cargo compat why`: who brought in a symbol, a version or a library?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::bind::{Libraries, bind};
use super::check::{self, Stop};
use super::gather::{Gathered, Request, gather};
use crate::artifact::{Artifact, Depth, Examined, Release, Symbols, examine};
use crate::blame::advice::{self, Case};
use crate::blame::asked::{self, Asked};
use crate::blame::explain::{self, Program};
use crate::blame::least;
use crate::blame::owners::{self, Library};
use crate::blame::packages::Packages;
use crate::blame::system::{self, Releases};
use crate::blame::uses::{Detail, Uses};
use crate::exit::Happened;
use crate::finding::cause::What;
use crate::judge::{self, Input, Scope};
use crate::lints::Reading;
use crate::policy::{self, Policy};
use crate::report::why::{Explained, Report};
use crate::report::{self, Failure, MessageFormat, Streams};
use crate::text;
use crate::workspace::{self, Manifest};

#[derive(Debug)]
pub struct Options {
    pub request: Request,
    /// A symbol, a version, a library; nothing: every finding of the policy.
    pub what: Option<String>,
    pub policy: Option<PathBuf>,
    pub format: MessageFormat,
    /// Link what is stripped once more, with its symbols.
    pub relink: bool,
    /// Say where in the source, too.
    pub lines: bool,
}

pub fn run(mut options: Options, streams: &Streams) -> std::io::Result<u8> {
    let mut report = Report::new(options.what.clone());
    match answer(&mut options, &mut report, streams) {
        Ok(()) => {
            let not_judged = !report.failures.is_empty();
            report.set_happened(Happened { not_judged, ..Happened::default() });
        }
        Err(Stop::Usage(failure)) => {
            report.set_happened(Happened { usage: true, ..Happened::default() });
            report.failures.push(failure);
        }
        Err(Stop::Policy(source, problems)) => {
            report.set_happened(Happened { usage: true, ..Happened::default() });
            report.failures.push(wrong_policy(&source, &problems));
        }
        Err(Stop::Reports(failures)) => {
            report.set_happened(Happened { not_judged: true, ..Happened::default() });
            report.failures.extend(failures);
        }
        Err(Stop::NotJudged(failure)) => {
            report.set_happened(Happened { not_judged: true, ..Happened::default() });
            report.failures.push(failure);
        }
    }
    report::why::write(&report, options.format, streams)?;
    Ok(report.exit_code)
}

fn wrong_policy(source: &policy::Source, problems: &[policy::Problem]) -> Failure {
    let path = text::path(&source.path);
    let mut failure = Failure::new(format!("{path} has {}", text::count(problems.len(), "problem")));
    for problem in problems {
        let (line, column) = source.position(problem.span.start);
        failure = failure.note(format!("{path}:{line}:{column}: {}", problem.message));
    }
    failure.help("`cargo compat check` shows them in place")
}

/// Where there is no project, a file can be asked about.
fn without_project(failure: Failure, options: &Options) -> Failure {
    match &options.what {
        Some(what) if options.request.cargo.manifest_path.is_none() => {
            let what = shell_words::quote(what).into_owned();
            failure.help(format!(
                "a file is asked about without a project by\ncargo compat why {what} --artifact FILE"
            ))
        }
        _ => failure,
    }
}

/// One file and what is asked of it.
struct Question {
    input: usize,
    facts: Box<Artifact>,
    asked: Vec<What>,
    limit: Option<Release>,
}

fn answer(options: &mut Options, report: &mut Report, streams: &Streams) -> Result<(), Stop> {
    let folder = std::env::current_dir().map_err(|error| {
        Stop::NotJudged(Failure::new("the current folder is gone").note(error.to_string()))
    })?;
    if let Some(failure) = workspace::usage_error(&options.request.cargo) {
        return Err(Stop::Usage(failure));
    }
    let asked = match options.what.as_deref().map(|word| (word, Asked::parse(word))) {
        None => None,
        Some((_, Ok(asked))) => Some(asked),
        Some((word, Err(why))) => {
            return Err(Stop::Usage(
                Failure::new(format!("`{}` cannot be asked after: {why}", text::escape(word)))
                    .help("a symbol, a version or a library can, such as\ncargo compat why stat64\ncargo compat why GLIBC_2.34\ncargo compat why 'GLIBC>2.28'\ncargo compat why libssl.so.3"),
            ));
        }
    };
    let manifest = match options.request.artifacts.is_empty() {
        true => {
            let path = options.request.cargo.manifest_path.as_deref();
            let found = workspace::locate(&folder, path);
            Some(found.map_err(|failure| Stop::NotJudged(without_project(failure, options)))?)
        }
        false => None,
    };
    let policy = read_policy(options, asked.is_some(), &folder, manifest.as_ref())?;
    if manifest.is_some() {
        check::take_defaults(&mut options.request.cargo, &policy.build, &folder);
    }
    let policy = check::known_targets(policy, &options.request.cargo.targets)?;
    let mut gathered =
        gather(&options.request, &policy, manifest.as_ref(), &folder, streams).map_err(Stop::NotJudged)?;
    report.failures.extend(gathered.failures.iter().cloned());
    if asked.is_none() {
        let libraries = Libraries { root: options.request.root.clone(), folders: gathered.outputs.folders() };
        bind(&mut gathered.inputs, &libraries);
    }
    let questions = match &asked {
        Some(asked) => ask(asked, &policy, &gathered, report),
        None => ask_policy(policy, &gathered, &manifest, options, report)?,
    };
    let context = Context::new(options, manifest.as_ref(), &folder, &gathered);
    report.build.clone_from(&gathered.build);
    for question in questions {
        let explained = context.explain(options, &question, report, streams);
        report.artifacts.push(explained);
    }
    Ok(())
}

/// Where something is asked after, no policy need be there; if one is, it
/// gives cargo's defaults and the release set.
fn read_policy(
    options: &Options,
    is_asked: bool,
    folder: &Path,
    manifest: Option<&Manifest>,
) -> Result<Policy, Stop> {
    let found = check::read_policy(options.policy.as_deref(), &options.request.artifacts, folder, manifest);
    match found {
        Err(Stop::Usage(_)) if is_asked && options.policy.is_none() => {
            let source = policy::Source { path: PathBuf::new(), text: String::new() };
            policy::parse(source).map_err(|(source, problems)| Stop::Policy(source, problems))
        }
        Err(Stop::Usage(failure)) => {
            let failure =
                failure.note("without a policy, say what to explain, such as `cargo compat why GLIBC_2.34`");
            Err(Stop::Usage(failure))
        }
        other => other,
    }
}

/// With all its symbols, of which `check` reads only those that it has to.
pub(super) fn with_symbols(input: &Input, facts: &Artifact) -> Box<Artifact> {
    if !matches!(facts.symbols, Some(Symbols::All(_)))
        && let Ok(Examined::Elf(facts)) = examine(&input.path, Depth::Symbols)
    {
        return facts;
    }
    Box::new(facts.clone())
}

fn readable(gathered: &Gathered) -> impl Iterator<Item = (usize, &Input, &Artifact)> {
    gathered.inputs.iter().enumerate().filter_map(|(at, input)| match &input.reading {
        Reading::Facts(facts) => Some((at, input, &**facts)),
        _ => None,
    })
}

fn ask(asked: &Asked, policy: &Policy, gathered: &Gathered, report: &mut Report) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut without: Vec<String> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for (at, input, facts) in readable(gathered) {
        let facts = with_symbols(input, facts);
        let what = asked.of(&facts);
        if what.is_empty() {
            without.push(input.name.shown.clone());
            known.extend(asked::words(&facts));
            continue;
        }
        let limit = match asked {
            Asked::Newer { than, or_equal: false, .. } => Some(than.clone()),
            _ => ceiling(policy, input),
        };
        questions.push(Question { input: at, facts, asked: what, limit });
    }
    for (_, input) in unreadable(gathered) {
        report.failures.push(Failure::new(format!("{} cannot be read", text::path(&input.path))));
    }
    let word = report.asked.clone().unwrap_or_default();
    if questions.is_empty() && report.failures.is_empty() {
        let shown = text::escape(&word);
        let failure = match without.as_slice() {
            [] => {
                Failure::new("there was nothing to explain").note("no executable or shared object was read")
            }
            names => Failure::new(format!("nothing needs `{shown}`"))
                .note(format!("searched: {}", text::some_of(names, 6))),
        };
        report.failures.push(match asked.near(&word, &known) {
            Some(near) if !without.is_empty() => failure.help(near),
            _ => failure,
        });
    } else {
        report.without = without;
    }
    questions
}

fn unreadable(gathered: &Gathered) -> impl Iterator<Item = (usize, &Input)> {
    let is_it = |input: &&Input| matches!(input.reading, Reading::Unreadable(_) | Reading::Ambiguous { .. });
    gathered.inputs.iter().filter(is_it).enumerate()
}

/// The ceiling that the policy sets for glibc.
fn ceiling(policy: &Policy, input: &Input) -> Option<Release> {
    let triple = input.triples.first().map(String::as_str);
    let rules = policy.rules(triple, &input.name).ok()?;
    rules.versions.get("GLIBC").map(|ceiling| ceiling.value.clone())
}

/// What the policy forbids: of each file the needs inside its findings.
fn ask_policy(
    policy: Policy,
    gathered: &Gathered,
    manifest: &Option<Manifest>,
    options: &Options,
    report: &mut Report,
) -> Result<Vec<Question>, Stop> {
    let whole = manifest.is_some() && !options.request.cargo.selects();
    // What the baseline has is asked about too.
    let scope = Scope { whole, known: gathered.known.clone(), baseline: None };
    let today = jiff::Zoned::now().date();
    let judgement = match judge::judge(&policy, &gathered.inputs, &scope, today) {
        Ok(judgement) => judgement,
        Err(problems) => return Err(Stop::Policy(policy.source, problems)),
    };
    let mut questions = Vec::new();
    for (at, input, facts) in readable(gathered) {
        let is_own = |path: &Path| path == input.path;
        let findings = judgement.findings.iter();
        let items: Vec<_> = findings
            .filter(|finding| finding.place.as_ref().is_some_and(|place| is_own(&place.path)))
            .flat_map(|finding| finding.items.clone())
            .collect();
        let facts = with_symbols(input, facts);
        let mut what = asked::of_items(&facts, &items);
        asked::sort(&mut what);
        if !what.is_empty() {
            questions.push(Question { input: at, facts, asked: what, limit: ceiling(&policy, input) });
        }
    }
    for (_, input) in unreadable(gathered) {
        report.failures.push(Failure::new(format!("{} cannot be read", text::path(&input.path))));
    }
    report.policy = Some(report::model::PathText::new(&policy.source.path));
    Ok(questions)
}

/// What is read once for all files of a run.
struct Context<'a> {
    gathered: &'a Gathered,
    folder: PathBuf,
    /// By triple.
    libraries: BTreeMap<Option<String>, Vec<Library>>,
    packages: BTreeMap<Option<String>, Result<Packages, Failure>>,
}

impl<'a> Context<'a> {
    fn new(options: &Options, manifest: Option<&Manifest>, folder: &Path, gathered: &'a Gathered) -> Self {
        let mut context = Self {
            gathered,
            folder: folder.to_owned(),
            libraries: BTreeMap::new(),
            packages: BTreeMap::new(),
        };
        if manifest.is_none() {
            return context;
        }
        let mut triples: Vec<Option<String>> =
            readable(gathered).map(|(_, input, _)| input.triples.first().cloned()).collect();
        triples.sort();
        triples.dedup();
        let cargo = &options.request.cargo;
        for triple in triples {
            // Without a build nobody says which rlibs there are.
            let libraries = || match options.request.no_build {
                true => Vec::new(),
                false => {
                    let std = workspace::std_rlibs(cargo, folder, triple.as_deref());
                    owners::libraries(&gathered.outputs, triple.as_deref(), std.as_deref())
                }
            };
            let (libraries, metadata) =
                rayon::join(libraries, || workspace::metadata(cargo, triple.as_slice()));
            context.packages.insert(triple.clone(), metadata.map(|metadata| Packages::new(&metadata)));
            context.libraries.insert(triple, libraries);
        }
        context
    }

    fn explain(
        &self,
        options: &Options,
        question: &Question,
        report: &mut Report,
        streams: &Streams,
    ) -> Explained {
        let input = &self.gathered.inputs[question.input];
        let triple = input.triples.first().cloned();
        let packages = self.packages.get(&triple);
        if let Some(Err(failure)) = packages
            && !report.failures.iter().any(|known| known.message == failure.message)
        {
            report.failures.push(failure.clone());
        }
        let packages = packages.and_then(|packages| packages.as_ref().ok());
        let mut program = Program {
            path: &input.path,
            facts: &question.facts,
            triple: triple.as_deref(),
            package: self.gathered.packages.get(&input.path).map(String::as_str),
            crate_name: input.from_cargo.then(|| crate_name(input)),
            libraries: self.libraries.get(&triple).map_or(&[], Vec::as_slice),
            packages,
            outputs: &self.gathered.outputs,
        };
        let mut found = self.search(&program, &question.asked, options.lines);
        let relinked = (found.nameless && options.relink && input.from_cargo).then(|| {
            let _ = report::status("Relinking", &input.name.shown, streams);
            let id = program.package.unwrap_or_default();
            workspace::relink(&options.request.cargo, &self.folder, id, input)
        });
        match &relinked {
            Some(Ok(file)) => {
                program.path = file.path();
                found = self.search(&program, &question.asked, options.lines);
                found.notes.push(
                    "the functions are those of the program linked once more, with its symbols".to_owned(),
                );
            }
            Some(Err(failure)) => report.failures.push(failure.clone()),
            None => {}
        }
        // Before 2.34 glibc was several libraries, and libm still is one.
        let mut files: Vec<&str> = vec!["libc.so.6"];
        files.extend(found.answers.iter().filter_map(|answer| match &answer.what {
            What::Symbol { file: Some(file), .. } => Some(file.as_str()),
            _ => None,
        }));
        files.sort_unstable();
        files.dedup();
        let mut releases = Releases::default();
        for file in files {
            if let Some(library) = system::find(file, &question.facts, program.triple, &[]) {
                releases.add(&library, "GLIBC");
            }
        }
        let case = Case {
            facts: &question.facts,
            triple: program.triple,
            from_cargo: input.from_cargo,
            limit: question.limit.as_ref(),
            packages,
            package: program.package,
            releases: &releases,
        };
        Explained::new(
            input,
            least::steps(&question.facts, &found.answers),
            advice::advice(&case, &found.answers),
            found,
        )
    }

    fn search(&self, program: &Program<'_>, asked: &[What], lines: bool) -> explain::Explained {
        let imports = explain::imports(program, asked);
        let names: Vec<String> = imports.all.iter().cloned().collect();
        let mut own: Vec<&str> = program.crate_name.iter().map(String::as_str).collect();
        own.extend(program.packages.iter().flat_map(|packages| packages.own_crates()));
        let detail = if lines { Detail::Lines } else { Detail::Inlined };
        let uses = Uses::search(program.path, &names, &own, detail);
        explain::explain(program, asked, &imports, &uses)
    }
}

/// The crate of a cargo target.
pub(super) fn crate_name(input: &Input) -> String {
    let name = input.name.shown.rsplit(':').next().unwrap_or(&input.name.shown);
    name.replace('-', "_")
}
