//! What holds for one artifact on one target.

use super::{Allowance, At, Keys, Linkage, Pattern, Policy, Problem, Selector};
use crate::artifact::{AbiVersion, Cpu, Release, Tag};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The names by which a policy may call an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The one that is shown.
    pub shown: String,
    /// Every one that matches: target name, `package:target`, file name, and
    /// the file name without `lib` and `.so`, `.a`, `.rlib` or `.o`.
    pub all: Vec<String>,
}

impl Name {
    /// The names of a file.
    pub fn of_file(file_name: &str) -> Self {
        let mut all = vec![file_name.to_owned()];
        let of_archive = [".a", ".rlib", ".o"].iter().find_map(|ending| file_name.strip_suffix(ending));
        let stem = file_name.split_once(".so").map(|(stem, _)| stem).or(of_archive);
        all.extend(stem.map(str::to_owned));
        if let Some(bare) = file_name.strip_prefix("lib") {
            all.push(bare.to_owned());
        }
        all.extend(stem.and_then(|stem| stem.strip_prefix("lib")).map(str::to_owned));
        Self { shown: file_name.to_owned(), all }
    }

    /// The names of a cargo target that was built to a file.
    pub fn of_target(package: &str, target: &str, file_name: &str) -> Self {
        let mut all = Self::of_file(file_name).all;
        for name in [target.to_owned(), format!("{package}:{target}")] {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        Self { shown: target.to_owned(), all }
    }

    pub fn matches(&self, pattern: &Pattern) -> bool {
        self.all.iter().any(|name| pattern.matches(name))
    }

    fn is_exactly(&self, pattern: &Pattern) -> bool {
        pattern.is_literal() && self.all.iter().any(|name| name == pattern.text())
    }
}

/// The keys that hold for one artifact, each with the span that set it.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub versions: BTreeMap<String, At<Release>>,
    pub linkage: Option<At<Linkage>>,
    pub cpu: Option<At<Cpu>>,
    pub libraries: Option<At<Vec<At<Pattern>>>>,
    pub undefined: Option<At<Vec<At<Allowance>>>>,
    /// Shared: there are rules for each of thousands of files.
    pub runs_on: Option<At<Arc<[At<String>]>>>,
    pub packages: Option<At<Vec<At<Pattern>>>>,
    pub plain_install: Option<At<()>>,
    pub link_libs: Option<At<Vec<At<String>>>>,
}

impl Rules {
    pub fn is_empty(&self) -> bool {
        self.spans().next().is_none()
    }
}

