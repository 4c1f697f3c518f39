//! The program's lines against the loader's word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::Suite;
use super::loader::Said;
use super::subjects::Subject;

/// `cargo compat show --message-format json`: one file on one platform.
#[derive(Debug, Deserialize)]
pub struct Line {
    file: PathBuf,
    platform: String,
    verdict: String,
    missing_libraries: Vec<Name>,
    missing_versions: Vec<Version>,
    missing_symbols: Vec<Symbol>,
    #[serde(default)]
    other_problems: Vec<String>,
    undecided: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    file: String,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Symbol {
    name: String,
    version: Option<String>,
    at: String,
}

pub type Lines = BTreeMap<(PathBuf, String), Line>;

/// All files on all platforms, in one call.
pub fn ask(
    tool: &Path,
    descriptions: Option<&Path>,
    suites: &[&Suite],
    files: &[Subject],
) -> anyhow::Result<Lines> {
    let mut command = Command::new(tool);
    command.args(["compat", "show", "--message-format", "json"]);
    for suite in suites {
        match descriptions {
            Some(folder) => command.arg("--platform").arg(folder.join(format!("{}.pack", suite.platform))),
            None => command.args(["--platform", suite.platform]),
        };
    }
    let mut child = command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", tool.display()))?;
    let list: Vec<String> = files.iter().map(|file| format!("{}\n", file.path.display())).collect();
    let mut input = child.stdin.take().context("it has no input")?;
    let writer = std::thread::spawn(move || input.write_all(list.concat().as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().expect("the writer does not panic")?;
    ensure!(output.status.success(), "{} failed: {}", tool.display(), output.status);
    let mut lines = Lines::new();
    for line in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Line>() {
        let line = line.context("a line of the program is not as documented")?;
        lines.insert((line.file.clone(), line.platform.clone()), line);
    }
    Ok(lines)
}

pub enum Outcome {
    Agree,
    /// Both: nothing for a loader to do.
    Static,
    /// What the program says is so, and it says that it cannot say all.
    Undecided(String),
    Disagree(String),
}

pub fn compare(line: Option<&Line>, said: Option<&Said>) -> Outcome {
    let Some(line) = line else { return Outcome::Disagree("the program does not say anything".to_owned()) };
    let Some(said) = said else {
        return if line.verdict == "static" {
            Outcome::Static
        } else {
            Outcome::Disagree(format!("it is static, the program says {}", line.verdict))
        };
    };
    let ours = items(line);
    let mut theirs = BTreeSet::new();
    theirs.extend(said.libraries.iter().map(|name| format!("library {name}")));
    theirs.extend(said.versions.iter().map(|(file, version)| format!("version {version} of {file}")));
    theirs.extend(said.symbols.iter().map(|(symbol, start)| item(symbol, *start)));
    let (ours, theirs) = if said.libraries.is_empty() {
        (ours, theirs)
    } else {
        // Where a library is missing, versions are lost in the loader's own tables (fact 44).
        (without_versions(&ours), without_versions(&theirs))
    };
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
        let all: Vec<&str> = a.difference(b).map(String::as_str).collect();
        let more = if all.len() > 6 { format!(" and {} more", all.len() - 6) } else { String::new() };
        format!("[{}{more}]", all.iter().take(6).copied().collect::<Vec<_>>().join(", "))
    };
    let stops = |stopped: bool| if stopped { "something else stops it" } else { "nothing else stops it" };
    let (ours_stop, theirs_stop) =
        (!line.other_problems.is_empty(), said.stopped.is_some() || said.interpreter.is_some());
    let text = format!(
        "program {}, loader {}; only the program {}, only the loader {}{}{}",
        line.verdict,
        said.verdict(),
        only(&ours, &theirs),
        only(&theirs, &ours),
        if ours_stop == theirs_stop {
            String::new()
        } else {
            format!(
                "; program: {} {:?}, loader: {} {:?}",
                stops(ours_stop),
                line.other_problems,
                stops(theirs_stop),
                said.stopped
            )
        },
        if line.undecided.is_empty() {
            String::new()
        } else {
            format!("; undecided {:?}", first(&line.undecided))
        },
    );
    // A loader that gave up has not said the rest.
    let same = if theirs_stop { ours_stop && theirs.is_subset(&ours) } else { ours == theirs && !ours_stop };
    if same && line.verdict == said.verdict() {
        Outcome::Agree
    } else if !line.undecided.is_empty()
        && (theirs_stop || ours.is_subset(&theirs))
        && (line.verdict == "undecided" || line.verdict == said.verdict())
    {
        Outcome::Undecided(text)
    } else {
        Outcome::Disagree(text)
    }
}

fn first(all: &[String]) -> &[String] {
    &all[..all.len().min(3)]
}

fn items(line: &Line) -> BTreeSet<String> {
    let libraries = line.missing_libraries.iter().map(|one| format!("library {}", one.name));
    let versions = line.missing_versions.iter().map(|one| format!("version {} of {}", one.version, one.file));
    let symbols = line.missing_symbols.iter().map(|one| {
        let name = match &one.version {
            Some(version) => format!("{}@{version}", one.name),
            None => one.name.clone(),
        };
        item(&name, one.at == "start")
    });
    libraries.chain(versions).chain(symbols).collect()
}

fn item(symbol: &str, start: bool) -> String {
    format!("symbol {symbol} at {}", if start { "start" } else { "call" })
}

/// Of one symbol that is asked for with several versions the earliest time stays.
fn without_versions(items: &BTreeSet<String>) -> BTreeSet<String> {
    let plain = |item: &String| match (item.split_once('@'), item.rsplit_once(" at ")) {
        (Some((symbol, _)), Some((_, at))) => format!("{symbol} at {at}"),
        _ => item.clone(),
    };
    let mut all: BTreeSet<String> = items.iter().map(plain).collect();
    let early: Vec<String> =
        all.iter().filter_map(|item| Some(format!("{} at call", item.strip_suffix(" at start")?))).collect();
    all.retain(|item| !early.contains(item));
    all
}

#[derive(Debug, Default)]
pub struct Count {
    pub pairs: usize,
    agreements: usize,
    statics: usize,
    undecided: usize,
    pub disagreements: usize,
}

impl Count {
    pub fn add(&mut self, outcome: &Outcome) {
        self.pairs += 1;
        match outcome {
            Outcome::Agree => self.agreements += 1,
            Outcome::Static => self.statics += 1,
            Outcome::Undecided(_) => self.undecided += 1,
            Outcome::Disagree(_) => self.disagreements += 1,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pairs: {} agree, {} static, {} undecided, {} disagree",
            self.pairs, self.agreements, self.statics, self.undecided, self.disagreements
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(verdict: &str, symbols: &str, undecided: &str) -> Line {
        serde_json::from_str(&format!(
            r#"{{"file":"a","platform":"p","verdict":"{verdict}","missing_libraries":[],"missing_versions":[],
               "missing_symbols":[{symbols}],"undecided":[{undecided}]}}"#
        ))
        .expect("it is a line")
    }

    const F: &str = r#"{"name":"f","version":"V","at":"call"}"#;

    fn said(symbols: &[(&str, bool)]) -> Said {
        Said {
            symbols: symbols.iter().map(|(name, start)| ((*name).to_owned(), *start)).collect(),
            ..Said::default()
        }
    }

    #[test]
    fn the_same_items_agree() {
        let outcome = compare(Some(&line("fails_at_call", F, "")), Some(&said(&[("f@V", false)])));
        assert!(matches!(outcome, Outcome::Agree));
    }

    #[test]
    fn another_time_is_another_item() {
        let outcome = compare(Some(&line("fails_at_call", F, "")), Some(&said(&[("f@V", true)])));
        assert!(matches!(outcome, Outcome::Disagree(_)));
    }

    #[test]
    fn what_is_not_listed_disagrees() {
        assert!(matches!(
            compare(Some(&line("loads", "", "")), Some(&said(&[("f@V", false)]))),
            Outcome::Disagree(_)
        ));
        assert!(matches!(
            compare(Some(&line("fails_at_call", F, "")), Some(&said(&[]))),
            Outcome::Disagree(_)
        ));
        assert!(matches!(compare(None, Some(&said(&[]))), Outcome::Disagree(_)));
    }

    #[test]
    fn undecided_excuses_what_is_not_said_only() {
        let theirs = said(&[("f@V", false)]);
        assert!(matches!(
            compare(Some(&line("undecided", "", r#""x""#)), Some(&theirs)),
            Outcome::Undecided(_)
        ));
        assert!(matches!(
            compare(Some(&line("undecided", F, r#""x""#)), Some(&said(&[]))),
            Outcome::Disagree(_)
        ));
    }

    #[test]
    fn where_a_library_is_missing_versions_do_not_count() {
        let mut theirs = said(&[("f@garbage", false)]);
        theirs.libraries.insert("l".to_owned());
        let mut ours = line("fails_at_start", F, "");
        ours.missing_libraries.push(Name { name: "l".to_owned() });
        assert!(matches!(compare(Some(&ours), Some(&theirs)), Outcome::Agree));
    }
}
