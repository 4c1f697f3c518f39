//! An object file (`ET_REL`): its global symbols, and which function of it
//! refers to one (ELF gABI, "Symbol Table", "Relocation").
//!
//! Here sections are the truth: a linker knows nothing else.

use std::collections::{HashMap, HashSet};

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, Rel, Rela, SectionHeader, Sym};

use crate::artifact::elf::{lossy, record};
use crate::artifact::{Arch, Class, Endian, ReadError, Source};

/// Sections of one object at most. Debug builds of C++ have some 100,000.
const MOST_SECTIONS: u64 = 1 << 22;
/// Entries of a table that are read in one piece.
const PIECE: u64 = 1 << 14;
/// References to one symbol that are told of one object.
const MOST_REFERENCES: usize = 8;
/// Symbols looked at, in all, to name the functions around references.
const FINDS: usize = 50_000_000;

/// A part of a file.
#[derive(Debug, Clone, Copy)]
pub struct Window<'s> {
    pub source: &'s Source,
    pub offset: u64,
    pub len: u64,
}

impl Window<'_> {
    pub fn read(&self, offset: u64, len: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        if !fits {
            return Err(ReadError::OutOfFile { what, offset, len, file_len: self.len });
        }
        self.source.read(self.offset + offset, len, what)
    }
}

/// What a global symbol is to a linker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Defined,
    /// A strong reference.
    Undefined,
    /// A strong reference of hidden visibility: no shared library answers it.
    UndefinedHidden,
    WeakReference,
}

/// The global symbols of one object.
#[derive(Debug)]
pub struct Globals {
    pub arch: Arch,
    names: Vec<u8>,
    symbols: Vec<(u32, Kind)>,
}

impl Globals {
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.symbols.iter().map(|(at, kind)| {
            let tail = self.names.get(*at as usize..).unwrap_or_default();
            let end = tail.iter().position(|byte| *byte == 0).unwrap_or(tail.len());
            (&tail[..end], *kind)
        })
    }

    /// How much memory it takes, in bytes.
    pub fn size(&self) -> u64 {
        (self.names.len() + self.symbols.len() * size_of::<(u32, Kind)>()) as u64
    }
}

/// Where a symbol is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The section that the reference is in.
    pub section: String,
    /// The function, or object, around it.
    pub function: Option<String>,
}

/// What an object that is read for its symbols turned out to be.
#[derive(Debug)]
pub enum Object {
    Relocatable(Globals),
    /// No object file, or none with machine code, in words.
    Other(&'static str),
}

/// Reads the global symbols.
pub fn globals(window: Window<'_>) -> Result<Object, ReadError> {
    match class(window)? {
        Ok(Class::Elf32) => Reader::<elf::FileHeader32<Endianness>>::open(window)?.globals(),
        Ok(Class::Elf64) => Reader::<elf::FileHeader64<Endianness>>::open(window)?.globals(),
        Err(other) => Ok(Object::Other(other)),
    }
}

/// For each name of which `wanted`, where the object refers to it, in the
/// order of its sections.
pub fn references(
    window: Window<'_>,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<(String, Place)>, ReadError> {
    match class(window)? {
        Ok(Class::Elf32) => Reader::<elf::FileHeader32<Endianness>>::open(window)?.references(wanted),
        Ok(Class::Elf64) => Reader::<elf::FileHeader64<Endianness>>::open(window)?.references(wanted),
        Err(_) => Ok(Vec::new()),
    }
}

/// Names of sections for which the linker makes `__start_NAME` and
/// `__stop_NAME`: those that are C identifiers.
pub fn section_names(window: Window<'_>) -> Result<Vec<String>, ReadError> {
    match class(window)? {
        Ok(Class::Elf32) => Reader::<elf::FileHeader32<Endianness>>::open(window)?.section_names(),
        Ok(Class::Elf64) => Reader::<elf::FileHeader64<Endianness>>::open(window)?.section_names(),
        Err(_) => Ok(Vec::new()),
    }
}

/// The class of an ELF file, or what it is instead.
fn class(window: Window<'_>) -> Result<Result<Class, &'static str>, ReadError> {
    let head = window.read(0, window.len.min(20), "a member's first bytes")?;
    let starts = |magic: &[u8]| head.starts_with(magic);
    // LLVM's bitcode, bare and in Apple's wrapper (LLVM, "Bitcode Wrapper Format").
    if starts(b"BC\xc0\xde") || starts(b"\xde\xc0\x17\x0b") {
        return Ok(Err("LLVM bitcode, for link-time optimisation"));
    }
    if !starts(b"\x7fELF") {
        return Ok(Err(match head.first() {
            None => "an empty file",
            _ if starts(b"!<arch>\n") || starts(b"!<thin>\n") => "an archive in the archive",
            _ => "no ELF object file",
        }));
    }
    match head.get(4) {
        Some(1) => Ok(Ok(Class::Elf32)),
        Some(2) => Ok(Ok(Class::Elf64)),
        _ => Err(ReadError::Malformed("EI_CLASS is neither 1 nor 2".to_owned())),
    }
}

/// The section of the symbol table: its index, its header, and its strings.
type SymbolTable<'r, H> = (usize, &'r <H as FileHeader>::SectionHeader, Vec<u8>);

struct Reader<'s, H: FileHeader<Endian = Endianness>> {
    window: Window<'s>,
    header: H,
    endian: Endianness,
    sections: Vec<H::SectionHeader>,
}

