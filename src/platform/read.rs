//! Reading a description: nothing is unpacked before it is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use super::draft::About;
use super::fingerprint::{cut, decode, hash};
use super::pack::{
    Broken, Family, Header, MAGIC, MOST_SYSTEMS, OPEN, OTHERS, Part, SymbolsAt, TRIPLET, inflate, record,
};
use super::rows::{Block, Row};
use super::write::Packages;

/// The header may not unpack to more bytes.
const LARGEST_HEADER: u32 = 16 << 20;

/// A description's file, of one system or of many.
#[derive(Debug)]
pub struct Pack {
    blob: Cow<'static, [u8]>,
    pub systems: Vec<About>,
    blocks: Vec<(String, Part)>,
    unpacked: Vec<OnceLock<Result<Block, Broken>>>,
    packages: Part,
    packages_unpacked: OnceLock<Result<Vec<u8>, Broken>>,
    others: Vec<Part>,
    others_unpacked: Vec<OnceLock<Result<Others, Broken>>>,
    open: Vec<Part>,
    open_unpacked: Vec<OnceLock<Result<Open, Broken>>>,
}

/// Other paths: the width of their fingerprints, and these, with the systems that have them.
type Others = (u8, Vec<(u64, Vec<u64>)>);

/// Open names: the width of their fingerprints, and these.
type Open = (u8, Vec<u64>);

