//! What was learned of each package, kept in files so that none is fetched twice.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use cargo_compat::artifact::{Depth, Examined, examine_bytes};
use cargo_compat::platform::{ArchName, Facts, Interest, Thing};
use serde::{Deserialize, Serialize};

use super::alternatives;
use super::apt::Apt;
use super::describe::{absolute, archive};
use super::packages::Packages;

/// Changes whenever what is kept of a package does.
const KEPT: &str = "2";
/// Packages fetched in one call of apt.
const BATCH: usize = 300;
/// A file of a package that is larger is not looked into.
const LARGEST: u64 = 1 << 30;

/// One package, as far as a loader is concerned.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// Libraries and links by their paths, those that the package's script makes among them.
    pub things: Vec<(String, Thing)>,
    /// Everything else that a loader loads: what it asks for tells which symbols of libraries are of interest.
    pub programs: Vec<(String, Program)>,
    /// Parts of `/etc/ld.so.conf`.
    pub texts: Vec<(String, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Program {
    pub arch: ArchName,
    pub interpreter: Option<String>,
    /// Without symbols.
    pub facts: Facts,
}

/// Where the packages of one suite and architecture are kept.
#[derive(Debug)]
pub struct Store {
    place: PathBuf,
    folder: PathBuf,
}

impl Store {
    pub fn open(place: &Path) -> anyhow::Result<Self> {
        let folder = place.join(format!("packages-{KEPT}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self { place: place.to_path_buf(), folder })
    }

    fn file(&self, name: &str, index: &Packages) -> PathBuf {
        self.folder.join(format!("{name}_{}", index[name].version.replace(['/', ':'], "%")))
    }

    pub fn has(&self, name: &str, index: &Packages) -> bool {
        self.file(name, index).exists()
    }

    pub fn read(&self, name: &str, index: &Packages) -> anyhow::Result<Kept> {
        let path = self.file(name, index);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        postcard::from_bytes(&bytes).with_context(|| format!("{} is broken", path.display()))
    }

    /// Fetches and reads what is not kept yet, small packages first.
    pub fn fetch(
        &self,
        apt: &Apt,
        index: &Packages,
        wanted: &BTreeSet<&str>,
        workers: usize,
    ) -> anyhow::Result<()> {
        let mut missing: Vec<&str> = wanted.iter().copied().filter(|name| !self.has(name, index)).collect();
        missing.sort_by_key(|name| index[*name].size);
        let batches: Vec<&[&str]> = missing.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let failures = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (batches, next, failures) = (&batches, &next, &failures);
                scope.spawn(move || {
                    let folder = self.place.join(format!("worker-{worker}"));
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.fetch_batch(apt, &folder, index, batch) {
                            failures.lock().expect("no worker panics").push(error);
                        }
                    }
                });
            }
        });
        match failures.into_inner().expect("no worker panics").into_iter().next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn fetch_batch(&self, apt: &Apt, folder: &Path, index: &Packages, batch: &[&str]) -> anyhow::Result<()> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let exact: Vec<String> =
            batch.iter().map(|name| format!("{name}={}", index[*name].version)).collect();
        apt.download(&exact, folder)?;
        for entry in fs::read_dir(folder)? {
            let deb = entry?.path();
            let name =
                deb.file_name().and_then(|name| name.to_str()).context("a package's name is no text")?;
            let name = name.split('_').next().unwrap_or(name);
            let kept = read_package(&deb).with_context(|| format!("cannot read {name}"))?;
            let path = self.file(name, index);
            let beside = path.with_extension("new");
            fs::write(&beside, postcard::to_stdvec(&kept)?)?;
            fs::rename(&beside, &path)?;
        }
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}

fn read_package(deb: &Path) -> anyhow::Result<Kept> {
    let mut kept = Kept::default();
    let mut hard_links = Vec::new();
    archive(deb, "--fsys-tarfile", |path, entry| {
        let kind = entry.header().entry_type();
        let interest = Interest::of(&path);
        if kind.is_symlink() {
            let target = entry.link_name()?.context("a link without target")?;
            kept.things.push((path, Thing::Link(target.to_string_lossy().into_owned())));
        } else if kind.is_hard_link() {
            if interest == Interest::Library {
                let target = entry.link_name()?.context("a link without target")?;
                hard_links.push((path, absolute(&target)));
            }
        } else if kind.is_file() && !path.starts_with("/usr/lib/debug/") {
            ensure!(entry.size() <= LARGEST, "{path} has {} bytes", entry.size());
            let mut bytes = Vec::new();
            match interest {
                Interest::Library => {
                    entry.read_to_end(&mut bytes)?;
                    if let Some(thing) = Thing::of(examine_bytes(bytes, Depth::Bindings)) {
                        kept.things.push((path, thing));
                    }
                }
                Interest::Text => {
                    entry.take(1 << 20).read_to_end(&mut bytes)?;
                    kept.texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
                }
                Interest::None => {
                    bytes.resize(4, 0);
                    if entry.read_exact(&mut bytes).is_ok() && bytes == *b"\x7fELF" {
                        entry.read_to_end(&mut bytes)?;
                        kept.programs.extend(program(bytes).map(|program| (path, program)));
                    }
                }
            }
        }
        Ok(())
    })?;
    for (path, target) in hard_links {
        if let Some((_, thing)) = kept.things.iter().find(|(own, _)| *own == target) {
            kept.things.push((path, thing.clone()));
        }
    }
    archive(deb, "--ctrl-tarfile", |path, entry| {
        if path == "/postinst" || path == "/preinst" {
            let mut script = Vec::new();
            entry.take(1 << 20).read_to_end(&mut script)?;
            for (link, target) in alternatives::links(&String::from_utf8_lossy(&script)) {
                kept.things.push((link, Thing::Link(target)));
            }
        }
        Ok(())
    })?;
    Ok(kept)
}

fn program(bytes: Vec<u8>) -> Option<Program> {
    let Ok(Examined::Elf(facts)) = examine_bytes(bytes, Depth::Bindings) else { return None };
    if facts.is_static() || !facts.dynamic {
        return None;
    }
    let mut of = Facts::of(&facts);
    of.symbols = None;
    Some(Program { arch: facts.arch.into(), interpreter: facts.interpreter.clone(), facts: of })
}

/// Packages in the order of their names, each read when it is its turn.
pub fn each<'a>(
    store: &'a Store,
    index: &'a Packages,
    names: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = anyhow::Result<(String, Kept)>> {
    names.into_iter().map(|name| Ok((name.to_owned(), store.read(name, index)?)))
}
