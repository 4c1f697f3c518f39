//! What the loader binds: the references that relocations make. A dynamic
//! symbol that no relocation names is never looked up (fact 11).

use object::Endianness;
use object::read::elf::FileHeader;

use super::dynamic::{Dynamic, RelocationTable, Strings};
use super::relocations::Relocation;
use super::symbols::HIDDEN;
use super::versions::Definition;
use super::{Elf, ReadError, lossy};
use crate::artifact::{Bindings, Import, VersionNeed, When};

/// `DF_1_NODEFLIB`: the default folders are not searched for its needs.
const NO_DEFAULT_FOLDERS: u64 = 0x800;

const NOT: u8 = 0;
const AT_CALL: u8 = 1;
const AT_START: u8 = 2;
/// The file's own definition is what the symbol is copied to.
const COPIED: u8 = 4;

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    pub(super) fn bindings(
        &self,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
        needs: &[VersionNeed],
        definitions: &[Definition],
    ) -> Result<Bindings, ReadError> {
        let exports = self.exports(dynamic, strings, needs, definitions)?;
        let uses = self.uses(dynamic, exports.table.len())?;
        let mut imports = Vec::new();
        for (index, how) in uses.into_iter().enumerate().filter(|(_, how)| *how != NOT) {
            let Some(entry) = exports.table.entry(index) else { continue };
            if !entry.is_looked_up() || !(entry.is_undefined() || how & COPIED != 0) {
                continue;
            }
            let name = exports.table.name(entry.name).ok_or_else(|| {
                ReadError::Malformed(format!("the name of dynamic symbol {index} is out of range"))
            })?;
            strings.spend(name.len())?;
            let need = exports.version_of(index).and_then(|(_, raw)| {
                let need = needs.iter().find(|need| need.index == raw & !HIDDEN)?;
                Some((need, raw & HIDDEN != 0))
            });
            if let Some((need, _)) = need {
                strings.spend(need.version.len() + need.file.len())?;
            }
            imports.push(Import {
                name: lossy(name),
                version: need.map(|(need, _)| need.version.clone()),
                file: need.map(|(need, _)| need.file.clone()),
                exact: need.is_some_and(|(_, hidden)| hidden),
                weak: entry.is_weak(),
                when: if how & AT_START != 0 { When::Start } else { When::Call },
                copied: how & COPIED != 0,
            });
        }
        // Sections that lie cost the trace, not the verdict.
        // What cannot be read may be there.
        let leftovers = self.leftovers(&exports).unwrap_or(Some(Vec::new()));
        Ok(Bindings {
            imports,
            has_symbol_table: leftovers.is_some(),
            leftovers: leftovers.unwrap_or_default(),
            empty_plt_slots: self.empty_plt_slots(dynamic)?,
            no_default_folders: dynamic.flags_1 & NO_DEFAULT_FOLDERS != 0,
            exports,
        })
    }

    /// How relocations use each dynamic symbol.
    fn uses(&self, dynamic: &Dynamic, symbols: usize) -> Result<Vec<u8>, ReadError> {
        let copied = copy_relocation(self.header.e_machine(self.endian).0);
        let now = dynamic.bind_now();
        let mut uses = vec![NOT; symbols];
        for table in &dynamic.relocations {
            self.each_relocation(table, |Relocation { at, symbol, kind }| {
                let Some(how) = uses.get_mut(symbol as usize).filter(|_| symbol != 0 && kind != 0) else {
                    if symbol as usize >= symbols && kind != 0 {
                        return Err(ReadError::Malformed(format!(
                            "a relocation names dynamic symbol {symbol}; there are {symbols}"
                        )));
                    }
                    return Ok(());
                };
                let lazy = !now && (table.plt || is_in_plt(dynamic, table, at));
                *how |= if lazy { AT_CALL } else { AT_START };
                if copied == Some(kind) {
                    *how |= COPIED;
                }
                Ok(())
            })?;
        }
        Ok(uses)
    }
}

/// `DT_RELASZ` may count the entries of `DT_JMPREL` too (`elf/dynamic-link.h`).
fn is_in_plt(dynamic: &Dynamic, table: &RelocationTable, at: u64) -> bool {
    let address = table.address.saturating_add(at);
    dynamic
        .relocations
        .iter()
        .any(|other| other.plt && address >= other.address && address - other.address < other.size)
}

/// `R_*_COPY` by the psABI of each machine.
fn copy_relocation(machine: u16) -> Option<u32> {
    Some(match machine {
        // x86-64, i386, RISC-V, LoongArch
        62 | 3 => 5,
        243 | 258 => 4,
        // AArch64, Arm
        183 => 1024,
        40 => 20,
        // s390, powerpc, powerpc64, sparc
        22 => 9,
        20 | 21 | 2 | 18 | 43 => 19,
        8 => 126,
        _ => return None,
    })
}
