//! What of a linked file is read: sections, symbols, dynamic relocations.
//!
//! Section headers lead everywhere here. They may, because this attributes a
//! need that is known already; where there are none, nothing can be said.

use std::collections::HashMap;

use object::Endianness;
use object::elf::{self, FileHeader64, Rela64, SectionHeader64, Sym64, Vernaux, Verneed};
use object::pod::{self, Pod};
use object::read::elf::{FileHeader as _, Rela as _, Sym as _};

use super::{CannotSay, Import, Machine};
use crate::artifact::{ReadError, Source};

/// Section headers read at most. Linked files have some forty.
const MOST_SECTIONS: u64 = 1 << 16;
/// The longest section name that is told from others, in bytes.
const LONGEST_SECTION_NAME: u64 = 256;
/// Needed versions walked at most; `artifact` has the same limit.
const MOST_VERSIONS: usize = 1 << 12;
/// Bytes of imports' names taken at most. Names may share their ends, so
/// without a limit a small table could be made to give names without end.
const MOST_NAMES: usize = 64 << 20;

type Header = FileHeader64<Endianness>;

#[derive(Debug, Clone)]
pub struct Section {
    pub name: String,
    pub kind: elf::SectionType,
    pub flags: u64,
    pub address: u64,
    pub offset: u64,
    /// In bytes; of a `SHT_NOBITS` section none is in the file.
    pub size: u64,
    pub link: u32,
    pub info: u32,
}

impl Section {
    pub fn has(&self, flag: elf::SectionFlags) -> bool {
        self.flags & flag.0 != 0
    }

    /// Whether the loader brings it to memory as code.
    pub fn is_code(&self) -> bool {
        self.kind == elf::SHT_PROGBITS && self.has(elf::SHF_ALLOC) && self.has(elf::SHF_EXECINSTR)
    }

    /// Whether it holds the stubs through which imports are called.
    pub fn is_stubs(&self) -> bool {
        [".plt", ".iplt", ".glink"].iter().any(|name| self.name.starts_with(name))
    }

    /// Whether it holds addresses that code reads, rather than data.
    pub fn is_got(&self) -> bool {
        [".got", ".plt", ".iplt", ".toc", ".branch_lt"].iter().any(|name| self.name.starts_with(name))
    }

    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    pub fn holds(&self, address: u64) -> bool {
        address >= self.address && address - self.address < self.size
    }
}

/// A dynamic relocation, by what it leaves in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// The address of a dynamic symbol, by its index.
    Symbol(u32),
    /// An address in the file itself.
    Own(u64),
    /// `R_*_COPY`: the object itself stands here, not its address.
    Copy(u32),
}

#[derive(Debug, Clone, Copy)]
pub struct Slot {
    pub address: u64,
    pub filled: Filled,
    /// Begins a pair that says where a thread-local variable is; code takes
    /// the pair's own address.
    pub is_pair: bool,
}

/// One entry of `.symtab` or `.dynsym`.
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    pub name: u32,
    pub info: elf::SymbolInfo,
    pub other: u8,
    pub section: u16,
    pub value: u64,
    pub size: u64,
}

/// A linked file, or an object that may be a member of an archive.
pub struct Image<'s> {
    source: &'s Source,
    /// Where it is in the source: offset and size in bytes.
    at: u64,
    size: u64,
    pub machine: Machine,
    pub endian: Endianness,
    /// `ET_EXEC`: addresses need no relocation, and may stand in instructions.
    pub fixed: bool,
    pub entry: u64,
    pub sections: Vec<Section>,
}

pub fn record<T: Pod>(bytes: &[u8]) -> T {
    *pod::from_bytes::<T>(bytes)
        .expect("the bytes were read by the record's size, and records are unaligned")
        .0
}

pub fn malformed(what: impl Into<String>) -> CannotSay {
    CannotSay::Unreadable(ReadError::Malformed(what.into()))
}

impl<'s> Image<'s> {
    pub fn open(source: &'s Source) -> Result<Self, CannotSay> {
        let (mut image, header) = Self::open_any(source, 0, source.size())?;
        if !matches!(header.e_type(image.endian), elf::ET_EXEC | elf::ET_DYN) {
            return Err(CannotSay::NotLinked("it is no linked file"));
        }
        image.sections = image.read_sections(&header)?;
        if !image.sections.iter().any(Section::is_code) {
            return Err(CannotSay::NoSections);
        }
        Ok(image)
    }

    pub fn open_object(source: &'s Source, at: u64, size: u64) -> Result<Self, CannotSay> {
        let (mut image, header) = Self::open_any(source, at, size)?;
        if header.e_type(image.endian) != elf::ET_REL {
            return Err(CannotSay::NotLinked("it is no relocatable object"));
        }
        image.sections = image.read_sections(&header)?;
        Ok(image)
    }

