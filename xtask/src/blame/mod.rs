//! Real programs against an independent disassembly: which functions use each import.
//!
//! Builds them once below `target/blame/`, with the relocations kept that tell objdump what an instruction names, and
//! calls `tests/blame.rs` on them. With `--answers`, what the command says of stripped and optimised builds is held
//! against a plain one. Registries are asked, so CI does not run it.

mod answers;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::{Usage, process, root};

/// By which cross compiler each is linked.
const TARGETS: [(&str, &str); 4] = [
    ("x86_64-unknown-linux-gnu", "x86_64-linux-gnu-gcc"),
    ("s390x-unknown-linux-gnu", "s390x-linux-gnu-gcc"),
    ("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu-gcc"),
    ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc"),
];

struct Program {
    name: &'static str,
    source: Source,
    file: &'static str,
    /// Its C dependencies compile for other targets too.
    crosses: bool,
    package: &'static str,
    /// Which of its cargo targets is meant.
    select: &'static [&'static str],
    /// Packages with C code that takes long to compile.
    native: &'static [&'static str],
}

enum Source {
    /// A package of the registry, and its version.
    Registry(&'static str, &'static str),
    /// A folder of `tests/blame/programs/`.
    Folder,
}

const PROGRAMS: [Program; 5] = [
    Program {
        name: "own",
        source: Source::Folder,
        file: "own-c",
        crosses: true,
        package: "own-c",
        select: &[],
        native: &[],
    },
    Program {
        name: "extension",
        source: Source::Folder,
        file: "libextension.so",
        crosses: true,
        package: "extension",
        select: &[],
        native: &[],
    },
    Program {
        name: "ripgrep",
        source: Source::Registry("ripgrep", "15.2.0"),
        file: "rg",
        crosses: true,
        package: "ripgrep",
        select: &["--bin", "rg"],
        native: &[],
    },
    Program {
        name: "sqlite",
        source: Source::Folder,
        file: "sqlite-zstd",
        crosses: true,
        package: "sqlite-zstd",
        select: &[],
        native: &["libsqlite3-sys", "zstd-sys"],
    },
    // It is linked with the machine's own libssl.
    Program {
        name: "tls",
        source: Source::Folder,
        file: "tls",
        crosses: false,
        package: "tls",
        select: &[],
        native: &[],
    },
];

/// `[PROGRAM…] [--target TRIPLE] [--lto thin|fat]`, or `[PROGRAM…] --answers [--tool PROGRAM]`
pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    if options.answers {
        let programs: Vec<&Program> = PROGRAMS.iter().filter(|program| options.wants(program.name)).collect();
        return answers::compare(&programs, &root().join("target/blame/answers"), options.tool.as_deref());
    }
    let folder = root().join("target/blame").join(options.lto.as_deref().unwrap_or("plain"));
    let mut files = Vec::new();
    for program in PROGRAMS.iter().filter(|program| options.wants(program.name)) {
        for (target, linker) in TARGETS {
            if options.target.as_deref().is_some_and(|wanted| wanted != target)
                || (!program.crosses && target != TARGETS[0].0)
            {
                continue;
            }
            println!("{} for {target}", program.name);
            files.push(build(program, target, linker, &folder, options.lto.as_deref())?);
        }
    }
    let mut test = process::cargo();
    test.args(["test", "--locked", "--test", "blame", "--", "program::", "--nocapture", "--test-threads=1"]);
    process::run(test.env("BLAME_FILES", std::env::join_paths(&files)?))
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    programs: Vec<String>,
    target: Option<String>,
    lto: Option<String>,
    answers: bool,
    /// The program that is asked, instead of the debug build.
    tool: Option<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, Usage> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let value = match argument.as_str() {
                "--target" => &mut options.target,
                "--lto" => &mut options.lto,
                "--tool" => &mut options.tool,
                "--answers" => {
                    options.answers = true;
                    continue;
                }
                name if PROGRAMS.iter().any(|program| program.name == name) => {
                    options.programs.push(name.to_owned());
                    continue;
                }
                other => {
                    let names: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
                    return Err(Usage(format!(
                        "`blame` takes --target, --lto, --answers, --tool and the programs {}; not `{other}`",
                        names.join(", ")
                    )));
                }
            };
            *value =
                Some(arguments.next().ok_or_else(|| Usage(format!("{argument} needs a value")))?.clone());
        }
        if options.answers && (options.target.is_some() || options.lto.is_some()) {
            return Err(Usage("--answers builds for this machine, in every way".to_owned()));
        }
        if options.tool.is_some() && !options.answers {
            return Err(Usage("--tool is what --answers asks".to_owned()));
        }
        match options.target.as_deref() {
            Some(target) if !TARGETS.iter().any(|(known, _)| *known == target) => {
                Err(Usage(format!("`{target}` is none of the targets whose code is understood")))
            }
            _ => Ok(options),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.programs.is_empty() || self.programs.iter().any(|wanted| wanted == name)
    }
}

