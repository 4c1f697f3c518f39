//! `.gnu.version_r`, `.gnu.version_d`, and which index a symbol's version has.

use anyhow::bail;

use super::chunk::{Chunk, Home, Strings};
use super::description::{Binding, Elf, Symbol};

const SHT_GNU_VERDEF: u32 = 0x6fff_fffd;
const SHT_GNU_VERNEED: u32 = 0x6fff_fffe;
const VER_FLG_BASE: u16 = 1;
const VER_FLG_WEAK: u16 = 2;
const VERSYM_HIDDEN: u16 = 0x8000;

pub fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(byte.into());
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

impl Elf {
    pub fn is_versioned(&self) -> bool {
        !self.version_needs.is_empty() || !self.version_definitions.is_empty()
    }

    /// Definitions have the indices from 1 on; 0 and 1 are reserved for needs all the same.
    fn first_need_index(&self) -> usize {
        self.version_definitions.len().max(1) + 1
    }

    pub fn version_index(&self, symbol: &Symbol) -> anyhow::Result<u16> {
        let Some(version) = &symbol.version else {
            return Ok((symbol.binding != Binding::Local).into());
        };
        let definitions = (self.version_definitions.iter().zip(1..))
            .filter(|(name, _)| symbol.defined && *name == version)
            .map(|(_, index)| index);
        let nodes =
            self.version_needs.iter().flat_map(|need| need.nodes.iter().map(move |node| (&need.file, node)));
        let needs = (nodes.zip(self.first_need_index()..))
            .filter(|((file, node), _)| {
                node.name == *version && symbol.file.as_ref().is_none_or(|wanted| wanted == *file)
            })
            .map(|(_, index)| index);
        let found: Vec<usize> = definitions.chain(needs).collect();
        let &[index] = found.as_slice() else {
            bail!(
                "the symbol `{}` has the version `{version}`, which is there {} times; `file` chooses",
                symbol.name,
                found.len()
            );
        };
        Ok(index as u16 | if symbol.hidden { VERSYM_HIDDEN } else { 0 })
    }

    pub fn version_needs_chunk(&self, strings: &mut Strings) -> Option<Chunk> {
        let mut body = self.encoder();
        let mut index = self.first_need_index() as u16;
        for (i, need) in self.version_needs.iter().enumerate() {
            let name = |field| format!("verneed[{i}].{field}");
            let is_last = i + 1 == self.version_needs.len();
            body.u16(name("vn_version"), 1);
            body.u16(name("vn_cnt"), need.nodes.len() as u16);
            body.u32(name("vn_file"), strings.add(&need.file));
            body.u32(name("vn_aux"), if need.nodes.is_empty() { 0 } else { 16 });
            body.u32(name("vn_next"), if is_last { 0 } else { 16 + 16 * need.nodes.len() as u32 });
            for (j, node) in need.nodes.iter().enumerate() {
                let name = |field| format!("verneed[{i}].aux[{j}].{field}");
                body.u32(name("vna_hash"), elf_hash(&node.name));
                body.u16(name("vna_flags"), if node.weak { VER_FLG_WEAK } else { 0 });
                body.u16(name("vna_other"), index);
                body.u32(name("vna_name"), strings.add(&node.name));
                body.u32(name("vna_next"), if j + 1 == need.nodes.len() { 0 } else { 16 });
                index += 1;
            }
        }
        (!self.version_needs.is_empty()).then(|| {
            Chunk::new(".gnu.version_r", SHT_GNU_VERNEED, Home::Text, 8, body).entries(
                0,
                ".dynstr",
                self.version_needs.len(),
            )
        })
    }

    pub fn version_definitions_chunk(&self, strings: &mut Strings) -> Option<Chunk> {
        let count = self.version_definitions.len();
        let mut body = self.encoder();
        for (i, definition) in self.version_definitions.iter().enumerate() {
            let name = |field| format!("verdef[{i}].{field}");
            body.u16(name("vd_version"), 1);
            body.u16(name("vd_flags"), if i == 0 { VER_FLG_BASE } else { 0 });
            body.u16(name("vd_ndx"), i as u16 + 1);
            body.u16(name("vd_cnt"), 1);
            body.u32(name("vd_hash"), elf_hash(definition));
            body.u32(name("vd_aux"), 20);
            body.u32(name("vd_next"), if i + 1 == count { 0 } else { 28 });
            body.u32(name("aux[0].vda_name"), strings.add(definition));
            body.u32(name("aux[0].vda_next"), 0);
        }
        (count > 0).then(|| {
            Chunk::new(".gnu.version_d", SHT_GNU_VERDEF, Home::Text, 8, body).entries(0, ".dynstr", count)
        })
    }
}
