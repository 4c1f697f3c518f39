//! From what was recorded of programs to what lints judge.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{Settled, Told, Trials};
use crate::artifact::{Depth, Examined, Role, examine};
use crate::emulate::outcome::{self, Counts, Outcome};
use crate::emulate::plan::{End, Plan, Way};
use crate::emulate::runner::Record;
use crate::emulate::sandbox::NOT_STARTED;
use crate::emulate::{Surroundings, Trial, crosscheck, fault};
use crate::judge::Input;
use crate::lints::Reading;
use crate::policy::Name;
use crate::report::Failure;
use crate::report::model::Run;
use crate::text::{self, count};
use crate::workspace::Tested;

/// Lines of what a program wrote last that are shown.
const SAID: usize = 8;

pub fn not_run(program: &Path, why: &str) -> Failure {
    Failure::new(format!("{} was not run", text::path(program))).note(why.to_owned())
}

pub fn is_program(input: &Input) -> bool {
    match &input.reading {
        Reading::Facts(facts) => input.role.unwrap_or(facts.role) == Role::Executable,
        _ => false,
    }
}

/// What became of the project's tests.
pub fn of_tests(
    trials: &mut Trials,
    settled: &HashMap<String, Settled>,
    tested: &Tested,
    mut told: Vec<Told>,
) {
    told.sort_by(|a, b| (&a.triple, &a.program).cmp(&(&b.triple, &b.program)));
    let documentation: BTreeMap<String, Vec<String>> = of_documentation(tested, settled);
    let mut in_programs: Vec<String> = Vec::new();
    for one in told {
        let Some(settled) = settled.get(&one.triple) else { continue };
        let known = tested.programs.iter().find(|program| program.path == one.program);
        let record = match one.record {
            Ok(record) => record,
            Err(why) => {
                trials.failures.push(not_run(&one.program, &why));
                continue;
            }
        };
        let plan = settled.session.plan(&one.program, one.args, one.folder, true);
        let plan = Plan { env: one.env, ..plan };
        let name = known.map_or_else(
            || Name { shown: "doc-test".to_owned(), all: vec!["doc-test".to_owned()] },
            |known| known.name.clone(),
        );
        // A test of documentation may be meant to fail: rustdoc knows.
        let by_rustdoc = known.is_none();
        if by_rustdoc && !matters_of_documentation(&record, &plan) {
            continue;
        }
        let trial = trial(settled, &plan, &name, &one.program, record, true);
        if let Outcome::TestsFailed { tests } = &trial.outcome {
            in_programs.extend(tests.iter().cloned());
        }
        trials.inputs.push(input(&trial));
        trials.trials.push(trial);
    }
    trials.documentation = outcome::counts(&tested.said.join("\n")).and_then(|mut all| {
        for own in trials.trials.iter().filter_map(|trial| trial.counts) {
            all.passed = all.passed.saturating_sub(own.passed);
            all.failed = all.failed.saturating_sub(own.failed);
            all.ignored = all.ignored.saturating_sub(own.ignored);
        }
        (all != Counts::default()).then_some(all)
    });
    for (triple, tests) in documentation {
        if let Some(settled) = settled.get(&triple) {
            trials.trials.push(failed_documentation(settled, &triple, tests));
        }
    }
    let explained = trials.trials.iter().any(|trial| trial.outcome != Outcome::Passed);
    if !tested.status.success() && !explained && trials.failures.is_empty() {
        let failure = Failure::new(format!("cargo's tests ended with {}", tested.status));
        trials.failures.push(failure.note("no program that was run says why"));
    }
    if trials.trials.is_empty() && trials.failures.is_empty() && tested.status.success() {
        let failure = Failure::new("no test was run");
        trials.failures.push(
            failure
                .help("has the project tests? A program of it is started by\ncargo compat test --bin NAME"),
        );
    }
}

fn input(trial: &Trial) -> Input {
    let reading = match examine(&trial.path, Depth::Needs) {
        Ok(Examined::Elf(facts)) => Reading::Facts(facts),
        Ok(Examined::Other(format)) => Reading::Other(format),
        Err(error) => Reading::Unreadable(error),
    };
    Input {
        name: trial.name.clone(),
        path: trial.path.clone(),
        reading,
        role: Some(Role::Executable),
        from_cargo: true,
        stale: None,
        compiler_flags: Vec::new(),
        triples: vec![trial.triple.clone()],
        verdict: None,
        object: std::sync::OnceLock::new(),
        platforms: Vec::new(),
        undefs: Vec::new(),
    }
}

