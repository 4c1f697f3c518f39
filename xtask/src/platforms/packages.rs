//! The index of an archive's packages: deb822, as `deb822(5)` and Debian's "RepositoryFormat" describe it.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Package {
    pub version: String,
    pub architecture: String,
    /// In bytes.
    pub size: u64,
    essential: bool,
    priority: String,
    provides: Vec<String>,
    /// For each dependency its alternatives, by name.
    depends: Vec<Vec<String>>,
}

impl Package {
    pub fn depends_on(&self, name: &str) -> bool {
        self.depends.iter().flatten().any(|own| own == name)
    }
}

pub type Packages = BTreeMap<String, Package>;

pub fn parse(text: &str) -> Packages {
    let mut all = Packages::new();
    for paragraph in text.split("\n\n") {
        let mut name = String::new();
        let mut package = Package::default();
        for line in paragraph.lines() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            match key {
                "Package" => name = value.to_owned(),
                "Version" => package.version = value.to_owned(),
                "Architecture" => package.architecture = value.to_owned(),
                "Size" => package.size = value.parse().unwrap_or(0),
                "Essential" => package.essential = value == "yes",
                "Priority" => package.priority = value.to_owned(),
                "Provides" => package.provides = value.split(',').map(bare).collect(),
                "Depends" | "Pre-Depends" => {
                    let alternatives = |one: &str| one.split('|').map(bare).collect();
                    package.depends.extend(value.split(',').map(alternatives));
                }
                _ => {}
            }
        }
        if !name.is_empty() {
            all.insert(name, package);
        }
    }
    all
}

/// A dependency's name, without version and architecture.
fn bare(dependency: &str) -> String {
    let end = dependency.trim().find([' ', '(', ':', '[']).unwrap_or(dependency.trim().len());
    dependency.trim()[..end].to_owned()
}

/// How many packages name each in `Depends` or `Pre-Depends`.
pub fn dependents(packages: &Packages) -> BTreeMap<&str, usize> {
    let mut count = BTreeMap::new();
    for package in packages.values() {
        let named: BTreeSet<&str> = package.depends.iter().flatten().map(String::as_str).collect();
        for name in named {
            *count.entry(name).or_default() += 1;
        }
    }
    count
}

/// Packages that stand for a library file (`Provides: libblas.so.3`): alternatives of one another.
pub fn provides_library(package: &Package) -> bool {
    package.provides.iter().any(|name| name.starts_with("lib") && name.contains(".so."))
}

/// What a plain install has: the essential and required packages, apt, and what they depend on, as
/// `debootstrap --variant=minbase` installs them. Of alternatives the first that there is.
pub fn plain(packages: &Packages) -> BTreeSet<&str> {
    let wanted = |(name, package): (&'_ String, &Package)| {
        package.essential || package.priority == "required" || name == "apt"
    };
    // What is wanted anyhow provides first: `awk` is mawk there, and not gawk with libraries of its own.
    let mut providers: BTreeMap<&str, &str> = BTreeMap::new();
    let (first, others): (Vec<_>, Vec<_>) = packages.iter().partition(|one| wanted(*one));
    for (name, package) in first.into_iter().chain(others) {
        for provided in &package.provides {
            providers.entry(provided).or_insert(name);
        }
    }
    let mut left: Vec<&str> = packages
        .iter()
        .filter(|(name, package)| wanted((name, package)))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut plain = BTreeSet::new();
    while let Some(name) = left.pop() {
        let Some((name, package)) = packages.get_key_value(name) else { continue };
        if !plain.insert(name.as_str()) {
            continue;
        }
        for alternatives in &package.depends {
            let real = alternatives.iter().find_map(|name| {
                let (name, _) = packages.get_key_value(name)?;
                Some(name.as_str())
            });
            let provided = || alternatives.iter().find_map(|name| providers.get(name.as_str()).copied());
            left.extend(real.or_else(provided));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
Package: base-files
Version: 12
Architecture: amd64
Essential: yes
Size: 7
Depends: awk, libc6 (>= 2.36) | libc7
Description: a
 b: c

Package: gawk
Version: 1
Architecture: amd64
Provides: awk
Depends: other

Package: mawk
Version: 1
Architecture: amd64
Priority: required
Provides: awk (= 1), nawk
Pre-Depends: libc6:amd64 (>= 2)

Package: libc6
Version: 2.36-9
Architecture: amd64

Package: other
Version: 1
Architecture: all
Depends: libc6
";

    #[test]
    fn an_index_is_read() {
        let packages = parse(INDEX);
        assert_eq!(packages.len(), 5);
        assert_eq!(packages["base-files"].size, 7);
        assert_eq!(packages["libc6"].version, "2.36-9");
        assert_eq!(dependents(&packages)["libc6"], 3);
    }

    #[test]
    fn a_plain_install_is_closed() {
        let packages = parse(INDEX);
        assert_eq!(plain(&packages).into_iter().collect::<Vec<_>>(), ["base-files", "libc6", "mawk"]);
    }
}
