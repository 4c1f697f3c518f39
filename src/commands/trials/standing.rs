//! This program as cargo's runner: called with the program to run, in the place
//! of it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use nix::sys::prctl;
use nix::sys::signal::{Signal, raise};

use super::{Ask, FOLLOW, RUN, Told};
use crate::artifact::{Depth, Examined, examine};
use crate::emulate::plan::End;
use crate::emulate::root::Wanted;
use crate::emulate::runner::{self, Output};
use crate::emulate::session::{self, Refused, Session};
use crate::emulate::{Line, sandbox};
use crate::exit;
use crate::policy::{self, Name};
use crate::process::Invocation;
use crate::report::{self, Failure, Streams};
use crate::target;
use crate::text;
use crate::workspace;

/// Takes the call where it is one to run something.
pub fn entry(args: &[OsString]) -> Option<u8> {
    if let Some(code) = sandbox::entry(args) {
        return Some(code);
    }
    match args.get(1..)? {
        [run, door, triple, program, args @ ..] if run == RUN => {
            Some(for_parent(door.to_str()?, triple.to_str()?, program.as_ref(), args))
        }
        [follow, program, args @ ..] if follow == FOLLOW => {
            let _ = prctl::set_pdeathsig(Signal::SIGTERM);
            let error = Invocation::new(program).args(args).become_it();
            Some(fail(&Failure::new("cargo could not be started").note(error.to_string())))
        }
        // `runner = ["cargo-compat", "runner"]`, with `--root ROOT` before the
        // program.
        [word, flag, root, program, args @ ..] if word == "runner" && flag == "--root" => {
            Some(alone(Some(root), program.as_ref(), args))
        }
        [word, program, args @ ..] if word == "runner" && !program.as_encoded_bytes().starts_with(b"-") => {
            Some(alone(None, program.as_ref(), args))
        }
        // `runner = "cargo-compat"`: cargo gives the program's path, which no word of ours looks like;
        // `cargo run` gives it from the working folder on.
        [program, args @ ..] if Path::new(program).components().count() > 1 => {
            Some(alone(None, program.as_ref(), args))
        }
        _ => None,
    }
}

fn fail(failure: &Failure) -> u8 {
    let _ = report::failure(failure, &Streams::new(None));
    exit::NOT_JUDGED
}

fn not_run(program: &Path, why: &str) -> Failure {
    Failure::new(format!("{} was not run", text::path(program))).note(why.to_owned())
}

/// Below a `cargo compat test`, which judges.
fn for_parent(door: &str, triple: &str, program: &Path, args: &[OsString]) -> u8 {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let line = Line::to(door).and_then(|mut line| {
        line.send(&Ask { triple: triple.to_owned() })?;
        let session = line.receive::<Option<Session>>()?.flatten();
        Ok((line, session))
    });
    let (mut line, session) = match line {
        Ok((line, Some(session))) => (line, session),
        Ok((_, None)) => return fail(&not_run(program, "this target was not to be run")),
        Err(error) => return fail(&not_run(program, &format!("`cargo compat test` is gone: {error}"))),
    };
    let program = std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    let folder = std::env::current_dir().unwrap_or_default();
    let plan = session.plan(&program, args.to_vec(), folder.clone(), true);
    let record = runner::run(&plan, session.way, Output::Both);
    let end = record.as_ref().map(|record| record.end.clone()).map_err(drop);
    let failure = record.as_ref().err().map(|why| not_run(&program, why));
    let told =
        Told { triple: triple.to_owned(), program, args: args.to_vec(), folder, env: plan.env, record };
    if line.send(&told).is_err() {
        return exit::NOT_JUDGED;
    }
    match (end, failure) {
        (Ok(end), _) => code(&end),
        (Err(()), Some(failure)) => fail(&failure),
        (Err(()), None) => exit::NOT_JUDGED,
    }
}

/// The exit code that a shell would give.
fn code(end: &End) -> u8 {
    match end {
        End::Exited(code) => u8::try_from(*code & 0xff).unwrap_or(exit::NOT_JUDGED),
        End::Signal(signal) => 128 + u8::try_from(*signal & 0x7f).unwrap_or(0),
        // As of timeout(1).
        End::TimedOut(_) => 124,
        End::NotStarted(_) => 126,
    }
}

