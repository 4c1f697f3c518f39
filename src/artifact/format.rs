//! Which format a file is in, by its first bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ReadError, Source};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Elf,
    /// ELF, but `ET_REL`.
    Object,
    /// ELF, but `ET_CORE`.
    Core,
    /// ELF whose segments hold no bytes: separate debug information.
    DebugInfo,
    Archive,
    MachO,
    Pe,
    Wasm,
    Empty,
    Script,
    Unknown,
}

impl Format {
    /// A format in which programs and libraries ship, but which is not read.
    pub fn ships_elsewhere(self) -> bool {
        matches!(self, Self::MachO | Self::Pe | Self::Wasm)
    }

    /// A format whose needs are settled only by a later link.
    pub fn links_later(self) -> bool {
        matches!(self, Self::Archive | Self::Object)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf => "ELF file",
            Self::Object => "object file",
            Self::Core => "core dump",
            Self::DebugInfo => "debug information file",
            Self::Archive => "archive",
            Self::MachO => "Mach-O file",
            Self::Pe => "PE file",
            Self::Wasm => "WebAssembly file",
            Self::Empty => "empty file",
            Self::Script => "script",
            Self::Unknown => "file of an unknown format",
        })
    }
}

pub fn sniff(source: &Source) -> Result<Format, ReadError> {
    let len = source.size().min(64);
    let head = source.read(0, len, "the file's first bytes")?;
    let starts = |magic: &[u8]| head.starts_with(magic);
    Ok(if head.is_empty() {
        Format::Empty
    } else if starts(b"\x7fELF") {
        Format::Elf
    } else if starts(b"!<arch>\n") || starts(b"!<thin>\n") {
        Format::Archive
    } else if starts(b"#!") {
        Format::Script
    } else if starts(b"\0asm") {
        Format::Wasm
    } else if is_mach_o(&head) {
        Format::MachO
    } else if starts(b"MZ") && is_pe(source, &head)? {
        Format::Pe
    } else {
        Format::Unknown
    })
}

/// `mach-o/loader.h` and `mach-o/fat.h`. A Java class file shares the fat
/// magic; its next word is a class-file version (45 or more), not a count of
/// architectures.
fn is_mach_o(head: &[u8]) -> bool {
    let Some(&[a, b, c, d]) = head.first_chunk() else { return false };
    match u32::from_be_bytes([a, b, c, d]) {
        0xfeed_face | 0xfeed_facf | 0xcefa_edfe | 0xcffa_edfe => true,
        0xcafe_babe => head.get(4..8).is_some_and(|word| word[..3] == [0; 3] && word[3] < 45),
        _ => false,
    }
}

/// PE format specification: the DOS stub holds the offset of the signature.
fn is_pe(source: &Source, head: &[u8]) -> Result<bool, ReadError> {
    let Some(word) = head.get(0x3c..0x40).and_then(|word| word.first_chunk()) else { return Ok(false) };
    let offset = u64::from(u32::from_le_bytes(*word));
    if offset + 4 > source.size() {
        return Ok(false);
    }
    Ok(source.read(offset, 4, "the PE signature")? == b"PE\0\0")
}
