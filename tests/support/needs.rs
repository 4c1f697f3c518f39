//! What a case needs of the machine, and whether it is there.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::world::PROGRAM;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Need {
    Tool(String),
    /// The standard library of a target, as rustup installs it.
    Target(String),
    Host(String),
    File(String),
    Root,
    NotRoot,
    /// User, mount and process namespaces, for whoever runs the tests.
    Namespaces,
    /// The program under test can be started: not so under an emulator of which the kernel knows nothing.
    Children,
}

impl TryFrom<String> for Need {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        Ok(match text.split_once(':') {
            Some(("tool", name)) => Self::Tool(name.to_owned()),
            Some(("target", triple)) => Self::Target(triple.to_owned()),
            Some(("host", triple)) => Self::Host(triple.to_owned()),
            Some(("file", path)) => Self::File(path.to_owned()),
            None if text == "root" => Self::Root,
            None if text == "not-root" => Self::NotRoot,
            None if text == "namespaces" => Self::Namespaces,
            _ => bail!(
                "`{text}` is no need: tool:NAME, target:TRIPLE, host:TRIPLE, file:PATH, root, not-root or namespaces"
            ),
        })
    }
}

#[derive(Debug)]
pub struct Machine {
    pub host: String,
    is_root: bool,
    /// Asking rustc takes time, and many cases ask the same.
    answers: HashMap<Need, Option<String>>,
}

impl Machine {
    pub fn probe() -> anyhow::Result<Self> {
        let host = match is_in_path("rustc") {
            true => {
                let version = output_of("rustc", &["-vV"])?;
                let host = version.lines().find_map(|line| line.strip_prefix("host: "));
                host.context("`rustc -vV` names no host")?.to_owned()
            }
            // In a root that holds no tools nothing is compiled, and a case that would be needs them.
            false => format!("{}-unknown-{}", std::env::consts::ARCH, std::env::consts::OS),
        };
        let is_root = std::fs::metadata("/proc/self").context("cannot look at /proc/self")?.uid() == 0;
        Ok(Self { host, is_root, answers: HashMap::new() })
    }

    /// Why the case cannot run here.
    pub fn first_missing(&mut self, needs: &[Need]) -> Option<String> {
        needs.iter().find_map(|need| {
            if let Some(answer) = self.answers.get(need) {
                return answer.clone();
            }
            let answer = self.missing(need);
            self.answers.insert(need.clone(), answer.clone());
            answer
        })
    }

    fn missing(&self, need: &Need) -> Option<String> {
        let (is_there, what) = match need {
            Need::Tool(name) => (is_in_path(name), name.clone()),
            Need::Target(triple) => (has_target(triple), format!("the Rust target {triple}")),
            Need::Host(triple) => (self.host == *triple, format!("a {triple} host")),
            Need::File(path) => (Path::new(path).exists(), path.clone()),
            Need::Root => (self.is_root, "root".to_owned()),
            Need::NotRoot => (!self.is_root, "a user other than root".to_owned()),
            Need::Children => (
                Command::new(PROGRAM).arg("--version").output().is_ok_and(|output| output.status.success()),
                "a kernel that starts this program".to_owned(),
            ),
            Need::Namespaces => (
                output_of("unshare", &["--user", "--map-root-user", "--mount", "--pid", "--fork", "true"])
                    .is_ok(),
                "namespaces".to_owned(),
            ),
        };
        (!is_there).then(|| format!("needs {what}"))
    }
}

fn is_in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

fn has_target(triple: &str) -> bool {
    // rustc names the folder whether it exists or not, and fails for a triple that it does not know.
    let folder = output_of("rustc", &["--print", "target-libdir", "--target", triple]);
    folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

fn output_of(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new(program).args(args).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "`{program} {}`: {}", args.join(" "), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
