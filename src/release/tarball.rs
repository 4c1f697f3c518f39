//! Tar archives (POSIX.1-2017 "pax", ustar, and GNU's long names).
//!
//! Read entry by entry as they stand: the crate's own handling of long names
//! would read one of any length into memory.

use std::io::{self, Read};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::members::Members;

/// The longest name or set of pax records that is read, in bytes. Linux has
/// paths of up to 4096.
const LONGEST_NAME: u64 = 1 << 20;

/// What an entry says about the one after it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// Whether a stream that starts so is a tar archive: by the magic, or where an
/// old one has none by the checksum of its first header.
pub fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let is_zero = header.iter().all(|byte| *byte == 0);
    if header.get(257..262) == Some(b"ustar") {
        return true;
    }
    let sum: u32 = header[..148].iter().chain(&header[156..]).map(|byte| u32::from(*byte)).sum();
    let stored = std::str::from_utf8(&header[148..156]).ok();
    let stored = stored.map(|text| text.trim_matches([' ', '\0']));
    !is_zero && stored.and_then(|text| u32::from_str_radix(text, 8).ok()) == Some(sum + 8 * 32)
}

/// Reads to the end, which is where a checksum of the compression stands.
pub fn read(mut stream: impl Read, members: &mut Members<'_>) -> io::Result<()> {
    entries(&mut Archive::new(&mut stream), members)?;
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

fn entries(archive: &mut Archive<impl Read>, members: &mut Members<'_>) -> io::Result<()> {
    let mut ahead = Ahead::default();
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        match entry.header().entry_type() {
            EntryType::GNULongName => ahead.name = Some(name(contents(&mut entry)?)),
            EntryType::XHeader => ahead.take(&contents(&mut entry)?)?,
            // A link's long target, and what holds for the whole archive.
            EntryType::GNULongLink | EntryType::XGlobalHeader => {
                contents(&mut entry)?;
            }
            kind => {
                let ahead = std::mem::take(&mut ahead);
                member(&mut entry, kind, ahead, members)?;
            }
        }
    }
    Ok(())
}

fn member(
    entry: &mut Entry<'_, impl Read>,
    kind: EntryType,
    ahead: Ahead,
    members: &mut Members<'_>,
) -> io::Result<()> {
    let name = ahead.name.unwrap_or_else(|| entry.path_bytes().into_owned());
    match kind {
        // `7`, "contiguous", is a regular file to everybody.
        EntryType::Regular | EntryType::Continuous => {
            if ahead.sparse || ahead.size.is_some_and(|size| size != entry.size()) {
                let what = if ahead.sparse { "a sparse file" } else { "a file of two sizes" };
                return Err(invalid(format!("`{}` is stored as {what}", String::from_utf8_lossy(&name))));
            }
            // An old name of a folder ends in a slash.
            if !name.ends_with(b"/") {
                members.file(&name, entry)?;
            }
            Ok(())
        }
        EntryType::GNUSparse => {
            Err(invalid(format!("`{}` is stored as a sparse file", String::from_utf8_lossy(&name))))
        }
        EntryType::Directory => members.named(&name).map(|_| ()),
        EntryType::Link | EntryType::Symlink => members.pass_over(&name, "link"),
        _ => members.pass_over(&name, "device or fifo"),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn contents(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(LONGEST_NAME + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST_NAME {
        true => Err(invalid(format!("a name has more than {LONGEST_NAME} bytes"))),
        false => Ok(bytes),
    }
}

/// GNU's long names end with a NUL.
fn name(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

impl Ahead {
    /// pax records: `length key=value\n`.
    fn take(&mut self, records: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|value| value.parse().ok());
                    self.size =
                        Some(size.ok_or_else(|| invalid("a pax record of a size is no number".to_owned()))?);
                }
                key => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}
