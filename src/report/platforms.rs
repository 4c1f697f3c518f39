//! Platforms, in a terminal and for machines.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anstyle::{Effects, Style};
use serde::Serialize;

use super::model::{SCHEMA_VERSION, Tool};
use super::{MessageFormat, Streams, json};
use crate::exit::KEPT;
use crate::platform::{Platform, System};
use crate::text::{count, escape, path as shown};

const HEADING: Style = Style::new().effects(Effects::BOLD);

/// What an import wrote.
#[derive(Debug)]
pub struct Imported {
    pub name: String,
    pub output: PathBuf,
    /// Of the description.
    pub bytes: usize,
    /// Name, C library, libraries and symbols.
    pub architectures: Vec<(String, String, usize, usize)>,
}

/// What changed between two platforms, on one architecture.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Compared {
    pub arch: String,
    /// Library and package.
    pub gone: Vec<(String, String)>,
    pub come: Vec<(String, String)>,
    /// Old and new file name, as reviewed.
    pub renamed: Vec<(String, String)>,
    pub kept: usize,
}

/// The report of `cargo compat platforms list|show|diff --message-format json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, expect(missing_debug_implementations, reason = "it is only written"))]
pub struct Object<'a> {
    schema_version: u32,
    tool: Tool,
    command: &'static str,
    exit_code: u8,
    /// Of `list` and `show`.
    platforms: Vec<Facts<'a>>,
    /// Of `diff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Diff<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Diff<'a> {
    old: &'a str,
    new: &'a str,
    architectures: &'a [Compared],
}

impl<'a> Object<'a> {
    fn new(command: &'static str, platforms: Vec<Facts<'a>>) -> Self {
        let tool = Tool::this();
        Self { schema_version: SCHEMA_VERSION, tool, command, exit_code: KEPT, platforms, diff: None }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Facts<'a> {
    name: &'a str,
    title: &'a str,
    also: &'a [String],
    described: bool,
    released: Option<String>,
    end_of_life: Option<String>,
    architectures: Vec<OnArch>,
    sources: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct OnArch {
    arch: String,
    libc: String,
    /// The oldest CPU that it runs on.
    cpu: Option<String>,
}

fn facts(platform: &Platform) -> Facts<'_> {
    let on = |system: &System| OnArch {
        arch: system.arch().to_string(),
        libc: system.about().libc.clone(),
        cpu: platform.cpu(system.arch()).map(|cpu| cpu.to_string()),
    };
    Facts {
        name: platform.name(),
        title: platform.title(),
        also: platform.also(),
        described: platform.is_described(),
        released: platform.released().map(|date| date.to_string()),
        end_of_life: platform.end_of_life().map(|date| date.to_string()),
        architectures: platform.systems().iter().map(on).collect(),
        sources: platform.sources().collect(),
    }
}

/// Every platform, a line each.
pub fn platform_list(
    platforms: &[Arc<Platform>],
    format: MessageFormat,
    streams: &Streams,
) -> io::Result<()> {
    let mut out = streams.out();
    if format == MessageFormat::Json {
        let platforms = platforms.iter().map(|platform| facts(platform)).collect();
        json::write(&mut out, &Object::new("platforms list", platforms))?;
        return out.flush();
    }
    let rows = platforms.iter().map(|platform| {
        let architectures: Vec<String> = platform.architectures().iter().map(ToString::to_string).collect();
        let libc = platform.systems().first().map(|system| system.about().libc.clone());
        [
            platform.name().to_owned(),
            if platform.is_described() { "described" } else { "published" }.to_owned(),
            libc.unwrap_or_default(),
            platform.end_of_life().map(|date| date.to_string()).unwrap_or_default(),
            architectures.join(", "),
        ]
    });
    let headings = ["platform", "known", "C library", "end of life", "architectures"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(headings).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for (at, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:<width$}  ");
        }
        line += &row[4];
        match at {
            0 => writeln!(out, "{HEADING}{}{HEADING:#}", line.trim_end())?,
            _ => writeln!(out, "{}", line.trim_end())?,
        }
    }
    out.flush()
}

