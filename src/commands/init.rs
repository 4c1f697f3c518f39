//! `cargo compat init`: a policy that today's artifacts keep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bind::{Libraries, bind};
use super::gather::{Gathered, Request, gather};
use crate::artifact::{AbiVersion, Artifact, Libc, Release, Role, Tag};
use crate::beside::Beside;
use crate::exit::{BROKEN, KEPT, NOT_JUDGED, USAGE};
use crate::finding::{Finding, Item};
use crate::judge::{self, Input, Scope};
use crate::lints::Reading;
use crate::policy::{self, FILE_NAME, Policy};
use crate::report::{self, Failure, Streams};
use crate::text;
use crate::today::today;
use crate::workspace;

/// What stands above and around the rules; the README shows it too.
const HEAD: &str = include_str!("init/head.toml");

#[derive(Debug)]
pub struct Options {
    pub request: Request,
    /// Where to write.
    pub policy: Option<PathBuf>,
    pub force: bool,
    /// Write what is found today, and not a policy.
    pub baseline: bool,
}

pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
    match make(options, streams) {
        Ok((path, names)) => {
            if !options.request.cargo.quiet {
                let mut command = "cargo compat check".to_owned();
                if let Some(policy) = &options.policy {
                    command.push_str(&format!(" --policy {}", shell_words::quote(&text::path(policy))));
                }
                for path in &options.request.artifacts {
                    command.push_str(&format!(" --artifact {}", shell_words::quote(&text::path(path))));
                }
                report::status(
                    "Created",
                    &format!("{} from {names}; it is kept by", text::path(&path)),
                    streams,
                )?;
                report::status("", &command, streams)?;
            }
            Ok(KEPT)
        }
        Err((code, failures)) => {
            for failure in &failures {
                report::failure(failure, streams)?;
            }
            Ok(code)
        }
    }
}

type Stop = (u8, Vec<Failure>);

fn make(options: &Options, streams: &Streams) -> Result<(PathBuf, String), Stop> {
    let not_judged = |failure: Failure| (NOT_JUDGED, vec![failure]);
    let folder = std::env::current_dir()
        .map_err(|error| not_judged(Failure::new("the current folder is gone").note(error.to_string())))?;
    if let Some(failure) = workspace::usage_error(&options.request.cargo) {
        return Err((USAGE, vec![failure]));
    }
    let manifest = match options.request.artifacts.is_empty() {
        true => Some(
            workspace::locate(&folder, options.request.cargo.manifest_path.as_deref()).map_err(not_judged)?,
        ),
        false => None,
    };
    let root = manifest.as_ref().map_or(&folder, |manifest| &manifest.root);
    let path = options.policy.clone().unwrap_or_else(|| root.join(FILE_NAME));
    if path.symlink_metadata().is_ok() && !options.force {
        let failure = Failure::new(format!("{} is there already", text::path(&path)));
        return Err((USAGE, vec![failure.help("`--force` replaces it")]));
    }
    let empty = parse(&path, String::new())?;
    let mut gathered =
        gather(&options.request, &empty, manifest.as_ref(), &folder, streams).map_err(not_judged)?;
    let libraries = Libraries { root: options.request.root.clone(), folders: Vec::new() };
    bind(&mut gathered.inputs, &libraries);
    if !gathered.failures.is_empty() {
        return Err((NOT_JUDGED, gathered.failures));
    }
    let artifacts: Vec<(&Input, &Artifact)> = gathered
        .inputs
        .iter()
        .filter_map(|input| match &input.reading {
            Reading::Facts(facts) => Some((input, &**facts)),
            _ => None,
        })
        .collect();
    if artifacts.is_empty() {
        return Err(not_judged(
            Failure::new("there is nothing to make a policy from")
                .note("no executable or shared object was read"),
        ));
    }
    let rules = format!(
        "{HEAD}{}{}{}",
        release_set(&gathered),
        build_section(options, &gathered),
        rule_sections(&artifacts)
    );
    let text = with_exceptions(&path, rules, &gathered, manifest.is_some())?;
    Beside::open(&path).and_then(|file| file.write(text.as_bytes())).map_err(|error| {
        not_judged(Failure::new(format!("{} cannot be written", text::path(&path))).note(error.to_string()))
    })?;
    let mut names: Vec<String> = artifacts.iter().map(|(input, _)| input.name.shown.clone()).collect();
    names.dedup();
    Ok((path, text::some_of(&names, 5)))
}

