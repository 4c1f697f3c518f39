//! Relocatable objects inside archives: which of the functions asked for they
//! define, and which of the imports asked for they refer to.
//!
//! Only tables are read, never code: section headers, symbols, and where an
//! import was found the relocations (ELF gABI, chapter 4).

use std::collections::{HashMap, HashSet};

use object::Endianness;
use object::elf;
use object::pod::{self, Pod};
use object::read::elf::{FileHeader, Rel, Rela, SectionHeader, Sym};

use crate::artifact::{ReadError, Source};

/// The largest table of one object that is read, in bytes. rustc's largest
/// objects have some MiB.
const LARGEST_TABLE: u64 = 48 << 20;
/// References noted at most for one object.
const MOST_REFERENCES: usize = 4096;

/// The names that matter; everything else is passed over.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    pub functions: Names<'a>,
    pub imports: Names<'a>,
    /// Of the imports those whose functions are to be found again by their bytes.
    pub nameless: HashSet<&'a str>,
}

/// A set of names that nearly every name is asked for, and few are in.
#[derive(Debug, Default)]
pub struct Names<'a> {
    all: HashSet<&'a [u8]>,
    /// One bit for each of the keys that they have; empty without names.
    keys: Vec<u64>,
}

impl<'a> Names<'a> {
    /// 16 bits of the length and the end, in which names differ most.
    fn key(name: &[u8]) -> usize {
        let end = name.last_chunk::<8>().map_or(0, |end| u64::from_le_bytes(*end));
        let mixed = (end ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 48) as usize
    }

    pub fn insert(&mut self, name: &'a [u8]) {
        let key = Self::key(name);
        self.keys.resize(1 << 10, 0);
        self.keys[key >> 6] |= 1 << (key & 63);
        self.all.insert(name);
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        let key = Self::key(name);
        let may_be = self.keys.get(key >> 6).is_some_and(|keys| keys >> (key & 63) & 1 == 1);
        if may_be { self.all.get(name).copied() } else { None }
    }
}

impl<'a> Extend<&'a [u8]> for Names<'a> {
    fn extend<I: IntoIterator<Item = &'a [u8]>>(&mut self, names: I) {
        names.into_iter().for_each(|name| self.insert(name));
    }
}

/// What one object says of the names that matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Functions of those asked for that it defines.
    pub defines: Vec<String>,
    /// Imports of those asked for that it refers to, and the function that
    /// does, where a symbol names it.
    pub refers: Vec<(String, Option<String>)>,
}

/// What a member is.
#[derive(Debug)]
pub enum Kind {
    Object(Said),
    /// LLVM's own code, as link-time optimisation wants it: it has no symbols
    /// that ELF knows of.
    Bitcode,
    /// Metadata, or another file format.
    Other,
}

/// Where an object is in a file.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub offset: u64,
    pub len: u64,
}

pub fn read(source: &Source, place: Place, wanted: &Wanted<'_>) -> Result<Kind, ReadError> {
    if place.len < 20 {
        return Ok(Kind::Other);
    }
    let ident = source.read(place.offset, 20, "an object of the archive")?;
    if ident.starts_with(b"BC\xc0\xde") || ident.starts_with(b"\xde\xc0\x17\x0b") {
        return Ok(Kind::Bitcode);
    }
    match (&ident[..4], ident[4]) {
        (b"\x7fELF", 1) => Object::<elf::FileHeader32<Endianness>>::open(source, place)?.ask(wanted),
        (b"\x7fELF", 2) => Object::<elf::FileHeader64<Endianness>>::open(source, place)?.ask(wanted),
        _ => Ok(Kind::Other),
    }
}

struct Object<'s, H: FileHeader<Endian = Endianness>> {
    source: &'s Source,
    place: Place,
    endian: Endianness,
    sections: Vec<H::SectionHeader>,
    is_mips64: bool,
}

fn record<T: Pod>(bytes: &[u8]) -> T {
    *pod::from_bytes::<T>(bytes)
        .expect("the bytes were read by the record's size, and records are unaligned")
        .0
}

impl<'s, H: FileHeader<Endian = Endianness>> Object<'s, H> {
    fn open(source: &'s Source, place: Place) -> Result<Self, ReadError> {
        const WHAT: &str = "the section headers of an object";
        let mut object =
            Self { source, place, endian: Endianness::Little, sections: Vec::new(), is_mips64: false };
        let header: H = record(&object.bytes(0, size_of::<H>() as u64, "the header of an object")?);
        object.endian = match header.e_ident().data {
            elf::ELFDATA2LSB => Endianness::Little,
            elf::ELFDATA2MSB => Endianness::Big,
            other => return Err(ReadError::Malformed(format!("EI_DATA is {}", other.0))),
        };
        let endian = object.endian;
        object.is_mips64 = header.e_machine(endian) == elf::EM_MIPS && header.is_type_64();
        let table: u64 = header.e_shoff(endian).into();
        let size = size_of::<H::SectionHeader>() as u64;
        if header.e_type(endian) != elf::ET_REL || table == 0 {
            return Ok(object);
        }
        // More sections than 16 bits hold: their number stands in the first.
        let count = match header.e_shnum(endian) {
            0 => record::<H::SectionHeader>(&object.bytes(table, size, WHAT)?).sh_size(endian).into(),
            count => u64::from(count),
        };
        let bytes = object.bytes(table, count.saturating_mul(size), WHAT)?;
        object.sections = bytes.chunks_exact(size as usize).map(record).collect();
        Ok(object)
    }

    /// Bytes of the object, which must lie inside of its member.
    fn bytes(&self, offset: u64, len: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        if offset.checked_add(len).is_none_or(|end| end > self.place.len) {
            return Err(ReadError::OutOfFile { what, offset, len, file_len: self.place.len });
        }
        if len > LARGEST_TABLE {
            return Err(ReadError::TooLarge { what, len, most: LARGEST_TABLE });
        }
        self.source.read(self.place.offset + offset, len, what)
    }

