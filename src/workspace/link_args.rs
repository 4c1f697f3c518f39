//! What the linker was told by cargo's configuration and by build scripts, as
//! far as it lets references stay undefined.

use std::path::{Path, PathBuf};

use crate::lints::UndefsOption;

/// A build script that ran, by its message.
#[derive(Debug, Clone)]
pub struct Script {
    pub package: String,
    pub out_dir: PathBuf,
    /// As `-l` takes them.
    pub libraries: Vec<String>,
    pub folders: Vec<PathBuf>,
}

impl Script {
    /// What the script told the linker for one target of its package. `None`:
    /// cargo keeps it elsewhere (fact 50).
    fn link_args(&self, target: &str) -> Option<Vec<String>> {
        let folder = self.out_dir.parent()?;
        let text = std::fs::read(folder.join("output")).ok()?;
        Some(directives(&String::from_utf8_lossy(&text), target))
    }
}

/// The arguments for a program called `target` in a script's output (Cargo
/// Book, "Build Scripts").
fn directives(text: &str, target: &str) -> Vec<String> {
    let mut args = Vec::new();
    for line in text.lines() {
        let Some(line) = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:")) else {
            continue;
        };
        let Some((key, value)) = line.split_once('=') else { continue };
        match key {
            "rustc-link-arg" | "rustc-link-arg-bins" => args.push(value.to_owned()),
            "rustc-link-arg-bin" => {
                let of_target = value.split_once('=').filter(|(name, _)| *name == target);
                args.extend(of_target.map(|(_, arg)| arg.to_owned()));
            }
            _ => {}
        }
    }
    args
}

/// The options that let a program keep undefined references: those of rustc's
/// flags, then those of the build scripts of its package.
pub fn undefs(flags: &[String], scripts: &[Script], package: &str, target: &str) -> Vec<UndefsOption> {
    let mut found = Vec::new();
    let by_flags = lasting(&of_rustc(flags)).map(|option| UndefsOption {
        option: Some(option),
        by: "`rustflags`, in the environment or cargo's configuration".to_owned(),
    });
    found.extend(by_flags);
    for script in scripts.iter().filter(|script| script.package == package) {
        let by = format!("the build script of `{package}`");
        match script.link_args(target) {
            Some(args) => {
                found.extend(lasting(&args).map(|option| UndefsOption { option: Some(option), by }));
            }
            None => found.push(UndefsOption { option: None, by }),
        }
    }
    found
}

/// The arguments for the linker among rustc's flags.
fn of_rustc(flags: &[String]) -> Vec<String> {
    let mut args = Vec::new();
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        let option = match word.as_str() {
            "-C" | "--codegen" => words.next().map(String::as_str),
            other => other.strip_prefix("-C").or_else(|| other.strip_prefix("--codegen=")),
        };
        match option.and_then(|option| option.split_once('=')) {
            Some(("link-arg" | "pre-link-arg", arg)) => args.push(arg.to_owned()),
            Some(("link-args" | "pre-link-args", list)) => {
                args.extend(list.split_whitespace().map(str::to_owned));
            }
            _ => {}
        }
    }
    args
}

/// The option that holds in the end, if it allows undefined references
/// (GNU ld manual, "Command-line Options"): a later one takes it back.
fn lasting(args: &[String]) -> Option<String> {
    let mut words: Vec<(String, &String)> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "-Xlinker" {
            words.extend(rest.next().map(|word| (word.clone(), word)));
        } else if let Some(list) = arg.strip_prefix("-Wl,") {
            words.extend(list.split(',').map(|word| (word.to_owned(), arg)));
        } else {
            words.push((arg.clone(), arg));
        }
    }
    let mut allowed = None;
    let mut at = 0;
    while at < words.len() {
        let (word, shown) = (words[at].0.as_str(), words[at].1.clone());
        let next = words.get(at + 1).map(|(word, _)| word.as_str());
        // Words of one option may stand in two arguments.
        let both = || match words.get(at + 1).map(|(_, shown)| (*shown).clone()) {
            Some(second) if second != shown => format!("{shown} {second}"),
            _ => shown.clone(),
        };
        let bare = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or("");
        let two_words = matches!(bare, "z" | "unresolved-symbols") && next.is_some();
        let value = match (bare, next) {
            ("z", Some(value)) => Some(("z", value)),
            ("unresolved-symbols", Some(value)) => Some(("unresolved-symbols", value)),
            _ => bare.strip_prefix("unresolved-symbols=").map(|value| ("unresolved-symbols", value)).or_else(
                || bare.strip_prefix('z').filter(|_| !word.starts_with("--")).map(|value| ("z", value)),
            ),
        };
        match value {
            Some(("z", "undefs")) => allowed = Some(both()),
            Some(("z", "defs")) => allowed = None,
            Some(("unresolved-symbols", how)) if how.starts_with("ignore") => allowed = Some(both()),
            Some(("unresolved-symbols", "report-all")) => allowed = None,
            _ => match bare {
                "warn-unresolved-symbols" => allowed = Some(shown),
                "error-unresolved-symbols" | "no-undefined" => allowed = None,
                _ => {}
            },
        }
        at += if two_words { 2 } else { 1 };
    }
    allowed
}

