//! Notes, from `PT_NOTE` segments (ELF gABI chapter 5, "Note Section").

use std::fmt::Write as _;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use super::{Elf, ReadError, lossy};

/// Bytes of notes read at most, over all segments: real files have some hundred.
const MOST_BYTES: u64 = 1 << 20;
/// `.note.dlopen` entries read at most. Real files have up to ten.
const MOST_DLOPEN: usize = 1024;
/// `.note.dlopen`: UAPI Group specification "ELF Metadata for dlopen()".
const NT_FDO_DLOPEN: u32 = 0x407c_0c0a;

#[derive(Debug, Default)]
pub struct Notes {
    pub abi_tag: Option<String>,
    pub build_id: Option<String>,
    pub x86_isa_needed: Option<u32>,
    pub dlopen: Vec<String>,
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    pub fn notes(&self) -> Result<Notes, ReadError> {
        let mut notes = Notes::default();
        let mut total = 0;
        for segment in self.segments.iter().filter(|segment| segment.p_type(self.endian) == elf::PT_NOTE) {
            let size: u64 = segment.p_filesz(self.endian).into();
            total = size.saturating_add(total);
            if total > MOST_BYTES {
                return Err(ReadError::TooLarge { what: "PT_NOTE", len: total, most: MOST_BYTES });
            }
            let bytes = self.source.read(segment.p_offset(self.endian).into(), size, "PT_NOTE")?;
            // Notes are padded to 4 bytes, or to 8 where the segment says so.
            let align = if segment.p_align(self.endian).into() == 8 { 8 } else { 4 };
            self.walk(&bytes, align, &mut notes);
        }
        if notes.dlopen.len() > MOST_DLOPEN {
            return Err(ReadError::Malformed(format!(
                "{} notes of libraries to open; more than {MOST_DLOPEN} are not read",
                notes.dlopen.len()
            )));
        }
        Ok(notes)
    }

    fn word(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if self.header.is_big_endian() { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// Reads notes until the bytes end or stop making sense: the loader skips
    /// what it does not understand, and so do we.
    fn walk(&self, bytes: &[u8], align: usize, notes: &mut Notes) {
        let mut rest = bytes;
        while let (Some(name_size), Some(size), Some(kind)) =
            (self.word(rest, 0), self.word(rest, 4), self.word(rest, 8))
        {
            let name_end = 12usize.saturating_add(name_size as usize);
            let start = name_end.next_multiple_of(align);
            let end = start.saturating_add(size as usize);
            let (Some(name), Some(content)) = (rest.get(12..name_end), rest.get(start..end)) else { return };
            self.take(name, kind, content, notes);
            let Some(next) = rest.get(end.next_multiple_of(align)..) else { return };
            rest = next;
        }
    }

    fn take(&self, name: &[u8], kind: u32, content: &[u8], notes: &mut Notes) {
        match (name, kind) {
            (b"GNU\0", 1) => {
                let part = |at| self.word(content, at);
                if let (Some(os), Some(major), Some(minor), Some(patch)) =
                    (part(0), part(4), part(8), part(12))
                {
                    let os = if os == 0 { "Linux".to_owned() } else { format!("OS {os}") };
                    notes.abi_tag = Some(format!("{os} {major}.{minor}.{patch}"));
                }
            }
            (b"GNU\0", 3) => {
                let mut text = String::with_capacity(content.len() * 2);
                for byte in content {
                    // Text takes what is written.
                    let _ = write!(text, "{byte:02x}");
                }
                notes.build_id = Some(text);
            }
            (b"GNU\0", 5) => self.properties(content, notes),
            (b"FDO\0", NT_FDO_DLOPEN) => {
                let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
                notes.dlopen.push(lossy(&content[..end]));
            }
            _ => {}
        }
    }

    /// `NT_GNU_PROPERTY_TYPE_0`: type, size, data, padded to the class's word.
    fn properties(&self, content: &[u8], notes: &mut Notes) {
        let pad = if self.header.is_type_64() { 8 } else { 4 };
        let mut rest = content;
        while let (Some(kind), Some(size)) = (self.word(rest, 0), self.word(rest, 4)) {
            if kind == 0xc000_8002 {
                notes.x86_isa_needed = self.word(rest, 8);
            }
            let Some(next) = rest.get(8usize.saturating_add(size as usize).next_multiple_of(pad)..) else {
                return;
            };
            rest = next;
        }
    }
}
