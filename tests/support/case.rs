//! The format of `case.toml`, and what a case folder may hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::elf::Elf;
use super::hex::Hex;
use super::needs::Need;

/// Where `cargo xtask fixtures` puts what it fetches; `[FIXTURES]` in a `case.toml`.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/fixtures");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    why: String,
    #[serde(default)]
    #[expect(dead_code, reason = "tidy.rs checks the numbers")]
    facts: Vec<u32>,
    #[serde(default)]
    pub needs: Vec<Need>,
    #[serde(default)]
    pub redact_host: bool,
    #[serde(default)]
    pub elf: BTreeMap<String, Elf>,
    #[serde(default)]
    pub file: BTreeMap<String, Input>,
    pub run: Vec<Run>,
}

/// A `[file."path"]`: one content at most; with none, what is there already gets another mode or time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Input {
    pub text: Option<String>,
    pub hex: Option<Hex>,
    /// A sparse file of so many bytes.
    pub size: Option<u64>,
    pub fifo: bool,
    pub folder: bool,
    pub symlink: Option<String>,
    pub hardlink: Option<String>,
    pub copy: Option<String>,
    /// Replaces the path's last part by bytes that TOML cannot hold.
    pub name_hex: Option<Hex>,
    pub mode: Option<u32>,
    pub mtime: Option<Mtime>,
}

/// Against everything else in the working folder, which is made now.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mtime {
    Older,
    Newer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What follows `cargo`.
    pub args: Option<String>,
    pub command: Option<String>,
    /// A command's expected exit code.
    pub exit: Option<i32>,
    /// Whether a command stands in the transcript.
    #[serde(default)]
    pub show: bool,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub stdin: Option<String>,
    #[serde(default = "default_timeout")]
    pub timeout: u64,
}

fn default_timeout() -> u64 {
    300
}

impl Case {
    /// `substitute` fills in what only the run knows, such as `[ROOT]`.
    pub fn read(folder: &Path, substitute: impl Fn(String) -> String) -> anyhow::Result<Self> {
        let path = folder.join("case.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = substitute(text).replace("[FIXTURES]", FIXTURES);
        let case: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        case.validate(folder).with_context(|| format!("in {}", path.display()))?;
        Ok(case)
    }

    /// With those that need not be written: what its own commands call.
    pub fn all_needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::Children];
        needs.extend(self.needs.iter().cloned());
        let called = self.run.iter().filter_map(|run| run.command.as_deref()?.split_whitespace().next());
        let made = self.file.values().any(|input| input.fifo).then_some("mkfifo");
        for name in called.chain(made).filter(|name| !name.contains('/') && *name != "cargo-compat") {
            needs.push(Need::Tool(name.to_owned()));
        }
        needs
    }

    fn validate(&self, folder: &Path) -> anyhow::Result<()> {
        ensure!(!self.why.trim().is_empty(), "`why` is empty");
        ensure!(self.run.iter().any(|run| run.args.is_some() || run.show), "no run is in the transcript");
        for run in &self.run {
            match (&run.args, &run.command) {
                (Some(_), Some(_)) | (None, None) => bail!("a run has either `args` or `command`"),
                (Some(args), None) if run.exit.is_some() || run.show => {
                    bail!(
                        "the transcript shows the exit code of `{args}`: `exit` and `show` are for commands"
                    );
                }
                _ => {}
            }
        }
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            ensure!(
                ["case.toml", "transcript.txt", "input"].iter().any(|known| name == *known),
                "{name:?} beside it has no meaning; files for the working folder go into `input/`"
            );
        }
        Ok(())
    }
}
