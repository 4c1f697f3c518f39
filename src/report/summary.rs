//! What was judged, of which build, and what came of it: for people.

use std::collections::BTreeMap;

use super::model::{Artifact, Report};
use crate::artifact::Format;
use crate::finding::Level;
use crate::judge::CpuExamined;
use crate::text::{count, escape, some_of};

/// Artifacts named in the summary.
const NAMED: usize = 5;

/// The summary's lines, not wrapped yet; the first says it all.
pub fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", subject(report), verdict(report))];
    lines.extend(report.remarks.iter().map(|line| escape(line)));
    lines.extend(asides(report));
    if let Some(since) = &report.since {
        lines.push(format!("since {}: {}", report.shown(&since.path), since.summary()));
    }
    lines
}

/// What was judged, of which build.
pub fn subject(report: &Report) -> String {
    let mut names: Vec<String> = report.examined().map(|input| escape(&input.name)).collect();
    names.dedup();
    let what = match names.len() {
        0 => "nothing".to_owned(),
        1..=NAMED => names.join(", "),
        more => format!("{more} artifacts"),
    };
    format!("{what} ({})", circumstances(report))
}

fn circumstances(report: &Report) -> String {
    let mut parts = Vec::new();
    match &report.build {
        Some(build) => {
            parts.push(format!("profile {}", build.profile));
            parts.push(some_of(&build.targets, 3));
            parts.push(match build.compiled {
                None => "not built".to_owned(),
                Some(0) => "nothing to compile".to_owned(),
                Some(compiled) => format!("cargo compiled {}", count(compiled, "package")),
            });
        }
        None => {
            let mut triples: Vec<String> =
                report.examined().flat_map(|input| input.triples.clone()).collect();
            triples.sort();
            triples.dedup();
            parts.push(if triples.is_empty() { "no target known".to_owned() } else { some_of(&triples, 3) });
            parts.push("as files".to_owned());
        }
    }
    escape(&parts.join(", "))
}

/// What came of it.
pub fn verdict(report: &Report) -> String {
    let counts = report.summary;
    let mut parts = Vec::new();
    if counts.errors > 0 {
        parts.push(count(counts.errors, "error"));
    }
    if counts.undecided > 0 {
        parts.push(format!("{} undecided", counts.undecided));
    }
    if counts.warnings > 0 {
        let not_let_pass =
            if report.fail_on == Level::Warn { ", which --fail-on does not let pass" } else { "" };
        parts.push(format!("{}{not_let_pass}", count(counts.warnings, "warning")));
    }
    if report.happened.not_judged && counts.undecided == 0 {
        parts.push("not all was judged".to_owned());
    }
    if !report.happened.broken && !report.happened.not_judged {
        // Of the CPU nothing can be said to be kept.
        let cpu = report.cpu == CpuExamined::NotAtAll;
        let kept = if report.command == "test" {
            "passed"
        } else if cpu {
            "policy kept but for the CPU, which was not examined"
        } else {
            "policy kept"
        };
        parts.insert(0, kept.to_owned());
    }
    parts.join(", ")
}

/// What the verdict does not cover, or covers by an exception.
fn asides(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let not_examined: Vec<_> = report.not_examined().collect();
    if not_examined.len() > NAMED {
        let mut kinds = BTreeMap::new();
        for (_, format) in &not_examined {
            *kinds.entry(format.to_string()).or_insert(0) += 1;
        }
        let kinds: Vec<_> = kinds.iter().map(|(kind, number)| count(*number, kind)).collect();
        lines.push(format!("not examined: {}", kinds.join(", ")));
    } else if !not_examined.is_empty() {
        let named =
            |(input, format): &(&Artifact, Format)| format!("{} ({format})", report.shown(&input.path));
        let named: Vec<_> = not_examined.iter().map(named).collect();
        lines.push(format!("not examined: {}", named.join(", ")));
    }
    let archives: Vec<String> = (report.examined())
        .filter_map(|input| Some(format!("{} ({})", report.shown(&input.path), input.format?)))
        .collect();
    if !archives.is_empty() {
        let (shown, what) = match archives.as_slice() {
            [one] => (one.clone(), "it is complete was judged, not what a later link makes of it"),
            many => {
                (some_of(many, NAMED), "they are complete was judged, not what a later link makes of them")
            }
        };
        lines.push(format!("{shown}: only whether {what}"));
    }
    if !report.passed_over.is_empty() {
        let kinds: Vec<_> =
            report.passed_over.iter().map(|(kind, number)| count(*number, &escape(kind))).collect();
        lines.push(format!("passed over: {}", kinds.join(", ")));
    }
    match report.cpu {
        CpuExamined::NotAtAll => lines.push(
            "CPU not examined: nothing in the files or the compiler flags says what they need; a run on the \
             promised CPU does"
                .to_owned(),
        ),
        CpuExamined::BySigns => {
            lines.push("CPU: judged by notes and compiler flags alone, not by the code".to_owned());
        }
        CpuExamined::NotAsked => {}
    }
    for (baseline, by) in [(false, "exceptions"), (true, "the baseline")] {
        match report.accepted.iter().filter(|accepted| accepted.baseline == baseline).count() {
            0 => {}
            accepted => lines.push(format!("accepted by {by}: {}", count(accepted, "finding"))),
        }
    }
    if !report.not_selected.is_empty() {
        let names: Vec<_> = report.not_selected.iter().map(|name| escape(name)).collect();
        lines.push(format!("of the release set, not selected: {}", some_of(&names, NAMED)));
    }
    let open: Vec<&Artifact> = report.examined().filter(|input| input.triples.len() > 1).collect();
    match open.as_slice() {
        [] => {}
        [one] => lines.push(format!(
            "{} may be for any of {}; the rules of all were applied",
            escape(&one.name),
            some_of(&one.triples, 4)
        )),
        many => lines.push(format!(
            "{} may be for more than one target; the rules of all were applied",
            count(many.len(), "file")
        )),
    }
    lines
}
