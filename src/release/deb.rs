//! Debian's binary packages (deb(5)): an `ar` archive of a version, what the
//! package says of itself, and its files.
//!
//! Read here and not by a crate: of `ar` only this strict form is allowed,
//! and the crate for all of it allocates what a header claims.

use std::io::{self, BufReader, Read};

use super::compressed::Compression;
use super::members::Members;
use super::{HEAD, peek, tarball};

/// `ar`'s magic and the header of the first member, as deb(5) has them.
pub const MAGIC: &[u8] = b"!<arch>\ndebian-binary";

pub fn read(mut file: impl Read, members: &mut Members<'_>) -> io::Result<()> {
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message.to_owned());
    file.read_exact(&mut [0; 8])?;
    let mut header = [0; 60];
    while peek(&mut file, &mut header)? == header.len() {
        // `struct ar_hdr`: name in 16 bytes, size in decimal at 48, magic at 58.
        let name = String::from_utf8_lossy(&header[..16]).trim_end_matches([' ', '/']).to_owned();
        let size = String::from_utf8_lossy(&header[48..58]).trim_end().parse::<u64>();
        let (Ok(size), b"`\n") = (size, &header[58..]) else {
            return Err(invalid("a header of a member is broken"));
        };
        let mut member = (&mut file).take(size);
        if !name.starts_with("data.tar") {
            if io::copy(&mut member, &mut io::sink())? < size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // Members start at even offsets.
            peek(&mut file, &mut [0][..size as usize % 2])?;
            continue;
        }
        let mut head = [0; HEAD];
        let len = peek(&mut member, &mut head)?;
        let whole = io::Cursor::new(head[..len].to_vec()).chain(member);
        let budget = members.budget();
        return match Compression::of(&head[..len]) {
            Some(compression) => {
                tarball::read(budget.bound(compression.reader(BufReader::new(whole))), members)
            }
            None if tarball::is_tar(&head[..len]) => tarball::read(budget.bound(whole), members),
            None => Err(invalid(&format!("`{name}` is compressed in a way that is not read"))),
        };
    }
    Err(invalid("there is no `data.tar`: it ends early"))
}
