//! Every folder `tests/cases/<area>/<case>/` is a test: `case.toml` says what is there and what is run,
//! `transcript.txt` is everything that the runs say. `SNAPSHOTS=overwrite` writes the transcripts anew;
//! `COMPAT_REQUIRE_ALL=1` makes a missing need a failure.

// By its path: rustfmt would look for it in the folder `cases`.
#[cfg(unix)]
#[path = "support/mod.rs"]
mod support;

#[cfg(not(unix))]
fn main() {} // links, modes and fifos are inputs here

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;

    use anyhow::{Context, ensure};
    use libtest_mimic::{Arguments, Failed, Trial};
    use snapbox::Data;
    use snapbox::assert::{Action, Assert, DEFAULT_ACTION_ENV};
    use snapbox::data::DataFormat;

    use crate::support::case::Case;
    use crate::support::needs::Machine;
    use crate::support::transcript::{self, Transcript};
    use crate::support::world::World;

    pub fn main() -> anyhow::Result<ExitCode> {
        let arguments = Arguments::from_args();
        let mut machine = Machine::probe()?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let mut trials = vec![Trial::test("redactions", || {
            transcript::self_test();
            Ok(())
        })];
        for area in folders_in(&folder)? {
            for case in folders_in(&area)? {
                trials.push(trial(&folder, case, &mut machine)?);
            }
        }
        ensure!(trials.len() > 1, "{} holds no case", folder.display());
        Ok(libtest_mimic::run(&arguments, trials).exit_code())
    }

    fn folders_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            ensure!(entry.file_type()?.is_dir(), "{} is not a folder", entry.path().display());
            folders.push(entry.path());
        }
        folders.sort();
        Ok(folders)
    }

    fn trial(cases: &Path, folder: PathBuf, machine: &mut Machine) -> anyhow::Result<Trial> {
        let name = folder.strip_prefix(cases)?.display().to_string();
        let missing = match Case::read(&folder, |text| text) {
            Ok(case) => machine.first_missing(&case.all_needs()),
            // Read again and reported when the test runs, so that it spoils no other.
            Err(_) => None,
        };
        if let Some(reason) = missing {
            if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") {
                return Ok(Trial::test(name, || Err(reason.into())));
            }
            let ignored = Trial::test(name, || Err("its needs are not met here".into()));
            return Ok(ignored.with_kind(format!("ignored: {reason}")).with_ignored_flag(true));
        }
        let host = machine.host.clone();
        Ok(Trial::test(name, move || run(&folder, &host).map_err(|error| Failed::from(format!("{error:#}")))))
    }

    fn run(folder: &Path, host: &str) -> anyhow::Result<()> {
        let world = World::new()?;
        let root = world.root.to_str().context("the temporary folder's name is not UTF-8")?;
        let case = Case::read(folder, |text| text.replace("[ROOT]", root).replace("[HOST]", host))?;
        let in_case = || format!("in {}", folder.join("case.toml").display());
        world.fill(&case, &folder.join("input")).with_context(in_case)?;
        let mut transcript = Transcript::default();
        for run in &case.run {
            let outcome = world.run(run).with_context(in_case)?;
            if run.args.is_some() || run.show {
                transcript.push(run, &outcome);
            }
            let expected = run.exit.unwrap_or(0);
            ensure!(
                run.args.is_some() || outcome.status.code() == Some(expected),
                "`{}` ended with {}, not {expected} ({})\n{}{}",
                run.command.as_deref().unwrap_or_default(),
                outcome.status,
                in_case(),
                String::from_utf8_lossy(&outcome.stdout),
                String::from_utf8_lossy(&outcome.stderr),
            );
        }
        let actual = transcript.redacted(root, case.redact_host.then_some(host));
        compare(actual, &folder.join("transcript.txt"))
    }

    fn compare(actual: String, path: &Path) -> anyhow::Result<()> {
        let action = Action::with_env_var(DEFAULT_ACTION_ENV);
        ensure!(
            path.exists() || action == Some(Action::Overwrite),
            "{} is missing; {DEFAULT_ACTION_ENV}=overwrite writes it",
            path.display()
        );
        // Raw: a `...` or `[..]` in the transcript is text, and a `\` no path separator.
        let expected = Data::read_from(path, Some(DataFormat::Text)).raw();
        Assert::new()
            .action_env(DEFAULT_ACTION_ENV)
            .try_eq(Some(&"what it says now"), Data::text(actual), expected)
            .map_err(|difference| anyhow::anyhow!("{difference}"))
    }
}
