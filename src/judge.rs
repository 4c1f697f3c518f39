//! Holds artifacts against the policy: runs the lints, applies exceptions,
//! keeps count of what was used. No I/O.

mod trials;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use jiff::civil::Date;

use crate::artifact::{Artifact, Libc, Pick, Role};
use crate::finding::{Finding, Level, Place};
use crate::lints::{Applies, Check, LINTS, Lint, Reading, Run, Sink, Stale, Subject, UndefsOption};
use crate::lints::{cpu_too_new, dlopen_dependency};
use crate::loader::{Object, Verdict};
use crate::many::each;
use crate::policy::baseline::{Baseline, Entry};
use crate::policy::{Against, Name, Policy, Problem, Rules, Selector};
use crate::runs_on::OnPlatform;
use crate::text::{did_you_mean, some_of};

const ALLOWANCE_UNUSED: &str = "allowance_unused";

pub use self::trials::{UnusableCpu, judge_trials};

/// What a run covers.
#[derive(Debug, Default)]
pub struct Scope {
    /// All that the policy speaks of was there to be judged: no part of the
    /// project was selected, and no file named.
    pub whole: bool,
    /// Names of what was built, judged or not.
    pub known: Vec<Name>,
    /// What was found before.
    pub baseline: Option<Baseline>,
}

/// One artifact to judge.
#[derive(Debug)]
pub struct Input {
    pub name: Name,
    pub path: PathBuf,
    pub reading: Reading,
    pub role: Option<Role>,
    pub from_cargo: bool,
    pub stale: Option<Stale>,
    /// What rustc was told by `-C`, as far as it concerns the CPU.
    pub compiler_flags: Vec<String>,
    /// What lets its linker leave references undefined.
    pub undefs: Vec<UndefsOption>,
    /// What it was built for; several where the file leaves it open, none
    /// where nothing tells.
    pub triples: Vec<String>,
    /// What the static loader says, with the libraries at hand.
    pub verdict: Option<Verdict>,
    /// What every loader reads of it: see `Input::object`.
    pub object: OnceLock<Option<Arc<Object>>>,
    /// What the platforms' loaders make of it, of those that the policy names for it.
    pub platforms: Vec<NamedPlatform>,
}

/// A platform by the policy's name for it, and its verdict.
#[derive(Debug, Clone)]
pub struct NamedPlatform {
    pub name: String,
    pub found: OnPlatform,
}

impl Input {
    /// What loaders read of it, made once for all of them.
    pub fn object(&self) -> Option<&Arc<Object>> {
        let Reading::Facts(facts) = &self.reading else { return None };
        self.object.get_or_init(|| Object::of(facts).map(Arc::new)).as_ref()
    }

    pub fn place(&self) -> Place {
        Place { name: self.name.shown.clone(), path: self.path.clone(), triples: self.triples.clone() }
    }
}

/// What became of one artifact.
#[derive(Debug)]
pub struct Judged {
    /// Lints that had nothing to judge in it.
    pub not_applicable: Vec<&'static str>,
    /// Whether a rule of the policy was held against it.
    pub rule_applied: bool,
}

#[derive(Debug)]
pub struct Judgement {
    /// In the order of the artifacts.
    pub judged: Vec<Judged>,
    pub findings: Vec<Finding>,
    /// Findings that an exception accepts, with its index in the policy.
    pub accepted: Vec<(Finding, usize)>,
    /// Findings that the baseline has.
    pub known: Vec<Finding>,
    /// Whether any rule was held against anything.
    pub any_rule_applied: bool,
    pub cpu: CpuExamined,
}

/// How far the promise of a CPU was examined; the weakest of all artifacts.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CpuExamined {
    /// No CPU is promised.
    #[default]
    NotAsked,
    /// Notes and compiler flags said something; the code was not read.
    BySigns,
    /// Nothing said anything (fact 54).
    NotAtAll,
}

/// What of the policy was used.
#[derive(Debug, Default)]
pub struct Usage {
    pub without_rule: Vec<Place>,
    pub exceptions_used: BTreeSet<usize>,
    /// Exceptions whose artifact and target were among those judged.
    pub exceptions_in_reach: BTreeSet<usize>,
    /// Exceptions whose target, if they have one, was among those judged.
    pub exceptions_for_these: BTreeSet<usize>,
    /// Allowed libraries by span: pattern, whether one was needed.
    libraries: BTreeMap<(usize, usize), (String, bool)>,
    names: Vec<Name>,
    /// Subjects of findings, by lint.
    subjects: BTreeMap<&'static str, BTreeSet<String>>,
    /// Namespaces with a ceiling, by span: whether a version of one was needed.
    namespaces: BTreeMap<(usize, usize), (String, bool)>,
    /// Entries of `undefined` by span: text, whether a symbol needed it.
    undefined: BTreeMap<(usize, usize), (String, bool)>,
    /// How far the CPU was examined.
    pub cpu: CpuExamined,
}

