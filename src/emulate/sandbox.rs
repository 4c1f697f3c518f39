//! The two processes around a program: the first makes namespaces, the second
//! is process 1 in them, puts the root together, starts the program and waits.
//! When process 1 ends the kernel ends all the others, and no mount outlives
//! the namespace.
//!
//! Both are this same program, called by itself; see [`entry`].

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, getegid, geteuid, getgid, getuid, setsid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::channel::Line;
use super::plan::{Emulator, End, Message, Plan, Way};
use super::{kept, mounts};
use crate::process::Invocation;

/// The first arguments by which this program calls itself.
pub const ENTER: &str = "__enter";
const INIT: &str = "__init";
const MAP: &str = "__map";

/// Processes that a program may have at a time; a fork bomb ends there.
const MOST_PROCESSES: u64 = 4096;

/// Why a child of another machine's program will fail.
pub const NOT_STARTED: &str = "what a program starts does not run";

/// This program, to call again.
pub const SELF: &str = "/proc/self/exe";

/// Takes the call where it is one of these.
pub fn entry(args: &[OsString]) -> Option<u8> {
    let words: Vec<&str> = args.iter().skip(1).map_while(|arg| arg.to_str()).collect();
    match words.as_slice() {
        [ENTER, way, door] => Some(match Way::parse(way)? {
            way @ (Way::Prefix | Way::Configured) => kept::enter(way, door),
            way => enter(way, door),
        }),
        [INIT, way, door] => Some(init(Way::parse(way)?, door)),
        [MAP, pid] => Some(map_for(pid)),
        _ => None,
    }
}

fn words(error: Errno) -> String {
    io::Error::from(error).to_string()
}

/// Ends with the process that called, however that ends.
fn end_with_parent() {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
}

/// The first process.
fn enter(way: Way, door: &str) -> u8 {
    end_with_parent();
    match make_namespaces(way).and_then(|way| start_init(way, door)) {
        Ok(code) => code,
        Err(error) => {
            if let Ok(mut line) = Line::to(door) {
                let _ = line.send(&Message::Setup(error));
            }
            1
        }
    }
}

/// Makes them, and says in which way.
fn make_namespaces(way: Way) -> Result<Way, String> {
    let inner = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if way == Way::Root {
        unshare(inner).map_err(|error| format!("cannot make namespaces: {}", words(error)))?;
        return Ok(way);
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let made = user_namespace(inner, Ids { from: user, to: 0, group_from: group, group_to: 0 });
    match made {
        Err(_) if way == Way::Sudo => make_namespaces(Way::Root),
        Err(error) => Err(error),
        Ok(()) => Ok(way),
    }
}

/// Which user outside is which user inside.
struct Ids {
    from: u32,
    to: u32,
    group_from: u32,
    group_to: u32,
}

/// A user namespace, and others that belong to it. As root every user stays
/// who it is; anybody else can only map themselves.
fn user_namespace(others: CloneFlags, ids: Ids) -> Result<(), String> {
    let refused = |error: Errno| match error {
        // user_namespaces(7)
        Errno::ENOSPC => {
            "cannot make a user namespace: the setting user.max_user_namespaces allows no more".to_owned()
        }
        other => format!("cannot make a user namespace: {}", words(other)),
    };
    if geteuid().is_root() {
        let mapper = Mapper::start()?;
        unshare(CloneFlags::CLONE_NEWUSER | others).map_err(refused)?;
        return mapper.finish();
    }
    unshare(CloneFlags::CLONE_NEWUSER | others).map_err(refused)?;
    map_itself(&ids)
}

fn map_itself(ids: &Ids) -> Result<(), String> {
    for (file, text) in [
        ("uid_map", format!("{} {} 1", ids.to, ids.from)),
        // user_namespaces(7): without it no group may be mapped.
        ("setgroups", "deny".to_owned()),
        ("gid_map", format!("{} {} 1", ids.group_to, ids.group_from)),
    ] {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    Ok(())
}

/// A process that stays outside and maps all users for the one inside, which
/// cannot do that itself (user_namespaces(7)).
struct Mapper(Child);

impl Mapper {
    fn start() -> Result<Self, String> {
        let own = std::process::id().to_string();
        let mut child =
            Invocation::new(SELF).args([MAP, &own]).start_piped().map_err(|error| error.to_string())?;
        // Soon its own libraries may be out of reach: it must be there whole.
        let mut ready = [0];
        match child.stdout.take().map(|mut stdout| stdout.read_exact(&mut ready)) {
            Some(Ok(())) => Ok(Self(child)),
            _ => Err("cannot start a process that maps users".to_owned()),
        }
    }

    /// Called inside, when there is somebody to map.
    fn finish(mut self) -> Result<(), String> {
        let asked = self.0.stdin.take().map(|mut stdin| stdin.write_all(b"now\n"));
        match (asked, self.0.wait()) {
            (Some(Ok(())), Ok(status)) if status.success() => Ok(()),
            _ => Err("cannot map the users of a user namespace".to_owned()),
        }
    }
}

fn map_for(pid: &str) -> u8 {
    end_with_parent();
    // The word that it is ready, to the process that waits; no message.
    if File::options().write(true).open("/proc/self/fd/1").and_then(|mut out| out.write_all(b"r")).is_err() {
        return 1;
    }
    let mut line = String::new();
    if !io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
        return 1;
    }
    // As they are here: in a container not all are there to be mapped.
    let mapped = ["uid_map", "gid_map"].iter().all(|file| {
        let own = fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let lines = own.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (first, count) = (words.next()?, words.nth(1)?);
            Some(format!("{first} {first} {count}\n"))
        });
        fs::write(format!("/proc/{pid}/{file}"), lines.collect::<String>()).is_ok()
    });
    u8::from(!mapped)
}

