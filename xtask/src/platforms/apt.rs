//! apt with an architecture, a suite and folders of its own; the mirror is the machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::process;

#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Fetches and verifies the indices, unless they are there.
    pub fn open(folder: &Path, suite: &str, arch: &str) -> anyhow::Result<Self> {
        let folder = folder.to_path_buf();
        let done = folder.join("done");
        for below in ["lists/partial", "cache/archives/partial", "parts"] {
            let path = folder.join(below);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let apt = Self { folder };
        if !done.exists() {
            let mirror = mirror()?;
            let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
            apt.write("sources.list", &format!("deb [signed-by={keys}] {mirror} {suite} main\n"))?;
            apt.write("status", "")?;
            apt.write("apt.conf", &apt.configuration(arch))?;
            process::run(apt.command("apt-get").args(["-q", "update"]))?;
            apt.write("done", "")?;
        }
        Ok(apt)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn configuration(&self, arch: &str) -> String {
        let folder = self.folder.display();
        format!(
            r#"APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "root";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "{folder}/parts";
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb {{
  MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";
  ShortDescription "Contents-$(ARCHITECTURE)";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)";
  KeepCompressed "true";
}};
"#
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        // Images switch apt's cache off; without it every call reads all indices again.
        command.args(["-o", "Dir::Cache::pkgcache=pkgcache.bin"]);
        command
    }

    /// Text of the indices of a kind, `Packages` or `Contents-deb`.
    pub fn indices(&self, kind: &str) -> anyhow::Result<Vec<String>> {
        let files = process::output(self.command("apt-get").args([
            "indextargets",
            "--format",
            "$(CREATED_BY) $(FILENAME)",
        ]))?;
        let of_kind = |line: &str| line.strip_prefix(kind)?.strip_prefix(' ').map(str::to_owned);
        let files: Vec<String> = files.lines().filter_map(of_kind).collect();
        ensure!(!files.is_empty(), "apt has no index `{kind}`");
        // apt keeps them as it likes to; its helper reads them all.
        let text = |file: &String| {
            let output = Command::new("/usr/lib/apt/apt-helper").args(["cat-file", file]).output()?;
            ensure!(output.status.success(), "apt-helper cannot read {file}");
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        files.iter().map(text).collect()
    }

    /// The signed release file, as it was fetched.
    pub fn release(&self) -> anyhow::Result<Vec<u8>> {
        let lists = self.folder.join("lists");
        let entries = fs::read_dir(&lists).with_context(|| format!("cannot read {}", lists.display()))?;
        let mut files = entries.flatten().map(|entry| entry.path());
        let file = files.find(|path| path.to_string_lossy().ends_with("_InRelease"));
        let file = file.context("apt has no InRelease")?;
        fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    }

    /// Fetches packages into a folder, each `name=version`.
    pub fn download(&self, packages: &[String], to: &Path) -> anyhow::Result<()> {
        let mut command = self.command("apt-get");
        command.args(["-qq", "download"]).args(packages).current_dir(to);
        let output = command.stdin(Stdio::null()).output().context("cannot start apt-get")?;
        ensure!(
            output.status.success(),
            "`apt-get download` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}

/// The archive that the machine's own apt fetches Debian's packages from.
fn mirror() -> anyhow::Result<String> {
    let targets = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(ORIGIN) $(LABEL)",
        "Created-By: Packages",
    ]))?;
    let debian = targets.lines().find_map(|line| line.strip_suffix(" Debian Debian"));
    debian.map(str::to_owned).context("apt has no list of Debian's packages: `apt-get update` first")
}
