//! Commands run in turn, and the time and the memory that they took.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use wait4::Wait4;

use crate::process;

/// Of the environment, only these are passed on: cargo gives an xtask a longer library path, for one, and variables
/// like `RUSTFLAGS` would make the figures a user's own.
const KEPT: &[&str] = &["PATH", "HOME", "TMPDIR", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];

/// One command line, its output thrown away.
#[derive(Debug, Clone)]
pub struct Call {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub folder: PathBuf,
    /// The file given as standard input.
    pub input: Option<PathBuf>,
    /// The exit codes that show that it did its work.
    pub ends_with: &'static [i32],
}

impl Call {
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
        folder: &Path,
        ends_with: &'static [i32],
    ) -> Call {
        let args = args.into_iter().map(Into::into).collect();
        Call { program: program.into(), args, folder: folder.to_owned(), input: None, ends_with }
    }

    fn stdin(&self) -> anyhow::Result<Stdio> {
        let Some(path) = &self.input else { return Ok(Stdio::null()) };
        Ok(File::open(path).with_context(|| format!("cannot open {}", path.display()))?.into())
    }

    /// The command, run by another one where words of it are given.
    fn command(&self, by: &[OsString]) -> anyhow::Result<Command> {
        let mut words = by.iter().cloned().chain([self.program.clone().into_os_string()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(&self.args).current_dir(&self.folder).stdin(self.stdin()?);
        command.stdout(Stdio::null()).stderr(Stdio::null()).env_clear().env("LC_ALL", "C");
        for name in KEPT {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        // As cargo does for its subcommands.
        let cargo = process::cargo().get_program().to_owned();
        process::pin_compiler(&mut command, Path::new(&cargo));
        command.env("CARGO", cargo);
        Ok(command)
    }

    fn ended(&self, command: &Command, status: ExitStatus) -> anyhow::Result<()> {
        let expected = status.code().is_some_and(|code| self.ends_with.contains(&code));
        ensure!(expected, "`{}` ended with {status}", process::line(command));
        Ok(())
    }

    /// CPU time is user and system time of the process and of those it waited for (`wait4`).
    pub fn sample(&self) -> anyhow::Result<Sample> {
        let mut command = self.command(&[])?;
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start `{}`", self.program.display()))?;
        let used = child.wait4().with_context(|| format!("cannot wait for `{}`", self.program.display()))?;
        let wall = start.elapsed();
        self.ended(&command, used.status)?;
        Ok(Sample { cpu: used.rusage.utime + used.rusage.stime, wall })
    }

    /// The largest resident set of the command, in KiB.
    ///
    /// By GNU time, not by our own `wait4`: Linux lets a process begin with the peak of the one that started it, and
    /// an xtask is larger than readelf.
    pub fn peak(&self, scratch: &Path) -> anyhow::Result<u64> {
        let file = scratch.join("peak");
        let mut by: Vec<OsString> = ["time", "-q", "-f", "%M", "-o"].map(Into::into).to_vec();
        by.extend([file.clone().into_os_string(), "--".into()]);
        let mut command = self.command(&by)?;
        let status = command.status().context("cannot start GNU time (Debian: time)")?;
        self.ended(&command, status)?;
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        text.trim().parse().with_context(|| format!("GNU time wrote `{}`", text.trim()))
    }
}

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    pub cpu: Duration,
    pub wall: Duration,
}

/// All runs of one side.
#[derive(Debug, Default)]
pub struct Runs(Vec<Sample>);

impl Runs {
    pub fn cpu(&self) -> Duration {
        self.0.iter().map(|sample| sample.cpu).sum()
    }

    fn wall(&self) -> Duration {
        self.0.iter().map(|sample| sample.wall).sum()
    }

    /// Of one run, on average.
    pub fn mean_cpu(&self) -> Duration {
        self.cpu() / u32::try_from(self.0.len()).unwrap_or(u32::MAX).max(1)
    }

    pub fn median_wall(&self) -> Duration {
        median(self.0.iter().map(|sample| sample.wall).collect())
    }

    /// How many cores were busy, on average.
    pub fn cores(&self) -> f64 {
        ratio(self.cpu(), self.wall())
    }
}

/// Runs the sides in turn, each round beginning with another one, after a round that does not count. A run of a side
/// is all of its calls.
pub fn alternate(rounds: usize, sides: &[Vec<Call>]) -> anyhow::Result<Vec<Runs>> {
    let mut runs: Vec<Runs> = sides.iter().map(|_| Runs::default()).collect();
    for round in 0..=rounds {
        for turn in 0..sides.len() {
            let side = (round + turn) % sides.len();
            let mut sum = Sample::default();
            for call in &sides[side] {
                let sample = call.sample()?;
                sum.cpu += sample.cpu;
                sum.wall += sample.wall;
            }
            if round > 0 {
                runs[side].0.push(sum);
            }
        }
    }
    Ok(runs)
}

pub fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    match times.len() {
        0 => Duration::ZERO,
        len if len % 2 == 1 => times[len / 2],
        len => (times[len / 2 - 1] + times[len / 2]) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Call {
        Call::new("/bin/sh", ["-c", script], Path::new("/"), &[0])
    }

    #[test]
    fn the_median() {
        let of = |times: &[u64]| median(times.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(of(&[]), Duration::ZERO);
        assert_eq!(of(&[5, 1, 100]), Duration::from_millis(5));
        assert_eq!(of(&[1, 100, 5, 7]), Duration::from_millis(6));
    }

    #[test]
    fn the_time_of_children_counts() {
        let busy = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
        let inner = shell("/bin/sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true");
        let slept = shell("sleep 0.2");
        for call in [busy, inner] {
            assert!(call.sample().unwrap().cpu > Duration::from_millis(20));
        }
        let slept = slept.sample().unwrap();
        assert!(slept.wall >= Duration::from_millis(200) && slept.cpu < Duration::from_millis(20));
    }

    #[test]
    fn another_exit_code_is_an_error() {
        let error = shell("exit 3").sample().unwrap_err().to_string();
        assert!(error.ends_with("exit status: 3"), "{error}");
        assert!(Call { ends_with: &[0, 3], ..shell("exit 3") }.sample().is_ok());
    }

    #[test]
    fn each_side_runs_as_often_as_asked() {
        let runs = alternate(3, &[vec![shell("true")], vec![shell("true"), shell("true")]]).unwrap();
        assert_eq!(runs.iter().map(|runs| runs.0.len()).collect::<Vec<_>>(), [3, 3]);
    }
}
