//! The dynamic symbol table. It attributes needs; it never decides them, so
//! what cannot be read here is said and leaves the needs as they are.

use std::collections::HashMap;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, Rel, Rela, SectionHeader, Sym};

use super::dynamic::{Dynamic, Strings};
use super::versions::Definition;
use super::{Elf, ReadError, lossy, record};
use crate::artifact::{Binding, Symbol, Symbols, VersionNeed};

/// Symbols read at most. The largest libraries of Debian have some 300,000.
const MOST_SYMBOLS: u64 = 1 << 21;
/// `VERSYM_HIDDEN`: a definition that is not the default one.
pub(super) const HIDDEN: u16 = 0x8000;

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    pub fn symbols(
        &self,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
        needs: &[VersionNeed],
        definitions: &[Definition],
    ) -> Symbols {
        match self.try_symbols(dynamic, strings, needs, definitions) {
            Ok(symbols) => Symbols::All(symbols),
            Err(error) => Symbols::Unreadable(error.to_string()),
        }
    }

    fn try_symbols(
        &self,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
        needs: &[VersionNeed],
        definitions: &[Definition],
    ) -> Result<Vec<Symbol>, ReadError> {
        let Some(table_at) = dynamic.symbol_table else { return Ok(Vec::new()) };
        let (count, sure) = self.bounded_symbol_count(dynamic, table_at)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let size = size_of::<H::Sym>() as u64;
        let table = self.at_address(table_at, count.saturating_mul(size), "the dynamic symbol table")?;
        let names = self.source.read(strings.offset, strings.size, "the dynamic string table")?;
        let indices = match dynamic.versym {
            Some(address) => self.at_address(address, count.saturating_mul(2), "DT_VERSYM")?,
            None => Vec::new(),
        };
        let needs: HashMap<u16, &VersionNeed> = needs.iter().map(|need| (need.index, need)).collect();
        let definitions: HashMap<u16, &Definition> = definitions.iter().map(|one| (one.index, one)).collect();
        let name_of = |at: u32| {
            let tail = names.get(at as usize..).unwrap_or_default();
            let end = tail.iter().position(|byte| *byte == 0)?;
            Some(lossy(&tail[..end]))
        };
        // Entry 0 is reserved.
        let entries = table.chunks_exact(size as usize).enumerate().skip(1);
        let mut symbols = Vec::with_capacity(count as usize);
        for (at, entry) in entries {
            let entry: H::Sym = record(entry);
            let Some(name) = name_of(entry.st_name(self.endian)) else {
                // Past what hashes and relocations prove, the table has ended.
                if at as u64 >= sure {
                    break;
                }
                return Err(ReadError::Malformed(format!("the name of dynamic symbol {at} is out of range")));
            };
            strings.spend(name.len())?;
            let raw = indices.get(at * 2..at * 2 + 2).and_then(|pair| pair.first_chunk().copied());
            let raw = raw.map_or(1, |pair| {
                if self.header.is_big_endian() { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
            });
            let index = raw & !HIDDEN;
            let need = needs.get(&index);
            let defined = entry.st_shndx(self.endian) != elf::SHN_UNDEF;
            let definition = definitions.get(&index).filter(|one| defined && !one.base);
            let version = need.map(|need| &need.version).or_else(|| definition.map(|one| &one.name));
            let file = need.map(|need| &need.file);
            strings.spend(version.map_or(0, String::len) + file.map_or(0, String::len))?;
            symbols.push(Symbol {
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
            });
        }
        Ok(symbols)
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
        if let Some(address) = dynamic.hash {
            // The number of chains is the number of symbols. s390x and alpha
            // have 64-bit words here.
            let machine = self.header.e_machine(self.endian);
            let wide = self.header.is_type_64() && matches!(machine, elf::EM_S390 | elf::EM_ALPHA);
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
        loop {
            if left < 4 {
                return Err(ReadError::Malformed(format!("{WHAT} has a chain without end")));
            }
            let entry = self.source.read(at, 4, WHAT)?;
            (at, left) = (at + 4, left - 4);
            last += 1;
            if last > MOST_SYMBOLS {
                return Err(ReadError::Malformed(format!("{WHAT} has a chain past {MOST_SYMBOLS} symbols")));
            }
            if self.number(&entry) & 1 == 1 {
                return Ok(last);
            }
        }
    }

    fn count_by_relocations(&self, dynamic: &Dynamic) -> Result<u64, ReadError> {
        let mut count = 0;
        // Only MIPS 64 packs `r_info` otherwise; it has `DT_HASH`.
        for relocations in &dynamic.relocations {
            let size = if relocations.addend { size_of::<H::Rela>() } else { size_of::<H::Rel>() };
            let table = self.at_address(relocations.address, relocations.size, "a relocation table")?;
            for entry in table.chunks_exact(size) {
                let symbol = if relocations.addend {
                    record::<H::Rela>(entry).r_sym(self.endian, false)
                } else {
                    record::<H::Rel>(entry).r_sym(self.endian)
                };
                count = count.max(u64::from(symbol) + 1);
            }
        }
        Ok(if count == 1 { 0 } else { count })
    }
}
