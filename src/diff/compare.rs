//! What changed in one artifact, and which of it is a regression: something
//! that the old one did not ask of a system, or a user of it could rely on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Aspect, Change, FromTo, NotCompared};
use crate::artifact::{AbiVersion, Artifact, Binding, Cpu, Libc, Role, Stack, Symbol, Symbols, Tag};
use crate::lints::page_size_too_small::page_size;
use crate::release::Platforms;
use crate::report::model::Verdict;
use crate::text::some_of;

/// What glibc's own package brings on every distribution: where one of them
/// is needed, the others are there.
const OF_GLIBC: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
];

/// Gathers what differs.
#[derive(Default)]
struct Changes {
    changes: Vec<Change>,
    not_compared: Vec<NotCompared>,
}

impl Changes {
    /// One value; it is no change where both are alike.
    fn value<T: ToString>(
        &mut self,
        aspect: Aspect,
        old: Option<T>,
        new: Option<T>,
        regression: Option<&str>,
    ) {
        let (old, new) = (old.map(|old| old.to_string()), new.map(|new| new.to_string()));
        if old != new {
            let regression = regression.map(str::to_owned);
            self.changes.push(Change {
                aspect,
                subject: None,
                from_to: FromTo::Value { old, new },
                regression,
            });
        }
    }

    /// Something that is so or not.
    fn flag(&mut self, aspect: Aspect, old: bool, new: bool, regression: Option<&str>) {
        let word = |is: bool| Some(if is { "yes" } else { "no" });
        self.value(aspect, word(old), word(new), regression);
    }

    fn set(
        &mut self,
        aspect: Aspect,
        subject: Option<&str>,
        old: &BTreeSet<String>,
        new: &BTreeSet<String>,
        regression: impl FnOnce(&[String], &[String]) -> Option<String>,
    ) {
        let gained: Vec<String> = new.difference(old).cloned().collect();
        let lost: Vec<String> = old.difference(new).cloned().collect();
        if gained.is_empty() && lost.is_empty() {
            return;
        }
        self.changes.push(Change {
            aspect,
            subject: subject.map(str::to_owned),
            regression: regression(&gained, &lost),
            from_to: FromTo::Set { gained, lost },
        });
    }
}

pub fn compare(old: &Artifact, new: &Artifact) -> (Vec<Change>, Vec<NotCompared>) {
    let mut changes = Changes::default();
    identity(&mut changes, old, new);
    versions(&mut changes, old, new);
    libraries(&mut changes, old, new);
    symbols(&mut changes, old, new);
    properties(&mut changes, old, new);
    changes.changes.sort_by(|a, b| (a.aspect, &a.subject).cmp(&(b.aspect, &b.subject)));
    changes.not_compared.sort_by_key(|not| not.what);
    (changes.changes, changes.not_compared)
}

/// What decides who can load the file at all.
fn identity(changes: &mut Changes, old: &Artifact, new: &Artifact) {
    let arch = |facts: &Artifact| format!("{} ({:#x})", facts.arch, facts.arch.flags);
    match old.arch.same_as(new.arch) {
        true if old.arch.flags != new.arch.flags => changes.value(
            Aspect::Architecture,
            Some(arch(old)),
            Some(arch(new)),
            Some("its flags (e_flags) say another ABI"),
        ),
        _ => changes.value(
            Aspect::Architecture,
            Some(old.arch),
            Some(new.arch),
            Some("the machines of the old one cannot run it"),
        ),
    }
    let role = |facts: &Artifact| match facts.role {
        Role::Executable => "executable",
        Role::SharedObject => "shared object",
    };
    changes.value(Aspect::Role, Some(role(old)), Some(role(new)), Some("it is used in another way"));
    if old.role == Role::Executable && new.role == Role::Executable {
        let linkage = |facts: &Artifact| Some(if facts.is_static() { "static" } else { "dynamic" });
        let needs_loader = (!new.is_static()).then_some("it needs a loader now");
        changes.value(Aspect::Linkage, linkage(old), linkage(new), needs_loader);
    }
    let loader = new.interpreter.as_ref().map(|_| "it does not start where that loader is missing");
    changes.value(Aspect::Interpreter, old.interpreter.as_ref(), new.interpreter.as_ref(), loader);
    // Of a static file nothing tells.
    let libc = |facts: &Artifact| (facts.libc != Libc::Unknown).then_some(facts.libc);
    let another = libc(old).zip(libc(new)).map(|_| "systems that have the old one need not have the other");
    changes.value(Aspect::Libc, libc(old), libc(new), another);
    let soname = old.soname.as_ref().map(|_| "what was linked with the old one looks for the old name");
    changes.value(Aspect::Soname, old.soname.as_ref(), new.soname.as_ref(), soname);
}

