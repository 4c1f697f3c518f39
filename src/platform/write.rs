//! Packs drafts. The same drafts in the same order give the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::draft::{Draft, Facts, What};
use super::fingerprint::{cut, encode, hash, width};
use super::pack::{
    Broken, DEFINES_VERSIONS, Family, Group, HAS_VERSION_TABLE, Header, MAGIC, MOST_SYSTEMS,
    NO_DEFAULT_FOLDERS, OPEN, OPEN_SURETY, OTHERS, OTHERS_SURETY, PARTIAL, PackedFacts, PackedWhat, Part,
    Place, RELR, Row, SymbolsAt, TRIPLET, deflate,
};

/// So many bits fewer for the fingerprints of partial libraries.
const PARTIAL_LESS: u8 = 2;
/// Bytes of a block before it is deflated.
const BLOCK: usize = 48 << 10;

/// A description's bytes, and what became of them.
#[derive(Debug)]
pub struct Packed {
    pub bytes: Vec<u8>,
    pub sizes: Sizes,
}

/// Bytes by their use, and counts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sizes {
    pub header: usize,
    pub rows: usize,
    pub symbols: usize,
    pub others: usize,
    pub open: usize,
    pub packages: usize,
    pub names: usize,
    pub families: usize,
    pub groups: usize,
    pub fingerprints: usize,
    pub strangers: usize,
}

/// Names that files of an archive ask for and that some process of theirs lacks.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Their hashes, sorted.
    pub names: Vec<u64>,
    /// By the path of a library, its triplet replaced: those, sorted, that some process looks for there.
    pub asked_of: BTreeMap<String, Vec<u64>>,
}

/// `surety`: a name that a library lacks is taken for one of its own once in
/// 2^`surety` times, but never if `open` tells that something asks for it there.
pub fn write(drafts: &[Draft], surety: u8, open: &Open) -> Result<Packed, Broken> {
    if drafts.is_empty() || drafts.len() > MOST_SYSTEMS {
        return Err(Broken(format!("{} systems; one file holds 1 to {MOST_SYSTEMS}", drafts.len())));
    }
    let mut blob = Blob::default();
    let mut sizes = Sizes::default();
    let symbols = families(drafts, surety, open, &mut blob, &mut sizes)?;
    sizes.symbols = blob.bytes.len();
    let blocks = rows(drafts, &symbols, &mut blob, &mut sizes)?;
    sizes.rows = blob.bytes.len() - sizes.symbols;
    let others = others(drafts, &mut blob)?;
    sizes.others = blob.bytes.len() - sizes.symbols - sizes.rows;
    let open = match &open.names[..] {
        [] => Vec::new(),
        names => hashes(names.iter().map(|hash| (*hash, 1)), OPEN, OPEN_SURETY, &mut blob)?,
    };
    sizes.open = blob.bytes.len() - sizes.symbols - sizes.rows - sizes.others;
    let packages = packages(drafts, &mut blob)?;
    sizes.packages = packages.len as usize;
    let systems = drafts.iter().map(|draft| draft.about.clone()).collect();
    let header = deflate(&encoded(&Header { systems, blocks, packages, others, open })?);
    sizes.header = header.len();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(number(header.len())?.to_le_bytes());
    bytes.extend(header);
    bytes.extend(blob.bytes);
    Ok(Packed { bytes, sizes })
}

#[derive(Default)]
struct Blob {
    bytes: Vec<u8>,
}

