//! What cargo's configuration settles for one run: files, variables, and
//! `--config` before both (Cargo Book, "Configuration").

#[cfg(target_os = "linux")]
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{CargoOptions, Manifest, cargo, folder_of};
use crate::process::Invocation;
use crate::report::Failure;

/// Cargo's word for the machine that builds.
const HOST_TUPLE: &str = "host-tuple";

#[derive(Debug)]
pub struct Settings {
    config: cargo_config2::Config,
    overrides: Vec<toml::Table>,
    requested: Vec<String>,
}

impl Settings {
    pub fn load(options: &CargoOptions, folder: &Path) -> Result<Self, Failure> {
        let wrong = |error: cargo_config2::Error| {
            let mut failure = Failure::new("cargo's configuration cannot be read");
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                failure = failure.note(error.to_string());
                cause = error.source();
            }
            failure
        };
        let config = cargo_config2::Config::load_with_cwd(folder).map_err(wrong)?;
        let overrides = overrides(options, folder);
        let mut requested = options.targets.clone();
        if requested.is_empty() {
            requested = overridden_targets(&overrides);
        }
        let requested = config.build_target_for_cli(&requested).map_err(wrong)?;
        Ok(Self { config, overrides, requested })
    }

    /// Whether the host's triple must be known.
    pub fn needs_host(&self) -> bool {
        self.requested.is_empty() || self.requested.iter().any(|target| target == HOST_TUPLE)
    }

    /// Whether targets were named: then each has a folder of its own.
    pub fn has_targets(&self) -> bool {
        !self.requested.is_empty()
    }

    /// The triples asked for, as cargo names their folders.
    pub fn triples(&self, host: Option<&str>) -> Vec<String> {
        let triple = |target: &String| match (target.as_str(), host) {
            (HOST_TUPLE, Some(host)) => host.to_owned(),
            (target, _) => folder_of(target),
        };
        self.requested.iter().map(triple).collect()
    }

    pub fn target_dir(&self, options: &CargoOptions, manifest: &Manifest, folder: &Path) -> PathBuf {
        if let Some(target_dir) = &options.target_dir {
            return folder.join(target_dir);
        }
        if let Some(target_dir) = self.overridden(&["build", "target-dir"]).and_then(toml::Value::as_str) {
            return folder.join(target_dir);
        }
        match &self.config.build.target_dir {
            Some(target_dir) => manifest.root.join(target_dir),
            None => manifest.root.join("target"),
        }
    }

    /// Whether a linker is named for a triple, in whatever way.
    pub fn names_linker(&self, triple: &str) -> bool {
        let by_variable = std::env::var_os(super::linker::variable(triple)).is_some();
        let by_override = self.overridden(&["target", triple, "linker"]).is_some();
        let by_file = self.config.linker(triple).ok().flatten().is_some();
        by_variable
            || by_override
            || by_file
            || self.rustflags(triple).iter().any(|flag| flag.contains("linker="))
    }

    /// The runner that is configured for a triple, and its arguments.
    #[cfg(target_os = "linux")]
    pub fn runner(&self, triple: &str) -> Option<(PathBuf, Vec<OsString>)> {
        let words = match self.overridden(&["target", triple, "runner"]) {
            Some(toml::Value::String(text)) => text.split_whitespace().map(OsString::from).collect(),
            Some(toml::Value::Array(list)) => {
                list.iter().filter_map(toml::Value::as_str).map(OsString::from).collect()
            }
            _ => Vec::new(),
        };
        if let Some((program, args)) = words.split_first() {
            return Some((program.into(), args.to_vec()));
        }
        let found = self.config.runner(triple).ok().flatten()?;
        Some((found.path, found.args))
    }

    /// The `-C` options that decide the CPU.
    pub fn cpu_flags(&self, triple: Option<&str>) -> Vec<String> {
        let flags = triple.map(|triple| self.rustflags(triple)).unwrap_or_default();
        let mut found = Vec::new();
        let mut words = flags.iter();
        while let Some(word) = words.next() {
            let option = match word.as_str() {
                "-C" | "--codegen" => words.next().map(String::as_str),
                other => other.strip_prefix("-C").or_else(|| other.strip_prefix("--codegen=")),
            };
            found.extend(option.filter(|option| option.starts_with("target-")).map(str::to_owned));
        }
        found
    }

    /// The linker that is named for a triple.
    pub fn linker(&self, triple: &str) -> Option<String> {
        if let Some(by_variable) =
            std::env::var(super::linker::variable(triple)).ok().filter(|name| !name.is_empty())
        {
            return Some(by_variable);
        }
        if let Some(by_override) =
            self.overridden(&["target", triple, "linker"]).and_then(toml::Value::as_str)
        {
            return Some(by_override.to_owned());
        }
        let by_file = self.config.linker(triple).ok().flatten();
        by_file.map(|linker| linker.to_string_lossy().into_owned())
    }

    pub fn rustflags(&self, triple: &str) -> Vec<String> {
        let flags = self.config.rustflags(triple).ok().flatten();
        let mut flags = flags.map(|flags| flags.flags).unwrap_or_default();
        for path in [&["target", triple, "rustflags"][..], &["build", "rustflags"][..]] {
            match self.overridden(path) {
                Some(toml::Value::String(text)) => flags.extend(text.split_whitespace().map(str::to_owned)),
                Some(toml::Value::Array(list)) => {
                    flags.extend(list.iter().filter_map(toml::Value::as_str).map(str::to_owned));
                }
                _ => {}
            }
        }
        flags
    }

    fn overridden(&self, path: &[&str]) -> Option<&toml::Value> {
        self.overrides.iter().rev().find_map(|table| lookup(table, path))
    }

    /// The rustc that cargo would call.
    pub fn rustc(&self) -> Invocation {
        let configured = self.config.rustc();
        // Beside the cargo that calls us stands its rustc: no detour by rustup.
        let beside = PathBuf::from(cargo()).with_file_name("rustc");
        let is_plain = configured.path.as_os_str() == "rustc";
        let program = match is_plain && beside.is_absolute() && beside.is_file() {
            true => beside.into_os_string(),
            false => configured.path.clone().into_os_string(),
        };
        Invocation::new(program)
    }
}