fn build(
    program: &Program,
    target: &str,
    linker: &str,
    folder: &Path,
    lto: Option<&str>,
) -> anyhow::Result<PathBuf> {
    let mut cargo = process::cargo();
    let file = match program.source {
        Source::Registry(package, version) => {
            let installed = folder.join("installed").join(target);
            cargo.args(["install", "--locked", "--no-track", "--force", package, "--version", version]);
            cargo.arg("--root").arg(&installed);
            installed.join("bin").join(program.file)
        }
        Source::Folder => {
            // Of a copy: cargo writes a Cargo.lock beside the manifest.
            let copy = folder.join("sources").join(program.name);
            copy_folder(&root().join("tests/blame/programs").join(program.name), &copy)?;
            cargo.args(["build", "--release", "--manifest-path"]).arg(copy.join("Cargo.toml"));
            folder.join(target).join("release").join(program.file)
        }
    };
    cargo.args(["--target", target, "--target-dir"]).arg(folder);
    settings(&mut cargo, target, linker, lto);
    process::run(&mut cargo)?;
    anyhow::ensure!(file.is_file(), "{} was not built", file.display());
    Ok(file)
}

fn settings(cargo: &mut Command, target: &str, linker: &str, lto: Option<&str>) {
    let variable = target.to_uppercase().replace('-', "_");
    cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), linker);
    cargo.env("RUSTFLAGS", "-C link-arg=-Wl,--emit-relocs");
    cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "0").env("CARGO_PROFILE_RELEASE_STRIP", "none");
    // pyo3 needs none for an extension of the stable ABI.
    cargo.env("PYO3_NO_PYTHON", "1");
    if let Some(lto) = lto {
        cargo.env("CARGO_PROFILE_RELEASE_LTO", OsString::from(lto));
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            // Only what changed: cargo goes by the time of a file.
            let bytes = fs::read(entry.path())?;
            if fs::read(&target).ok().as_ref() != Some(&bytes) {
                fs::write(&target, bytes).with_context(|| format!("cannot write {}", target.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, Usage> {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_select_programs_and_targets() {
        let options = parse(&["own", "--target", "s390x-unknown-linux-gnu", "--lto", "fat"]).unwrap();
        assert!(options.wants("own") && !options.wants("sqlite"));
        assert_eq!(options.lto.as_deref(), Some("fat"));
        assert!(parse(&[]).unwrap().wants("tls"));
        assert!(parse(&["--target", "riscv64gc-unknown-linux-gnu"]).is_err());
        assert!(parse(&["--target"]).is_err());
        assert!(parse(&["nothing"]).is_err());
        assert!(parse(&["own", "--answers"]).unwrap().answers);
        assert!(parse(&["--answers", "--lto", "fat"]).is_err());
    }

    #[test]
    fn every_program_is_there() {
        for program in &PROGRAMS {
            let manifest = root().join("tests/blame/programs").join(program.name).join("Cargo.toml");
            assert_eq!(manifest.is_file(), matches!(program.source, Source::Folder), "{}", program.name);
        }
    }
}