    fn open_any(source: &'s Source, at: u64, size: u64) -> Result<(Self, Header), CannotSay> {
        let mut image = Self {
            source,
            at,
            size,
            machine: Machine::X86_64,
            endian: Endianness::Little,
            fixed: false,
            entry: 0,
            sections: Vec::new(),
        };
        let ident = image.read(0, 16, "the ELF identification")?;
        if ident[..4] != elf::ELFMAG {
            return Err(CannotSay::NotLinked("it is no ELF file"));
        }
        if ident[4] != elf::ELFCLASS64.0 {
            return Err(CannotSay::NotLinked("it is no 64-bit file"));
        }
        let header: Header = record(&image.read(0, size_of::<Header>() as u64, "the ELF header")?);
        image.endian = match header.e_ident().data {
            elf::ELFDATA2LSB => Endianness::Little,
            elf::ELFDATA2MSB => Endianness::Big,
            other => return Err(malformed(format!("EI_DATA is {}", other.0))),
        };
        image.machine = match (header.e_machine(image.endian), image.endian) {
            (elf::EM_X86_64, Endianness::Little) => Machine::X86_64,
            (elf::EM_S390, Endianness::Big) => Machine::S390x,
            (elf::EM_PPC64, Endianness::Little) => Machine::Ppc64le,
            (elf::EM_AARCH64, Endianness::Little) => Machine::Aarch64,
            (other, _) => return Err(CannotSay::Machine(other.0)),
        };
        image.fixed = header.e_type(image.endian) == elf::ET_EXEC;
        image.entry = header.e_entry(image.endian);
        Ok((image, header))
    }

    /// Bytes of the file or the member, never of what lies around it.
    pub fn read(&self, offset: u64, len: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        if offset.checked_add(len).is_none_or(|end| end > self.size) {
            return Err(ReadError::OutOfFile { what, offset, len, file_len: self.size });
        }
        self.source.read(self.at + offset, len, what)
    }

    fn read_sections(&self, header: &Header) -> Result<Vec<Section>, CannotSay> {
        let size = size_of::<SectionHeader64<Endianness>>() as u64;
        let table: u64 = header.e_shoff(self.endian);
        if table == 0 || u64::from(header.e_shentsize(self.endian)) != size {
            return Err(CannotSay::NoSections);
        }
        let first = self.read(table, size, "a section header")?;
        let first: SectionHeader64<Endianness> = record(&first);
        // Where there are more than fit the header, section 0 has the numbers
        // (gABI, chapter 4).
        let count = match u64::from(header.e_shnum(self.endian)) {
            0 => first.sh_size.get(self.endian),
            count => count,
        };
        if count == 0 {
            return Err(CannotSay::NoSections);
        }
        if count > MOST_SECTIONS {
            return Err(malformed(format!("{count} sections; more than {MOST_SECTIONS} are not read")));
        }
        let names = match header.e_shstrndx(self.endian) {
            elf::SHN_XINDEX => first.sh_link.get(self.endian),
            index => u32::from(index.0),
        };
        let bytes = self.read(table, count * size, "the section header table")?;
        let headers: Vec<SectionHeader64<Endianness>> =
            bytes.chunks_exact(size as usize).map(record).collect();
        let names = headers.get(names as usize).map(|names| {
            let start = names.sh_offset.get(self.endian);
            let end = start.saturating_add(names.sh_size.get(self.endian)).min(self.size);
            (self.at.saturating_add(start), self.at + end)
        });
        let mut sections = Vec::with_capacity(headers.len());
        for header in &headers {
            let name = names.and_then(|(start, end)| {
                let at = start.checked_add(u64::from(header.sh_name.get(self.endian)))?;
                let end = end.min(at.saturating_add(LONGEST_SECTION_NAME));
                self.source.c_string(at, end, "a section's name").ok()
            });
            sections.push(Section {
                name: String::from_utf8_lossy(&name.unwrap_or_default()).into_owned(),
                kind: header.sh_type.get(self.endian),
                flags: header.sh_flags.get(self.endian).0,
                address: header.sh_addr.get(self.endian),
                offset: header.sh_offset.get(self.endian),
                size: header.sh_size.get(self.endian),
                link: header.sh_link.get(self.endian),
                info: header.sh_info.get(self.endian),
            });
        }
        self.check_overlap(&sections)?;
        Ok(sections)
    }

    /// Sections are read whole, so such that share their bytes would multiply
    /// the work.
    fn check_overlap(&self, sections: &[Section]) -> Result<(), CannotSay> {
        let in_file = |section: &&Section| section.kind != elf::SHT_NULL && section.kind != elf::SHT_NOBITS;
        let total = sections.iter().filter(in_file).map(|section| section.size);
        if total.fold(0, u64::saturating_add) > self.size {
            return Err(malformed("its sections are together larger than the file"));
        }
        Ok(())
    }

