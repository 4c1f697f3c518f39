//! What the loader binds: the references that relocations make. A dynamic
//! symbol that no relocation names is never looked up (fact 11).

use object::Endianness;
use object::elf;
use object::read::elf::FileHeader;

use super::applied::{self, Applied, by_glibc, by_musl};
use super::dynamic::{Dynamic, RelocationTable, Strings};
use super::exports::{Entry, Exports};
use super::relocations::Relocation;
use super::symbols::HIDDEN;
use super::versions::Definition;
use super::{Elf, ReadError, lossy};
use crate::artifact::{Bindings, Import, RefusedRelocation, VersionNeed, When};

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
        let Uses { uses, refused } = self.uses(dynamic, &exports)?;
        let machine = self.header.e_machine(self.endian).0;
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
                when: if how & AT_START != 0 || is_bound_early(machine, entry) {
                    When::Start
                } else {
                    When::Call
                },
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
            refused,
            exports,
        })
    }

    /// How relocations use each dynamic symbol.
    fn uses(&self, dynamic: &Dynamic, exports: &Exports) -> Result<Uses, ReadError> {
        let symbols = exports.table.len();
        let machine = self.header.e_machine(self.endian).0;
        let is_64 = self.header.is_type_64();
        let copied = copy_relocation(machine);
        let descriptor = tls_descriptor(machine);
        let now = dynamic.bind_now();
        let mut uses = vec![NOT; symbols];
        let mut refused: Vec<RefusedRelocation> = Vec::new();
        // Neighbours are mostly of one kind.
        let mut last = (0, false);
        for table in &dynamic.relocations {
            self.each_relocation(table, |Relocation { at, symbol, kind }| {
                if kind != last.0 {
                    let always = |applied| applied == Applied::Always;
                    let all = always(by_glibc(machine, is_64, kind)) && always(by_musl(machine, is_64, kind));
                    last = (kind, kind != 0 && !all);
                }
                if last.1
                    && let Some(new) = self.refused(kind, symbol, exports)
                {
                    // musl refuses kinds of which glibc refuses only those that are too far.
                    match refused.iter_mut().find(|one| one.kind == kind) {
                        Some(old) if old.by_glibc.is_none() => *old = new,
                        Some(_) => {}
                        None => refused.push(new),
                    }
                }
                let Some(how) = uses.get_mut(symbol as usize).filter(|_| symbol != 0 && kind != 0) else {
                    if symbol as usize >= symbols && kind != 0 {
                        return Err(ReadError::Malformed(format!(
                            "a relocation names dynamic symbol {symbol}; there are {symbols}"
                        )));
                    }
                    return Ok(());
                };
                let lazy = !now && descriptor != Some(kind) && (table.plt || is_in_plt(dynamic, table, at));
                *how |= if lazy { AT_CALL } else { AT_START };
                if copied == Some(kind) {
                    *how |= COPIED;
                }
                Ok(())
            })?;
        }
        Ok(Uses { uses, refused })
    }

    /// A relocation, if some loader refuses it.
    fn refused(&self, kind: u32, symbol: u32, exports: &Exports) -> Option<RefusedRelocation> {
        let machine = self.header.e_machine(self.endian).0;
        let is_64 = self.header.is_type_64();
        let is_fixed = self.header.e_type(self.endian) == elf::ET_EXEC;
        let entry = (symbol != 0).then(|| exports.table.entry(symbol as usize)).flatten();
        // What is elsewhere is in a library, and above. A weak reference may be to nothing, and so to 0.
        let is_low = match entry {
            Some(entry) if entry.is_undefined() => entry.is_weak(),
            Some(entry) => is_fixed || entry.is_absolute(),
            None => is_fixed,
        };
        let by_glibc = by_glibc(machine, is_64, kind).refusal(is_low);
        let by_musl = by_musl(machine, is_64, kind).refusal(is_low);
        by_glibc.or(by_musl)?;
        let name = entry.and_then(|entry| exports.table.name(entry.name)).filter(|name| !name.is_empty());
        let (symbol, name) = (name.map(lossy), applied::name(machine, kind));
        Some(RefusedRelocation { kind, name, symbol, by_glibc, by_musl })
    }
}

/// What relocations do.
struct Uses {
    /// Of each dynamic symbol.
    uses: Vec<u8>,
    /// Of each kind that some loader refuses the first.
    refused: Vec<RefusedRelocation>,
}

/// `DT_RELASZ` may count the entries of `DT_JMPREL` too (`elf/dynamic-link.h`).
fn is_in_plt(dynamic: &Dynamic, table: &RelocationTable, at: u64) -> bool {
    let address = table.address.saturating_add(at);
    dynamic
        .relocations
        .iter()
        .any(|other| other.plt && address >= other.address && address - other.address < other.size)
}

/// `R_*_TLSDESC`: it stands in `DT_JMPREL`, and glibc since 2.27 applies it at start all the same (`elf_machine_lazy_rel`).
fn tls_descriptor(machine: u16) -> Option<u32> {
    Some(match machine {
        62 => 36,
        3 => 41,
        183 => 1031,
        40 => 13,
        _ => return None,
    })
}

/// Functions with a calling convention of their own are not bound lazily, for the code that does so would spoil their
/// registers: `STO_AARCH64_VARIANT_PCS`, `STO_RISCV_VARIANT_CC` (`elf_machine_lazy_rel`).
fn is_bound_early(machine: u16, entry: Entry) -> bool {
    matches!(machine, 183 | 243) && entry.has_own_calling_convention()
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
