//! What holds for every program of one target triple: its root, its emulator,
//! and how it is kept to them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use serde::{Deserialize, Serialize};

use super::plan::{Emulator, Plan, Way};
use super::root::{self, Wanted};
use super::{mounts, qemu, runner, sandbox};
use crate::artifact::{Arch, Cpu};
use crate::process::on_path;
use crate::report::Failure;

/// Settled once, and told to every runner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    pub triple: String,
    pub folder: Option<PathBuf>,
    pub is_sysroot: bool,
    pub emulator: Option<Emulator>,
    /// Features of the CPU that the emulator lacks.
    pub without: Vec<String>,
    pub way: Way,
    /// Of tests: workspace and target folder.
    pub visible: Vec<PathBuf>,
    pub seconds: u64,
    /// The runner of cargo's configuration, where it is honoured.
    pub configured: Option<Vec<OsString>>,
    user: (u32, u32),
}

/// What a session is made of.
#[derive(Debug)]
pub struct Request<'a> {
    pub triple: &'a str,
    pub arch: Arch,
    pub root: &'a Wanted,
    pub cpu: Option<Cpu>,
    pub way: Option<Way>,
    /// The first way is taken as it is: whoever asks sees by the program's own
    /// run whether it can be gone.
    pub untried: bool,
    pub visible: Vec<PathBuf>,
    pub seconds: u64,
    pub compiler: Option<PathBuf>,
    pub configured: Option<Vec<OsString>>,
}

