//! The fresh folder that a case runs in: its files, and the processes started there.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use walkdir::WalkDir;

use super::case::{Case, Input, Mtime, Run};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cargo-compat");

/// What makes the outer `cargo test` or the user's shell show in a run. `RUSTUP_*` and `CARGO_HOME` stay: they find
/// the toolchain.
const LEAKS: [&str; 18] = [
    "CC",
    "CFLAGS",
    "CXX",
    "TARGET_",
    "HOST_",
    "CROSS_COMPILE",
    "CARGO",
    "RUST",
    "CLICOLOR",
    "NO_COLOR",
    "FORCE_COLOR",
    "GITHUB_",
    "CI",
    "COMPAT_",
    "SNAPSHOTS",
    "COLUMNS",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
];

#[derive(Debug)]
pub struct World {
    pub root: PathBuf,
    /// Outside of `root`, so that a run does not find its own output there.
    outputs: PathBuf,
    _keeps_it: TempDir,
}

#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub status: ExitStatus,
}

impl World {
    pub fn new() -> anyhow::Result<Self> {
        let temp =
            tempfile::Builder::new().prefix("compat-case-").tempdir().context("cannot make a folder")?;
        let base = temp.path().canonicalize().context("cannot resolve the temporary folder")?;
        let (root, outputs) = (base.join("root"), base.join("outputs"));
        for folder in [&root, &outputs] {
            fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(Self { root, outputs, _keeps_it: temp })
    }

    pub fn fill(&self, case: &Case, committed: &Path) -> anyhow::Result<()> {
        if committed.exists() {
            self.copy_committed(committed).with_context(|| format!("cannot copy {}", committed.display()))?;
        }
        for (name, elf) in &case.elf {
            let bytes = elf.to_bytes().with_context(|| format!("[elf.{name:?}]"))?;
            let path = self.make_room(name, None).with_context(|| format!("[elf.{name:?}]"))?;
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        // Links and copies may name any other input; a mode or time must outlive what is written after it.
        type Step = fn(&World, &Path, &Input) -> anyhow::Result<()>;
        let steps: [Step; 3] = [Self::write_content, Self::write_link, Self::set_attributes];
        for step in steps {
            for (name, input) in &case.file {
                self.make_room(name, Some(input))
                    .and_then(|path| step(self, &path, input))
                    .with_context(|| format!("[file.{name:?}]"))?;
            }
        }
        Ok(())
    }

    fn copy_committed(&self, committed: &Path) -> anyhow::Result<()> {
        for entry in WalkDir::new(committed).min_depth(1) {
            let entry = entry?;
            let to = self.root.join(entry.path().strip_prefix(committed)?);
            if entry.file_type().is_dir() {
                fs::create_dir(&to)?;
            } else if entry.file_type().is_symlink() {
                symlink(fs::read_link(entry.path())?, &to)?;
            } else {
                fs::copy(entry.path(), &to)?;
            }
        }
        Ok(())
    }

    fn make_room(&self, name: &str, input: Option<&Input>) -> anyhow::Result<PathBuf> {
        let mut path = self.root.join(name);
        ensure!(
            path.starts_with(&self.root) && !name.contains(".."),
            "the path leads out of the working folder"
        );
        if let Some(hex) = input.and_then(|input| input.name_hex.as_ref()) {
            path.set_file_name(OsStr::from_bytes(&hex.0));
        }
        let parent = path.parent().context("the path has no folder")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        Ok(path)
    }

    fn write_content(&self, path: &Path, input: &Input) -> anyhow::Result<()> {
        let others = [&input.symlink, &input.hardlink, &input.copy];
        let contents =
            [input.text.is_some(), input.hex.is_some(), input.size.is_some(), input.fifo, input.folder];
        let count = others.iter().filter(|other| other.is_some()).count()
            + contents.iter().filter(|content| **content).count();
        ensure!(count <= 1, "more than one content");
        ensure!(count == 1 || fs::symlink_metadata(path).is_ok(), "no content, and nothing is there already");
        if let Some(text) = &input.text {
            fs::write(path, text)?;
        }
        if let Some(bytes) = &input.hex {
            fs::write(path, &bytes.0)?;
        }
        if let Some(size) = input.size {
            File::create(path)?.set_len(size)?;
        }
        if input.folder {
            fs::create_dir_all(path)?;
        }
        if input.fifo {
            let status = Command::new("mkfifo").arg(path).status().context("cannot run mkfifo")?;
            ensure!(status.success(), "mkfifo: {status}");
        }
        Ok(())
    }

    fn write_link(&self, path: &Path, input: &Input) -> anyhow::Result<()> {
        if let Some(target) = &input.symlink {
            symlink(target, path)?;
        }
        if let Some(original) = &input.hardlink {
            fs::hard_link(self.root.join(original), path)?;
        }
        if let Some(original) = &input.copy {
            fs::copy(self.root.join(original), path)?;
        }
        Ok(())
    }

    fn set_attributes(&self, path: &Path, input: &Input) -> anyhow::Result<()> {
        const HOUR: Duration = Duration::from_secs(3600);
        if let Some(mtime) = input.mtime {
            let time = match mtime {
                Mtime::Older => SystemTime::now() - HOUR,
                Mtime::Newer => SystemTime::now() + HOUR,
            };
            File::open(path)?.set_modified(time)?;
        }
        if let Some(mode) = input.mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    pub fn run(&self, run: &Run) -> anyhow::Result<Outcome> {
        let (program, line) = match (&run.args, &run.command) {
            (Some(args), _) => (Some(PROGRAM.to_owned()), args),
            (None, Some(command)) => (None, command),
            (None, None) => bail!("a run has neither `args` nor `command`"),
        };
        let words = shell_words::split(line).with_context(|| format!("cannot split `{line}`"))?;
        let mut argv = program.into_iter().chain(words);
        let program = argv.next().with_context(|| format!("`{line}` names no program"))?;
        let mut command = Command::new(&program);
        command.args(argv).current_dir(self.root.join(run.cwd.as_deref().unwrap_or(".")));
        set_environment(&mut command)?;
        command.envs(&run.env);
        self.wait_for(command, run).with_context(|| format!("cannot run `{line}`"))
    }

    /// By way of files: nothing to drain while the process runs, nor a pipe that its children hold open.
    fn wait_for(&self, mut command: Command, run: &Run) -> anyhow::Result<Outcome> {
        let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| self.outputs.join(name));
        File::create(&stdin)?.write_all(run.stdin.as_deref().unwrap_or_default().as_bytes())?;
        let mut child = command
            .stdin(File::open(&stdin)?)
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .process_group(0)
            .spawn()?;
        let deadline = Instant::now() + Duration::from_secs(run.timeout);
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                let group = format!("-{}", child.id());
                let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
                child.wait()?;
                bail!("it had not ended after {} s", run.timeout);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        Ok(Outcome { stdout: fs::read(&stdout)?, stderr: fs::read(&stderr)?, status })
    }
}

fn set_environment(command: &mut Command) -> anyhow::Result<()> {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_kept = text.starts_with("RUSTUP_") || text == "CARGO_HOME";
        if !is_kept && LEAKS.iter().any(|leak| text.starts_with(leak)) {
            command.env_remove(&name);
        }
    }
    let programs = Path::new(PROGRAM).parent().context("the program has no folder")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs.to_owned()].into_iter().chain(std::env::split_paths(&path)))?;
    command
        .env("PATH", path) // so that a `command` can say `cargo compat`
        .env("CARGO", std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()))
        .env("CARGO_NET_OFFLINE", "true")
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    Ok(())
}