impl Blob {
    /// Where the bytes are, and how many.
    fn push(&mut self, bytes: &[u8]) -> Result<(u32, u32), Broken> {
        let at = number(self.bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok((at, number(bytes.len())?))
    }

    fn deflated(&mut self, bytes: &[u8]) -> Result<Part, Broken> {
        let (at, len) = self.push(&deflate(bytes))?;
        Ok(Part { at, len, size: number(bytes.len())? })
    }
}

fn number(size: usize) -> Result<u32, Broken> {
    u32::try_from(size).map_err(|_| Broken(format!("{size} bytes are too many for a description")))
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, Broken> {
    postcard::to_allocvec(value).map_err(|error| Broken(format!("a record cannot be written: {error}")))
}

/// A folder with its triplet replaced, so that architectures share it.
fn template(folder: &str, triplet: &str) -> String {
    if triplet.is_empty() { folder.to_owned() } else { folder.replace(triplet, TRIPLET) }
}

/// What a library's name is without its versions: `libicuuc.so.72` and
/// `libicuuc.so.76` have nearly the same symbols.
pub fn stem(name: &str) -> &str {
    let end = name.find(".so").unwrap_or(name.len());
    let stem = name[..end].trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_'));
    if stem.is_empty() { name } else { stem }
}

/// Stem, folder, and a number among libraries of one system that are alike in both.
type Key<'d> = (&'d str, String, usize);

/// The families of all libraries whose symbols are known. The key is the
/// system and the entry.
fn families(
    drafts: &[Draft],
    surety: u8,
    open: &Open,
    blob: &mut Blob,
    sizes: &mut Sizes,
) -> Result<HashMap<(usize, usize), SymbolsAt>, Broken> {
    // The folder keeps apart what is built twice, and the last number what one system has twice all the same.
    let mut members: BTreeMap<Key<'_>, Vec<(usize, usize)>> = BTreeMap::new();
    for (system, draft) in drafts.iter().enumerate() {
        let mut seen: HashMap<(&str, String), usize> = HashMap::new();
        for (at, entry) in draft.entries.iter().enumerate() {
            let What::Library(facts) = &entry.what else { continue };
            if facts.symbols.is_none() {
                continue;
            }
            let (folder, name) = split(&entry.path);
            let key = (stem(name), template(folder, &draft.about.triplet));
            let count = seen.entry(key.clone()).or_default();
            members.entry((key.0, key.1, *count)).or_default().push((system, at));
            *count += 1;
        }
    }
    let mut placed = HashMap::new();
    let mut pushed: HashMap<Vec<u8>, (u32, u32)> = HashMap::new();
    for members in members.values() {
        let libraries = members.iter().map(|&(system, at)| match &drafts[system].entries[at].what {
            What::Library(facts) => Ok((system, at, &**facts)),
            _ => Err(Broken("a member is no library".to_owned())),
        });
        let libraries = libraries.collect::<Result<Vec<_>, _>>()?;
        let partial = libraries.iter().filter(|(.., facts)| facts.partial).count();
        if partial != 0 && partial != libraries.len() {
            let (system, at, _) = libraries[0];
            let path = &drafts[system].entries[at].path;
            return Err(Broken(format!("libraries of one name are partial together: {path}")));
        }
        // Of what a partial library lacks most is not known anyway.
        let surety = if partial == 0 { surety } else { surety.saturating_sub(PARTIAL_LESS) };
        let numbers = numbers(&libraries)?;
        let asked = members.iter().flat_map(|&(system, at)| {
            let Draft { about, entries, .. } = &drafts[system];
            open.asked_of.get(&template(&entries[at].path, &about.triplet)).into_iter().flatten().copied()
        });
        let bytes = family(&libraries, &numbers, surety, asked.collect(), sizes)?;
        // What is built twice has the same symbols twice.
        let (place, len) = match pushed.get(&bytes) {
            Some(&known) => known,
            None => {
                let new = blob.push(&bytes)?;
                pushed.insert(bytes, new);
                new
            }
        };
        sizes.families += 1;
        for (system, at, facts) in libraries {
            let nodes = facts.nodes.iter().map(|name| numbers[name.as_str()]).collect();
            placed.insert((system, at), SymbolsAt { at: place, len, nodes });
        }
    }
    Ok(placed)
}

/// The family's number for each version node. Nodes that differ only in their numbers, and that no library has
/// together (`POPPLER_126` and `POPPLER_147`), have the same one: their symbols are nearly the same.
fn numbers<'d>(libraries: &[(usize, usize, &'d Facts)]) -> Result<HashMap<&'d str, u16>, Broken> {
    let mut having: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, (.., facts)) in libraries.iter().enumerate() {
        for name in &facts.nodes {
            having.entry(name).or_default().insert(at);
        }
    }
    let mut numbers = HashMap::new();
    let mut classes: Vec<(String, BTreeSet<usize>)> = Vec::new();
    for (name, having) in having {
        let letters = name.replace(|c: char| c.is_ascii_digit() || c == '.', "");
        let fits = |(own, others): &(String, BTreeSet<usize>)| *own == letters && others.is_disjoint(&having);
        let class = classes.iter().position(fits).unwrap_or_else(|| {
            classes.push((letters.clone(), BTreeSet::new()));
            classes.len() - 1
        });
        classes[class].1.extend(having);
        let number = u16::try_from(class + 1).map_err(|_| Broken("too many version nodes".to_owned()))?;
        numbers.insert(name, number);
    }
    Ok(numbers)
}