/// Tests of documentation that failed, by what rustdoc writes: `src/lib.rs - f
/// (line 3)`. It does not say for which target.
fn of_documentation(tested: &Tested, settled: &HashMap<String, Settled>) -> BTreeMap<String, Vec<String>> {
    let failed = outcome::failed_tests(&tested.said.join("\n"));
    let mut tests: Vec<String> =
        failed.into_iter().filter(|name| name.contains(" - ") && name.contains(" (line ")).collect();
    tests.dedup();
    let triple = settled.keys().min().filter(|_| !tests.is_empty());
    triple.map(|triple| (triple.clone(), tests)).into_iter().collect()
}

fn failed_documentation(settled: &Settled, triple: &str, tests: Vec<String>) -> Trial {
    Trial {
        name: Name { shown: "doc-tests".to_owned(), all: vec!["doc-tests".to_owned()] },
        path: "src".into(),
        triple: triple.to_owned(),
        is_test: true,
        counts: None,
        outcome: Outcome::TestsFailed { tests },
        surroundings: surroundings(settled, settled.session.way),
        seconds: 0.0,
        said: Vec::new(),
        no_children: None,
        written: None,
        fault: None,
        mismatches: Vec::new(),
        also_missing: Vec::new(),
        repeat: "cargo compat test --doc".to_owned(),
    }
}

/// What no meaning of a test explains.
fn matters_of_documentation(record: &Record, plan: &Plan) -> bool {
    let outcome = outcome::judge(&record.end, &record.stdout.text(), &record.stderr.text(), true);
    let _ = plan;
    outcome.is_of_loader()
        || matches!(
            outcome,
            Outcome::IllegalInstruction | Outcome::TimedOut { .. } | Outcome::NotStarted { .. }
        )
}

fn surroundings(settled: &Settled, way: Way) -> Surroundings {
    let session = &settled.session;
    let configured = way == Way::Configured;
    Surroundings {
        root: match configured {
            true => "the configured runner's".to_owned(),
            false => settled.root.clone(),
        },
        root_span: settled.root_span.clone().filter(|_| !configured),
        folder: session.folder.clone(),
        is_sysroot: session.is_sysroot && !configured,
        is_configured: configured,
        cpu: settled.cpu.map(|cpu| cpu.to_string()),
        cpu_span: settled.cpu_span.clone(),
        cpu_without: session.without.len(),
        emulator: session.shown_emulator(),
        way: way.to_string(),
    }
}

/// One program that was run.
pub fn trial(
    settled: &Settled,
    plan: &Plan,
    name: &Name,
    path: &Path,
    record: Record,
    is_test: bool,
) -> Trial {
    let (stdout, stderr) = (record.stdout.text(), record.stderr.text());
    let children_fail = record.no_children.as_ref().is_some_and(|why| why.starts_with(NOT_STARTED));
    let mut outcome = outcome::judge(&record.end, &stdout, &stderr, is_test);
    if children_fail
        && matches!(outcome, Outcome::TestsFailed { .. } | Outcome::Failed { .. })
        && let Some(program) = fault::child(plan, record.way)
    {
        outcome = Outcome::ChildNotStarted { program };
    }
    let facts = match examine(path, Depth::Bindings) {
        Ok(Examined::Elf(facts)) => Some(facts),
        _ => None,
    };
    // The kernel's word for it where no emulator stands between (fact 31).
    if let (End::NotStarted(2), Some(interpreter)) =
        (&record.end, facts.as_ref().and_then(|facts| facts.interpreter.clone()))
    {
        outcome = Outcome::LoaderMissing { interpreter };
    }
    let compared = match (&facts, record.way) {
        (Some(facts), way) if way != Way::Configured => {
            crosscheck::compare(facts, plan, way, &outcome, is_test)
        }
        _ => crosscheck::Compared::default(),
    };
    let fault = match outcome {
        Outcome::IllegalInstruction => fault::find(plan, record.way),
        _ => None,
    };
    let words = stdout.lines().chain(stderr.lines()).filter(|line| !line.trim().is_empty());
    let words: Vec<&str> = words.collect();
    Trial {
        name: name.clone(),
        path: path.to_owned(),
        triple: settled.session.triple.clone(),
        is_test,
        counts: outcome::counts(&stdout).filter(|_| is_test),
        surroundings: surroundings(settled, record.way),
        seconds: record.seconds,
        said: words[words.len().saturating_sub(SAID)..].iter().map(|line| (*line).to_owned()).collect(),
        no_children: record.no_children,
        written: record.written,
        fault,
        mismatches: compared.mismatches,
        also_missing: compared.also_missing,
        repeat: repeat(settled, plan, path, is_test),
        outcome,
    }
}