impl Usage {
    /// Entries of `undefined` that allow no undefined symbol.
    pub fn unused_undefined(&self) -> Vec<(Range<usize>, &str)> {
        let unused = self.undefined.iter().filter(|(_, (_, used))| !used);
        unused.map(|((start, end), (text, _))| (*start..*end, text.as_str())).collect()
    }

    /// Takes note of an artifact's undefined symbols, as far as `undefined` is
    /// asked about them.
    fn note_undefined<'s>(&mut self, symbols: impl Iterator<Item = &'s str> + Clone, rules: &Rules) {
        for entry in rules.undefined.iter().flat_map(|list| &list.value) {
            let key = (entry.span.start, entry.span.end);
            let known = self.undefined.entry(key).or_insert_with(|| (entry.value.text(), false));
            known.1 |= symbols.clone().any(|symbol| entry.value.allows(symbol));
        }
    }

    /// Adds what judging one more artifact used.
    fn add(&mut self, other: Self) {
        self.exceptions_in_reach.extend(other.exceptions_in_reach);
        self.exceptions_for_these.extend(other.exceptions_for_these);
        for (all, own) in [
            (&mut self.libraries, other.libraries),
            (&mut self.namespaces, other.namespaces),
            (&mut self.undefined, other.undefined),
        ] {
            for (span, (text, used)) in own {
                all.entry(span).or_insert((text, false)).1 |= used;
            }
        }
        self.cpu = self.cpu.max(other.cpu);
    }

    pub fn unused_libraries(&self) -> Vec<(Range<usize>, &str)> {
        let unused = self.libraries.iter().filter(|(_, (_, used))| !used);
        unused.map(|((start, end), (pattern, _))| (*start..*end, pattern.as_str())).collect()
    }

    pub fn unmatched_artifacts<'p>(&self, policy: &'p Policy) -> Vec<(Range<usize>, &'p str)> {
        let sections = policy.scopes.iter().filter_map(|scope| match &scope.selector {
            Selector::Artifact(pattern) => Some((scope.span.clone(), pattern)),
            _ => None,
        });
        sections
            .filter(|(_, pattern)| !self.names.iter().any(|name| name.matches(pattern)))
            .map(|(span, pattern)| (span, pattern.text()))
            .collect()
    }

    /// The name nearest to one that matched nothing.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        did_you_mean(name, self.names.iter().map(|name| name.shown.as_str()))
    }

    /// The subjects of what a lint found.
    pub fn subjects_of(&self, lint: &str) -> Vec<String> {
        self.subjects.get(lint).into_iter().flatten().map(|subject| format!("`{subject}`")).collect()
    }

    pub fn unused_namespaces(&self) -> Vec<(Range<usize>, &str)> {
        let unused = self.namespaces.iter().filter(|(_, (_, used))| !used);
        unused.map(|((start, end), (name, _))| (*start..*end, name.as_str())).collect()
    }

    fn note_namespaces(&mut self, facts: &Artifact, rules: &Rules) {
        for (namespace, ceiling) in &rules.versions {
            let used = facts.version_needs.iter().any(|need| rules.judge(&need.version).0 == *namespace);
            let key = (ceiling.span.start, ceiling.span.end);
            let entry = self.namespaces.entry(key).or_insert_with(|| (namespace.clone(), false));
            // glibc and libstdc++ are limited for the day on which they are needed.
            entry.1 |= used || matches!(namespace.as_str(), "GLIBC" | "GLIBCXX");
        }
    }

    fn note_libraries(&mut self, facts: &Artifact, rules: &Rules) {
        for pattern in rules.libraries.iter().flat_map(|list| &list.value) {
            let used = facts.needed.iter().any(|name| pattern.value.matches(name))
                || dlopen_dependency::sonames(facts).any(|name| pattern.value.matches(&name));
            let key = (pattern.span.start, pattern.span.end);
            let entry = self.libraries.entry(key).or_insert_with(|| (pattern.value.text().to_owned(), false));
            entry.1 |= used;
        }
    }
}

