//! `cargo compat show`: what does this file need?

use std::path::PathBuf;

use crate::artifact::{Depth, Examined, ReadError, examine};
use crate::exit::{KEPT, NOT_JUDGED};
use crate::report::{self, Failure, MessageFormat, Shown, Streams};
use crate::text;

#[derive(Debug)]
pub struct Options {
    pub files: Vec<PathBuf>,
    pub format: MessageFormat,
}

pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
    let mut shown = Vec::new();
    let mut failures = Vec::new();
    for path in &options.files {
        match examine(path, Depth::Symbols) {
            Ok(Examined::Elf(facts)) => shown.push(Shown::Facts(path.clone(), facts)),
            Ok(Examined::Other(format)) => shown.push(Shown::Other(path.clone(), format)),
            Err(ReadError::NotAFile(kind)) => {
                let message = format!("{} is {kind}, not a file to show", text::path(path));
                failures.push(Failure::new(message));
            }
            Err(error) => failures
                .push(Failure::new(format!("{} cannot be read", text::path(path))).note(error.to_string())),
        }
    }
    let code = if failures.is_empty() { KEPT } else { NOT_JUDGED };
    report::show(&shown, &failures, code, options.format, streams)?;
    Ok(code)
}
