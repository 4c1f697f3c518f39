//! `PT_DYNAMIC`, read as glibc's loader reads it.

use object::Endianness;
use std::cell::Cell;

use object::elf;
use object::read::elf::{Dyn, FileHeader};

use super::{Elf, ReadError, lossy, record};

/// Entries read at most. Real files have some forty.
const MOST_ENTRIES: u64 = 1 << 20;

/// `DT_NEEDED` read at most. Real files have up to some hundred.
const MOST_NEEDED: usize = 4096;

/// Bytes of names taken at most from one file. Names may share their ends, so
/// without a limit a small table could be made to give names without end.
const MOST_NAMES: u64 = 64 << 20;

/// The entries that matter here. Of a tag that may stand once the loader keeps
/// the last (`elf/get-dynamic-info.h`); `DT_NEEDED` it walks.
#[derive(Debug, Default)]
pub struct Dynamic {
    pub needed: Vec<u64>,
    pub soname: Option<u64>,
    pub rpath: Option<u64>,
    pub runpath: Option<u64>,
    pub string_table: Option<u64>,
    pub string_size: Option<u64>,
    pub symbol_table: Option<u64>,
    pub hash: Option<u64>,
    pub gnu_hash: Option<u64>,
    pub versym: Option<u64>,
    pub verneed: Option<u64>,
    pub verdef: Option<u64>,
    pub relr: bool,
    pub flags: u64,
    pub flags_1: u64,
    bind_now: bool,
    text_relocations: bool,
    pub relocations: Vec<RelocationTable>,
}

/// Where relocations are.
#[derive(Debug, Clone, Copy)]
pub struct RelocationTable {
    pub address: u64,
    /// In bytes.
    pub size: u64,
    /// Whether its entries have one (`DT_RELA`).
    pub addend: bool,
    /// `DT_JMPREL`: bound at the first call, unless all is bound at start.
    pub plt: bool,
    /// How many entries at its start are relative (`DT_RELACOUNT`,
    /// `DT_RELCOUNT`): whatever these hold, glibc takes no symbol of them
    /// (`elf/do-rel.h`, `elf_dynamic_do_Rel`).
    pub relative: u64,
}

impl Dynamic {
    pub fn bind_now(&self) -> bool {
        self.bind_now || self.flags & elf::DF_BIND_NOW.0 != 0 || self.flags_1 & elf::DF_1_NOW.0 != 0
    }

    pub fn text_relocations(&self) -> bool {
        self.text_relocations || self.flags & elf::DF_TEXTREL.0 != 0
    }

    /// The string table; an error only where a string is asked of it in vain.
    pub fn strings<'e, 's, H: FileHeader<Endian = Endianness>>(
        &self,
        elf: &'e Elf<'s, H>,
    ) -> Result<Strings<'e, 's, H>, ReadError> {
        let given = Cell::new(0);
        let Some(address) = self.string_table else { return Ok(Strings { elf, offset: 0, size: 0, given }) };
        let (offset, available) = elf.offset_of(address, "DT_STRTAB")?;
        let size = self.string_size.unwrap_or(available);
        if size > available {
            return Err(ReadError::Malformed(format!(
                "DT_STRSZ is {size}, but only {available} bytes of the segment follow DT_STRTAB"
            )));
        }
        Ok(Strings { elf, offset, size, given })
    }
}

/// `DT_STRTAB`, as long as `DT_STRSZ` says.
pub struct Strings<'e, 's, H: FileHeader<Endian = Endianness>> {
    elf: &'e Elf<'s, H>,
    pub offset: u64,
    pub size: u64,
    given: Cell<u64>,
}

impl<H: FileHeader<Endian = Endianness>> Strings<'_, '_, H> {
    pub fn get(&self, at: u64, what: &'static str) -> Result<String, ReadError> {
        if at >= self.size {
            return Err(ReadError::Malformed(format!(
                "{what} is at {at:#x} of the dynamic string table, which has {:#x} bytes",
                self.size
            )));
        }
        let bytes = self.elf.source.c_string(self.offset + at, self.offset + self.size, what)?;
        self.spend(bytes.len())?;
        Ok(lossy(&bytes))
    }

    /// Where the last NUL is: no name begins behind it.
    pub fn last_nul(&self) -> Result<Option<u64>, ReadError> {
        const STEP: u64 = 4096;
        let mut end = self.size;
        while end > 0 {
            let start = end.saturating_sub(STEP);
            let part = self.elf.source.read(self.offset + start, end - start, "the dynamic string table")?;
            if let Some(at) = part.iter().rposition(|byte| *byte == 0) {
                return Ok(Some(start + at as u64));
            }
            end = start;
        }
        Ok(None)
    }

    /// Counts the bytes of a name that is given out.
    pub fn spend(&self, bytes: usize) -> Result<(), ReadError> {
        self.given.set(self.given.get() + bytes as u64);
        if self.given.get() > MOST_NAMES {
            return Err(ReadError::Malformed(format!(
                "its names have more than {MOST_NAMES} bytes together"
            )));
        }
        Ok(())
    }

