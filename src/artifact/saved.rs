//! Facts read back from a saved report.

use serde::{Deserialize, Deserializer, de};

/// The words that facts hold as constants.
const NAMES: &[&str] = &[
    "ET_EXEC",
    "ET_DYN", // of a file
    "notype",
    "object",
    "func",
    "tls",
    "ifunc",
    "section",
    "file",
    "common",
    "other", // kinds of symbols
    "default",
    "internal",
    "hidden",
    "protected", // and their visibility
];

/// By another name: serde takes a `&'static str` for one that borrows from the input.
pub type Word = &'static str;

pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
    NAMES.iter().copied().find(|name| *name == text).ok_or_else(|| {
        de::Error::invalid_value(de::Unexpected::Str(&text), &"a word that a report of this program holds")
    })
}