impl Pack {
    /// Whether the bytes start as a description does.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads the header; the rest is read when it is asked for.
    pub fn open(bytes: Cow<'static, [u8]>) -> Result<Self, Broken> {
        let rest = bytes.strip_prefix(MAGIC);
        let rest = rest.ok_or_else(|| Broken("it is no platform description of this version".to_owned()))?;
        let (len, rest) = rest.split_first_chunk().ok_or_else(|| Broken("it ends too soon".to_owned()))?;
        let len = u32::from_le_bytes(*len);
        let header = inflate_header(rest, len)?;
        let (header, _) = record::<Header>(&header)?;
        let Header { systems, blocks, packages, others, open } = header;
        if systems.is_empty()
            || systems.len() > MOST_SYSTEMS
            || others.len() as u64 != OTHERS
            || ![0, OPEN].contains(&(open.len() as u64))
        {
            return Err(Broken("its header is wrong".to_owned()));
        }
        let start = bytes.len() - rest.len() + len as usize;
        let blob = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[start..]),
            Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(start)),
        };
        Ok(Self {
            blob,
            systems,
            unpacked: blocks.iter().map(|_| OnceLock::new()).collect(),
            blocks,
            packages,
            packages_unpacked: OnceLock::new(),
            others_unpacked: others.iter().map(|_| OnceLock::new()).collect(),
            others,
            open_unpacked: open.iter().map(|_| OnceLock::new()).collect(),
            open,
        })
    }

    fn block(&self, at: usize) -> Result<&Block, Broken> {
        let unpack = || Block::new(inflate(&self.blob, self.blocks[at].1)?);
        self.unpacked[at].get_or_init(unpack).as_ref().map_err(Clone::clone)
    }

    /// The row of a file name.
    pub fn row(&self, name: &str) -> Result<Option<Row<'_>>, Broken> {
        let after = self.blocks.partition_point(|(first, _)| first.as_str() <= name);
        match after.checked_sub(1) {
            Some(at) => self.block(at)?.find(name),
            None => Ok(None),
        }
    }

    /// The rows whose names start so, in their order.
    pub fn rows_named<'p>(&'p self, start: &'p str) -> impl Iterator<Item = Result<Row<'p>, Broken>> {
        let after = self.blocks.partition_point(|(first, _)| first.as_str() <= start);
        let blocks = after.saturating_sub(1)..self.blocks.len();
        let rows = blocks.flat_map(move |at| {
            let block = self.block(at).and_then(|block| Ok((block, block.from(start)?)));
            let (first, after) = block.as_ref().map_or((0, 1), |(block, first)| (*first, block.len()));
            (first..after).map(move |row| block.clone().and_then(|(block, _)| block.row(row)))
        });
        rows.take_while(move |row| !row.as_ref().is_ok_and(|row| !row.name.starts_with(start)))
    }

    /// Whether a path is among a system's other shared objects. `path` has its
    /// triplet replaced.
    pub fn has_other(&self, system: usize, path: &str) -> Result<bool, Broken> {
        let hash = hash(path.as_bytes());
        let at = (hash % OTHERS) as usize;
        let unpack = || {
            let (family, _) = record::<Family<'_>>(self.raw(self.others[at])?)?;
            let lists = family.groups.iter();
            let lists = lists.map(|group| Ok((group.systems, list(group.bytes, group.count, group.rice)?)));
            Ok((family.width, lists.collect::<Result<Vec<_>, _>>()?))
        };
        let (width, lists) = self.others_unpacked[at].get_or_init(unpack).as_ref().map_err(Clone::clone)?;
        let wanted = cut(hash, *width);
        let own = lists.iter().filter(|(systems, _)| systems >> system & 1 == 1);
        Ok(own.into_iter().any(|(_, list)| list.binary_search(&wanted).is_ok()))
    }

    /// Whether a name is one that partial libraries have if it is stored.
    fn is_open(&self, hash: u64) -> Result<bool, Broken> {
        if self.open.is_empty() {
            return Ok(false);
        }
        let at = (hash % OPEN) as usize;
        let unpack = || {
            let (family, _) = record::<Family<'_>>(self.raw(self.open[at])?)?;
            let lists = family.groups.iter().map(|group| list(group.bytes, group.count, group.rice));
            Ok((family.width, lists.collect::<Result<Vec<_>, _>>()?.concat()))
        };
        let (width, all) = self.open_unpacked[at].get_or_init(unpack).as_ref().map_err(Clone::clone)?;
        Ok(all.binary_search(&cut(hash, *width)).is_ok())
    }

    fn raw(&self, part: Part) -> Result<&[u8], Broken> {
        let bytes = self.blob.get(part.at as usize..).and_then(|rest| rest.get(..part.len as usize));
        bytes.ok_or_else(|| Broken("it ends too soon".to_owned()))
    }

    /// What one system's library defines.
    pub fn symbols(&self, system: usize, at: &SymbolsAt, partial: bool) -> Result<Symbols, Broken> {
        let bytes = self.raw(Part { at: at.at, len: at.len, size: at.len })?;
        let (family, _) = record::<Family<'_>>(bytes)?;
        let nodes: BTreeMap<u16, u16> = at.nodes.iter().copied().zip(1..).collect();
        let (mut all, mut elsewhere) = (Vec::new(), Vec::new());
        for group in &family.groups {
            if group.systems >> system & 1 == 0 {
                if partial {
                    elsewhere.extend(list(group.bytes, group.count, group.rice)?);
                }
                continue;
            }
            let number = u16::try_from(group.kind / 2).unwrap_or(u16::MAX);
            let node = match number {
                0 => 0,
                number => *nodes.get(&number).ok_or_else(|| Broken("a node has no name".to_owned()))?,
            };
            let kind = u32::from(node) * 2 + (group.kind & 1);
            all.extend(list(group.bytes, group.count, group.rice)?.into_iter().map(|hash| (hash, kind)));
        }
        // Not the unstable one: each list is in its order already.
        all.sort();
        elsewhere.sort();
        let (hashes, kinds): (Vec<u64>, Vec<u32>) = all.into_iter().unzip();
        let buckets = Buckets::of(&hashes, family.width);
        Ok(Symbols { width: family.width, hashes, kinds, buckets, elsewhere, strangers: family.strangers })
    }

    /// The packages of one system with their versions, in the order of names.
    pub fn packages(&self, system: usize) -> Result<Vec<(&str, &str)>, Broken> {
        let bytes = self.packages_unpacked.get_or_init(|| inflate(&self.blob, self.packages));
        let (all, _) = record::<Packages<'_>>(bytes.as_deref().map_err(Clone::clone)?)?;
        Ok(all
            .into_iter()
            .filter_map(|(name, versions)| {
                let (_, version) = versions.into_iter().find(|(systems, _)| systems >> system & 1 == 1)?;
                Some((name, version))
            })
            .collect())
    }
}

fn list(bytes: &[u8], count: u32, rice: u8) -> Result<Vec<u64>, Broken> {
    decode(bytes, count as usize, rice).ok_or_else(|| Broken("fingerprints are wrong".to_owned()))
}

