//! `cargo compat explain`: the page of one lint, or the list of all.

use crate::exit::{KEPT, USAGE};
use crate::lints;
use crate::report::{self, Failure, Streams};
use crate::text::did_you_mean;

pub fn run(name: Option<&str>, streams: &Streams) -> std::io::Result<u8> {
    let Some(name) = name else {
        report::lint_list(lints::LINTS, streams)?;
        return Ok(KEPT);
    };
    match lints::find(name) {
        Some(lint) => {
            report::lint_page(lint, streams)?;
            Ok(KEPT)
        }
        None => {
            let failure = Failure::new(format!("there is no lint `{name}`"));
            let failure = match did_you_mean(name, lints::LINTS.iter().map(|lint| lint.name)) {
                Some(near) => failure.help(format!("did you mean this one?\ncargo compat explain {near}")),
                None => failure.help("they are listed by\ncargo compat explain"),
            };
            report::failure(&failure, streams)?;
            Ok(USAGE)
        }
    }
}
