//! What `why` says of stripped and optimised builds, held against what it says of a plain one whose functions have
//! names and lines: each answer is right, or says that it may not be.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cargo_compat::finding::cause::{Answer, Cause, Origin, Sureness, What};

use super::{Program, Source, copy_folder};
use crate::process;

/// Of every symbol that glibc versions.
const ASKED: &str = "GLIBC>=2.0";
/// What the issue is about: other symbols are as old as any system.
const NEW: u32 = 18;

struct Build {
    name: &'static str,
    lto: &'static str,
    strip: bool,
}

const BUILDS: [Build; 6] = [
    Build { name: "plain", lto: "off", strip: false },
    Build { name: "stripped", lto: "off", strip: true },
    Build { name: "thin", lto: "thin", strip: false },
    Build { name: "thin, stripped", lto: "thin", strip: true },
    Build { name: "fat", lto: "fat", strip: false },
    Build { name: "fat, stripped", lto: "fat", strip: true },
];

/// Builds each program in every way and compares; prints a table, and what is wrong or absent.
pub(super) fn compare(programs: &[&Program], folder: &Path, tool: Option<&str>) -> anyhow::Result<()> {
    let ours = match tool {
        Some(tool) => PathBuf::from(tool),
        None => debug_build()?,
    };
    let mut wrong = 0;
    for program in programs {
        let project = source(program, folder)?;
        // Lines tell what was inlined from where. C code needs none, and is compiled once for all.
        let mut plain = vec!["profile.release.debug=\"line-tables-only\"".to_owned()];
        plain.extend(program.native.iter().map(|name| format!("profile.release.package.{name}.debug=0")));
        let truth = Truth::new(&ask(&ours, program, &project, folder, &BUILDS[0], &plain)?);
        for build in &BUILDS {
            let answers =
                ask(&ours, program, &project, folder, build, &["profile.release.debug=0".to_owned()])?;
            for (what, from) in [("GLIBC_2.18 on", NEW), ("all", 0)] {
                let counts = truth.judge(&answers, from);
                println!("{}, {}, {what}: {counts}", program.name, build.name);
                if from == 0 {
                    counts.remarks.iter().for_each(|remark| println!("  {remark}"));
                    wrong += counts.wrong;
                }
            }
        }
    }
    ensure!(wrong == 0, "{wrong} answers are wrong and do not say that they may be");
    Ok(())
}

fn debug_build() -> anyhow::Result<PathBuf> {
    process::run(process::cargo().args(["build", "--locked", "--package", "cargo-compat-guard"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(crate::root().join(target).join("debug/cargo-compat"))
}

/// A folder with the program's sources, where cargo may write a lock file.
fn source(program: &Program, folder: &Path) -> anyhow::Result<PathBuf> {
    let copy = folder.join("sources").join(program.name);
    match program.source {
        Source::Folder => {
            copy_folder(&crate::root().join("tests/blame/programs").join(program.name), &copy)?;
        }
        Source::Registry(package, version) => {
            // cargo hands out the sources of what somebody depends on.
            let asks = folder.join("sources").join(format!("asks-for-{package}"));
            fs::create_dir_all(asks.join("src"))?;
            fs::write(asks.join("src/lib.rs"), "")?;
            let manifest = format!(
                "[package]\nname = \"asks\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
                 [dependencies]\n{package} = \"={version}\"\n"
            );
            fs::write(asks.join("Cargo.toml"), manifest)?;
            let vendored = asks.join("vendor");
            let mut cargo = process::cargo();
            cargo.args(["vendor", "--quiet", "--versioned-dirs", "--manifest-path"]);
            process::output(cargo.arg(asks.join("Cargo.toml")).arg(&vendored))?;
            copy_folder(&vendored.join(format!("{package}-{version}")), &copy)?;
            let manifest = copy.join("Cargo.toml");
            let text = fs::read_to_string(&manifest)?;
            // Below this repository it would be taken for one of its own.
            fs::write(&manifest, text + "\n[workspace]\n")?;
        }
    }
    Ok(copy)
}

/// One answer of the command, of one build.
fn ask(
    ours: &Path,
    program: &Program,
    project: &Path,
    folder: &Path,
    build: &Build,
    settings: &[String],
) -> anyhow::Result<Vec<Answer>> {
    let mut command = Command::new(ours);
    command.args([
        "compat",
        "why",
        ASKED,
        "--quiet",
        "--release",
        "--message-format",
        "json",
        "--manifest-path",
    ]);
    command.arg(project.join("Cargo.toml")).arg("--target-dir").arg(folder.join("target"));
    command.args(program.select);
    let cargo = process::cargo();
    for (name, value) in cargo.get_envs().chain([("CARGO".as_ref(), Some(cargo.get_program()))]) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("PYO3_NO_PYTHON", "1");
    // Of the program alone: its dependencies need not be compiled again.
    let strip = format!("profile.release.package.{}.strip={}", program.package, build.strip);
    let lto = format!("profile.release.lto=\"{}\"", build.lto);
    for setting in settings.iter().chain([&strip, &lto]) {
        command.args([OsStr::new("--config"), setting.as_ref()]);
    }
    let report: serde_json::Value = serde_json::from_str(&process::output(&mut command)?)?;
    let artifacts = report["artifacts"].as_array().context("a report")?;
    let [artifact] = artifacts.as_slice() else {
        anyhow::bail!("{}: {} artifacts were explained", program.name, artifacts.len());
    };
    let answers: Vec<Answer> = serde_json::from_value(artifact["answers"].clone())?;
    ensure!(answers.len() > 10, "{}: only {} symbols", program.name, answers.len());
    Ok(answers)
}

/// Of a symbol: who has it for sure, and who may.
#[derive(Debug, Default, PartialEq)]
struct Owners {
    sure: BTreeSet<String>,
    perhaps: BTreeSet<String>,
}

struct Truth(BTreeMap<String, Owners>);

#[derive(Debug, Default, PartialEq)]
struct Counts {
    symbols: usize,
    right: usize,
    likely: usize,
    candidate: usize,
    /// Candidates that have nothing to do with it.
    spare: usize,
    absent: usize,
    /// The plain build does not tell.
    open: usize,
    wrong_likely: usize,
    wrong: usize,
    remarks: Vec<String>,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} symbols; {} right, {} likely, {} candidates; {} absent; {} wrong, {} wrong as likely; \
             {} candidates besides, {} open",
            self.symbols,
            self.right,
            self.likely,
            self.candidate,
            self.absent,
            self.wrong,
            self.wrong_likely,
            self.spare,
            self.open
        )
    }
}

