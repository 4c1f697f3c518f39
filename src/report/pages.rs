//! Lint pages, in a terminal.

use std::io::{self, Write};

use anstyle::{Effects, Style};

use super::Streams;
use crate::lints::Lint;

const HEADING: Style = Style::new().effects(Effects::BOLD);

/// Every lint with its level and what it finds.
pub fn lint_list(lints: &[&Lint], streams: &Streams) -> io::Result<()> {
    let mut out = streams.out();
    let width = lints.iter().map(|lint| lint.name.len()).max().unwrap_or(0);
    for lint in lints {
        let level = if lint.undecided { "undecided" } else { lint.default.name() };
        writeln!(out, "{HEADING}{:<width$}{HEADING:#}  {level:<9}  {}", lint.name, lint.summary)?;
    }
    out.flush()
}

/// A page: Markdown reads well as it is, with its headings set off.
pub fn lint_page(lint: &Lint, streams: &Streams) -> io::Result<()> {
    let mut out = streams.out();
    for line in lint.page.lines() {
        match line.trim_start_matches('#') {
            heading if heading.len() < line.len() => {
                writeln!(out, "{HEADING}{}{HEADING:#}", heading.trim_start())?;
            }
            _ => writeln!(out, "{line}")?,
        }
    }
    out.flush()
}