/// Whether the command line itself names targets by `--config`.
pub fn config_names_targets(options: &CargoOptions, folder: &Path) -> bool {
    !overridden_targets(&overrides(options, folder)).is_empty()
}

/// `--config`: TOML, or the path of a file. What is wrong in it cargo says.
fn overrides(options: &CargoOptions, folder: &Path) -> Vec<toml::Table> {
    let table = |value: &String| match value.parse::<toml::Table>() {
        Ok(table) => Some(table),
        Err(_) => std::fs::read_to_string(folder.join(value)).ok()?.parse().ok(),
    };
    options.config.iter().filter_map(table).collect()
}

fn overridden_targets(overrides: &[toml::Table]) -> Vec<String> {
    match overrides.iter().rev().find_map(|table| lookup(table, &["build", "target"])) {
        Some(toml::Value::String(target)) => vec![target.clone()],
        Some(toml::Value::Array(targets)) => {
            targets.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn lookup<'t>(table: &'t toml::Table, path: &[&str]) -> Option<&'t toml::Value> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?;
    if rest.is_empty() { Some(value) } else { lookup(value.as_table()?, rest) }
}

/// The triple of this machine, from what Rust's installer wrote beside rustc: a
/// component `rustc-TRIPLE`, and a folder for the triple. To start rustc takes
/// longer than a build that has nothing to do. `None`: it was not installed
/// that way.
pub fn installed_host(rustc: &Invocation) -> Option<String> {
    let path = Path::new(&rustc.program);
    let sysroot = path.parent().filter(|_| path.is_absolute())?.parent()?;
    let rustlib = sysroot.join("lib/rustlib");
    let components = std::fs::read_to_string(rustlib.join("components")).ok()?;
    let names = components.lines().filter_map(|line| line.strip_prefix("rustc-"));
    // `rustc-dev-TRIPLE` is a component too.
    let mut hosts = names.filter(|name| rustlib.join(name).is_dir());
    let host = hosts.next()?;
    hosts.next().is_none().then(|| host.to_owned())
}

/// Asks rustc for the triple of this machine.
pub fn host_triple(rustc: &Invocation) -> Option<String> {
    let output = rustc.clone().args(["-vV"]).output().ok()??;
    output.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installer_says_what_rustc_says() {
        // The toolchain that runs this test; one that was not installed so says nothing.
        let rustc = Invocation::new(PathBuf::from(cargo()).with_file_name("rustc"));
        if let Some(installed) = installed_host(&rustc) {
            assert_eq!(host_triple(&rustc), Some(installed));
        }
    }

    #[test]
    fn a_host_that_is_not_sure_is_not_said() {
        let folder = tempfile::tempdir().unwrap();
        let rustlib = folder.path().join("lib/rustlib");
        let rustc = Invocation::new(folder.path().join("bin/rustc"));
        assert_eq!(installed_host(&rustc), None);
        for triple in ["s390x-unknown-linux-gnu", "x86_64-unknown-linux-musl"] {
            std::fs::create_dir_all(rustlib.join(triple)).unwrap();
        }
        let write = |text: &str| std::fs::write(rustlib.join("components"), text).unwrap();
        let one = "cargo-s390x-unknown-linux-gnu\nrustc-dev-s390x-unknown-linux-gnu\nrustc-s390x-unknown-linux-gnu\n";
        write(one);
        assert_eq!(installed_host(&rustc).as_deref(), Some("s390x-unknown-linux-gnu"));
        write(&format!("{one}rustc-x86_64-unknown-linux-musl\n"));
        assert_eq!(installed_host(&rustc), None);
        assert_eq!(installed_host(&Invocation::new("rustc")), None);
    }
}
