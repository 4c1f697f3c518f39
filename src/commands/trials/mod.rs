//! The work of `cargo compat test` on Linux.

mod judging;
mod standing;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::check::{Stop, known_targets, open, take_defaults};
use super::gather;
use super::test::Options;
use crate::artifact::Cpu;
use crate::emulate::outcome::Counts;
use crate::emulate::root::{self, Wanted};
use crate::emulate::runner::{self, Output, Record};
use crate::emulate::session::{self, Refused, Session};
use crate::emulate::{Door, Line, sandbox};
use crate::finding::Finding;
use crate::judge;
use crate::loader;
use crate::policy::{self, At, FILE_NAME, Name, Policy};
use crate::report::model::PathText;
use crate::report::{self, BuildInfo, Failure, Outputs, Report, Streams};
use crate::target;
use crate::text;
use crate::workspace::{self, Manifest, Ready};

pub use standing::entry;

const RUN: &str = "__run";
const FOLLOW: &str = "__follow";

/// What a runner asks of the process that called cargo.
#[derive(Debug, Serialize, Deserialize)]
struct Ask {
    triple: String,
}

/// What a runner tells of the program it ran.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    triple: String,
    program: PathBuf,
    args: Vec<OsString>,
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
    /// `Err`: its surroundings could not be made.
    record: Result<Record, String>,
}

/// All that a run came to.
struct Outcome {
    policy: Policy,
    build: Option<BuildInfo>,
    judgement: judge::Judgement,
    inputs: Vec<judge::Input>,
    failures: Vec<Failure>,
    lines: Vec<String>,
    runs: Vec<report::model::Run>,
}

pub fn run(mut options: Options, streams: &Streams) -> std::io::Result<u8> {
    let folder = std::env::current_dir();
    let today = jiff::Zoned::now().date();
    let mut report =
        Report::new(folder.as_deref().unwrap_or(Path::new("")), today.to_string(), options.fail_on);
    report.command = "test".to_owned();
    let (files, lost) = open(&options.reports);
    let outcome = match &folder {
        _ if !lost.is_empty() => Err(Stop::Reports(lost)),
        Ok(folder) => test(&mut options, folder, today, &mut report, streams),
        Err(error) => {
            Err(Stop::NotJudged(Failure::new("the current folder is gone").note(error.to_string())))
        }
    };
    match outcome {
        Ok(outcome) => outcome.tell(&mut report),
        Err(stop) => stop.tell(&mut report),
    }
    report.root = report.policy.as_ref().and_then(|policy| {
        let root = workspace::work_tree(Path::new(&policy.path.path))?;
        Some(PathText::new(&root))
    });
    report::check(&report, Outputs { format: options.format, quiet: options.cargo.quiet, files }, streams)
}

impl Outcome {
    fn tell(self, report: &mut Report) {
        let (undecided, decided): (Vec<&Finding>, Vec<&Finding>) =
            self.judgement.findings.iter().partition(|finding| finding.undecided);
        report.set_happened(crate::exit::Happened {
            usage: false,
            broken: decided.iter().any(|finding| finding.level >= report.fail_on),
            not_judged: !undecided.is_empty() || !self.failures.is_empty(),
        });
        report.set_judgement(&self.policy, self.inputs, self.judgement, true);
        report.build = self.build;
        report.failures = self.failures;
        report.runs = self.runs;
        report.remarks = self.lines;
    }
}

fn test(
    options: &mut Options,
    folder: &Path,
    today: Date,
    report: &mut Report,
    streams: &Streams,
) -> Result<Outcome, Stop> {
    let manifest = match options.artifacts.is_empty() {
        true => {
            Some(workspace::locate(folder, options.cargo.manifest_path.as_deref()).map_err(Stop::NotJudged)?)
        }
        false => None,
    };
    let policy = read_policy(options, folder, manifest.as_ref())?;
    if !policy.source.text.is_empty() {
        report.set_policy(&policy.source, &[]);
    }
    if manifest.is_some() {
        take_defaults(&mut options.cargo, &policy.build, folder);
    }
    let policy = known_targets(policy, &options.cargo.targets)?;
    let cpu = match &options.cpu {
        Some(name) => Some(Cpu::parse(name).ok_or_else(|| {
            let known: Vec<_> = Cpu::names().collect();
            Stop::Usage(
                Failure::new(format!("unknown CPU `{name}`")).help(format!("known are {}", known.join(", "))),
            )
        })?),
        None => None,
    };
    let run = Run { options, policy: &policy, folder, cpu, streams, manifest: manifest.as_ref() };
    let trials = match &manifest {
        Some(manifest) if options.programs.is_empty() => run.tests(manifest)?,
        _ => run.programs()?,
    };
    let judgement = judge::judge_trials(&policy, &trials.inputs, &trials.trials, &trials.unusable, today);
    let (lines, runs) = judging::summary(&trials.trials, trials.documentation);
    Ok(Outcome {
        build: trials.build,
        judgement,
        inputs: trials.inputs,
        failures: trials.failures,
        lines,
        runs,
        policy,
    })
}

