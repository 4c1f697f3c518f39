//! The files that are asked about, taken out of their packages.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cargo_compat::artifact::{Artifact, Depth, Examined, examine, examine_bytes};
use cargo_compat::platform::hash;

use super::{Arch, Sample, packages};
use crate::platforms::apt::Apt;
use crate::platforms::describe::archive;
use crate::platforms::packages as index;

/// A larger file is not taken, nor a larger package by chance.
const LARGEST: u64 = 96 << 20;
const LARGEST_PACKAGE: u64 = 16 << 20;

pub struct Subject {
    pub suite: &'static str,
    pub package: String,
    /// Alone in its folder, so that nothing beside it counts.
    pub path: PathBuf,
    pub facts: Box<Artifact>,
}

impl Subject {
    /// As `package:file`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.package, self.path.file_name().unwrap_or_default().to_string_lossy())
    }
}

/// So many files of each package, evenly spread over its names.
pub fn fetch(
    apt: &Apt,
    suite: &'static str,
    arch: &Arch,
    folder: &Path,
    files: usize,
    sample: Option<Sample>,
) -> anyhow::Result<Vec<Subject>> {
    let available = index::parse(&apt.indices("Packages")?.concat());
    let names = match sample {
        Some(sample) => by_chance(&available, arch.debian, sample),
        None => packages::PACKAGES.to_vec(),
    };
    let wanted: Vec<String> = names
        .iter()
        .flat_map(|name| available.get(*name).map(|package| format!("{name}={}", package.version)))
        .collect();
    let folder = folder.join(suite);
    let done = folder.join(match sample {
        Some(Sample { packages, seed }) => format!("{files}-{packages}-{seed}.done"),
        None => format!("{files}.done"),
    });
    if done.exists() {
        return kept(&folder, suite);
    }
    let downloads = folder.join("downloads");
    fs::create_dir_all(&downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
    let mut subjects = Vec::new();
    for some in wanted.chunks(16) {
        apt.download(some, &downloads)?;
        for entry in fs::read_dir(&downloads)? {
            let deb = entry?.path();
            let name =
                deb.file_name().and_then(|name| name.to_str()).context("a package's name is no text")?;
            let package = name.split('_').next().unwrap_or(name).to_owned();
            for (at, (path, bytes, facts)) in take(&deb, arch, files)?.into_iter().enumerate() {
                let place = folder.join(&package).join(at.to_string());
                fs::create_dir_all(&place)?;
                let path = place.join(path.rsplit('/').next().unwrap_or(&path));
                fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
                subjects.push(Subject { suite, package: package.clone(), path, facts });
            }
            fs::remove_file(&deb)?;
        }
    }
    fs::remove_dir(&downloads)?;
    fs::write(&done, "")?;
    subjects.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(subjects)
}

/// Packages of binaries, in the order of hashes of their names: suites and architectures have mostly the same.
fn by_chance<'i>(available: &'i index::Packages, arch: &str, sample: Sample) -> Vec<&'i str> {
    let mut names: Vec<(u64, &str)> = available
        .iter()
        .filter(|(name, package)| {
            package.architecture == arch
                && package.depends_on("libc6")
                && package.size <= LARGEST_PACKAGE
                && !["-dev", "-dbg", "-dbgsym"].iter().any(|end| name.ends_with(end))
        })
        .map(|(name, _)| (hash(format!("{} {name}", sample.seed).as_bytes()), name.as_str()))
        .collect();
    names.sort_unstable();
    names.into_iter().take(sample.packages).map(|(_, name)| name).collect()
}

/// What an earlier run took and kept.
fn kept(folder: &Path, suite: &'static str) -> anyhow::Result<Vec<Subject>> {
    let below = |path: &Path| -> anyhow::Result<Vec<PathBuf>> {
        let all: Result<Vec<PathBuf>, _> =
            fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
        Ok(all?.into_iter().filter(|path| path.is_dir()).collect())
    };
    let mut subjects = Vec::new();
    for package in below(folder)? {
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for place in below(&package)? {
            let path = fs::read_dir(&place)?.next().context("a folder without its file")??.path();
            let Examined::Elf(facts) = examine(&path, Depth::Needs)? else { continue };
            subjects.push(Subject { suite, package: name.clone(), path, facts });
        }
    }
    subjects.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(subjects)
}

type Taken = (String, Vec<u8>, Box<Artifact>);

fn take(deb: &Path, arch: &Arch, files: usize) -> anyhow::Result<Vec<Taken>> {
    let mut found: BTreeMap<String, Taken> = BTreeMap::new();
    archive(deb, "--fsys-tarfile", |path, entry| {
        if !entry.header().entry_type().is_file()
            || entry.size() > LARGEST
            || path.starts_with("/usr/lib/debug/")
        {
            return Ok(());
        }
        let mut bytes = vec![0; 4];
        if entry.read_exact(&mut bytes).is_err() || bytes != *b"\x7fELF" {
            return Ok(());
        }
        entry.read_to_end(&mut bytes)?;
        if let Ok(Examined::Elf(facts)) = examine_bytes(bytes.clone(), Depth::Needs)
            && facts.arch.machine == arch.machine
        {
            found.insert(path.clone(), (path, bytes, facts));
        }
        Ok(())
    })
    .with_context(|| format!("cannot read {}", deb.display()))?;
    let step = found.len().div_ceil(files.max(1)).max(1);
    Ok(found.into_values().step_by(step).collect())
}
