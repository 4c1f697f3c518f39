//! The names that host programs really export, written to `src/policy/presets/`.
//!
//! Facts carried over with their source: Debian's packages through apt, Node-API's headers through npm. Each file
//! records package and version.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::{Usage, process};

/// The Debian suites that `presets.toml` and this file name.
const SUITES: &[&str] = &["bullseye", "bookworm", "trixie", "testing"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The package of Node.js that lists Node-API's names by version.
const NODE_HEADERS: &str = "node-api-headers@1.9.0";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    preset: Vec<Preset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    name: String,
    about: String,
    prefixes: Vec<String>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    version: String,
    suite: String,
    package: String,
    file: String,
}

/// The names of one version, and where they are from.
struct Version {
    version: String,
    source: String,
    names: BTreeSet<String>,
}

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let text = include_str!("../presets.toml");
    let table: Table = toml::from_str(text).context("xtask/presets.toml is wrong")?;
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|wanted| wanted == name);
    let made = ["napi", "python-abi3"];
    let known: Vec<&str> = table.preset.iter().map(|preset| preset.name.as_str()).chain(made).collect();
    if let Some(name) = arguments.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Usage(format!("no preset is named `{name}`; there are {}", known.join(", "))).into());
    }
    let apt = Apt::new(&crate::root().join("target/presets"))?;
    for preset in table.preset.iter().filter(|preset| wanted(&preset.name)) {
        let versions = preset.exports.iter().map(|export| exported(&apt, preset, export));
        write(&preset.name, &preset.about, &versions.collect::<anyhow::Result<Vec<_>>>()?)?;
    }
    if wanted("napi") {
        write("napi", "Node-API, as Node.js documents it", &node_api(&apt.folder)?)?;
    }
    if wanted("python-abi3") {
        write("python-abi3", "CPython's Stable ABI (PEP 384)", &stable_abi(&apt)?)?;
    }
    Ok(())
}

/// One line a name: the name, then the versions that have it; none where all do.
fn write(name: &str, about: &str, versions: &[Version]) -> anyhow::Result<()> {
    let mut text = format!("# {about}. Made by `cargo xtask presets`.\n");
    for version in versions {
        ensure!(version.names.len() > 20, "only {} names in {}", version.names.len(), version.source);
        text += &format!("@ {} {}\n", version.version, version.source);
    }
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, version) in versions.iter().enumerate() {
        for name in &version.names {
            by_name.entry(name).or_default().push(at);
        }
    }
    for (name, at) in &by_name {
        text += name;
        if at.len() < versions.len() {
            for (first, last) in runs(at) {
                let to = if last + 1 == versions.len() { "" } else { &versions[last].version };
                text += &format!(" {}-{to}", versions[first].version);
            }
        }
        text.push('\n');
    }
    let path = crate::root().join(format!("src/policy/presets/{name}.txt"));
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{name}: {} names of {} versions, {} bytes", by_name.len(), versions.len(), text.len());
    Ok(())
}