/// The policy; an empty one where there is none: what the tests say needs none.
fn read_policy(options: &Options, folder: &Path, manifest: Option<&Manifest>) -> Result<Policy, Stop> {
    let path = match (&options.policy, manifest) {
        (Some(path), _) => Some(folder.join(path)),
        (None, Some(manifest)) => workspace::policy_below(&manifest.root, false).ok(),
        (None, None) => workspace::policy_below(folder, true).ok(),
    };
    let source = match path {
        Some(path) => policy::read(&path).map_err(|why| {
            Stop::Usage(Failure::new(format!("the policy {} cannot be read", text::path(&path))).note(why))
        })?,
        None => policy::Source { path: folder.join(FILE_NAME), text: String::new() },
    };
    policy::parse(source).map_err(|(source, problems)| Stop::Policy(source, problems))
}

/// What was run, not judged yet.
#[derive(Default)]
struct Trials {
    trials: Vec<crate::emulate::Trial>,
    inputs: Vec<judge::Input>,
    unusable: Vec<judge::UnusableCpu>,
    failures: Vec<Failure>,
    build: Option<BuildInfo>,
    /// Of tests of documentation, which are no programs of their own.
    documentation: Option<Counts>,
}

struct Run<'a> {
    options: &'a Options,
    policy: &'a Policy,
    folder: &'a Path,
    cpu: Option<Cpu>,
    streams: &'a Streams,
    manifest: Option<&'a Manifest>,
}

/// Of the platforms that are promised, the one with the oldest C library of
/// which a root was made on this machine.
fn oldest<'p>(runs_on: &'p [At<String>], triple: &str) -> Option<&'p At<String>> {
    let arch = target::arch(triple)?;
    let interpreter = arch.glibc_interpreters()?.first()?;
    let with_root = runs_on.iter().filter_map(|platform| {
        let folder = root::made(&platform.value, arch).ok().filter(|folder| folder.is_dir())?;
        match loader::Provider::family(&loader::Root::of_system(folder, arch, interpreter)) {
            loader::Family::Glibc { release: Some(release) } => Some((release, platform)),
            _ => None,
        }
    });
    with_root.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, platform)| platform)
}

/// A session and what of the policy made it.
struct Settled {
    session: Session,
    root: String,
    root_span: session::Span,
    cpu: Option<Cpu>,
    cpu_span: session::Span,
}

enum Settling {
    Settled(Box<Settled>),
    Unusable(judge::UnusableCpu),
    Failed(Failure),
}

