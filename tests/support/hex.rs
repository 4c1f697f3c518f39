//! Bytes written as hexadecimal text in a `case.toml`; white space between them is free.

use anyhow::{Context, bail};
use serde::Deserialize;

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(pub Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        let digits: String = text.split_whitespace().collect();
        if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
            bail!("`{text}` is not pairs of hexadecimal digits");
        }
        (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16))
            .collect::<Result<_, _>>()
            .map(Self)
            .with_context(|| format!("`{text}` is not hexadecimal"))
    }
}
