//! The loader does not find the definition of a symbol.

use super::{Check, Lint, Sink, in_root, of_root};
use crate::emulate::Trial;
use crate::emulate::outcome::Outcome;
use crate::finding::{Finding, Item, Level};

pub static LINT: Lint = Lint {
    name: "symbol_not_found",
    default: Level::Deny,
    undecided: false,
    enforces_rule: false,
    summary: "under `test`: nothing that is loaded defines a symbol that is used",
    page: include_str!("symbol_not_found.md"),
    check: Check::Trial(check),
};

fn check(trial: &Trial, sink: &mut Sink<'_>) {
    let Outcome::SymbolNotFound { symbol, version, object } = &trial.outcome else { return };
    let shown = &trial.name.shown;
    let name = match version {
        Some(version) => format!("{symbol}@{version}"),
        None => symbol.clone(),
    };
    let finding = Finding::new(format!("`{shown}` ends at the undefined symbol `{name}`"));
    sink.push(
        of_root(finding, trial)
            .subject(symbol.as_str())
            .item(Item::Symbol { name: symbol.clone(), version: version.clone(), file: None, at: None })
            .note(in_root(trial))
            .note(format!(
                "{} uses it, and no library that is loaded defines it",
                crate::text::path(std::path::Path::new(object))
            ))
            .help("link the library that defines it, or one of the version that the root has"),
    );
}