impl Run<'_> {
    fn wrong_policy(&self, problems: Vec<policy::Problem>) -> Stop {
        let source =
            policy::Source { path: self.policy.source.path.clone(), text: self.policy.source.text.clone() };
        Stop::Policy(source, problems)
    }

    /// What holds for a triple, and a program of it.
    fn settle(
        &self,
        triple: &str,
        name: &Name,
        visible: Vec<PathBuf>,
        ready: Option<&Ready>,
    ) -> Result<Settling, Stop> {
        let rules = self.policy.rules(Some(triple), name).map_err(|problems| self.wrong_policy(problems))?;
        let by_policy = self.policy.test_root(triple).map_err(|problems| self.wrong_policy(problems))?;
        let policy_folder = self.policy.source.path.parent().unwrap_or(self.folder);
        let (wanted, root, root_span) = match (&self.options.root, by_policy) {
            (Some(text), _) => (Wanted::parse(text, self.folder), text.clone(), None),
            (None, Some(At { value, span })) => (Wanted::parse(&value, policy_folder), value, Some(span)),
            (None, None) => match rules.runs_on.as_ref().and_then(|list| oldest(&list.value, triple)) {
                Some(At { value, span }) => {
                    (Wanted::Platform(value.clone()), value.clone(), Some(span.clone()))
                }
                None => (Wanted::Sysroot, "sysroot".to_owned(), None),
            },
        };
        let (cpu, cpu_span) = match (self.cpu, rules.cpu) {
            (Some(cpu), _) => (Some(cpu), None),
            (None, Some(At { value, span })) => (Some(value), Some(span)),
            (None, None) => (None, None),
        };
        let Some(arch) = target::arch(triple) else {
            return Ok(Settling::Failed(Failure::new(format!("nothing is known of the target `{triple}`"))));
        };
        if let Some(cpu) = cpu.filter(|cpu| !cpu.is_of(arch.machine)) {
            let failure = Failure::new(format!("`{cpu}` is no CPU of {arch}"));
            return Ok(Settling::Failed(failure.help("set `cpu` for a target: [target.TRIPLE]")));
        }
        let configured = ready.filter(|_| !self.options.own_runner).and_then(|ready| ready.runner(triple));
        let request = session::Request {
            triple,
            arch,
            root: &wanted,
            cpu,
            way: self.options.way,
            untried: false,
            visible,
            seconds: self.options.seconds,
            compiler: ready.and_then(|ready| ready.linker(triple)),
            configured: configured.and_then(|(path, args)| session::foreign_runner(&path, &args)),
        };
        Ok(match Session::new(request) {
            Ok(session) => Settling::Settled(Box::new(Settled { session, root, root_span, cpu, cpu_span })),
            Err(Refused::Failure(failure)) => Settling::Failed(failure),
            Err(Refused::Cpu { cpu, emulator, why }) => Settling::Unusable(judge::UnusableCpu {
                triple: triple.to_owned(),
                cpu: cpu.to_string(),
                span: cpu_span,
                emulator,
                why,
            }),
        })
    }

    /// The project's tests, by cargo.
    fn tests(&self, manifest: &Manifest) -> Result<Trials, Stop> {
        let ready = Ready::new(&self.options.cargo, manifest, self.folder).map_err(Stop::NotJudged)?;
        let target_dir = ready.target_dir.canonicalize().unwrap_or_else(|_| ready.target_dir.clone());
        let visible: Vec<PathBuf> = [manifest.root.clone(), ready.target_dir.clone(), target_dir]
            .into_iter()
            .map(|path| std::path::absolute(&path).unwrap_or(path))
            .collect();
        let mut trials = Trials::default();
        let mut settled: HashMap<String, Settled> = HashMap::new();
        let nobody = Name { shown: String::new(), all: Vec::new() };
        for triple in &ready.triples {
            match self.settle(triple, &nobody, visible.clone(), Some(&ready))? {
                Settling::Settled(one) => drop(settled.insert(triple.clone(), *one)),
                Settling::Unusable(one) => trials.unusable.push(one),
                Settling::Failed(failure) => trials.failures.push(failure),
            }
        }
        let mut cargo = self.options.cargo.clone();
        cargo
            .targets
            .retain(|target| settled.contains_key(&workspace::folder_of(target)) || target == "host-tuple");
        if settled.is_empty() {
            return Ok(trials);
        }
        if !self.options.args.is_empty() {
            cargo.rest = std::iter::once("--".into()).chain(self.options.args.iter().cloned()).collect();
        }
        let sessions = settled.iter().map(|(triple, one)| (triple.clone(), one.session.clone())).collect();
        let service = Service::start(sessions).map_err(|error| {
            Stop::NotJudged(Failure::new("runners cannot be listened to").note(error.to_string()))
        })?;
        // A path with a blank would be split by cargo; that of the process has none.
        let own = std::env::current_exe().ok().and_then(|path| path.to_str().map(str::to_owned));
        let own = own.filter(|path| !path.contains(char::is_whitespace));
        let own = own.unwrap_or_else(|| format!("/proc/{}/exe", std::process::id()));
        let runners: Vec<(String, String)> = settled
            .keys()
            .map(|triple| (triple.clone(), format!("{own} {RUN} {} {triple}", service.name)))
            .collect();
        let quiet = cargo.quiet;
        let tested = workspace::test(
            &cargo,
            &ready,
            &[sandbox::SELF, FOLLOW],
            &runners,
            &mut |line| {
                if !quiet {
                    // Progress that cannot be written must not end the run.
                    let _ = report::passed_on(line, self.streams);
                }
            },
            &mut |verb, message| self.say(verb, message),
        );
        let told = service.stop();
        let tested = tested.map_err(Stop::NotJudged)?;
        judging::of_tests(&mut trials, &settled, &tested, told);
        if quiet && !tested.status.success() {
            // Of failures all is shown, even so.
            for line in &tested.said {
                let _ = report::passed_on(line, self.streams);
            }
        }
        trials.build = Some(tested.info);
        Ok(trials)
    }

    fn say(&self, verb: &str, message: &str) {
        if self.options.cargo.verbose > 0 {
            let _ = report::status(verb, message, self.streams);
        }
    }

    /// Programs, started as they are.
    fn programs(&self) -> Result<Trials, Stop> {
        let mut cargo = self.options.cargo.clone();
        cargo.bin.clone_from(&self.options.programs);
        let ready = match self.manifest {
            Some(manifest) => Some(Ready::new(&cargo, manifest, self.folder).map_err(Stop::NotJudged)?),
            None => None,
        };
        let request = gather::Request {
            cargo,
            artifacts: self.options.artifacts.clone(),
            no_build: false,
            root: None,
            link_libs: Vec::new(),
        };
        let gathered = gather::gather(&request, self.policy, self.manifest, self.folder, self.streams)
            .map_err(Stop::NotJudged)?;
        let mut trials = Trials { failures: gathered.failures, build: gathered.build, ..Trials::default() };
        for mut input in gathered.inputs {
            let triple = input.triples.first().cloned();
            let Some(triple) = triple.filter(|_| judging::is_program(&input)) else {
                trials.inputs.push(input);
                continue;
            };
            let settled = match self.settle(&triple, &input.name, Vec::new(), ready.as_ref())? {
                Settling::Settled(settled) => settled,
                Settling::Unusable(one) => {
                    trials.unusable.push(one);
                    continue;
                }
                Settling::Failed(failure) => {
                    trials.failures.push(failure);
                    continue;
                }
            };
            let path = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
            let plan = settled.session.plan(&path, self.options.args.clone(), "/".into(), false);
            self.say("Starting", &format!("{} in {}", input.name.shown, settled.root));
            let output = if self.options.cargo.quiet { Output::Kept } else { Output::Err };
            match runner::run(&plan, settled.session.way, output) {
                Ok(record) => trials.trials.push(judging::trial(
                    &settled,
                    &plan,
                    &input.name,
                    &input.path,
                    record,
                    false,
                )),
                Err(why) => trials.failures.push(judging::not_run(&path, &why)),
            }
            // Of a file that leaves it open, the one that was taken.
            input.triples = vec![triple];
            trials.inputs.push(input);
        }
        if trials.trials.is_empty() && trials.failures.is_empty() && trials.unusable.is_empty() {
            trials.failures.push(Failure::new("there was no program to start"));
        }
        Ok(trials)
    }
}

