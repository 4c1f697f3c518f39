//! Standard output and standard error, with colour where it is wanted.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};

#[derive(Debug, Clone, Copy)]
pub struct Streams {
    color: ColorChoice,
}

impl Streams {
    /// `always`, `never`, or anything else for automatic.
    pub fn new(color: Option<&str>) -> Self {
        let color = match color {
            Some("always") => ColorChoice::AlwaysAnsi,
            Some("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        };
        Self { color }
    }

    pub fn out(&self) -> impl Write + use<> {
        AutoStream::new(io::stdout(), self.color)
    }

    pub fn err(&self) -> impl Write + use<> {
        AutoStream::new(io::stderr(), self.color)
    }
}
