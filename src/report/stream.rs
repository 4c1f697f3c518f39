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

    /// Standard output as it is, for what has no escape sequences.
    pub fn plain_out(&self) -> impl Write + use<> {
        io::stdout().lock()
    }

    /// Whether colours reach the reader of standard output.
    pub fn out_is_colored(&self) -> bool {
        match self.color {
            ColorChoice::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
            color => color != ColorChoice::Never,
        }
    }

    pub fn err(&self) -> impl Write + use<> {
        AutoStream::new(io::stderr(), self.color)
    }
}