fn inflate_header(rest: &[u8], len: u32) -> Result<Vec<u8>, Broken> {
    use std::io::Read as _;
    let bytes = rest.get(..len as usize).ok_or_else(|| Broken("it ends too soon".to_owned()))?;
    let mut header = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(u64::from(LARGEST_HEADER))
        .read_to_end(&mut header)
        .map_err(|error| Broken(format!("its header cannot be unpacked: {error}")))?;
    Ok(header)
}

/// Where fingerprints with the same first bits start: some four have the same.
#[derive(Debug)]
struct Buckets {
    /// How many bits are left out.
    shift: u8,
    starts: Vec<u32>,
}

impl Buckets {
    fn of(sorted: &[u64], width: u8) -> Self {
        let width = width.min(64);
        let bits = (sorted.len() / 4).checked_ilog2().unwrap_or(0).min(u32::from(width)) as u8;
        // A shift by all 64 is none.
        let bits = bits.max(width.saturating_sub(63));
        let shift = width - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        let mut at = 0;
        for bucket in 0..=1u64 << bits {
            while sorted.get(at).is_some_and(|hash| hash >> shift < bucket) {
                at += 1;
            }
            starts.push(at as u32);
        }
        Self { shift, starts }
    }

    fn range(&self, hash: u64) -> Range<usize> {
        let bucket = (hash >> self.shift) as usize;
        match (self.starts.get(bucket), self.starts.get(bucket + 1)) {
            (Some(start), Some(end)) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }
}

/// A library's definitions, as fingerprints in their order.
#[derive(Debug)]
pub struct Symbols {
    width: u8,
    hashes: Vec<u64>,
    /// Twice the node (from 1; 0: no version), one more: hidden.
    kinds: Vec<u32>,
    buckets: Buckets,
    /// Of a partial library: what it has in other systems.
    elsewhere: Vec<u64>,
    /// See `Family`.
    strangers: Vec<u32>,
}

impl Symbols {
    /// Node (from 1; 0: no version) and whether it is hidden, for each
    /// definition of the name with this hash.
    pub fn find(&self, hash: u64) -> impl Iterator<Item = (u16, bool)> {
        let same = self.kinds[self.same(hash)].iter();
        same.map(|kind| ((kind / 2) as u16, kind & 1 == 1))
    }

    /// Where the definitions of the name with this hash are: asked a million times in a run.
    fn same(&self, hash: u64) -> Range<usize> {
        let wanted = cut(hash, self.width);
        let bucket = self.buckets.range(wanted);
        let Some(first) = self.hashes[bucket.clone()].iter().position(|own| *own == wanted) else {
            return 0..0;
        };
        if !self.strangers.is_empty() && self.strangers.binary_search(&(hash as u32)).is_ok() {
            return 0..0;
        }
        let first = bucket.start + first;
        let count = self.hashes[first..bucket.end].iter().take_while(|own| **own == wanted).count();
        first..first + count
    }

    /// Of a partial library: whether it is known to lack a name that is not
    /// found in it.
    pub fn is_known_to_lack(&self, hash: u64, pack: &Pack) -> bool {
        self.elsewhere.binary_search(&cut(hash, self.width)).is_ok() || pack.is_open(hash).unwrap_or(false)
    }

    pub fn len(&self) -> usize {
        self.hashes.len()
    }
}

/// A path with the system's triplet replaced, as rows have it.
pub fn template<'p>(path: &'p str, about: &About) -> Cow<'p, str> {
    match about.triplet.is_empty() || !path.contains(&about.triplet) {
        true => Cow::Borrowed(path),
        false => Cow::Owned(path.replace(&about.triplet, TRIPLET)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fingerprint_is_in_its_bucket() {
        for (count, width) in [(0, 20), (1, 0), (3, 2), (7, 64), (7, 200), (9, 3), (1000, 34), (70_000, 40)] {
            let mut list: Vec<u64> = (0..count).map(|at: u64| cut(hash(&at.to_le_bytes()), width)).collect();
            list.sort_unstable();
            list.dedup();
            let buckets = Buckets::of(&list, width);
            for one in &list {
                assert!(list[buckets.range(*one)].contains(one), "{count} {width}");
            }
            let largest = list.iter().map(|one| buckets.range(*one).len()).max();
            assert!(largest.unwrap_or(0) < 32, "{count} {width}: {largest:?}");
        }
    }
}