/// Libraries and folders that the scripts below a profile's folder named, where
/// no build tells which of them ran.
pub fn scripts_of_folder(profile: &Path) -> Vec<Script> {
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(profile.join("build")).into_iter().flatten().flatten() {
        let folder = entry.path();
        let Ok(text) = std::fs::read(folder.join("output")) else { continue };
        let mut script = Script {
            package: String::new(),
            out_dir: folder.join("out"),
            libraries: Vec::new(),
            folders: Vec::new(),
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        script.package = name.rsplit_once('-').map_or(name.clone(), |(package, _)| package.to_owned());
        for line in String::from_utf8_lossy(&text).lines() {
            let Some(line) = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:")) else {
                continue;
            };
            match line.split_once('=') {
                Some(("rustc-link-lib", value)) => script.libraries.push(value.to_owned()),
                Some(("rustc-link-search", value)) => script.folders.extend(search_folder(value)),
                _ => {}
            }
        }
        scripts.push(script);
    }
    scripts
}

/// `[KIND=]PATH`; a framework's folder has no libraries.
pub fn search_folder(text: &str) -> Option<PathBuf> {
    match text.split_once('=') {
        Some(("framework" | "crate" | "dependency", _)) => None,
        Some(("native" | "all", path)) => Some(PathBuf::from(path)),
        _ => Some(PathBuf::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn options_that_allow_undefined_references() {
        for (args, expected) in [
            (&["-Wl,-z,undefs"][..], Some("-Wl,-z,undefs")),
            (&["-z", "undefs"], Some("-z undefs")),
            (&["-Wl,-z", "-Wl,undefs"], Some("-Wl,-z -Wl,undefs")),
            (&["-zundefs"], Some("-zundefs")),
            (&["-Xlinker", "-z", "-Xlinker", "undefs"], Some("-z undefs")),
            (&["-Wl,--unresolved-symbols=ignore-all"], Some("-Wl,--unresolved-symbols=ignore-all")),
            (
                &["--unresolved-symbols", "ignore-in-object-files"],
                Some("--unresolved-symbols ignore-in-object-files"),
            ),
            (&["-Wl,--warn-unresolved-symbols"], Some("-Wl,--warn-unresolved-symbols")),
            (&["-Wl,-z,undefs", "-Wl,-z,defs"], None),
            (&["-Wl,--warn-unresolved-symbols,--error-unresolved-symbols"], None),
            (&["-Wl,-z,now", "-Wl,--no-undefined", "-Wl,--allow-shlib-undefined"], None),
            (&["-Wl,-z"], None),
            (&[], None),
        ] {
            assert_eq!(lasting(&strings(args)).as_deref(), expected, "{args:?}");
        }
    }

    #[test]
    fn flags_of_rustc() {
        let flags = [
            "-Clink-arg=-Wl,-z,undefs",
            "-C",
            "link-args=-a -b",
            "-C",
            "opt-level=2",
            "--codegen=link-arg=-c",
        ];
        assert_eq!(of_rustc(&strings(&flags)), ["-Wl,-z,undefs", "-a", "-b", "-c"]);
    }

    #[test]
    fn directives_for_one_program() {
        let text = "warning\ncargo:rustc-link-arg=-a\ncargo::rustc-link-arg-bins=-b\ncargo:rustc-link-arg-bin=x=-c\n\
                    cargo:rustc-link-arg-bin=y=-d\ncargo:rustc-link-arg-cdylib=-e\n";
        assert_eq!(directives(text, "x"), ["-a", "-b", "-c"]);
    }
}
