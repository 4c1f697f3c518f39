//! The process around a program that no namespace keeps: `qemu -L`, and the
//! runner of cargo's configuration. Whatever the program starts is ended with
//! it, and what `qemu -L` runs writes to no file of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::Duration;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, path_beneath_rules,
};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::{Pid, setsid};

use super::channel::Line;
use super::plan::{End, Message, Plan, Way};
use super::sandbox::{NOT_STARTED, invocation};

/// To these anything may write, wherever it runs.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/shm", "/dev/pts"];

/// Called by `sandbox`, as the process around the program.
pub fn enter(way: Way, door: &str) -> u8 {
    // Ctrl-C is not for us: when the runner is gone we end the rest.
    let _ = setsid();
    let _ = prctl::set_child_subreaper(true);
    let Ok(mut line) = Line::to(door) else { return 1 };
    let Ok(Some(plan)) = line.receive::<Plan>() else { return 1 };
    let message = match run(way, plan, &mut line) {
        Ok(end) => Message::Ended(end),
        Err(error) => Message::Setup(error),
    };
    end_all();
    u8::from(line.send(&message).is_err())
}

fn run(way: Way, mut plan: Plan, line: &mut Line) -> Result<End, String> {
    let children = match plan.emulator.is_some() {
        true => Err(format!(
            "{NOT_STARTED}: only namespaces can teach the kernel to start programs of another machine"
        )),
        false => Ok(()),
    };
    // In the place of a `/tmp` of its own; what is visible is writable, but for the program itself.
    let temporary = tempfile::Builder::new().prefix("cargo-compat-").tempdir();
    let mut writable: Vec<PathBuf> =
        plan.visible.iter().filter(|path| **path != plan.program).cloned().collect();
    let mut rules = Ok(None);
    if way == Way::Prefix {
        if let Ok(folder) = &temporary {
            writable.push(folder.path().to_owned());
            plan.env.retain(|(name, _)| name != "TMPDIR");
            plan.env.push(("TMPDIR".into(), folder.path().into()));
        }
        rules = keep_from_writing(&writable).map(Some);
    }
    let written = rules.as_ref().err().map(|error| {
        format!("what a program writes is not kept in, because the kernel's Landlock cannot do it: {error}")
    });
    let _ = line.send(&Message::Started { children, written });
    let mut child = match start(&plan, rules.ok().flatten())? {
        Ok(child) => child,
        Err(error) => return Ok(End::NotStarted(error.raw_os_error().unwrap_or(0))),
    };
    drop(child.stdin.take());
    let folder = temporary.as_ref().ok().map(|folder| folder.path().to_owned());
    if let Ok(mut late) = line.other_hand() {
        let (seconds, folder) = (plan.seconds, folder.clone());
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(seconds));
            let _ = late.send(&Message::Ended(End::TimedOut(seconds)));
            end_early(folder.as_deref());
        });
    }
    if let Ok(mut other) = line.other_hand() {
        thread::spawn(move || {
            // The runner says nothing more: when the line ends, it is gone.
            let _ = other.receive::<()>();
            end_early(folder.as_deref());
        });
    }
    let own = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == own => return Ok(End::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == own => return Ok(End::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(format!("cannot wait for the program: {error}")),
        }
    }
}

/// From another thread than the one that waits for the program.
fn end_early(temporary: Option<&Path>) -> ! {
    end_all();
    if let Some(folder) = temporary {
        let _ = fs::remove_dir_all(folder);
    }
    std::process::exit(1);
}

/// Rules of the kernel's (Landlock, Linux 6.2 and later) by which a thread, and
/// what it starts, creates, changes and removes files in these places alone.
fn keep_from_writing(writable: &[PathBuf]) -> Result<RulesetCreated, RulesetError> {
    let changes = AccessFs::from_write(ABI::V3);
    let places = writable.iter().map(PathBuf::as_path).chain(DEVICES.map(Path::new));
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(changes)?
        .create()?
        .add_rules(path_beneath_rules(places, changes))
}

/// Starts the program from a thread of its own: we are not bound by the rules.
/// `Err` outside: they could not be made to hold.
fn start(plan: &Plan, rules: Option<RulesetCreated>) -> Result<io::Result<Child>, String> {
    let path = plan.emulator.as_ref().map(|emulator| emulator.path.clone());
    let mut invocation = invocation(plan, path);
    if let (Some(root), Some(_)) = (&plan.root, &plan.emulator) {
        invocation.args.splice(0..0, ["-L".into(), root.clone().into_os_string()]);
    }
    let start = || {
        if let Some(rules) = rules {
            rules.restrict_self().map_err(|error| format!("Landlock does not hold: {error}"))?;
        }
        Ok(invocation.start_as(None))
    };
    thread::scope(|scope| scope.spawn(start).join())
        .map_err(|_| "the thread of the program ended".to_owned())?
}

/// Ends all that this process started, and what those did. They are stopped
/// first, so that none starts another while they are looked for.
fn end_all() {
    let mut known = BTreeSet::new();
    loop {
        let found: Vec<i32> =
            below(std::process::id()).into_iter().filter(|pid| known.insert(*pid)).collect();
        if found.is_empty() {
            break;
        }
        for pid in found {
            let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
        }
    }
    for pid in known {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_millis(1)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
}

/// Processes below one, by their parents (proc(5), "/proc/pid/stat": number,
/// name in parentheses, state, parent).
fn below(process: u32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let text = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut words = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        // One that has ended only waits to be asked how.
        if let (Some(state), Some(Ok(parent))) = (words.next(), words.next().map(str::parse))
            && state != "Z"
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut ask: Vec<i32> = i32::try_from(process).into_iter().collect();
    while let Some(parent) = ask.pop() {
        let own = children.remove(&parent).unwrap_or_default();
        ask.extend(&own);
        found.extend(own);
    }
    found
}
