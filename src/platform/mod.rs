//! Platforms: what a released system has where its loader looks.
//!
//! A platform is known in one of two ways. Some are **described** in full, from
//! all packages of their archive or from a root: every library that the loader
//! can find, the package that brings it, its version nodes and, as
//! fingerprints, its symbols. Of the others the makers **publish** the releases
//! of the C library, libgcc and libstdc++: those three are decided, and whether
//! there is any other library is not known.
//!
//! [`find`] gives a platform by its name, [`Platform::open`] one from a file
//! that `cargo compat platforms import` wrote. [`Platform::system`] is the
//! platform on one architecture: what the loader asks.

mod draft;
#[cfg(test)]
mod facts_of_debian;
mod fingerprint;
mod gather;
mod pack;
mod published;
mod read;
mod reference;
mod registry;
mod renames;
#[cfg(test)]
mod round_trip;
mod rows;
mod system;
mod tree;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use jiff::civil::Date;

pub use self::draft::{About, ArchName, Definition, Draft, Entry, Facts, Unresolved, What};
pub use self::fingerprint::hash;
pub use self::gather::{GatherError, Gathered, archive as gather_archive, root as gather_root};
pub use self::pack::Broken;
use self::published::Published;
pub use self::read::{Pack, template};
pub use self::registry::{find, names};
pub use self::renames::{Rename, renamed};
pub use self::system::{Item, Library, LibraryFacts, Probe, System};
pub use self::tree::{Interest, Owner, Thing, Tree};
pub use self::write::{Open, Packed, Sizes, split, stem, write};
use crate::artifact::{Arch, Cpu};

/// A released system, on all its architectures.
#[derive(Debug)]
pub struct Platform {
    name: String,
    published: Option<Published>,
    /// Of a described platform, its description.
    pack: Option<Arc<Pack>>,
    systems: OnceLock<Vec<System>>,
}

/// Why a description cannot be used.
#[derive(Debug)]
pub enum OpenError {
    Io(std::io::Error),
    TooLarge {
        len: u64,
        most: u64,
    },
    Broken(Broken),
    /// The file describes more than one platform.
    Several(Vec<String>),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::TooLarge { len, most } => write!(f, "it has {len} bytes; more than {most} are not read"),
            Self::Broken(broken) => broken.fmt(f),
            Self::Several(names) => write!(f, "it describes several platforms: {}", names.join(", ")),
        }
    }
}

impl std::error::Error for OpenError {}

/// The largest description read, in bytes.
const LARGEST: u64 = 256 << 20;

impl Platform {
    fn new(name: &str, published: Option<Published>, pack: Option<Arc<Pack>>) -> Self {
        Self { name: name.to_owned(), published, pack, systems: OnceLock::new() }
    }

    /// A description from a file that `platforms import` wrote.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let found = std::fs::metadata(path).map_err(OpenError::Io)?;
        if !found.is_file() {
            return Err(OpenError::Broken(Broken("it is no file".to_owned())));
        }
        if found.len() > LARGEST {
            return Err(OpenError::TooLarge { len: found.len(), most: LARGEST });
        }
        let bytes = std::fs::read(path).map_err(OpenError::Io)?;
        let pack = Pack::open(bytes.into()).map_err(OpenError::Broken)?;
        let names: BTreeSet<String> = pack.systems.iter().map(|about| about.platform.clone()).collect();
        match &names.into_iter().collect::<Vec<_>>()[..] {
            [name] => Ok(Self::new(name, None, Some(Arc::new(pack)))),
            names => Err(OpenError::Several(names.to_vec())),
        }
    }

    /// As `runs-on` names it: `debian-12`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As people write it: `Debian 12 (bookworm)`.
    pub fn title(&self) -> &str {
        self.published.as_ref().map_or(&self.name, |published| &published.title)
    }

    /// Other names, of rebuilds from the same sources.
    pub fn also(&self) -> &[String] {
        self.published.as_ref().map(|published| published.also.as_slice()).unwrap_or_default()
    }

    pub fn released(&self) -> Option<Date> {
        self.published.as_ref()?.released
    }

    /// The last day of security updates that everybody gets.
    pub fn end_of_life(&self) -> Option<Date> {
        self.published.as_ref()?.end_of_life
    }

    /// Pages that state its facts: which fact, and where.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        let sources = self.published.iter().flat_map(|published| &published.sources);
        sources.map(|(what, page)| (what.as_str(), page.as_str()))
    }

    /// Whether all its libraries are known, and not only what is published.
    pub fn is_described(&self) -> bool {
        self.pack.is_some()
    }

    /// The architectures that are known.
    pub fn architectures(&self) -> Vec<Arch> {
        match &self.published {
            Some(published) if self.pack.is_none() => published.architectures().collect(),
            _ => self.systems().iter().map(System::arch).collect(),
        }
    }

    /// The oldest CPU of an architecture that the platform runs on. `None`: it
    /// asks for no more than the architecture always had, or that is not known.
    pub fn cpu(&self, arch: Arch) -> Option<Cpu> {
        self.published.as_ref()?.cpu(arch)
    }

    /// The platform on one architecture; `None`: it is not known there.
    pub fn system(&self, arch: Arch) -> Option<&System> {
        self.systems().iter().find(|system| system.arch().same_as(arch))
    }

    /// The platform on each architecture that is known.
    pub fn systems(&self) -> &[System] {
        match (&self.pack, &self.published) {
            // What comes with the program is there once.
            (Some(_), Some(_)) => registry::systems_of(&self.name),
            (Some(pack), None) => self.systems.get_or_init(|| System::all(pack)),
            (None, Some(published)) => {
                self.systems.get_or_init(|| registry::published_systems(&self.name, published))
            }
            (None, None) => &[],
        }
    }
}