fn family(
    libraries: &[(usize, usize, &Facts)],
    numbers: &HashMap<&str, u16>,
    surety: u8,
    asked: BTreeSet<u64>,
    sizes: &mut Sizes,
) -> Result<Vec<u8>, Broken> {
    let mut all: Vec<(u64, u32, u64)> = Vec::new();
    for (system, _, facts) in libraries {
        for definition in facts.symbols.iter().flatten() {
            let node = match definition.node {
                0 => 0,
                node => facts.nodes.get(usize::from(node) - 1).map_or(0, |name| numbers[name.as_str()]),
            };
            let kind = u32::from(node) * 2 + u32::from(definition.hidden);
            all.push((definition.hash, kind, 1 << system));
        }
    }
    let whole: BTreeSet<u64> = all.iter().map(|(hash, ..)| *hash).collect();
    let width = width(whole.len(), surety);
    for (hash, ..) in &mut all {
        *hash = cut(*hash, width);
    }
    all.sort_unstable();
    // Which systems have it, for each fingerprint and kind.
    let mut merged: Vec<(u64, u32, u64)> = Vec::new();
    for (hash, kind, system) in all {
        match merged.last_mut() {
            Some(last) if (last.0, last.1) == (hash, kind) => last.2 |= system,
            _ => merged.push((hash, kind, system)),
        }
    }
    let mut groups: BTreeMap<(u64, u32), Vec<u64>> = BTreeMap::new();
    for (hash, kind, systems) in merged {
        groups.entry((systems, kind)).or_default().push(hash);
    }
    let coded: Vec<_> = (groups.iter()).map(|(key, list)| (key, list.len(), encode(list, width))).collect();
    let groups = coded.iter().map(|(key, count, coded)| {
        let &(systems, kind) = *key;
        sizes.fingerprints += count;
        sizes.groups += 1;
        Ok(Group { systems, kind, count: number(*count)?, rice: coded.rice, bytes: &coded.bytes })
    });
    let groups = groups.collect::<Result<_, Broken>>()?;
    let strangers = strangers(&whole, width, &asked)?;
    sizes.strangers += strangers.len();
    encoded(&Family { width, groups, strangers })
}

/// Names that are asked of it, are none of its members, and would be taken for one by their first `width` bits.
fn strangers(members: &BTreeSet<u64>, width: u8, asked: &BTreeSet<u64>) -> Result<Vec<u32>, Broken> {
    let known: HashSet<u64> = members.iter().map(|member| cut(*member, width)).collect();
    let alike = asked.iter().filter(|hash| !members.contains(hash) && known.contains(&cut(**hash, width)));
    let strangers: BTreeSet<u32> = alike.map(|hash| *hash as u32).collect();
    match members.iter().any(|member| strangers.contains(&(*member as u32))) {
        true => Err(Broken("two hashes are alike".to_owned())),
        false => Ok(strangers.into_iter().collect()),
    }
}

/// Folder and name of an absolute path.
pub fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(parts) => parts,
        None => ("", path),
    }
}

type ByPlace<'d> = BTreeMap<(String, &'d str, PackedWhat<'d>), (u64, u64)>;

fn rows(
    drafts: &[Draft],
    symbols: &HashMap<(usize, usize), SymbolsAt>,
    blob: &mut Blob,
    sizes: &mut Sizes,
) -> Result<Vec<(String, Part)>, Broken> {
    let mut by_name: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for (system, draft) in drafts.iter().enumerate() {
        for (at, entry) in draft.entries.iter().enumerate() {
            by_name.entry(split(&entry.path).1).or_default().push((system, at));
        }
    }
    let mut blocks = Vec::new();
    let mut block: Vec<u8> = Vec::new();
    let mut first = "";
    for (name, entries) in by_name {
        sizes.names += 1;
        let mut facts: Vec<PackedFacts<'_>> = Vec::new();
        let mut known: HashMap<PackedFacts<'_>, u32> = HashMap::new();
        let mut places: ByPlace<'_> = BTreeMap::new();
        for (system, at) in entries {
            let draft = &drafts[system];
            let entry = &draft.entries[at];
            let what = match &entry.what {
                What::Link(target) => PackedWhat::Link(target),
                What::Listed => PackedWhat::Listed,
                What::OtherMachine => PackedWhat::OtherMachine,
                What::NotElf => PackedWhat::NotElf,
                What::Library(of) => {
                    let packed = packed(of, symbols.get(&(system, at)).cloned());
                    let next = number(facts.len())?;
                    PackedWhat::Library(*known.entry(packed).or_insert_with_key(|packed| {
                        facts.push(packed.clone());
                        next
                    }))
                }
            };
            let folder = template(split(&entry.path).0, &draft.about.triplet);
            let (systems, plain) = places.entry((folder, &entry.package, what)).or_default();
            *systems |= 1 << system;
            *plain |= u64::from(entry.plain) << system;
        }
        let places: Vec<_> = places
            .iter()
            .map(|((folder, package, what), &(systems, plain))| Place {
                folder,
                package,
                systems,
                plain,
                what: *what,
            })
            .collect();
        if block.is_empty() {
            first = name;
        }
        block.extend(encoded(&Row { name, places, facts })?);
        if block.len() >= BLOCK {
            blocks.push((first.to_owned(), blob.deflated(&block)?));
            block.clear();
        }
    }
    if !block.is_empty() {
        blocks.push((first.to_owned(), blob.deflated(&block)?));
    }
    Ok(blocks)
}

