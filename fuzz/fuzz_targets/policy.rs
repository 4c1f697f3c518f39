//! The policy: any text is a policy, or problems that can be shown where they stand.
//!
//! The reports are discarded by `-close_fd_mask=3`, as those of `check`.
#![no_main]

use std::path::Path;

use cargo_compat::artifact::{Format, ReadError};
use cargo_compat::exit::Happened;
use cargo_compat::finding::Level;
use cargo_compat::judge::{Input, Scope, judge};
use cargo_compat::lints::Reading;
use cargo_compat::policy::{Name, Policy, Problem, Source, parse};
use cargo_compat::report::{self, MessageFormat, Outputs, Report, Streams};
use libfuzzer_sys::fuzz_target;

const TODAY: &str = "2026-11-20";

const TRIPLES: [Option<&str>; 5] = [
    None,
    Some("x86_64-unknown-linux-gnu"),
    Some("s390x-unknown-linux-gnu"),
    Some("armv7-unknown-linux-musleabihf"),
    Some("powerpc64le-acme-linux-gnu"), // not in the table of targets
];

fuzz_target!(|text: &str| {
    match parse(Source { path: "compat.toml".into(), text: text.to_owned() }) {
        Ok(policy) => accepted(&policy),
        Err((source, problems)) => {
            assert_eq!(source.text, text);
            assert!(!problems.is_empty(), "refused without a reason");
            refused(&source, &problems);
        }
    }
});

fn accepted(policy: &Policy) {
    for name in [Name::of_file("libplugin.so.1"), Name::of_target("acme", "server", "server")] {
        for triple in TRIPLES {
            match policy.rules(triple, &name) {
                Ok(rules) => {
                    for tag in ["GLIBC_2.34", "GLIBC_PRIVATE", "GLIBCXX_LDBL_3.4.29", "_", "é_1"] {
                        rules.judge(tag);
                    }
                }
                Err(problems) => refused(&policy.source, &problems),
            }
        }
    }
    let input = |reading| Input {
        name: Name::of_target("acme", "server", "server"),
        path: "target/release/server".into(),
        reading,
        role: None,
        from_cargo: true,
        stale: None,
        compiler_flags: vec!["target-cpu=z14".to_owned()],
        undefs: Vec::new(),
        verdict: None,
        object: std::sync::OnceLock::new(),
        platforms: Vec::new(),
        triples: TRIPLES[1..].iter().copied().flatten().map(str::to_owned).collect(),
    };
    let inputs = [
        input(Reading::Unreadable(ReadError::NotAFile("a fifo"))),
        input(Reading::Other(Format::Pe)),
        Input { triples: Vec::new(), ..input(Reading::Other(Format::Archive)) },
    ];
    let scope = Scope { whole: true, known: vec![Name::of_target("acme", "tool", "tool")], ..Scope::default() };
    match judge(policy, &inputs, &scope, TODAY.parse().expect("a date")) {
        Ok(judgement) => {
            let mut report = Report::new(Path::new("/"), TODAY.to_owned(), Level::Deny);
            report.set_happened(Happened { not_judged: true, ..Happened::default() });
            report.set_policy(&policy.source, &[]);
            report.set_judgement(policy, inputs.into(), judgement, true);
            render(&report);
        }
        Err(problems) => refused(&policy.source, &problems),
    }
}

fn refused(source: &Source, problems: &[Problem]) {
    for problem in problems {
        let span = &problem.span;
        assert!(source.text.get(span.clone()).is_some(), "{span:?} is no part of the text: {problem:?}");
    }
    let mut report = Report::new(Path::new("/"), TODAY.to_owned(), Level::Deny);
    report.set_happened(Happened { usage: true, ..Happened::default() });
    report.set_policy(source, problems);
    // Every format shows them to people on standard error, beside its own.
    report::check(&report, outputs(MessageFormat::Json), &Streams::new(Some("always")))
        .expect("a written report");
}

fn render(report: &Report) {
    for format in MessageFormat::ALL {
        report::check(report, outputs(format), &Streams::new(Some("always"))).expect("a written report");
    }
}

fn outputs(format: MessageFormat) -> Outputs {
    Outputs { format, quiet: false, files: Vec::new() }
}