/// Why there is none.
#[derive(Debug)]
pub enum Refused {
    Failure(Failure),
    /// No model of the emulator stands for the CPU.
    Cpu {
        cpu: Cpu,
        emulator: String,
        why: String,
    },
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Session {
    pub fn new(request: Request<'_>) -> Result<Self, Refused> {
        let user = (geteuid().as_raw(), getegid().as_raw());
        let mut session = Self {
            triple: request.triple.to_owned(),
            folder: None,
            is_sysroot: false,
            emulator: None,
            without: Vec::new(),
            way: Way::Configured,
            visible: outermost(request.visible),
            seconds: request.seconds,
            configured: request.configured,
            user,
        };
        if session.configured.is_some() {
            return Ok(session);
        }
        let is_native = qemu::native().is_some_and(|native| native.same_as(request.arch));
        // What the machine's own CPU has nobody knows: a promise is emulated.
        if !is_native || request.cpu.is_some() {
            let mut emulator = qemu::find(request.arch)?;
            if let Some(cpu) = request.cpu {
                let model = qemu::model(&emulator.path, cpu).map_err(|why| Refused::Cpu {
                    cpu,
                    emulator: format!("QEMU {}", emulator.version),
                    why,
                })?;
                emulator.cpu = Some(model.argument);
                session.without = model.without;
            }
            session.emulator = Some(emulator);
        }
        let found = root::find(request.root, request.arch, request.triple, request.compiler.as_deref())?;
        session.folder = found.folder;
        session.is_sysroot = found.is_sysroot;
        session.way = match request.untried {
            true => request.way.unwrap_or(Way::ALL[0]),
            false => session.find_way(request.way, request.arch, is_native)?,
        };
        Ok(session)
    }

    /// The first way that can be gone.
    fn find_way(&self, asked: Option<Way>, arch: Arch, is_native: bool) -> Result<Way, Failure> {
        let mut refusals = Vec::new();
        let ways: Vec<Way> = asked.map_or_else(|| Way::ALL.to_vec(), |way| vec![way]);
        for way in ways {
            let refused = match way {
                Way::Sudo if geteuid().is_root() => Err("not needed: this is root already".to_owned()),
                Way::Sudo if !on_path(Path::new("sudo")) => Err("it is not installed".to_owned()),
                Way::Root if !geteuid().is_root() => Err("this is not root".to_owned()),
                Way::Prefix => self.prefix_is_safe(arch, is_native),
                _ => runner::probe(way, Some(self.user)),
            };
            match refused {
                Ok(()) => return Ok(way),
                Err(why) => refusals.push(format!("`{}`: {why}", way.name())),
            }
        }
        let mut failure = Failure::new("a program cannot be kept to a root on this machine");
        for refusal in refusals {
            failure = failure.note(refusal);
        }
        Err(match barrier() {
            _ if asked.is_some() => failure.help("without `--isolation` the first way that works is taken"),
            Some((why, help)) => failure.note(why).help(help),
            None => failure.help("run it as root, or where user namespaces are allowed"),
        })
    }

    /// Fact 46: `qemu -L` falls back to the machine's own files, and follows
    /// links out of the root. So the machine must not have the loader, and the
    /// root's own loader must be reached without an absolute link.
    fn prefix_is_safe(&self, arch: Arch, is_native: bool) -> Result<(), String> {
        if is_native || self.emulator.is_none() {
            return Err(
                "for the machine's own architecture it would use the machine's own libraries".to_owned()
            );
        }
        let loaders = arch.glibc_interpreters().unwrap_or_default();
        if let Some(own) = loaders.iter().find(|path| Path::new(path).exists()) {
            return Err(format!("this machine has {own} itself"));
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        for loader in loaders {
            let path = folder.join(loader.trim_start_matches('/'));
            let inside = path.canonicalize().is_ok_and(|path| path.starts_with(folder));
            if path.symlink_metadata().is_ok() && !inside {
                return Err(format!("{loader} is a link that `qemu -L` does not follow inside of the root"));
            }
        }
        Ok(())
    }

    /// What to run a program with.
    pub fn plan(&self, program: &Path, args: Vec<OsString>, folder: PathBuf, is_test: bool) -> Plan {
        let mut visible = if is_test { self.visible.clone() } else { Vec::new() };
        if !visible.iter().any(|path| program.starts_with(path)) {
            // A test of documentation lies in a folder of its own.
            let own = if is_test { program.parent().unwrap_or(program) } else { program };
            visible.push(own.to_owned());
        }
        visible.retain(|path| mounts::is_plain(path));
        let (mut env, mut args) = (environment(&visible), args);
        let mut program = program.to_owned();
        if let Some(cpu) = self.emulator.as_ref().and_then(|emulator| emulator.cpu.as_ref()) {
            // For what it starts itself.
            env.push(("QEMU_CPU".into(), cpu.into()));
        }
        if let Some(words) = &self.configured {
            env = std::env::vars_os().collect();
            args.insert(0, program.into_os_string());
            args.splice(0..0, words[1..].iter().cloned());
            program = PathBuf::from(&words[0]);
        }
        Plan {
            root: self.folder.clone(),
            visible,
            emulator: self.emulator.clone(),
            program,
            args,
            folder,
            env,
            seconds: self.seconds,
            user: Some(self.user),
        }
    }

    pub fn shown_emulator(&self) -> Option<String> {
        self.emulator.as_ref().map(|emulator| format!("QEMU {}", emulator.version))
    }
}

/// Without those that lie in another one.
fn outermost(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths.dedup();
    let all = paths.clone();
    paths.retain(|path| !all.iter().any(|other| other != path && path.starts_with(other)));
    paths
}

/// Our own environment, without what leads to the machine's files (fact 48)
/// or speaks to QEMU.
fn environment(visible: &[PathBuf]) -> Vec<(OsString, OsString)> {
    let is_inside = |path: &Path| visible.iter().any(|folder| path.starts_with(folder));
    let mut env = Vec::new();
    for (name, value) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let dropped = text.starts_with("QEMU_")
            || matches!(
                &*text,
                "LD_PRELOAD" | "LD_AUDIT" | "LD_BIND_NOW" | "LD_DEBUG" | "GCONV_PATH" | "LOCPATH"
            )
            || (matches!(&*text, "TMPDIR" | "TMP" | "TEMP") && !is_inside(Path::new(&value)));
        if dropped {
            continue;
        }
        if text == "LD_LIBRARY_PATH" {
            let kept: Vec<PathBuf> = std::env::split_paths(&value).filter(|path| is_inside(path)).collect();
            if let Ok(joined) = std::env::join_paths(kept)
                && !joined.is_empty()
            {
                env.push((name, joined));
            }
            continue;
        }
        env.push((name, value));
    }
    env
}

/// What of this machine's settings stands in the way of namespaces, and what
/// to do about it.
fn barrier() -> Option<(String, String)> {
    let setting = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
        text.trim().parse::<u64>().ok()
    };
    for (name, bad, good, note) in [
        (
            "kernel.apparmor_restrict_unprivileged_userns",
            1,
            0,
            "AppArmor lets only programs with a profile make them",
        ),
        ("kernel.unprivileged_userns_clone", 0, 1, "only root may make them"),
        ("user.max_user_namespaces", 0, 10000, "none may be made"),
    ] {
        if setting(name) == Some(bad) {
            return Some((
                format!("the setting {name} is {bad}: {note}"),
                format!("allow user namespaces, or let `sudo -n` work:\nsudo sysctl -w {name}={good}"),
            ));
        }
    }
    None
}

/// The words of a runner that cargo's configuration names, unless that is us.
pub fn foreign_runner(path: &Path, args: &[OsString]) -> Option<Vec<OsString>> {
    let is_us = path.file_name() == Some(OsStr::new("cargo-compat"))
        || path.canonicalize().ok() == fs::read_link(sandbox::SELF).ok();
    (!is_us).then(|| std::iter::once(path.as_os_str().to_owned()).chain(args.iter().cloned()).collect())
}

/// Where a key of the policy stands.
pub type Span = Option<Range<usize>>;