/// First and last of each run of numbers that follow each other.
fn runs(numbers: &[usize]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn exported(apt: &Apt, preset: &Preset, export: &Export) -> anyhow::Result<Version> {
    let package = apt.package(&export.package, &export.suite)?;
    let file = package.file(&export.file)?;
    let all = exports(&file)?;
    let begins = |name: &String| preset.prefixes.iter().any(|prefix| name.starts_with(prefix));
    Ok(Version {
        version: export.version.clone(),
        source: package.source(&file),
        names: all.into_iter().filter(|name| preset.prefixes.is_empty() || begins(name)).collect(),
    })
}

/// The dynamic symbols that a file defines, for whoever it loads: without those that it copied from a library
/// (their version is a need), C++'s, and what the linker adds.
fn exports(file: &Path) -> anyhow::Result<BTreeSet<String>> {
    const OF_THE_LINKER: &[&str] = &[
        "_init",
        "_fini",
        "_start",
        "_end",
        "_edata",
        "__bss_start",
        "__data_start",
        "data_start",
        "main",
        "_IO_stdin_used",
        "__libc_csu_init",
        "__libc_csu_fini",
        "environ",
        "__environ",
    ];
    let listed = process::output(Command::new("nm").args(["-D", "--defined-only", "-P"]).arg(file))?;
    let needed = process::output(Command::new("readelf").args(["-VW"]).arg(file))?;
    // `  0x0010:   Name: GLIBC_2.34  Flags: none  Version: 5`, below the needs alone.
    let needed: BTreeSet<&str> = needed
        .split_once("Version needs section")
        .map_or("", |(_, needs)| needs)
        .lines()
        .filter_map(|line| line.split_once("Name: ")?.1.split_whitespace().next())
        .collect();
    let names = listed.lines().filter_map(|line| {
        let (name, kind) = line.split_once(' ')?;
        let (name, version) = name.split_once('@').unwrap_or((name, ""));
        let copied = needed.contains(version.trim_start_matches('@'));
        let other = name.starts_with("_Z") || OF_THE_LINKER.contains(&name) || kind.starts_with('A');
        (!copied && !other).then(|| name.to_owned())
    });
    Ok(names.collect())
}

/// `symbols.js` of the package: for each version the names that it has, earlier ones included.
fn node_api(folder: &Path) -> anyhow::Result<Vec<Version>> {
    let folder = folder.join("node");
    fs::create_dir_all(&folder)?;
    process::run(
        Command::new("npm").args(["pack", "--silent", "--pack-destination"]).arg(&folder).arg(NODE_HEADERS),
    )?;
    let file = NODE_HEADERS.replace('@', "-") + ".tgz";
    process::run(Command::new("tar").arg("-xzf").arg(folder.join(file)).arg("-C").arg(&folder))?;
    let script = "for (const [name, of] of Object.entries(require(process.argv[1]))) \
                  console.log(name, Object.values(of).flat().join(' '))";
    let symbols = folder.join("package/symbols.js");
    let listed = process::output(Command::new("node").args(["-e", script]).arg(&symbols))?;
    let mut versions = Vec::new();
    for line in listed.lines() {
        let mut words = line.split(' ');
        let number = words.next().and_then(|name| name.strip_prefix('v')?.parse::<u32>().ok());
        // `experimental` has no number, and no promise.
        let Some(number) = number else { continue };
        let names = words.map(str::to_owned).collect();
        versions.push((
            number,
            Version {
                version: number.to_string(),
                source: format!("npm, {}, symbols.js", NODE_HEADERS.replace('@', " ")),
                names,
            },
        ));
    }
    versions.sort_by_key(|(number, _)| *number);
    Ok(versions.into_iter().map(|(_, version)| version).collect())
}

/// `Misc/stable_abi.toml` says when each name was added, up to its own version; of later versions the test suite
/// lists the names. What libpython does not export (other systems' names) is left out.
fn stable_abi(apt: &Apt) -> anyhow::Result<Vec<Version>> {
    const LISTED: &str = "3.13";
    const LATER: &[&str] = &["3.14", "3.15"];
    let (tarball, source) = apt.source(&format!("python{LISTED}"), "testing")?;
    let text = process::output(
        Command::new("tar").args(["-xJOf"]).arg(&tarball).args(["--wildcards", "*/Misc/stable_abi.toml"]),
    )?;
    let table: toml::Table = toml::from_str(&text)?;
    let mut added: BTreeMap<(u32, u32), BTreeSet<String>> = BTreeMap::new();
    for kind in ["function", "data"] {
        let items =
            table.get(kind).and_then(toml::Value::as_table).context("stable_abi.toml has another shape")?;
        for (name, item) in items {
            let version =
                item.get("added").and_then(toml::Value::as_str).context("an item without `added`")?;
            added.entry(number(version)?).or_default().insert(name.clone());
        }
    }
    let library = |version: &str, suite: &str| -> anyhow::Result<BTreeSet<String>> {
        let package = apt.package(&format!("libpython{version}"), suite)?;
        exports(&package.file(&format!("usr/lib/x86_64-linux-gnu/libpython{version}.so.1.0"))?)
    };
    let exported = library(LISTED, "trixie")?;
    let mut names = BTreeSet::new();
    let mut versions = Vec::new();
    for ((major, minor), new) in added {
        names.extend(new.into_iter().filter(|name| exported.contains(name)));
        let version = format!("{major}.{minor}");
        versions.push(Version {
            version,
            source: format!("{source}, Misc/stable_abi.toml, exported by libpython{LISTED}"),
            names: names.clone(),
        });
    }
    for version in LATER {
        let package = apt.package(&format!("libpython{version}-testsuite"), "testing")?;
        let file = package.file(&format!("usr/lib/python{version}/test/test_stable_abi_ctypes.py"))?;
        let text = fs::read_to_string(&file)?;
        let exported = library(version, "testing")?;
        // One name a line, in quotes.
        let listed = text.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
        names.extend(listed.filter(|name| exported.contains(*name)).map(str::to_owned));
        versions.push(Version {
            version: (*version).to_owned(),
            source: package.source(&file),
            names: names.clone(),
        });
    }
    Ok(versions)
}

fn number(version: &str) -> anyhow::Result<(u32, u32)> {
    let (major, minor) = version.split_once('.').with_context(|| format!("`{version}` is no version"))?;
    Ok((major.parse()?, minor.parse()?))
}

/// An apt with folders of its own, which knows several suites.
struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        for below in ["lists/partial", "cache/archives/partial", "files", "unpacked"] {
            fs::create_dir_all(folder.join(below))?;
        }
        let mirror = mirror()?;
        let list = folder.join("sources.list");
        let lines = SUITES.iter().flat_map(|suite| {
            ["deb", "deb-src"].map(|kind| format!("{kind} [signed-by={KEYRING}] {mirror} {suite} main\n"))
        });
        fs::write(&list, lines.collect::<String>())?;
        let shown = folder.display();
        let options = [
            format!("Dir::Etc::SourceList={}", list.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={shown}/lists"),
            format!("Dir::Cache={shown}/cache"),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        let apt = Self { folder: folder.to_owned(), options };
        process::run(Command::new("apt-get").args(&apt.options).args(["-qq", "update"]))?;
        Ok(apt)
    }

    fn package(&self, name: &str, suite: &str) -> anyhow::Result<Package> {
        let folder = self.folder.join("files").join(suite).join(name);
        fs::create_dir_all(&folder)?;
        if deb(&folder)?.is_none() {
            let mut command = Command::new("sh");
            // apt downloads to the current folder.
            command.args(["-c", "cd \"$1\" && shift && exec apt-get \"$@\"", "sh"]).arg(&folder);
            process::run(command.args(&self.options).args(["-qq", "download", &format!("{name}/{suite}")]))?;
        }
        let file = deb(&folder)?.with_context(|| format!("no package {name} of {suite} came"))?;
        let version = process::output(Command::new("dpkg-deb").arg("-f").arg(&file).arg("Version"))?;
        let unpacked = self.folder.join("unpacked").join(suite).join(name);
        if !unpacked.is_dir() {
            fs::create_dir_all(&unpacked)?;
            process::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
        }
        Ok(Package {
            shown: format!("Debian {suite} amd64, {name} {}", version.trim_end()),
            folder: unpacked,
        })
    }

    /// The upstream tarball of a source package, and how its source is named.
    fn source(&self, name: &str, suite: &str) -> anyhow::Result<(PathBuf, String)> {
        let folder = self.folder.join("files").join(suite).join(format!("{name}.src"));
        fs::create_dir_all(&folder)?;
        let mut command = Command::new("sh");
        command.args(["-c", "cd \"$1\" && shift && exec apt-get \"$@\"", "sh"]).arg(&folder);
        command.args(&self.options).args(["-qq", "source", "--download-only", "--tar-only"]);
        process::run(command.arg(format!("{name}/{suite}")))?;
        let files =
            fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
        let tarball = files
            .into_iter()
            .find(|path| path.to_string_lossy().contains(".orig.tar"))
            .with_context(|| format!("no tarball of {name} came"))?;
        let file = tarball.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((tarball, format!("Debian {suite}, source {file}")))
    }
}

fn deb(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

struct Package {
    shown: String,
    folder: PathBuf,
}

impl Package {
    /// A file in it, its links followed; one `*` stands for part of a folder's name.
    fn file(&self, path: &str) -> anyhow::Result<PathBuf> {
        let mut at = self.folder.clone();
        for part in path.split('/') {
            let next = match part.split_once('*') {
                None => at.join(part),
                Some((before, after)) => fs::read_dir(&at)?
                    .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                    .find(|path| {
                        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                        name.starts_with(before) && name.ends_with(after)
                    })
                    .unwrap_or_else(|| at.join(part)),
            };
            at = next;
        }
        at.canonicalize().with_context(|| format!("{} has no {path}", self.shown))
    }

    fn source(&self, file: &Path) -> String {
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        format!("{}, /{}", self.shown, file.strip_prefix(folder).unwrap_or(file).display())
    }
}

/// Debian's mirror, as this machine's apt has it.
fn mirror() -> anyhow::Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
    files.extend(parts.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let text: String = texts.map(|text| text + "\n").collect();
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
        .context("apt's sources name no mirror of Debian")
}
