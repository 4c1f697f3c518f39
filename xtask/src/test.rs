//! All that CI checks, in the order that tells soonest.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::tools::{self, Missing, Root};
use crate::{Usage, fixtures, process};

/// The tests that start no tool, by this program itself: big-endian, and the other
/// architecture of which much is special. Where they lie is what their compiler has.
const EMULATED: &[&str] = &[
    "run",
    "--locked",
    "--",
    "compat",
    "test",
    "--locked",
    "--profile",
    "dev",
    "--target",
    "s390x-unknown-linux-gnu",
    "--target",
    "powerpc64le-unknown-linux-gnu",
    "--root",
    "sysroot",
    "--lib",
    "--test",
    "cases",
];

/// `cargo compat` ends so where it could not do its work.
const NOT_JUDGED: u8 = 101;

/// The README's own first command, which must end with 0 in this repository.
const README_COMMAND: &[&str] = &["run", "--release", "--locked", "--", "compat", "check"];

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    let ci = is_set(std::env::var("CI").ok().as_deref());
    let mut steps = Steps::default();
    let outcome = steps.all(&options, ci);
    steps.summarize();
    outcome
}

#[derive(Debug, PartialEq)]
struct Options {
    install: bool,
    /// With the `--` before them, or none.
    libtest: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Usage> {
        let (own, libtest) = match arguments.iter().position(|argument| argument == "--") {
            Some(position) => arguments.split_at(position),
            None => (arguments, [].as_slice()),
        };
        let mut options = Options { install: true, libtest: libtest.to_vec() };
        for argument in own {
            match argument.as_str() {
                "--no-install" => options.install = false,
                other => {
                    return Err(Usage(format!(
                        "`test` takes --no-install and, after `--`, libtest's arguments; not `{other}`"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// `CI=false`, as some set it on their own machine, is not CI.
fn is_set(variable: Option<&str>) -> bool {
    !matches!(variable, None | Some("" | "0" | "false"))
}

#[derive(Default)]
struct Steps {
    done: Vec<Step>,
    warnings: Vec<String>,
}

struct Step {
    name: String,
    time: Duration,
    passed: bool,
}

impl Steps {
    fn all(&mut self, options: &Options, ci: bool) -> anyhow::Result<()> {
        self.tools(options, ci)?;
        self.step_or_warning(ci, "cargo xtask fixtures", fixtures::fetch_all)?;
        self.cargo(&["fmt", "--all", "--check"], &[], ci)?;
        self.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[], ci)?;
        self.cargo(&["test", "--workspace", "--locked"], &options.libtest, ci)?;
        // What the machine lacks is not in that root either: a case that needs it is ignored.
        match self.cargo(EMULATED, &options.libtest, false) {
            Err(error) if !ci && process::exit_code(&error) == NOT_JUDGED => {
                self.warn("nothing was run for other architectures: see above".to_owned());
            }
            outcome => outcome?,
        }
        for target in tools::HOSTS {
            // No linking: that would need their toolchains.
            let check = ["check", "--locked", "--bins", "--target", target];
            self.cargo_with(&check, &[], &[("RUSTFLAGS", "-D warnings")])?;
        }
        self.cargo(README_COMMAND, &[], ci)
    }

    /// Installs what the tests need, where that is allowed, or else says what would.
    fn tools(&mut self, options: &Options, ci: bool) -> anyhow::Result<()> {
        let missing = Missing::find()?;
        if missing.is_empty() {
            return Ok(());
        }
        let root = match (tools::is_root(), ci) {
            (true, _) => Root::Already,
            (false, true) => Root::SudoWithoutAsking,
            (false, false) => Root::Sudo,
        };
        if !tools::has_apt() {
            let names = missing.names().collect::<Vec<_>>().join(" ");
            self.warn(format!("the tests that need these are ignored: {names} (Debian's names)"));
            return Ok(());
        }
        if !options.install || matches!(root, Root::Sudo) {
            let message = format!("the tests need what this installs:\n  {}", missing.line());
            if ci {
                bail!(message);
            }
            self.warn(message);
            return Ok(());
        }
        for mut command in missing.commands(root) {
            let name = process::line(&command);
            self.step_or_warning(ci, &name, || process::run(&mut command))?;
        }
        let missing = Missing::find()?;
        if !missing.is_empty() {
            let names = missing.names().collect::<Vec<_>>().join(" ");
            let message = format!("still missing after installing: {names}");
            if ci {
                bail!(message);
            }
            self.warn(message);
        }
        Ok(())
    }

    fn cargo(&mut self, arguments: &[&str], more: &[String], ci: bool) -> anyhow::Result<()> {
        // A test that lacks its tool fails rather than being ignored.
        let strict: &[_] = if ci { &[("COMPAT_REQUIRE_ALL", "1")] } else { &[] };
        self.cargo_with(arguments, more, strict)
    }

    fn cargo_with(
        &mut self,
        arguments: &[&str],
        more: &[String],
        env: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut command = process::cargo();
        command.args(arguments).args(more).envs(env.iter().copied());
        let name = process::line(&command);
        self.step(&name, || process::run(&mut command))
    }

    fn step(&mut self, name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = run();
        let step = Step { name: name.to_owned(), time: start.elapsed(), passed: outcome.is_ok() };
        println!("    {}", step.outcome());
        self.done.push(step);
        outcome
    }

    /// What only takes tests away is a failure in CI and a warning elsewhere.
    fn step_or_warning(
        &mut self,
        ci: bool,
        name: &str,
        run: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self.step(name, run) {
            Err(error) if !ci => {
                self.warn(format!("{error:#}\n  the tests that need this are ignored"));
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn warn(&mut self, message: String) {
        eprintln!("warning: {message}");
        self.warnings.push(message);
    }

    fn summarize(&self) {
        println!("==> summary");
        for step in &self.done {
            println!("    {:>16}  {}", step.outcome(), step.name);
        }
        for warning in &self.warnings {
            println!("    warning: {}", warning.replace('\n', "\n    "));
        }
    }
}

impl Step {
    fn outcome(&self) -> String {
        let word = if self.passed { "ok" } else { "FAILED" };
        format!("{word} in {:.1} s", self.time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words).map_err(|usage| usage.to_string())
    }

    #[test]
    fn arguments() {
        assert_eq!(parse(""), Ok(Options { install: true, libtest: Vec::new() }));
        let filtered =
            Options { install: false, libtest: vec!["--".into(), "--no-install".into(), "x".into()] };
        assert_eq!(parse("--no-install -- --no-install x"), Ok(filtered));
        assert!(parse("x").unwrap_err().ends_with("not `x`"));
    }

    #[test]
    fn ci_is_a_switch() {
        assert!(is_set(Some("true")) && is_set(Some("1")));
        assert!(!is_set(None) && !is_set(Some("")) && !is_set(Some("false")));
    }

    #[test]
    fn outside_ci_a_lost_tool_is_a_warning() {
        let mut steps = Steps::default();
        assert!(steps.step_or_warning(false, "a step", || bail!("no network")).is_ok());
        assert!(steps.step_or_warning(true, "a step", || bail!("no network")).is_err());
        assert_eq!(steps.warnings.len(), 1);
        assert!(steps.done.iter().all(|step| !step.passed));
    }
}
