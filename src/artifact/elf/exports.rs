//! The tables by which the loader finds definitions: `DT_GNU_HASH` (else
//! `DT_HASH`), the dynamic symbols, their names and their versions, kept as the
//! file has them and asked as glibc asks (`elf/dl-lookup.c`).

use std::collections::{BTreeMap, HashMap};

use object::Endianness;
use object::read::elf::FileHeader;

use super::dynamic::{Dynamic, Strings};
use super::symbols::HIDDEN;
use super::versions::Definition;
use super::{Elf, ReadError};
use crate::artifact::VersionNeed;

/// Entries of one hash chain that are walked. Real chains have a handful.
const LONGEST_CHAIN: usize = 1 << 16;

const STB_GLOBAL: u8 = 1;
const STB_WEAK: u8 = 2;
const STB_GNU_UNIQUE: u8 = 10;
const STT_TLS: u8 = 6;
const SHN_ABS: u16 = 0xfff1;

/// One entry of the dynamic symbol table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
}

impl Entry {
    pub(super) fn is_weak(self) -> bool {
        self.info >> 4 == STB_WEAK
    }

    pub(super) fn is_undefined(self) -> bool {
        self.section == 0
    }

    /// The highest bit of `st_other`, on machines where it says so.
    pub(super) fn has_own_calling_convention(self) -> bool {
        self.other & 0x80 != 0
    }

    /// Its value is no address.
    pub(super) fn is_absolute(self) -> bool {
        self.section == SHN_ABS
    }

    /// Whether a reference by this entry is looked up in other files at all:
    /// local symbols and those of hidden or internal visibility are not
    /// (`elf/dl-reloc.c`, `RESOLVE_MAP`).
    pub(super) fn is_looked_up(self) -> bool {
        self.info >> 4 != 0 && !matches!(self.other & 3, 1 | 2)
    }

    /// Whether it answers a look-up (`elf/dl-lookup.c`, `check_match` and
    /// `do_lookup_x`).
    fn is_definition(self) -> bool {
        let kind = self.info & 15;
        matches!(self.info >> 4, STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE)
            && !matches!(self.other & 3, 1 | 2)
            && self.section != 0
            && matches!(kind, 0 | 1 | 2 | 5 | STT_TLS | 10)
            && (self.value != 0 || self.section == SHN_ABS || kind == STT_TLS)
    }
}

/// The dynamic symbols with what belongs to them, as bytes.
#[derive(Debug, Clone)]
pub(super) struct Table {
    elf64: bool,
    big: bool,
    symbols: Vec<u8>,
    names: Vec<u8>,
    /// `DT_VERSYM`; `None`: the file has no version table.
    versions: Option<Vec<u8>>,
}

impl Table {
    fn size(&self) -> usize {
        if self.elf64 { 24 } else { 16 }
    }

    pub(super) fn len(&self) -> usize {
        self.symbols.len() / self.size()
    }

    fn half(&self, bytes: &[u8]) -> u16 {
        let two = bytes.first_chunk().copied().unwrap_or_default();
        if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
    }

    /// One of the words of 4 or 8 bytes that a table consists of.
    fn word(&self, table: &[u8], width: usize, index: usize) -> u64 {
        let bytes = &table[index * width..][..width];
        match (self.big, bytes.first_chunk::<8>(), bytes.first_chunk::<4>()) {
            (false, Some(word), _) => u64::from_le_bytes(*word),
            (true, Some(word), _) => u64::from_be_bytes(*word),
            (false, None, Some(word)) => u32::from_le_bytes(*word).into(),
            (true, None, Some(word)) => u32::from_be_bytes(*word).into(),
            (_, None, None) => 0,
        }
    }

    pub(super) fn entry(&self, index: usize) -> Option<Entry> {
        let size = self.size();
        let bytes = self.symbols.get(index.checked_mul(size)?..)?.get(..size)?;
        let name = self.word(bytes, 4, 0) as u32;
        Some(match self.elf64 {
            true => Entry {
                name,
                info: bytes[4],
                other: bytes[5],
                section: self.half(&bytes[6..]),
                value: self.word(bytes, 8, 1),
            },
            false => Entry {
                name,
                info: bytes[12],
                other: bytes[13],
                section: self.half(&bytes[14..]),
                value: self.word(bytes, 4, 1),
            },
        })
    }

    /// A name without its NUL; `None`: it has no end within the table.
    pub(super) fn name(&self, at: u32) -> Option<&[u8]> {
        let tail = self.names.get(at as usize..)?;
        let end = tail.iter().position(|byte| *byte == 0)?;
        Some(&tail[..end])
    }