/// A version tag held against the ceilings.
#[derive(Debug, Clone, Copy)]
pub enum Against<'r> {
    /// Its namespace has no ceiling.
    NoCeiling,
    Within,
    Above(&'r At<Release>),
    /// A named tag, whose age nobody knows.
    Undecidable(&'r At<Release>),
}

impl Rules {
    /// Holds a needed version against the ceiling of its namespace, and names
    /// that namespace.
    pub fn judge(&self, tag: &str) -> (String, Against<'_>) {
        let version = AbiVersion::parse(tag, self.versions.keys().map(String::as_str));
        let against = match self.versions.get(&version.namespace) {
            None => Against::NoCeiling,
            Some(ceiling) => match version.tag {
                Tag::Number(release) | Tag::Marker(release) if release <= ceiling.value => Against::Within,
                Tag::Number(_) | Tag::Marker(_) => Against::Above(ceiling),
                Tag::Name => Against::Undecidable(ceiling),
            },
        };
        (version.namespace, against)
    }
}

impl PartialEq for Rules {
    /// Equal where every key was set at the same place.
    fn eq(&self, other: &Self) -> bool {
        self.spans().eq(other.spans())
    }
}

impl Rules {
    fn spans(&self) -> impl Iterator<Item = (usize, usize)> {
        let versions = self.versions.values().map(|limit| &limit.span);
        let linkage = self.linkage.iter().map(|linkage| &linkage.span);
        let libraries = self.libraries.iter().map(|libraries| &libraries.span);
        let undefined = self.undefined.iter().map(|undefined| &undefined.span);
        let link_libs = self.link_libs.iter().map(|libraries| &libraries.span);
        versions
            .chain(linkage)
            .chain(self.cpu.iter().map(|cpu| &cpu.span))
            .chain(libraries)
            .chain(undefined)
            .chain(self.runs_on.iter().map(|names| &names.span))
            .chain(self.packages.iter().map(|packages| &packages.span))
            .chain(self.plain_install.iter().map(|plain| &plain.span))
            .chain(link_libs)
            .map(|span| (span.start, span.end))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// In which order scopes apply; the last wins, key by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Top,
    Cfg,
    Triple,
    ArtifactGlob,
    Artifact,
    CfgArtifactGlob,
    CfgArtifact,
    TripleArtifactGlob,
    TripleArtifact,
}

impl Policy {
    /// The rules for an artifact. Without a triple (none could be found) only
    /// the top and the artifact's own keys apply.
    pub fn rules(&self, triple: Option<&str>, name: &Name) -> Result<Rules, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut found: Vec<(Rank, &super::Scope)> = Vec::new();
        for scope in &self.scopes {
            match self.rank(&scope.selector, triple, name) {
                Ok(rank) => found.extend(rank.map(|rank| (rank, scope))),
                Err(triple) => problems.push(
                    Problem::new(
                        format!("this `cfg()` cannot be evaluated for `{triple}`"),
                        scope.span.clone(),
                    )
                    .label("the built-in table of targets does not hold that triple")
                    .help(format!("give `{triple}` a table of its own: [target.{triple}]")),
                ),
            }
        }
        found.sort_by_key(|(rank, _)| *rank);
        let mut rules = Layers::default();
        for (rank, scope) in found {
            rules.lay(rank, &scope.keys, &mut problems);
        }
        if problems.is_empty() {
            return Ok(rules.done());
        }
        for problem in problems.iter_mut().filter(|problem| problem.other.is_some()) {
            let on = triple.map(|triple| format!(" on {triple}")).unwrap_or_default();
            problem.message = format!("{}, for `{}`{on}", problem.message, name.shown);
        }
        Err(problems)
    }

    /// The root that tests for a triple must run in.
    pub fn test_root(&self, triple: &str) -> Result<Option<At<String>>, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut root: Layer<String> = None;
        let nobody = Name { shown: String::new(), all: Vec::new() };
        let mut found: Vec<(Rank, &At<String>)> = Vec::new();
        for scope in &self.scopes {
            let Some(own) = &scope.keys.test_root else { continue };
            // A `cfg()` that cannot be evaluated is `rules`' problem.
            found.extend(
                self.rank(&scope.selector, Some(triple), &nobody).ok().flatten().map(|rank| (rank, own)),
            );
        }
        found.sort_by_key(|(rank, _)| *rank);
        for (rank, own) in found {
            set(&mut root, rank, own, "test.root", |a, b| a == b, &mut problems);
        }
        if problems.is_empty() { Ok(root.map(|(_, root)| root)) } else { Err(problems) }
    }

    /// `Err` holds the triple for which a `cfg()` could not be evaluated.
    fn rank<'t>(
        &self,
        selector: &Selector,
        triple: Option<&'t str>,
        name: &Name,
    ) -> Result<Option<Rank>, &'t str> {
        use super::TargetSelector::{Cfg, Triple};
        let on_target = |target: &super::TargetSelector| match triple {
            Some(triple) => target.matches(triple).ok_or(triple),
            None => Ok(false),
        };
        Ok(match selector {
            Selector::Top => Some(Rank::Top),
            Selector::Target(target) => on_target(target)?.then_some(match target {
                Cfg(_) => Rank::Cfg,
                Triple(_) => Rank::Triple,
            }),
            Selector::Artifact(pattern) => name
                .matches(pattern)
                .then(|| if name.is_exactly(pattern) { Rank::Artifact } else { Rank::ArtifactGlob }),
            Selector::ArtifactOfTarget(target, pattern) => (name.matches(pattern) && on_target(target)?)
                .then(|| match (target, name.is_exactly(pattern)) {
                    (Cfg(_), false) => Rank::CfgArtifactGlob,
                    (Cfg(_), true) => Rank::CfgArtifact,
                    (Triple(_), false) => Rank::TripleArtifactGlob,
                    (Triple(_), true) => Rank::TripleArtifact,
                }),
        })
    }
}

