//! The dynamic symbol table. It attributes needs; it never decides them, so
//! what cannot be read here is said and leaves the needs as they are.

use std::collections::BTreeSet;
use std::ffi::CStr;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::dynamic::{Dynamic, Strings};
use super::versions::Definition;
use super::{Elf, ReadError, lossy, record, runs_past};
use crate::artifact::{Binding, Pick, Symbol, Symbols, VersionNeed};

/// Symbols read at most. The largest libraries of Debian have some 300,000.
const MOST_SYMBOLS: u64 = 1 << 21;
/// Entries of a table that are in memory at a time.
const AT_A_TIME: u64 = 2048;
/// `VERSYM_HIDDEN`: a definition that is not the default one.
pub(super) const HIDDEN: u16 = 0x8000;
/// `VER_NDX_GLOBAL`: no version.
const UNVERSIONED: u16 = 1;

/// What an index of `DT_VERSYM` stands for.
type Version<'v> = (Option<&'v VersionNeed>, Option<&'v Definition>);

/// By index; of two alike the last counts.
fn versions<'v>(needs: &'v [VersionNeed], definitions: &'v [Definition]) -> Vec<Version<'v>> {
    let needed = needs.iter().map(|need| need.index);
    let defined = definitions.iter().map(|one| one.index);
    let last = needed.chain(defined).max().map_or(0, usize::from);
    let mut versions: Vec<Version<'v>> = vec![(None, None); last + 1];
    for need in needs {
        versions[usize::from(need.index)].0 = Some(need);
    }
    for definition in definitions {
        versions[usize::from(definition.index)].1 = Some(definition);
    }
    versions
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    pub fn symbols(
        &self,
        pick: &Pick,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
        needs: &[VersionNeed],
        definitions: &[Definition],
    ) -> Option<Symbols> {
        let only = match pick {
            Pick::None => return None,
            Pick::All => None,
            Pick::OfVersions(indices) => Some(indices),
        };
        Some(match self.try_symbols(only, dynamic, strings, needs, definitions) {
            Err(error) => Symbols::Unreadable(error.to_string()),
            Ok(symbols) if only.is_some() => Symbols::OfVersions(symbols),
            Ok(symbols) => Symbols::All(symbols),
        })
    }

    fn try_symbols(
        &self,
        only: Option<&BTreeSet<u16>>,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
        needs: &[VersionNeed],
        definitions: &[Definition],
    ) -> Result<Vec<Symbol>, ReadError> {
        let mut symbols = Vec::new();
        let Some(table_at) = dynamic.symbol_table else { return Ok(symbols) };
        let (count, sure) = self.bounded_symbol_count(dynamic, table_at)?;
        if count == 0 {
            return Ok(symbols);
        }
        const WHAT: &str = "the dynamic symbol table";
        let size = size_of::<H::Sym>() as u64;
        let table = self.range_at(table_at, count * size, WHAT)?;
        let indices = match dynamic.versym {
            Some(address) => Some(self.range_at(address, count * 2, "DT_VERSYM")?),
            None => None,
        };
        let versions = versions(needs, definitions);
        // Of all symbols the names are read at once, of a few one by one.
        let names = match only {
            None => Some(self.source.read(strings.offset, strings.size, "the dynamic string table")?),
            Some(_) => None,
        };
        let last_nul = strings.last_nul()?;
        for first in (0..count).step_by(AT_A_TIME as usize) {
            let here = AT_A_TIME.min(count - first);
            let entries = self.source.read(table + first * size, here * size, WHAT)?;
            let raw = match indices {
                Some(indices) => self.source.read(indices + first * 2, here * 2, "DT_VERSYM")?,
                None => Vec::new(),
            };
            for (at, entry) in (first..).zip(entries.chunks_exact(size as usize)) {
                // Entry 0 is reserved.
                if at == 0 {
                    continue;
                }
                let entry: H::Sym = record(entry);
                let name_at = u64::from(entry.st_name(self.endian));
                if last_nul.is_none_or(|last| name_at > last) {
                    // Past what hashes and relocations prove, the table has ended.
                    if at >= sure {
                        return Ok(symbols);
                    }
                    return Err(ReadError::Malformed(format!(
                        "the name of dynamic symbol {at} is out of range"
                    )));
                }
                let from = (at - first) as usize * 2;
                let raw = raw.get(from..from + 2).map_or(UNVERSIONED, |pair| self.number(pair) as u16);
                let index = raw & !HIDDEN;
                if only.is_some_and(|only| !only.contains(&index)) {
                    continue;
                }
                let name = match &names {
                    Some(names) => {
                        let tail = names.get(name_at as usize..).unwrap_or_default();
                        let name = CStr::from_bytes_until_nul(tail).map_or(&[][..], CStr::to_bytes);
                        strings.spend(name.len())?;
                        lossy(name)
                    }
                    None => strings.get(name_at, "a dynamic symbol's name")?,
                };
                let version = versions.get(usize::from(index)).copied().unwrap_or_default();
                symbols.push(self.symbol(&entry, name, raw, version, strings)?);
            }
        }
        Ok(symbols)
    }

    fn symbol(
        &self,
        entry: &H::Sym,
        name: String,
        raw: u16,
        (need, definition): Version<'_>,
        strings: &Strings<'_, '_, H>,
    ) -> Result<Symbol, ReadError> {
        let defined = entry.st_shndx(self.endian) != elf::SHN_UNDEF;
        let definition = definition.filter(|one| defined && !one.base);
        let version = need.map(|need| &need.version).or_else(|| definition.map(|one| &one.name));
        let file = need.map(|need| &need.file);
        strings.spend(version.map_or(0, String::len) + file.map_or(0, String::len))?;
        Ok(Symbol {
            name,
            binding: match entry.st_bind() {
                elf::STB_LOCAL => Binding::Local,
                elf::STB_GLOBAL => Binding::Global,
                elf::STB_WEAK => Binding::Weak,
                _ => Binding::Other,
            },
            kind: match entry.st_type() {
                elf::STT_NOTYPE => "notype",
                elf::STT_OBJECT => "object",
                elf::STT_FUNC => "func",
                elf::STT_TLS => "tls",
                elf::STT_GNU_IFUNC => "ifunc",
                elf::STT_SECTION => "section",
                elf::STT_FILE => "file",
                elf::STT_COMMON => "common",
                _ => "other",
            },
            visibility: match entry.st_visibility() {
                elf::STV_DEFAULT => "default",
                elf::STV_INTERNAL => "internal",
                elf::STV_HIDDEN => "hidden",
                _ => "protected",
            },
            defined,
            version: version.cloned(),
            file: file.cloned(),
            hidden: need.is_none() && raw & HIDDEN != 0,
        })
    }

    /// The file offset of a table at an address, which must lie in one segment.
    pub(super) fn range_at(&self, address: u64, len: u64, what: &'static str) -> Result<u64, ReadError> {
        let (offset, available) = self.offset_of(address, what)?;
        if len > available {
            return Err(runs_past(address, what));
        }
        Ok(offset)
    }

    /// As `symbol_count`, within the limit.
    pub(super) fn bounded_symbol_count(
        &self,
        dynamic: &Dynamic,
        table_at: u64,
    ) -> Result<(u64, u64), ReadError> {
        let (count, sure) = self.symbol_count(dynamic, table_at)?;
        if count > MOST_SYMBOLS {
            return Err(ReadError::Malformed(format!(
                "the dynamic symbol table has {count} entries; more than {MOST_SYMBOLS} are not read"
            )));
        }
        Ok((count, sure))
    }

    /// How many entries the symbol table has, and how many of these are sure:
    /// nothing in `PT_DYNAMIC` says it outright, and bfd writes an empty
    /// `DT_GNU_HASH` for a program that exports nothing.
    fn symbol_count(&self, dynamic: &Dynamic, table_at: u64) -> Result<(u64, u64), ReadError> {
        // The number of chains is the number of symbols. s390x and alpha have
        // 64-bit words here; lld writes 32-bit ones all the same, which nobody
        // notices because glibc takes `DT_GNU_HASH` where there is one.
        let machine = self.header.e_machine(self.endian);
        let wide = self.header.is_type_64() && matches!(machine, elf::EM_S390 | elf::EM_ALPHA);
        if let Some(address) = dynamic.hash.filter(|_| !wide || dynamic.gnu_hash.is_none()) {
            let word = if wide { 8 } else { 4 };
            let header = self.at_address(address, 2 * word, "DT_HASH")?;
            let count = self.number(&header[word as usize..]);
            return Ok((count, count));
        }
        let size = size_of::<H::Sym>() as u64;
        let most = self.offset_of(table_at, "DT_SYMTAB")?.1 / size;
        let hashed = match dynamic.gnu_hash {
            Some(address) => self.count_by_gnu_hash(address)?,
            None => 0,
        };
        let sure = hashed.max(self.count_by_relocations(dynamic)?);
        if sure > most {
            return Err(ReadError::Malformed(format!(
                "the dynamic symbol table would have {sure} entries, but its segment has room for {most}"
            )));
        }
        // bfd, gold and mold put the string table right behind the symbols.
        let after = dynamic.string_table.filter(|after| *after > table_at);
        let others = [dynamic.gnu_hash, dynamic.versym, dynamic.verneed, dynamic.verdef];
        let behind =
            after.filter(|after| !others.iter().flatten().any(|other| (table_at..*after).contains(other)));
        let likely = match behind {
            Some(after) => Some((after - table_at) / size),
            // A section header can lie, so it only adds to what is sure.
            None => self.count_by_section(table_at, size),
        };
        Ok((likely.unwrap_or(0).clamp(sure, most), sure))
    }

    pub(super) fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.header.is_big_endian() {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        }
    }

    fn count_by_section(&self, table_at: u64, size: u64) -> Option<u64> {
        let count = u64::from(self.header.e_shnum(self.endian));
        let section = (0..count)
            .map_while(|index| self.section_header(index).ok().flatten())
            .find(|section| section.sh_type(self.endian) == elf::SHT_DYNSYM)?;
        let address: u64 = section.sh_addr(self.endian).into();
        let bytes: u64 = section.sh_size(self.endian).into();
        (address == table_at).then_some(bytes / size)
    }

    /// The end of the last chain of the highest bucket. An empty table says
    /// nothing: 0.
    fn count_by_gnu_hash(&self, address: u64) -> Result<u64, ReadError> {
        const WHAT: &str = "DT_GNU_HASH";
        let header = self.at_address(address, 16, WHAT)?;
        let word = |at: usize| self.number(&header[at * 4..at * 4 + 4]);
        let (buckets, first, bloom) = (word(0), word(1), word(2));
        let bloom_size = if self.header.is_type_64() { 8 } else { 4 };
        let buckets_at = address.saturating_add(16 + bloom * bloom_size);
        let table = self.at_address(buckets_at, buckets * 4, WHAT)?;
        let Some(mut last) = table.chunks_exact(4).map(|bucket| self.number(bucket)).max() else {
            return Ok(0);
        };
        if last < first || last == 0 {
            return Ok(0);
        }
        let chains_at = buckets_at.saturating_add(buckets * 4);
        // The place is looked up once: a chain may be long, and loads may be many.
        let (mut at, mut left) = self.offset_of(chains_at.saturating_add((last - first) * 4), WHAT)?;
        while left >= 4 {
            let here = (left / 4).min(AT_A_TIME) * 4;
            for entry in self.source.read(at, here, WHAT)?.chunks_exact(4) {
                last += 1;
                if last > MOST_SYMBOLS {
                    let message = format!("{WHAT} has a chain past {MOST_SYMBOLS} symbols");
                    return Err(ReadError::Malformed(message));
                }
                if self.number(entry) & 1 == 1 {
                    return Ok(last);
                }
            }
            (at, left) = (at + here, left - here);
        }
        Err(ReadError::Malformed(format!("{WHAT} has a chain without end")))
    }

    fn count_by_relocations(&self, dynamic: &Dynamic) -> Result<u64, ReadError> {
        let mut count = 0;
        for table in &dynamic.relocations {
            self.each_relocation(table, |relocation| {
                count = count.max(u64::from(relocation.symbol) + 1);
                Ok(())
            })?;
        }
        Ok(if count == 1 { 0 } else { count })
    }
}
