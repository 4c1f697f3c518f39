//! Relocations, a piece of their tables at a time: large programs have some
//! hundred thousand.

use object::Endianness;
use object::elf::EM_MIPS;
use object::read::elf::{FileHeader, Rel, Rela};

use super::dynamic::RelocationTable;
use super::{Elf, ReadError, record};

/// Entries that are in memory at a time.
const AT_A_TIME: u64 = 2048;

/// An entry, as far as it concerns symbols.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relocation {
    /// Its place in the table, in bytes.
    pub at: u64,
    /// The index of the dynamic symbol, or 0.
    pub symbol: u32,
    /// `R_<machine>_…`; 0 is `NONE`, which the loader passes over.
    pub kind: u32,
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    /// Visits the entries of a table, but for those at its start that are
    /// relative: of these the loader takes no symbol.
    pub(super) fn each_relocation(
        &self,
        table: &RelocationTable,
        mut visit: impl FnMut(Relocation) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        const WHAT: &str = "a relocation table";
        let size = if table.addend { size_of::<H::Rela>() } else { size_of::<H::Rel>() } as u64;
        let offset = self.range_at(table.address, table.size, WHAT)?;
        let entries = table.size / size;
        let mips = self.is_little_mips64();
        for first in (table.relative.min(entries)..entries).step_by(AT_A_TIME as usize) {
            let here = AT_A_TIME.min(entries - first);
            let some = self.source.read(offset + first * size, here * size, WHAT)?;
            for (at, entry) in (first..).zip(some.chunks_exact(size as usize)) {
                let (symbol, kind) = if table.addend {
                    let entry = record::<H::Rela>(entry);
                    (entry.r_sym(self.endian, mips), entry.r_type(self.endian, mips))
                } else {
                    let entry = record::<H::Rel>(entry);
                    (entry.r_sym(self.endian), entry.r_type(self.endian))
                };
                visit(Relocation { at: at * size, symbol, kind: kind.0 })?;
            }
        }
        Ok(())
    }

    /// There `r_info` is packed otherwise.
    fn is_little_mips64(&self) -> bool {
        self.header.is_type_64()
            && !self.header.is_big_endian()
            && self.header.e_machine(self.endian) == EM_MIPS
    }
}
