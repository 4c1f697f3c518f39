//! The text that a case's runs leave, without what differs from one machine or minute to the next.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;

use super::case::Run;
use super::world::{Outcome, PROGRAM};

#[derive(Debug, Default)]
pub struct Transcript {
    text: String,
}

impl Transcript {
    pub fn push(&mut self, run: &Run, outcome: &Outcome) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str("$ ");
        if let Some(folder) = &run.cwd {
            let _ = write!(self.text, "cd {folder} && ");
        }
        for (name, value) in &run.env {
            let _ = write!(self.text, "{name}={} ", shell_words::quote(value));
        }
        match (&run.args, &run.command) {
            (Some(args), _) => self.line(&format!("cargo {args}")),
            (None, command) => self.line(command.as_deref().unwrap_or_default()),
        }
        self.block(&outcome.stdout);
        if !outcome.stderr.is_empty() {
            self.line("--- stderr");
            self.block(&outcome.stderr);
        }
        match (outcome.status.code(), outcome.status.signal()) {
            (Some(code), _) => self.line(&format!("--- exit: {code}")),
            (None, signal) => self.line(&format!("--- killed by signal {}", signal.unwrap_or_default())),
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn block(&mut self, bytes: &[u8]) {
        // Cargo says it where another cargo happens to run; whether that is so is no part of a case.
        const WAITING: &[u8] = b"    Blocking waiting for file lock on ";
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let bytes: Vec<u8> = lines.filter(|line| !line.starts_with(WAITING)).flatten().copied().collect();
        for chunk in bytes.utf8_chunks() {
            self.text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                let _ = write!(self.text, "[BYTE {byte:02x}]");
            }
        }
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            self.line("\n--- no newline at the end");
        }
    }

    /// `host`: given where the case asks to hide it.
    pub fn redacted(self, root: &str, host: Option<&str>) -> String {
        let mut text = self.text.replace(PROGRAM, "[EXE]").replace(root, "[ROOT]");
        if let Some(host) = host {
            text = text.replace(host, "[HOST]");
        }
        let text = redact_version(&text, env!("CARGO_PKG_VERSION"));
        let text = text.replace(&jiff::Zoned::now().date().to_string(), "[TODAY]");
        let text = replace_each(&text, "' (", |_, found| {
            // The number of a thread that panicked.
            let (number, _) = found["' (".len()..].split_once(") panicked")?;
            number
                .chars()
                .all(|c| c.is_ascii_digit())
                .then(|| ("' ([TID]".to_owned(), "' (".len() + number.len()))
        });
        redact_emulator(&redact_hashes(&redact_times(&text)))
    }
}

/// Our own version standing alone: `v0.1.0` and `#0.1.0` are how cargo writes those of a case's packages.
fn redact_version(text: &str, version: &str) -> String {
    replace_each(text, version, |before, found| {
        let rest = found.strip_prefix(version)?;
        let is_own = !before.ends_with(|c: char| c.is_alphanumeric() || "._-+#@".contains(c))
            && !rest.starts_with(|c: char| c.is_alphanumeric() || "_-+".contains(c))
            && !rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        is_own.then(|| ("[VERSION]".to_owned(), version.len()))
    })
}

/// `QEMU 7.2.22`, and how many features of a CPU it lacks: another one is another one's.
fn redact_emulator(text: &str) -> String {
    let number = |text: &str| text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let text = replace_each(text, "QEMU", |_, found| {
        // A line may have been broken between the two.
        let rest = found["QEMU".len()..].trim_start();
        let blank = &found["QEMU".len()..found.len() - rest.len()];
        let length = rest[..number(rest)].trim_end_matches('.').len();
        (rest.starts_with(|c: char| c.is_ascii_digit()) && !blank.is_empty())
            .then(|| (format!("QEMU{blank}[QEMU]"), "QEMU".len() + blank.len() + length))
    });
    replace_each(&text, "without ", |_, found| {
        let rest = &found["without ".len()..];
        let length = number(rest);
        (length > 0 && rest[length..].starts_with(" features"))
            .then(|| ("without [N]".to_owned(), "without ".len() + length))
    })
}

