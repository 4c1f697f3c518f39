//! Zip archives, wheels among them (PKWARE's APPNOTE; PEP 427).

use std::fs::File;
use std::io::{self, BufReader};

use zip::ZipArchive;
use zip::read::ZipReadOptions;
use zip::result::ZipError;

use super::members::Members;

pub fn read(file: &File, members: &mut Members<'_>) -> io::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(plain)?;
    // Each program takes another one of the two.
    if archive.has_duplicate_names() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "two members have one name"));
    }
    for index in 0..archive.len() {
        let name = archive.name_for_index(index).and_then(Result::ok).unwrap_or_default().into_owned();
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let mut entry = match archive.by_index_with_options(index, options) {
            Ok(entry) => entry,
            Err(error) => {
                members.unreadable(name.as_bytes(), &plain(error))?;
                continue;
            }
        };
        let name = entry.name_raw().to_vec();
        if entry.is_dir() {
            members.named(&name)?;
        } else if entry.is_symlink() {
            members.pass_over(&name, "link")?;
        } else {
            let budget = members.budget();
            members.file(&name, &mut budget.bound(&mut entry))?;
        }
    }
    Ok(())
}

fn plain(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