/// A key's value and the rank that set it: within one rank two scopes that
/// differ contradict each other.
type Layer<T> = Option<(Rank, At<T>)>;

#[derive(Default)]
struct Layers {
    versions: BTreeMap<String, Layer<Release>>,
    linkage: Layer<Linkage>,
    cpu: Layer<Cpu>,
    libraries: Layer<Vec<At<Pattern>>>,
    undefined: Layer<Vec<At<Allowance>>>,
    runs_on: Layer<Arc<[At<String>]>>,
    packages: Layer<Vec<At<Pattern>>>,
    plain_install: Layer<()>,
    link_libs: Layer<Vec<At<String>>>,
}

impl Layers {
    fn lay(&mut self, rank: Rank, keys: &Keys, problems: &mut Vec<Problem>) {
        for (namespace, limit) in &keys.versions {
            set(
                self.versions.entry(namespace.clone()).or_default(),
                rank,
                limit,
                namespace,
                |a, b| a == b,
                problems,
            );
        }
        if let Some(linkage) = &keys.linkage {
            set(&mut self.linkage, rank, linkage, "linkage", |a, b| a == b, problems);
        }
        if let Some(cpu) = &keys.cpu {
            set(&mut self.cpu, rank, cpu, "cpu", |a, b| a == b, problems);
        }
        if let Some(libraries) = &keys.libraries {
            let same = |a: &Vec<At<Pattern>>, b: &Vec<At<Pattern>>| {
                a.iter().map(|one| &one.value).eq(b.iter().map(|one| &one.value))
            };
            set(&mut self.libraries, rank, libraries, "libraries", same, problems);
        }
        if let Some(undefined) = &keys.undefined {
            let same = |a: &Vec<At<Allowance>>, b: &Vec<At<Allowance>>| {
                a.iter().map(|one| &one.value).eq(b.iter().map(|one| &one.value))
            };
            set(&mut self.undefined, rank, undefined, "undefined", same, problems);
        }
        if let Some(names) = &keys.runs_on {
            let same = |a: &Arc<[At<String>]>, b: &Arc<[At<String>]>| {
                a.iter().map(|one| &one.value).eq(b.iter().map(|one| &one.value))
            };
            set(&mut self.runs_on, rank, names, "runs-on", same, problems);
        }
        if let Some(packages) = &keys.packages {
            let same = |a: &Vec<At<Pattern>>, b: &Vec<At<Pattern>>| {
                a.iter().map(|one| &one.value).eq(b.iter().map(|one| &one.value))
            };
            set(&mut self.packages, rank, packages, "packages", same, problems);
        }
        if let Some(plain) = &keys.plain_install {
            set(&mut self.plain_install, rank, plain, "install", |(), ()| true, problems);
        }
        if let Some(libraries) = &keys.link_libs {
            let same = |a: &Vec<At<String>>, b: &Vec<At<String>>| {
                a.iter().map(|one| &one.value).eq(b.iter().map(|one| &one.value))
            };
            set(&mut self.link_libs, rank, libraries, "link-libs", same, problems);
        }
    }

    fn done(self) -> Rules {
        Rules {
            versions: self.versions.into_iter().filter_map(|(name, layer)| Some((name, layer?.1))).collect(),
            linkage: self.linkage.map(|layer| layer.1),
            cpu: self.cpu.map(|layer| layer.1),
            libraries: self.libraries.map(|layer| layer.1),
            undefined: self.undefined.map(|layer| layer.1),
            runs_on: self.runs_on.map(|layer| layer.1),
            packages: self.packages.map(|layer| layer.1),
            plain_install: self.plain_install.map(|layer| layer.1),
            link_libs: self.link_libs.map(|layer| layer.1),
        }
    }
}

