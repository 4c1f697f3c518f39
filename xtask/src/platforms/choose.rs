//! Which symbols are worth their bytes.
//!
//! A library that much depends on keeps all its symbols. Of every other library those are kept that some file of the
//! archive asks for, of whatever library: it is then *partial*. A name that is asked for and not stored is surely not in
//! it, and a name that nothing asks for is not known. Which names are asked for takes too many bytes to be stored; but
//! mostly one of a process's libraries has the name, and then the others do not matter. So only **open** names are
//! stored: those that on some system, for some file, no library had.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use cargo_compat::artifact::Arch;
use cargo_compat::loader::{Bind, Whole, open_references};
use cargo_compat::platform::{Draft, Facts, Open, What, hash, split, stem, template};

use super::describe::{Asked, Site};

/// Systems that are worked on at a time.
const WORKERS: usize = 2;

type Named = (&'static str, Site);

/// The drafts of all sites with all symbols, and the open names.
pub fn drafts(sites: &[Named], asked: &Asked, keep: Option<&Path>) -> anyhow::Result<(Vec<Draft>, Open)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((platform, site)) = sites.get(at) else { break };
                    let result = kept_draft(platform, site, sites, asked, keep)
                        .with_context(|| format!("cannot describe {platform}/{}", site.arch()));
                    done.lock().expect("no worker panics").insert(at, result);
                }
            });
        }
    });
    let mut drafts = Vec::new();
    let mut open = Open::default();
    for (_, result) in done.into_inner().expect("no worker panics") {
        let (draft, own) = result?;
        drafts.push(draft);
        // Drafts may be kept from a run that looked into more.
        let is_asked = |hash: &u64| asked.symbols.contains(hash);
        open.names.extend(own.names.into_iter().filter(is_asked));
        for (path, names) in own.asked_of {
            open.asked_of.entry(path).or_default().extend(names.into_iter().filter(is_asked));
        }
    }
    for names in open.asked_of.values_mut().chain([&mut open.names]) {
        names.sort_unstable();
        names.dedup();
        names.shrink_to_fit();
    }
    Ok((drafts, open))
}

fn kept_draft(
    platform: &str,
    site: &Site,
    sites: &[Named],
    asked: &Asked,
    keep: Option<&Path>,
) -> anyhow::Result<(Draft, Open)> {
    let path = keep.map(|folder| folder.join(format!("{platform}-{}", site.arch())));
    if let Some(path) = path.as_ref().filter(|path| path.exists()) {
        return Ok(postcard::from_bytes(&std::fs::read(path)?)?);
    }
    let made = draft(platform, site, sites, asked)?;
    if let Some(path) = &path {
        std::fs::write(path, postcard::to_stdvec(&made)?)?;
    }
    Ok(made)
}

fn draft(platform: &str, site: &Site, sites: &[Named], asked: &Asked) -> anyhow::Result<(Draft, Open)> {
    let mut draft = site.draft(platform, asked)?;
    Whole::of(&draft)?.leave_open(&mut draft);
    if !site.is_deep() {
        return Ok((draft, Open::default()));
    }
    // Now libraries have only those references that they themselves leave open.
    let whole = Whole::of(&draft)?;
    let described = whole.described();
    // What is loaded is called as it was asked for, often by a link.
    let files_of = draft.files_behind_links();
    let mut open: HashSet<u64> = HashSet::new();
    let mut files = 0;
    // Libraries that something loads, and which open names it looks for there.
    let mut used: HashMap<String, HashSet<u64>> = HashMap::new();
    for (_, other) in sites.iter().filter(|(_, other)| other.is_deep() && other.arch() == site.arch()) {
        other.each_file(|path, interpreter, facts| {
            files += 1;
            // Where `$ORIGIN` leads to the file's neighbours, and where it does not.
            let by_origin = facts.rpath.iter().chain(&facts.runpath).any(|path| path.contains("ORIGIN"));
            let elsewhere = by_origin.then_some("/nowhere/file");
            for path in [Some(path), elsewhere].into_iter().flatten() {
                let (found, loaded) = open_references(&described, path, interpreter, facts, Bind::Everything);
                let names: HashSet<u64> = found.iter().map(|one| hash(one.name.as_bytes())).collect();
                open.extend(&names);
                for path in loaded {
                    match used.get_mut(&path) {
                        Some(known) => known.extend(&names),
                        None => drop(used.insert(path, names.clone())),
                    }
                }
            }
            Ok(())
        })?;
    }
    let mut asked_of: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (loaded, names) in &used {
        let files = files_of.get(loaded).map_or(std::slice::from_ref(loaded), Vec::as_slice);
        for file in files {
            asked_of.entry(template(file, &draft.about).into_owned()).or_default().extend(names);
        }
    }
    println!("{platform}/{}: {files} files ask for {} open names", site.arch(), open.len());
    Ok((draft, Open { names: open.into_iter().collect(), asked_of }))
}