/// Answers runners until cargo is done.
struct Service {
    name: String,
    told: Arc<Mutex<Vec<Told>>>,
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Service {
    fn start(sessions: HashMap<String, Session>) -> std::io::Result<Self> {
        let door = Door::open()?;
        let name = door.name().to_owned();
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let done: Arc<AtomicBool> = Arc::default();
        let (all, stop) = (Arc::clone(&told), Arc::clone(&done));
        let sessions = Arc::new(sessions);
        let thread = thread::spawn(move || {
            let mut hands = Vec::new();
            loop {
                match door.wait(Duration::from_millis(50)) {
                    Ok(Some(line)) => {
                        let (all, sessions) = (Arc::clone(&all), Arc::clone(&sessions));
                        hands.push(thread::spawn(move || attend(line, &sessions, &all)));
                    }
                    Ok(None) if !stop.load(Ordering::Acquire) => {}
                    _ => break,
                }
            }
            for hand in hands {
                let _ = hand.join();
            }
        });
        Ok(Self { name, told, done, thread })
    }

    fn stop(self) -> Vec<Told> {
        self.done.store(true, Ordering::Release);
        let _ = self.thread.join();
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut told)
    }
}

fn attend(mut line: Line, sessions: &HashMap<String, Session>, all: &Mutex<Vec<Told>>) {
    let Ok(Some(ask)) = line.receive::<Ask>() else { return };
    if line.send(&sessions.get(&ask.triple)).is_err() {
        return;
    }
    if let Ok(Some(told)) = line.receive::<Told>() {
        all.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(told);
    }
}
