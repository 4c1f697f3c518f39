//! The parts of a file between its headers: what would be its sections.

use std::collections::BTreeMap;

use super::description::Elf;
use super::encoder::Encoder;

#[derive(Debug, Clone)]
pub struct Chunk {
    pub name: &'static str,
    pub section_type: u32,
    pub home: Home,
    pub align: u64,
    pub entry_size: u64,
    pub link: Option<&'static str>,
    /// `sh_info`.
    pub info: u32,
    pub body: Encoder,
}

/// The segment that a chunk lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    Text,
    Data,
    Nowhere,
}

/// Where a chunk lies. All zero in the first of the two passes, which only measures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    pub offset: u64,
    pub address: u64,
    pub size: u64,
    pub section: u16,
}

#[derive(Debug, Default)]
pub struct Places(pub BTreeMap<&'static str, Place>);

impl Places {
    pub fn of(&self, chunk: &str) -> Place {
        self.0.get(chunk).copied().unwrap_or_default()
    }
}

impl Chunk {
    pub fn new(name: &'static str, section_type: u32, home: Home, align: u64, body: Encoder) -> Self {
        Self { name, section_type, home, align, entry_size: 0, link: None, info: 0, body }
    }

    pub fn entries(mut self, entry_size: u64, link: &'static str, info: usize) -> Self {
        self.entry_size = entry_size;
        self.link = Some(link);
        self.info = info as u32;
        self
    }
}

impl Elf {
    pub fn encoder(&self) -> Encoder {
        Encoder::new(self.wide(), self.big_endian())
    }

    pub fn encoded(&self, bytes: &[u8]) -> Encoder {
        let mut body = self.encoder();
        body.raw(bytes);
        body
    }

    pub fn word_size(&self) -> u64 {
        if self.wide() { 8 } else { 4 }
    }
}

/// A string table; equal strings share a place.
#[derive(Debug)]
pub struct Strings {
    pub bytes: Vec<u8>,
    known: BTreeMap<String, u32>,
}

impl Strings {
    pub fn new() -> Self {
        Self { bytes: vec![0], known: BTreeMap::from([(String::new(), 0)]) }
    }

    pub fn add(&mut self, text: &str) -> u32 {
        *self.known.entry(text.to_owned()).or_insert_with(|| {
            let place = self.bytes.len() as u32;
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.push(0);
            place
        })
    }
}