/// A policy of our own making that is wrong is our fault; it is said all the
/// same, rather than written.
fn parse(path: &Path, text: String) -> Result<Policy, Stop> {
    policy::parse(policy::Source { path: path.to_owned(), text }).map_err(|(_, problems)| {
        let mut failure = Failure::new("the policy that was made is wrong; this is a bug of cargo-compat");
        failure.notes.extend(problems.into_iter().map(|problem| problem.message));
        (BROKEN, vec![failure])
    })
}

/// What a project built is its release; one that no longer is built is missed.
fn release_set(gathered: &Gathered) -> String {
    if gathered.build.is_none() {
        return String::new();
    }
    let mut names: Vec<String> =
        gathered.inputs.iter().map(|input| globset_literal(&input.name.shown)).collect();
    names.sort();
    names.dedup();
    format!(
        "\n# The release set: one of these that is not built is an error.\nartifacts = {}\n",
        list(names.iter().map(String::as_str))
    )
}

fn build_section(options: &Options, gathered: &Gathered) -> String {
    let Some(build) = &gathered.build else { return String::new() };
    let mut section = "\n# Defaults for cargo; the command line wins.\n[build]\n".to_owned();
    section.push_str(&format!("profile = {}\n", quoted(&build.profile)));
    let cargo = &options.request.cargo;
    if !cargo.targets.is_empty() {
        section.push_str(&format!("targets = {}\n", list(cargo.targets.iter().map(String::as_str))));
    }
    if !cargo.features.is_empty() {
        section.push_str(&format!("features = {}\n", list(cargo.features.iter().map(String::as_str))));
    }
    for (key, set) in
        [("all-features", cargo.all_features), ("no-default-features", cargo.no_default_features)]
    {
        if set {
            section.push_str(&format!("{key} = true\n"));
        }
    }
    section
}

/// One section a target: by its triple where cargo says it, else by the
/// architecture.
fn rule_sections(artifacts: &[(&Input, &Artifact)]) -> String {
    let mut groups: BTreeMap<String, Vec<&Artifact>> = BTreeMap::new();
    for (input, facts) in artifacts {
        let selector = match input.triples.as_slice() {
            [one] => one.clone(),
            several => several
                .first()
                .and_then(|triple| cfg_expr::targets::get_builtin_target_by_triple(triple))
                .map(|target| {
                    format!(
                        "cfg(all(target_arch = \"{}\", target_pointer_width = \"{}\"))",
                        target.arch.as_str(),
                        target.pointer_width
                    )
                })
                .unwrap_or_default(),
        };
        groups.entry(selector).or_default().push(facts);
    }
    // A triple and the cfg() of its architecture would both hold for it.
    if groups.len() > 1 && groups.keys().any(|selector| selector.starts_with("cfg(")) {
        let by_arch = std::mem::take(&mut groups);
        for (selector, facts) in by_arch {
            let selector = match cfg_expr::targets::get_builtin_target_by_triple(&selector) {
                Some(target) => format!(
                    "cfg(all(target_arch = \"{}\", target_pointer_width = \"{}\"))",
                    target.arch.as_str(),
                    target.pointer_width
                ),
                None => selector,
            };
            groups.entry(selector).or_default().extend(facts);
        }
    }
    groups
        .iter()
        .map(|(selector, facts)| {
            let head = match selector.as_str() {
                "" => "\n[artifact.'*']\n".to_owned(),
                selector if selector.starts_with("cfg(") => format!("\n[target.'{selector}']\n"),
                selector => format!("\n[target.{selector}]\n"),
            };
            head + &keys(facts)
        })
        .collect()
}

/// The keys that all of these keep, and not more than they need.
fn keys(artifacts: &[&Artifact]) -> String {
    let mut newest: BTreeMap<String, Release> = BTreeMap::new();
    for need in
        artifacts.iter().filter(|facts| facts.libc != Libc::Musl).flat_map(|facts| &facts.version_needs)
    {
        let version = AbiVersion::parse(&need.version, []);
        if let Tag::Number(release) | Tag::Marker(release) = version.tag {
            let known = newest.entry(version.namespace).or_insert_with(|| release.clone());
            *known = release.max(known.clone());
        }
    }
    let executables: Vec<_> = artifacts.iter().filter(|facts| facts.role == Role::Executable).collect();
    let mut keys = String::new();
    if !executables.is_empty() && executables.iter().all(|facts| facts.is_static()) {
        keys.push_str("linkage = \"static\"\n");
    }
    let base = artifacts.iter().filter_map(|facts| facts.arch.glibc_base()).max();
    for (namespace, key) in [("GLIBC", "glibc"), ("GLIBCXX", "glibcxx")] {
        if let Some(release) = newest.remove(namespace) {
            let release =
                base.clone().filter(|base| namespace == "GLIBC" && *base > release).unwrap_or(release);
            keys.push_str(&format!("{key} = \"{release}\"\n"));
        }
    }
    if !newest.is_empty() {
        let pairs = newest
            .iter()
            .map(|(namespace, release)| format!("{} = \"{release}\"", bare_or_quoted(namespace)));
        keys.push_str(&format!("versions = {{ {} }}\n", pairs.collect::<Vec<_>>().join(", ")));
    }
    let mut needed: Vec<&str> = artifacts
        .iter()
        .flat_map(|facts| facts.needed.iter().filter(|name| !facts.is_own_loader(name)))
        .map(String::as_str)
        .collect();
    needed.sort_unstable();
    needed.dedup();
    keys.push_str(&format!(
        "libraries = {}\n",
        list(needed.into_iter().map(globset_literal).collect::<Vec<_>>().iter().map(String::as_str))
    ));
    keys
}

