//! Hostile files: whatever the bytes are, the reader and the judge answer, soon and in little memory.
//!
//! Each trial takes sound files of one machine, real ones where the machine has some, and changes or truncates them.
//! A case depends on the seed and its number alone; a failure says how to run it again. `HOSTILE_SEED` is a number;
//! `HOSTILE_CASES` is how many a trial takes, or `A..B`: those alone. Should the process die, of memory perhaps, then
//! `target/tmp/hostile/` holds the case that each trial was at.

#[cfg(not(unix))]
fn main() {} // the input is Debian's own files

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
#[path = "support"]
mod support {
    pub mod bombs;
    pub mod elf;
    pub mod hex;
    pub mod mutate;
    pub mod random;
}

#[cfg(unix)]
mod unix {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs::{self, File};
    use std::ops::Range;
    use std::os::unix::fs::FileExt as _;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};
    use std::sync::{LazyLock, Mutex};
    use std::time::{Duration, Instant};

    use anyhow::{Context, bail, ensure};
    use cargo_compat::artifact::{
        Artifact, Depth, Examined, More, Pick, ReadError, Symbol, Symbols, VersionNeed, examine_bytes,
        examine_bytes_by,
    };
    use cargo_compat::judge::{Input, Scope, judge, symbols_wanted};
    use cargo_compat::lints::Reading;
    use cargo_compat::loader::{self, Bind, Family, Root, load};
    use cargo_compat::policy::{Name, Policy, Source, parse};
    use libtest_mimic::{Arguments, Failed, Trial};

    use crate::support::bombs;
    use crate::support::elf::Elf;
    use crate::support::mutate::Subject;
    use crate::support::random::Random;

    /// Times six machines: more than the 100,000 cases that CI is to run.
    const CASES: usize = 18_000;
    const SEED: u64 = 0x00c0_ffee;
    /// Every one is judged by the reader; judging by a policy is slow without optimisation, so every nth only.
    const JUDGED: usize = 8;
    /// A case takes well under a millisecond. This is for machines that do something else meanwhile.
    const MOST_TIME: Duration = Duration::from_secs(5);
    /// Names may have 64 MiB together, by the reader's own limit.
    const MOST_MEMORY: u64 = 64 << 20;
    /// The file itself, its tables as they are read, and the facts made of them.
    const MEMORY_PER_BYTE: u64 = 8;

    /// Small files of Debian's libc6, libc6-s390x-cross and libc6-ppc64el-cross.
    /// The machine as it is called by Rust and by our writer, and files.
    const REAL: [(&str, &str, &[&str]); 3] = [
        (
            "x86_64",
            "x86-64",
            &[
                "/usr/lib/x86_64-linux-gnu/libmemusage.so",
                "/usr/lib/x86_64-linux-gnu/libanl.so.1",
                "/usr/lib/x86_64-linux-gnu/libnss_hesiod.so.2",
                "/usr/bin/zdump",
            ],
        ),
        (
            "s390x",
            "s390x",
            &[
                "/usr/s390x-linux-gnu/lib/libmemusage.so",
                "/usr/s390x-linux-gnu/lib/libanl.so.1",
                "/usr/s390x-linux-gnu/lib/libnss_hesiod.so.2",
            ],
        ),
        (
            "powerpc64le",
            "ppc64le",
            &[
                "/usr/powerpc64le-linux-gnu/lib/libmemusage.so",
                "/usr/powerpc64le-linux-gnu/lib/libanl.so.1",
                "/usr/powerpc64le-linux-gnu/lib/libnss_hesiod.so.2",
            ],
        ),
    ];
    /// 32-bit machines, little and big-endian, of which Debian's amd64 has no files.
    const WRITTEN: [&str; 3] = ["i386", "arm", "mips"];
    /// What the writer can write, for every machine.
    const EVERYTHING: &str = include_str!("../fuzz/seeds/elf/everything.toml");

    static POLICY: LazyLock<Policy> = LazyLock::new(|| {
        let text = include_str!("../fuzz/seeds/policy/everything.toml").to_owned();
        parse(Source { path: "compat.toml".into(), text }).expect("the policy has no problem")
    });

    pub fn main() -> anyhow::Result<ExitCode> {
        let arguments = Arguments::from_args();
        let plan = Plan::from_environment()?;
        let mut trials = Vec::new();
        for (machine, written_as, paths) in REAL {
            let missing = paths.iter().find(|path| !Path::new(path).is_file());
            let name = format!("changed_files_of_{machine}");
            match missing {
                Some(path) => trials.push(ignored(name, format!("needs {path}"))),
                // Small real files are libraries: a program is written.
                None => trials.push(plan.trial(name, move || {
                    let program = ["gnu", "both"].into_iter().map(|hash| written(written_as, hash));
                    paths.iter().map(|path| real(path)).chain(program).collect()
                })),
            }
        }
        for machine in WRITTEN {
            let subjects = move || ["gnu", "both"].into_iter().map(|hash| written(machine, hash)).collect();
            trials.push(plan.trial(format!("changed_files_of_{machine}"), subjects));
        }
        trials.push(plan.truncations());
        for (what, bytes) in bombs::ALL {
            let name = format!("little_that_asks_for_much::{what}");
            trials.push(Trial::test(name.clone(), move || {
                Run::new(&name, String::new())?.case(0, what, bytes())
            }));
        }
        trials.push(Trial::test("names_are_escaped_in_every_format", || Ok(names_are_escaped()?)));
        watch();
        // What a caught panic says is in the failure.
        std::panic::set_hook(Box::new(|_| {}));
        Ok(libtest_mimic::run(&arguments, trials).exit_code())
    }

    fn ignored(name: String, reason: String) -> Trial {
        if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") {
            return Trial::test(name, || Err(reason.into()));
        }
        Trial::test(name, || Ok(())).with_kind(format!("ignored: {reason}")).with_ignored_flag(true)
    }

    fn real(path: &str) -> anyhow::Result<Subject> {
        Ok(Subject::new(path, fs::read(path).with_context(|| format!("cannot read {path}"))?))
    }

    fn written(machine: &str, hash: &str) -> anyhow::Result<Subject> {
        let description = format!("machine = '{machine}'\nhash = '{hash}'\nsections = true\n{EVERYTHING}");
        let bytes = toml::from_str::<Elf>(&description)?.to_bytes()?;
        Ok(Subject::new(&format!("{machine} {hash}"), bytes))
    }

    #[derive(Debug, Clone)]
    struct Plan {
        seed: u64,
        cases: Range<usize>,
    }

    impl Plan {
        fn from_environment() -> anyhow::Result<Self> {
            let number = |text: &str| text.parse().with_context(|| format!("`{text}` is no number"));
            let seed = std::env::var("HOSTILE_SEED").ok();
            let seed = seed.map_or(Ok(SEED), |text| text.parse()).context("HOSTILE_SEED is a number")?;
            let cases = match std::env::var("HOSTILE_CASES")
                .ok()
                .as_deref()
                .map(|text| text.split_once("..").ok_or(text))
            {
                None => 0..CASES,
                Some(Err(most)) => 0..number(most)?,
                Some(Ok((start, end))) => number(start)?..number(end)?,
            };
            Ok(Self { seed, cases })
        }

        fn trial(
            &self,
            name: String,
            subjects: impl FnOnce() -> anyhow::Result<Vec<Subject>> + Send + 'static,
        ) -> Trial {
            let Self { seed, cases } = self.clone();
            Trial::test(name.clone(), move || {
                let subjects = subjects()?;
                for subject in &subjects {
                    // The header, its identification, the program headers twice, and more than that.
                    ensure_failed(subject.group_count() > 8, || {
                        format!("{} was not understood", subject.name)
                    })?;
                    sound(subject)?;
                }
                let mut run = Run::new(&name, format!("HOSTILE_SEED={seed} "))?;
                for case in cases {
                    let mut random = Random::new(seed, &name, case);
                    let subject = &subjects[case % subjects.len()];
                    let bytes = subject.mutated(&mut random);
                    run.case(case, &subject.name, bytes)?;
                }
                Ok(())
            })
        }

        /// Every length of a small file of each machine.
        fn truncations(&self) -> Trial {
            let name = "truncated_files";
            Trial::test(name, move || {
                let mut run = Run::new(name, String::new())?;
                let mut case = 0;
                for machine in ["x86-64", "s390x", "ppc64le", "i386", "arm", "mips"] {
                    let subject = written(machine, "both")?;
                    for len in 0..subject.bytes.len() {
                        run.case(
                            case,
                            &format!("{} cut to {len}", subject.name),
                            subject.bytes[..len].to_vec(),
                        )?;
                        case += 1;
                    }
                }
                Ok(())
            })
        }
    }

    fn ensure_failed(holds: bool, message: impl FnOnce() -> String) -> Result<(), Failed> {
        if holds { Ok(()) } else { Err(message().into()) }
    }

    /// A change of what nobody understands would prove nothing.
    fn sound(subject: &Subject) -> Result<(), Failed> {
        match examine_bytes(subject.bytes.clone(), Depth::Symbols) {
            Ok(Examined::Elf(facts)) => {
                let known = facts.symbols.as_ref().map_or(0, |symbols| symbols.known().len());
                ensure_failed(known > 0 && !facts.needed.is_empty(), || format!("{}: no facts", subject.name))
            }
            other => Err(format!("{}: {other:?}", subject.name).into()),
        }
    }

    /// What a trial is at, for the watch.
    #[derive(Debug, Clone)]
    struct Current {
        trial: String,
        case: String,
        since: Instant,
    }

    static CURRENT: Mutex<Vec<Current>> = Mutex::new(Vec::new());

    fn current() -> std::sync::MutexGuard<'static, Vec<Current>> {
        CURRENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A case without end cannot be stopped from outside its thread; so the whole run ends, and says of which.
    #[expect(clippy::print_stderr, reason = "nobody else is left to say it")]
    fn watch() {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(200));
                if let Some(late) = current().iter().find(|current| current.since.elapsed() > MOST_TIME) {
                    eprintln!("\n{}: {} takes more than {MOST_TIME:?}", late.trial, late.case);
                    std::process::exit(101);
                }
            }
        });
    }

    /// One trial's cases.
    struct Run {
        trial: String,
        environment: String,
        /// The case that it is at, should the process not live to tell.
        note: File,
        folder: PathBuf,
    }

    impl Run {
        fn new(trial: &str, environment: String) -> anyhow::Result<Self> {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
            fs::create_dir_all(&folder)?;
            let note = File::create(folder.join(format!("{trial}.case")))?;
            Ok(Self { trial: trial.to_owned(), environment, note, folder })
        }

        fn case(&mut self, case: usize, subject: &str, bytes: Vec<u8>) -> Result<(), Failed> {
            let again = format!(
                "case {case}, of {subject}\n  {}HOSTILE_CASES={case}..{} cargo test --test hostile -- {}",
                self.environment,
                case + 1,
                self.trial
            );
            self.note.write_all_at(format!("{again:<400}\n").as_bytes(), 0)?;
            current().push(Current { trial: self.trial.clone(), case: again.clone(), since: Instant::now() });
            let outcome = limited(&bytes, case.is_multiple_of(JUDGED));
            current().retain(|current| current.trial != self.trial);
            outcome.map_err(|why| {
                let file = self.folder.join(format!("{}-{case}", self.trial));
                let kept = match fs::write(&file, &bytes) {
                    Ok(()) => format!("the file is {}", file.display()),
                    Err(error) => format!("the file could not be kept: {error}"),
                };
                format!("{why}\n  {again}\n  {kept}").into()
            })
        }
    }

    /// Runs one case; says what it did that it must not.
    fn limited(bytes: &[u8], judged: bool) -> Result<(), String> {
        let mut outcome = Ok(Ok(()));
        let used = allocation_counter::measure(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| one(bytes, judged)));
        });
        match outcome {
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                return Err(format!("it panics: {text}"));
            }
            Ok(outcome) => outcome?,
        }
        let most = MOST_MEMORY + MEMORY_PER_BYTE * bytes.len() as u64;
        match used.bytes_max {
            used if used > most => Err(format!("it takes {used} bytes of memory; {most} would be fine")),
            _ => Ok(()),
        }
    }

    fn one(bytes: &[u8], judged: bool) -> Result<(), String> {
        let needs = examine_bytes(bytes.to_vec(), Depth::Needs);
        let mut symbols = examine_bytes(bytes.to_vec(), Depth::Symbols);
        if judged {
            judge_as_file(&needs, bytes);
        }
        if let Ok(Examined::Elf(facts)) = &mut symbols {
            serde_json::to_writer(std::io::sink(), &facts).map_err(|error| error.to_string())?;
            if let Some(Symbols::All(all)) = facts.symbols.take()
                && judged
            {
                some_are_of_all(bytes, facts, &all)?;
            }
        }
        let (needs, symbols) = (format!("{needs:?}"), format!("{symbols:?}"));
        if needs == symbols {
            return Ok(());
        }
        Err(format!("what is no symbol depends on how deep it is read:\n  {needs}\n  {symbols}"))
    }

    /// Where all symbols can be read, those of some versions are the same ones.
    fn some_are_of_all(bytes: &[u8], facts: &Artifact, all: &[Symbol]) -> Result<(), String> {
        // As symbols know them: of two needs with one index the last.
        let by_index: BTreeMap<u16, &VersionNeed> =
            facts.version_needs.iter().map(|need| (need.index, need)).collect();
        let wanted: BTreeSet<u16> = by_index.keys().copied().filter(|index| index % 2 == 0).collect();
        let key = |need: &&VersionNeed| (need.file.clone(), need.version.clone());
        let keys: BTreeSet<_> = wanted.iter().map(|index| key(&by_index[index])).collect();
        let others: BTreeSet<_> = by_index.values().map(key).filter(|key| !keys.contains(key)).collect();
        let symbols = Pick::OfVersions(wanted);
        let some = examine_bytes_by(bytes.to_vec(), |_| More { symbols: symbols.clone(), bindings: false });
        let some = match some {
            Ok(Examined::Elf(facts)) => facts.symbols,
            other => return Err(format!("not readable for some symbols: {other:?}")),
        };
        let Some(Symbols::OfVersions(some)) = some else { return Err(format!("{symbols:?}: {some:?}")) };
        // Two indices may stand for one version, and one of them be wanted.
        let carries = |symbol: &&Symbol| {
            symbol.file.clone().zip(symbol.version.clone()).is_some_and(|carried| keys.contains(&carried))
        };
        let expected: Vec<&Symbol> = all.iter().filter(carries).collect();
        let alike = by_index.len() == keys.len() + others.len();
        if alike && format!("{some:?}") != format!("{expected:?}") {
            return Err(format!("{symbols:?}: {some:?}\n  instead of {expected:?}"));
        }
        Ok(())
    }

    fn judge_as_file(needs: &Result<Examined, ReadError>, bytes: &[u8]) {
        let name = Name::of_file("libhostile.so.1");
        let Ok(Examined::Elf(facts)) = needs else { return };
        let triples: Vec<String> = triples(facts).map(str::to_owned).to_vec();
        let more = |facts: &Artifact| More {
            symbols: symbols_wanted(&POLICY, &name, &triples, facts),
            bindings: true,
        };
        let facts = match examine_bytes_by(bytes.to_vec(), more) {
            Ok(Examined::Elf(facts)) => facts,
            other => panic!("readable without its symbols, and with them {other:?}"),
        };
        let nothing = Root::of_folders("/nowhere", Family::Glibc { release: None }, Vec::new());
        let verdict = loader::Subject::new("/app/libhostile.so.1", &facts)
            .map(|subject| load(&subject, &nothing, Bind::Everything));
        let input = Input {
            name,
            path: "libhostile.so.1".into(),
            verdict,
            object: std::sync::OnceLock::new(),
            platforms: Vec::new(),
            reading: Reading::Facts(facts),
            role: None,
            from_cargo: false,
            stale: None,
            compiler_flags: Vec::new(),
            undefs: Vec::new(),
            triples,
        };
        let today = "2026-11-20".parse().expect("a date");
        // `Err`: the policy is not for this file's machine.
        let _ = judge(&POLICY, &[input], &Scope::default(), today);
    }

    fn triples(facts: &Artifact) -> [&'static str; 1] {
        match facts.arch.machine {
            22 => ["s390x-unknown-linux-gnu"],
            21 => ["powerpc64le-unknown-linux-gnu"],
            3 => ["i686-unknown-linux-gnu"],
            40 => ["armv7-unknown-linux-gnueabihf"],
            _ => ["x86_64-unknown-linux-gnu"],
        }
    }

    /// Escape sequences of both kinds, a bell, newlines of three kinds, marks that turn the direction, what looks like
    /// markup, a diagnostic, or a command to a build service.
    const HOSTILE: &str = "x\\u001b[2J\\u009b31m\\u0007\\r\\n\\u2028::error::\\u202e ::error::a ##vso[task.b]c\\u2066`</td>\\u200b\\nerror[fake]: y";

    /// A file in which every name is hostile, held against policies that make each of them be said.
    fn names_are_escaped() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let description = format!(
            r#"
            interpreter = "/lib/{HOSTILE}"
            needed = ["lib{HOSTILE}.so"]
            soname = "so{HOSTILE}"
            runpath = "/home/{HOSTILE}"
            rpath = "rpath{HOSTILE}"
            dlopen = ['[{{"soname":["{HOSTILE}"],"priority":"required","description":"{HOSTILE}"}}]', "{HOSTILE}"]
            version-needs = [{{ file = "lib{HOSTILE}.so", nodes = [{{ name = "GLIBC_{HOSTILE}" }}, {{ name = "GLIBC_2.99" }}] }}]
            version-definitions = ["base{HOSTILE}", "OWN_{HOSTILE}"]
            symbols = [{{ name = "sym{HOSTILE}", version = "GLIBC_2.99" }}]
            "#
        );
        let bytes = toml::from_str::<Elf>(&description)?.to_bytes()?;
        let name: String = toml::from_str::<toml::Table>(&format!("name = \"{HOSTILE}\""))?["name"]
            .as_str()
            .context("a string")?
            .replace('/', "_");
        fs::write(folder.path().join(&name), bytes)?;
        fs::write(folder.path().join("broken\u{1b}[1m\n"), b"\x7fELF\x02\x01\x01")?;
        let policies = [
            "glibc = '2.17'\nlibraries = []\n[lints]\nrun_path_present = 'deny'\n",
            "linkage = 'static'\nglibc = '2.17'\n",
        ];
        for policy in policies {
            fs::write(folder.path().join("compat.toml"), policy)?;
            for format in ["human", "short", "json"] {
                for arguments in [
                    &["check", "--artifact", "."] as &[&str],
                    &["show", "--facts", &name],
                    &["show", "--platform", "debian-12", &name],
                ] {
                    if format == "short" && arguments.contains(&"--facts") {
                        continue;
                    }
                    let output = Command::new(env!("CARGO_BIN_EXE_cargo-compat"))
                        .arg("compat")
                        .args(arguments)
                        .args(["--message-format", format])
                        .current_dir(folder.path())
                        .env_remove("CARGO_TERM_COLOR")
                        .output()?;
                    let said = [output.stdout, output.stderr].map(String::from_utf8);
                    let [out, err] = said;
                    let (out, err) = (out?, err?);
                    ensure!(out.len() > 100, "{arguments:?} says nothing: {out}{err}");
                    if format == "json" {
                        ensure!(out.lines().count() == 1, "{arguments:?}: more than one line of JSON");
                        let json: serde_json::Value = serde_json::from_str(&out)?;
                        ensure!(json.to_string().len() > 100);
                    } else {
                        is_safe(&out)?;
                    }
                    is_safe(&err)?;
                }
            }
        }
        Ok(())
    }

    fn is_safe(text: &str) -> anyhow::Result<()> {
        for line in text.split('\n') {
            let unsafe_one = line.chars().find(|c| {
                c.is_control()
                    || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            });
            if let Some(character) = unsafe_one {
                bail!("{character:?} is shown as it is: {line:?}");
            }
            let start = line.trim_start();
            ensure!(
                !start.starts_with("error[fake]") && !start.starts_with("::") && !line.contains("##"),
                "a name begins a line: {line:?}"
            );
        }
        Ok(())
    }
}
