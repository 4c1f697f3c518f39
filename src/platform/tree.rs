//! Files and links of a system, gathered from packages, a folder or an archive,
//! and made into drafts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::draft::{About, ArchName, Draft, Entry, Facts, What};
use super::write::split;
use crate::artifact::{Arch, Artifact, Examined, ReadError, Role};

/// Links followed for one path (Linux, `MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Who brings a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Empty where the system has no packages.
    pub package: String,
    /// A plain install has it.
    pub plain: bool,
}

impl Owner {
    /// Of no package, and there from the start.
    pub fn plain() -> Self {
        Self { package: String::new(), plain: true }
    }
}

/// What is at a path, whatever the architecture of the description.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Thing {
    Link(String),
    Library(ArchName, Box<Facts>),
    /// It is there; what it is could not be read.
    Unread(String),
    NotElf,
}

impl Thing {
    /// Of a file that was read with its bindings. `None`: no shared object.
    pub fn of(read: Result<Examined, ReadError>) -> Option<Self> {
        match read {
            Ok(Examined::Elf(facts)) => Self::of_artifact(&facts),
            Ok(Examined::Other(_)) => Some(Self::NotElf),
            Err(error) => Some(Self::Unread(error.to_string())),
        }
    }

    fn of_artifact(facts: &Artifact) -> Option<Self> {
        // A program by a library's name is none (a static PIE, a plugin's test).
        if facts.role == Role::Executable && facts.soname.is_none() && facts.interpreter.is_some() {
            return None;
        }
        Some(Self::Library(ArchName::from(facts.arch), Box::new(Facts::of(facts))))
    }
}

/// Whether a path is of interest by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    None,
    /// It may be a library or a loader.
    Library,
    /// A part of `/etc/ld.so.conf`, a musl loader's path file, or what the
    /// system is called.
    Text,
}

impl Interest {
    /// Shared objects are told by their names: `.so` at the end or before a
    /// version, and the loaders.
    pub fn of(path: &str) -> Self {
        let name = split(path).1;
        let in_conf = path.strip_prefix("/etc/ld.so.conf");
        let is_conf = in_conf
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with(".d/") && rest.ends_with(".conf")));
        let is_name = matches!(path, "/etc/os-release" | "/usr/lib/os-release");
        if is_conf || is_name || (path.starts_with("/etc/ld-musl-") && path.ends_with(".path")) {
            return Self::Text;
        }
        let end = name.rfind(".so").map(|at| &name[at + 3..]);
        match end {
            Some(rest) if rest.is_empty() || rest.starts_with('.') || rest.starts_with("-") => Self::Library,
            // `libaio.so.1t64` and `libfoo.so.1.2a` have a dot behind `.so`; `foo.sock` has not.
            _ => Self::None,
        }
    }
}

/// A system's files, as far as they matter.
#[derive(Debug, Default)]
pub struct Tree {
    things: BTreeMap<String, Vec<(Owner, Thing)>>,
    /// All symbolic links; those to folders count.
    links: BTreeMap<String, String>,
    /// Links to folders that are there before all others.
    preset: Vec<(String, String)>,
    /// Paths of shared objects of which nothing else is known.
    others: BTreeSet<String>,
}

impl Tree {
    /// With links to folders that the system has, whatever its packages say:
    /// `/lib` → `/usr/lib`.
    pub fn with_folder_links(links: &[(&str, &str)]) -> Self {
        let preset = links.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Self { preset, ..Self::default() }
    }

    /// Something at an absolute path.
    pub fn add(&mut self, path: &str, owner: Owner, thing: Thing) {
        let path = self.in_preset(path);
        if let Thing::Link(target) = &thing {
            self.links.insert(path.clone(), target.clone());
            if Interest::of(&path) != Interest::Library {
                return;
            }
        }
        let things = self.things.entry(path).or_default();
        // One package may have it twice where folders are merged.
        if !things.iter().any(|(own, _)| *own == owner) {
            things.push((owner, thing));
        }
    }

    /// A shared object of which only the path is known.
    pub fn add_other(&mut self, path: &str) {
        let path = self.in_preset(path);
        self.others.insert(path);
    }

