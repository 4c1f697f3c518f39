//! What changed since another release: `check --since`, `report merge --since`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{diff as releases, runs_on};
use crate::diff;
use crate::release::{Holds, Member, Release};
use crate::report::{Failure, Report, Since};

/// Reads the other release, before anything long begins.
pub fn read(path: Option<&PathBuf>) -> Result<Option<Release>, Vec<Failure>> {
    let Some(path) = path else { return Ok(None) };
    let mut release = Release::read(path);
    match std::mem::take(&mut release.failures) {
        failures if failures.is_empty() => Ok(Some(release)),
        failures => Err(failures),
    }
}

/// Tells the report what changed. `whole`: the report is of a whole release, so that what it does not have is lost.
pub fn add(report: &mut Report, old: Option<Release>, whole: bool, folder: &Path) {
    let Some(mut old) = old.filter(|_| report.complete) else { return };
    let new = Release::of_report(report);
    hold(&mut old, &new, folder);
    let mut comparison = diff::compare(&old, &new);
    if !whole {
        let built: BTreeSet<String> = new.members.iter().filter_map(architecture).collect();
        comparison.lost.retain(|at| architecture(&old.members[*at]).is_none_or(|arch| built.contains(&arch)));
    }
    report.since = Some(Since::new(&old, &new, &comparison));
}

/// Asks the platforms of the new release about the old one, where that says nothing itself.
fn hold(old: &mut Release, new: &Release, folder: &Path) {
    let names: BTreeSet<&String> = new.members.iter().flat_map(|member| member.platforms.keys()).collect();
    let known = names.into_iter().filter_map(|name| Some((name.clone(), runs_on::open(name, folder).ok()?)));
    let known: Vec<_> = known.collect();
    if !known.is_empty() {
        releases::hold(old, &known, true);
    }
}

fn architecture(member: &Member) -> Option<String> {
    match &member.holds {
        Holds::Facts(facts) => Some(facts.arch.to_string()),
        _ => None,
    }
}