/// What the programs that load these artifacts must define.
fn undefined_sections(findings: &[Finding]) -> String {
    let mut by_artifact: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.lint == "symbol_undefined") {
        let Some(place) = &finding.place else { continue };
        let entries = by_artifact.entry(&place.name).or_default();
        match finding.subject.as_deref().filter(|subject| subject.starts_with(policy::presets::PREFIX)) {
            Some(preset) => entries.push(preset.to_owned()),
            None => entries.extend(finding.items.iter().filter_map(|item| match item {
                // What the loader never looks for, no program can define.
                Item::Symbol { name, at: Some(_), .. } => Some(globset_literal(name)),
                _ => None,
            })),
        }
    }
    let sections = by_artifact.into_iter().filter(|(_, entries)| !entries.is_empty());
    sections
        .map(|(name, mut entries)| {
            entries.sort();
            entries.dedup();
            let list = list(entries.iter().map(String::as_str));
            let name = bare_or_quoted(&globset_literal(name));
            format!("\n# The program that loads it defines these.\n[artifact.{name}]\nundefined = {list}\n")
        })
        .collect()
}

/// What the rules leave: accepted one by one, so that `check` passes and a new
/// one does not.
fn with_exceptions(
    path: &Path,
    rules: String,
    gathered: &Gathered,
    from_cargo: bool,
) -> Result<String, Stop> {
    let today = today();
    let mut text = rules;
    let hosts = undefined_sections(&findings(path, &text, gathered, from_cargo)?);
    text.push_str(&hosts);
    let findings = findings(path, &text, gathered, from_cargo)?;
    if findings.is_empty() {
        return Ok(text);
    }
    let mut seen = Vec::new();
    for finding in &findings {
        let mut exception = format!("\n[[exception]]\nlint = \"{}\"\n", finding.lint);
        if let Some(subject) = &finding.subject {
            exception.push_str(&format!("subject = {}\n", quoted(subject)));
        }
        if let Some(place) = &finding.place {
            exception.push_str(&format!("artifact = {}\n", quoted(&globset_literal(&place.name))));
        }
        exception.push_str(&format!("reason = \"so it was when this policy was made, {today}\"\n"));
        if !seen.contains(&exception) {
            text.push_str(&exception);
            seen.push(exception);
        }
    }
    match self::findings(path, &text, gathered, from_cargo)?.first() {
        None => Ok(text),
        Some(left) => Err((
            NOT_JUDGED,
            vec![
                Failure::new("no policy could be made that these artifacts keep").note(left.message.clone()),
            ],
        )),
    }
}

fn findings(path: &Path, text: &str, gathered: &Gathered, whole: bool) -> Result<Vec<Finding>, Stop> {
    let policy = parse(path, text.to_owned())?;
    let today = today();
    let scope = Scope { whole, ..Scope::default() };
    match judge::judge(&policy, &gathered.inputs, &scope, today) {
        Ok(judgement) => Ok(judgement.findings),
        Err(problems) => {
            let mut failure = Failure::new("no policy could be made that these artifacts keep");
            failure.notes.extend(problems.into_iter().map(|problem| problem.message));
            Err((NOT_JUDGED, vec![failure]))
        }
    }
}

/// A glob that matches just this name.
fn globset_literal(name: &str) -> String {
    let mut literal = String::new();
    for letter in name.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            literal.push('\\');
        }
        literal.push(letter);
    }
    literal
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn bare_or_quoted(key: &str) -> String {
    let bare =
        !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    if bare { key.to_owned() } else { quoted(key) }
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}
