//! Files from package registries that tests need: the table `xtask/fixtures.toml`, fetched into `target/fixtures/`.
//!
//! The tests themselves never download; what is not there, they show as ignored.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Usage, process, tools};

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => fetch_all(),
        ["--check"] => check_all(),
        _ => Err(Usage(format!("`fixtures` takes only --check, not `{}`", arguments.join(" "))).into()),
    }
}

/// Fetches what is not there yet.
pub fn fetch_all() -> anyhow::Result<()> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Two of these at once would unpack into the same folder.
    let lock = folder.join(".lock");
    let lock = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
    lock.lock().context("cannot lock target/fixtures/.lock")?;
    for fixture in table()? {
        if fixture.is_there(&folder) {
            println!("{}: there", fixture.name);
        } else {
            fixture.fetch(&folder).with_context(|| format!("fixture `{}`", fixture.name))?;
            println!("{}: fetched to {}", fixture.name, folder.join(&fixture.name).display());
        }
    }
    Ok(())
}

fn check_all() -> anyhow::Result<()> {
    let folder = folder();
    let missing: Vec<String> = table()?
        .into_iter()
        .filter(|fixture| !fixture.is_there(&folder))
        .map(|fixture| fixture.name)
        .collect();
    ensure!(
        missing.is_empty(),
        "not in {}, or older than the table: {}",
        folder.display(),
        missing.join(", ")
    );
    Ok(())
}

/// Always the repository's own `target`, whatever `CARGO_TARGET_DIR` says, so that tests know where to look.
fn folder() -> PathBuf {
    crate::root().join("target/fixtures")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    fixture: Vec<Fixture>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    name: String,
    kind: Kind,
    package: String,
    version: String,
    /// Of wheels.
    #[serde(default)]
    platform: String,
    #[serde(default)]
    python: String,
    file: String,
    sha256: String,
    unpack: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Npm,
    Pypi,
    Crate,
}