    /// Another name of a file that is there already (a hard link).
    pub fn add_same(&mut self, path: &str, as_path: &str) {
        let (path, as_path) = (self.in_preset(path), self.in_preset(as_path));
        if let Some(things) = self.things.get(&as_path).cloned() {
            self.things.entry(path).or_insert(things);
        }
    }

    fn in_preset(&self, path: &str) -> String {
        for (from, to) in &self.preset {
            if let Some(rest) = path.strip_prefix(from.as_str())
                && rest.starts_with('/')
            {
                return format!("{to}{rest}");
            }
        }
        path.to_owned()
    }

    /// The things at a path, as they were added, links not followed.
    pub fn at(&self, path: &str) -> &[(Owner, Thing)] {
        self.things.get(&self.in_preset(path)).map(Vec::as_slice).unwrap_or_default()
    }

    /// A file, links followed within the tree. `None`: nothing of interest.
    pub fn follow(&self, path: &str) -> Option<String> {
        let mut left: Vec<String> = parts(path);
        let mut real: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                real.pop();
                continue;
            }
            real.push(part);
            let here = self.in_preset(&joined(&real));
            match self.links.get(&here) {
                None => real = here.split('/').skip(1).map(str::to_owned).collect(),
                Some(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        real.clear();
                    } else {
                        real = here.split('/').skip(1).map(str::to_owned).collect();
                        real.pop();
                    }
                    left.extend(parts(target));
                }
            }
        }
        Some(joined(&real))
    }

    /// Every machine for which there are libraries, with their number, the
    /// commonest first.
    pub fn machines(&self) -> Vec<(Arch, usize)> {
        let mut machines: Vec<(Arch, usize)> = Vec::new();
        for (_, thing) in self.things.values().flatten() {
            let Thing::Library(arch, _) = thing else { continue };
            match machines.iter_mut().find(|(known, _)| known.same_as(arch.arch())) {
                Some((_, count)) => *count += 1,
                None => machines.push((arch.arch(), 1)),
            }
        }
        machines.sort_by_key(|(arch, count)| (std::cmp::Reverse(*count), arch.machine));
        machines
    }

    /// What `ldconfig` makes in the folders that it looks into: a link by the
    /// soname of each library (`elf/ldconfig.c`).
    pub fn make_soname_links(&mut self, folders: &[String]) {
        let mut made: BTreeMap<String, (String, Owner)> = BTreeMap::new();
        for (path, things) in &self.things {
            let (folder, name) = split(path);
            if !folders.iter().any(|own| own == folder)
                || !(name.starts_with("lib") || name.starts_with("ld"))
            {
                continue;
            }
            for (owner, thing) in things {
                let Thing::Library(_, facts) = thing else { continue };
                let Some(soname) = facts.soname.as_deref().filter(|soname| *soname != name) else { continue };
                let link = format!("{folder}/{soname}");
                if soname.contains('/') || self.things.contains_key(&link) {
                    continue;
                }
                // Of several files the one of the highest version is linked.
                let better = made.get(&link).is_none_or(|(other, _)| numbers(other) < numbers(name));
                if better {
                    made.insert(link, (name.to_owned(), owner.clone()));
                }
            }
        }
        for (link, (target, owner)) in made {
            self.add(&link, owner, Thing::Link(target));
        }
    }

    /// Leaves what is in these folders, what has one of these names, and where links of that lead. Of the rest only
    /// the paths are known.
    pub fn keep(&mut self, folders: &[String], is_wanted: impl Fn(&str) -> bool) {
        let wanted = |path: &str| {
            let (folder, name) = split(path);
            folders.iter().any(|own| own == folder) || is_wanted(name)
        };
        let mut kept: BTreeSet<String> = BTreeSet::new();
        let mut left: Vec<String> = self.things.keys().filter(|path| wanted(path)).cloned().collect();
        while let Some(path) = left.pop() {
            if !kept.insert(path.clone()) {
                continue;
            }
            for (_, thing) in self.things.get(&path).into_iter().flatten() {
                if let Thing::Link(target) = thing {
                    let folder = split(&path).0;
                    let target =
                        if target.starts_with('/') { target.clone() } else { format!("{folder}/{target}") };
                    left.extend(self.follow_folders(&target).filter(|path| self.things.contains_key(path)));
                }
            }
        }
        let others = self.things.keys().filter(|path| !kept.contains(*path)).cloned();
        self.others.extend(others);
        self.things.retain(|path, _| kept.contains(path));
    }

    /// Whether something is in a folder.
    pub fn has_in(&self, folder: &str) -> bool {
        self.things.keys().any(|path| split(path).0 == folder)
    }

    /// The path with links to folders followed, and not that of the file.
    fn follow_folders(&self, path: &str) -> Option<String> {
        let (folder, name) = split(path);
        Some(format!("{}/{name}", self.follow(folder)?))
    }

    /// The description of one architecture. `about` has no folder links yet.
    pub fn draft(&self, mut about: About, packages: Vec<(String, String)>) -> Draft {
        about.folder_links = self.folder_links();
        let arch = about.arch.arch();
        let mut entries = Vec::new();
        for (path, things) in &self.things {
            for (owner, thing) in things {
                let what = match thing {
                    Thing::Link(target) => What::Link(target.clone()),
                    Thing::NotElf => What::NotElf,
                    Thing::Unread(_) => What::Listed,
                    Thing::Library(own, _) if !own.arch().same_as(arch) => What::OtherMachine,
                    Thing::Library(_, facts) => What::Library(facts.clone()),
                };
                let Owner { package, plain } = owner.clone();
                entries.push(Entry { path: path.clone(), package, plain, what });
            }
        }
        let others = self.others.iter().filter(|path| !self.things.contains_key(*path)).cloned().collect();
        Draft { about, entries, others, packages }
    }

    /// Links to folders that have something of interest below them.
    fn folder_links(&self) -> Vec<(String, String)> {
        let mut folders: BTreeSet<&str> = BTreeSet::new();
        for path in self.things.keys() {
            let mut folder = split(path).0;
            while folders.insert(folder) && folder.len() > 1 {
                folder = split(folder).0;
            }
        }
        let mut links = self.preset.clone();
        for (path, target) in &self.links {
            let leads = self.follow(path).is_some_and(|real| folders.contains(real.as_str()));
            if leads && !self.things.contains_key(path) {
                links.push((path.clone(), target.clone()));
            }
        }
        links
    }
}

