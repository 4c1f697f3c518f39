//! Text that came from a file or a file system, made safe to show.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Whether a character could move the cursor, start an escape sequence, or
/// reorder what surrounds it (Unicode's bidirectional controls, UAX #9).
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// `text` with every character that is unsafe in a terminal written as an
/// escape, and so that no build service takes it for a command to itself:
/// `##vso[…]`, `##teamcity[…]`, or `::add-mask::…` where a line may begin.
pub fn escape(text: &str) -> String {
    escaped(text).into_owned()
}

/// The same, and what is plain is not copied.
pub fn escaped(text: &str) -> Cow<'_, str> {
    // Nearly all text is that plain.
    let is_plain = |pair: &[u8]| pair != b"##" && pair != b"::";
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.as_bytes().windows(2).all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut before = ' ';
    while let Some(character) = rest.next() {
        let commands = match character {
            '#' => rest.as_str().starts_with('#'),
            ':' => before.is_whitespace() && rest.as_str().starts_with(':'),
            _ => false,
        };
        before = character;
        if commands {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else if is_unsafe(character) {
            // Writing to a `String` cannot fail.
            let _ = write!(safe, "{}", character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// The folder that paths are shown relative to.
static BASE: LazyLock<PathBuf> = LazyLock::new(|| std::env::current_dir().unwrap_or_default());

/// A path for people: relative where it lies below the current folder, escaped,
/// and with bytes that are not UTF-8 as `\xNN`.
pub fn path(path: &Path) -> String {
    let path = path.strip_prefix(&*BASE).ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path);
    bytes(path.as_os_str().as_encoded_bytes())
}

/// Bytes that are text but for some: escaped, and those as `\xNN`.
pub fn bytes(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// What a panic said.
pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
}

/// `1 file`, `2 files`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first `most` of `names`, and how many more there are.
pub fn some_of(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The candidate nearest to `wrong`, if one is near enough to have been meant.
pub fn did_you_mean<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(wrong, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The existing symbol that `wrong` was meant to be, if one is near: what
/// stands behind the last `/` is the same (an import path that moved), or few
/// letters differ.
pub fn nearest_symbol<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let moved = wrong.rsplit_once('/').map(|(_, tail)| tail);
    let most = (wrong.chars().count() / 6).clamp(1, 3);
    let distance = |candidate: &str| {
        let tail = candidate.rsplit('/').next().unwrap_or(candidate);
        if moved.is_some_and(|moved| moved == tail) {
            return Some(0);
        }
        // Nothing to measure where the lengths alone differ too much; a letter has up to four bytes.
        let widest = if wrong.is_ascii() && candidate.is_ascii() { most } else { 4 * most };
        if wrong.len().abs_diff(candidate.len()) > widest {
            return None;
        }
        Some(strsim::osa_distance(wrong, candidate)).filter(|distance| *distance <= most)
    };
    candidates
        .into_iter()
        .filter(|candidate| *candidate != wrong)
        .filter_map(|candidate| Some((distance(candidate)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_escaped() {
        assert_eq!(escape("a\x1b[31mb\n\u{202e}c"), "a\\u{1b}[31mb\\n\\u{202e}c");
        assert_eq!(escape("grün-1.0"), "grün-1.0");
        assert_eq!(escape("a ##vso[b] ::c:: d::e #1"), "a \\u{23}#vso[b] \\u{3a}:c:: d::e #1");
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf8_keeps_its_bytes() {
        use std::os::unix::ffi::OsStrExt as _;
        let raw = std::ffi::OsStr::from_bytes(b"a\xff\x1b");
        assert_eq!(path(Path::new(raw)), "a\\xff\\u{1b}");
    }
}
