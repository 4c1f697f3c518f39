//! Real reports and real policies are held against the schemas in `schemas/`. That the schemas are those of the
//! types is a test beside the types.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_compat::policy::{Source, parse};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn schema(name: &str) -> jsonschema::Validator {
    let text = fs::read_to_string(root().join("schemas").join(name)).expect(name);
    let schema: Value = serde_json::from_str(&text).expect(name);
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name} is no JSON Schema: {error}"));
    jsonschema::validator_for(&schema).expect(name)
}

fn files_named(name: &str) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root().join("tests/cases")).sort_by_file_name();
    let files = entries.into_iter().flatten().filter(|entry| entry.file_name() == name);
    files.map(walkdir::DirEntry::into_path).collect()
}

/// Every report in a transcript, and one that lacks a field to see the schema refuse.
#[test]
fn reports_are_as_their_schemas_say() {
    let schemas = ["check", "diff", "platforms", "show", "why"]
        .map(|command| (command, schema(&format!("{command}.schema.json"))));
    let mut held = [0; 5];
    for path in files_named("transcript.txt") {
        let text = fs::read_to_string(&path).expect("a transcript is text");
        for line in text.lines().filter(|line| line.starts_with("{\"schema_version\"")) {
            let report: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let at = schemas
                .iter()
                // A merged report is one of `check`.
                .position(|(command, _)| {
                    let report = &report["command"];
                    // `platforms show` and its like share one.
                    let first = report.as_str().and_then(|report| report.split(' ').next());
                    first == Some(command) || (report == "merge" && *command == "check")
                })
                .expect("a known command");
            let validator = &schemas[at].1;
            if let Err(error) = validator.validate(&report) {
                panic!("{}: {error} at {}", path.display(), error.instance_path());
            }
            let mut broken = report.clone();
            broken.as_object_mut().expect("an object").remove("exit_code");
            assert!(!validator.is_valid(&broken), "a report without its exit code passes");
            held[at] += 1;
        }
    }
    assert!(held.iter().all(|number| *number > 2), "too few reports in the transcripts: {held:?}");
}

/// `show` says one line for each file and platform.
#[test]
fn lines_of_show_are_as_their_schema_says() {
    let schema = schema("show-lines.schema.json");
    let mut held = 0;
    for path in files_named("transcript.txt") {
        let text = fs::read_to_string(&path).expect("a transcript is text");
        for line in text.lines().filter(|line| line.starts_with("{\"file\"")) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            if let Err(error) = schema.validate(&line) {
                panic!("{}: {error} at {}", path.display(), error.instance_path());
            }
            let mut broken = line.clone();
            broken.as_object_mut().expect("an object").remove("verdict");
            assert!(!schema.is_valid(&broken), "a line without its verdict passes");
            held += 1;
        }
    }
    assert!(held > 2, "too few lines in the transcripts: {held}");
}

/// JSON knows no dates; editors hold them against a string.
fn as_editors_see(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(as_editors_see).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, as_editors_see(value))).collect()
        }
        other => serde_json::to_value(other).expect("plain values fit into JSON"),
    }
}

/// A policy that is taken fits the schema, and one with an unknown key does not.
#[test]
fn policies_are_as_their_schema_says() {
    let schema = schema("compat.schema.json");
    let mut texts =
        vec![(root().join("compat.toml"), fs::read_to_string(root().join("compat.toml")).expect("ours"))];
    for path in files_named("compat.toml") {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        texts.push((path, text));
    }
    for path in files_named("case.toml") {
        let case: toml::Table =
            fs::read_to_string(&path).expect("a case is text").parse().expect("a case is TOML");
        let files = case.get("file").and_then(toml::Value::as_table).into_iter().flatten();
        let text = |value: &toml::Value| value.get("text").and_then(toml::Value::as_str).map(str::to_owned);
        texts.extend(
            files
                .filter(|(name, _)| name.ends_with(".toml"))
                .filter_map(|(_, value)| Some((path.clone(), text(value)?))),
        );
    }
    let (mut taken, mut refused) = (0, 0);
    for (path, text) in texts {
        let Ok(table) = text.parse::<toml::Table>() else { continue };
        let value = as_editors_see(toml::Value::Table(table));
        match parse(Source { path: Path::new("compat.toml").to_owned(), text: text.clone() }) {
            Ok(_) => {
                taken += 1;
                if let Err(error) = schema.validate(&value) {
                    panic!("{}: {error} at {}\n{text}", path.display(), error.instance_path());
                }
            }
            Err((_, problems))
                if problems.iter().any(|problem| problem.message.starts_with("unknown key")) =>
            {
                refused += 1;
                assert!(
                    !schema.is_valid(&value),
                    "{}: the schema takes an unknown key\n{text}",
                    path.display()
                );
            }
            Err(_) => {}
        }
    }
    assert!(taken > 50 && refused > 0, "{taken} policies were taken, {refused} refused for a key");
}
