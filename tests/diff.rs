//! `diff` of two real releases of one program, held against what `readelf` says of their files.

#[cfg(not(unix))]
fn main() {} // readelf and Debian's names of tools

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
mod unix {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::io::Read as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};

    use anyhow::{Context, bail, ensure};
    use libtest_mimic::{Arguments, Trial};
    use serde_json::Value;

    const OLD: &str = "0.1.0";
    const NEW: &str = "0.15.0";
    const MACHINES: [&str; 2] = ["x86_64", "s390x"];

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let trials = MACHINES.map(|machine| {
            let name = format!("ruff_{machine}");
            match missing(machine) {
                None => Trial::test(name, move || Ok(changes_are_those_of_readelf(machine)?)),
                Some(reason) if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") => {
                    Trial::test(name, || Err(reason.into()))
                }
                Some(reason) => Trial::test(name, || Ok(()))
                    .with_kind(format!("ignored: {reason}"))
                    .with_ignored_flag(true),
            }
        });
        libtest_mimic::run(&arguments, trials.into()).exit_code()
    }

    fn wheel(version: &str, machine: &str) -> PathBuf {
        let file = format!("ruff-{version}-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.whl");
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fixtures");
        fixtures.join(format!("ruff-{version}-{machine}")).join(file)
    }

    fn missing(machine: &str) -> Option<String> {
        let fetched = [OLD, NEW].iter().all(|version| wheel(version, machine).is_file());
        let readelf = Command::new("readelf").arg("--version").output().is_ok();
        match (fetched, readelf) {
            (false, _) => Some("needs `cargo xtask fixtures`".to_owned()),
            (_, false) => Some("needs readelf".to_owned()),
            _ => None,
        }
    }

    /// The wheel's only program, and its name there.
    fn unpack(wheel: &Path, to: &Path) -> anyhow::Result<String> {
        let mut zip = zip::ZipArchive::new(fs::File::open(wheel)?)?;
        for at in 0..zip.len() {
            let mut entry = zip.by_index(at)?;
            let name = entry.name()?.into_owned();
            if name.ends_with("/scripts/ruff") {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                fs::write(to, bytes)?;
                return Ok(name);
            }
        }
        bail!("{} holds no scripts/ruff", wheel.display())
    }

    type Names = BTreeSet<String>;

    /// What `readelf` says of a file.
    #[derive(Default)]
    struct Told {
        needed: Names,
        /// By file.
        versions: BTreeMap<String, Names>,
        undefined: Names,
        exported: Names,
        size: u64,
    }

    impl Told {
        fn of(file: &Path) -> anyhow::Result<Self> {
            let output = Command::new("readelf").args(["-W", "-d", "-V", "--dyn-syms"]).arg(file).output()?;
            ensure!(output.status.success(), "readelf {}: {}", file.display(), output.status);
            let text = String::from_utf8(output.stdout)?;
            let mut told = Self { size: fs::metadata(file)?.len(), ..Self::default() };
            let mut of_file = String::new();
            for line in text.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                if line.contains("(NEEDED)") {
                    let name = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
                    told.needed.insert(name.context("a name in brackets")?.0.to_owned());
                } else if let Some(at) = words.iter().position(|word| *word == "File:") {
                    of_file = words[at + 1].to_owned();
                } else if let Some(at) = words.iter().position(|word| *word == "Name:") {
                    ensure!(line.contains("Flags: none"), "a need with flags: {line}");
                    told.versions.entry(of_file.clone()).or_default().insert(words[at + 1].to_owned());
                } else if words.len() >= 8 && words[0].ends_with(':') && words[1].len() == 16 {
                    told.symbol(&words);
                }
            }
            // The loader is no library to be there (fact 16).
            told.needed.retain(|name| name != "ld64.so.1" && name != "ld-linux-x86-64.so.2");
            ensure!(told.undefined.len() > 100 && told.needed.len() > 3, "readelf was not understood");
            Ok(told)
        }

        /// `Num: Value Size Type Bind Vis Ndx Name [(version index)]`.
        fn symbol(&mut self, words: &[&str]) {
            let name = words[7].replace("@@", "@");
            match (words[6], words[4]) {
                (_, "LOCAL") => {}
                ("UND", "WEAK") => {
                    self.undefined.insert(format!("{name} (weak)"));
                }
                ("UND", _) => {
                    self.undefined.insert(name);
                }
                // A version on a definition of a program is that of a copied symbol.
                _ if name.contains('@') => {}
                _ if words[5] == "DEFAULT" => {
                    self.exported.insert(name);
                }
                _ => {}
            }
        }

        /// The newest `GLIBC_` number.
        fn glibc(&self) -> Vec<u32> {
            let nodes = self.versions.values().flatten().filter_map(|node| node.strip_prefix("GLIBC_"));
            nodes
                .map(|node| node.split('.').map(|part| part.parse().unwrap_or(0)).collect())
                .max()
                .unwrap_or_default()
        }
    }

    fn dotted(parts: &[u32]) -> String {
        parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
    }

    fn run(old: &Path, new: &Path, more: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let output = Command::new(env!("CARGO_BIN_EXE_cargo-compat"))
            .args(["compat", "diff"])
            .args([old, new])
            .args(more)
            .env_remove("CARGO_TERM_COLOR")
            .output()?;
        ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    }

    /// The changes of the one pair, by aspect and subject.
    fn changes(old: &Path, new: &Path) -> anyhow::Result<BTreeMap<String, Value>> {
        let (code, json) = run(old, new, &["--message-format", "json"])?;
        ensure!(code == Some(0), "exit code {code:?}");
        let json: Value = serde_json::from_str(&json)?;
        let artifacts = json["artifacts"].as_array().context("artifacts")?;
        ensure!(artifacts.len() == 1 && artifacts[0]["not_compared"] == serde_json::json!([]), "{json}");
        let changes = artifacts[0]["changes"].as_array().context("changes")?;
        Ok(changes
            .iter()
            .map(|change| {
                let subject = change["subject"].as_str().unwrap_or_default();
                (format!("{} {subject}", change["aspect"].as_str().unwrap_or_default()), change.clone())
            })
            .collect())
    }

    fn names(value: &Value) -> Names {
        value.as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    }

    fn changes_are_those_of_readelf(machine: &str) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let (old_wheel, new_wheel) = (wheel(OLD, machine), wheel(NEW, machine));
        unpack(&old_wheel, &at("old"))?;
        unpack(&new_wheel, &at("new"))?;
        let (old, new) = (Told::of(&at("old"))?, Told::of(&at("new"))?);

        let mut left = changes(&old_wheel, &new_wheel)?;
        ensure!(
            left == changes(&at("old"), &at("new"))?,
            "the files alone have other changes than the wheels"
        );
        let none = Names::new();
        let mut sets = vec![
            ("needed ".to_owned(), &old.needed, &new.needed),
            ("undefined ".to_owned(), &old.undefined, &new.undefined),
            ("exported ".to_owned(), &old.exported, &new.exported),
        ];
        for file in old.versions.keys().chain(new.versions.keys()).collect::<BTreeSet<_>>() {
            let of = |versions: &'_ BTreeMap<String, Names>| versions.get(file).is_some();
            let was = if of(&old.versions) { &old.versions[file] } else { &none };
            let is = if of(&new.versions) { &new.versions[file] } else { &none };
            sets.push((format!("versions {file}"), was, is));
        }
        for (name, was, is) in sets {
            let (gained, lost): (Names, Names) =
                (is.difference(was).cloned().collect(), was.difference(is).cloned().collect());
            let change = left.remove(&name).unwrap_or_default();
            ensure!(names(&change["gained"]) == gained, "{name}: gained {change}, readelf: {gained:?}");
            ensure!(names(&change["lost"]) == lost, "{name}: lost {change}, readelf: {lost:?}");
        }
        let size = left.remove("size ").context("the size changed")?;
        let sizes = [old.size, new.size].map(|size| size.to_string());
        ensure!([&size["old"], &size["new"]] == [&sizes[0], &sizes[1]], "{size}");

        // What is known of these two: for s390x the newer one needs a newer glibc, for x86-64 it does not.
        let (was, is) = (old.glibc(), new.glibc());
        let floor = left.remove("floor GLIBC");
        match (machine, floor) {
            ("s390x", Some(floor)) => {
                ensure!((was.as_slice(), is.as_slice()) == (&[2, 15], &[2, 16]), "{was:?} {is:?}");
                ensure!(floor["old"] == dotted(&was) && floor["new"] == dotted(&is), "{floor}");
                ensure!(floor["regression"].is_string(), "a newer glibc is a regression: {floor}");
            }
            ("x86_64", None) => ensure!(was == is && was == [2, 17], "{was:?} {is:?}"),
            (_, floor) => bail!("{floor:?}"),
        }
        ensure!(left.is_empty(), "more changes than readelf shows: {left:?}");

        let code = |old: &Path, new: &Path| anyhow::Ok(run(old, new, &["--fail-on-regression"])?.0);
        ensure!(code(&at("old"), &at("new"))? == Some(i32::from(machine == "s390x")));
        ensure!(code(&at("new"), &at("old"))? == Some(0), "back to the old one nothing is worse");
        ensure!(code(&at("new"), &new_wheel)? == Some(0));
        Ok(())
    }
}