/// All that is known of one platform but its libraries.
pub fn platform_page(platform: &Platform, format: MessageFormat, streams: &Streams) -> io::Result<()> {
    let mut out = streams.out();
    if format == MessageFormat::Json {
        json::write(&mut out, &Object::new("platforms show", vec![facts(platform)]))?;
        return out.flush();
    }
    writeln!(out, "{HEADING}{}{HEADING:#}: {}", escape(platform.name()), escape(platform.title()))?;
    let mut line =
        |heading: &str, text: &str| writeln!(out, "  {:<14} {}", format!("{heading}:"), escape(text));
    if !platform.also().is_empty() {
        line("also", &platform.also().join(", "))?;
    }
    if let Some(date) = platform.released() {
        line("released", &date.to_string())?;
    }
    if let Some(date) = platform.end_of_life() {
        line("end of life", &date.to_string())?;
    }
    line(
        "known",
        match platform.is_described() {
            true => "in full: every library, with its package",
            false => {
                "what is published: the C library, libgcc and libstdc++; whether there is another library is undecided"
            }
        },
    )?;
    for (what, page) in platform.sources() {
        line("source", &format!("{page} ({what})"))?;
    }
    for system in platform.systems() {
        one_system(&mut out, platform, system)?;
    }
    out.flush()
}

fn one_system(out: &mut impl Write, platform: &Platform, system: &System) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "{HEADING}{}{HEADING:#}", system.arch())?;
    let mut line =
        |heading: &str, text: &str| writeln!(out, "  {:<14} {}", format!("{heading}:"), escape(text));
    line("C library", &system.about().libc)?;
    if let Some(cpu) = platform.cpu(system.arch()) {
        line("oldest CPU", &cpu.to_string())?;
    }
    line("searched", &system.search().join(", "))?;
    let (mut files, mut read, mut known, mut plain) = (0, 0, 0, 0);
    let counted = system.each(|item| {
        files += usize::from(item.is_library);
        read += usize::from(item.has_facts);
        known += usize::from(item.has_symbols);
        plain += usize::from(item.plain && item.is_library);
    });
    match counted {
        Err(broken) => line("libraries", &format!("the description cannot be read: {broken}"))?,
        Ok(()) if system.is_described() => {
            line("libraries", &format!("{files}, {plain} of them in a plain install"))?;
            line("looked into", &format!("{read}, of {known} the symbols are known"))?;
            if let Ok(packages) = system.packages()
                && !packages.is_empty()
            {
                line("packages", &packages.len().to_string())?;
            }
        }
        Ok(()) => {}
    }
    for (heading, text) in &system.about().provenance {
        line(heading, text)?;
    }
    Ok(())
}

/// Libraries that are gone, new and renamed.
pub fn platform_diff(
    old: &Platform,
    new: &Platform,
    compared: &[Compared],
    format: MessageFormat,
    streams: &Streams,
) -> io::Result<()> {
    let mut out = streams.out();
    if format == MessageFormat::Json {
        let mut object = Object::new("platforms diff", Vec::new());
        object.diff = Some(Diff { old: old.name(), new: new.name(), architectures: compared });
        json::write(&mut out, &object)?;
        return out.flush();
    }
    for (at, one) in compared.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let (old, new) = (escape(old.name()), escape(new.name()));
        writeln!(out, "{HEADING}{old} → {new}, {}{HEADING:#}", escape(&one.arch))?;
        writeln!(
            out,
            "  {} gone, {} new, {} renamed, {} kept",
            one.gone.len(),
            one.come.len(),
            one.renamed.len(),
            one.kept
        )?;
        for (name, now) in &one.renamed {
            writeln!(out, "  ~ {} → {}", escape(name), escape(now))?;
        }
        let mut each = |sign: char, list: &[(String, String)]| {
            list.iter().try_for_each(|(name, package)| match package.is_empty() {
                true => writeln!(out, "  {sign} {}", escape(name)),
                false => writeln!(out, "  {sign} {} ({})", escape(name), escape(package)),
            })
        };
        each('-', &one.gone)?;
        each('+', &one.come)?;
    }
    out.flush()
}

/// What an import wrote, and how to use it.
pub fn platform_imported(imported: &Imported, streams: &Streams) -> io::Result<()> {
    let mut out = streams.out();
    let path = shown(&imported.output);
    writeln!(out, "{HEADING}{path}{HEADING:#}: {} describes", escape(&imported.name))?;
    for (arch, libc, libraries, symbols) in &imported.architectures {
        writeln!(
            out,
            "  {arch}: {}, {}, {}",
            escape(libc),
            count_of(*libraries, "library", "libraries"),
            count(*symbols, "symbol")
        )?;
    }
    writeln!(out, "  in {} bytes; `cargo compat platforms show {path}` shows it", imported.bytes)?;
    out.flush()
}

fn count_of(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
