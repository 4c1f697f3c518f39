//! For machines: one object, described in `docs/report.md`.

use std::io::{self, Write};

use serde::Serialize;

use super::Report;

pub fn check(out: &mut impl Write, report: &Report) -> io::Result<()> {
    write(out, report)
}

/// Compact, and with everything escaped that could act on a terminal or on a
/// build service that reads its log (`##vso[…]`): a report is looked at there,
/// too.
struct Escaping;

impl serde_json::ser::Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut from = 0;
        let acts = |at: usize, letter: char| {
            crate::text::is_unsafe(letter) || letter == '#' && fragment[at + 1..].starts_with('#')
        };
        for (at, letter) in fragment.char_indices().filter(|(at, letter)| acts(*at, *letter)) {
            out.write_all(&fragment.as_bytes()[from..at])?;
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            from = at + letter.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[from..])
    }
}

pub fn write(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    object.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Escaping))?;
    writeln!(out)
}
