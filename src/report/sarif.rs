//! For code scanning: SARIF 2.1.0, as far as GitHub reads it.
//!
//! Source: "Static Analysis Results Interchange Format (SARIF) Version 2.1.0" (OASIS), and GitHub's documentation,
//! "SARIF support for code scanning".

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::model::{Finding, Position, Report};
use super::{Failure, json};
use crate::finding::Level;
use crate::lints;
use crate::text::{count, escape};

/// GitHub refuses a file with more.
const RESULTS: usize = 25_000;

/// Not lints, but results all the same: a file without results would close every alert, and say "fine" by that.
const WRONG_POLICY: &str = "policy_problem";
const NOT_JUDGED: &str = "not_judged";

pub fn check(out: &mut impl Write, report: &Report) -> io::Result<()> {
    json::write(out, &log(report))
}

fn log(report: &Report) -> Value {
    let results = results(report);
    let ids: BTreeSet<&str> = results.iter().filter_map(|result| result["ruleId"].as_str()).collect();
    let rules: Vec<Value> = ids.iter().map(|id| rule(id, report)).collect();
    let results: Vec<Value> = results
        .iter()
        .map(|result| {
            let mut result = result.clone();
            result["ruleIndex"] = json!(ids.iter().position(|id| Some(*id) == result["ruleId"].as_str()));
            result
        })
        .collect();
    let mut run = json!({
        "tool": {"driver": {
            "name": "cargo-compat",
            "semanticVersion": report.tool.version,
            "rules": rules,
        }},
        "invocations": [{
            "executionSuccessful": !report.happened.not_judged && !report.happened.usage,
            "exitCode": report.exit_code,
        }],
        "columnKind": "unicodeCodePoints",
        "results": results,
    });
    if let Some(category) = category(report) {
        run["automationDetails"] = json!({"id": category});
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    })
}

/// So that the reports of several machines do not replace each other.
fn category(report: &Report) -> Option<String> {
    let triples: BTreeSet<&str> = match &report.build {
        Some(build) => build.targets.iter().map(String::as_str).collect(),
        None => report.artifacts.iter().flat_map(|artifact| &artifact.triples).map(String::as_str).collect(),
    };
    let triples: Vec<&str> = triples.into_iter().take(4).collect();
    (!triples.is_empty()).then(|| escape(&format!("cargo-compat/{}/", triples.join("+"))))
}

/// Whoever reads a lint's page knows what to do: it is the rule's help.
fn rule(id: &str, report: &Report) -> Value {
    let (summary, page, default) = match (lints::find(id), id) {
        (Some(lint), _) => (lint.summary, lint.page, lint.default),
        (None, WRONG_POLICY) => ("the policy is wrong, so nothing was judged", "", Level::Deny),
        (None, NOT_JUDGED) => ("something was not judged, so this is no pass", "", Level::Deny),
        // Of another version of this program.
        (None, _) => ("found by another version of cargo-compat", "", Level::Deny),
    };
    let level = report.levels.get(id).map_or(default, |set| set.level);
    let help = if page.is_empty() { summary } else { page };
    json!({
        "id": id,
        "name": id,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": summary},
        "help": {"text": help, "markdown": help},
        "defaultConfiguration": {"level": level_name(level)},
        "properties": {
            "tags": ["compatibility", "release"],
            "precision": "very-high",
            "problem.severity": level_name(level),
        },
    })
}

fn level_name(level: Level) -> &'static str {
    if level == Level::Deny { "error" } else { "warning" }
}

