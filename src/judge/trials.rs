//! The run of the lints that judge what `cargo compat test` ran.

use std::ops::Range;

use jiff::civil::Date;

use super::{CpuExamined, Input, Judged, Judgement, Usage, accept, level};
use crate::emulate::Trial;
use crate::finding::{Finding, Place};
use crate::lints::{Check, LINTS, Sink};
use crate::policy::{Name, Policy};

/// A CPU that no model of the emulator stands for, so nothing was run.
#[derive(Debug, Clone)]
pub struct UnusableCpu {
    pub triple: String,
    pub cpu: String,
    /// Where the policy promises it.
    pub span: Option<Range<usize>>,
    /// `QEMU 7.2.22`
    pub emulator: String,
    /// What the emulator says.
    pub why: String,
}

/// Judges every program that was run. `inputs`: their files, for the report.
pub fn judge_trials(
    policy: &Policy,
    inputs: &[Input],
    trials: &[Trial],
    unusable: &[UnusableCpu],
    today: Date,
) -> Judgement {
    let mut found: Vec<(Finding, Option<&Name>)> = Vec::new();
    for lint in LINTS {
        let level = level(policy, lint);
        match lint.check {
            Check::Trial(check) => {
                for trial in trials {
                    let place = Place {
                        name: trial.name.shown.clone(),
                        path: trial.path.clone(),
                        triples: vec![trial.triple.clone()],
                    };
                    let mut findings = Vec::new();
                    check(trial, &mut Sink::new(lint, level, Some(&place), &mut findings));
                    found.extend(findings.into_iter().map(|finding| (finding, Some(&trial.name))));
                }
            }
            Check::Trials(check) => {
                let mut findings = Vec::new();
                check(trials, &mut Sink::new(lint, level, None, &mut findings));
                found.extend(findings.into_iter().map(|finding| (finding, None)));
            }
            Check::UnusableCpu(check) => {
                for one in unusable {
                    let mut findings = Vec::new();
                    check(one, &mut Sink::new(lint, level, None, &mut findings));
                    found.extend(findings.into_iter().map(|finding| (finding, None)));
                }
            }
            Check::Artifact(_) | Check::Run(_) => {}
        }
    }
    let mut usage = Usage::default();
    let (mut findings, mut accepted) = (Vec::new(), Vec::new());
    for (mut finding, name) in found {
        match accept(policy, &mut finding, name, today, &mut usage) {
            Some(exception) => accepted.push((finding, exception)),
            None => findings.push(finding),
        }
    }
    // By program, as they ran, and not by lint.
    let order = |finding: &Finding| {
        let place = finding.place.as_ref();
        trials.iter().position(|trial| {
            place.is_some_and(|place| place.path == trial.path && place.triples.contains(&trial.triple))
        })
    };
    findings.sort_by_key(|finding| order(finding).unwrap_or(usize::MAX));
    let judged = inputs.iter().map(|_| Judged { not_applicable: Vec::new(), rule_applied: true }).collect();
    Judgement {
        judged,
        findings,
        accepted,
        known: Vec::new(),
        any_rule_applied: true,
        cpu: CpuExamined::NotAsked,
    }
}