    pub fn find(&self, kind: elf::SectionType) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    pub fn named(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub fn bytes(&self, section: &Section, what: &'static str) -> Result<Vec<u8>, CannotSay> {
        if section.kind == elf::SHT_NOBITS {
            return Ok(Vec::new());
        }
        Ok(self.read(section.offset, section.size, what)?)
    }

    /// A symbol table and its strings; empty where there is none.
    pub fn symbols(&self, kind: elf::SectionType) -> Result<(Vec<Symbol>, Vec<u8>), CannotSay> {
        let Some(table) = self.find(kind) else { return Ok(Default::default()) };
        let strings = match self.sections.get(table.link as usize) {
            Some(strings) => self.bytes(strings, "a string table")?,
            None => return Err(malformed("a symbol table has no string table")),
        };
        let bytes = self.bytes(table, "a symbol table")?;
        let symbols = bytes.chunks_exact(size_of::<Sym64<Endianness>>()).map(|entry| {
            let entry: Sym64<Endianness> = record(entry);
            Symbol {
                name: entry.st_name(self.endian),
                info: entry.st_info(),
                other: entry.st_other().0,
                section: entry.st_shndx(self.endian).0,
                value: entry.st_value(self.endian),
                size: entry.st_size(self.endian),
            }
        });
        Ok((symbols.collect(), strings))
    }

    /// The dynamic symbols that another file has to define, or whose version
    /// another file has: name and needed version by index.
    pub fn imports(&self) -> Result<Vec<Option<Import>>, CannotSay> {
        let (symbols, strings) = self.symbols(elf::SHT_DYNSYM)?;
        let indices = match self.find(elf::SHT_GNU_VERSYM) {
            Some(section) => self.bytes(section, "the versions of symbols")?,
            None => Vec::new(),
        };
        let versions = self.needed_versions()?;
        let mut imports = Vec::with_capacity(symbols.len());
        let mut bytes = 0;
        for (at, symbol) in symbols.iter().enumerate() {
            let index = indices.get(at * 2..at * 2 + 2).map_or(1, |pair| self.u16(pair)) & 0x7fff;
            let version = versions.get(&index);
            let name = if at == 0 || (symbol.section != 0 && version.is_none()) {
                None
            } else {
                text(&strings, symbol.name)
            };
            bytes += name.map_or(0, str::len) + version.map_or(0, String::len);
            if bytes > MOST_NAMES {
                return Err(malformed(format!("its names have more than {MOST_NAMES} bytes together")));
            }
            imports.push(name.map(|name| Import { name: name.to_owned(), version: version.cloned() }));
        }
        Ok(imports)
    }

    /// `SHT_GNU_verneed`: index and name of each needed version.
    fn needed_versions(&self) -> Result<HashMap<u16, String>, CannotSay> {
        let mut versions = HashMap::new();
        let Some(section) = self.find(elf::SHT_GNU_VERNEED) else { return Ok(versions) };
        let bytes = self.bytes(section, "the needed versions")?;
        let strings = match self.sections.get(section.link as usize) {
            Some(strings) => self.bytes(strings, "the dynamic strings")?,
            None => Vec::new(),
        };
        let mut walked = 0;
        let mut at = 0_usize;
        let out = || malformed("the needed versions lead out of their section");
        loop {
            let need = bytes.get(at..).and_then(|rest| rest.get(..16)).ok_or_else(out)?;
            let need: Verneed<Endianness> = record(need);
            let mut node_at = at.saturating_add(need.vn_aux.get(self.endian) as usize);
            loop {
                let node = bytes.get(node_at..).and_then(|rest| rest.get(..16)).ok_or_else(out)?;
                let node: Vernaux<Endianness> = record(node);
                let name = text(&strings, node.vna_name.get(self.endian)).unwrap_or_default();
                versions.insert(node.vna_other.get(self.endian).0 & 0x7fff, name.to_owned());
                walked += 1;
                if walked > MOST_VERSIONS {
                    return Err(malformed(format!("more than {MOST_VERSIONS} needed versions are not read")));
                }
                match node.vna_next.get(self.endian) as usize {
                    0 => break,
                    next => node_at = node_at.saturating_add(next),
                }
            }
            match need.vn_next.get(self.endian) as usize {
                0 => return Ok(versions),
                next => at = at.saturating_add(next),
            }
        }
    }

    /// What the loader writes, sorted by address: `SHT_RELA` of the sections
    /// that are loaded, and `SHT_RELR`.
    pub fn slots(&self) -> Result<Vec<Slot>, CannotSay> {
        let mut slots = Vec::new();
        for section in self.sections.iter().filter(|section| section.has(elf::SHF_ALLOC)) {
            match section.kind {
                elf::SHT_RELA => {
                    let bytes = self.bytes(section, "dynamic relocations")?;
                    for entry in bytes.chunks_exact(size_of::<Rela64<Endianness>>()) {
                        let entry: Rela64<Endianness> = record(entry);
                        let kind = entry.r_type(self.endian, false);
                        let symbol = entry.r_sym(self.endian, false);
                        let filled = match symbol {
                            0 if self.machine.is_relative(kind) => {
                                Filled::Own(entry.r_addend(self.endian) as u64)
                            }
                            0 => continue,
                            symbol if self.machine.is_copy(kind) => Filled::Copy(symbol),
                            symbol => Filled::Symbol(symbol),
                        };
                        let is_pair = self.machine.is_pair(kind);
                        slots.push(Slot { address: entry.r_offset(self.endian), filled, is_pair });
                    }
                }
                elf::SHT_RELR => self.unpack_relr(section, &mut slots)?,
                _ => {}
            }
        }
        slots.sort_by_key(|slot| slot.address);
        slots.dedup_by_key(|slot| slot.address);
        Ok(slots)
    }

    /// gABI, `SHT_RELR`: an even word is an address, an odd one a bit map of
    /// the 63 words that follow the last. The addends stand in the slots.
    fn unpack_relr(&self, section: &Section, slots: &mut Vec<Slot>) -> Result<(), CannotSay> {
        let bytes = self.bytes(section, "packed relative relocations")?;
        let mut data: Vec<&Section> = self.data().filter(|section| section.kind != elf::SHT_NOBITS).collect();
        data.sort_unstable_by_key(|section| section.address);
        // A bit is a slot of eight bytes, so more than data has room for are
        // repetitions.
        let most = data.iter().map(|section| section.size / 8).sum::<u64>() as usize;
        let mut addresses = Vec::new();
        let mut next = 0_u64;
        for word in bytes.chunks_exact(8) {
            let word = self.u64(word);
            if word & 1 == 0 {
                addresses.push(word);
                next = word.wrapping_add(8);
            } else {
                let bits = (0..63).filter(|bit| word >> (bit + 1) & 1 == 1);
                addresses.extend(bits.map(|bit| next.wrapping_add(bit * 8)));
                next = next.wrapping_add(63 * 8);
            }
            if addresses.len() > most {
                return Err(malformed("more packed relative relocations than there is data"));
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        // Section by section, because slots lie side by side.
        let mut rest = &addresses[..];
        for section in data {
            rest = &rest[rest.partition_point(|address| *address < section.address)..];
            let own = rest.partition_point(|address| *address < section.end());
            if own == 0 {
                continue;
            }
            let bytes = self.bytes(section, "a section of data")?;
            for address in &rest[..own] {
                let into = (address - section.address) as usize;
                let Some(word) = bytes.get(into..).and_then(|rest| rest.get(..8)) else { continue };
                slots.push(Slot { address: *address, filled: Filled::Own(self.u64(word)), is_pair: false });
            }
            rest = &rest[own..];
        }
        Ok(())
    }

    /// `DT_PLTGOT`: what code calls `_GLOBAL_OFFSET_TABLE_`.
    pub fn offset_table(&self) -> Result<Option<u64>, CannotSay> {
        let Some(section) = self.find(elf::SHT_DYNAMIC) else { return Ok(None) };
        let bytes = self.bytes(section, "the dynamic section")?;
        let mut entries = bytes.chunks_exact(16).map(|entry| (self.u64(entry), self.u64(&entry[8..])));
        Ok(entries.find(|(tag, _)| *tag == elf::DT_PLTGOT.0 as u64).map(|(_, value)| value))
    }

    /// Sections that are writable when they are loaded: where addresses stand.
    pub fn data(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| {
            section.has(elf::SHF_ALLOC)
                && section.has(elf::SHF_WRITE)
                && !section.has(elf::SHF_TLS)
                && !section.has(elf::SHF_EXECINSTR)
        })
    }

    pub fn u16(&self, bytes: &[u8]) -> u16 {
        let bytes = [bytes[0], bytes[1]];
        if self.endian == Endianness::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub fn u32(&self, bytes: &[u8]) -> u32 {
        let bytes = *bytes.first_chunk().expect("a slice of four bytes");
        if self.endian == Endianness::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub fn u64(&self, bytes: &[u8]) -> u64 {
        let bytes = *bytes.first_chunk().expect("a slice of eight bytes");
        if self.endian == Endianness::Big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }
}

/// The text at an offset of a string table; `None` for what is no text.
pub fn text(strings: &[u8], at: u32) -> Option<&str> {
    let tail = strings.get(at as usize..)?;
    let end = tail.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&tail[..end]).ok()
}