/// The symbols whose names say more about this file: those that carry a
/// version over its ceiling.
pub fn symbols_wanted(policy: &Policy, name: &Name, triples: &[String], facts: &Artifact) -> Pick {
    let mut above = BTreeSet::new();
    for rules in each_triple(triples).filter_map(|triple| policy.rules(triple, name).ok()) {
        let needs = facts.version_needs.iter();
        let of_rules = needs.filter(|need| matches!(rules.judge(&need.version).1, Against::Above(_)));
        above.extend(of_rules.map(|need| need.index));
    }
    if above.is_empty() { Pick::None } else { Pick::OfVersions(above) }
}

/// The triples, or once "none".
fn each_triple(triples: &[String]) -> impl Iterator<Item = Option<&str>> {
    let none = triples.is_empty().then_some(None);
    triples.iter().map(|triple| Some(triple.as_str())).chain(none)
}

/// Judges everything. `Err`: the policy is wrong for these artifacts.
pub fn judge(
    policy: &Policy,
    inputs: &[Input],
    scope: &Scope,
    today: Date,
) -> Result<Judgement, Vec<Problem>> {
    let mut usage = Usage { names: scope.known.clone(), ..Usage::default() };
    let mut problems: Vec<Problem> = Vec::new();
    let mut judged = Vec::new();
    let mut found = Vec::new();
    let results = each(inputs.iter().collect(), |input| {
        let mut own = Usage::default();
        let result = judge_one(policy, input, &mut own);
        (result, own)
    });
    for (input, (result, own)) in inputs.iter().zip(results) {
        usage.names.push(input.name.clone());
        usage.add(own);
        match result {
            Ok((one, findings)) => {
                if !one.rule_applied && matches!(input.reading, Reading::Facts(_)) {
                    usage.without_rule.push(input.place());
                }
                judged.push(one);
                found.extend(findings.into_iter().map(|finding| (finding, Some(&input.name))));
            }
            Err(new) => problems.extend(new),
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.span.start);
        problems.dedup_by(|a, b| (&a.span, &a.message) == (&b.span, &b.message));
        return Err(problems);
    }
    let any_rule_applied = judged.iter().any(|one| one.rule_applied);
    let mut findings = Vec::new();
    let mut accepted = Vec::new();
    for (mut finding, name) in found {
        if let Some(subject) = &finding.subject {
            usage.subjects.entry(finding.lint).or_default().insert(subject.clone());
        }
        match accept(policy, &mut finding, name, today, &mut usage) {
            Some(exception) => accepted.push((finding, exception)),
            None => findings.push(finding),
        }
    }
    // What nothing used is known last.
    let (last, first): (Vec<&Lint>, Vec<&Lint>) =
        LINTS.iter().partition(|lint| lint.name == ALLOWANCE_UNUSED);
    for lint in first.into_iter().chain(last) {
        let Check::Run(check) = lint.check else { continue };
        let mut of_run = Vec::new();
        let run = Run { policy, usage: &usage, today, whole: scope.whole };
        check(&run, &mut Sink::new(lint, level(policy, lint), None, &mut of_run));
        for mut finding in of_run {
            match accept(policy, &mut finding, None, today, &mut usage) {
                Some(exception) => accepted.push((finding, exception)),
                None => findings.push(finding),
            }
        }
    }
    let mut known = Vec::new();
    if let Some(baseline) = &scope.baseline {
        let mut met = BTreeSet::new();
        for mut finding in std::mem::take(&mut findings) {
            let found = baseline.find(&finding);
            met.extend(found.as_ref().map(|(at, _)| *at));
            match found {
                Some((_, more)) if more.is_empty() => known.push(finding),
                Some((_, more)) => {
                    let more = some_of(&more, 4);
                    finding.notes.push(format!("the baseline has it, but not with {more}"));
                    findings.push(finding);
                }
                None => findings.push(finding),
            }
        }
        findings.extend(gone(policy, baseline, &met, inputs, scope.whole));
    }
    Ok(Judgement { judged, findings, accepted, known, any_rule_applied, cpu: usage.cpu })
}

/// Whether a run over these would have found what an entry says.
pub fn in_reach(entry: &Entry, inputs: &[Input], whole: bool) -> bool {
    match &entry.artifact {
        None => whole,
        Some(name) => {
            let mut called = inputs.iter().filter(|input| input.name.shown == *name).peekable();
            (whole && called.peek().is_none()) || called.any(|input| input.triples == entry.targets)
        }
    }
}

