//! The stored form of descriptions: one file for one system or for many.
//!
//! After a line of text and the length of what follows comes the header, then
//! what it points to. Most parts are records in `postcard`'s encoding, deflated
//! in blocks of some ten kilobytes; only what is asked is unpacked. Rows stand
//! in the order of file names, so that one probe needs one block. Symbols are
//! fingerprints, stored once for the libraries of a name in all systems of the
//! file: suites and architectures share nearly all.
//!
//! A fingerprint is a part of a hash, and a name that a library lacks may be
//! taken for one that it has: with a surety of 13 bits once in 8,192 look-ups.
//! For names that a file of the archive looks for in this library, a plugin's
//! host's among them, that never happens: a family lists these strangers. It is left
//! to names of one's own that a platform lacks, where nobody else's file asks
//! for them; and of these a version nearly always tells.
//!
//! A library is **whole**, or it is **partial**: of the largest that little
//! depends on those names are stored that some file of the archive asks for.
//! Then a name that is not stored is known to be lacking if another system's
//! library of the family has it, or if it is one of the file's **open** names.
//! All others may be there or not, and are undecided; so two bits of surety fewer do.

use std::io::{Read as _, Write as _};

use serde::{Deserialize, Serialize};

use super::draft::About;

/// The first line of every description.
pub const MAGIC: &[u8] = b"cargo compat: platform descriptions, version 2\n";
/// Systems in one file at most: sets of them are the bits of a number.
pub const MOST_SYSTEMS: usize = 64;
/// No part may unpack to more bytes.
const LARGEST_PART: u32 = 64 << 20;
/// Stands for the triplet in folders.
pub const TRIPLET: &str = "{triplet}";
/// How many lists the paths of other shared objects are divided into.
pub const OTHERS: u64 = 64;
/// How many lists open names are divided into, and their surety.
pub const OPEN: u64 = 64;
pub const OPEN_SURETY: u8 = 8;
/// A path that is not there is taken for one that is there once in 2^11 times.
/// The answer is then "unknown", never "found".
pub const OTHERS_SURETY: u8 = 11;

/// Why a description could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    pub systems: Vec<About>,
    /// Each with the name of its first row.
    pub blocks: Vec<(String, Part)>,
    pub packages: Part,
    /// Paths of other shared objects, by their hashes: families without versions.
    pub others: Vec<Part>,
    /// Names that are asked for somewhere and that not everything has, by their hashes, as `others`. Where a library
    /// is partial, those of them that it has are stored.
    pub open: Vec<Part>,
}

/// A deflated part of the file.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Part {
    /// Counted from the end of the header.
    pub at: u32,
    pub len: u32,
    /// Unpacked.
    pub size: u32,
}

/// All that has one file name. It is read as `rows::Row`.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    pub name: &'a str,
    pub places: Vec<Place<'a>>,
    pub facts: Vec<PackedFacts<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Place<'a> {
    pub folder: &'a str,
    pub package: &'a str,
    /// In which systems, by their bits.
    pub systems: u64,
    /// Of these, which have it in a plain install.
    pub plain: u64,
    #[serde(borrow)]
    pub what: PackedWhat<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PackedWhat<'a> {
    Link(&'a str),
    /// The row's facts at this place.
    Library(u32),
    Listed,
    OtherMachine,
    NotElf,
}

/// As `Facts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PackedFacts<'a> {
    #[serde(borrow)]
    pub soname: Option<&'a str>,
    #[serde(borrow)]
    pub needed: Vec<&'a str>,
    #[serde(borrow)]
    pub rpath: Vec<&'a str>,
    #[serde(borrow)]
    pub runpath: Vec<&'a str>,
    #[serde(borrow)]
    pub version_needs: Vec<(&'a str, &'a str, bool)>,
    #[serde(borrow)]
    pub nodes: Vec<&'a str>,
    pub second: u16,
    /// `HAS_VERSION_TABLE` and its like.
    pub flags: u8,
    /// Nothing where they are not known.
    pub symbols: Option<SymbolsAt>,
    #[serde(borrow)]
    pub unresolved: Vec<PackedReference<'a>>,
}

/// Name, version, the file asked for it, exact, at start: as `Unresolved`.
pub type PackedReference<'a> = (&'a str, Option<&'a str>, Option<&'a str>, bool, bool);

pub const HAS_VERSION_TABLE: u8 = 1;
pub const DEFINES_VERSIONS: u8 = 2;
pub const NO_DEFAULT_FOLDERS: u8 = 4;
pub const RELR: u8 = 8;
/// Only names that something is known to ask for are stored.
pub const PARTIAL: u8 = 16;

/// Which family has its symbols, in the groups of the system that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SymbolsAt {
    /// Where the family is, counted from the end of the header. Not deflated.
    pub at: u32,
    pub len: u32,
    /// The family's number for each node. Numbers start at 1.
    pub nodes: Vec<u16>,
}

/// Fingerprints of libraries that share most of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Family<'a> {
    pub width: u8,
    #[serde(borrow)]
    pub groups: Vec<Group<'a>>,
    /// The low halves of the hashes of names that something looks for in it, that are not there, and that would be
    /// taken for one that is.
    pub strangers: Vec<u32>,
}

/// Those that the libraries of the same systems have in the same way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Group<'a> {
    pub systems: u64,
    /// Twice the family's number of the node (0: no version), and one more
    /// where it is hidden.
    pub kind: u32,
    pub count: u32,
    pub rice: u8,
    pub bytes: &'a [u8],
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes what is written")
}

/// Unpacks at most what the part says that it unpacks to.
pub fn inflate(blob: &[u8], part: Part) -> Result<Vec<u8>, Broken> {
    let (at, len) = (part.at as usize, part.len as usize);
    let bytes = blob.get(at..).and_then(|rest| rest.get(..len));
    let bytes = bytes.ok_or_else(|| Broken("it ends too soon".to_owned()))?;
    if part.size > LARGEST_PART {
        return Err(Broken(format!("a part would have {} bytes", part.size)));
    }
    let mut unpacked = Vec::with_capacity(part.size as usize);
    let read = flate2::read::DeflateDecoder::new(bytes).take(u64::from(part.size)).read_to_end(&mut unpacked);
    match read {
        Ok(size) if size == part.size as usize => Ok(unpacked),
        Ok(size) => Err(Broken(format!("a part has {size} bytes and not {}", part.size))),
        Err(error) => Err(Broken(format!("a part cannot be unpacked: {error}"))),
    }
}

pub fn record<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Broken> {
    postcard::take_from_bytes(bytes).map_err(|error| Broken(format!("a record is wrong: {error}")))
}
