//! Platforms as their files in `data/` state them: names, dates, and for those
//! that are not described in full what their makers publish.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use crate::artifact::{Arch, Cpu, Endian, Release};

/// One platform's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Published {
    /// As people write it: `Debian 12 (bookworm)`.
    pub title: String,
    /// Other names in `runs-on`: rebuilds of the same sources.
    #[serde(default)]
    pub also: Vec<String>,
    #[serde(default, deserialize_with = "date")]
    pub released: Option<Date>,
    /// The last day of free security updates.
    #[serde(default, deserialize_with = "date")]
    pub end_of_life: Option<Date>,
    /// A full description of it lies beside.
    #[serde(default)]
    pub described: bool,
    /// The oldest CPU that it runs on, for each architecture that it has, by
    /// the names of triples. Empty: whatever the architecture began with.
    pub cpu: BTreeMap<String, String>,
    /// What is published of its libraries; of a platform that is described, nothing.
    pub libraries: Option<Libraries>,
    /// Pages that state the facts: what, and where.
    pub sources: BTreeMap<String, String>,
}

/// What of a platform's libraries is published.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Libraries {
    pub layout: Layout,
    /// The release of glibc.
    #[serde(default, deserialize_with = "release")]
    pub glibc: Option<Release>,
    #[serde(default, deserialize_with = "release")]
    pub musl: Option<Release>,
    /// The newest `GLIBCXX` node of `libstdc++.so.6`, and the newest `CXXABI`.
    #[serde(default, deserialize_with = "release")]
    pub glibcxx: Option<Release>,
    #[serde(default, deserialize_with = "release")]
    pub cxxabi: Option<Release>,
    /// The release of GCC that `libgcc_s.so.1` is from.
    #[serde(default, deserialize_with = "release")]
    pub gcc: Option<Release>,
    /// They are updated to the newest GCC while the platform lives: what is
    /// stated of libgcc and libstdc++ is there, and newer nodes may be.
    #[serde(default)]
    pub gcc_grows: bool,
    /// Packages of libgcc and libstdc++ where a plain install lacks them.
    #[serde(default)]
    pub gcc_packages: Vec<String>,
    /// Other libraries that are always there; nothing else is known of them.
    #[serde(default)]
    pub others: Vec<String>,
    /// Newest nodes of other namespaces: what else may be used of `others`.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Whether a needed library that is not listed is missing. Else nothing is
    /// known of it.
    #[serde(default)]
    pub nothing_else: bool,
    /// What differs on an architecture.
    #[serde(default)]
    pub on: BTreeMap<String, OnArch>,
}

/// What of a platform's libraries differs on one architecture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OnArch {
    /// Newest nodes, by their namespaces.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Nodes of the C library that are newer than its release, and have some
    /// of their symbols only.
    #[serde(default)]
    pub some_of_nodes: Vec<String>,
}

/// Where libraries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `/lib64` and `/usr/lib64`.
    Lib64,
    /// `/lib/TRIPLET` and `/usr/lib/TRIPLET`, as Debian and its kin have it.
    Multiarch,
    /// `/lib` and `/usr/lib`.
    Lib,
}

fn date<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let text = toml::value::Datetime::deserialize(deserializer)?.to_string();
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn release<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Release>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let release = Release::parse(&text);
    release.map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no release number")))
}

/// An architecture by the name that triples have for it.
pub fn arch(name: &str) -> Option<Arch> {
    let (arch, endian) = match name {
        "x86_64" | "aarch64" => (name, Endian::Little),
        "powerpc64le" => ("powerpc64", Endian::Little),
        "s390x" => (name, Endian::Big),
        _ => return None,
    };
    let arch = Arch::of_target(arch, 64, endian)?;
    // ELFv2 (`EF_PPC64_ABI`).
    Some(if name == "powerpc64le" { Arch { flags: 2, ..arch } } else { arch })
}

/// Debian's triplet of an architecture.
pub fn triplet(arch: Arch) -> String {
    format!("{arch}-linux-gnu")
}

