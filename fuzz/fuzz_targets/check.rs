//! All that `check` and `show` do with a file's bytes, the loaders of two platforms included, to the last byte of each
//! report.
//!
//! The reports go to standard output and standard error: `-close_fd_mask=3`, which `cargo xtask fuzz` gives, makes
//! libFuzzer discard both.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use cargo_compat::artifact::{Arch, Artifact, Endian, Examined, More, ReadError, Role, examine_bytes_by};
use cargo_compat::exit::Happened;
use cargo_compat::finding::Level;
use cargo_compat::judge::{Input, NamedPlatform, Scope, judge, symbols_wanted};
use cargo_compat::lints::Reading;
use cargo_compat::loader::{Bind, Described, Subject};
use cargo_compat::platform::{self, Platform};
use cargo_compat::policy::{Name, Policy, Source, parse};
use cargo_compat::report::{self, MessageFormat, Outputs, Report, Shown, Streams};
use cargo_compat::runs_on::Judge;
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_str!("../seeds/policy/everything.toml").to_owned();
    parse(Source { path: "compat.toml".into(), text }).expect("the policy has no problem")
});

/// One that is described, and one of which facts are published.
static PLATFORMS: LazyLock<Vec<(&str, Arc<Platform>)>> = LazyLock::new(|| {
    ["debian-12", "rhel-9"].map(|name| (name, platform::find(name).expect("it is built in"))).to_vec()
});

static JUDGES: LazyLock<Vec<(&str, Judge<'static>)>> = LazyLock::new(|| {
    let here = Described::here();
    let judge = |(name, platform): &'static (&'static str, Arc<Platform>)| {
        (*name, Judge::new(platform, &[], &here, Bind::Everything))
    };
    PLATFORMS.iter().map(judge).collect()
});

/// Two libcs each where there are two: the rules of all triples are applied.
const TRIPLES: &[(&str, u8, Endian, &[&str])] = &[
    ("x86_64", 64, Endian::Little, &["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"]),
    ("x86_64", 32, Endian::Little, &["x86_64-unknown-linux-gnux32"]),
    ("x86", 32, Endian::Little, &["i686-unknown-linux-gnu", "i686-unknown-linux-musl"]),
    ("s390x", 64, Endian::Big, &["s390x-unknown-linux-gnu"]),
    ("powerpc64", 64, Endian::Little, &["powerpc64le-unknown-linux-gnu"]),
    ("powerpc64", 64, Endian::Big, &["powerpc64-unknown-linux-gnu"]),
    ("aarch64", 64, Endian::Little, &["aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"]),
    ("arm", 32, Endian::Little, &["armv7-unknown-linux-gnueabihf", "armv7-linux-androideabi"]),
    ("mips", 32, Endian::Big, &["mips-unknown-linux-gnu"]),
];

const TODAY: &str = "2026-11-20";

fuzz_target!(|bytes: &[u8]| {
    let name = Name::of_file("libhostile.so.1");
    let mut triples = Vec::new();
    let examined = examine_bytes_by(bytes.to_vec(), |facts| {
        triples = triples_of(facts);
        More { symbols: symbols_wanted(&POLICY, &name, &triples, facts), bindings: true }
    });
    let reading = match examined {
        Ok(Examined::Elf(facts)) => Reading::Facts(facts),
        Ok(Examined::Other(format)) => Reading::Other(format),
        Err(error) => Reading::Unreadable(error),
    };
    show(&reading);
    let platforms = platforms(&reading);
    let from_cargo = bytes.len() % 2 == 0;
    let input = Input {
        name,
        path: PathBuf::from("target/release/libhostile.so.1"),
        reading,
        role: from_cargo.then_some(Role::Executable),
        from_cargo,
        stale: None,
        compiler_flags: if from_cargo { vec!["target-cpu=native".to_owned()] } else { Vec::new() },
        undefs: Vec::new(),
        verdict: None,
        object: std::sync::OnceLock::new(),
        platforms,
        triples,
    };
    let inputs = [input];
    let today = TODAY.parse().expect("a date");
    // `Err`: a ceiling below the architecture's base, or a `cfg()` for a triple that is not known.
    let judged = judge(&POLICY, &inputs, &Scope { whole: true, ..Scope::default() }, today);
    let mut report = Report::new(Path::new("/"), TODAY.to_owned(), Level::Warn);
    match judged {
        Ok(judgement) => {
            report.set_happened(Happened { broken: !judgement.findings.is_empty(), ..Happened::default() });
            report.set_policy(&POLICY.source, &[]);
            report.set_judgement(&POLICY, inputs.into(), judgement, true);
        }
        Err(problems) => {
            report.set_happened(Happened { usage: true, ..Happened::default() });
            report.set_policy(&POLICY.source, &problems);
        }
    }
    for format in MessageFormat::ALL {
        let outputs = Outputs { format, quiet: false, files: Vec::new() };
        report::check(&report, outputs, &Streams::new(Some("always"))).expect("a written report");
    }
});

fn platforms(reading: &Reading) -> Vec<NamedPlatform> {
    let Reading::Facts(facts) = reading else { return Vec::new() };
    // Its run paths lead to no file of this machine.
    let subject = Subject::new("/nowhere/libhostile.so.1", facts);
    let found = JUDGES.iter().map(|(name, judge)| NamedPlatform {
        name: (*name).to_owned(),
        found: judge.judge(facts, subject.as_ref()),
    });
    found.collect()
}

fn triples_of(facts: &Artifact) -> Vec<String> {
    let of_arch = TRIPLES.iter().filter(|(name, width, endian, _)| {
        Arch::of_target(name, *width, *endian).is_some_and(|arch| arch.same_as(facts.arch))
    });
    of_arch.flat_map(|(.., triples)| triples.iter().map(|triple| (*triple).to_owned())).collect()
}

fn show(reading: &Reading) {
    let path = PathBuf::from("libhostile.so.1");
    let (shown, failures) = match reading {
        Reading::Facts(facts) => (vec![Shown::Facts(path, facts.clone())], Vec::new()),
        Reading::Other(format) => (vec![Shown::Other(path, *format)], Vec::new()),
        Reading::Unreadable(error) => (Vec::new(), vec![failure(error)]),
        Reading::Ambiguous { .. } | Reading::Linkable(_) => return,
    };
    for format in [MessageFormat::Human, MessageFormat::Json] {
        report::show(&shown, &failures, 0, format, &Streams::new(Some("never"))).expect("a written report");
    }
}

fn failure(error: &ReadError) -> report::Failure {
    report::Failure::new("libhostile.so.1 cannot be read").note(error.to_string())
}
