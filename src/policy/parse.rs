//! `compat.toml`, from text: every problem at once, each with its span.
//!
//! Derived deserialisation stops at the first problem, so the parsed table is
//! walked by hand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::RULE_KEYS;
use super::{At, Build, Exception, Keys, Pattern, Policy, Problem, Scope, Selector, Source, TargetSelector};
use crate::finding::Level;
use crate::lints;
use crate::text::did_you_mean;

/// No policy is as large as this, in bytes; a device or a dump might be.
const LARGEST: u64 = 4 << 20;

pub type Value<'i> = Spanned<DeValue<'i>>;

pub const TOP_KEYS: &[&str] =
    &["requires", "artifacts", "baseline", "build", "target", "artifact", "lints", "exception"];
pub const TARGET_KEYS: &[&str] = &["artifact", "test"];
pub const BUILD_KEYS: &[&str] = &["profile", "targets", "features", "all-features", "no-default-features"];

/// Reads the file. `Err` says why it could not be, in words.
pub fn read(path: &Path) -> Result<Source, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err(format!("it is {}", crate::artifact::kind_of(&metadata)));
    }
    if metadata.len() > LARGEST {
        return Err(format!("it has {} bytes; a policy has at most {LARGEST}", metadata.len()));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))?;
    Ok(Source { path: path.to_owned(), text })
}

/// Reads the text, or says everything that is wrong with it.
pub fn parse(source: Source) -> Result<Policy, (Source, Vec<Problem>)> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut walk = Walk { problems: Vec::new() };
    if errors.is_empty() {
        let parsed = walk.policy(table.get_ref());
        if walk.problems.is_empty() {
            let Parsed { artifacts, baseline, build, scopes, lints, exceptions } = parsed;
            return Ok(Policy { artifacts, baseline, build, scopes, lints, exceptions, source });
        }
    } else {
        // A broken table would only bring problems that are not there.
        let end = source.text.len();
        walk.problems.extend(errors.iter().map(|error| {
            let span = error.span().unwrap_or(end..end);
            Problem::new("this is not TOML", span).label(error.message().to_owned())
        }));
    }
    walk.problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    let problems = walk.problems;
    Err((source, problems))
}

struct Parsed {
    artifacts: Option<Vec<At<Pattern>>>,
    baseline: Option<At<String>>,
    build: Build,
    scopes: Vec<Scope>,
    lints: BTreeMap<&'static str, At<Level>>,
    exceptions: Vec<Exception>,
}

pub struct Walk {
    pub problems: Vec<Problem>,
}