/// The worst first: GitHub shows the first 5,000. What an exception accepts is left out, because GitHub would show
/// a suppressed result as an open one.
fn results(report: &Report) -> Vec<Value> {
    let mut results = Vec::new();
    let mut seen = BTreeMap::new();
    for problem in &report.policy_problems {
        let mut text = vec![escape(&problem.message), escape(&problem.label)];
        text.extend(problem.help.iter().map(|help| format!("help: {}", lines(help))));
        text.retain(|line| !line.is_empty());
        let key = format!("{WRONG_POLICY}|{}", problem.message);
        results.push(result(report, WRONG_POLICY, Level::Deny, &text, Some(&problem.at), key, &mut seen));
    }
    for failure in &report.failures {
        let key = format!("{NOT_JUDGED}|{}", failure.message);
        results.push(result(report, NOT_JUDGED, Level::Deny, &words(failure), None, key, &mut seen));
    }
    let (errors, warnings): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.is_error());
    for finding in errors.into_iter().chain(warnings) {
        if results.len() == RESULTS - 1 {
            let more = report.findings.len()
                - (results.len() - report.policy_problems.len() - report.failures.len());
            let text = [format!("{} more: a report for code scanning ends here", count(more, "finding"))];
            results.push(result(
                report,
                NOT_JUDGED,
                Level::Deny,
                &text,
                None,
                NOT_JUDGED.to_owned(),
                &mut seen,
            ));
            break;
        }
        let level = if finding.is_error() { Level::Deny } else { Level::Warn };
        // Where nothing in the policy forbids it, the line that sets the lint's level is the one to change.
        let set = report.levels.get(&finding.lint).and_then(|set| set.at.as_ref());
        let at = finding.policy.as_ref().map(|forbids| &forbids.at).or(set);
        let text = text(report, finding);
        results.push(result(report, &finding.lint, level, &text, at, finding.key(), &mut seen));
    }
    results
}

/// One result; of those with the same key each has a number, as GitHub's own fingerprints do.
fn result(
    report: &Report,
    rule: &str,
    level: Level,
    text: &[String],
    at: Option<&Position>,
    key: String,
    seen: &mut BTreeMap<String, usize>,
) -> Value {
    let hash: String = Sha256::digest(key.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let number = seen.entry(key).and_modify(|number| *number += 1).or_insert(1);
    json!({
        "ruleId": rule,
        "level": level_name(level),
        "message": {"text": text.join("\n")},
        "locations": [{"physicalLocation": {
            "artifactLocation": artifact_location(report),
            "region": region(at),
        }}],
        "partialFingerprints": {"primaryLocationLineHash": format!("{hash}:{number}")},
    })
}

/// GitHub takes no result without a place; what is about no line is about the policy as a whole.
fn region(at: Option<&Position>) -> Value {
    match at {
        Some(at) => json!({
            "startLine": at.line,
            "startColumn": at.column,
            "endLine": at.end_line,
            "endColumn": at.end_column,
        }),
        None => json!({"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}),
    }
}

fn artifact_location(report: &Report) -> Value {
    let Some(policy) = &report.policy else {
        return json!({"uri": crate::policy::FILE_NAME, "uriBaseId": "%SRCROOT%"});
    };
    match report.in_repository(&policy.path) {
        Some(file) => json!({"uri": uri(&file), "uriBaseId": "%SRCROOT%"}),
        None => json!({"uri": format!("file://{}", uri(&policy.path.path))}),
    }
}

/// RFC 3986: a path's own characters stay.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                uri.push(byte.into());
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn words(failure: &Failure) -> Vec<String> {
    let mut text = vec![escape(&failure.message)];
    text.extend(failure.notes.iter().map(|note| lines(note)));
    text.extend(failure.help.iter().map(|help| format!("help: {}", lines(help))));
    text
}

fn text(report: &Report, finding: &Finding) -> Vec<String> {
    let mut text = vec![escape(&finding.message)];
    text.extend(report.place_text(finding).map(|place| format!("in {place}")));
    text.extend(finding.notes.iter().map(|note| escape(note)));
    text.extend(finding.help.iter().map(|help| format!("help: {}", lines(help))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("a b/ü#%.toml"), "a%20b/%C3%BC%23%25.toml");
    }
}