    fn is_named(&self, at: u32, name: &[u8]) -> bool {
        let tail = self.names.get(at as usize..).and_then(|tail| tail.strip_prefix(name));
        tail.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The raw `DT_VERSYM` entry, hidden bit included; 1 (global) without one.
    pub(super) fn version(&self, index: usize) -> u16 {
        let pair = self.versions.as_deref().and_then(|all| all.get(index * 2..index * 2 + 2));
        pair.map_or(1, |pair| self.half(pair))
    }
}

#[derive(Debug, Clone)]
enum Hash {
    /// `DT_GNU_HASH`: words of the Bloom filter, buckets and chains, as the file has them.
    Gnu { first: u32, shift: u32, bloom: Vec<u8>, buckets: Vec<u8>, chains: Vec<u8> },
    /// By `DT_HASH`: the entries of each name's hash.
    Listed(HashMap<u32, Vec<u32>>),
}

/// What a file offers to others, as the loader finds it.
#[derive(Debug, Clone)]
pub struct Exports {
    pub(super) table: Table,
    hash: Hash,
    /// Names of version indices, of definitions and of needs (a copied symbol
    /// carries the version that it was copied by, fact 2).
    versions: BTreeMap<u16, String>,
    /// Whether there is a `DT_VERDEF`.
    defines_versions: bool,
    nodes: Vec<String>,
}

/// One definition that a look-up meets.
#[derive(Debug, Clone, Copy)]
pub struct Found<'e> {
    /// `DT_VERSYM` without the hidden bit; `None` where there is no such table.
    pub index: Option<u16>,
    /// Not the default version (`@`, not `@@`).
    pub hidden: bool,
    /// `None`: not bound to a version.
    pub version: Option<&'e str>,
}

impl Exports {
    /// The version nodes that are defined, without the base.
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// `DT_VERDEF` is there.
    pub fn defines_versions(&self) -> bool {
        self.defines_versions
    }

    /// `DT_VERSYM` is there.
    pub fn has_version_table(&self) -> bool {
        self.table.versions.is_some()
    }

    pub(super) fn version_of(&self, index: usize) -> Option<(&str, u16)> {
        let raw = self.table.version(index);
        Some((self.versions.get(&(raw & !HIDDEN))?.as_str(), raw))
    }

    /// The definitions of a name, in the order in which the loader meets them.
    pub fn find<'e>(&'e self, name: &'e str) -> impl Iterator<Item = Found<'e>> {
        self.find_by(name, gnu_hash(name.as_bytes()))
    }

    /// The same, with the name's hash (`gnu_hash`).
    pub fn find_by<'e>(&'e self, name: &'e str, hash: u32) -> impl Iterator<Item = Found<'e>> {
        self.candidates(name.as_bytes(), hash).filter_map(|index| {
            let entry = self.table.entry(index as usize)?;
            let same = entry.is_definition() && self.table.is_named(entry.name, name.as_bytes());
            same.then(|| {
                let raw = self.table.version(index as usize);
                Found {
                    index: self.has_version_table().then_some(raw & !HIDDEN),
                    hidden: raw & HIDDEN != 0,
                    version: self.versions.get(&(raw & !HIDDEN)).map(String::as_str),
                }
            })
        })
    }

    /// The names that are undefined.
    pub(super) fn undefined(&self) -> impl Iterator<Item = &[u8]> {
        (1..self.table.len()).filter_map(|index| {
            let entry = self.table.entry(index)?;
            entry.is_undefined().then(|| self.table.name(entry.name)).flatten()
        })
    }

    /// All names that are defined, each as often as it is.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        (1..self.table.len()).filter_map(|index| {
            let entry = self.table.entry(index)?;
            entry.is_definition().then(|| self.table.name(entry.name)).flatten()
        })
    }

    /// Every definition with its name, whether the hash table leads to it or not.
    pub fn all(&self) -> impl Iterator<Item = (&[u8], Found<'_>)> {
        (1..self.table.len()).filter_map(|index| {
            let entry = self.table.entry(index)?;
            let name = entry.is_definition().then(|| self.table.name(entry.name)).flatten()?;
            let raw = self.table.version(index);
            let version = self.versions.get(&(raw & !HIDDEN)).map(String::as_str);
            let index = self.has_version_table().then_some(raw & !HIDDEN);
            Some((name, Found { index, hidden: raw & HIDDEN != 0, version }))
        })
    }

    fn candidates(&self, name: &[u8], hash: u32) -> impl Iterator<Item = u32> {
        let (listed, chain) = match &self.hash {
            Hash::Listed(listed) => (listed.get(&sysv_hash(name)).map_or(&[][..], Vec::as_slice), None),
            Hash::Gnu { .. } => (&[][..], self.chain(hash)),
        };
        let of_chain = chain.map(|(chains, first, into)| {
            let words = (into..chains.len() / 4).take(LONGEST_CHAIN);
            let words = words.map(move |at| (at as u32 + first, self.table.word(chains, 4, at) as u32));
            let mut ended = false;
            let own = words.take_while(move |(_, word)| !std::mem::replace(&mut ended, word & 1 == 1));
            own.filter(move |(_, word)| (word ^ hash) >> 1 == 0).map(|(index, _)| index)
        });
        listed.iter().copied().chain(of_chain.into_iter().flatten())
    }

    /// Where the chain of a hash is in `DT_GNU_HASH`: the chains, the index of the first symbol in them, and its place.
    fn chain(&self, hash: u32) -> Option<(&[u8], u32, usize)> {
        let Hash::Gnu { first, shift, bloom, buckets, chains } = &self.hash else { return None };
        let width = if self.table.elf64 { 8 } else { 4 };
        let (bits, words) = (width as u32 * 8, bloom.len() / width);
        if words == 0 || buckets.is_empty() {
            return None;
        }
        let word = self.table.word(bloom, width, (hash / bits) as usize & (words - 1));
        let second = hash.checked_shr(*shift).unwrap_or(0);
        if word >> (hash % bits) & word >> (second % bits) & 1 == 0 {
            return None;
        }
        let start = self.table.word(buckets, 4, hash as usize % (buckets.len() / 4)) as u32;
        let into = start.checked_sub(*first).filter(|_| start != 0)?;
        Some((chains, *first, into as usize))
    }
}