fn set<T: Clone>(
    layer: &mut Layer<T>,
    rank: Rank,
    new: &At<T>,
    key: &str,
    same: impl Fn(&T, &T) -> bool,
    problems: &mut Vec<Problem>,
) {
    if let Some((old_rank, old)) = layer
        && *old_rank == rank
        && !same(&old.value, &new.value)
    {
        // In the order of the file, whatever order the sections came in.
        let (first, second) = match old.span.start < new.span.start {
            true => (&old.span, &new.span),
            false => (&new.span, &old.span),
        };
        problems.push(
            Problem::new(format!("two sections set `{key}` differently"), second.clone())
                .label("the second value")
                .other(first, "the first value")
                .help("let only one of them match, or set the key in a section that goes before both"),
        );
    }
    *layer = Some((rank, new.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Source, parse};

    fn policy(text: &str) -> Policy {
        parse(Source { path: "compat.toml".into(), text: text.to_owned() }).unwrap()
    }

    fn glibc(policy: &Policy, triple: &str, name: &str) -> String {
        policy.rules(Some(triple), &Name::of_file(name)).unwrap().versions["GLIBC"].value.to_string()
    }

    #[test]
    fn the_last_scope_wins_key_by_key() {
        let policy = policy(
            r#"
            glibc = "2.30"
            linkage = "dynamic"
            [target.s390x-unknown-linux-gnu.artifact.server]
            glibc = "2.35"
            [artifact.server]
            glibc = "2.34"
            [artifact."ser*"]
            glibc = "2.33"
            [target.s390x-unknown-linux-gnu]
            glibc = "2.32"
            [target.'cfg(target_endian = "big")']
            glibc = "2.31"
            "#,
        );
        assert_eq!(glibc(&policy, "x86_64-unknown-linux-gnu", "other"), "2.30");
        assert_eq!(glibc(&policy, "powerpc64-unknown-linux-gnu", "other"), "2.31");
        assert_eq!(glibc(&policy, "s390x-unknown-linux-gnu", "other"), "2.32");
        assert_eq!(glibc(&policy, "s390x-unknown-linux-gnu", "serial"), "2.33");
        assert_eq!(glibc(&policy, "x86_64-unknown-linux-gnu", "server"), "2.34");
        assert_eq!(glibc(&policy, "s390x-unknown-linux-gnu", "server"), "2.35");
        let rules = policy.rules(Some("s390x-unknown-linux-gnu"), &Name::of_file("server")).unwrap();
        assert_eq!(rules.linkage.unwrap().value, Linkage::Dynamic);
    }

    #[test]
    fn lists_replace() {
        let policy = policy("libraries = [\"libc.so.6\", \"libm.so.6\"]\n[artifact.tool]\nlibraries = []\n");
        let libraries =
            |name: &str| policy.rules(None, &Name::of_file(name)).unwrap().libraries.unwrap().value.len();
        assert_eq!((libraries("other"), libraries("tool")), (2, 0));
    }

    #[test]
    fn two_cfg_that_differ_are_an_error_and_two_that_agree_are_not() {
        let text = |second: &str| {
            format!(
                "[target.'cfg(target_env = \"gnu\")']\nglibc = \"2.30\"\n\
                 [target.'cfg(target_os = \"linux\")']\nglibc = \"{second}\"\n"
            )
        };
        let name = Name::of_file("x");
        let rules = |text: &str, triple| policy(text).rules(Some(triple), &name);
        assert_eq!(rules(&text("2.31"), "s390x-unknown-linux-gnu").unwrap_err().len(), 1);
        assert!(rules(&text("2.30"), "s390x-unknown-linux-gnu").is_ok());
        // Only one of them matches musl.
        assert!(rules(&text("2.31"), "x86_64-unknown-linux-musl").is_ok());
    }

    #[test]
    fn a_cfg_for_a_triple_that_nobody_knows_is_an_error() {
        let policy = policy("[target.'cfg(unix)']\nglibc = \"2.30\"\n");
        assert!(policy.rules(Some("s390x-acme-linux-gnu"), &Name::of_file("x")).is_err());
    }

    #[test]
    fn a_file_goes_by_its_name_with_and_without_lib_and_so() {
        let name = Name::of_file("libplugin.so.1");
        for (pattern, expected) in
            [("libplugin.so.1", true), ("libplugin", true), ("plugin", true), ("plug*", true), ("lib", false)]
        {
            assert_eq!(name.matches(&Pattern::new(pattern).unwrap()), expected, "{pattern}");
        }
        let built = Name::of_target("acme", "my-plugin", "libmy_plugin.so");
        for pattern in ["my-plugin", "acme:my-plugin", "libmy_plugin", "my_plugin"] {
            assert!(built.matches(&Pattern::new(pattern).unwrap()), "{pattern}");
        }
    }
}