/// A command that runs the one program again, in the same root.
fn repeat(settled: &Settled, plan: &Plan, path: &Path, is_test: bool) -> String {
    let path = text::path(path);
    let mut words =
        vec!["cargo", "compat", "test", "--target", &settled.session.triple, "--root", &settled.root];
    let cpu = settled.cpu.map(|cpu| cpu.to_string());
    if let Some(cpu) = &cpu {
        words.extend(["--cpu", cpu]);
    }
    words.extend(["--artifact", &path]);
    let mut line =
        words.iter().map(|word| shell_words::quote(word).into_owned()).collect::<Vec<_>>().join(" ");
    let args: Vec<_> =
        plan.args.iter().map(|arg| shell_words::quote(&arg.to_string_lossy()).into_owned()).collect();
    if !args.is_empty() && !is_test {
        line += &format!(" -- {}", args.join(" "));
    }
    line
}

/// A line for each target, and a record for each program.
pub fn summary(trials: &[Trial], documentation: Option<Counts>) -> (Vec<String>, Vec<Run>) {
    let mut lines = Vec::new();
    let mut triples: Vec<&str> = trials.iter().map(|trial| trial.triple.as_str()).collect();
    triples.sort_unstable();
    triples.dedup();
    for triple in triples {
        let own: Vec<&Trial> = trials.iter().filter(|trial| trial.triple == triple).collect();
        let mut counts: Option<Counts> = None;
        for one in own.iter().filter_map(|trial| trial.counts) {
            counts.get_or_insert_default().add(one);
        }
        let passed = own.iter().filter(|trial| trial.outcome == Outcome::Passed).count();
        let around = &own[0].surroundings;
        let mut parts = vec![format!("{passed} of {} passed", count(own.len(), "program"))];
        if let Some(counts) = counts {
            let ignored =
                if counts.ignored > 0 { format!(", {} ignored", counts.ignored) } else { String::new() };
            let tests = count(usize::try_from(counts.passed + counts.failed).unwrap_or(usize::MAX), "test");
            parts.push(format!("{tests}: {} passed, {} failed{ignored}", counts.passed, counts.failed));
        }
        let emulator = around.emulator.as_deref().unwrap_or("this machine");
        let cpu = around.cpu.as_ref().map(|cpu| format!(" as {cpu}")).unwrap_or_default();
        let place = match around.is_configured {
            true => around.way.clone(),
            false => format!("root {}, {}, {emulator}{cpu}", around.root, around.way),
        };
        lines.push(format!("{triple} ({place}): {}", parts.join("; ")));
        let whys = own.iter().find_map(|trial| trial.no_children.as_ref());
        for why in whys.into_iter().chain(own.iter().find_map(|trial| trial.written.as_ref())) {
            lines.push(format!("{triple}: {why}"));
        }
    }
    if let Some(counts) = documentation {
        let tests = count(usize::try_from(counts.passed + counts.failed).unwrap_or(usize::MAX), "doc-test");
        let ignored =
            if counts.ignored > 0 { format!(", {} ignored", counts.ignored) } else { String::new() };
        lines.push(format!("{tests}: {} passed, {} failed{ignored}", counts.passed, counts.failed));
    }
    let runs = trials.iter().map(|trial| Run {
        artifact: trial.name.shown.clone(),
        path: crate::report::model::PathText::new(&trial.path),
        triple: trial.triple.clone(),
        root: trial.surroundings.root.clone(),
        way: trial.surroundings.way.clone(),
        emulator: trial.surroundings.emulator.clone(),
        cpu: trial.surroundings.cpu.clone(),
        outcome: trial.outcome.clone(),
        counts: trial.counts,
        seconds: trial.seconds,
    });
    (lines, runs.collect())
}
