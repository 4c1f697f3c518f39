//! Real files of this machine: what `loader` says of them is what the machine's own loader says.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {} // the machine's own loader is the judge

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "support/real_files.rs"]
mod real_files;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use unix::main;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod unix {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};

    use anyhow::{Context, bail, ensure};
    use cargo_compat::artifact::{Artifact, Class, Depth, Examined, examine};
    use cargo_compat::loader::{Bind, Problem, Root, Subject, Undecided, load};
    use libtest_mimic::{Arguments, Failed, Trial};

    use crate::real_files::real_files;

    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
    const ENOUGH: usize = 300;
    /// Every nth file is asked about: the loader is started for each.
    const SAMPLE: usize = 3;

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let all = std::env::var_os("COMPAT_LOADER_ALL").is_some();
        let step = if all { 1 } else { SAMPLE };
        let native: Vec<(PathBuf, Box<Artifact>)> = real_files()
            .into_iter()
            .filter_map(|path| {
                Some((
                    facts(&path)
                        .ok()
                        .filter(|facts| facts.arch.machine == 62 && facts.arch.class == Class::Elf64)?,
                    path,
                ))
            })
            .filter(|(facts, _)| facts.dynamic && !facts.is_static())
            .map(|(facts, path)| (path, facts))
            .step_by(step)
            .collect();
        let reason = (native.len() < ENOUGH / step || !Path::new(LOADER).is_file())
            .then(|| format!("needs {LOADER} and {ENOUGH} dynamic files, found {}", native.len()));
        let required = std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1");
        let trial = match reason {
            Some(reason) if required => Trial::test("the_machines_loader_agrees", move || Err(reason.into())),
            Some(reason) => {
                Trial::test("the_machines_loader_agrees", || Ok(())).with_kind(reason).with_ignored_flag(true)
            }
            None => Trial::test("the_machines_loader_agrees", move || {
                agrees(&native).map_err(|error| Failed::from(format!("{error:#}")))
            }),
        };
        libtest_mimic::run(&arguments, vec![trial]).exit_code()
    }

    fn facts(path: &Path) -> anyhow::Result<Box<Artifact>> {
        match examine(path, Depth::Bindings)? {
            Examined::Elf(facts) => Ok(facts),
            Examined::Other(format) => bail!("{} is a {format}", path.display()),
        }
    }

    fn agrees(files: &[(PathBuf, Box<Artifact>)]) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        let mut items = 0;
        let root = Root::of_system("/", files[0].1.arch, LOADER);
        for (path, facts) in files {
            // The folder through which the loader knows it: links stay.
            let subject = Subject::new(path.to_string_lossy(), facts).context("the file was read for it")?;
            let mut ours = said(&load(&subject, &root, Bind::Everything))?;
            let mut theirs = asked(path)?;
            if theirs.iter().any(|item| item.starts_with("library ")) {
                // Fact 44: where a library is missing, its versions are lost in the loader's own tables.
                ours = without_versions(&ours);
                theirs = without_versions(&theirs);
            }
            items += theirs.len();
            if ours != theirs {
                let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
                    a.difference(b).take(8).cloned().collect::<Vec<_>>().join("\n    ")
                };
                wrong.push(format!(
                    "{}\n  only loader/:\n    {}\n  only {LOADER}:\n    {}",
                    path.display(),
                    only(&ours, &theirs),
                    only(&theirs, &ours)
                ));
            }
        }
        ensure!(items > 0, "no file has anything wrong with it, so nothing was compared");
        ensure!(wrong.is_empty(), "{} files are judged otherwise:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    }

    fn without_versions(items: &BTreeSet<String>) -> BTreeSet<String> {
        let plain = |item: &String| match (item.split_once('@'), item.split_once(" by ")) {
            (Some((symbol, _)), Some((_, by))) => format!("{symbol} by {by}"),
            _ => item.clone(),
        };
        items.iter().map(plain).collect()
    }

    fn said(verdict: &cargo_compat::loader::Verdict) -> anyhow::Result<BTreeSet<String>> {
        let mut said = BTreeSet::new();
        for problem in &verdict.problems {
            said.insert(match problem {
                Problem::Library { name, .. } => format!("library {name}"),
                Problem::Version { version, path, .. } => format!("version {version} of {}", base(path)),
                Problem::Symbol { name, version, needed_by, .. } => match version {
                    Some(version) => format!("symbol {name}@{version} by {}", base(needed_by)),
                    None => format!("symbol {name} by {}", base(needed_by)),
                },
                other => bail!("what this test does not compare: {other:?}"),
            });
        }
        for one in &verdict.undecided {
            match one {
                // The folder that the program is started in.
                Undecided::Library { name, .. } if name.contains('/') => {}
                other => bail!("a whole system leaves this undecided: {other:?}"),
            }
        }
        Ok(said)
    }

    fn base(path: &str) -> &str {
        path.rsplit('/').next().unwrap_or(path)
    }

    /// As `ldd -r` asks (its script, `elf/ldd.bash.in`).
    fn asked(path: &Path) -> anyhow::Result<BTreeSet<String>> {
        let output = Command::new(LOADER)
            .arg(path)
            .env_clear()
            .env("LD_TRACE_LOADED_OBJECTS", "1")
            .env("LD_WARN", "yes")
            .env("LD_BIND_NOW", "yes")
            .output()
            .context("asking the loader")?;
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let mut said = BTreeSet::new();
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_suffix(" => not found") {
                said.insert(format!("library {name}"));
            } else if let Some(rest) = line.strip_prefix("undefined symbol: ") {
                let (symbol, by) = rest.split_once('\t').context("an undefined symbol's file")?;
                let by = base(by.trim_matches(['(', ')']));
                let symbol = symbol.replace(", version ", "@");
                said.insert(format!("symbol {symbol} by {by}"));
            } else if let Some((before, _)) = line.split_once("' not found (required by") {
                let (file, version) = before.split_once(": version `").context("a version's file")?;
                let file = file.rsplit(": ").next().unwrap_or(file);
                said.insert(format!("version {version} of {}", base(file)));
            }
        }
        Ok(said)
    }
}
