//! `DT_VERNEED` and `DT_VERDEF`, walked as glibc's loader walks them
//! (`elf/dl-version.c`): by their links, not by their counts.

use object::Endianness;
use object::elf::{self, Verdaux, Verdef, Vernaux, Verneed};
use object::read::elf::FileHeader;

use super::dynamic::{Dynamic, Strings};
use super::{Elf, ReadError, record};
use crate::artifact::VersionNeed;

/// Records walked at most over all chains. Links only lead forward, but the
/// chains of several libraries can be made to overlap. Real files have some
/// hundred.
const MOST_RECORDS: usize = 1 << 12;

/// A version that the file defines.
#[derive(Debug)]
pub struct Definition {
    pub name: String,
    pub index: u16,
    /// `VER_FLG_BASE`: the file itself, not a version.
    pub base: bool,
}

struct Budget(usize);

impl Budget {
    fn spend(&mut self, what: &str) -> Result<(), ReadError> {
        self.0 += 1;
        if self.0 > MOST_RECORDS {
            return Err(ReadError::Malformed(format!(
                "{what} has a chain of more than {MOST_RECORDS} records"
            )));
        }
        Ok(())
    }
}

fn follow(address: u64, link: u32, what: &str) -> Result<u64, ReadError> {
    address
        .checked_add(u64::from(link))
        .ok_or_else(|| ReadError::Malformed(format!("a link of {what} leads out of the address space")))
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    pub fn version_needs(
        &self,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
    ) -> Result<Vec<VersionNeed>, ReadError> {
        const WHAT: &str = "DT_VERNEED";
        let Some(mut at) = dynamic.verneed else { return Ok(Vec::new()) };
        let mut needs = Vec::new();
        let mut budget = Budget(0);
        loop {
            budget.spend(WHAT)?;
            let need: Verneed<Endianness> = record(&self.at_address(at, 16, "a version need")?);
            let revision = need.vn_version.get(self.endian);
            if revision != 1 {
                return Err(ReadError::Malformed(format!(
                    "a version need is of revision {revision}; the loader takes 1"
                )));
            }
            let file = strings.get(u64::from(need.vn_file.get(self.endian)), "vn_file")?;
            let mut node_at = follow(at, need.vn_aux.get(self.endian), WHAT)?;
            loop {
                budget.spend(WHAT)?;
                let node: Vernaux<Endianness> = record(&self.at_address(node_at, 16, "a needed version")?);
                strings.spend(file.len())?;
                needs.push(VersionNeed {
                    file: file.clone(),
                    version: strings.get(u64::from(node.vna_name.get(self.endian)), "vna_name")?,
                    weak: node.vna_flags.get(self.endian).0 & elf::VER_FLG_WEAK.0 != 0,
                    index: node.vna_other.get(self.endian).0 & 0x7fff,
                });
                match node.vna_next.get(self.endian) {
                    0 => break,
                    next => node_at = follow(node_at, next, WHAT)?,
                }
            }
            match need.vn_next.get(self.endian) {
                0 => return Ok(needs),
                next => at = follow(at, next, WHAT)?,
            }
        }
    }

    pub fn version_definitions(
        &self,
        dynamic: &Dynamic,
        strings: &Strings<'_, '_, H>,
    ) -> Result<Vec<Definition>, ReadError> {
        const WHAT: &str = "DT_VERDEF";
        let Some(mut at) = dynamic.verdef else { return Ok(Vec::new()) };
        let mut definitions = Vec::new();
        let mut budget = Budget(0);
        loop {
            budget.spend(WHAT)?;
            let definition: Verdef<Endianness> = record(&self.at_address(at, 20, "a version definition")?);
            let name_at = follow(at, definition.vd_aux.get(self.endian), WHAT)?;
            let name: Verdaux<Endianness> =
                record(&self.at_address(name_at, 8, "a defined version's name")?);
            definitions.push(Definition {
                name: strings.get(u64::from(name.vda_name.get(self.endian)), "vda_name")?,
                index: definition.vd_ndx.get(self.endian).0 & 0x7fff,
                base: definition.vd_flags.get(self.endian).0 & elf::VER_FLG_BASE.0 != 0,
            });
            match definition.vd_next.get(self.endian) {
                0 => return Ok(definitions),
                next => at = follow(at, next, WHAT)?,
            }
        }
    }
}