fn start_init(way: Way, door: &str) -> Result<u8, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("cannot start the first process of the root: {error}");
    let mut child =
        Invocation::new(SELF).args([INIT, way.name(), door]).start().map_err(|error| failed(&error))?;
    let status = child.wait().map_err(|error| failed(&error))?;
    Ok(u8::from(!status.success()))
}

/// Process 1 of the root.
fn init(way: Way, door: &str) -> u8 {
    end_with_parent();
    // Without the terminal, into which a program could put words for the shell (ioctl_tty(2), TIOCSTI).
    let _ = setsid();
    let Ok(mut line) = Line::to(door) else { return 1 };
    let Ok(Some(plan)) = line.receive::<Plan>() else { return 1 };
    match run(way, &plan, &mut line) {
        Ok(end) => u8::from(line.send(&Message::Ended(end)).is_err()),
        Err(error) => {
            let _ = line.send(&Message::Setup(error));
            1
        }
    }
}

fn run(way: Way, plan: &Plan, line: &mut Line) -> Result<End, String> {
    // Held open: in the root it may not be there.
    let emulator = match &plan.emulator {
        Some(emulator) => Some(mounts::open_read_only(&emulator.path)?),
        None => None,
    };
    // As root all users are mapped from outside, by a process that must be
    // there before the machine's files are gone.
    let mapper = match geteuid().is_root() && way != Way::Root && is_mapped_whole() {
        true => Some(Mapper::start()?),
        false => None,
    };
    let mut children = Ok(());
    mounts::enter(plan, |base| {
        limit_processes(base);
        children = match &plan.emulator {
            // The kernel would call the emulator to start the emulator.
            Some(emulator) if emulator.native => {
                Err("what a program starts runs on this machine's own CPU".to_owned())
            }
            Some(_) if way == Way::Root => Err(format!(
                "{NOT_STARTED}: without a user namespace the kernel's list of formats is the whole machine's"
            )),
            Some(emulator) => register(emulator, base),
            None => Ok(()),
        };
    })?;
    match way {
        Way::Root => drop_capabilities()?,
        _ => drop_privileges(plan, mapper)?,
    }
    let _ = prctl::set_no_new_privs();
    limit(way);
    let mut child = match start(plan, emulator.as_ref()) {
        Ok(child) => {
            let _ = line.send(&Message::Started { children, written: None });
            child
        }
        Err(error) => {
            let _ = line.send(&Message::Started { children, written: None });
            return Ok(End::NotStarted(error.raw_os_error().unwrap_or(0)));
        }
    };
    drop(child.stdin.take());
    if let Ok(mut late) = line.other_hand() {
        let seconds = plan.seconds;
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            let _ = late.send(&Message::Ended(End::TimedOut(seconds)));
            // With process 1 all end.
            std::process::exit(1);
        });
    }
    if let Ok(mut other) = line.other_hand() {
        // The runner says nothing more: when the line ends, it is gone.
        std::thread::spawn(move || {
            let _ = other.receive::<()>();
            std::process::exit(1);
        });
    }
    let own = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == own => return Ok(End::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == own => return Ok(End::Signal(signal as i32)),
            // What lost its parent comes to us.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(format!("cannot wait for the program: {}", words(error))),
        }
    }
}

/// Whether more than one user is mapped here.
fn is_mapped_whole() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum::<u64>() > 1
}

