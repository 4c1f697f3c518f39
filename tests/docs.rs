//! What the documents say of the program is what the program says of itself. `SNAPSHOTS=overwrite` corrects them.

use std::fs;
use std::path::Path;

use cargo_compat::lints::LINTS;

fn lint_table() -> String {
    let rows = LINTS.iter().map(|lint| {
        let undecided = if lint.undecided { ", *undecided*" } else { "" };
        format!("| `{}` | {}{undecided} | {} |\n", lint.name, lint.default, lint.summary)
    });
    format!("| lint | default | what it finds |\n| --- | --- | --- |\n{}", rows.collect::<String>())
}

/// Replaces what stands between two marks of a file, or compares it.
fn keep(file: &str, begin: &str, end: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{file} lacks {begin}"));
    let (found, after) = rest.split_once(end).unwrap_or_else(|| panic!("{file} lacks {end}"));
    let found = found.trim_start();
    if found != wanted && std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        fs::write(&path, format!("{before}{begin}\n{wanted}{end}{after}"))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        return;
    }
    assert_eq!(found, wanted, "{file} is out of date; SNAPSHOTS=overwrite corrects it");
}

#[test]
fn the_readme_lists_every_lint() {
    let begin = "<!-- lints: a test keeps this table equal to the registry -->";
    keep("README.md", begin, "<!-- end of lints -->", &lint_table());
}
