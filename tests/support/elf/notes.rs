//! The `.note.*` parts.

use super::chunk::{Chunk, Home};
use super::description::Elf;
use super::encoder::Encoder;

const SHT_NOTE: u32 = 7;
const NT_GNU_ABI_TAG: u32 = 1;
const NT_GNU_BUILD_ID: u32 = 3;
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
const NT_FDO_DLOPEN: u32 = 0x407c_0c0a;
const GNU_PROPERTY_X86_ISA_1_NEEDED: u32 = 0xc000_8002;

/// The notes aligned to 4, which share a `PT_NOTE`.
pub const PLAIN_NOTES: [&str; 3] = [".note.ABI-tag", ".note.gnu.build-id", ".note.dlopen"];

impl Elf {
    pub fn note_chunks(&self) -> Vec<Chunk> {
        let note = |name, align, body| Chunk::new(name, SHT_NOTE, Home::Text, align, body);
        let mut chunks = Vec::new();
        if let Some(isa) = self.x86_isa_needed {
            let mut property = self.encoder();
            property.u32(".note.gnu.property[0].pr_type", GNU_PROPERTY_X86_ISA_1_NEEDED);
            property.u32(".note.gnu.property[0].pr_datasz", 4);
            property.u32(".note.gnu.property[0].pr_data", isa);
            property.align(self.word_size() as usize);
            let mut body = self.encoder();
            push_note(&mut body, ".note.gnu.property[0]", "GNU", NT_GNU_PROPERTY_TYPE_0, &property);
            chunks.push(note(".note.gnu.property", self.word_size(), body));
        }
        if let Some(tag) = self.abi_tag {
            let mut words = self.encoder();
            for (i, number) in tag.into_iter().enumerate() {
                words.u32(format!(".note.ABI-tag[0].desc[{i}]"), number);
            }
            let mut body = self.encoder();
            push_note(&mut body, ".note.ABI-tag[0]", "GNU", NT_GNU_ABI_TAG, &words);
            chunks.push(note(".note.ABI-tag", 4, body));
        }
        if let Some(id) = &self.build_id {
            let mut body = self.encoder();
            push_note(&mut body, ".note.gnu.build-id[0]", "GNU", NT_GNU_BUILD_ID, &self.encoded(&id.0));
            chunks.push(note(".note.gnu.build-id", 4, body));
        }
        if !self.dlopen.is_empty() {
            let mut body = self.encoder();
            for (i, json) in self.dlopen.iter().enumerate() {
                let text = self.encoded(format!("{json}\0").as_bytes());
                push_note(&mut body, &format!(".note.dlopen[{i}]"), "FDO", NT_FDO_DLOPEN, &text);
            }
            chunks.push(note(".note.dlopen", 4, body));
        }
        chunks
    }
}

fn push_note(body: &mut Encoder, field: &str, owner: &str, note_type: u32, description: &Encoder) {
    body.u32(format!("{field}.n_namesz"), owner.len() as u32 + 1);
    body.u32(format!("{field}.n_descsz"), description.bytes.len() as u32);
    body.u32(format!("{field}.n_type"), note_type);
    body.raw(owner.as_bytes());
    body.raw(&[0]);
    body.align(4);
    body.append(description);
    body.align(4);
}
