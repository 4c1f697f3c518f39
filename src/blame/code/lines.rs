//! Source lines, where DWARF is there to tell (DWARF 5, chapter 6).

use std::rc::Rc;

use gimli::{Dwarf, EndianRcSlice, RunTimeEndian, SectionId};
use object::Endianness;
use object::elf;

use super::CannotSay;
use super::image::Image;
use crate::artifact::Source;

/// Bytes of debug information read at most. A program of 300 crates has some
/// 200 MiB of it.
const MOST: u64 = 320 << 20;

/// Functions inlined into each other at most, of one address.
const MOST_FRAMES: usize = 256;

type Reader = EndianRcSlice<RunTimeEndian>;

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As the compiler was given it; relative to where it ran, perhaps.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// The debug information of one linked file.
pub struct Lines {
    context: addr2line::Context<Reader>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines")
    }
}

/// A function that an address is in: the one that code was made of, or one
/// that was inlined into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its mangled name.
    pub function: Option<String>,
    /// Where in it.
    pub line: Option<Line>,
}

impl Lines {
    /// `None` where the file has none, or it is compressed.
    ///
    /// # Errors
    /// Where the file cannot be read, has more of it than is read, or it makes
    /// no sense.
    pub fn read(source: &Source) -> Result<Option<Self>, CannotSay> {
        Self::read_within(source, MOST)
    }

    /// The same, with no more than so many bytes of it read.
    ///
    /// # Errors
    /// Like [`Lines::read`].
    pub fn read_within(source: &Source, most: u64) -> Result<Option<Self>, CannotSay> {
        let image = Image::open(source)?;
        let debug = || image.sections.iter().filter(|section| section.name.starts_with(".debug_"));
        let is_there = debug().any(|section| section.name == ".debug_line");
        if !is_there || debug().any(|section| section.has(elf::SHF_COMPRESSED)) {
            return Ok(None);
        }
        if debug().fold(0_u64, |sum, section| sum.saturating_add(section.size)) > most.min(MOST) {
            return Err(CannotSay::TooMuch("bytes of debug information"));
        }
        let endian = if image.endian == Endianness::Big { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let load = |id: SectionId| -> Result<Reader, CannotSay> {
            let bytes = match image.named(id.name()) {
                // Where variables are tells no line, and is much.
                _ if matches!(id, SectionId::DebugLoc | SectionId::DebugLocLists) => Vec::new(),
                Some(section) => image.bytes(section, "debug information")?,
                None => Vec::new(),
            };
            Ok(Reader::new(Rc::from(bytes), endian))
        };
        let dwarf = Dwarf::load(load)?;
        let context = addr2line::Context::from_dwarf(dwarf)
            .map_err(|error| super::image::malformed(format!("its debug information: {error}")))?;
        Ok(Some(Self { context }))
    }

    /// The line that an address of code comes of, by the innermost function
    /// where some were inlined.
    pub fn of(&self, address: u64) -> Option<Line> {
        let location = self.context.find_location(address).ok()??;
        line(&location)
    }

    /// The functions that an address is in, the innermost first: all but the
    /// last were inlined.
    pub fn frames(&self, address: u64) -> Vec<Frame> {
        let mut found = Vec::new();
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else { return found };
        while let Ok(Some(frame)) = frames.next()
            && found.len() < MOST_FRAMES
        {
            let name = frame.function.and_then(|name| Some(name.raw_name().ok()?.into_owned()));
            found.push(Frame { function: name, line: frame.location.as_ref().and_then(line) });
        }
        found
    }
}

fn line(location: &addr2line::Location<'_>) -> Option<Line> {
    Some(Line { file: location.file?.to_owned(), line: location.line? })
}
