//! The platforms that a policy names, and what each makes of every artifact.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::bind::{absolute, loadable, of_release, subject};
use crate::artifact::Artifact;
use crate::judge::{Input, NamedPlatform};
use crate::lints::{Reading, cpu_too_new};
use crate::loader::{Bind, Described};
use crate::platform::{self, Platform};
use crate::policy::{At, Policy, Problem};
use crate::runs_on::{Beside, Judge, NewerCpu};
use crate::text::{self, did_you_mean};

/// What is wrong with a name, and what helps.
pub type Unknown = (String, Option<String>);

/// Platforms by the names that the policy has for them.
pub type Known = HashMap<String, Arc<Platform>>;

/// Opens every platform that the policy names. `Err`: names that lead nowhere.
pub fn open_all(policy: &Policy) -> Result<Known, Vec<Problem>> {
    let mut known = Known::new();
    let mut problems = Vec::new();
    let named = policy.scopes.iter().filter_map(|scope| scope.keys.runs_on.as_ref());
    for At { value: name, span } in named.flat_map(|names| names.value.iter()) {
        if known.contains_key(name) {
            continue;
        }
        match open(name, policy.source.path.parent().unwrap_or(Path::new(""))) {
            Ok(platform) => {
                known.insert(name.clone(), platform);
            }
            Err((message, help)) => {
                let problem = Problem::new(message, span.clone());
                problems.push(match help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            }
        }
    }
    problems.sort_by_key(|problem| problem.span.start);
    if problems.is_empty() { Ok(known) } else { Err(problems) }
}

/// A platform by its name, or by the path of its description, from a folder.
pub fn open(name: &str, folder: &Path) -> Result<Arc<Platform>, Unknown> {
    if let Some(platform) = platform::find(name) {
        return Ok(platform);
    }
    let path = folder.join(name);
    if path.is_file() || name.contains('/') {
        return Platform::open(&path).map(Arc::new).map_err(|error| {
            let help = "make a description of a system:\ncargo compat platforms import NAME --root DIR";
            (format!("the description {} cannot be used: {error}", text::path(&path)), Some(help.to_owned()))
        });
    }
    let help = match did_you_mean(name, platform::names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "these are known:\ncargo compat platforms list".to_owned(),
    };
    Err((format!("there is no platform `{}`", text::escape(name)), Some(help)))
}

/// Platforms by their names; all that are built in, where none is named.
pub fn named_or_all(named: &[String]) -> Result<Vec<(String, Arc<Platform>)>, Unknown> {
    match named.is_empty() {
        true => {
            let all = platform::names();
            Ok(all.filter_map(|name| Some((name.to_owned(), platform::find(name)?))).collect())
        }
        false => named.iter().map(|name| Ok((name.clone(), open(name, Path::new(""))?))).collect(),
    }
}

/// Holds every artifact against the platforms that the policy names for it.
pub fn judge_all(inputs: &mut [Input], policy: &Policy, known: &Known) {
    if known.is_empty() {
        return;
    }
    let beside: Vec<Beside> = inputs.iter().filter_map(of_release).flatten().collect();
    let here = Described::here();
    let judges: HashMap<&str, Judge<'_>> = known
        .iter()
        .map(|(name, platform)| (name.as_str(), Judge::new(platform, &beside, &here, Bind::Causes)))
        .collect();
    let say = |input: &mut Input| {
        let Reading::Facts(facts) = &input.reading else { return };
        let (names, promises_cpu) = names_for(input, policy);
        let signs = cpu_too_new::signs(facts, &input.compiler_flags);
        if names.is_empty() {
            return;
        }
        let subject = subject(input, facts, path_of(input, facts).to_string_lossy());
        let found = names.into_iter().filter_map(|name| {
            let mut found = judges.get(name.as_str())?.judge(facts, subject.as_ref());
            let newer = |needed| NewerCpu::on(&found.platform, facts.arch, needed);
            // Where the policy promises a CPU, that one counts.
            let all = signs.iter().filter(|_| !promises_cpu).filter_map(|sign| newer(sign.cpu?));
            found.cpu = all.reduce(|a, b| if b.needed.is_newer_than(a.needed) { b } else { a });
            Some(NamedPlatform { name, found })
        });
        input.platforms = found.collect();
    };
    match inputs {
        [one] => say(one),
        _ => inputs.par_iter_mut().for_each(say),
    }
}

fn path_of(input: &Input, facts: &Artifact) -> std::path::PathBuf {
    match loadable(input) {
        Some(_) => absolute(&super::bind::real_path(input, facts)).into(),
        None => input.path.clone(),
    }
}

/// The platforms of all triples that the file may be for, each once, and whether a CPU is promised for one.
fn names_for(input: &Input, policy: &Policy) -> (Vec<String>, bool) {
    let none = input.triples.is_empty().then_some(None);
    let mut names: Vec<String> = Vec::new();
    let mut promises_cpu = false;
    for triple in input.triples.iter().map(|triple| Some(triple.as_str())).chain(none) {
        let Ok(rules) = policy.rules(triple, &input.name) else { continue };
        promises_cpu |= rules.cpu.is_some();
        for name in rules.runs_on.iter().flat_map(|names| names.value.iter()) {
            if !names.contains(&name.value) {
                names.push(name.value.clone());
            }
        }
    }
    (names, promises_cpu)
}