/// The hash of a name that `DT_GNU_HASH` is made of.
pub fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

/// gABI, chapter 5, "Hash Table".
fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    pub(super) fn exports(
        &self,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
        needs: &[VersionNeed],
        definitions: &[Definition],
    ) -> Result<Exports, ReadError> {
        let mut table = Table {
            elf64: self.header.is_type_64(),
            big: self.header.is_big_endian(),
            symbols: Vec::new(),
            names: Vec::new(),
            versions: dynamic.versym.map(|_| Vec::new()),
        };
        if let Some(at) = dynamic.symbol_table {
            let (count, _) = self.bounded_symbol_count(dynamic, at)?;
            if count > 0 {
                table.symbols = self.at_address(
                    at,
                    count.saturating_mul(table.size() as u64),
                    "the dynamic symbol table",
                )?;
                table.names = self.source.read(strings.offset, strings.size, "the dynamic string table")?;
                if let Some(at) = dynamic.versym {
                    table.versions = Some(self.at_address(at, count.saturating_mul(2), "DT_VERSYM")?);
                }
            }
        }
        let hash = match (dynamic.gnu_hash, dynamic.hash) {
            (Some(address), _) => self.gnu_hash(address, table.len())?,
            (None, Some(_)) => {
                let mut listed: HashMap<u32, Vec<u32>> = HashMap::new();
                for index in 1..table.len() {
                    let entry = table.entry(index).filter(|entry| entry.is_definition());
                    if let Some(name) = entry.and_then(|entry| table.name(entry.name)) {
                        listed.entry(sysv_hash(name)).or_default().push(index as u32);
                    }
                }
                Hash::Listed(listed)
            }
            (None, None) => Hash::Listed(HashMap::new()),
        };
        let named = definitions.iter().filter(|one| !one.base).map(|one| (one.index, one.name.clone()));
        let needed = needs.iter().map(|need| (need.index, need.version.clone()));
        Ok(Exports {
            table,
            hash,
            versions: needed.chain(named).collect(),
            defines_versions: dynamic.verdef.is_some(),
            nodes: definitions.iter().filter(|one| !one.base).map(|one| one.name.clone()).collect(),
        })
    }

    /// <https://sourceware.org/pipermail/binutils/2006-October/049436.html>: a
    /// header of four words, the Bloom filter, the buckets, the chains.
    fn gnu_hash(&self, address: u64, symbols: usize) -> Result<Hash, ReadError> {
        const WHAT: &str = "DT_GNU_HASH";
        let header = self.at_address(address, 16, WHAT)?;
        let word = |at: usize| self.number(&header[at * 4..at * 4 + 4]);
        let (buckets, first, bloom, shift) = (word(0), word(1), word(2), word(3));
        if bloom > 0 && !bloom.is_power_of_two() {
            return Err(ReadError::Malformed(format!(
                "{WHAT} has a Bloom filter of {bloom} words; the loader takes powers of two"
            )));
        }
        let width: u64 = if self.header.is_type_64() { 8 } else { 4 };
        let bloom_at = address.saturating_add(16);
        let buckets_at = bloom_at.saturating_add(bloom * width);
        let chains_at = buckets_at.saturating_add(buckets * 4);
        let chained = (symbols as u64).saturating_sub(first);
        let words = |address: u64, count: u64, width: u64| -> Result<Vec<u8>, ReadError> {
            match count {
                0 => Ok(Vec::new()),
                _ => self.at_address(address, count.saturating_mul(width), WHAT),
            }
        };
        // A file that exports nothing has no chains, and nothing behind them.
        let buckets = words(buckets_at, buckets, 4)?;
        let any = buckets.iter().any(|byte| *byte != 0);
        // Symbols that no chain leads to may follow; the table then ends sooner.
        let room = self.place(chains_at).map_or(0, |(_, left)| left / 4);
        let chains = if any { words(chains_at, chained.min(room), 4)? } else { Vec::new() };
        Ok(Hash::Gnu {
            first: first as u32,
            shift: shift as u32,
            bloom: words(bloom_at, bloom, width)?,
            buckets,
            chains,
        })
    }
}
