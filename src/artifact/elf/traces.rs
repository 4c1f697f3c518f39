//! Traces of references that the linker was told to leave unresolved
//! (`-z undefs`, `--unresolved-symbols=ignore…`), where it kept any (fact 23).
//! Sections are asked here, so silence proves nothing.

use std::collections::HashSet;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::dynamic::Dynamic;
use super::exports::Exports;
use super::{Elf, ReadError, lossy, record};

/// Sections looked through at most for the symbol table.
const MOST_SECTIONS: u64 = 1 << 16;
/// Entries read at most: the largest debug builds have some million.
const MOST_ENTRIES: u64 = 1 << 24;
/// Entries read in one piece.
const PIECE: u64 = 1 << 16;
/// References that the linker itself resolves, by relaxing thread-local code
/// that needs no loader (psABI, "Thread-Local Storage").
const RELAXED: &[&[u8]] =
    &[b"__tls_get_addr", b"__tls_get_addr_opt", b"___tls_get_addr", b"__tls_get_offset"];
/// Names told at most.
const MOST_TRACES: usize = 1000;

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    /// Strong undefined names that only `.symtab` has: the loader will never
    /// look them up, and what calls them calls nothing. `None`: there is no
    /// such table.
    pub(super) fn leftovers(&self, exports: &Exports) -> Result<Option<Vec<String>>, ReadError> {
        const WHAT: &str = ".symtab";
        let count = u64::from(self.header.e_shnum(self.endian)).min(MOST_SECTIONS);
        let sections = (0..count).map_while(|index| self.section_header(index).ok().flatten());
        let Some(table) = sections.into_iter().find(|one| one.sh_type(self.endian) == elf::SHT_SYMTAB) else {
            return Ok(None);
        };
        let Some(strings) = self.section_header(table.sh_link(self.endian).into())? else {
            return Ok(None);
        };
        let names_at: u64 = strings.sh_offset(self.endian).into();
        let names_end = names_at.saturating_add(strings.sh_size(self.endian).into());
        let size = size_of::<H::Sym>() as u64;
        let bytes: u64 = table.sh_size(self.endian).into();
        let entries = (bytes / size).min(MOST_ENTRIES);
        let offset: u64 = table.sh_offset(self.endian).into();
        // Local symbols come first; `sh_info` is the first that is not.
        let mut at = u64::from(table.sh_info(self.endian)).max(1);
        let dynamic: HashSet<&[u8]> = exports.undefined().collect();
        let mut found: Vec<String> = Vec::new();
        while at < entries && found.len() < MOST_TRACES {
            let piece = PIECE.min(entries - at);
            let bytes = self.source.read(offset.saturating_add(at * size), piece * size, WHAT)?;
            for entry in bytes.chunks_exact(size as usize) {
                let entry: H::Sym = record(entry);
                if entry.st_shndx(self.endian) != elf::SHN_UNDEF
                    || entry.st_bind() != elf::STB_GLOBAL
                    || entry.st_name(self.endian) == 0
                {
                    continue;
                }
                let name_at = names_at.saturating_add(u64::from(entry.st_name(self.endian)));
                let name = self.source.c_string(name_at, names_end, WHAT)?;
                // bfd writes the version behind the name: `puts@GLIBC_2.2.5`.
                let end = name.windows(2).position(|pair| pair[0] != b'@' && pair[1] == b'@');
                let plain = end.map_or(&name[..], |end| &name[..=end]);
                if !dynamic.contains(plain) && !RELAXED.contains(&plain) && found.len() < MOST_TRACES {
                    found.push(lossy(plain));
                }
            }
            at += piece;
        }
        found.sort();
        found.dedup();
        Ok(Some(found))
    }

    /// PLT relocations that fill no slot (`R_*_NONE`).
    pub(super) fn empty_plt_slots(&self, dynamic: &Dynamic) -> Result<usize, ReadError> {
        let mut empty = 0;
        for table in dynamic.relocations.iter().filter(|table| table.plt) {
            self.each_relocation(table, |relocation| {
                empty += usize::from(relocation.kind == 0);
                Ok(())
            })?;
        }
        Ok(empty)
    }
}
