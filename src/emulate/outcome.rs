//! What the end of a program means: pure judgement of an exit status and of
//! what was written.

use serde::{Deserialize, Serialize};

use super::plan::End;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    Passed,
    /// The interpreter is not in the root.
    LoaderMissing {
        interpreter: String,
    },
    /// The loader reports one at a time (fact 19).
    LibraryNotFound {
        name: String,
    },
    /// The loader reports all of them.
    VersionNotFound {
        versions: Vec<MissingVersion>,
    },
    SymbolNotFound {
        symbol: String,
        version: Option<String>,
        object: String,
    },
    /// Whatever else the loader says before the program begins.
    LoaderRefused {
        message: String,
    },
    IllegalInstruction,
    Killed {
        signal: i32,
    },
    TimedOut {
        seconds: u64,
    },
    TestsFailed {
        tests: Vec<String>,
    },
    /// An exit code that means failure.
    Failed {
        code: i32,
    },
    /// It failed, and a program that it starts could not be started.
    ChildNotStarted {
        program: String,
    },
    /// The kernel did not start it: the error's number, and what it means.
    NotStarted {
        errno: i32,
        message: String,
    },
}

impl Outcome {
    /// Whether the loader itself ended the program, before its first own
    /// instruction or at a symbol.
    pub fn is_of_loader(&self) -> bool {
        matches!(
            self,
            Self::LoaderMissing { .. }
                | Self::LibraryNotFound { .. }
                | Self::VersionNotFound { .. }
                | Self::SymbolNotFound { .. }
                | Self::LoaderRefused { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MissingVersion {
    pub version: String,
    /// The library that lacks it, as a path of the root.
    pub library: String,
    pub required_by: String,
}

/// What libtest counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// `test result: ok. 5 passed; 0 failed; 0 ignored; …`, summed; `None`: no such line.
pub fn counts(stdout: &str) -> Option<Counts> {
    let mut all: Option<Counts> = None;
    for line in stdout.lines() {
        let Some((_, rest)) = line.split_once("test result: ") else { continue };
        let number = |word: &str| {
            let before = rest.split(&format!(" {word}")).next()?;
            before.rsplit(' ').next()?.parse().ok()
        };
        if let (Some(passed), Some(failed), Some(ignored)) =
            (number("passed"), number("failed"), number("ignored"))
        {
            all.get_or_insert_default().add(Counts { passed, failed, ignored });
        }
    }
    all
}

/// The tests that libtest says failed, in its order: a line each, and once more
/// at the end, where `--quiet` writes only that.
pub fn failed_tests(stdout: &str) -> Vec<String> {
    let lines = stdout.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    // Harnesses that speak as libtest does pad the names, and put a kind before them: `[fixture] name`.
    let bare = |name: &str| {
        let name = name.trim().trim_end_matches(" - should panic");
        name.strip_prefix('[')
            .and_then(|rest| rest.split_once("] "))
            .map_or(name, |(_, name)| name.trim())
            .to_owned()
    };
    let mut names: Vec<String> = lines.map(bare).collect();
    let mut listed = false;
    for line in stdout.lines() {
        match line.strip_prefix("    ") {
            Some(name) if listed => {
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
            // The first such heading is that of what they wrote.
            _ => listed = line == "failures:",
        }
    }
    names
}

const SIGILL: i32 = 4;

/// `is_test`: it is a test, so an exit code is about tests.
pub fn judge(end: &End, stdout: &str, stderr: &str, is_test: bool) -> Outcome {
    if let Some(outcome) = by_loader(end, stderr) {
        return outcome;
    }
    match end {
        End::Exited(0) => Outcome::Passed,
        End::Exited(_) if is_test => Outcome::TestsFailed { tests: failed_tests(stdout) },
        End::Exited(code) => Outcome::Failed { code: *code },
        End::Signal(SIGILL) => Outcome::IllegalInstruction,
        End::Signal(signal) => Outcome::Killed { signal: *signal },
        End::TimedOut(seconds) => Outcome::TimedOut { seconds: *seconds },
        End::NotStarted(errno) => Outcome::NotStarted {
            errno: *errno,
            message: std::io::Error::from_raw_os_error(*errno).to_string(),
        },
    }
}

/// The loader speaks on standard error and exits with 1 (versions) or 127
/// (glibc, elf/dl-catch.c and elf/rtld.c; musl, ldso/dynlink.c: always 127),
/// QEMU with 255 where it finds no loader (fact 31).
fn by_loader(end: &End, stderr: &str) -> Option<Outcome> {
    let End::Exited(code @ (1 | 127 | 255)) = end else { return None };
    if *code == 255 {
        return stderr.lines().find_map(missing_loader);
    }
    let versions: Vec<MissingVersion> = stderr.lines().filter_map(missing_version).collect();
    if *code == 1 && !versions.is_empty() {
        return Some(Outcome::VersionNotFound { versions });
    }
    if *code != 127 {
        return None;
    }
    stderr.lines().find_map(|line| library(line).or_else(|| symbol(line)).or_else(|| refusal(line)))
}

/// `qemu-s390x: Could not open '/lib/ld64.so.1': No such file or directory`
fn missing_loader(line: &str) -> Option<Outcome> {
    let (qemu, rest) = line.split_once(": Could not open '")?;
    let interpreter = rest.split('\'').next()?.to_owned();
    qemu.contains("qemu-").then_some(Outcome::LoaderMissing { interpreter })
}

/// ``PROGRAM: /lib/libc.so.6: version `GLIBC_2.38' not found (required by PROGRAM)``
fn missing_version(line: &str) -> Option<MissingVersion> {
    let (before, rest) = line.split_once(": version `")?;
    let (version, after) = rest.split_once("' not found (required by ")?;
    Some(MissingVersion {
        version: version.to_owned(),
        library: before.rsplit(": ").next()?.to_owned(),
        required_by: after.trim_end().strip_suffix(')')?.to_owned(),
    })
}

/// `PROGRAM: error while loading shared libraries: libx.so.1: cannot open
/// shared object file: No such file or directory`, or musl's words for it.
fn library(line: &str) -> Option<Outcome> {
    if let Some((_, rest)) = line.split_once("error while loading shared libraries: ") {
        let (name, why) = rest.split_once(": ")?;
        return (why.starts_with("cannot open shared object file") && why.contains("No such file"))
            .then(|| Outcome::LibraryNotFound { name: name.to_owned() });
    }
    let rest = line.strip_prefix("Error loading shared library ")?;
    let (name, why) = rest.split_once(": ")?;
    why.starts_with("No such file").then(|| Outcome::LibraryNotFound { name: name.to_owned() })
}

/// `PROGRAM: symbol lookup error: OBJECT: undefined symbol: NAME, version V`,
/// or musl's `Error relocating OBJECT: NAME: symbol not found`.
fn symbol(line: &str) -> Option<Outcome> {
    if let Some((_, rest)) = line.split_once("symbol lookup error: ") {
        let (object, rest) = rest.split_once(": undefined symbol: ")?;
        let (symbol, version) = match rest.split_once(", version ") {
            Some((symbol, version)) => (symbol, Some(version.trim_end().to_owned())),
            None => (rest, None),
        };
        return Some(Outcome::SymbolNotFound {
            symbol: symbol.trim_end().to_owned(),
            version,
            object: object.to_owned(),
        });
    }
    let (object, rest) = line.strip_prefix("Error relocating ")?.split_once(": ")?;
    let symbol = rest.strip_suffix(": symbol not found")?;
    Some(Outcome::SymbolNotFound { symbol: symbol.to_owned(), version: None, object: object.to_owned() })
}

fn refusal(line: &str) -> Option<Outcome> {
    let loader = [
        "error while loading shared libraries: ",
        "Inconsistency detected by ld.so: ",
        "Error loading shared library ",
    ];
    let at = loader.iter().find_map(|words| line.find(words))?;
    Some(Outcome::LoaderRefused { message: line[at..].trim_end().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(end: End, stderr: &str) -> Outcome {
        judge(&end, "", stderr, false)
    }

    // Fact 31: each is another outcome.
    #[test]
    fn what_loaders_say() {
        assert_eq!(
            outcome(
                End::Exited(255),
                "qemu-s390x: Could not open '/lib/ld64.so.1': No such file or directory\n"
            ),
            Outcome::LoaderMissing { interpreter: "/lib/ld64.so.1".into() }
        );
        assert_eq!(
            outcome(
                End::Exited(127),
                "/b/p: error while loading shared libraries: libgcc_s.so.1: cannot open shared object file: No such file or directory\n"
            ),
            Outcome::LibraryNotFound { name: "libgcc_s.so.1".into() }
        );
        let versions = "/b/p: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /b/p)\n/b/p: /lib/libc.so.6: version `GLIBC_2.39' not found (required by /b/l.so)\n";
        let missing = |version: &str, required_by: &str| MissingVersion {
            version: version.into(),
            library: "/lib/libc.so.6".into(),
            required_by: required_by.into(),
        };
        assert_eq!(
            outcome(End::Exited(1), versions),
            Outcome::VersionNotFound {
                versions: vec![missing("GLIBC_2.38", "/b/p"), missing("GLIBC_2.39", "/b/l.so")]
            }
        );
        assert_eq!(
            outcome(
                End::Exited(127),
                "/b/p: symbol lookup error: /b/l.so: undefined symbol: f, version V_1\n"
            ),
            Outcome::SymbolNotFound {
                symbol: "f".into(),
                version: Some("V_1".into()),
                object: "/b/l.so".into()
            }
        );
        assert_eq!(
            outcome(
                End::Exited(127),
                "/b/p: error while loading shared libraries: /b/l.so: file too short\n"
            ),
            Outcome::LoaderRefused {
                message: "error while loading shared libraries: /b/l.so: file too short".into()
            }
        );
        assert_eq!(
            outcome(
                End::Exited(127),
                "Error loading shared library libz.so: No such file or directory (needed by /p)\n"
            ),
            Outcome::LibraryNotFound { name: "libz.so".into() }
        );
        assert_eq!(
            outcome(End::Exited(127), "Error relocating /p: f: symbol not found\n"),
            Outcome::SymbolNotFound { symbol: "f".into(), version: None, object: "/p".into() }
        );
    }

    // A program that only says such words, or exits so, has not met the loader.
    #[test]
    fn what_only_looks_like_the_loader() {
        let words = "x: error while loading shared libraries: l: cannot open shared object file: No such file or directory";
        assert_eq!(outcome(End::Exited(0), words), Outcome::Passed);
        assert_eq!(outcome(End::Exited(2), words), Outcome::Failed { code: 2 });
        assert_eq!(outcome(End::Exited(127), "no such command"), Outcome::Failed { code: 127 });
        assert_eq!(outcome(End::Exited(255), "x: Could not open '/etc/x'"), Outcome::Failed { code: 255 });
    }

    #[test]
    fn other_ends() {
        assert_eq!(outcome(End::Signal(4), ""), Outcome::IllegalInstruction);
        assert_eq!(outcome(End::Signal(11), ""), Outcome::Killed { signal: 11 });
        assert_eq!(outcome(End::TimedOut(3), ""), Outcome::TimedOut { seconds: 3 });
        assert!(matches!(judge(&End::Exited(101), "", "", true), Outcome::TestsFailed { .. }));
    }

    #[test]
    fn libtests_lines() {
        let text = "test a ... ok\ntest b::c ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(counts(text), Some(Counts { passed: 1, failed: 1, ignored: 2 }));
        assert_eq!(failed_tests(text), ["b::c"]);
        let quiet = "F\nfailures:\n\n---- a::b stdout ----\n    x\n\n\nfailures:\n    a::b\n\ntest result: FAILED. 0 passed";
        assert_eq!(failed_tests(quiet), ["a::b"]);
        let padded = "test             area/name      ... FAILED\ntest [a kind]   area/other ... FAILED\n\nfailures:\n    area/name\n    area/other\n";
        assert_eq!(failed_tests(padded), ["area/name", "area/other"]);
        assert_eq!(counts("test result"), None);
    }
}