    fn section(&self, section: &H::SectionHeader, what: &'static str) -> Result<Vec<u8>, ReadError> {
        self.bytes(section.sh_offset(self.endian).into(), section.sh_size(self.endian).into(), what)
    }

    fn ask(&self, wanted: &Wanted<'_>) -> Result<Kind, ReadError> {
        let mut said = Said::default();
        let endian = self.endian;
        let is_symbols = |section: &&H::SectionHeader| section.sh_type(endian) == elf::SHT_SYMTAB;
        let Some(table) = self.sections.iter().find(is_symbols) else { return Ok(Kind::Object(said)) };
        let strings = self
            .sections
            .get(table.sh_link(endian) as usize)
            .ok_or_else(|| ReadError::Malformed("the symbols of an object have no names".to_owned()))?;
        let names = self.section(strings, "the names of an object's symbols")?;
        let symbols = self.section(table, "the symbols of an object")?;
        let size = size_of::<H::Sym>();
        let mut imports: HashMap<u32, &[u8]> = HashMap::new();
        let mut is_import = vec![false; symbols.len() / size];
        for (at, bytes) in symbols.chunks_exact(size).enumerate() {
            let symbol: H::Sym = record(bytes);
            let Some(name) = name_at(&names, symbol.st_name(endian)) else { continue };
            if symbol.st_shndx(endian) == elf::SHN_UNDEF {
                if let Some(name) = wanted.imports.get(name) {
                    imports.insert(at as u32, name);
                    is_import[at] = true;
                }
            } else if is_code(symbol.st_type()) && wanted.functions.get(name).is_some() {
                said.defines.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        if !imports.is_empty() {
            self.references(&imports, &is_import, &symbols, &names, &mut said)?;
        }
        Ok(Kind::Object(said))
    }

    /// Which functions refer to the imports, by the relocations of every
    /// section that is loaded.
    fn references(
        &self,
        imports: &HashMap<u32, &[u8]>,
        is_import: &[bool],
        symbols: &[u8],
        names: &[u8],
        said: &mut Said,
    ) -> Result<(), ReadError> {
        let endian = self.endian;
        let lossy = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let mut functions: Option<HashMap<u32, Vec<Span<'_>>>> = None;
        let mut seen = HashSet::new();
        for section in &self.sections {
            let kind = section.sh_type(endian);
            let (addends, size) = match kind {
                elf::SHT_RELA => (true, size_of::<H::Rela>()),
                elf::SHT_REL => (false, size_of::<H::Rel>()),
                _ => continue,
            };
            let target = section.sh_info(endian);
            let loaded = self
                .sections
                .get(target as usize)
                .is_some_and(|section| section.sh_flags(endian).0 & elf::SHF_ALLOC.0 != 0);
            if !loaded {
                continue;
            }
            let table = self.section(section, "the relocations of an object")?;
            for bytes in table.chunks_exact(size) {
                let (symbol, offset): (u32, u64) = if addends {
                    let entry: H::Rela = record(bytes);
                    (entry.r_sym(endian, self.is_mips64), entry.r_offset(endian).into())
                } else {
                    let entry: H::Rel = record(bytes);
                    (entry.r_sym(endian), entry.r_offset(endian).into())
                };
                // Most relocations are of others.
                if is_import.get(symbol as usize) != Some(&true) {
                    continue;
                }
                let Some(import) = imports.get(&symbol) else { continue };
                let functions = functions.get_or_insert_with(|| self.functions(symbols, names));
                let function = functions.get(&target).and_then(|spans| holder(spans, offset));
                if seen.insert((symbol, function)) && said.refers.len() < MOST_REFERENCES {
                    said.refers.push((lossy(import), function.map(lossy)));
                }
            }
        }
        Ok(())
    }

    /// The functions of each section, in order.
    fn functions<'n>(&self, symbols: &[u8], names: &'n [u8]) -> HashMap<u32, Vec<Span<'n>>> {
        let mut functions: HashMap<u32, Vec<Span<'n>>> = HashMap::new();
        for bytes in symbols.chunks_exact(size_of::<H::Sym>()) {
            let symbol: H::Sym = record(bytes);
            let section = symbol.st_shndx(self.endian);
            if section == elf::SHN_UNDEF || !is_code(symbol.st_type()) {
                continue;
            }
            if let Some(name) = name_at(names, symbol.st_name(self.endian)) {
                let start: u64 = symbol.st_value(self.endian).into();
                let size: u64 = symbol.st_size(self.endian).into();
                functions.entry(u32::from(section.0)).or_default().push(Span { start, size, name });
            }
        }
        for spans in functions.values_mut() {
            spans.sort_by_key(|span| span.start);
        }
        functions
    }
}

struct Span<'n> {
    start: u64,
    size: u64,
    name: &'n [u8],
}

/// The function that holds an offset of its section.
fn holder<'n>(spans: &[Span<'n>], offset: u64) -> Option<&'n [u8]> {
    let after = spans.partition_point(|span| span.start <= offset);
    let span = spans.get(after.checked_sub(1)?)?;
    (offset - span.start < span.size).then_some(span.name)
}

fn is_code(kind: elf::SymbolType) -> bool {
    matches!(kind, elf::STT_FUNC | elf::STT_GNU_IFUNC)
}

fn name_at(names: &[u8], at: u32) -> Option<&[u8]> {
    let tail = names.get(at as usize..).filter(|_| at > 0)?;
    let end = tail.iter().position(|byte| *byte == 0)?;
    Some(&tail[..end]).filter(|name| !name.is_empty())
}
