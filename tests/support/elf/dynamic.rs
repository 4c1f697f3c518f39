//! `.dynamic`.

use super::chunk::{Chunk, Home, Places, Strings};
use super::description::Elf;

const SHT_DYNAMIC: u32 = 6;
const DF_TEXTREL: u64 = 4;
const DF_BIND_NOW: u64 = 8;
const DF_1_NOW: u64 = 1;
const DF_1_PIE: u64 = 0x0800_0000;

impl Elf {
    /// `present`: the names of the other chunks.
    pub fn dynamic_chunk(&self, present: &[&str], strings: &mut Strings, places: &Places) -> Chunk {
        let has = |chunk| present.contains(&chunk);
        let address = |chunk| places.of(chunk).address;
        let mut entries: Vec<(u64, &str, u64)> = Vec::new();
        for needed in &self.needed {
            entries.push((1, "DT_NEEDED", strings.add(needed).into()));
        }
        let texts = [
            (14, "DT_SONAME", &self.soname),
            (15, "DT_RPATH", &self.rpath),
            (29, "DT_RUNPATH", &self.runpath),
        ];
        for (tag, name, text) in texts {
            if let Some(text) = text {
                entries.push((tag, name, strings.add(text).into()));
            }
        }
        if has(".hash") {
            entries.push((4, "DT_HASH", address(".hash")));
        }
        if has(".gnu.hash") {
            entries.push((0x6fff_fef5, "DT_GNU_HASH", address(".gnu.hash")));
        }
        entries.push((5, "DT_STRTAB", address(".dynstr")));
        entries.push((6, "DT_SYMTAB", address(".dynsym")));
        entries.push((10, "DT_STRSZ", places.of(".dynstr").size));
        entries.push((11, "DT_SYMENT", if self.wide() { 24 } else { 16 }));
        let chosen = |yes, flag| if yes { flag } else { 0 };
        let flags = chosen(self.textrel, DF_TEXTREL) | chosen(self.bind_now, DF_BIND_NOW);
        let flags_1 = chosen(self.bind_now, DF_1_NOW) | chosen(self.pie, DF_1_PIE);
        if self.textrel {
            entries.push((22, "DT_TEXTREL", 0));
        }
        if flags != 0 {
            entries.push((30, "DT_FLAGS", flags));
        }
        if flags_1 != 0 {
            entries.push((0x6fff_fffb, "DT_FLAGS_1", flags_1));
        }
        if self.relr {
            entries.push((36, "DT_RELR", address(".relr.dyn")));
            entries.push((35, "DT_RELRSZ", self.word_size()));
            entries.push((37, "DT_RELRENT", self.word_size()));
        }
        if has(".gnu.version") {
            entries.push((0x6fff_fff0, "DT_VERSYM", address(".gnu.version")));
        }
        if has(".gnu.version_d") {
            entries.push((0x6fff_fffc, "DT_VERDEF", address(".gnu.version_d")));
            entries.push((0x6fff_fffd, "DT_VERDEFNUM", self.version_definitions.len() as u64));
        }
        if has(".gnu.version_r") {
            entries.push((0x6fff_fffe, "DT_VERNEED", address(".gnu.version_r")));
            entries.push((0x6fff_ffff, "DT_VERNEEDNUM", self.version_needs.len() as u64));
        }
        entries.push((0, "DT_NULL", 0));

        let mut body = self.encoder();
        for (i, (tag, name, value)) in entries.into_iter().enumerate() {
            let name = if name == "DT_NEEDED" { format!("needed[{i}]") } else { name.to_owned() };
            body.word(format!("{name}.d_tag"), tag);
            body.word(name, value);
        }
        let entry_size = 2 * self.word_size();
        Chunk::new(".dynamic", SHT_DYNAMIC, Home::Data, self.word_size(), body)
            .entries(entry_size, ".dynstr", 0)
    }
}