/// Which names libraries leave open on the architecture that is looked into most, by platform and path.
fn references(drafts: &[Draft]) -> HashMap<(String, String), HashSet<u64>> {
    let mut known: HashMap<_, HashSet<u64>> = HashMap::new();
    for draft in drafts.iter().filter(|draft| draft.about.triplet.starts_with("x86_64")) {
        for entry in &draft.entries {
            if let What::Library(facts) = &entry.what {
                let place = entry.path.replace(&draft.about.triplet, "");
                let names = facts.unresolved.iter().map(|one| hash(one.name.as_bytes()));
                known.entry((draft.about.platform.clone(), place)).or_default().extend(names);
            }
        }
    }
    known
}

/// What differs from one architecture to another and changes no verdict, made alike: such facts are stored once.
fn make_alike(facts: &mut Facts, arch: Arch) {
    // Whether the loader is needed by name hangs on thread-local variables and stack protectors. It comes with libc,
    // which needs it too.
    let loaders = arch.glibc_interpreters().unwrap_or_default();
    if facts.needed.iter().any(|name| name == "libc.so.6") {
        facts.needed.retain(|name| !loaders.iter().any(|path| split(path).1 == name));
    }
    facts.version_needs.sort_unstable();
    facts.unresolved.sort_unstable();
}

/// Leaves to each library the symbols that are worth their bytes. Libraries of one name are treated alike on all
/// systems: what one of them has and another has not is then known.
pub fn shorten(drafts: &mut [Draft], sites: &[Named], asked: &Asked, worth: usize) {
    let mut whole: HashSet<String> = HashSet::new();
    for (draft, (_, site)) in drafts.iter().zip(sites) {
        let dependents = site.dependents();
        let mut symbols: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &draft.entries {
            if let What::Library(facts) = &entry.what {
                *symbols.entry(&entry.package).or_default() += facts.symbols.as_ref().map_or(0, Vec::len);
            }
        }
        for entry in &draft.entries {
            let package = entry.package.as_str();
            let needed_by = dependents.get(package).copied().unwrap_or(0);
            let is_worth = needed_by * 1000 >= worth * symbols.get(package).copied().unwrap_or(0);
            if matches!(entry.what, What::Library(_)) && (entry.plain || is_worth) {
                whole.insert(stem(split(&entry.path).1).to_owned());
            }
        }
    }
    let known = references(drafts);
    for draft in drafts {
        let arch = draft.about.arch.arch();
        for entry in &mut draft.entries {
            let What::Library(facts) = &mut entry.what else { continue };
            make_alike(facts, arch);
            let name = split(&entry.path).1;
            if whole.contains(stem(name)) {
                continue;
            }
            // What a library leaves open is of interest if something needs the library, and not if it is open only where
            // less was looked into.
            let is_needed = |name: &str| asked.libraries.contains(name);
            if !is_needed(name) && !facts.soname.as_deref().is_some_and(is_needed) {
                facts.unresolved.clear();
            }
            let place = entry.path.replace(&draft.about.triplet, "");
            if let Some(known) = known.get(&(draft.about.platform.clone(), place)) {
                facts.unresolved.retain(|one| known.contains(&hash(one.name.as_bytes())));
            }
            if let Some(symbols) = &mut facts.symbols {
                symbols.retain(|one| asked.symbols.contains(&one.hash));
                symbols.shrink_to_fit();
                facts.partial = true;
            }
        }
        // Of packages that are only named the versions are of no use.
        let read: BTreeSet<&str> = draft
            .entries
            .iter()
            .filter(|entry| matches!(entry.what, What::Library(_)))
            .map(|entry| entry.package.as_str())
            .collect();
        draft.packages.retain(|(name, _)| read.contains(name.as_str()));
    }
}