/// Entries of the baseline that would have been met, and were not.
fn gone(
    policy: &Policy,
    baseline: &Baseline,
    met: &BTreeSet<usize>,
    inputs: &[Input],
    whole: bool,
) -> Vec<Finding> {
    let entries = baseline.entries.iter().enumerate();
    let gone: Vec<&Entry> = entries
        .filter(|(at, entry)| !met.contains(at) && in_reach(entry, inputs, whole))
        .map(|(_, entry)| entry)
        .collect();
    let (Some(at), Some(lint)) = (&policy.baseline, crate::lints::find(ALLOWANCE_UNUSED)) else {
        return Vec::new();
    };
    if gone.is_empty() {
        return Vec::new();
    }
    let mut finding = Finding::new(format!("{} gone that the baseline has", are(gone.len())))
        .subject("baseline")
        .forbids(&at.span, "it still accepts them, should they come back")
        .help("make it anew:\ncargo compat init --baseline");
    for entry in gone.iter().take(5) {
        let of = [entry.artifact.as_deref(), entry.subject.as_deref()];
        let of: Vec<_> = of.into_iter().flatten().map(|word| format!("`{word}`")).collect();
        finding = finding.note(format!("{}: {}", entry.lint, of.join(", ")));
    }
    let mut findings = Vec::new();
    Sink::new(lint, level(policy, lint), None, &mut findings).push(finding);
    findings
}

fn are(number: usize) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", crate::text::count(number, "finding"))
}

fn level(policy: &Policy, lint: &Lint) -> Level {
    policy.lints.get(lint.name).map_or(lint.default, |set| set.value)
}

fn judge_one(
    policy: &Policy,
    input: &Input,
    usage: &mut Usage,
) -> Result<(Judged, Vec<Finding>), Vec<Problem>> {
    let mut merged: Vec<Finding> = Vec::new();
    let mut applied: BTreeSet<&'static str> = BTreeSet::new();
    let mut rule_applied = false;
    for triple in each_triple(&input.triples) {
        let rules = policy.rules(triple, &input.name)?;
        if let Reading::Facts(facts) = &input.reading {
            below_base(&rules, facts, triple)?;
            foreign_cpu(&rules, facts)?;
            if rules.cpu.is_some() {
                let seen = match cpu_too_new::signs(facts, &input.compiler_flags).is_empty() {
                    true => CpuExamined::NotAtAll,
                    false => CpuExamined::BySigns,
                };
                usage.cpu = usage.cpu.max(seen);
            }
            usage.note_libraries(facts, &rules);
            usage.note_namespaces(facts, &rules);
            if let Some(Ok(bindings)) = &facts.bindings {
                let undefined = bindings.imports.iter().filter(|import| import.version.is_none());
                let names = undefined.map(|import| &import.name).chain(&bindings.leftovers);
                usage.note_undefined(names.map(String::as_str), &rules);
                rule_applied |= rules.undefined.is_some();
            }
        }
        if let Reading::Linkable(done) = &input.reading {
            let unresolved = done.unresolved.iter().map(|one| &one.name);
            usage.note_undefined(unresolved.chain(&done.provided).map(String::as_str), &rules);
            // Of all rules these alone are about what a later link is to find.
            rule_applied |= rules.undefined.is_some()
                || rules.link_libs.is_some()
                || policy.lints.contains_key("archive_incomplete");
        }
        for (index, exception) in policy.exceptions.iter().enumerate() {
            let artifact = exception.artifact.as_ref().is_none_or(|pattern| input.name.matches(pattern));
            let target = exception
                .target
                .as_ref()
                .is_none_or(|target| triple.is_some_and(|triple| target.value.matches(triple) == Some(true)));
            if target {
                usage.exceptions_for_these.insert(index);
            }
            if artifact && target {
                usage.exceptions_in_reach.insert(index);
            }
        }
        let place = Place { triples: triple.map(str::to_owned).into_iter().collect(), ..input.place() };
        let subject = Subject {
            name: &input.name,
            place: &place,
            reading: &input.reading,
            role: input.role,
            from_cargo: input.from_cargo,
            stale: input.stale.as_ref(),
            compiler_flags: &input.compiler_flags,
            undefs: &input.undefs,
            triple,
            sure_of_triple: input.triples.len() == 1,
            verdict: input.verdict.as_ref(),
            platforms: &input.platforms,
            rules: &rules,
        };
        let mut findings = Vec::new();
        for lint in LINTS {
            let Check::Artifact(check) = lint.check else { continue };
            let mut sink = Sink::new(lint, level(policy, lint), Some(&place), &mut findings);
            if check(&subject, &mut sink) == Applies::Yes {
                applied.insert(lint.name);
                rule_applied |= lint.enforces_rule;
            }
        }
        merge(&mut merged, findings);
    }
    let of_artifact = LINTS.iter().filter(|lint| matches!(lint.check, Check::Artifact(_)));
    let not_applicable = of_artifact.map(|lint| lint.name).filter(|name| !applied.contains(name)).collect();
    Ok((Judged { not_applicable, rule_applied }, merged))
}

