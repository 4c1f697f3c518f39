//! The members of an archive: an rlib, or a C library's `.a` (System V `ar`
//! with GNU's and BSD's long names).

use crate::artifact::{ReadError, Source};

const MAGIC: &[u8] = b"!<arch>\n";
/// A member's header: name, date, owner, group, mode, size, `` `\n ``.
const HEADER: u64 = 60;
/// Members read at most of one archive. The largest static libraries of
/// Debian have some thousands.
const MOST_MEMBERS: usize = 1 << 17;
/// The longest table of long names, in bytes.
const LONGEST_NAMES: u64 = 16 << 20;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub offset: u64,
    pub size: u64,
}

/// Lists the members. Symbol tables are passed over: they lack local symbols.
pub fn members(source: &Source) -> Result<Vec<Member>, ReadError> {
    let magic = source.read(0, MAGIC.len() as u64, "the archive's magic")?;
    if magic != MAGIC {
        // A thin archive names files instead of holding them; rustc and cc
        // make none.
        return Err(ReadError::Malformed("it is no archive that holds its members".to_owned()));
    }
    let mut members = Vec::new();
    let mut long_names = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < source.size() {
        let header = source.read(at, HEADER, "the header of a member")?;
        if &header[58..] != b"`\n" {
            return Err(ReadError::Malformed(format!("no member begins at file offset {at:#x}")));
        }
        let size = number(&header[48..58])
            .ok_or_else(|| ReadError::Malformed(format!("the member at {at:#x} has no size")))?;
        let data = at + HEADER;
        if data.checked_add(size).is_none_or(|end| end > source.size()) {
            return Err(ReadError::OutOfFile {
                what: "a member of the archive",
                offset: data,
                len: size,
                file_len: source.size(),
            });
        }
        let (name, skipped) = name(source, &header[..16], data, size, &long_names)?;
        match name.as_str() {
            "/" | "/SYM64/" | "__.SYMDEF" | "__.SYMDEF SORTED" => {}
            "//" => {
                if size > LONGEST_NAMES {
                    return Err(ReadError::TooLarge {
                        what: "the archive's table of names",
                        len: size,
                        most: LONGEST_NAMES,
                    });
                }
                long_names = source.read(data, size, "the archive's table of names")?;
            }
            _ => members.push(Member { name, offset: data + skipped, size: size - skipped }),
        }
        if members.len() > MOST_MEMBERS {
            return Err(ReadError::Malformed(format!("more than {MOST_MEMBERS} members are not read")));
        }
        // Members begin at even offsets.
        at = data + size + size % 2;
    }
    Ok(members)
}

/// A member's name, and how many of its bytes it takes up (BSD).
fn name(
    source: &Source,
    field: &[u8],
    data: u64,
    size: u64,
    long_names: &[u8],
) -> Result<(String, u64), ReadError> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let field = field.trim_ascii_end();
    if let Some(length) = field.strip_prefix(b"#1/") {
        let length = number(length).filter(|length| *length <= size.min(4096));
        let length =
            length.ok_or_else(|| ReadError::Malformed(format!("the member at {data:#x} has no name")))?;
        let name = source.read(data, length, "the name of a member")?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        return Ok((lossy(&name[..end]), length));
    }
    match field.strip_prefix(b"/").and_then(number) {
        Some(offset) => {
            let tail = long_names.get(offset as usize..).unwrap_or_default();
            let end = tail.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(tail.len());
            let name = &tail[..end.min(4096)];
            Ok((lossy(name.strip_suffix(b"/").unwrap_or(name)), 0))
        }
        // GNU ends a short name with a slash; the tables are all slash.
        None if field.ends_with(b"/") && !field.starts_with(b"/") => {
            Ok((lossy(&field[..field.len() - 1]), 0))
        }
        None => Ok((lossy(field), 0)),
    }
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, data.len()).into_bytes();
        bytes.extend_from_slice(data);
        if data.len() % 2 == 1 {
            bytes.push(b'\n');
        }
        bytes
    }

    fn archive(members: &[(&str, &[u8])]) -> Source {
        let mut bytes = MAGIC.to_vec();
        for (name, data) in members {
            bytes.extend(member(name, data));
        }
        Source::from_bytes(bytes)
    }

    #[test]
    fn names_of_every_kind() {
        let source = archive(&[
            ("/", b"index"),
            ("//", b"a_name_longer_than_sixteen.o/\nanother_long_name.o/\n"),
            ("short.o/", b"1"),
            ("/0", b"22"),
            ("/30", b"333"),
            ("#1/8", b"bsd.o\0\0\0body"),
            ("plain.o", b""),
        ]);
        let found = members(&source).unwrap();
        let found: Vec<(&str, u64)> =
            found.iter().map(|member| (member.name.as_str(), member.size)).collect();
        let expected = [
            ("short.o", 1),
            ("a_name_longer_than_sixteen.o", 2),
            ("another_long_name.o", 3),
            ("bsd.o", 4),
            ("plain.o", 0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_archives_are_errors() {
        let whole = archive(&[("a.o/", b"12345678")]);
        let bytes = whole.read(0, whole.size(), "test").unwrap();
        for end in 0..bytes.len() {
            if end == MAGIC.len() {
                continue; // an empty archive
            }
            let source = Source::from_bytes(bytes[..end].to_vec());
            assert!(members(&source).is_err(), "{end}");
        }
        let mut wrong = bytes.clone();
        wrong[8 + 48..8 + 58].copy_from_slice(b"9999999999");
        assert!(matches!(members(&Source::from_bytes(wrong)), Err(ReadError::OutOfFile { .. })));
        assert!(members(&archive(&[("#1/9999999", b"x")])).is_err());
        assert_eq!(members(&archive(&[("/99", b"x")])).unwrap()[0].name, "");
    }
}
