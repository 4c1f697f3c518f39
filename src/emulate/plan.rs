//! What the parts of a run tell each other: the runner, and the two processes
//! that make the root around a program.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::artifact::{Arch, Class, Endian};

/// One program to run, and in what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The root's folder; none: the empty root.
    pub root: Option<PathBuf>,
    /// Visible at the same paths, and writable.
    pub visible: Vec<PathBuf>,
    /// None: the machine runs the program itself.
    pub emulator: Option<Emulator>,
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// The working folder; the root's own where the program cannot see it.
    pub folder: PathBuf,
    pub env: Vec<(OsString, OsString)>,
    /// After so many seconds it is ended; with all that it started.
    pub seconds: u64,
    /// Who the program runs as, where root makes its surroundings: user and
    /// group id.
    pub user: Option<(u32, u32)>,
}

/// A static QEMU of user mode.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Emulator {
    pub path: PathBuf,
    /// As `--version` says it.
    pub version: String,
    /// What `-cpu` takes.
    pub cpu: Option<String>,
    /// By which the kernel knows programs for it: the words of binfmt_misc,
    /// "magic:mask".
    pub magic: String,
    /// It is itself a program of the architecture that it emulates.
    pub native: bool,
    /// It logs system calls and memory to this file.
    pub log: Option<PathBuf>,
}

/// Magic and mask of programs for one architecture, as binfmt_misc takes them
/// (Linux, Documentation/admin-guide/binfmt-misc.rst): class, byte order,
/// `e_type` (`ET_EXEC` or `ET_DYN`) and `e_machine` (ELF gABI, "ELF Header").
/// OSABI and what follows it are left open: static programs say GNU.
pub fn magic(arch: Arch) -> String {
    let class = if arch.class == Class::Elf64 { 2 } else { 1 };
    let (order, kind, kind_mask, machine) = match arch.endian {
        Endian::Little => (1, [2, 0], [0xfe, 0xff], arch.machine.to_le_bytes()),
        Endian::Big => (2, [0, 2], [0xff, 0xfe], arch.machine.to_be_bytes()),
    };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', class, order, 1];
    let mut mask = vec![0xff; 7];
    bytes.extend([0; 9]);
    mask.extend([0; 9]);
    bytes.extend(kind.iter().chain(&machine));
    mask.extend(kind_mask.iter().chain(&[0xff, 0xff]));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    format!("{}:{}", hex(&bytes), hex(&mask))
}

/// How a program is kept to its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// User, mount and process namespaces, as whoever we are.
    Namespaces,
    /// The same, made by root, which `sudo -n` gives.
    Sudo,
    /// Mount and process namespaces alone, by real root.
    Root,
    /// `qemu -L`: the root is only a prefix, tried first; the rest of the
    /// machine stays visible (fact 46), but cannot be written to.
    Prefix,
    /// The runner of cargo's configuration, which we do not look into.
    Configured,
}

impl Way {
    /// Those that are tried, in this order.
    pub const ALL: [Self; 4] = [Self::Namespaces, Self::Sudo, Self::Root, Self::Prefix];

    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Sudo => "sudo",
            Self::Root => "root",
            Self::Prefix => "prefix",
            Self::Configured => "configured",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Configured]).find(|way| way.name() == name)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "in namespaces",
            Self::Sudo => "in namespaces made by sudo",
            Self::Root => "in a mount namespace",
            Self::Prefix => "by `qemu -L`, which does not keep it to the root",
            Self::Configured => "by the configured runner",
        })
    }
}

/// What comes back about a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// The surroundings could not be made, so nothing was run.
    Setup(String),
    /// It is about to start. `Err`: what it starts itself will not run, and why.
    Started {
        children: Result<(), String>,
        /// Why it can write to this machine's files, where it can.
        written: Option<String>,
    },
    Ended(End),
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    Exited(i32),
    /// By a signal, by its number.
    Signal(i32),
    /// Ended by us after so many seconds.
    TimedOut(u64),
    /// The kernel did not start it: the error's number.
    NotStarted(i32),
}

impl End {
    pub const SUCCESS: Self = Self::Exited(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_of_both_byte_orders() {
        let s390x = Arch::of_target("s390x", 64, Endian::Big).unwrap();
        assert_eq!(
            magic(s390x),
            "\\x7f\\x45\\x4c\\x46\\x02\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x16:\
             \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xff\\xfe\\xff\\xff"
        );
        let ppc64le = Arch::of_target("powerpc64", 64, Endian::Little).unwrap();
        assert!(magic(ppc64le).contains("\\x02\\x00\\x15\\x00:"));
        assert!(magic(ppc64le).ends_with("\\xfe\\xff\\xff\\xff"));
    }
}