    pub fn one(&self, at: Option<u64>, what: &'static str) -> Result<Option<String>, ReadError> {
        at.map(|at| self.get(at, what)).transpose()
    }

    pub fn all(&self, at: &[u64], what: &'static str) -> Result<Vec<String>, ReadError> {
        at.iter().map(|at| self.get(*at, what)).collect()
    }
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    /// The dynamic section at `address`. The loader takes it from memory and
    /// walks to `DT_NULL`, whatever size the program header states.
    pub fn dynamic(&self, address: u64) -> Result<Dynamic, ReadError> {
        let (offset, available) = self.offset_of(address, "PT_DYNAMIC")?;
        let size = size_of::<H::Dyn>() as u64;
        let mut found = Dynamic::default();
        let mut sizes = Sizes::default();
        for index in 0.. {
            if (index + 1) * size > available {
                // What follows the file's bytes in memory is zero: DT_NULL.
                let zeroed = self.loads.iter().any(|load| {
                    load.memory_size > load.file_size
                        && address >= load.address
                        && address - load.address < load.file_size
                });
                if zeroed {
                    break;
                }
                return Err(ReadError::Malformed("PT_DYNAMIC has no DT_NULL at its end".to_owned()));
            }
            if index >= MOST_ENTRIES {
                return Err(ReadError::Malformed(format!("PT_DYNAMIC has more than {MOST_ENTRIES} entries")));
            }
            let entry: H::Dyn =
                record(&self.source.read(offset + index * size, size, "an entry of PT_DYNAMIC")?);
            let value: u64 = entry.d_val(self.endian).into();
            let tag = entry.d_tag(self.endian);
            if tag == elf::DT_NULL {
                break;
            }
            found.take(tag, value);
            sizes.take(tag, value);
        }
        if found.needed.len() > MOST_NEEDED {
            return Err(ReadError::Malformed(format!(
                "PT_DYNAMIC has {} DT_NEEDED; more than {MOST_NEEDED} are not read",
                found.needed.len()
            )));
        }
        found.relocations = sizes.tables();
        Ok(found)
    }
}

impl Dynamic {
    fn take(&mut self, tag: elf::DynamicTag, value: u64) {
        match tag {
            elf::DT_NEEDED => self.needed.push(value),
            elf::DT_SONAME => self.soname = Some(value),
            elf::DT_RPATH => self.rpath = Some(value),
            elf::DT_RUNPATH => self.runpath = Some(value),
            elf::DT_STRTAB => self.string_table = Some(value),
            elf::DT_STRSZ => self.string_size = Some(value),
            elf::DT_SYMTAB => self.symbol_table = Some(value),
            elf::DT_HASH => self.hash = Some(value),
            elf::DT_GNU_HASH => self.gnu_hash = Some(value),
            elf::DT_VERSYM => self.versym = Some(value),
            elf::DT_VERNEED => self.verneed = Some(value),
            elf::DT_VERDEF => self.verdef = Some(value),
            elf::DT_RELR => self.relr = true,
            elf::DT_FLAGS => self.flags = value,
            elf::DT_FLAGS_1 => self.flags_1 = value,
            elf::DT_BIND_NOW => self.bind_now = true,
            elf::DT_TEXTREL => self.text_relocations = true,
            _ => {}
        }
    }
}

/// Where relocations are; they tell how far the symbol table reaches.
#[derive(Default)]
struct Sizes {
    rela: (Option<u64>, Option<u64>),
    rela_relative: u64,
    rel: (Option<u64>, Option<u64>),
    rel_relative: u64,
    plt: (Option<u64>, Option<u64>),
    plt_has_addend: bool,
}

impl Sizes {
    fn take(&mut self, tag: elf::DynamicTag, value: u64) {
        match tag {
            elf::DT_RELA => self.rela.0 = Some(value),
            elf::DT_RELASZ => self.rela.1 = Some(value),
            elf::DT_RELACOUNT => self.rela_relative = value,
            elf::DT_REL => self.rel.0 = Some(value),
            elf::DT_RELSZ => self.rel.1 = Some(value),
            elf::DT_RELCOUNT => self.rel_relative = value,
            elf::DT_JMPREL => self.plt.0 = Some(value),
            elf::DT_PLTRELSZ => self.plt.1 = Some(value),
            elf::DT_PLTREL => self.plt_has_addend = value == 7, // DT_RELA
            _ => {}
        }
    }

    fn tables(self) -> Vec<RelocationTable> {
        [
            (self.rela, true, false, self.rela_relative),
            (self.rel, false, false, self.rel_relative),
            (self.plt, self.plt_has_addend, true, 0),
        ]
        .into_iter()
        .filter_map(|((address, size), addend, plt, relative)| {
            Some(RelocationTable { address: address?, size: size?, addend, plt, relative })
        })
        .collect()
    }
}