/// `in 0.12s`, `in 1m 02s`: cargo's, and those of the test programs it runs.
fn redact_times(text: &str) -> String {
    redact_times_after(&redact_times_after(text, "in "), "took ")
}

fn redact_times_after(text: &str, word: &str) -> String {
    replace_each(text, word, |before, found| {
        let rest = found.strip_prefix(word)?;
        let is_part = |c: char| c.is_ascii_digit() || ".ms ".contains(c);
        let time = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let end = time.find('s')?;
        let is_time = !before.ends_with(char::is_alphanumeric)
            && time.starts_with(|c: char| c.is_ascii_digit())
            && time[..end].ends_with(|c: char| c.is_ascii_digit());
        is_time.then(|| (format!("{word}[TIME]"), word.len() + end + 1))
    })
}

/// `hello-0123456789abcdef`: cargo's file names, and rustc's codegen units.
fn redact_hashes(text: &str) -> String {
    const HASH: &str = "-[HASH].";
    const UNIT: &str = ".rcgu.o";
    let text = replace_each(text, "-", |_, found| {
        let rest = &found[1..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let is_hash = length == 16 && rest[..length].chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        is_hash.then(|| ("-[HASH]".to_owned(), 1 + length))
    });
    replace_each(&text, HASH, |_, found| {
        let name = found.split([' ', '\n', '`', '"', '/']).next()?;
        let is_unit = name.len() > HASH.len() && name.ends_with(UNIT);
        is_unit.then(|| (format!("{HASH}[UNIT]{UNIT}"), name.len()))
    })
}

/// At each `start`: what replaces how many bytes from there, judged by the text before and from it on.
fn replace_each(text: &str, start: &str, judge: impl Fn(&str, &str) -> Option<(String, usize)>) -> String {
    let mut result = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(start) {
        if at < done {
            continue;
        }
        if let Some((replacement, length)) = judge(&text[..at], &text[at..]) {
            result.push_str(&text[done..at]);
            result.push_str(&replacement);
            done = at + length;
        }
    }
    result.push_str(&text[done..]);
    result
}

/// Run as a trial of its own: `cases.rs` has no `#[test]`s.
pub fn self_test() {
    let redact = |text: &str| {
        let transcript = Transcript { text: text.to_owned() };
        transcript.redacted("/tmp/x/root", Some("x86_64-unknown-linux-gnu"))
    };
    let version = env!("CARGO_PKG_VERSION");
    for (text, expected) in [
        (
            "Finished in 0.12s, in 1m 02s; in 3 files; main 0.1s",
            "Finished in [TIME], in [TIME]; in 3 files; main 0.1s",
        ),
        ("a-0123456789abcdef.d b-0123456789abcdefa", "a-[HASH].d b-0123456789abcdefa"),
        ("`a-0123456789abcdef.4rk.1r0-cgu.0.rcgu.o`", "`a-[HASH].[UNIT].rcgu.o`"),
        ("/tmp/x/root/target/x86_64-unknown-linux-gnu", "[ROOT]/target/[HOST]"),
        (&format!("compat {version}, hello v{version}"), &format!("compat [VERSION], hello v{version}")),
        (&format!("\"{version}\" {version}.1 {version}."), &format!("\"[VERSION]\" {version}.1 [VERSION].")),
        (&format!("{PROGRAM}: no"), "[EXE]: no"),
        ("thread 'a' (12) panicked at (12)", "thread 'a' ([TID]) panicked at (12)"),
        ("took 1.2s", "took [TIME]"),
        ("QEMU 7.2.22, QEMU\n  9.0.", "QEMU [QEMU], QEMU\n  [QEMU]."),
        ("without 128 features, without 2", "without [N] features, without 2"),
        (&format!("on {}", jiff::Zoned::now().date()), "on [TODAY]"),
    ] {
        assert_eq!(redact(text), expected);
    }
}
