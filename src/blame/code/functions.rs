//! Which function a byte of code belongs to.

use object::elf;

use super::frames;
use super::image::{Image, Section, Symbol, text};
use super::{CannotSay, Machine};

/// The name of what has none.
const NAMELESS: u32 = u32::MAX;
/// How far the entry of a stripped program reaches at most, in bytes: the
/// longest `_start` is that of aarch64.
const LONGEST_ENTRY: u64 = 96;

/// One function of the file, or of what is left of it where it is stripped.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub start: u64,
    /// One past its last byte.
    pub end: u64,
    /// ppc64le: where callers in the same file enter (ELFv2, `st_other`).
    local: u64,
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
    /// Whether there is a `.symtab`, that is, the file is not stripped.
    pub named: bool,
}

impl Functions {
    /// The functions that `.symtab` names. Where a file is stripped, `.dynsym`
    /// names some, and what unwinding needs tells the bounds of the others.
    pub fn read(image: &Image<'_>) -> Result<Self, CannotSay> {
        let (mut symbols, mut strings) = image.symbols(elf::SHT_SYMTAB)?;
        let mut code: Vec<&Section> = image.sections.iter().filter(|section| section.is_code()).collect();
        code.sort_unstable_by_key(|section| section.address);
        let named = !symbols.is_empty();
        if !named {
            (symbols, strings) = image.symbols(elf::SHT_DYNSYM)?;
            symbols.extend(frames::read(image)?.into_iter().map(|(start, end)| nameless(start, end - start)));
            symbols.push(nameless(image.entry, LONGEST_ENTRY));
        }
        symbols.retain(|symbol| {
            is_function(symbol, &strings, image.machine)
                && section_at(&code, symbol.value).is_some_and(|section| !section.is_stubs())
        });
        let mut found = Self::of(symbols, strings, &code, image.machine);
        found.named = named;
        Ok(found)
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
        let mut found = Self { entries: Vec::new(), names: Vec::new(), strings, named: false };
        for symbol in &symbols {
            let size_end = symbol.value.saturating_add(symbol.size);
            if let Some(last) = found.entries.last_mut()
                && last.start == symbol.value
            {
                last.end = last.end.max(size_end);
                last.local = last.local.max(local_entry(symbol, machine));
                if last.count < u16::MAX {
                    last.count += 1;
                    found.names.push(symbol.name);
                }
                continue;
            }
            // A label inside of a function is no function.
            let inside = found.entries.last().is_some_and(|last| symbol.value < last.end);
            let is_label = symbol.info.st_type() == elf::STT_NOTYPE || symbol.name == NAMELESS;
            if inside && (is_label || symbol.size == 0) {
                continue;
            }
            found.entries.push(Entry {
                start: symbol.value,
                end: size_end,
                local: local_entry(symbol, machine),
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
        (entry.start == address || entry.start.saturating_add(entry.local) == address).then_some(at)
    }

    /// All names of a function, the leading one first.
    pub fn names(&self, at: u32) -> impl Iterator<Item = &str> {
        let entry = &self.entries[at as usize];
        let first = entry.first as usize;
        let names = &self.names[first..first + usize::from(entry.count)];
        names.iter().filter_map(|name| text(&self.strings, *name))
    }
}

/// A function that only unwinding knows.
fn nameless(start: u64, size: u64) -> Symbol {
    Symbol {
        name: NAMELESS,
        info: elf::SymbolInfo::new(elf::STB_LOCAL, elf::STT_FUNC),
        other: 0,
        section: 1,
        value: start,
        size,
    }
}

/// Of sections sorted by address, the one that holds an address.
fn section_at<'a>(sections: &[&'a Section], address: u64) -> Option<&'a Section> {
    let after = sections.partition_point(|section| section.address <= address);
    let section = *sections.get(after.checked_sub(1)?)?;
    section.holds(address).then_some(section)
}

fn is_function(symbol: &Symbol, strings: &[u8], machine: Machine) -> bool {
    if [elf::SHN_UNDEF.0, elf::SHN_ABS.0].contains(&symbol.section) {
        return false;
    }
    let name = strings.get(symbol.name as usize..).unwrap_or_default();
    match symbol.info.st_type() {
        elf::STT_FUNC | elf::STT_GNU_IFUNC => !is_stub(name, machine),
        // Assembly often leaves its functions untyped. `$x` and the like mark
        // code and data (ELF for the Arm 64-bit Architecture, 5.5.4).
        elf::STT_NOTYPE => !matches!(name, [] | [0 | b'$', ..] | [b'.', b'L', ..]) && !is_stub(name, machine),
        _ => false,
    }
}

/// What linkers call the stubs that they put between functions: bfd and gold
/// `0000001f.plt_call.NAME`, lld `__plt_NAME`.
fn is_stub(name: &[u8], machine: Machine) -> bool {
    if machine != Machine::Ppc64le {
        return name.starts_with(b"__AArch64AbsLongThunk_") || name.starts_with(b"__AArch64ADRPThunk_");
    }
    let kind = name.get(8..).unwrap_or_default();
    name.starts_with(b"__plt_")
        || name.starts_with(b"__long_branch_")
        || [&b".plt_call."[..], b".plt_branch.", b".long_branch."].iter().any(|one| kind.starts_with(one))
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
