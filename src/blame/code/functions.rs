//! Which function a byte of code belongs to.

use object::elf;

use super::image::{Image, Section, Symbol, text};
use super::{CannotSay, Machine};

/// One function of the file, or of what is left of it where it is stripped.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub start: u64,
    /// One past its last byte.
    pub end: u64,
    /// ppc64le: where callers in the same file enter (ELFv2, `st_other`).
    pub local: u64,
    /// Its symbols: `Functions::names[first..first + count]`.
    first: u32,
    count: u16,
}

/// All functions, by address, none overlapping the next.
#[derive(Debug, Default)]
pub struct Functions {
    pub entries: Vec<Entry>,
    names: Vec<u32>,
    strings: Vec<u8>,
}

impl Functions {
    /// The functions that `.symtab` names. `.dynsym` names some where a file
    /// is stripped, and then `frames` knows the bounds of the others.
    pub fn read(image: &Image<'_>) -> Result<Self, CannotSay> {
        let (mut symbols, mut strings) = image.symbols(elf::SHT_SYMTAB)?;
        let mut code: Vec<&Section> = image.sections.iter().filter(|section| section.is_code()).collect();
        code.sort_unstable_by_key(|section| section.address);
        if symbols.is_empty() {
            (symbols, strings) = image.symbols(elf::SHT_DYNSYM)?;
        }
        symbols.retain(|symbol| is_function(symbol, &strings) && section_at(&code, symbol.value).is_some());
        Ok(Self::of(symbols, strings, &code, image.machine))
    }

    fn of(mut symbols: Vec<Symbol>, strings: Vec<u8>, code: &[&Section], machine: Machine) -> Self {
        // Of several at one address a typed one, then a global one, leads.
        symbols.sort_unstable_by_key(|symbol| {
            (
                symbol.value,
                symbol.info.st_type() == elf::STT_NOTYPE,
                symbol.info.st_bind() == elf::STB_LOCAL,
                symbol.name,
            )
        });
        let mut found = Self { entries: Vec::new(), names: Vec::new(), strings };
        for symbol in &symbols {
            let size_end = symbol.value.saturating_add(symbol.size);
            if let Some(last) = found.entries.last_mut()
                && last.start == symbol.value
            {
                last.end = last.end.max(size_end);
                if last.count < u16::MAX {
                    last.count += 1;
                    found.names.push(symbol.name);
                }
                continue;
            }
            // A label inside of a function is no function.
            let inside = found.entries.last().is_some_and(|last| symbol.value < last.end);
            if inside && (symbol.info.st_type() == elf::STT_NOTYPE || symbol.size == 0) {
                continue;
            }
            found.entries.push(Entry {
                start: symbol.value,
                end: size_end,
                local: symbol.value + local_entry(symbol, machine),
                first: found.names.len() as u32,
                count: 1,
            });
            found.names.push(symbol.name);
        }
        found.bound(code);
        found
    }

    /// Ends each function where the next begins at the latest; one of unknown
    /// size there, or with its section.
    fn bound(&mut self, code: &[&Section]) {
        let starts: Vec<u64> = self.entries.iter().skip(1).map(|entry| entry.start).collect();
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let next = starts.get(at).copied().unwrap_or(u64::MAX);
            let section = section_at(code, entry.start).map_or(0, Section::end);
            let end = if entry.end == entry.start { u64::MAX } else { entry.end };
            entry.end = end.min(next).min(section);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The function that holds the address.
    pub fn at(&self, address: u64) -> Option<u32> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let at = after.checked_sub(1)?;
        (address < self.entries[at].end).then_some(at as u32)
    }

    /// The function that begins, or is entered, at the address.
    pub fn starting(&self, address: u64) -> Option<u32> {
        let at = self.at(address)?;
        let entry = &self.entries[at as usize];
        (entry.start == address || entry.local == address).then_some(at)
    }

    /// All names of a function, the leading one first.
    pub fn names(&self, at: u32) -> impl Iterator<Item = &str> {
        let entry = &self.entries[at as usize];
        let first = entry.first as usize;
        let names = &self.names[first..first + usize::from(entry.count)];
        names.iter().filter_map(|name| text(&self.strings, *name))
    }
}

/// Of sections sorted by address, the one that holds an address.
fn section_at<'a>(sections: &[&'a Section], address: u64) -> Option<&'a Section> {
    let after = sections.partition_point(|section| section.address <= address);
    let section = *sections.get(after.checked_sub(1)?)?;
    section.holds(address).then_some(section)
}

fn is_function(symbol: &Symbol, strings: &[u8]) -> bool {
    if symbol.section == elf::SHN_UNDEF.0 || symbol.section == elf::SHN_ABS.0 {
        return false;
    }
    match symbol.info.st_type() {
        elf::STT_FUNC | elf::STT_GNU_IFUNC => true,
        // Assembly often leaves its functions untyped. `$x` and the like mark
        // code and data (ELF for the Arm 64-bit Architecture, 5.5.4).
        elf::STT_NOTYPE => {
            let name = strings.get(symbol.name as usize..).unwrap_or_default();
            !matches!(name, [] | [0 | b'$', ..] | [b'.', b'L', ..])
        }
        _ => false,
    }
}

/// ELFv2 ABI, 3.4.1: bits 5 to 7 of `st_other`; 0 and 1 say that the two
/// entries are one.
fn local_entry(symbol: &Symbol, machine: Machine) -> u64 {
    if machine != Machine::Ppc64le {
        return 0;
    }
    match symbol.other >> 5 {
        bits @ 2..=6 => 1 << bits,
        _ => 0,
    }
}