impl Published {
    pub fn parse(text: &str) -> Result<Self, String> {
        let published: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (name, cpu) in &published.cpu {
            let Some(arch) = arch(name) else { return Err(format!("no architecture is named `{name}`")) };
            if !cpu.is_empty() && !Cpu::parse(cpu).is_some_and(|cpu| cpu.is_of(arch.machine)) {
                return Err(format!("`{cpu}` is no CPU level of {name}"));
            }
        }
        let libraries = published.libraries.iter();
        for (name, on) in libraries.flat_map(|libraries| &libraries.on) {
            if arch(name).is_none() {
                return Err(format!("no architecture is named `{name}`"));
            }
            if let Some(text) = on.versions.values().find(|text| Release::parse(text).is_none()) {
                return Err(format!("`{text}` is no release number"));
            }
        }
        if published.described == published.libraries.is_some() {
            return Err("a platform is either described, or its libraries are published".to_owned());
        }
        if let Some(libraries) = &published.libraries
            && libraries.glibc.is_some() == libraries.musl.is_some()
        {
            return Err("a platform has glibc or musl".to_owned());
        }
        Ok(published)
    }

    /// The architectures that it has.
    pub fn architectures(&self) -> impl Iterator<Item = Arch> {
        self.cpu.keys().filter_map(|name| arch(name))
    }

    /// The oldest CPU of an architecture that it runs on; `None`: not more than
    /// the architecture has from its beginning, or not known.
    pub fn cpu(&self, arch: Arch) -> Option<Cpu> {
        let (_, cpu) =
            self.cpu.iter().find(|(name, _)| self::arch(name).is_some_and(|own| own.same_as(arch)))?;
        Cpu::parse(cpu)
    }
}

impl Libraries {
    /// Where the loader looks, in its order.
    pub fn search(&self, arch: Arch) -> Vec<String> {
        let own = match self.layout {
            Layout::Lib64 => vec!["/lib64".to_owned(), "/usr/lib64".to_owned()],
            Layout::Multiarch => {
                let triplet = triplet(arch);
                vec![format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")]
            }
            Layout::Lib => vec!["/lib".to_owned(), "/usr/local/lib".to_owned(), "/usr/lib".to_owned()],
        };
        // On arm64 Debian and Red Hat keep the loader alone in `/lib`.
        let last = if self.layout == Layout::Lib { &[][..] } else { &["/lib", "/usr/lib"] };
        own.into_iter().chain(last.iter().map(|&folder| folder.to_owned())).collect()
    }

    /// `PT_INTERP` on this platform.
    pub fn interpreter(&self, arch: Arch) -> Option<String> {
        match self.musl {
            Some(_) => Some(format!("/lib/ld-musl-{arch}.so.1")),
            None => Some((*arch.glibc_interpreters()?.first()?).to_owned()),
        }
    }

    /// The newest node that a library has in a namespace; `None`: not known.
    pub fn limit(&self, namespace: &str, arch: Arch) -> Option<Release> {
        if let Some(text) = self.on(arch).and_then(|on| on.versions.get(namespace)) {
            return Release::parse(text);
        }
        match namespace {
            "GLIBC" => self.glibc.clone(),
            "GLIBCXX" => self.glibcxx.clone(),
            "CXXABI" => self.cxxabi.clone(),
            "GCC" => self.gcc.clone(),
            other => self.versions.get(other).and_then(|text| Release::parse(text)),
        }
    }

    /// Newer nodes that a library has a part of.
    pub fn some_of_nodes(&self, library: &str, arch: Arch) -> Vec<String> {
        let on = self.on(arch).filter(|_| library == "libc.so.6");
        on.map(|on| on.some_of_nodes.clone()).unwrap_or_default()
    }

    fn on(&self, arch: Arch) -> Option<&OnArch> {
        self.on
            .iter()
            .find(|(name, _)| self::arch(name).is_some_and(|own| own.same_as(arch)))
            .map(|(_, on)| on)
    }
}
