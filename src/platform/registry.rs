//! The platforms that the program knows: a file each in `data/`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::published::Published;
use super::{Pack, Platform, System};
use crate::artifact::Arch;

/// Debian's descriptions, made by `cargo xtask platforms`.
static DEBIAN: &[u8] = include_bytes!("data/debian.pack");

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("data/", $name, ".toml")))),*]
    };
}

/// Name and text. A test holds the list against the folder.
const FILES: &[(&str, &str)] = files![
    "debian-11",
    "debian-12",
    "debian-13",
    "debian-testing",
    "ubuntu-20.04",
    "ubuntu-22.04",
    "ubuntu-24.04",
    "ubuntu-26.04",
    "rhel-7",
    "rhel-8",
    "rhel-9",
    "rhel-10",
    "fedora-41",
    "fedora-42",
    "fedora-43",
    "fedora-44",
    "amazon-linux-2",
    "amazon-linux-2023",
    "sles-12-sp5",
    "sles-15-sp5",
    "sles-15-sp6",
    "sles-15-sp7",
    "sles-16.0",
    "opensuse-leap-15.5",
    "opensuse-leap-15.6",
    "opensuse-leap-16.0",
    "alpine-3.19",
    "alpine-3.20",
    "alpine-3.21",
    "alpine-3.22",
    "alpine-3.23",
    "manylinux_2_17",
    "manylinux_2_24",
    "manylinux_2_26",
    "manylinux_2_27",
    "manylinux_2_28",
    "manylinux_2_31",
    "manylinux_2_34",
    "manylinux_2_35",
    "manylinux_2_36",
    "manylinux_2_37",
    "manylinux_2_38",
    "manylinux_2_39",
];

static DESCRIPTIONS: LazyLock<Option<Arc<Pack>>> =
    LazyLock::new(|| Pack::open(Cow::Borrowed(DEBIAN)).ok().map(Arc::new));

/// Platforms that were asked for, and stay.
static KNOWN: LazyLock<Mutex<HashMap<&'static str, Arc<Platform>>>> = LazyLock::new(Mutex::default);

/// The names of all platforms, in the order in which people read them.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// A platform by its name, or by one of its other names.
pub fn find(name: &str) -> Option<Arc<Platform>> {
    let own = FILES.iter().find(|(own, _)| *own == name);
    // Only a file that holds the name is read.
    let quoted = format!("\"{name}\"");
    let also = || {
        let mut holding = FILES.iter().filter(|(_, text)| text.contains(&quoted));
        holding.find(|(_, text)| {
            Published::parse(text).is_ok_and(|one| one.also.iter().any(|also| also == name))
        })
    };
    let (name, text) = own.or_else(also)?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(platform) = known.get(name) {
        return Some(Arc::clone(platform));
    }
    let published = Published::parse(text).ok()?;
    let pack = published.described.then(|| DESCRIPTIONS.clone()).flatten();
    let platform = Arc::new(Platform::new(name, Some(published), pack));
    known.insert(name, Arc::clone(&platform));
    Some(platform)
}

/// What comes with the program in full, by its platform. Platforms of which
/// only facts are published are told by the same systems.
static BY_PLATFORM: LazyLock<BTreeMap<String, Vec<System>>> = LazyLock::new(|| {
    let mut systems: BTreeMap<String, Vec<System>> = BTreeMap::new();
    for system in DESCRIPTIONS.as_ref().map(System::all).unwrap_or_default() {
        systems.entry(system.about().platform.clone()).or_default().push(system);
    }
    systems
});

/// The systems of one described platform.
pub(super) fn systems_of(platform: &str) -> &'static [System] {
    BY_PLATFORM.get(platform).map(Vec::as_slice).unwrap_or_default()
}

/// The systems of an architecture that are described, the oldest first.
pub(super) fn described(arch: Arch) -> Vec<&'static System> {
    let all = BY_PLATFORM.values().flatten();
    let mut systems: Vec<&System> = all.filter(|system| system.arch().same_as(arch)).collect();
    systems.sort_by_key(|system| system.about().glibc());
    systems
}

/// The systems of a platform that is known by what is published.
pub(super) fn published_systems(name: &str, published: &Published) -> Vec<System> {
    let Some(libraries) = &published.libraries else { return Vec::new() };
    let system = |arch| System::published(name, libraries, arch, described(arch));
    published.architectures().filter_map(system).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_and_right() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform/data");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
            .filter(|name| name != "renames")
            .collect();
        let mut listed: Vec<&str> = names().collect();
        listed.sort_unstable();
        there.sort_unstable();
        assert_eq!(listed, there);
        for (name, text) in FILES {
            let published = Published::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(published.sources.values().all(|page| page.starts_with("https://")), "{name}");
            assert!(!published.sources.is_empty(), "{name}");
            assert!(
                published.end_of_life.is_none_or(|end| published.released.is_none_or(|start| start < end))
            );
            let platform = find(name).unwrap();
            assert!(!platform.systems().is_empty(), "{name} has no system");
            assert_eq!(platform.systems().len(), published.cpu.len(), "{name}");
        }
    }

    #[test]
    fn other_names_lead_to_the_platform() {
        assert_eq!(find("almalinux-9").unwrap().name(), "rhel-9");
        assert!(find("no-such-platform").is_none());
    }
}