/// A second user namespace: the program is who it was outside, and has no say
/// over the mounts.
fn drop_privileges(plan: &Plan, mapper: Option<Mapper>) -> Result<(), String> {
    let refused = |error: Errno| format!("cannot make a second user namespace: {}", words(error));
    unshare(CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    match mapper {
        Some(mapper) => mapper.finish()?,
        None => {
            let (user, group) = plan.user.unwrap_or((0, 0));
            map_itself(&Ids { from: 0, to: user, group_from: 0, group_to: group })?;
        }
    }
    end_with_parent();
    Ok(())
}

/// Without a user namespace the program is root of the whole machine. It keeps
/// what root may do with the files that it sees; devices, mounts, modules and
/// other processes are not its business (capabilities(7)).
fn drop_capabilities() -> Result<(), String> {
    let kept = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FOWNER
        | CapabilitySet::FSETID
        | CapabilitySet::KILL
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::NET_BIND_SERVICE;
    let refused = |error: rustix::io::Errno| format!("cannot drop root's capabilities: {error}");
    let now = rustix::thread::capabilities(None).map_err(refused)?;
    for one in CapabilitySet::all().difference(kept).iter() {
        // One that this kernel does not know is not there to be dropped.
        if rustix::thread::capability_is_in_bounding_set(one).unwrap_or_default() {
            rustix::thread::remove_capability_from_bounding_set(one).map_err(refused)?;
        }
    }
    let sets = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(refused)
}

/// Children of the program are started by the kernel, which must know the
/// emulator (fact 47). `F`: it is opened now, so the root need not have it;
/// `P`: the program's own name is kept. The list is the namespace's own, and
/// lasts as long as it is mounted.
fn register(emulator: &Emulator, base: &Path) -> Result<(), String> {
    let place = &base.join("proc/sys/fs/binfmt_misc");
    mount(Some("binfmt_misc"), place, Some("binfmt_misc"), MsFlags::empty(), None::<&str>).map_err(
        |error| {
            format!("binfmt_misc cannot be mounted here: {} (Linux 6.7 and later allow it)", words(error))
        },
    )?;
    let path = emulator.path.display();
    let text = format!(":cargo-compat:M::{}:{path}:PF", emulator.magic);
    fs::write(place.join("register"), text)
        .map_err(|error| format!("{NOT_STARTED}: binfmt_misc does not take {path}: {error}"))
}

/// Of root no limit counts the processes. Since Linux 6.14 each process
/// namespace has a highest number of its own; before, the number is the whole
/// machine's and is left alone.
fn limit_processes(base: &Path) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse::<u32>().ok());
    if numbers.next().zip(numbers.next()) >= Some((6, 14)) {
        // Without it the program has the machine's own limit.
        let _ = fs::write(base.join("proc/sys/kernel/pid_max"), MOST_PROCESSES.to_string());
    }
}

fn limit(way: Way) {
    let mut limits = vec![(Resource::RLIMIT_CORE, 0)];
    if way != Way::Root {
        // Counted in our user namespace alone.
        limits.push((Resource::RLIMIT_NPROC, MOST_PROCESSES));
    }
    for (resource, most) in limits {
        let hard = getrlimit(resource).map_or(most, |(_, hard)| hard.min(most));
        let _ = setrlimit(resource, hard, hard);
    }
}

/// Starts the program: by the emulator, which needs no file in the root, or by
/// the kernel.
fn start(plan: &Plan, emulator: Option<&File>) -> io::Result<Child> {
    let invocation =
        invocation(plan, emulator.map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()).into()));
    // Root that works for somebody is that somebody again.
    let user = plan.user.filter(|(user, group)| getuid().is_root() && (*user, *group) != (0, 0));
    let user = user.filter(|_| getgid().as_raw() == 0);
    invocation.start_as(user)
}

/// The program's command line.
pub fn invocation(plan: &Plan, emulator: Option<PathBuf>) -> Invocation {
    let mut invocation = match (&plan.emulator, emulator) {
        (Some(own), Some(path)) => {
            let cpu = own.cpu.iter().flat_map(|cpu| ["-cpu", cpu.as_str()]);
            let log = own.log.iter().flat_map(|path| {
                ["-strace".into(), "-d".into(), "page".into(), "-D".into(), path.clone().into_os_string()]
            });
            let log: Vec<OsString> = log.collect();
            let name = [plan.program.as_os_str(), plan.program.as_os_str()];
            let mut invocation = Invocation::new(path).args(cpu).args(log).args(["-0"]).args(name);
            // By which it calls itself in what it says.
            invocation.name = own.path.file_name().map(ToOwned::to_owned);
            invocation
        }
        _ => Invocation::new(&plan.program),
    };
    invocation = invocation.args(&plan.args);
    invocation.env = plan.env.clone();
    invocation.clear_env = true;
    let folder = if plan.folder.is_dir() { &plan.folder } else { Path::new("/") };
    invocation.folder = Some(folder.to_owned());
    invocation
}
