//! The least set to change: what keeps the floor where it is, and where it
//! would be without.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::asked;
use crate::artifact::{AbiVersion, Artifact, Release, Symbol};
use crate::finding::cause::{Answer, Cause, Origin, Sureness, What};

/// Steps told at most.
const STEPS: usize = 6;

const UNKNOWN: &str = "code that could not be attributed";

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    pub namespace: String,
    /// The newest version needed as it is.
    #[cfg_attr(test, schemars(with = "String"))]
    pub floor: Release,
    /// What needs it.
    pub keepers: Vec<String>,
    /// The newest version needed without these, and without those of the steps
    /// before; absent where no version is left.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub without: Option<Release>,
}

/// What a cause is called where several are named.
pub fn label(cause: &Cause) -> String {
    match (&cause.origin, &cause.package, &cause.crate_name) {
        (Origin::Std, ..) => "std".to_owned(),
        (Origin::StartFiles, ..) => "the C start files".to_owned(),
        (Origin::Toolchain, ..) => "the C toolchain's own code".to_owned(),
        (Origin::Linker, ..) => "the linker".to_owned(),
        (Origin::Dead, ..) => "imports that nothing uses".to_owned(),
        (_, Some(package), _) => format!("{} {}", package.name, package.version),
        (_, None, Some(name)) => name.clone(),
        (_, None, None) => UNKNOWN.to_owned(),
    }
}

/// The version that an answer is about.
pub fn version(what: &What) -> Option<AbiVersion> {
    match what {
        What::Symbol { version: Some(version), .. } | What::Version { version, .. } => {
            Some(AbiVersion::parse(version, []))
        }
        _ => None,
    }
}

/// The steps, for every namespace of which all that is newer was asked after:
/// otherwise nobody knows what else keeps the floor.
pub fn steps(facts: &Artifact, answers: &[Answer]) -> Vec<Step> {
    let asked_after = |symbol: &Symbol| {
        answers.iter().any(|answer| match &answer.what {
            What::Symbol { name, version, .. } => *name == symbol.name && *version == symbol.version,
            _ => false,
        })
    };
    let left: Vec<AbiVersion> = asked::imports(facts)
        .filter(|symbol| !asked_after(symbol))
        .filter_map(|symbol| Some(AbiVersion::parse(symbol.version.as_deref()?, [])))
        .collect();
    let mut needs: BTreeMap<String, Vec<Need>> = BTreeMap::new();
    for answer in answers {
        let Some(version) = version(&answer.what) else { continue };
        let Some(release) = version.tag.release().cloned() else { continue };
        let mut keepers = BTreeMap::new();
        for cause in &answer.causes {
            let sure: &mut Sureness = keepers.entry(label(cause)).or_insert(cause.sure);
            *sure = cause.sure.min(*sure);
        }
        needs.entry(version.namespace).or_default().push((release, keepers));
    }
    let mut steps = Vec::new();
    for (namespace, asked) in needs {
        let all = facts.version_needs.iter().map(|need| AbiVersion::parse(&need.version, []));
        let all = all.filter(|version| version.namespace == namespace);
        let all: BTreeSet<Release> = all.filter_map(|version| version.tag.release().cloned()).collect();
        let is_asked = |release: &Release| asked.iter().any(|(own, _)| own == release);
        let rest = all.iter().rev().find(|release| !is_asked(release));
        let left = left.iter().filter(|version| version.namespace == namespace);
        let left = left.filter_map(|version| version.tag.release()).chain(rest).max();
        if left.is_some_and(|left| asked.iter().any(|(own, _)| own <= left)) {
            continue;
        }
        steps.extend(of_namespace(&namespace, asked, rest));
    }
    steps
}

/// A version and who needs it, each as sure as it is.
type Need = (Release, BTreeMap<String, Sureness>);

fn of_namespace(namespace: &str, mut needs: Vec<Need>, rest: Option<&Release>) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(floor) = needs.iter().map(|(release, _)| release).max().cloned() {
        let mut keepers: BTreeMap<String, Sureness> = BTreeMap::new();
        for (keeper, sure) in needs.iter().filter(|(release, _)| *release == floor).flat_map(|(_, all)| all) {
            let known = keepers.entry(keeper.clone()).or_insert(*sure);
            *known = (*sure).min(*known);
        }
        for (_, others) in &mut needs {
            others.retain(|keeper, _| !keepers.contains_key(keeper));
        }
        needs.retain(|(_, keepers)| !keepers.is_empty());
        let without = needs.iter().map(|(release, _)| release).chain(rest).max().cloned();
        steps.push(Step {
            namespace: namespace.to_owned(),
            floor,
            keepers: keepers
                .into_iter()
                .map(|(keeper, sure)| match sure {
                    Sureness::Candidate if keeper != UNKNOWN => format!("perhaps {keeper}"),
                    _ => keeper,
                })
                .collect(),
            without,
        });
        if steps.len() == STEPS {
            break;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        Release::parse(text).unwrap()
    }

    fn named(names: &[&str]) -> BTreeMap<String, Sureness> {
        names.iter().map(|name| ((*name).to_owned(), Sureness::Exact)).collect()
    }

    fn steps_of(needs: &[(&str, &[&str])], rest: &str) -> Vec<(String, String, String)> {
        let needs = needs.iter().map(|(version, keepers)| (release(version), named(keepers))).collect();
        of_namespace("GLIBC", needs, Some(&release(rest)))
            .into_iter()
            .map(|step| {
                let without = step.without.map(|release| release.to_string()).unwrap_or_default();
                (step.floor.to_string(), step.keepers.join(" "), without)
            })
            .collect()
    }

    #[test]
    fn each_step_takes_away_what_keeps_the_floor() {
        let needs: &[(&str, &[&str])] =
            &[("2.39", &["a", "b"]), ("2.34", &["a"]), ("2.34", &["std", "c"]), ("2.30", &["b"])];
        let expected = [("2.39", "a b", "2.34"), ("2.34", "c std", "2.17")];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(steps_of(needs, "2.17"), expected);
    }
}