fn symbol(answer: &Answer) -> Option<(String, u32)> {
    let What::Symbol { name, version, .. } = &answer.what else { return None };
    let version = version.as_deref()?;
    let minor = version.strip_prefix("GLIBC_2.")?.split('.').next()?.parse().ok()?;
    Some((format!("{name}@{version}"), minor))
}

fn owner(cause: &Cause) -> String {
    match (cause.origin, &cause.package, &cause.crate_name) {
        (Origin::Package, Some(package), _) => package.name.clone(),
        (Origin::Package, None, Some(name)) => name.clone(),
        (origin, ..) => format!("{origin:?}"),
    }
}

impl Truth {
    fn new(answers: &[Answer]) -> Self {
        let mut all: BTreeMap<String, Owners> = BTreeMap::new();
        for answer in answers {
            let Some((name, _)) = symbol(answer) else { continue };
            let owners = all.entry(name).or_default();
            for cause in &answer.causes {
                match cause.sure {
                    Sureness::Exact | Sureness::Likely => owners.sure.insert(owner(cause)),
                    Sureness::Candidate => owners.perhaps.insert(owner(cause)),
                };
            }
        }
        Self(all)
    }

    fn judge(&self, answers: &[Answer], from: u32) -> Counts {
        let mut counts = Counts::default();
        for answer in answers {
            let Some((name, _)) = symbol(answer).filter(|(_, minor)| *minor >= from) else { continue };
            counts.symbols += 1;
            let Some(owners) = self.0.get(&name) else {
                counts.open += 1;
                counts.remarks.push(format!("{name}: the plain build does not need it"));
                continue;
            };
            let mut said = BTreeSet::new();
            for cause in &answer.causes {
                let owner = owner(cause);
                let is_right = owners.sure.contains(&owner);
                let is_open = owners.perhaps.contains(&owner);
                let count = match (cause.sure, is_right, is_open) {
                    (Sureness::Exact, true, _) => &mut counts.right,
                    (Sureness::Likely, true, _) => &mut counts.likely,
                    (Sureness::Candidate, true, _) => &mut counts.candidate,
                    (_, false, true) => &mut counts.open,
                    (Sureness::Candidate, false, false) => &mut counts.spare,
                    (Sureness::Exact, false, false) => &mut counts.wrong,
                    (Sureness::Likely, false, false) => &mut counts.wrong_likely,
                };
                *count += 1;
                if !is_right && !is_open && cause.sure != Sureness::Candidate {
                    let sure = if cause.sure == Sureness::Exact { "wrong" } else { "wrong as likely" };
                    counts.remarks.push(format!(
                        "{name}: {sure}: {owner} ({}); it is {:?}",
                        cause.functions.join(", "),
                        owners.sure
                    ));
                }
                said.insert(owner);
            }
            let absent: Vec<&String> = owners.sure.difference(&said).collect();
            counts.absent += absent.len();
            if !absent.is_empty() {
                counts.remarks.push(format!("{name}: absent: {absent:?}; said: {said:?}"));
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use cargo_compat::finding::cause::PackageName;

    use super::*;

    fn answer(causes: &[(&str, Sureness)]) -> Answer {
        let version = Some("GLIBC_2.29".to_owned());
        let what = What::Symbol { name: "log".to_owned(), version, file: None, weak: false };
        let cause = |(name, sure): &(&str, Sureness)| {
            let version = "1.0.0".to_owned();
            let package = Some(PackageName { name: (*name).to_owned(), version });
            Cause { package, ..Cause::new(Origin::Package, *sure) }
        };
        Answer { what, causes: causes.iter().map(cause).collect() }
    }

    #[test]
    fn answers_are_held_against_the_truth() {
        use Sureness::{Candidate, Exact, Likely};
        let truth = Truth::new(&[answer(&[("a", Exact), ("b", Likely), ("c", Candidate), ("d", Exact)])]);
        let said =
            [("a", Exact), ("b", Candidate), ("c", Exact), ("e", Exact), ("f", Likely), ("g", Candidate)];
        let counts = truth.judge(&[answer(&said)], NEW);
        let numbers = [
            counts.symbols,
            counts.right,
            counts.likely,
            counts.candidate,
            counts.spare,
            counts.absent,
            counts.open,
            counts.wrong_likely,
            counts.wrong,
        ];
        assert_eq!(numbers, [1, 1, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(truth.judge(&[answer(&said)], 30), Counts::default());
    }
}
