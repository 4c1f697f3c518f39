//! `cargo compat init --baseline`: what is found today, so that only new
//! findings fail.

use std::path::{Path, PathBuf};

use super::{check, init};
use crate::beside::Beside;
use crate::exit::{KEPT, NOT_JUDGED};
use crate::finding::Level;
use crate::judge;
use crate::policy::{Baseline, Policy, baseline};
use crate::report::{self, Failure, MessageFormat, Outputs, Report, Streams};
use crate::text::{self, count};
use crate::today::today;

pub fn run(options: init::Options, streams: &Streams) -> std::io::Result<u8> {
    let quiet = options.request.cargo.quiet;
    let mut options = check::Options {
        request: options.request,
        policy: options.policy,
        format: MessageFormat::Human,
        reports: Vec::new(),
        fail_on: Level::Deny,
        ignore_baseline: true,
        since: None,
    };
    let folder = std::env::current_dir().unwrap_or_default();
    let mut report = Report::new(&folder, today().to_string(), Level::Deny);
    let outcome = match check::judge_all(&mut options, &folder, today(), &mut report, streams) {
        Ok(outcome) if outcome.gathered.failures.is_empty() => outcome,
        Ok(outcome) => {
            for failure in &outcome.gathered.failures {
                report::failure(failure, streams)?;
            }
            let failure = Failure::new("no baseline was written, because not all was judged");
            report::failure(&failure, streams)?;
            return Ok(NOT_JUDGED);
        }
        Err(stop) => {
            stop.tell(&mut report);
            let outputs = Outputs { format: MessageFormat::Human, quiet, files: Vec::new() };
            return report::check(&report, outputs, streams);
        }
    };
    let findings = &outcome.judgement.findings;
    // Of other targets and artifacts this run says nothing.
    let old = outcome.policy.baseline_path().and_then(|path| Baseline::read(&path).ok());
    let old = old.map(|old| old.entries).unwrap_or_default();
    let kept: Vec<_> = old
        .into_iter()
        .filter(|entry| !judge::in_reach(entry, &outcome.gathered.inputs, outcome.whole))
        .collect();
    let others = kept.len();
    let path = match write(&outcome.policy, &Baseline::text(findings, kept)) {
        Ok(path) => path,
        Err(failure) => {
            report::failure(&failure, streams)?;
            return Ok(NOT_JUDGED);
        }
    };
    let undecided: Vec<_> = findings.iter().filter(|finding| finding.undecided).collect();
    if !quiet {
        let known = count(findings.len() - undecided.len(), "finding");
        let more =
            if others > 0 { format!(", and {others} of what was not judged now") } else { String::new() };
        let said = format!("{} with {known}{more}; new ones fail", text::path(&path));
        report::status("Created", &said, streams)?;
    }
    for finding in &undecided {
        let failure =
            Failure::new(format!("not in the baseline, because it is undecided: {}", finding.message));
        let exception = format!(
            "accept it by its reason, if it is one:\n[[exception]]\nlint = \"{}\"\nreason = \"…\"",
            finding.lint
        );
        report::failure(&failure.help(exception), streams)?;
    }
    Ok(if undecided.is_empty() { KEPT } else { NOT_JUDGED })
}

/// Writes the file, and names it in the policy where that names none.
fn write(policy: &Policy, text: &str) -> Result<PathBuf, Failure> {
    let policy_path = &policy.source.path;
    let path = policy.baseline_path().unwrap_or_else(|| policy_path.with_file_name(baseline::FILE_NAME));
    let written = |path: &Path, text: &str| {
        Beside::open(path).and_then(|beside| beside.write(text.as_bytes())).map_err(|error| {
            Failure::new(format!("{} cannot be written", text::path(path))).note(error.to_string())
        })
    };
    written(&path, text)?;
    if policy.baseline.is_none() {
        // Before any table, and after the comments that the file begins with.
        let old = &policy.source.text;
        let comments = old.split_inclusive('\n').take_while(|line| line.starts_with('#'));
        let (head, rest) = old.split_at(comments.map(str::len).sum());
        let gap = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
        written(policy_path, &format!("{head}{gap}baseline = \"{}\"\n{rest}", baseline::FILE_NAME))?;
    }
    Ok(path)
}