fn versions(changes: &mut Changes, old: &Artifact, new: &Artifact) {
    let (floors_old, floors_new) = (old.floors(), new.floors());
    let namespaces: BTreeSet<&String> = floors_old.keys().chain(floors_new.keys()).collect();
    for namespace in namespaces {
        let (was, is) = (floors_old.get(namespace), floors_new.get(namespace));
        if was == is {
            continue;
        }
        let regression = match (was, is) {
            (Some(was), Some(is)) if was < is => {
                Some(format!("systems that have {namespace}_{was} and not {namespace}_{is} no longer do"))
            }
            (None, Some(is)) => Some(format!("systems without {namespace}_{is} no longer do")),
            _ => None,
        };
        let text = |release: Option<&crate::artifact::Release>| release.map(ToString::to_string);
        changes.changes.push(Change {
            aspect: Aspect::Floor,
            subject: Some(namespace.clone()),
            from_to: FromTo::Value { old: text(was), new: text(is) },
            regression,
        });
    }
    let nodes = |facts: &Artifact| {
        let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for need in &facts.version_needs {
            let node = if need.weak { format!("{} (weak)", need.version) } else { need.version.clone() };
            nodes.entry(need.file.clone()).or_default().insert(node);
        }
        nodes
    };
    let (nodes_old, nodes_new) = (nodes(old), nodes(new));
    let files: BTreeSet<&String> = nodes_old.keys().chain(nodes_new.keys()).collect();
    let none = BTreeSet::new();
    for file in files {
        let of = |nodes: &'_ BTreeMap<String, BTreeSet<String>>| nodes.get(file).unwrap_or(&none).clone();
        let ignored = new.libc == Libc::Musl;
        changes.set(Aspect::Versions, Some(file), &of(&nodes_old), &of(&nodes_new), |gained, _| {
            // A number that is not over the floor was asked for before, as far as numbers tell.
            let named = gained
                .iter()
                .find(|node| !node.ends_with(" (weak)") && AbiVersion::parse(node, []).tag == Tag::Name);
            named
                .filter(|_| !ignored)
                .map(|node| format!("`{node}` has no number, so that no version is sure to have it"))
        });
    }
    let defined = |facts: &Artifact| facts.version_definitions.iter().cloned().collect();
    changes.set(Aspect::VersionsDefined, None, &defined(old), &defined(new), |_, lost| {
        (!lost.is_empty()).then(|| "what was linked with the old one may ask for them".to_owned())
    });
}

fn libraries(changes: &mut Changes, old: &Artifact, new: &Artifact) {
    // The loader itself is there wherever the file starts (fact 16).
    let needed = |facts: &Artifact| -> BTreeSet<String> {
        facts.needed.iter().filter(|name| !facts.is_own_loader(name)).cloned().collect()
    };
    let had_glibc = old.needed.iter().any(|name| OF_GLIBC.contains(&name.as_str()));
    let is_new = |name: &String| !(had_glibc && OF_GLIBC.contains(&name.as_str()));
    changes.set(Aspect::Needed, None, &needed(old), &needed(new), |gained, _| {
        gained.iter().any(is_new).then(|| "it does not start where they are missing".to_owned())
    });
    let joined = |folders: &[String]| (!folders.is_empty()).then(|| folders.join(":"));
    changes.value(Aspect::RunPath, joined(&old.runpath), joined(&new.runpath), None);
    // Fact 20.
    let inherited = |facts: &Artifact| joined(&facts.rpath).filter(|_| facts.runpath.is_empty());
    changes.value(Aspect::InheritedRunPath, inherited(old), inherited(new), None);
    let dlopen = |facts: &Artifact| facts.dlopen.iter().cloned().collect();
    changes.set(Aspect::OpensAtRunTime, None, &dlopen(old), &dlopen(new), |_, _| None);
}

