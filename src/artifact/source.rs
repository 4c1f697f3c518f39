//! Bytes of a file, by range, with every length checked first.
//!
//! Not a memory map: a file that shrinks under a map is a SIGBUS, which no
//! typed error can catch.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::path::Path;

use super::ReadError;

/// Small reads are served from pages of this size.
const PAGE: u64 = 4096;
/// Pages kept; past that the cache starts afresh. 512 × 4 KiB = 2 MiB.
const PAGES_KEPT: usize = 512;
/// The largest table read in one piece, in bytes: far more than real ones
/// have. Past this limit the answer is an error, not memory.
const LARGEST_READ: u64 = 128 << 20;

/// Where the bytes are.
#[derive(Debug)]
enum Backing {
    File(File),
    Memory(Vec<u8>),
}

/// Pages by where they start.
type Pages = HashMap<u64, Box<[u8]>, BuildHasherDefault<ByPage>>;

/// Whoever made the file chooses among 512 pages at most, so nothing better than a multiplication is called for.
#[derive(Debug, Default)]
struct ByPage(u64);

impl Hasher for ByPage {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, start: u64) {
        // By the golden ratio, which is Knuth's: the upper bits are those that count in the table.
        self.0 = (self.0 ^ start).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

#[derive(Debug)]
pub struct Source {
    backing: Backing,
    len: u64,
    pages: RefCell<Pages>,
}

impl Source {
    /// Opens a regular file. Devices and fifos are refused unopened, because
    /// opening them can block or act.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let found = std::fs::metadata(path).map_err(ReadError::Io)?;
        if !found.is_file() {
            return Err(ReadError::NotAFile(kind_of(&found)));
        }
        Self::from_file(File::open(path).map_err(ReadError::Io)?)
    }

    /// A file that is open already.
    pub fn from_file(file: File) -> Result<Self, ReadError> {
        let metadata = file.metadata().map_err(ReadError::Io)?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile(kind_of(&metadata)));
        }
        Ok(Self { len: metadata.len(), backing: Backing::File(file), pages: RefCell::default() })
    }

    /// Bytes that are in memory already.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len() as u64, backing: Backing::Memory(bytes), pages: RefCell::default() }
    }

    /// The file's length when it was opened, in bytes.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Exactly `len` bytes at `offset`; `what` names them in the error.
    pub fn read(&self, offset: u64, len: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len);
        let Some(end) = end else {
            return Err(ReadError::OutOfFile { what, offset, len, file_len: self.len });
        };
        if len > LARGEST_READ {
            return Err(ReadError::TooLarge { what, len, most: LARGEST_READ });
        }
        if len > PAGE {
            let mut bytes = vec![0; len as usize];
            self.fill(offset, &mut bytes)?;
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(len as usize);
        let mut at = offset;
        while at < end {
            let start = at - at % PAGE;
            let taken = (start + PAGE).min(end) - at;
            self.with_page(start, |page| {
                let from = (at - start) as usize;
                bytes.extend_from_slice(&page[from..from + taken as usize]);
            })?;
            at += taken;
        }
        Ok(bytes)
    }

    /// The bytes from `offset` to the next NUL, which must come before `end`.
    pub fn c_string(&self, offset: u64, end: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        let end = end.min(self.len);
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let start = at - at % PAGE;
            let until = (start + PAGE).min(end);
            let ended = self.with_page(start, |page| {
                let part = &page[(at - start) as usize..(until - start) as usize];
                let nul = part.iter().position(|byte| *byte == 0);
                bytes.extend_from_slice(&part[..nul.unwrap_or(part.len())]);
                nul.is_some()
            })?;
            if ended {
                return Ok(bytes);
            }
            if bytes.len() as u64 > super::LONGEST_NAME {
                return Err(ReadError::TooLarge { what, len: bytes.len() as u64, most: super::LONGEST_NAME });
            }
            at = until;
        }
        Err(ReadError::Malformed(format!("{what} at file offset {offset:#x} has no end")))
    }

    fn with_page<T>(&self, start: u64, read: impl FnOnce(&[u8]) -> T) -> Result<T, ReadError> {
        let mut pages = self.pages.borrow_mut();
        if let Some(page) = pages.get(&start) {
            return Ok(read(page));
        }
        if pages.len() >= PAGES_KEPT {
            pages.clear();
        }
        let mut page = vec![0; PAGE.min(self.len - start) as usize].into_boxed_slice();
        self.fill(start, &mut page)?;
        Ok(read(pages.entry(start).or_insert(page)))
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let read = match &self.backing {
            Backing::File(file) => read_exact_at(file, buffer, offset),
            Backing::Memory(bytes) => {
                let from = offset as usize;
                buffer.copy_from_slice(&bytes[from..from + buffer.len()]);
                Ok(())
            }
        };
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Shrunk { len: self.len },
            _ => ReadError::Io(error),
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// What a path leads to that is no regular file, in words.
pub fn kind_of(metadata: &std::fs::Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a fifo";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    "no regular file"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(len: usize) -> (tempfile::NamedTempFile, Source) {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let source = Source::open(file.path()).unwrap();
        (file, source)
    }

    #[test]
    fn ranges_across_pages_are_whole() {
        let (_file, source) = source(20_000);
        for (offset, len) in [(0, 1), (4000, 200), (4095, 4096), (8190, 3), (1, 19_999)] {
            let expected: Vec<u8> = (offset..offset + len).map(|at| (at % 251) as u8).collect();
            assert_eq!(source.read(offset as u64, len as u64, "test").unwrap(), expected);
        }
    }

    #[test]
    fn past_the_end_is_an_error() {
        let (_file, source) = source(5000);
        assert!(matches!(source.read(4999, 2, "test"), Err(ReadError::OutOfFile { .. })));
        assert!(matches!(source.read(u64::MAX, 2, "test"), Err(ReadError::OutOfFile { .. })));
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let (file, source) = source(20_000);
        std::fs::write(file.path(), b"short").unwrap();
        assert!(matches!(source.read(8192, 10, "test"), Err(ReadError::Shrunk { len: 20_000 })));
        assert!(matches!(source.read(0, 10_000, "test"), Err(ReadError::Shrunk { .. })));
    }

    #[test]
    fn a_string_needs_its_nul() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc\0def").unwrap();
        let source = Source::open(file.path()).unwrap();
        assert_eq!(source.c_string(0, 7, "name").unwrap(), b"abc");
        assert!(matches!(source.c_string(4, 7, "name"), Err(ReadError::Malformed(_))));
        assert!(matches!(source.c_string(0, 3, "name"), Err(ReadError::Malformed(_))));
    }
}
