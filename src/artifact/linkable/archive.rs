//! The members of an archive: GNU's and BSD's ways to write long names, thin
//! archives, and the symbol tables that are no members (`ar.h`; GNU binutils,
//! `bfd/archive.c`; LLVM, `llvm/lib/Object/Archive.cpp`).

use std::path::PathBuf;

use crate::artifact::{ReadError, Source};

const MAGIC: u64 = 8;
const HEADER: u64 = 60;
/// Members of one archive at most. Rust's own staticlibs have some hundred, the
/// largest C++ ones some ten thousand.
const MOST_MEMBERS: usize = 1 << 18;
/// The table of long names, and one name, in bytes.
const LONGEST_TABLE: u64 = 64 << 20;
const LONGEST_MEMBER_NAME: usize = 4096;

/// Where a member's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In the archive: offset and length.
    Here { offset: u64, len: u64 },
    /// A thin archive names the file, relative to its own folder.
    File(PathBuf),
}

#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    pub content: Content,
}

/// Every member that holds content, in order.
pub fn members(source: &Source) -> Result<Vec<Member>, ReadError> {
    let magic = source.read(0, MAGIC, "the archive's magic")?;
    let thin = magic == b"!<thin>\n";
    if !thin && magic != b"!<arch>\n" {
        return Err(ReadError::Malformed("it does not begin as an archive does".to_owned()));
    }
    let mut long_names: Vec<u8> = Vec::new();
    let mut members = Vec::new();
    let mut at = MAGIC;
    while at < source.size() {
        let header = source.read(at, HEADER, "a member's header")?;
        if header[58..60] != *b"`\n" {
            return Err(ReadError::Malformed(format!(
                "the member's header at offset {at:#x} does not end as one"
            )));
        }
        let raw = header[..16].trim_ascii_end();
        let size = number(&header[48..58]).ok_or_else(|| {
            ReadError::Malformed(format!("the member's header at offset {at:#x} has no size"))
        })?;
        let data = at + HEADER;
        let what = "a member";
        // The tables stand in a thin archive too; its members do not.
        let table = matches!(raw, b"/" | b"//" | b"/SYM64/") || raw.starts_with(b"__.SYMDEF");
        let inside = !thin || table;
        if inside && size > source.size() - data {
            return Err(ReadError::OutOfFile { what, offset: data, len: size, file_len: source.size() });
        }
        // Members begin at even offsets (System V ABI).
        let next = if inside { data + size } else { data };
        at = next + next % 2;
        if raw == b"//" {
            if size > LONGEST_TABLE {
                return Err(ReadError::TooLarge {
                    what: "the table of names",
                    len: size,
                    most: LONGEST_TABLE,
                });
            }
            long_names = source.read(data, size, "the table of names")?;
            continue;
        }
        if table {
            continue;
        }
        let (name, skipped) = name(source, raw, &long_names, data, size)?;
        // BSD's table of symbols may have a long name of its own.
        if name.starts_with("__.SYMDEF") {
            continue;
        }
        if members.len() == MOST_MEMBERS {
            return Err(ReadError::Malformed(format!("more than {MOST_MEMBERS} members; they are not read")));
        }
        let content = match thin {
            true => Content::File(PathBuf::from(&name)),
            false => Content::Here { offset: data + skipped, len: size - skipped },
        };
        members.push(Member { name, content });
    }
    Ok(members)
}

/// A member's name, and how many bytes of its content it takes.
fn name(
    source: &Source,
    raw: &[u8],
    long_names: &[u8],
    data: u64,
    size: u64,
) -> Result<(String, u64), ReadError> {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // BSD: `#1/20`, the name stands before the content, filled up with NULs.
    if let Some(len) = raw.strip_prefix(b"#1/") {
        let len = number(len).filter(|len| *len <= size && *len <= LONGEST_MEMBER_NAME as u64);
        let len =
            len.ok_or_else(|| ReadError::Malformed("a member's name has no sound length".to_owned()))?;
        let bytes = source.read(data, len, "a member's name")?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        return Ok((lossy(&bytes[..end]), len));
    }
    // GNU: `/123`, an offset into the table; a name there ends with `/\n`.
    if let Some(offset) = raw.strip_prefix(b"/") {
        // A thin archive of archives: `/123:456`, where the second is the member's place in the inner one.
        let offset = offset.split(|byte| *byte == b':').next().unwrap_or_default();
        let tail = number(offset).and_then(|offset| long_names.get(usize::try_from(offset).ok()?..));
        let tail =
            tail.ok_or_else(|| ReadError::Malformed("a member's name is not in the table".to_owned()))?;
        let tail = &tail[..tail.len().min(LONGEST_MEMBER_NAME)];
        let end = tail.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(tail.len());
        let name = tail[..end].strip_suffix(b"/").unwrap_or(&tail[..end]);
        return Ok((lossy(name), 0));
    }
    Ok((lossy(raw.strip_suffix(b"/").unwrap_or(raw)), 0))
}

/// A decimal number, filled up with blanks.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: usize) -> Vec<u8> {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644).into_bytes()
    }

    fn archive(magic: &str, members: &[(&str, &[u8], bool)]) -> Vec<u8> {
        let mut bytes = magic.as_bytes().to_vec();
        for (name, content, inside) in members {
            bytes.extend(header(name, content.len()));
            if *inside {
                bytes.extend_from_slice(content);
                bytes.resize(bytes.len().next_multiple_of(2), b'\n');
            }
        }
        bytes
    }

    fn names(bytes: Vec<u8>) -> Result<Vec<String>, ReadError> {
        Ok(members(&Source::from_bytes(bytes))?.into_iter().map(|member| member.name).collect())
    }

    #[test]
    fn names_of_gnu_and_bsd() {
        let bytes = archive(
            "!<arch>\n",
            &[
                ("/", b"\0\0\0\0", true),
                ("//", b"a_long_member_name.o/\nanother_one.o/\n", true),
                ("short.o/", b"x", true),
                ("/0", b"yy", true),
                ("/22", b"zzz", true),
                ("#1/12", b"of_bsd.o\0\0\0\0content", true),
                ("plain.o", b"", true),
            ],
        );
        let all = members(&Source::from_bytes(bytes)).unwrap();
        let names: Vec<_> = all.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["short.o", "a_long_member_name.o", "another_one.o", "of_bsd.o", "plain.o"]);
        assert!(matches!(all[3].content, Content::Here { len: 7, .. }));
    }

    #[test]
    fn a_thin_archive_names_files() {
        let members = &[
            ("//", &b"obj/a.o/\ninner.a/\n"[..], true),
            ("/0", &b"12345678"[..], false),
            ("/9:60", &b"1234"[..], false),
        ];
        let all = super::members(&Source::from_bytes(archive("!<thin>\n", members))).unwrap();
        assert_eq!(all[0].content, Content::File("obj/a.o".into()));
        assert_eq!(all[1].content, Content::File("inner.a".into()));
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let sound = archive("!<arch>\n", &[("a.o/", b"1234", true)]);
        assert_eq!(names(sound.clone()).unwrap(), ["a.o"]);
        for cut in 9..sound.len() {
            assert!(names(sound[..cut].to_vec()).is_err(), "{cut}");
        }
        for (name, size) in [("/7", "4"), ("#1/9", "4"), ("a.o/", "-4"), ("a.o/", "99999"), ("a.o/", "")] {
            let mut bytes = b"!<arch>\n".to_vec();
            bytes.extend(format!("{name:<16}{:<32}{size:<10}`\n1234", 0).into_bytes());
            assert!(names(bytes).is_err(), "{name} {size}");
        }
    }
}
