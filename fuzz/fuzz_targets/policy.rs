//! The policy: any text is a policy, or problems that can be shown where they stand.
//!
//! The reports are discarded by `-close_fd_mask=3`, as those of `check`.
#![no_main]

use cargo_compat::artifact::{Format, ReadError};
use cargo_compat::exit::Happened;
use cargo_compat::judge::{Input, Scope, judge};
use cargo_compat::lints::Reading;
use cargo_compat::policy::{Name, Policy, Problem, Source, parse};
use cargo_compat::report::{self, Check, MessageFormat, Streams};
use libfuzzer_sys::fuzz_target;

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
        triples: TRIPLES[1..].iter().copied().flatten().map(str::to_owned).collect(),
    };
    let inputs = [
        input(Reading::Unreadable(ReadError::NotAFile("a fifo"))),
        input(Reading::Other(Format::Pe)),
        Input { triples: Vec::new(), ..input(Reading::Other(Format::Archive)) },
    ];
    let scope = Scope { whole: true, known: vec![Name::of_target("acme", "tool", "tool")] };
    match judge(policy, &inputs, &scope, "2026-11-20".parse().expect("a date")) {
        Ok(judgement) => render(&Check {
            policy: Some(policy),
            inputs: &inputs,
            judgement: Some(&judgement),
            happened: Happened { not_judged: true, ..Happened::default() },
            ..Check::default()
        }),
        Err(problems) => refused(&policy.source, &problems),
    }
}

fn refused(source: &Source, problems: &[Problem]) {
    for problem in problems {
        let span = &problem.span;
        assert!(source.text.get(span.clone()).is_some(), "{span:?} is no part of the text: {problem:?}");
    }
    let check = Check {
        wrong_policy: Some((source, problems)),
        happened: Happened { usage: true, ..Happened::default() },
        ..Check::default()
    };
    // Every format shows them to people on standard error, beside its own.
    report::check(&check, MessageFormat::Json, false, &Streams::new(Some("always"))).expect("a written report");
}

fn render(check: &Check<'_>) {
    for format in [MessageFormat::Human, MessageFormat::Short, MessageFormat::Json] {
        report::check(check, format, false, &Streams::new(Some("always"))).expect("a written report");
    }
}
