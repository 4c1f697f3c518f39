//! What the tests need on the machine, what of it is missing, and how it is installed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process;

/// What shows that a Debian package is there, on other systems too.
enum Proof {
    /// One of these programmes is on `PATH`.
    Program(&'static [&'static str]),
    File(&'static str),
}

const PACKAGES: &[(&str, Proof)] = &[
    ("gcc", Proof::Program(&["gcc"])),
    ("g++", Proof::Program(&["g++"])),
    ("libc6-dev", Proof::File("/usr/include/stdio.h")),
    ("binutils", Proof::Program(&["readelf"])),
    ("bzip2", Proof::Program(&["bzip2"])),
    ("xz-utils", Proof::Program(&["xz"])),
    ("zstd", Proof::Program(&["zstd"])),
    ("gcc-s390x-linux-gnu", Proof::Program(&["s390x-linux-gnu-gcc"])),
    ("libc6-dev-s390x-cross", Proof::File("/usr/s390x-linux-gnu/lib/crt1.o")),
    ("gcc-powerpc64le-linux-gnu", Proof::Program(&["powerpc64le-linux-gnu-gcc"])),
    ("libc6-dev-ppc64el-cross", Proof::File("/usr/powerpc64le-linux-gnu/lib/crt1.o")),
    ("gcc-aarch64-linux-gnu", Proof::Program(&["aarch64-linux-gnu-gcc"])),
    ("libc6-dev-arm64-cross", Proof::File("/usr/aarch64-linux-gnu/lib/crt1.o")),
    ("musl-tools", Proof::Program(&["musl-gcc"])),
    ("lld", Proof::Program(&["ld.lld"])),
    ("qemu-user-static", Proof::Program(&["qemu-s390x-static"])),
    ("bubblewrap", Proof::Program(&["bwrap"])),
    ("python3-pip", Proof::Program(PIP)),
    ("distro-info-data", Proof::File("/usr/share/distro-info/debian.csv")),
    ("npm", Proof::Program(&["npm"])),
    ("chromium", Proof::Program(&["chromium"])),
    ("chromium-driver", Proof::Program(&["chromedriver"])),
];

const PIP: &[&str] = &["pip3", "pip"];

const TARGETS: &[&str] = &[
    "s390x-unknown-linux-gnu",
    "powerpc64le-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    HOSTS[0],
    HOSTS[1],
];

/// People cross-build on these: the program must compile for them.
pub const HOSTS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// rustup's minimal profile lacks them. Component, and the programme in the toolchain that proves it.
const COMPONENTS: &[(&str, &str)] = &[("rustfmt", "bin/cargo-fmt"), ("clippy", "bin/cargo-clippy")];

/// What the tests need and the machine lacks.
#[derive(Debug, Default)]
pub struct Missing {
    packages: Vec<&'static str>,
    targets: Vec<&'static str>,
    components: Vec<&'static str>,
}

impl Missing {
    pub fn find() -> anyhow::Result<Missing> {
        // The toolchain's folder is asked rather than rustup, which need not be where cargo comes from.
        let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let sysroot = Path::new(sysroot.trim_end());
        let absent = |proof: &Proof| match proof {
            Proof::Program(names) => program(names).is_none(),
            Proof::File(path) => !Path::new(path).exists(),
        };
        let library = |target: &str| sysroot.join("lib/rustlib").join(target).join("lib");
        Ok(Missing {
            packages: PACKAGES
                .iter()
                .filter(|(_, proof)| absent(proof))
                .map(|(package, _)| *package)
                .collect(),
            targets: TARGETS.iter().copied().filter(|target| !library(target).is_dir()).collect(),
            components: COMPONENTS
                .iter()
                .filter(|(_, proof)| !sysroot.join(proof).exists())
                .map(|(component, _)| *component)
                .collect(),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [&self.packages, &self.targets, &self.components].into_iter().flatten().copied()
    }

    /// The commands that install it, in their order. apt's need root.
    pub fn commands(&self, root: Root) -> Vec<Command> {
        let mut commands = Vec::new();
        if !self.packages.is_empty() {
            commands.push(apt(root, &["update"], &[]));
            commands.push(apt(root, &["install", "-y", "--no-install-recommends"], &self.packages));
        }
        for (what, names) in [("target", &self.targets), ("component", &self.components)] {
            if !names.is_empty() {
                let mut rustup = Command::new("rustup");
                rustup.args([what, "add"]).args(names);
                commands.push(rustup);
            }
        }
        commands
    }

    /// One line to paste into a shell, for somebody who is not root.
    pub fn line(&self) -> String {
        let commands = self.commands(Root::Sudo);
        commands.iter().map(process::line).collect::<Vec<_>>().join(" && ")
    }
}

/// How a command comes to run as root.
#[derive(Clone, Copy)]
pub enum Root {
    Already,
    /// Asks for a password; only ever printed.
    Sudo,
    /// Fails where a password would be asked.
    SudoWithoutAsking,
}

fn apt(root: Root, arguments: &[&str], packages: &[&str]) -> Command {
    // The variable is set by `env`: sudo does not pass the environment on.
    let words: &[&str] = match root {
        Root::Already => &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
        Root::Sudo => &["sudo", "apt-get"],
        Root::SudoWithoutAsking => &["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
    };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(arguments).args(packages);
    command
}

pub fn has_apt() -> bool {
    program(&["apt-get"]).is_some()
}

/// pip, under any of its names.
pub fn pip() -> Option<PathBuf> {
    program(PIP)
}

pub fn is_root() -> bool {
    // The standard library has no `geteuid`, and this is one call.
    let id = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// The first of the programmes that is on `PATH`.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let executable = |file: &PathBuf| {
        file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Missing {
        Missing {
            packages: vec!["lld", "bubblewrap"],
            targets: vec!["s390x-unknown-linux-gnu"],
            components: vec!["clippy"],
        }
    }

    fn lines(root: Root) -> Vec<String> {
        missing().commands(root).iter().map(process::line).collect()
    }

    #[test]
    fn one_line_to_paste() {
        assert_eq!(
            missing().line(),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends lld bubblewrap \
             && rustup target add s390x-unknown-linux-gnu && rustup component add clippy"
        );
    }

    #[test]
    fn apt_asks_nothing() {
        assert_eq!(lines(Root::Already)[0], "env DEBIAN_FRONTEND=noninteractive apt-get update");
        assert_eq!(
            lines(Root::SudoWithoutAsking)[1],
            "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends lld bubblewrap"
        );
    }

    #[test]
    fn only_what_is_missing() {
        let missing = Missing { targets: vec!["x86_64-unknown-linux-musl"], ..Missing::default() };
        assert_eq!(missing.line(), "rustup target add x86_64-unknown-linux-musl");
        assert!(!missing.is_empty());
        assert!(Missing::default().is_empty());
        assert!(Missing::default().commands(Root::Already).is_empty());
    }

    #[test]
    fn programs_are_found_on_path() {
        assert!(program(&["no-such-programme", "sh"]).is_some_and(|path| path.ends_with("sh")));
        assert!(program(&["no-such-programme"]).is_none());
    }
}