/// The parts of a path, the last first, without `.`.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
}

fn joined(parts: &[String]) -> String {
    format!("/{}", parts.join("/"))
}

/// The numbers in a name, for the order in which `ldconfig` has versions.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_by_their_names() {
        for (path, interest) in [
            ("/usr/lib/libc.so.6", Interest::Library),
            ("/usr/lib/libaio.so.1t64", Interest::Library),
            ("/lib64/ld64.so.2", Interest::Library),
            ("/lib/ld-musl-x86_64.so.1", Interest::Library),
            ("/usr/lib/libfoo-1.2.so", Interest::Library),
            ("/usr/lib/python3/a.cpython-311-x86_64-linux-gnu.so", Interest::Library),
            ("/run/foo.sock", Interest::None),
            ("/usr/lib/foo.song", Interest::None),
            ("/usr/lib/libfoo.a", Interest::None),
            ("/etc/ld.so.conf", Interest::Text),
            ("/etc/ld.so.conf.d/a.conf", Interest::Text),
            ("/etc/ld.so.conf.d/a", Interest::None),
            ("/etc/ld-musl-x86_64.path", Interest::Text),
        ] {
            assert_eq!(Interest::of(path), interest, "{path}");
        }
    }

    #[test]
    fn links_stay_inside() {
        let mut tree = Tree::with_folder_links(&[("/lib", "/usr/lib")]);
        let link = |target: &str| Thing::Link(target.to_owned());
        tree.add("/usr/lib/a.so", Owner::default(), Thing::NotElf);
        tree.add("/up", Owner::default(), link("../../../../usr"));
        tree.add("/loop", Owner::default(), link("loop"));
        tree.add("/lib/b.so", Owner::default(), link("/lib/a.so"));
        assert_eq!(tree.follow("/up/lib/b.so").as_deref(), Some("/usr/lib/a.so"));
        assert_eq!(tree.follow("/loop/a.so"), None);
        assert_eq!(tree.follow("/../../lib/a.so").as_deref(), Some("/usr/lib/a.so"));
    }
}