/// As the runner of cargo's configuration, with nobody above: the program's
/// streams and its end become ours.
fn alone(root: Option<&OsStr>, program: &Path, args: &[OsString]) -> u8 {
    let program = std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    // Each program is a call of its own, under nextest each test: trying out first would double them.
    for untried in [true, false] {
        let session = match settle(root, &program, untried) {
            Ok(session) => session,
            Err(failure) => return fail(&failure),
        };
        let folder = std::env::current_dir().unwrap_or_default();
        let plan = session.plan(&program, args.to_vec(), folder, true);
        match runner::run(&plan, session.way, Output::Own) {
            Ok(record) => return end_as(&record.end),
            // Nothing was run, if that way cannot be gone at all.
            Err(_) if untried && runner::probe(session.way, None).is_err() => {}
            Err(why) => return fail(&not_run(&program, &why)),
        }
    }
    exit::NOT_JUDGED
}

/// Whoever waits for us sees what it would see of the program.
fn end_as(end: &End) -> u8 {
    if let End::Signal(signal) = end
        && let Ok(signal) = Signal::try_from(*signal)
    {
        let _ = raise(signal);
    }
    code(end)
}

/// From the policy of the package that cargo runs for.
fn settle(root: Option<&OsStr>, program: &Path, untried: bool) -> Result<Session, Failure> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let manifest = workspace::locate(&folder, None).ok();
    let workspace = manifest.as_ref().map_or(&folder, |manifest| &manifest.root);
    let facts = match examine(program, Depth::Needs) {
        Ok(Examined::Elf(facts)) => facts,
        Ok(Examined::Other(format)) => return Err(not_run(program, &format!("it is a {format}"))),
        Err(error) => return Err(not_run(program, &error.to_string())),
    };
    let in_path = program.components().rev().filter_map(|part| part.as_os_str().to_str());
    let in_path =
        in_path.into_iter().find(|part| target::arch(part).is_some_and(|arch| arch.same_as(facts.arch)));
    let triple = in_path.map(str::to_owned).or_else(|| target::triples(&facts, &[], None).first().cloned());
    let triple = triple.ok_or_else(|| not_run(program, "its target triple is not known"))?;
    let source = match workspace::policy_below(workspace, false) {
        Ok(path) => policy::read(&path).map_err(|why| {
            Failure::new(format!("the policy {} cannot be read", text::path(&path))).note(why)
        })?,
        Err(_) => policy::Source { path: workspace.join(policy::FILE_NAME), text: String::new() },
    };
    let wrong = |problems: &[policy::Problem]| {
        let mut failure = Failure::new("the policy is wrong");
        failure.notes.extend(problems.iter().map(|problem| problem.message.clone()));
        failure.help("cargo compat check says where")
    };
    let policy = policy::parse(source).map_err(|(_, problems)| wrong(&problems))?;
    let nobody = Name { shown: String::new(), all: Vec::new() };
    let rules = policy.rules(Some(&triple), &nobody).map_err(|problems| wrong(&problems))?;
    let by_policy = policy.test_root(&triple).map_err(|problems| wrong(&problems))?;
    let wanted = match (root, by_policy) {
        (Some(root), _) => Wanted::parse(&root.to_string_lossy(), &folder),
        (None, Some(root)) => Wanted::parse(&root.value, workspace),
        (None, None) => Wanted::Sysroot,
    };
    // Above the triple's folder, or the profile's where there is none.
    let own_folder = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let mut visible = vec![workspace.clone()];
    visible.extend(own_folder.map(Path::to_owned));
    let request = session::Request {
        triple: &triple,
        arch: facts.arch,
        root: &wanted,
        cpu: rules.cpu.map(|cpu| cpu.value),
        way: None,
        untried,
        visible,
        seconds: u64::from(u32::MAX),
        compiler: None,
        configured: None,
    };
    Session::new(request).map_err(|refused| match refused {
        Refused::Failure(failure) => failure,
        Refused::Cpu { cpu, emulator, why } => {
            Failure::new(format!("{emulator} has no usable model for the CPU {cpu}")).note(why)
        }
    })
}
