//! Functions of relocatable objects, to be found again in a file that is
//! stripped: their bytes, without those that the linker fills in or changes.

use std::collections::{HashMap, HashSet};

use object::elf;
use object::read::elf::Rela as _;

use super::image::{Image, Section, Symbol, record, text};
use super::{CannotSay, Machine};
use crate::artifact::Source;
use crate::blame::names::as_linked;

/// The longest function that is compared, in bytes.
const LONGEST: u64 = 1 << 20;
/// Bytes of functions taken at most from one object.
const MOST_BYTES: u64 = 32 << 20;

/// A function of an object that names an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Its mangled name.
    pub name: String,
    /// The import, without a version: objects know none.
    pub import: String,
    bytes: Vec<u8>,
    /// Where `bytes` must be the same, a bit each.
    fixed: Vec<bool>,
    /// Where in the function the import is named, as the scanners see it.
    sites: Vec<u64>,
}

impl Pattern {
    /// How many bytes must be the same.
    pub fn weight(&self) -> usize {
        self.fixed.iter().filter(|fixed| **fixed).count()
    }

    /// Its length, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn sites(&self) -> &[u64] {
        &self.sites
    }

    /// Whether the code is this function's.
    pub fn matches(&self, code: &[u8]) -> bool {
        code.len() >= self.bytes.len()
            && self
                .bytes
                .iter()
                .zip(code)
                .zip(&self.fixed)
                .all(|((own, found), fixed)| own == found || !fixed)
    }
}

/// The functions of an object that name one of the imports. The object is
/// `size` bytes at `offset` of the source: a member of an archive, perhaps.
///
/// # Errors
/// Where it is no ELF object of a known machine, or its tables make no sense.
pub fn patterns(
    source: &Source,
    offset: u64,
    size: u64,
    imports: &HashSet<&str>,
) -> Result<Vec<Pattern>, CannotSay> {
    let object = Image::open_object(source, offset, size)?;
    let (symbols, strings) = object.symbols(elf::SHT_SYMTAB)?;
    let wanted: HashMap<u32, &str> = symbols
        .iter()
        .enumerate()
        .filter(|(_, symbol)| symbol.section == elf::SHN_UNDEF.0)
        .filter_map(|(at, symbol)| {
            let name = text(&strings, symbol.name)?;
            Some((at as u32, *imports.get(name).or_else(|| imports.get(as_linked(name)))?))
        })
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut functions: HashMap<u16, Vec<&Symbol>> = HashMap::new();
    for symbol in symbols.iter().filter(|one| one.info.st_type() == elf::STT_FUNC && one.size > 0) {
        functions.entry(symbol.section).or_default().push(symbol);
    }
    let mut found = Vec::new();
    let mut bytes_left = MOST_BYTES;
    for table in object.sections.iter().filter(|section| section.kind == elf::SHT_RELA) {
        let Ok(at) = u16::try_from(table.info) else { continue };
        let Some(section) = object.sections.get(usize::from(at)).filter(|section| section.is_code()) else {
            continue;
        };
        let Some(functions) = functions.get(&at) else { continue };
        let relocations = relocations(&object, table)?;
        if !relocations.iter().any(|one| wanted.contains_key(&one.symbol)) {
            continue;
        }
        let bytes = object.bytes(section, "code of an object")?;
        for function in functions {
            let inside = |one: &&Relocation| {
                one.offset >= function.value && one.offset - function.value < function.size
            };
            let own: Vec<&Relocation> = relocations.iter().filter(inside).collect();
            let mut named: Vec<&str> =
                own.iter().filter_map(|one| wanted.get(&one.symbol).copied()).collect();
            named.sort_unstable();
            named.dedup();
            for import in named {
                bytes_left = match bytes_left.checked_sub(function.size) {
                    Some(left) if function.size <= LONGEST => left,
                    _ => return Err(CannotSay::TooMuch("code in one object")),
                };
                let sites = own.iter().filter(|one| wanted.get(&one.symbol) == Some(&import));
                let sites = sites.map(|one| object.machine.site(one.offset) - function.value).collect();
                let name = text(&strings, function.name).unwrap_or_default().to_owned();
                found.extend(pattern(&object, &bytes, function, &own, name, import, sites));
            }
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy)]
struct Relocation {
    offset: u64,
    kind: elf::RelocationType,
    symbol: u32,
}

fn relocations(object: &Image<'_>, table: &Section) -> Result<Vec<Relocation>, CannotSay> {
    let bytes = object.bytes(table, "relocations of an object")?;
    let entries = bytes.chunks_exact(size_of::<elf::Rela64<object::Endianness>>()).map(|entry| {
        let entry: elf::Rela64<object::Endianness> = record(entry);
        Relocation {
            offset: entry.r_offset(object.endian),
            kind: entry.r_type(object.endian, false),
            symbol: entry.r_sym(object.endian, false),
        }
    });
    Ok(entries.collect())
}

fn pattern(
    object: &Image<'_>,
    section: &[u8],
    function: &Symbol,
    relocations: &[&Relocation],
    name: String,
    import: &str,
    sites: Vec<u64>,
) -> Option<Pattern> {
    let start = usize::try_from(function.value).ok()?;
    let bytes = section.get(start..start.checked_add(function.size as usize)?)?.to_vec();
    let mut fixed = vec![true; bytes.len()];
    for one in relocations {
        let (before, after) = object.machine.changed(one.kind);
        let at = (object.machine.site(one.offset) - function.value) as usize;
        let end = (at + after).min(fixed.len());
        fixed[at.saturating_sub(before).min(end)..end].fill(false);
    }
    Some(Pattern { name, import: import.to_owned(), bytes, fixed, sites })
}

impl Machine {
    /// Where the scanner of linked code sees what is relocated at an offset:
    /// the field itself on x86-64, elsewhere the instruction.
    fn site(self, offset: u64) -> u64 {
        match self {
            Self::X86_64 => offset,
            Self::S390x => offset.saturating_sub(2),
            Self::Ppc64le | Self::Aarch64 => offset & !3,
        }
    }

    /// How many bytes before the site and from it on the linker may change:
    /// what it fills in, and instructions that it replaces by better ones.
    fn changed(self, kind: elf::RelocationType) -> (usize, usize) {
        match (self, kind) {
            (Self::X86_64, elf::R_X86_64_64) => (0, 8),
            // General and local dynamic to initial or local exec: 16 and 12 bytes.
            (Self::X86_64, elf::R_X86_64_TLSGD | elf::R_X86_64_TLSLD | elf::R_X86_64_GOTPC32_TLSDESC) => {
                (4, 12)
            }
            // The opcode before the field: `call *` to `call`, `mov` to `lea`.
            (Self::X86_64, _) => (3, 4),
            // A whole instruction; the address itself where it stands in code.
            (Self::S390x, elf::R_390_64) => (0, 10),
            (Self::S390x, _) => (0, 6),
            // The instruction, and the `nop` behind a call for the other r2.
            (Self::Ppc64le, elf::R_PPC64_REL24 | elf::R_PPC64_ADDR64) => (0, 8),
            (Self::Ppc64le, _) => (0, 4),
            (Self::Aarch64, elf::R_AARCH64_ABS64) => (0, 8),
            (Self::Aarch64, _) => (0, 4),
        }
    }
}