impl<'s, H: FileHeader<Endian = Endianness>> Reader<'s, H> {
    fn open(window: Window<'s>) -> Result<Self, ReadError> {
        let header: H = record(&window.read(0, size_of::<H>() as u64, "the ELF header")?);
        let endian = match header.e_ident().data {
            elf::ELFDATA2LSB => Endianness::Little,
            elf::ELFDATA2MSB => Endianness::Big,
            _ => return Err(ReadError::Malformed("EI_DATA is neither 1 nor 2".to_owned())),
        };
        let mut reader = Self { window, header, endian, sections: Vec::new() };
        reader.sections = reader.read_sections()?;
        Ok(reader)
    }

    fn read_sections(&self) -> Result<Vec<H::SectionHeader>, ReadError> {
        const WHAT: &str = "the section header table";
        let table: u64 = self.header.e_shoff(self.endian).into();
        if table == 0 {
            return Ok(Vec::new());
        }
        let size = size_of::<H::SectionHeader>() as u64;
        if u64::from(self.header.e_shentsize(self.endian)) != size {
            return Err(ReadError::Malformed("e_shentsize is not that of the class".to_owned()));
        }
        let count = match self.header.e_shnum(self.endian) {
            // Of more than 0xff00 sections the first one's size is their number.
            0 => {
                let first: H::SectionHeader = record(&self.window.read(table, size, WHAT)?);
                first.sh_size(self.endian).into()
            }
            count => u64::from(count),
        };
        if count > MOST_SECTIONS {
            return Err(ReadError::Malformed(format!(
                "{count} sections; more than {MOST_SECTIONS} are not read"
            )));
        }
        let bytes = self.window.read(table, count * size, WHAT)?;
        Ok(bytes.chunks_exact(size as usize).map(record).collect())
    }

    fn arch(&self) -> Arch {
        Arch {
            machine: self.header.e_machine(self.endian).0,
            class: if self.header.is_type_64() { Class::Elf64 } else { Class::Elf32 },
            endian: if self.header.is_big_endian() { Endian::Big } else { Endian::Little },
            flags: self.header.e_flags(self.endian).0,
        }
    }

    fn content(&self, section: &H::SectionHeader, what: &'static str) -> Result<Vec<u8>, ReadError> {
        let offset: u64 = section.sh_offset(self.endian).into();
        self.window.read(offset, section.sh_size(self.endian).into(), what)
    }

