//! What the real loader says of a file, asked inside its own root as `ldd -r` asks (glibc, `elf/ldd.bash.in`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::Arch;
use super::subjects::Subject;

/// Where the static QEMU stands in each root.
pub const QEMU: &str = "/agreement-qemu";

/// The loader's whole word on one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub libraries: BTreeSet<String>,
    /// By the file's name; those of a weak need are not among them: the loader only warns.
    pub versions: BTreeSet<(String, String)>,
    /// `name` or `name@version`, and whether it is missed at the start already.
    pub symbols: BTreeMap<String, bool>,
    /// Why it gave up.
    pub stopped: Option<String>,
    /// The program's interpreter, where the root has none.
    pub interpreter: Option<String>,
}

impl Said {
    pub fn verdict(&self) -> &'static str {
        if !self.libraries.is_empty()
            || !self.versions.is_empty()
            || self.stopped.is_some()
            || self.interpreter.is_some()
            || self.symbols.values().any(|start| *start)
        {
            "fails_at_start"
        } else if !self.symbols.is_empty() {
            "fails_at_call"
        } else {
            "loads"
        }
    }
}

pub struct Loader {
    arch: &'static Arch,
    root: PathBuf,
    /// It is mounted in the root under its own name: the subjects are below.
    files: PathBuf,
}

impl Loader {
    pub fn new(arch: &'static Arch, root: &Path, files: &Path) -> Self {
        Self { arch, root: root.to_path_buf(), files: files.join("files") }
    }

    pub fn ask(&self, subject: &Subject) -> anyhow::Result<Said> {
        let mut said = parse(&self.trace(&subject.path, true)?);
        if !said.symbols.is_empty() {
            // Without LD_BIND_NOW functions that the loader binds when they are called are not looked for.
            let start = parse(&self.trace(&subject.path, false)?);
            for (name, at_start) in &mut said.symbols {
                *at_start = start.symbols.contains_key(name);
            }
        }
        let absent = |path: &String| !path.is_empty() && !within(&self.root, path).exists();
        said.interpreter = subject.facts.interpreter.clone().filter(absent);
        Ok(said)
    }

    fn trace(&self, file: &Path, everything: bool) -> anyhow::Result<Vec<String>> {
        let mut command = Command::new("timeout");
        command.args(["600", "bwrap", "--unshare-user", "--ro-bind"]).arg(&self.root).arg("/");
        command.arg("--ro-bind").arg(&self.files).arg(&self.files).args(["--dev", "/dev"]);
        command.args(["--chdir", "/", "--clearenv", "--setenv", "LD_TRACE_LOADED_OBJECTS", "1"]);
        command.args(["--setenv", "LD_WARN", "yes"]);
        if everything {
            command.args(["--setenv", "LD_BIND_NOW", "yes"]);
        }
        command.arg("--");
        if std::env::consts::ARCH != self.arch.rust {
            command.arg(QEMU);
        }
        command.arg(self.arch.loader).arg(file);
        let output = command.stdin(Stdio::null()).output().context("cannot start bubblewrap")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + "\n"
            + &String::from_utf8_lossy(&output.stderr);
        ensure!(!text.contains("bwrap: "), "bubblewrap failed: {text}");
        ensure!(output.status.code() != Some(124), "the loader hangs on {}", file.display());
        let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        if !output.status.success() {
            lines.push(format!("{FAILED}{}", output.status));
        }
        Ok(lines)
    }
}

/// The name of a path in a root; absolute links of the root stay in it.
pub fn within(root: &Path, path: &str) -> PathBuf {
    let mut at = root.join(path.trim_start_matches('/'));
    for _ in 0..16 {
        match std::fs::read_link(&at) {
            Ok(target) if target.is_absolute() => at = root.join(target.strip_prefix("/").unwrap_or(&target)),
            Ok(target) => at = at.parent().unwrap_or(root).join(target),
            Err(_) => break,
        }
    }
    at
}

const FAILED: &str = "the loader ended: ";

fn parse(lines: &[String]) -> Said {
    let mut said = Said::default();
    let mut ended = None;
    for line in lines {
        if let Some(name) = line.strip_suffix(" => not found") {
            said.libraries.insert(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("undefined symbol: ") {
            // `NAME, version VERSION<tab>(FILE)`
            let symbol = rest.split('\t').next().unwrap_or(rest);
            said.symbols.insert(symbol.replace(", version ", "@"), true);
        } else if let Some((before, _)) = line.split_once("' not found (required by") {
            // `LOADER: FILE: version `VERSION' not found (required by …)`
            if let Some((file, version)) = before.split_once(": version `") {
                let file = file.rsplit(": ").next().unwrap_or(file);
                let file = file.rsplit('/').next().unwrap_or(file);
                said.versions.insert((file.to_owned(), version.to_owned()));
            }
        } else if line.contains("error while loading shared libraries")
            || line.contains("Inconsistency detected")
        {
            said.stopped = Some(line.clone());
        } else if let Some(status) = line.strip_prefix(FAILED) {
            ended = Some(status.to_owned());
        }
    }
    // Missing versions alone make it end with an error too.
    if said.stopped.is_none()
        && said.versions.is_empty()
        && said.libraries.is_empty()
        && said.symbols.is_empty()
    {
        said.stopped = ended.map(|status| format!("{status}: {}", lines.join(" | ")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_prints() {
        let text = "\tlibcapstone.so.4 => not found
\tlibc.so.6 => /lib/s390x-linux-gnu/libc.so.6 (0x1)
/f/a.so: /lib/s390x-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /f/a.so)
/f/a.so: /lib/s390x-linux-gnu/libz.so.1: weak version `Z_9' not found (required by /f/a.so)
undefined symbol: PyList_New\t(/f/a.so)
undefined symbol: strlcpy, version GLIBC_2.38\t(/f/a.so)";
        let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        let said = parse(&lines);
        assert_eq!(said.libraries, BTreeSet::from(["libcapstone.so.4".to_owned()]));
        assert_eq!(said.versions, BTreeSet::from([("libc.so.6".to_owned(), "GLIBC_2.38".to_owned())]));
        assert_eq!(said.symbols.keys().collect::<Vec<_>>(), ["PyList_New", "strlcpy@GLIBC_2.38"]);
        assert_eq!(said.stopped, None);
        assert_eq!(said.verdict(), "fails_at_start");
    }

    #[test]
    fn a_loader_that_gives_up() {
        let said = parse(&["Inconsistency detected by ld.so: dl-version.c: 205".to_owned()]);
        assert!(said.stopped.is_some());
        assert_eq!(said.verdict(), "fails_at_start");
        assert!(parse(&[format!("{FAILED}signal: 11")]).stopped.is_some());
    }
}
