//! Starting other programs: only here.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::Child;
use std::process::{Command, ExitStatus, Stdio};

/// A command that could not be carried out.
#[derive(Debug)]
pub struct ProcessError {
    pub command: String,
    pub error: io::Error,
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not run `{}`: {}", self.command, self.error)
    }
}

/// A program with its arguments, and what to change in its environment.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub program: OsString,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// Nothing of our own environment is passed on.
    pub clear_env: bool,
    /// What it is told that it is called, where that is not the path.
    #[cfg(target_os = "linux")]
    pub name: Option<OsString>,
    pub folder: Option<PathBuf>,
}

impl Invocation {
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            clear_env: false,
            #[cfg(target_os = "linux")]
            name: None,
            folder: None,
        }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// As it would be typed.
    pub fn shown(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words
            .map(|word| shell_words::quote(&word.to_string_lossy()).into_owned())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        #[cfg(target_os = "linux")]
        if let Some(name) = &self.name {
            std::os::unix::process::CommandExt::arg0(&mut command, name);
        }
        if self.clear_env {
            command.env_clear();
        }
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    fn failed(&self, error: io::Error) -> ProcessError {
        ProcessError { command: self.shown(), error }
    }

    /// Runs it; standard error goes where ours goes, each line of standard
    /// output to `line`.
    pub fn stream(&self, mut line: impl FnMut(&str)) -> Result<ExitStatus, ProcessError> {
        let mut child = self.command().stdout(Stdio::piped()).spawn().map_err(|error| self.failed(error))?;
        let stdout = child.stdout.take().map(BufReader::new);
        let mut bytes = Vec::new();
        if let Some(mut stdout) = stdout {
            // Not `lines()`: what a program prints need not be UTF-8.
            while stdout.read_until(b'\n', &mut bytes).map_err(|error| self.failed(error))? > 0 {
                line(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']));
                bytes.clear();
            }
        }
        child.wait().map_err(|error| self.failed(error))
    }

    /// Runs it quietly: its standard output where it succeeded.
    pub fn output(&self) -> Result<Option<String>, ProcessError> {
        let output = self.command().stdin(Stdio::null()).output().map_err(|error| self.failed(error))?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Runs it quietly: standard output, or all that a failure says.
    pub fn output_or_error(&self) -> Result<Result<String, String>, ProcessError> {
        let output = self.command().stdin(Stdio::null()).output().map_err(|error| self.failed(error))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr) + &text(&output.stdout)),
        })
    }
}

/// What `cargo compat test` starts, and is.
#[cfg(target_os = "linux")]
impl Invocation {
    /// Starts it with our own streams.
    pub fn start(&self) -> Result<Child, ProcessError> {
        self.command().spawn().map_err(|error| self.failed(error))
    }

    /// Starts it with pipes as its standard input and output.
    pub fn start_piped(&self) -> Result<Child, ProcessError> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().map_err(|error| self.failed(error))
    }

    /// Starts it with its output in pipes; standard output only where asked.
    pub fn start_read(&self, stdout: bool) -> Result<Child, ProcessError> {
        let mut command = self.command();
        if stdout {
            command.stdout(Stdio::piped());
        }
        command.stderr(Stdio::piped()).spawn().map_err(|error| self.failed(error))
    }

    /// Starts it with our own streams, as another user where one is named by
    /// user and group id.
    pub fn start_as(&self, user: Option<(u32, u32)>) -> io::Result<Child> {
        use std::os::unix::process::CommandExt as _;
        let mut command = self.command();
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.spawn()
    }

    /// Becomes it: the process stays the same. Returns only where that failed.
    pub fn become_it(&self) -> ProcessError {
        use std::os::unix::process::CommandExt as _;
        self.failed(self.command().exec())
    }
}

/// Whether a program by that name can be found as the shell would find it.
pub fn on_path(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