    /// The symbol table, its section's index, and its strings.
    fn symbol_table(&self) -> Result<Option<SymbolTable<'_, H>>, ReadError> {
        let found = (self.sections.iter().enumerate())
            .find(|(_, section)| section.sh_type(self.endian) == elf::SHT_SYMTAB);
        let Some((index, table)) = found else { return Ok(None) };
        let strings = self.sections.get(table.sh_link(self.endian) as usize).ok_or_else(|| {
            ReadError::Malformed("the symbol table names a string table that is not there".to_owned())
        })?;
        Ok(Some((index, table, self.content(strings, "the string table")?)))
    }

    /// Entries of the symbol table from one on, with the number of the first.
    fn symbols(&self, table: &H::SectionHeader, first: u64) -> Result<Vec<H::Sym>, ReadError> {
        let size = size_of::<H::Sym>() as u64;
        let offset: u64 = table.sh_offset(self.endian).into();
        let bytes: u64 = table.sh_size(self.endian).into();
        let skip = first.saturating_mul(size).min(bytes);
        let bytes = self.window.read(offset.saturating_add(skip), bytes - skip, "the symbol table")?;
        Ok(bytes.chunks_exact(size as usize).map(record).collect())
    }

    fn globals(&self) -> Result<Object, ReadError> {
        if self.header.e_type(self.endian) != elf::ET_REL {
            return Ok(Object::Other("a linked ELF file"));
        }
        let mut globals = Globals { arch: self.arch(), names: Vec::new(), symbols: Vec::new() };
        let Some((_, table, names)) = self.symbol_table()? else { return Ok(Object::Relocatable(globals)) };
        // Local symbols come first, and `sh_info` is the first that is not.
        let symbols = self.symbols(table, u64::from(table.sh_info(self.endian)))?;
        globals.symbols.reserve_exact(symbols.len());
        for symbol in &symbols {
            let name = symbol.st_name(self.endian);
            if name as usize >= names.len() {
                return Err(ReadError::Malformed("a symbol's name is out of range".to_owned()));
            }
            let undefined = symbol.st_shndx(self.endian) == elf::SHN_UNDEF;
            let hidden = matches!(symbol.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL);
            let kind = match (symbol.st_bind(), undefined) {
                (elf::STB_LOCAL, _) => continue,
                (elf::STB_WEAK, true) => Kind::WeakReference,
                (_, true) if hidden => Kind::UndefinedHidden,
                (_, true) => Kind::Undefined,
                (_, false) => Kind::Defined,
            };
            globals.symbols.push((name, kind));
        }
        globals.names = names;
        if globals.iter().any(|(name, _)| name == b"__gnu_lto_slim") {
            return Ok(Object::Other("GCC's intermediate code, for link-time optimisation"));
        }
        Ok(Object::Relocatable(globals))
    }

    fn section_name(&self, section: &H::SectionHeader, names: &[u8]) -> String {
        let tail = names.get(section.sh_name(self.endian) as usize..).unwrap_or_default();
        let end = tail.iter().position(|byte| *byte == 0).unwrap_or(tail.len());
        lossy(&tail[..end])
    }

    fn names_of_sections(&self) -> Result<Vec<u8>, ReadError> {
        let index = match self.header.e_shstrndx(self.endian) {
            // Past what the header can hold, the first section's link has it.
            elf::SHN_XINDEX => self.sections.first().map_or(0, |first| first.sh_link(self.endian)),
            index => u32::from(index.0),
        };
        match self.sections.get(index as usize) {
            Some(section) => self.content(section, "the names of sections"),
            None => Ok(Vec::new()),
        }
    }

    fn section_names(&self) -> Result<Vec<String>, ReadError> {
        let names = self.names_of_sections()?;
        let all = self.sections.iter().map(|section| self.section_name(section, &names));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let identifier =
            |name: &String| name.bytes().all(letter) && name.starts_with(|c: char| !c.is_ascii_digit());
        Ok(all.filter(|name| !name.is_empty() && identifier(name)).collect())
    }

    fn references(&self, wanted: &dyn Fn(&[u8]) -> bool) -> Result<Vec<(String, Place)>, ReadError> {
        let Some((table_index, table, names)) = self.symbol_table()? else { return Ok(Vec::new()) };
        let symbols = self.symbols(table, 0)?;
        let name_of = |symbol: &H::Sym| {
            let tail = names.get(symbol.st_name(self.endian) as usize..).unwrap_or_default();
            let end = tail.iter().position(|byte| *byte == 0).unwrap_or(tail.len());
            &tail[..end]
        };
        let is_wanted = |symbol: &H::Sym| {
            symbol.st_shndx(self.endian) == elf::SHN_UNDEF
                && symbol.st_bind() != elf::STB_LOCAL
                && wanted(name_of(symbol))
        };
        let first = table.sh_info(self.endian) as usize;
        let marked: Vec<bool> =
            symbols.iter().enumerate().map(|(at, symbol)| at >= first && is_wanted(symbol)).collect();
        let mut found: Vec<(String, Place)> = Vec::new();
        if !marked.contains(&true) {
            return Ok(found);
        }
        let section_names = self.names_of_sections()?;
        let mut finds = FINDS / symbols.len().max(1);
        let mut told: HashMap<usize, usize> = HashMap::new();
        let mut seen: HashSet<(usize, u32, Option<u32>)> = HashSet::new();
        for section in &self.sections {
            let kind = section.sh_type(self.endian);
            if (kind != elf::SHT_REL && kind != elf::SHT_RELA)
                || section.sh_link(self.endian) as usize != table_index
            {
                continue;
            }
            let target = section.sh_info(self.endian);
            let Some(code) = self.sections.get(target as usize) else { continue };
            for (symbol, offset) in self.relocations(section, kind == elf::SHT_RELA, &marked, &mut told)? {
                let Some(referred) = symbols.get(symbol) else { continue };
                let around = match finds.checked_sub(1) {
                    Some(left) => {
                        finds = left;
                        self.around(&symbols, target, offset)
                    }
                    None => None,
                };
                if !seen.insert((symbol, target, around.map(|symbol| symbol.st_name(self.endian)))) {
                    continue;
                }
                let place = Place {
                    section: self.section_name(code, &section_names),
                    function: around.map(|symbol| lossy(name_of(symbol))),
                };
                found.push((lossy(name_of(referred)), place));
            }
        }
        Ok(found)
    }

    /// The relocations of marked symbols: symbol and offset, a few of each.
    fn relocations(
        &self,
        section: &H::SectionHeader,
        addend: bool,
        marked: &[bool],
        told: &mut HashMap<usize, usize>,
    ) -> Result<Vec<(usize, u64)>, ReadError> {
        let size = if addend { size_of::<H::Rela>() } else { size_of::<H::Rel>() } as u64;
        let start: u64 = section.sh_offset(self.endian).into();
        let bytes: u64 = section.sh_size(self.endian).into();
        let mips64el = self.header.e_machine(self.endian) == elf::EM_MIPS
            && self.header.is_type_64()
            && !self.header.is_big_endian();
        let mut found = Vec::new();
        let mut at = 0;
        while at + size <= bytes {
            let piece = (PIECE * size).min((bytes - at) / size * size);
            let table = self.window.read(start.saturating_add(at), piece, "a relocation table")?;
            for entry in table.chunks_exact(size as usize) {
                let (symbol, offset): (u32, u64) = match addend {
                    true => {
                        let entry: H::Rela = record(entry);
                        (entry.r_sym(self.endian, mips64el), entry.r_offset(self.endian).into())
                    }
                    false => {
                        let entry: H::Rel = record(entry);
                        (entry.r_sym(self.endian), entry.r_offset(self.endian).into())
                    }
                };
                if marked.get(symbol as usize) == Some(&true) {
                    let times = told.entry(symbol as usize).or_default();
                    *times += 1;
                    if *times <= MOST_REFERENCES {
                        found.push((symbol as usize, offset));
                    }
                }
            }
            at += piece;
        }
        Ok(found)
    }

    /// The named symbol around an offset of a section.
    fn around<'y>(&self, symbols: &'y [H::Sym], section: u32, offset: u64) -> Option<&'y H::Sym> {
        let candidates = symbols.iter().filter(|symbol| {
            let kind = symbol.st_type();
            u32::from(symbol.st_shndx(self.endian).0) == section
                && kind != elf::STT_SECTION
                && kind != elf::STT_FILE
                && symbol.st_name(self.endian) != 0
        });
        // Local labels (`.L…`) have no size; what has one and spans the place is it.
        let span = |symbol: &&H::Sym| {
            let start: u64 = symbol.st_value(self.endian).into();
            let size: u64 = symbol.st_size(self.endian).into();
            (start <= offset && (size == 0 || offset < start.saturating_add(size)))
                .then_some((size > 0, start))
        };
        candidates
            .filter_map(|symbol| Some((span(&symbol)?, symbol)))
            .max_by_key(|(key, _)| *key)
            .map(|(_, s)| s)
    }
}