fn table() -> anyhow::Result<Vec<Fixture>> {
    let path = crate::root().join("xtask/fixtures.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is wrong", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Fixture>> {
    let table: Table = toml::from_str(text)?;
    for fixture in &table.fixture {
        for name in [&fixture.name, &fixture.file] {
            ensure!(
                inside(name).is_ok_and(|path| path.components().count() == 1),
                "`{name}` is not a plain name"
            );
        }
        let wheel = matches!(fixture.kind, Kind::Pypi);
        for (key, value) in [("platform", &fixture.platform), ("python", &fixture.python)] {
            ensure!(
                wheel != value.is_empty(),
                "`{}`: `{key}` is for wheels, and each wheel has it",
                fixture.name
            );
        }
        let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        let hash = &fixture.sha256;
        ensure!(hash.len() == 64 && hash.bytes().all(hex), "`{hash}` is not a SHA-256 in lower-case hex");
    }
    Ok(table.fixture)
}

impl Fixture {
    /// The stamp holds the hash of what was fetched, and is written last.
    fn stamp(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.sha256", self.name))
    }

    fn is_there(&self, folder: &Path) -> bool {
        let stamp = fs::read_to_string(self.stamp(folder));
        let place = folder.join(&self.name);
        stamp.is_ok_and(|stamp| stamp == self.stamp_text())
            && place.is_dir()
            && place.join(&self.file).exists() != self.unpack
    }

    fn stamp_text(&self) -> String {
        format!("{}  {}\n", self.sha256, self.file)
    }

    fn fetch(&self, folder: &Path) -> anyhow::Result<()> {
        let download = folder.join(format!(".{}.download", self.name));
        let unpacked = folder.join(format!(".{}.unpacked", self.name));
        let place = folder.join(&self.name);
        // What an interrupted run left behind, and what an older table asked for.
        for old in [&download, &unpacked, &place] {
            remove_folder(old)?;
        }

        match self.kind {
            Kind::Npm => self.npm_pack(&download)?,
            Kind::Pypi => self.pip_download(&download)?,
            Kind::Crate => self.cargo_download(&download)?,
        }
        let file = download.join(&self.file);
        ensure!(file.exists(), "`{}` was not among the files downloaded: {}", self.file, names_in(&download));
        verify(&file, &self.sha256)?;

        let done = if self.unpack {
            match self.kind {
                Kind::Npm | Kind::Crate => untar(&file, &unpacked)?,
                Kind::Pypi => unpack(&file, &unpacked)?,
            }
            remove_folder(&download)?;
            unpacked
        } else {
            download
        };
        fs::rename(&done, &place)
            .with_context(|| format!("cannot rename {} to {}", done.display(), place.display()))?;
        let stamp = self.stamp(folder);
        fs::write(&stamp, self.stamp_text()).with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn npm_pack(&self, destination: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(destination)
            .with_context(|| format!("cannot create {}", destination.display()))?;
        let mut command = Command::new("npm");
        command
            .args(["pack", "--silent", "--pack-destination"])
            .arg(destination)
            .arg(format!("{}@{}", self.package, self.version));
        process::run(&mut command).with_context(|| {
            format!(
                "{} {} could not be downloaded: no npm, no network, or the registry lacks it",
                self.package, self.version
            )
        })
    }

    /// `cargo info` puts the one package that it is asked about into cargo's own cache, and no dependency of it.
    fn cargo_download(&self, destination: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["info", "--quiet", "--registry", "crates-io"])
            .arg(format!("{}@{}", self.package, self.version))
            // In a workspace it would tell of a dependency of that name instead.
            .current_dir(std::env::temp_dir())
            .stdout(std::process::Stdio::null());
        process::run(&mut command).with_context(|| {
            format!(
                "{} {} could not be downloaded: no network, or the registry lacks it",
                self.package, self.version
            )
        })?;
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home =
            home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("there is no home folder")?;
        let cache = home.join("registry/cache");
        let registries = fs::read_dir(&cache).with_context(|| format!("cannot read {}", cache.display()))?;
        let cached =
            registries.flatten().map(|registry| registry.path().join(&self.file)).find(|file| file.exists());
        let cached = cached.with_context(|| format!("cargo left no {} in {}", self.file, cache.display()))?;
        fs::create_dir_all(destination)
            .with_context(|| format!("cannot create {}", destination.display()))?;
        fs::copy(&cached, destination.join(&self.file))
            .with_context(|| format!("cannot copy {}", cached.display()))?;
        Ok(())
    }

    fn pip_download(&self, destination: &Path) -> anyhow::Result<()> {
        let pip = tools::pip().context("neither `pip3` nor `pip` is on PATH (Debian: python3-pip)")?;
        let mut command = Command::new(pip);
        command
            .args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"])
            .args(["--platform", &self.platform, "--python-version", &self.python])
            .arg("--dest")
            .arg(destination)
            .arg(format!("{}=={}", self.package, self.version));
        process::run(&mut command).with_context(|| {
            format!(
                "{} {} could not be downloaded: no network, or the registry lacks it",
                self.package, self.version
            )
        })
    }
}

/// Holds the file against its hash, and deletes it if it is another.
fn verify(file: &Path, expected: &str) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found != expected {
        fs::remove_file(file).with_context(|| format!("cannot delete {}", file.display()))?;
        bail!(
            "{} is not the file that xtask/fixtures.toml names, and was deleted\n  expected SHA-256 {expected}\n  found    SHA-256 {found}",
            file.display()
        );
    }
    Ok(())
}

/// Archives of npm and cargo; GNU tar keeps what it unpacks inside the folder.
fn untar(archive: &Path, destination: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(destination).with_context(|| format!("cannot create {}", destination.display()))?;
    let mut command = Command::new("tar");
    command
        .args(["--extract", "--gzip", "--no-same-owner", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(destination);
    process::run(&mut command)
}

fn unpack(archive: &Path, destination: &Path) -> anyhow::Result<()> {
    let opened = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let mut zip = zip::ZipArchive::new(io::BufReader::new(opened))
        .with_context(|| format!("{} is not a zip file", archive.display()))?;
    for index in 0..zip.len() {
        let mut entry =
            zip.by_index(index).with_context(|| format!("entry {index} of {}", archive.display()))?;
        let path = entry.name().map_err(anyhow::Error::from).and_then(|name| inside(&name));
        let path = path.with_context(|| format!("entry {index} of {}", archive.display()))?;
        ensure!(!entry.is_symlink(), "{}: `{}` is a symbolic link", archive.display(), path.display());
        let path = destination.join(path);
        let folder = if entry.is_dir() { &path } else { path.parent().unwrap_or(destination) };
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        if entry.is_file() {
            File::create(&path)
                .and_then(|mut file| io::copy(&mut entry, &mut file))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The path of an archive's entry, if it stays below the folder the archive is unpacked to.
fn inside(name: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(name);
    let mut components = path.components().peekable();
    let plain = components.peek().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
        && !name.contains(['\\', '\0']);
    ensure!(plain, "`{}` would be unpacked outside of its folder", name.escape_debug());
    Ok(path.to_path_buf())
}

fn names_in(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else {
        return "none".to_owned();
    };
    let names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.join(", ")
}

fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_inside() {
        for name in ["a.so", "package/a.so", "package/", "a..b/c", "./a"] {
            // A leading `./` is not refused for escaping, but wheels have none.
            assert_eq!(inside(name).is_ok(), name != "./a", "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../../b", "a/..", "..", "..\\a", "a\0b"] {
            assert!(inside(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_table_is_right() {
        assert!(!table().unwrap().is_empty());
    }

    #[test]
    fn wrong_tables() {
        let right = include_str!("../fixtures.toml");
        for (from, to) in [
            ("name = \"polars-runtime-32\"", "name = \"../polars\""),
            ("sha256 = \"0b", "sha256 = \"0B"),
            ("kind = \"pypi\"", "kind = \"gem\""),
            ("kind = \"pypi\"", "kind = \"crate\""),
            ("python = \"3.12\"", "python = \"\""),
            ("unpack = true", "unpack = true\nunpak = true"),
        ] {
            assert!(right.contains(from), "{from}");
            assert!(parse(&right.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn another_hash_deletes_the_file() {
        let file = std::env::temp_dir().join(format!("xtask-verify-{}", std::process::id()));
        let hash_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::write(&file, "abc").unwrap();
        verify(&file, hash_of_abc).unwrap();
        let wrong = hash_of_abc.replace("ba78", "0000");
        let message = verify(&file, &wrong).unwrap_err().to_string();
        assert!(message.contains(hash_of_abc) && message.contains(&wrong), "{message}");
        assert!(!file.exists());
    }
}
