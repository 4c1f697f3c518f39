//! The facts of a file, for `show`.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::model::{PathText, SCHEMA_VERSION, Tool};
use super::{Failure, MessageFormat, Streams, human, json};
use crate::artifact::{AbiVersion, Artifact, Binding, Format, Libc, Stack, Symbols};
use crate::text::{escape, path as shown, some_of};

/// A file and what it turned out to be.
#[derive(Debug)]
pub enum Shown {
    Facts(PathBuf, Box<Artifact>),
    Other(PathBuf, Format),
}

/// The report of `cargo compat show --message-format json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, expect(missing_debug_implementations, reason = "it is only written"))]
pub struct Object<'a> {
    schema_version: u32,
    tool: Tool,
    command: &'static str,
    exit_code: u8,
    files: Vec<FileOut<'a>>,
    failures: &'a [Failure],
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct FileOut<'a> {
    #[serde(flatten)]
    path: PathText,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'a Artifact>,
}

pub fn show(
    files: &[Shown],
    failures: &[Failure],
    exit_code: u8,
    format: MessageFormat,
    streams: &Streams,
) -> io::Result<()> {
    let mut out = streams.out();
    if format == MessageFormat::Json {
        let files = files.iter().map(|file| match file {
            Shown::Facts(path, facts) => {
                FileOut { path: PathText::new(path), format: None, facts: Some(facts) }
            }
            Shown::Other(path, format) => {
                FileOut { path: PathText::new(path), format: Some(*format), facts: None }
            }
        });
        let object = Object {
            schema_version: SCHEMA_VERSION,
            tool: Tool::this(),
            command: "show",
            exit_code,
            files: files.collect(),
            failures,
        };
        json::write(&mut out, &object)?;
    } else {
        for (at, file) in files.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            match file {
                Shown::Facts(path, facts) => self::facts(&mut out, &shown(path), facts)?,
                Shown::Other(path, format) => {
                    writeln!(out, "{}: {format}; not examined", shown(path))?;
                }
            }
        }
    }
    out.flush()?;
    let mut err = streams.err();
    for failure in failures {
        human::failure(&mut err, failure)?;
    }
    err.flush()
}

/// A line of `name: value`; lists go below each other.
fn row(out: &mut impl Write, name: &str, values: &[String]) -> io::Result<()> {
    for (at, value) in values.iter().enumerate() {
        let head = format!("  {:<20}", if at == 0 { name } else { "" });
        let rest = " ".repeat(head.len() + 2);
        let value = escape(value);
        let options = textwrap::Options::new(80)
            .initial_indent(&head)
            .subsequent_indent(&rest)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        writeln!(out, "{}", textwrap::fill(&value, options))?;
    }
    Ok(())
}

fn one(value: impl ToString) -> [String; 1] {
    [value.to_string()]
}

pub fn facts(out: &mut impl Write, path: &str, facts: &Artifact) -> io::Result<()> {
    writeln!(out, "{path}: {}", kind(facts))?;
    row(out, "interpreter", facts.interpreter.as_slice())?;
    if facts.libc != Libc::Unknown {
        row(out, "C library", &one(facts.libc))?;
    }
    row(out, "soname", facts.soname.as_slice())?;
    row(out, "needed", &facts.needed)?;
    row(out, "run path (DT_RPATH)", &facts.rpath)?;
    row(out, "run path", &facts.runpath)?;
    row(out, "version needs", &version_needs(facts))?;
    if !facts.version_definitions.is_empty() {
        row(out, "versions defined", &one(some_of(&facts.version_definitions, 6)))?;
    }
    row(out, "symbols", symbols(facts).as_slice())?;
    row(out, "properties", &one(properties(facts)))?;
    row(out, "build id", facts.build_id.as_slice())?;
    row(out, "kernel", facts.abi_tag.clone().map(|tag| format!("{tag} or newer")).as_slice())?;
    row(out, "opens at run time", &facts.dlopen)
}

fn kind(facts: &Artifact) -> String {
    let role = match (facts.is_static(), facts.role) {
        (true, _) => "static executable",
        (false, crate::artifact::Role::Executable) => "executable",
        (false, crate::artifact::Role::SharedObject) => "shared object",
    };
    format!("{role} for {} ({})", facts.arch, facts.elf_type)
}

fn version_needs(facts: &Artifact) -> Vec<String> {
    let mut files: Vec<&str> = facts.version_needs.iter().map(|need| need.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let of_file = |file: &str| {
        let needs = facts.version_needs.iter().filter(|need| need.file == file);
        let mut needs: Vec<_> = needs.collect();
        needs.sort_by_cached_key(|need| {
            let version = AbiVersion::parse(&need.version, []);
            (version.namespace, version.tag.release().cloned(), need.version.clone())
        });
        let nodes = needs.into_iter().map(|need| match need.weak {
            true => format!("{} (weak)", need.version),
            false => need.version.clone(),
        });
        format!("{file}: {}", nodes.collect::<Vec<_>>().join(", "))
    };
    files.into_iter().map(of_file).collect()
}

fn symbols(facts: &Artifact) -> Option<String> {
    match facts.symbols.as_ref()? {
        Symbols::Unreadable(why) => Some(format!("cannot be read: {why}")),
        Symbols::OfVersions(_) => None,
        Symbols::All(symbols) if symbols.is_empty() => None,
        Symbols::All(symbols) => {
            let defined =
                symbols.iter().filter(|symbol| symbol.defined && symbol.binding != Binding::Local).count();
            let weak =
                symbols.iter().filter(|symbol| !symbol.defined && symbol.binding == Binding::Weak).count();
            let strong =
                symbols.iter().filter(|symbol| !symbol.defined && symbol.binding == Binding::Global).count();
            Some(format!(
                "{} defined; {strong} undefined, and {weak} more by weak references",
                count_of(defined)
            ))
        }
    }
}

fn count_of(number: usize) -> String {
    if number == 0 { "none".to_owned() } else { number.to_string() }
}

fn properties(facts: &Artifact) -> String {
    let mut parts = Vec::new();
    let flags = [
        (facts.pie, "position-independent executable"),
        (facts.bind_now, "binds at start"),
        (facts.relr, "packed relative relocations (DT_RELR)"),
        (facts.text_relocations, "text relocations"),
        (facts.stack == Stack::Executable, "executable stack"),
        (facts.stack == Stack::Unsaid, "says nothing of its stack"),
    ];
    parts.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.to_owned()));
    if let Some(bits) = facts.x86_isa_needed {
        parts.push(format!("x86 ISA needed {bits:#x}"));
    }
    parts.push(format!("segments aligned to {:#x} bytes", facts.load_alignment));
    parts.join(", ")
}
