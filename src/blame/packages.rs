//! From a package to the user's own: the graph that `cargo metadata` tells.

use std::collections::{BTreeSet, HashMap, VecDeque};

use cargo_metadata::{DependencyKind, Metadata, TargetKind};

use crate::finding::cause::PackageName;

/// The packages of a project and what they depend on.
#[derive(Debug, Default)]
pub struct Packages {
    by_id: HashMap<String, Package>,
}

#[derive(Debug)]
pub struct Package {
    pub name: PackageName,
    /// The crate that others depend on, as Rust source says it.
    pub crate_name: Option<String>,
    /// Of the workspace.
    pub is_own: bool,
    /// A part of the compiler while it runs: nothing of it is linked.
    is_macro: bool,
    /// Every feature that can be asked for, and what it turns on.
    pub features: HashMap<String, Vec<String>>,
    /// Packages that it depends on when it runs, and the name in its manifest.
    uses: Vec<(String, String)>,
}

/// What cargo's package id itself says: `…#name@1.0.0`, or `…/name#1.0.0` where
/// the folder is called like the package (Cargo Book, "Package ID
/// Specifications").
pub fn name_of_id(id: &str) -> Option<PackageName> {
    let (source, fragment) = id.rsplit_once('#')?;
    let (name, version) = match fragment.split_once('@') {
        Some(both) => both,
        None => (source.trim_end_matches('/').rsplit('/').next()?, fragment),
    };
    Some(PackageName { name: name.to_owned(), version: version.to_owned() })
}