impl Walk {
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub fn unknown_key(&mut self, key: &str, span: Range<usize>, place: &str, known: &[&[&str]]) {
        let candidates = known.iter().copied().flatten().copied();
        let problem =
            Problem::new(format!("unknown key `{key}` in {place}"), span).label("not a key of this table");
        self.problem(match did_you_mean(key, candidates.clone()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("the keys here are {}", candidates.collect::<Vec<_>>().join(", "))),
        });
    }

    pub fn wrong_type(&mut self, value: &Value<'_>, key: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        self.problem(
            Problem::new(format!("{} must be {wanted}", named(key)), value.span())
                .label(format!("this is of type {found}")),
        );
    }

    pub fn string(&mut self, value: &Value<'_>, key: &str) -> Option<At<String>> {
        match value.get_ref().as_str() {
            Some(text) => Some(At { value: text.to_owned(), span: value.span() }),
            None => {
                self.wrong_type(value, key, "a string");
                None
            }
        }
    }

    fn boolean(&mut self, value: &Value<'_>, key: &str) -> bool {
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(value, key, "true or false");
            false
        })
    }

    pub fn strings(&mut self, value: &Value<'_>, key: &str) -> Vec<At<String>> {
        match value.get_ref().as_array() {
            Some(array) => {
                let one = format!("each of `{key}`");
                array.iter().filter_map(|value| self.string(value, &one)).collect()
            }
            None => {
                self.wrong_type(value, key, "a list of strings");
                Vec::new()
            }
        }
    }

    pub fn table<'v, 'i>(&mut self, value: &'v Value<'i>, key: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, key, "a table");
        }
        table
    }

    pub fn pattern(&mut self, text: &str, span: Range<usize>) -> Option<Pattern> {
        if text.is_empty() {
            self.problem(Problem::new("an empty name matches nothing", span));
            return None;
        }
        match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problem(
                    Problem::new(format!("`{text}` is no glob"), span).label(error.kind().to_string()),
                );
                None
            }
        }
    }

    pub fn patterns(&mut self, value: &Value<'_>, key: &str) -> Vec<At<Pattern>> {
        let strings = self.strings(value, key);
        strings
            .into_iter()
            .filter_map(|At { value, span }| Some(At { value: self.pattern(&value, span.clone())?, span }))
            .collect()
    }

    fn policy(&mut self, table: &DeTable<'_>) -> Parsed {
        let mut parsed = Parsed {
            artifacts: None,
            baseline: None,
            build: Build::default(),
            scopes: vec![Scope { selector: Selector::Top, span: 0..0, keys: Keys::default() }],
            lints: BTreeMap::new(),
            exceptions: Vec::new(),
        };
        let mut top = Keys::default();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "requires" => self.requires(value),
                "artifacts" => parsed.artifacts = Some(self.patterns(value, "artifacts")),
                "baseline" => parsed.baseline = self.string(value, "baseline"),
                "build" => parsed.build = self.build(value),
                "target" => self.targets(value, &mut parsed.scopes),
                "artifact" => {
                    for (pattern, span, keys) in self.artifacts(value, "artifact") {
                        parsed.scopes.push(Scope { selector: Selector::Artifact(pattern), span, keys });
                    }
                }
                "lints" => parsed.lints = self.lints(value),
                "exception" => parsed.exceptions = self.exceptions(value),
                other => self.rule(&mut top, other, key.span(), value, "the policy", &[RULE_KEYS, TOP_KEYS]),
            }
        }
        parsed.scopes[0].keys = top;
        parsed
    }

    fn requires(&mut self, value: &Value<'_>) {
        let Some(At { value, span }) = self.string(value, "requires") else { return };
        let own =
            semver::Version::parse(env!("CARGO_PKG_VERSION")).expect("cargo checks the package's version");
        match semver::VersionReq::parse(&value) {
            Ok(wanted) if wanted.matches(&own) => {}
            Ok(_) => self.problem(
                Problem::new(format!("the policy requires cargo-compat {value}, and this is {own}"), span)
                    .help("install a version of cargo-compat that does"),
            ),
            Err(error) => self.problem(
                Problem::new(format!("`{value}` is no version requirement"), span)
                    .label(error.to_string())
                    .help("write it as Cargo.toml does: requires = \">=0.1\""),
            ),
        }
    }

    fn build(&mut self, value: &Value<'_>) -> Build {
        let mut build = Build::default();
        let Some(table) = self.table(value, "build") else { return build };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "profile" => build.profile = self.string(value, "profile"),
                "targets" => build.targets = self.strings(value, "targets"),
                "features" => {
                    build.features =
                        self.strings(value, "features").into_iter().map(|one| one.value).collect();
                }
                "all-features" => build.all_features = self.boolean(value, "all-features"),
                "no-default-features" => {
                    build.no_default_features = self.boolean(value, "no-default-features");
                }
                other => self.unknown_key(other, key.span(), "[build]", &[BUILD_KEYS]),
            }
        }
        build
    }

    fn targets(&mut self, value: &Value<'_>, scopes: &mut Vec<Scope>) {
        let Some(table) = self.table(value, "target") else { return };
        for (name, value) in table {
            let selector = match TargetSelector::parse(name.get_ref(), name.span()) {
                Ok(selector) => selector,
                Err(problem) => {
                    self.problem(problem);
                    continue;
                }
            };
            let place = format!("[target.{}]", name.get_ref());
            let Some(table) = self.table(value, &place) else { continue };
            let mut keys = Keys::default();
            let mut inner = Vec::new();
            for (key, value) in table {
                match key.get_ref().as_ref() {
                    "artifact" => inner = self.artifacts(value, "artifact"),
                    "test" => keys.test_root = self.test(value, &place),
                    other => {
                        self.rule(&mut keys, other, key.span(), value, &place, &[RULE_KEYS, TARGET_KEYS]);
                    }
                }
            }
            scopes.push(Scope { selector: Selector::Target(selector.clone()), span: name.span(), keys });
            for (pattern, span, keys) in inner {
                let selector = Selector::ArtifactOfTarget(selector.clone(), pattern);
                scopes.push(Scope { selector, span, keys });
            }
        }
    }

    /// `[target.X.test]`: its root.
    fn test(&mut self, value: &Value<'_>, place: &str) -> Option<At<String>> {
        let mut root = None;
        for (key, value) in self.table(value, "test")? {
            match key.get_ref().as_ref() {
                "root" => {
                    root = self.string(value, "root");
                    if root.as_ref().is_some_and(|root| root.value.is_empty()) {
                        self.problem(
                            Problem::new("an empty name is no root", value.span()).help(
                                "\"empty\", \"sysroot\", a folder, or a platform such as \"debian-12\"",
                            ),
                        );
                    }
                }
                other => self.unknown_key(other, key.span(), &format!("{place}'s test"), &[&["root"]]),
            }
        }
        root
    }

    fn artifacts(&mut self, value: &Value<'_>, key: &str) -> Vec<(Pattern, Range<usize>, Keys)> {
        let mut scopes = Vec::new();
        let Some(table) = self.table(value, key) else { return scopes };
        for (name, value) in table {
            let place = format!("[artifact.{}]", name.get_ref());
            let pattern = self.pattern(name.get_ref(), name.span());
            let Some(table) = self.table(value, &place) else { continue };
            let mut keys = Keys::default();
            for (key, value) in table {
                self.rule(&mut keys, key.get_ref(), key.span(), value, &place, &[RULE_KEYS]);
            }
            scopes.extend(pattern.map(|pattern| (pattern, name.span(), keys)));
        }
        scopes
    }

    fn lints(&mut self, value: &Value<'_>) -> BTreeMap<&'static str, At<Level>> {
        let mut levels = BTreeMap::new();
        let Some(table) = self.table(value, "lints") else { return levels };
        for (key, value) in table {
            let Some(lint) = self.lint(key.get_ref(), key.span()) else { continue };
            let Some(At { value: text, span }) = self.string(value, lint.name) else { continue };
            let Some(level) = Level::ALL.into_iter().find(|level| level.name() == text) else {
                self.problem(
                    Problem::new(format!("`{text}` is no lint level"), span)
                        .help("`allow`, `warn` or `deny`"),
                );
                continue;
            };
            if lint.undecided && level != Level::Deny {
                self.problem(
                    Problem::new(format!("`{}` cannot be set to `{level}`", lint.name), span)
                        .label("it says that nothing was decided, which is never fine by default")
                        .help(format!(
                            "accept a single case:\n[[exception]]\nlint = \"{}\"\nartifact = \"…\"\nreason = \"…\"",
                            lint.name
                        )),
                );
                continue;
            }
            levels.insert(lint.name, At { value: level, span });
        }
        levels
    }

    pub fn lint(&mut self, name: &str, span: Range<usize>) -> Option<&'static lints::Lint> {
        let found = lints::find(name);
        if found.is_none() {
            let problem = Problem::new(format!("unknown lint `{name}`"), span);
            self.problem(match did_you_mean(name, lints::LINTS.iter().map(|lint| lint.name)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!(
                    "the lints are {}",
                    lints::LINTS.iter().map(|lint| lint.name).collect::<Vec<_>>().join(", ")
                )),
            });
        }
        found
    }
}

/// A key in backticks, unless it stands in words already.
fn named(key: &str) -> String {
    if key.contains('`') { key.to_owned() } else { format!("`{key}`") }
}