/// One finding that holds for several triples is one finding: of those that
/// are alike, the nth for one triple is the nth for another.
fn merge(merged: &mut Vec<Finding>, findings: Vec<Finding>) {
    // A file may be made to give very many.
    let hasher = RandomState::new();
    let hash = |finding: &Finding| {
        hasher.hash_one((finding.lint, &finding.subject, &finding.platform, &finding.forbids, &finding.items))
    };
    let mut alike: HashMap<u64, VecDeque<usize>> = HashMap::new();
    for (at, known) in merged.iter().enumerate() {
        alike.entry(hash(known)).or_default().push_back(at);
    }
    for finding in findings {
        match alike.get_mut(&hash(&finding)).and_then(VecDeque::pop_front) {
            Some(at) => {
                let triples = finding.place.into_iter().flat_map(|place| place.triples);
                if let Some(place) = &mut merged[at].place {
                    place.triples.extend(triples);
                }
            }
            None => merged.push(finding),
        }
    }
}

/// Fact 7: no glibc of this architecture is as old as that, so nothing could
/// ever keep the rule.
fn below_base(rules: &Rules, facts: &Artifact, triple: Option<&str>) -> Result<(), Vec<Problem>> {
    let (Some(ceiling), Some(base)) = (rules.versions.get("GLIBC"), facts.arch.glibc_base()) else {
        return Ok(());
    };
    let musl = facts.libc == Libc::Musl || triple.is_some_and(|triple| triple.contains("musl"));
    if musl || ceiling.value >= base {
        return Ok(());
    }
    Err(vec![
        Problem::new(
            format!("no program for {} can keep to GLIBC_{}", facts.arch, ceiling.value),
            ceiling.span.clone(),
        )
        .label(format!("the oldest version that glibc has on {} is {base}", facts.arch))
        .help(format!("set at least {base} for this architecture")),
    ])
}

/// A CPU of one architecture says nothing about another.
fn foreign_cpu(rules: &Rules, facts: &Artifact) -> Result<(), Vec<Problem>> {
    match &rules.cpu {
        Some(cpu) if !cpu.value.is_of(facts.arch.machine) => Err(vec![
            Problem::new(format!("`{}` is no CPU of {}", cpu.value, facts.arch), cpu.span.clone())
                .label("this rule applies to an artifact of that architecture")
                .help("set `cpu` for a target: [target.TRIPLE]"),
        ]),
        _ => Ok(()),
    }
}

/// The exception that accepts a finding. An expired one accepts nothing more,
/// and the finding says so.
fn accept(
    policy: &Policy,
    finding: &mut Finding,
    name: Option<&Name>,
    today: Date,
    usage: &mut Usage,
) -> Option<usize> {
    let mut expired = None;
    for (index, exception) in policy.exceptions.iter().enumerate() {
        let place = finding.place.as_ref();
        let fits = exception.lint == finding.lint
            && exception.platform.as_ref().is_none_or(|platform| finding.platform.as_ref() == Some(platform))
            && exception.subject.as_ref().is_none_or(|subject| finding.subject.as_ref() == Some(subject))
            && exception.artifact.as_ref().is_none_or(|pattern| match name {
                Some(name) => name.matches(pattern),
                None => place.is_some_and(|place| pattern.matches(&place.name)),
            })
            && exception.target.as_ref().is_none_or(|target| {
                place.is_some_and(|place| {
                    !place.triples.is_empty()
                        && place.triples.iter().all(|triple| target.value.matches(triple) == Some(true))
                })
            });
        if !fits {
            continue;
        }
        usage.exceptions_used.insert(index);
        match &exception.until {
            Some(until) if until.value < today => expired = Some(until.value),
            _ => return Some(index),
        }
    }
    if let Some(until) = expired {
        finding.notes.push(format!("an exception accepted this until {until}"));
    }
    None
}
