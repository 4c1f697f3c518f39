//! Tables of addresses in data: vtables, and arrays of functions.
//!
//! A table begins where a symbol says so, or where code or another table
//! points to; it ends where the next begins.

use object::elf;

use super::CannotSay;
use super::image::{Filled, Image, Slot, text};
use super::scan::Found;

#[derive(Debug, Clone, Copy)]
struct Table {
    start: u64,
    /// One past the last byte where a symbol tells; else up to the next.
    end: Option<u64>,
    name: Option<u32>,
}

#[derive(Debug, Default)]
pub struct Tables {
    tables: Vec<Table>,
    /// Data without the table of addresses that code reads.
    spans: Vec<(u64, u64)>,
    strings: Vec<u8>,
}

impl Tables {
    pub fn read(image: &Image<'_>, slots: &[Slot], found: &Found) -> Result<Self, CannotSay> {
        let mut spans: Vec<(u64, u64)> = image
            .data()
            .filter(|section| !section.is_got())
            .map(|section| (section.address, section.end()))
            .collect();
        spans.sort_unstable();
        let mut found_tables = Self { tables: Vec::new(), spans, strings: Vec::new() };
        let (symbols, strings) = image.symbols(elf::SHT_SYMTAB)?;
        let mut named: Vec<Table> = symbols
            .iter()
            .filter(|symbol| symbol.info.st_type() == elf::STT_OBJECT && symbol.size > 0)
            .filter(|symbol| found_tables.span(symbol.value).is_some())
            .map(|symbol| Table {
                start: symbol.value,
                end: Some(symbol.value.saturating_add(symbol.size)),
                name: Some(symbol.name),
            })
            .collect();
        named.sort_unstable_by_key(|table| table.start);
        named.dedup_by_key(|table| table.start);
        let is_named = |address: u64| {
            let after = named.partition_point(|table| table.start <= address);
            after.checked_sub(1).is_some_and(|at| named[at].end.is_some_and(|end| address < end))
        };
        let pointed = found.data.iter().map(|(_, address)| *address);
        let own = slots.iter().filter_map(|slot| match slot.filled {
            Filled::Own(target) => Some(target),
            Filled::Symbol(_) | Filled::Copy(_) => None,
        });
        let mut unnamed: Vec<u64> = pointed
            .chain(own)
            .filter(|address| found_tables.span(*address).is_some() && !is_named(*address))
            .collect();
        unnamed.sort_unstable();
        unnamed.dedup();
        let unnamed = unnamed.into_iter().map(|start| Table { start, end: None, name: None });
        named.extend(unnamed);
        named.sort_unstable_by_key(|table| table.start);
        found_tables.tables = named;
        found_tables.strings = strings;
        Ok(found_tables)
    }

    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// The end of the section of data that holds an address.
    fn span(&self, address: u64) -> Option<u64> {
        let after = self.spans.partition_point(|(start, _)| *start <= address);
        let (_, end) = self.spans[after.checked_sub(1)?];
        (address < end).then_some(end)
    }

    /// The table that holds an address.
    pub fn at(&self, address: u64) -> Option<u32> {
        self.span(address)?;
        let after = self.tables.partition_point(|table| table.start <= address);
        let at = after.checked_sub(1)?;
        let table = &self.tables[at];
        let end = table.end.or_else(|| self.span(table.start))?;
        (address < end).then_some(at as u32)
    }

    pub fn name(&self, at: u32) -> Option<&str> {
        text(&self.strings, self.tables[at as usize].name?)
    }
}