fn packed(facts: &Facts, symbols: Option<SymbolsAt>) -> PackedFacts<'_> {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    PackedFacts {
        soname: facts.soname.as_deref(),
        needed: facts.needed.iter().map(String::as_str).collect(),
        rpath: facts.rpath.iter().map(String::as_str).collect(),
        runpath: facts.runpath.iter().map(String::as_str).collect(),
        version_needs: (facts.version_needs.iter())
            .map(|(file, version, weak)| (file.as_str(), version.as_str(), *weak))
            .collect(),
        nodes: facts.nodes.iter().map(String::as_str).collect(),
        second: facts.second,
        flags: flag(facts.has_version_table, HAS_VERSION_TABLE)
            | flag(facts.defines_versions, DEFINES_VERSIONS)
            | flag(facts.no_default_folders, NO_DEFAULT_FOLDERS)
            | flag(facts.relr, RELR)
            | flag(facts.partial, PARTIAL),
        symbols,
        unresolved: (facts.unresolved.iter())
            .map(|one| {
                (one.name.as_str(), one.version.as_deref(), one.file.as_deref(), one.exact, one.at_start)
            })
            .collect(),
    }
}

/// Other paths, by the hash of the path with its triplet replaced.
fn others(drafts: &[Draft], blob: &mut Blob) -> Result<Vec<Part>, Broken> {
    let paths = drafts.iter().enumerate().flat_map(|(system, draft)| {
        let path = |path: &String| hash(template(path, &draft.about.triplet).as_bytes());
        draft.others.iter().map(move |other| (path(other), 1 << system))
    });
    hashes(paths, OTHERS, OTHERS_SURETY, blob)
}

/// Hashes, each with systems, in so many lists.
fn hashes(
    all: impl Iterator<Item = (u64, u64)>,
    count: u64,
    surety: u8,
    blob: &mut Blob,
) -> Result<Vec<Part>, Broken> {
    let mut lists: Vec<BTreeMap<u64, u64>> = vec![BTreeMap::new(); count as usize];
    for (hash, systems) in all {
        *lists[(hash % count) as usize].entry(hash).or_default() |= systems;
    }
    let mut parts = Vec::new();
    for list in lists {
        let width = width(list.len(), surety);
        let mut groups: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (hash, systems) in list {
            groups.entry(systems).or_default().insert(cut(hash, width));
        }
        let coded: Vec<_> = groups
            .into_iter()
            .map(|(systems, list)| {
                let list: Vec<u64> = list.into_iter().collect();
                (systems, list.len(), encode(&list, width))
            })
            .collect();
        let groups = coded.iter().map(|(systems, count, coded)| {
            Ok(Group {
                systems: *systems,
                kind: 0,
                count: number(*count)?,
                rice: coded.rice,
                bytes: &coded.bytes,
            })
        });
        let bytes = encoded(&Family {
            width,
            groups: groups.collect::<Result<_, Broken>>()?,
            strangers: Vec::new(),
        })?;
        let (at, len) = blob.push(&bytes)?;
        parts.push(Part { at, len, size: len });
    }
    Ok(parts)
}

/// Package names with their versions, each with the systems that have it.
pub type Packages<'a> = Vec<(&'a str, Vec<(u64, &'a str)>)>;

fn packages(drafts: &[Draft], blob: &mut Blob) -> Result<Part, Broken> {
    let mut all: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (system, draft) in drafts.iter().enumerate() {
        for (name, version) in &draft.packages {
            *all.entry(name).or_default().entry(version).or_default() |= 1 << system;
        }
    }
    let all: Packages<'_> = all
        .into_iter()
        .map(|(name, versions)| {
            (name, versions.into_iter().map(|(version, systems)| (systems, version)).collect())
        })
        .collect();
    blob.deflated(&encoded(&all)?)
}