/// Whether somebody else may bind to it. A copy-relocated symbol is another
/// library's (fact 2), and the one of a version definition is none.
fn is_exported(symbol: &Symbol) -> bool {
    symbol.defined
        && symbol.binding != Binding::Local
        && symbol.file.is_none()
        && matches!(symbol.visibility, "default" | "protected")
        && symbol.version.as_ref() != Some(&symbol.name)
}

fn named(symbol: &Symbol) -> String {
    match &symbol.version {
        Some(version) => format!("{}@{version}", symbol.name),
        None => symbol.name.clone(),
    }
}

fn symbols(changes: &mut Changes, old: &Artifact, new: &Artifact) {
    for (facts, which) in [(old, "old"), (new, "new")] {
        let (why, undecided) = match &facts.symbols {
            Some(Symbols::All(_)) => continue,
            Some(Symbols::Unreadable(why)) => {
                (format!("those of the {which} one cannot be read: {why}"), true)
            }
            // A check reads what it needs to explain.
            Some(Symbols::OfVersions(_)) => (format!("the report of the {which} one holds only some"), false),
            None => (format!("the report of the {which} one holds none"), false),
        };
        for what in [Aspect::Undefined, Aspect::Exported] {
            changes.not_compared.push(NotCompared { what, why: why.clone(), undecided });
        }
        return;
    }
    let all =
        |facts: &Artifact| -> Vec<Symbol> { facts.symbols.as_ref().map_or(&[][..], Symbols::known).to_vec() };
    let (old_symbols, new_symbols) = (all(old), all(new));
    let exported = |symbols: &[Symbol]| -> BTreeSet<String> {
        symbols.iter().filter(|symbol| is_exported(symbol)).map(named).collect()
    };
    let library = old.role == Role::SharedObject && new.role == Role::SharedObject;
    changes.set(Aspect::Exported, None, &exported(&old_symbols), &exported(&new_symbols), |_, lost| {
        (library && !lost.is_empty()).then(|| "what was linked with the old one may use them".to_owned())
    });
    let undefined = |symbols: &[Symbol]| -> BTreeSet<String> {
        let undefined = symbols.iter().filter(|symbol| !symbol.defined && symbol.binding != Binding::Local);
        undefined
            .map(|symbol| match symbol.binding {
                Binding::Weak => format!("{} (weak)", named(symbol)),
                _ => named(symbol),
            })
            .collect()
    };
    // A node of these keeps what it has, so the floor tells; one of another
    // library may have got more since (fact 35), and without a version nothing
    // tells.
    let may_be_missing = |name: &&String| {
        let version = name.rsplit_once('@').map(|(_, version)| AbiVersion::parse(version, []).namespace);
        let told = version.is_some_and(|namespace| AbiVersion::namespaces().any(|known| known == namespace));
        !name.ends_with(" (weak)") && !told
    };
    changes.set(Aspect::Undefined, None, &undefined(&old_symbols), &undefined(&new_symbols), |gained, _| {
        let missing: Vec<_> = gained.iter().filter(may_be_missing).cloned().collect();
        (!missing.is_empty())
            .then(|| format!("nothing tells that whoever had the others has {}", some_of(&missing, 2)))
    });
}

