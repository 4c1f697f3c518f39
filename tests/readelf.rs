//! Real files: what the reader says of them agrees with `readelf`, and does not change when their section
//! headers are gone.

#[cfg(not(unix))]
fn main() {} // Debian's own files are the input

#[cfg(unix)]
#[path = "support/real_files.rs"]
mod real_files;

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
mod unix {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};

    use anyhow::{Context, bail, ensure};
    use cargo_compat::artifact::{Artifact, Binding, Depth, Examined, Symbols, examine};
    use libtest_mimic::{Arguments, Failed, Trial};

    use crate::real_files::real_files;

    /// What the issue of the gate asks for.
    const ENOUGH: usize = 1000;
    /// Files whose symbols are compared, and that are read without section headers: every nth of all.
    const SAMPLE: usize = 5;

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let files = real_files();
        let lacks_readelf = Command::new("readelf").arg("--version").output().is_err();
        let reason = if lacks_readelf {
            Some("needs readelf".to_owned())
        } else if files.len() < ENOUGH {
            Some(format!("needs {ENOUGH} ELF files on this machine, found {}", files.len()))
        } else {
            None
        };
        let extension = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/fixtures/polars-runtime-32/_polars_runtime_32/_polars_runtime.abi3.so");
        let no_extension = (!extension.is_file()).then(|| "needs `cargo xtask fixtures`".to_owned());
        let sample: Vec<PathBuf> = files.iter().step_by(SAMPLE).cloned().collect();
        let large = vec![extension];
        let trials = vec![
            trial("needs_agree_with_readelf", reason.clone(), files, needs_agree),
            trial("symbols_agree_with_readelf", reason.clone(), sample.clone(), symbols_agree),
            trial("facts_need_no_section_headers", reason, sample, |files| {
                section_headers_do_not_matter(files)
            }),
            trial("a_large_python_extension", no_extension, large, |files| {
                needs_agree(files)?;
                symbols_agree(files)?;
                section_headers_do_not_matter(files)
            }),
        ];
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    fn trial(
        name: &str,
        missing: Option<String>,
        files: Vec<PathBuf>,
        test: fn(&[PathBuf]) -> anyhow::Result<()>,
    ) -> Trial {
        let fail = |error: anyhow::Error| Failed::from(format!("{error:#}"));
        match missing {
            Some(reason) if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") => {
                Trial::test(name, move || Err(reason.into()))
            }
            Some(reason) => Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true),
            None => Trial::test(name, move || test(&files).map_err(fail)),
        }
    }

    fn facts(path: &Path) -> anyhow::Result<Artifact> {
        match examine(path, Depth::Symbols) {
            Ok(Examined::Elf(facts)) => Ok(*facts),
            Ok(Examined::Other(format)) => bail!("{} was taken for a {format}", path.display()),
            Err(error) => bail!("{}: {error}", path.display()),
        }
    }

    /// What both sides say of one file's needs.
    #[derive(Debug, Default, PartialEq)]
    struct Needs {
        interpreter: Option<String>,
        needed: Vec<String>,
        soname: Option<String>,
        rpath: Option<String>,
        runpath: Option<String>,
        versions: BTreeSet<(String, String, bool)>,
    }

    impl Needs {
        fn of(facts: &Artifact) -> Self {
            let joined = |path: &[String]| (!path.is_empty()).then(|| path.join(":"));
            let versions = facts.version_needs.iter();
            Self {
                interpreter: facts.interpreter.clone(),
                needed: facts.needed.clone(),
                soname: facts.soname.clone(),
                rpath: joined(&facts.rpath),
                runpath: joined(&facts.runpath),
                versions: versions.map(|need| (need.file.clone(), need.version.clone(), need.weak)).collect(),
            }
        }
    }

    /// `readelf` on many files at once, its text cut into files.
    fn readelf(arguments: &[&str], files: &[PathBuf]) -> anyhow::Result<BTreeMap<PathBuf, Vec<String>>> {
        let mut by_file = BTreeMap::new();
        for some in files.chunks(200) {
            // A lone file goes without its "File:" line, hence an empty one beside it.
            let output = Command::new("readelf")
                .args(arguments)
                .args(some)
                .arg("/dev/null")
                .env("LC_ALL", "C")
                .output()
                .context("readelf")?;
            let mut lines: Option<&mut Vec<String>> = None;
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                if let Some(file) = line.strip_prefix("File: ") {
                    lines = Some(by_file.entry(PathBuf::from(file)).or_default());
                } else if let Some(lines) = lines.as_mut() {
                    lines.push(line.to_owned());
                }
            }
        }
        Ok(by_file)
    }

    fn needs_by_readelf(lines: &[String]) -> Needs {
        let mut needs = Needs::default();
        let mut file = String::new();
        let mut in_needs = false;
        for line in lines {
            let bracketed =
                || line.rsplit_once(": [").and_then(|(_, rest)| rest.strip_suffix(']')).map(str::to_owned);
            if let Some((_, rest)) = line.split_once("[Requesting program interpreter: ") {
                needs.interpreter = rest.strip_suffix(']').map(str::to_owned);
            } else if line.contains(" (NEEDED) ") {
                needs.needed.extend(bracketed());
            } else if line.contains(" (SONAME) ") {
                needs.soname = bracketed();
            } else if line.contains(" (RPATH) ") {
                needs.rpath = bracketed();
            } else if line.contains(" (RUNPATH) ") {
                needs.runpath = bracketed();
            } else if line.starts_with("Version ") {
                in_needs = line.starts_with("Version needs section");
            } else if in_needs && line.contains("  File: ") {
                let rest = line.split_once("  File: ").map_or("", |(_, rest)| rest);
                file = rest.split("  Cnt: ").next().unwrap_or_default().to_owned();
            } else if in_needs && line.contains("  Name: ") {
                let rest = line.split_once("  Name: ").map_or("", |(_, rest)| rest);
                let mut parts = rest.split("  ").filter(|part| !part.is_empty());
                let name = parts.next().unwrap_or_default().trim().to_owned();
                let weak = rest.contains("Flags: WEAK") || rest.contains("| WEAK");
                needs.versions.insert((file.clone(), name, weak));
            }
        }
        needs
    }

    fn needs_agree(files: &[PathBuf]) -> anyhow::Result<()> {
        let told = readelf(&["-d", "-l", "-V", "-W"], files)?;
        let mut versioned = 0;
        for path in files {
            let lines =
                told.get(path).with_context(|| format!("readelf says nothing of {}", path.display()))?;
            let expected = needs_by_readelf(lines);
            versioned += usize::from(!expected.versions.is_empty());
            let found = Needs::of(&facts(path)?);
            ensure!(found == expected, "{}\nours:    {found:?}\nreadelf: {expected:?}", path.display());
        }
        // A reader of readelf's text that finds nothing would agree with anything.
        ensure!(versioned * 10 > files.len() * 8, "only {versioned} of {} files need versions", files.len());
        Ok(())
    }

    type Named = (String, bool, char);

    fn symbols_by_readelf(lines: &[String]) -> Vec<Named> {
        let rows = lines.iter().filter_map(|line| {
            let mut words = line.split_whitespace();
            let number = words.next()?.strip_suffix(':')?;
            number.parse::<u32>().ok().filter(|number| *number > 0)?;
            // STB_GNU_UNIQUE in a file whose OSABI is not GNU is `<OS specific>: 10`, in three words.
            let words: Vec<&str> = words.filter(|word| !matches!(*word, "<OS" | "specific>:")).collect();
            // readelf gives a section's symbol the section's name, which only a section header tells.
            if *words.get(2)? == "SECTION" {
                return None;
            }
            let binding = match words.get(3)?.chars().next()? {
                first if first.is_ascii_digit() => 'U',
                first => first,
            };
            // `[<localentry>: 8]` stands between visibility and section on ppc64le (fact 4).
            let is_section =
                |word: &&str| matches!(*word, "UND" | "ABS" | "COM") || word.parse::<u16>().is_ok();
            let section = 5 + words.get(5..)?.iter().position(is_section)?;
            let name = words.get(section + 1).copied().unwrap_or_default();
            Some((name.replace("@@", "@"), words[section] != "UND", binding))
        });
        rows.collect()
    }

    fn symbols_agree(files: &[PathBuf]) -> anyhow::Result<()> {
        let told = readelf(&["--dyn-syms", "-W"], files)?;
        let mut compared = 0;
        for path in files {
            let mut expected = symbols_by_readelf(told.get(path).map_or(&[][..], Vec::as_slice));
            let facts = facts(path)?;
            let Some(Symbols::All(symbols)) = &facts.symbols else {
                bail!("{}: {:?}", path.display(), facts.symbols);
            };
            let name = |name: &str, version: &Option<String>| match version {
                // The symbol of a version definition itself is shown bare.
                Some(version) if version != name => format!("{name}@{version}"),
                _ => name.to_owned(),
            };
            let mut found: Vec<Named> = symbols
                .iter()
                .filter(|symbol| symbol.kind != "section")
                .map(|symbol| {
                    let binding = match symbol.binding {
                        Binding::Local => 'L',
                        Binding::Global => 'G',
                        Binding::Weak => 'W',
                        Binding::Other => 'U',
                    };
                    (name(&symbol.name, &symbol.version), symbol.defined, binding)
                })
                .collect();
            expected.sort();
            found.sort();
            compared += found.len();
            if let Some((ours, theirs)) = found.iter().zip(&expected).find(|(ours, theirs)| ours != theirs) {
                bail!("{}: {ours:?}, readelf: {theirs:?}", path.display());
            }
            ensure!(
                found.len() == expected.len(),
                "{}: {} symbols, readelf: {}",
                path.display(),
                found.len(),
                expected.len()
            );
        }
        ensure!(compared > 100, "only {compared} symbols were compared");
        Ok(())
    }

    /// Fact 1: a copy whose section headers are zeroed gives the same facts.
    fn section_headers_do_not_matter(files: &[PathBuf]) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        for path in files {
            let copy = folder.path().join("copy");
            let mut bytes = fs::read(path)?;
            // e_shoff, and e_shnum with e_shstrndx, by class (ELF gABI, chapter 4).
            let (offset, numbers) =
                if bytes[4] == 2 { (0x28..0x30, 0x3c..0x40) } else { (0x20..0x24, 0x30..0x34) };
            bytes[offset].fill(0);
            bytes[numbers].fill(0);
            fs::write(&copy, bytes)?;
            let with = serde_json::to_value(facts(path)?)?;
            let without = serde_json::to_value(facts(&copy)?)?;
            if with != without {
                let differs: Vec<_> = with
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(key, value)| without.get(*key) != Some(*value))
                    .map(|(key, _)| key.clone())
                    .collect();
                bail!("{}: without section headers {differs:?} differ", path.display());
            }
        }
        Ok(())
    }
}