impl Packages {
    pub fn new(metadata: &Metadata) -> Self {
        let own: BTreeSet<&str> = metadata.workspace_members.iter().map(|id| id.repr.as_str()).collect();
        let mut by_id: HashMap<String, Package> = HashMap::new();
        for package in &metadata.packages {
            let has = |kind: TargetKind| package.targets.iter().any(|target| target.kind.contains(&kind));
            let library = package.targets.iter().find(|target| {
                [TargetKind::Lib, TargetKind::RLib, TargetKind::DyLib, TargetKind::CDyLib]
                    .iter()
                    .any(|kind| target.kind.contains(kind))
            });
            by_id.insert(
                package.id.repr.clone(),
                Package {
                    name: PackageName {
                        name: package.name.to_string(),
                        version: package.version.to_string(),
                    },
                    crate_name: library.map(|target| target.name.replace('-', "_")),
                    is_own: own.contains(package.id.repr.as_str()),
                    is_macro: has(TargetKind::ProcMacro),
                    features: package.features.iter().map(|(name, on)| (name.clone(), on.clone())).collect(),
                    uses: Vec::new(),
                },
            );
        }
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let is_normal = |dependency: &&cargo_metadata::NodeDep| {
                dependency.dep_kinds.is_empty()
                    || dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            };
            let uses = node.deps.iter().filter(is_normal);
            let uses: Vec<_> = uses.map(|one| (one.pkg.repr.clone(), one.name.clone())).collect();
            if let Some(package) = by_id.get_mut(&node.id.repr) {
                package.uses = uses;
            }
        }
        Self { by_id }
    }

    pub fn get(&self, id: &str) -> Option<&Package> {
        self.by_id.get(id)
    }

    /// The shortest path of dependencies between two packages, both included,
    /// as package ids. Procedural macros lead nowhere: they are not linked.
    pub fn path(&self, from: &str, to: &str) -> Option<Vec<&str>> {
        let (start, _) = self.by_id.get_key_value(from)?;
        let mut came_from: HashMap<&str, &str> = HashMap::new();
        let mut pending: VecDeque<&str> = VecDeque::from([start.as_str()]);
        while let Some(id) = pending.pop_front() {
            if id == to {
                let mut path = vec![id];
                while let Some(before) = came_from.get(path[path.len() - 1]) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            let Some(package) = self.by_id.get(id) else { continue };
            for (used, _) in &package.uses {
                let linked = self.by_id.get(used).is_some_and(|package| !package.is_macro);
                if linked && used != start && !came_from.contains_key(used.as_str()) {
                    came_from.insert(used, id);
                    pending.push_back(used);
                }
            }
        }
        None
    }

    /// Everything that is linked into what this package builds, itself included.
    pub fn linked_into(&self, from: &str) -> BTreeSet<&str> {
        let mut linked = BTreeSet::new();
        let mut pending: Vec<&str> =
            self.by_id.get_key_value(from).map(|(id, _)| id.as_str()).into_iter().collect();
        while let Some(id) = pending.pop() {
            let Some(package) = self.by_id.get(id) else { continue };
            if (id == from || !package.is_macro) && linked.insert(id) {
                pending.extend(package.uses.iter().map(|(used, _)| used.as_str()));
            }
        }
        linked
    }

    /// The packages that have a crate of that name, of those that are linked.
    pub fn of_crate<'p>(&'p self, crate_name: &str, linked: &BTreeSet<&'p str>) -> Vec<&'p str> {
        let has = |id: &&&str| {
            let package = self.by_id.get(**id);
            package.is_some_and(|package| package.crate_name.as_deref() == Some(crate_name))
        };
        linked.iter().filter(has).copied().collect()
    }

    /// The crates of the workspace's own libraries.
    pub fn own_crates(&self) -> impl Iterator<Item = &str> {
        self.by_id
            .values()
            .filter(|package| package.is_own)
            .filter_map(|package| package.crate_name.as_deref())
    }

    /// The package called `name version`.
    pub fn by_label(&self, label: &str) -> Option<&str> {
        let (name, version) = label.rsplit_once(' ')?;
        let is_it =
            |(_, package): &(&String, &Package)| package.name.name == name && package.name.version == version;
        self.by_id.iter().find(is_it).map(|(id, _)| id.as_str())
    }

    /// The package of the workspace that leads to this one by the fewest steps.
    pub fn nearest_own(&self, id: &str) -> Option<&str> {
        let mut own: Vec<&str> =
            self.by_id.iter().filter(|(_, package)| package.is_own).map(|(id, _)| id.as_str()).collect();
        own.sort_unstable();
        own.into_iter().filter_map(|own| Some((self.path(own, id)?.len(), own))).min().map(|(_, own)| own)
    }

    pub fn names(&self, path: &[&str]) -> Vec<PackageName> {
        path.iter().filter_map(|id| Some(self.by_id.get(*id)?.name.clone())).collect()
    }

    /// The feature by which the last package of a path gets one of `wanted`,
    /// as near to the user as it can be asked for: (package id, feature).
    pub fn feature_along(&self, path: &[&str], wanted: &[&str]) -> Option<(String, String)> {
        let (last, before) = path.split_last()?;
        let package = self.by_id.get(*last)?;
        let own = wanted.iter().find(|name| package.features.contains_key(**name))?;
        let mut best = ((*last).to_owned(), (*own).to_owned());
        let mut below = *last;
        for id in before.iter().rev() {
            let Some(package) = self.by_id.get(*id).filter(|package| !package.is_own) else { break };
            let Some((_, dependency)) = package.uses.iter().find(|(used, _)| used == below) else { break };
            let asked = |on: &String| {
                let (name, feature) = on.split_once('/').unwrap_or((on, ""));
                name.trim_end_matches('?').replace('-', "_") == *dependency && feature == best.1
            };
            let mut names: Vec<&String> = package
                .features
                .iter()
                .filter(|(_, on)| on.iter().any(asked))
                .map(|(name, _)| name)
                .collect();
            names.sort_by_key(|name| (**name == "default", name.len(), (*name).clone()));
            let Some(name) = names.first() else { break };
            best = ((*id).to_owned(), (*name).clone());
            below = id;
        }
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a > b, c; …`: packages by their names, each with what it uses.
    fn graph(text: &str, features: &[(&str, &str, &[&str])]) -> Packages {
        let mut by_id = HashMap::new();
        for one in text.split(';') {
            let (name, uses) = one.split_once('>').unwrap();
            let name = name.trim();
            let uses = uses.split(',').map(str::trim).filter(|used| !used.is_empty());
            let own = features.iter().filter(|(package, ..)| *package == name);
            by_id.insert(
                name.to_owned(),
                Package {
                    name: PackageName { name: name.to_owned(), version: "1.0.0".to_owned() },
                    crate_name: Some(name.replace('-', "_")),
                    is_own: name == "app",
                    is_macro: name.ends_with("derive"),
                    features: own
                        .map(|(_, name, on)| {
                            ((*name).to_owned(), on.iter().map(ToString::to_string).collect())
                        })
                        .collect(),
                    uses: uses.map(|used| (used.to_owned(), used.replace('-', "_"))).collect(),
                },
            );
        }
        Packages { by_id }
    }

    #[test]
    fn ids_name_their_packages() {
        let name = |id: &str| name_of_id(id).map(|name| (name.name, name.version));
        let named = |name: &str| Some((name.to_owned(), "1.0.0".to_owned()));
        assert_eq!(name("path+file:///src/app#1.0.0"), named("app"));
        assert_eq!(name("path+file:///src/app#tool@1.0.0"), named("tool"));
        assert_eq!(name("registry+https://example.invalid/index#serde@1.0.0"), named("serde"));
        assert_eq!(name("nonsense"), None);
    }

    #[test]
    fn the_shortest_path_that_is_linked() {
        let packages = graph("app > a, b, derive; a > c; c > d; b > d; derive > d, e; d > app; e >", &[]);
        assert_eq!(packages.path("app", "d").unwrap(), ["app", "b", "d"]);
        assert_eq!(packages.path("app", "app").unwrap(), ["app"]);
        assert_eq!(packages.path("app", "e"), None);
        assert_eq!(packages.path("none", "e"), None);
        let linked = packages.linked_into("app");
        assert_eq!(linked.iter().copied().collect::<Vec<_>>(), ["a", "app", "b", "c", "d"]);
        assert_eq!(packages.of_crate("d", &linked), ["d"]);
        assert_eq!(packages.of_crate("e", &linked), [""; 0]);
    }

    #[test]
    fn a_feature_is_asked_for_near_the_user() {
        let features: &[(&str, &str, &[&str])] = &[
            ("openssl-sys", "vendored", &["openssl-src"]),
            ("openssl", "vendored", &["openssl-sys/vendored"]),
            ("tls", "static", &["openssl?/vendored"]),
        ];
        let packages = graph(
            "app > tls, plain; tls > openssl; openssl > openssl-sys; openssl-sys >; plain > openssl-sys",
            features,
        );
        let wanted = ["static", "vendored"];
        let along = |path: &[&str]| packages.feature_along(path, &wanted);
        let found = |package: &str, feature: &str| Some((package.to_owned(), feature.to_owned()));
        assert_eq!(along(&["app", "tls", "openssl", "openssl-sys"]), found("tls", "static"));
        assert_eq!(along(&["app", "plain", "openssl-sys"]), found("openssl-sys", "vendored"));
        assert_eq!(along(&["app", "plain"]), None);
    }
}