fn properties(changes: &mut Changes, old: &Artifact, new: &Artifact) {
    let isa = |facts: &Artifact| {
        let bits = facts.x86_isa_needed.filter(|bits| *bits > 0)?;
        Some(Cpu::of_x86_isa(bits).map_or_else(|| format!("ISA bits {bits:#x}"), |cpu| cpu.to_string()))
    };
    let level = |facts: &Artifact| facts.x86_isa_needed.unwrap_or(0).checked_ilog2().unwrap_or(0);
    let newer = (level(new) > level(old)).then_some("glibc refuses it on an older CPU");
    changes.value(Aspect::Cpu, isa(old), isa(new), newer);
    let kernel = |facts: &Artifact| facts.abi_tag.as_deref().and_then(kernel_of);
    let newer = (kernel(new) > kernel(old)).then_some("an older glibc refuses it on an older kernel");
    changes.value(Aspect::Kernel, old.abi_tag.as_ref(), new.abi_tag.as_ref(), newer);
    let page = page_size(new.arch.machine).map_or(1, |(page, ..)| page);
    let fits = |facts: &Artifact| facts.load_alignment.is_multiple_of(page);
    let pages = (fits(old) && !fits(new)).then_some("systems with larger pages refuse it");
    let alignment = |facts: &Artifact| Some(format!("{:#x}", facts.load_alignment));
    changes.value(Aspect::PageSize, alignment(old), alignment(new), pages);
    let stack = |facts: &Artifact| {
        Some(match facts.stack {
            Stack::Unsaid => "not said",
            Stack::NotExecutable => "not executable",
            Stack::Executable => "executable",
        })
    };
    let executable = (new.stack == Stack::Executable).then_some("newer systems refuse it");
    changes.value(Aspect::Stack, stack(old), stack(new), executable);
    changes.flag(
        Aspect::TextRelocations,
        old.text_relocations,
        new.text_relocations,
        new.text_relocations.then_some("hardened systems refuse it"),
    );
    changes.flag(
        Aspect::PackedRelocations,
        old.relr,
        new.relr,
        new.relr.then_some("glibc before 2.36 and musl before 1.2.4 do not know DT_RELR"),
    );
    changes.flag(Aspect::BindsAtStart, old.bind_now, new.bind_now, None);
    changes.flag(Aspect::PositionIndependent, old.pie, new.pie, None);
    // Reports of older versions do not say it.
    if old.size > 0 && new.size > 0 {
        changes.value(Aspect::Size, Some(old.size), Some(new.size), None);
    } else if old.size != new.size {
        let which = if old.size == 0 { "old" } else { "new" };
        let why = format!("the report of the {which} one does not say it");
        changes.not_compared.push(NotCompared { what: Aspect::Size, why, undecided: false });
    }
}

/// Platforms won and lost, of those that both were held against.
pub fn platforms(old: &Platforms, new: &Platforms) -> Vec<Change> {
    let with = |of: &Platforms, other: &Platforms, wanted: Verdict| -> BTreeSet<String> {
        // What ran and is now undecided, or the other way round, is neither won nor lost.
        let is_told = |name: &str| match wanted {
            Verdict::Runs => other.get(name).is_some_and(|verdict| *verdict != Verdict::Undecided),
            _ => other.contains_key(name),
        };
        let all = of.iter().filter(|(name, verdict)| **verdict == wanted && is_told(name));
        all.map(|(name, _)| name.clone()).collect()
    };
    let mut changes = Changes::default();
    for (wanted, subject) in [(Verdict::Runs, None), (Verdict::Undecided, Some("undecided"))] {
        let (was, is) = (with(old, new, wanted), with(new, old, wanted));
        changes.set(Aspect::Platform, subject, &was, &is, |_, lost| {
            let all = wanted == Verdict::Runs && !lost.is_empty();
            all.then(|| "their loaders took the old one".to_owned())
        });
    }
    changes.changes
}

/// The release in an ABI tag: `Linux 3.2.0`.
fn kernel_of(tag: &str) -> Option<crate::artifact::Release> {
    crate::artifact::Release::parse(tag.rsplit(' ').next()?)
}
