//! Real roots of platforms, made of the distribution's own packages by
//! `mmdebstrap`, without being root and without running anything of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{agree, root};
use crate::artifact::Arch;
use crate::beside::Beside;
use crate::process::{Invocation, on_path};
use crate::report::Failure;
use crate::text;

/// A release of a distribution that roots can be made of.
struct Release {
    name: &'static str,
    suite: &'static str,
    /// What the mirror's folder is called.
    distribution: &'static str,
    components: &'static str,
    links_by_installer: bool,
}

/// Debian, "Debian Releases"; Ubuntu, "Releases".
const RELEASES: &[Release] = &[
    Release {
        name: "debian-11",
        suite: "bullseye",
        distribution: "debian",
        components: "main",
        links_by_installer: true,
    },
    Release {
        name: "debian-12",
        suite: "bookworm",
        distribution: "debian",
        components: "main",
        links_by_installer: true,
    },
    Release {
        name: "debian-13",
        suite: "trixie",
        distribution: "debian",
        components: "main",
        links_by_installer: false,
    },
    Release {
        name: "ubuntu-20.04",
        suite: "focal",
        distribution: "ubuntu",
        components: "main,universe",
        links_by_installer: true,
    },
    Release {
        name: "ubuntu-22.04",
        suite: "jammy",
        distribution: "ubuntu",
        components: "main,universe",
        links_by_installer: true,
    },
    Release {
        name: "ubuntu-24.04",
        suite: "noble",
        distribution: "ubuntu",
        components: "main,universe",
        links_by_installer: false,
    },
];

/// What every installation has (Debian Policy, 2.5 "Priorities"), and what it
/// depends on; apt, because the descriptions of platforms count it in.
const PLAIN: [&str; 2] = ["?or(?essential,?priority(required))", "apt"];

/// What to make.
#[derive(Debug)]
pub struct Request {
    pub platform: String,
    pub arch: Arch,
    /// Packages beyond those that every installation has.
    pub packages: Vec<String>,
    /// Where packages come from; none: where apt has them from.
    pub mirror: Option<String>,
    /// Replaces what was made before.
    pub force: bool,
}

/// The platforms that roots can be made of.
pub fn names() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().map(|release| release.name)
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    pub folder: PathBuf,
    /// It was there already.
    pub kept: bool,
    /// Libraries that the platform's description has for every installation.
    pub lacking: Vec<String>,
}

/// Makes one in the user's folder for caches: beside, then renamed.
pub fn make(request: &Request, say: &mut dyn FnMut(&str, &str)) -> Result<Made, Failure> {
    let Some(release) = RELEASES.iter().find(|release| release.name == request.platform) else {
        let names: Vec<_> = names().collect();
        return Err(Failure::new(format!("of `{}` no root can be made", text::escape(&request.platform)))
            .note(format!("roots are made of {}", names.join(", ")))
            .help(
                "unpack one yourself, for example from a container image, and name its folder as the root",
            ));
    };
    let Some(debian) = root::debian_name(request.arch) else {
        return Err(Failure::new(format!("{} has no name for {}", release.distribution, request.arch)));
    };
    let folder = root::made(&request.platform, request.arch)?;
    // What it has beyond the plain ones is not lost when more is asked for.
    let list = listed(&folder);
    let had = fs::read_to_string(&list).unwrap_or_default();
    let mut packages: BTreeSet<&str> = had.lines().collect();
    let is_enough = request.packages.iter().all(|package| packages.contains(package.as_str()));
    if folder.exists() && is_enough && !request.force {
        return Ok(Made { folder, kept: true, lacking: Vec::new() });
    }
    if request.force {
        packages.clear();
    }
    packages.extend(request.packages.iter().map(String::as_str));
    if !on_path(Path::new("mmdebstrap")) {
        return Err(Failure::new("`mmdebstrap` is not installed, and it is what roots are made by")
            .help("on Debian and Ubuntu, install it:\nsudo apt-get install mmdebstrap"));
    }
    let (mirror, keyring) = match &request.mirror {
        Some(mirror) => (mirror.clone(), None),
        None => mirror(release.distribution, Path::new("/etc/apt"))?,
    };
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(format!("the root {} cannot be made", text::path(&folder)))
            .note(format!("{what}: {error}"))
    };
    let cache = root::cache()?;
    fs::create_dir_all(&cache).map_err(|error| failed("its folder", error))?;
    let scratch = tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(&cache)
        .map_err(|error| failed("a folder beside it", error))?;
    let new = scratch.path().join("root");
    // mmdebstrap(1): one that starts with `?` is not split at commas.
    let includes = PLAIN.iter().chain(&packages).map(|package| format!("--include={package}"));
    let signed = keyring.map(|keyring| format!("[signed-by={keyring}] ")).unwrap_or_default();
    let source = format!("deb {signed}{mirror} {} {}", release.suite, release.components.replace(',', " "));
    // Nothing of the packages is run: that would need an emulator, and root.
    let invocation = Invocation::new("mmdebstrap")
        .args(["--quiet", "--mode=chrootless", "--variant=extract", "--format=directory"])
        .args([format!("--architectures={debian}")])
        .args(includes)
        .args(merged_usr(release, debian))
        .args([release.suite.into(), new.clone().into_os_string(), source.into()]);
    say("Running", &invocation.shown());
    let outcome = invocation.output_or_error().map_err(|error| {
        Failure::new(format!("the root {} cannot be made", text::path(&folder))).note(error.to_string())
    })?;
    if let Err(said) = outcome {
        // Of its own words "failed" says nothing beside apt's.
        let tells = |line: &&str| {
            (line.starts_with("E:") || line.contains("rror")) && !line.starts_with("E: apt download failed")
        };
        let lines: Vec<&str> = said.lines().filter(tells).collect();
        let mut failure =
            Failure::new(format!("mmdebstrap could not make a root of {} for {debian}", request.platform));
        for line in lines.iter().take(6) {
            failure = failure.note((*line).to_owned());
        }
        return Err(failure.help(format!("run it yourself to see all:\n{}", invocation.shown())));
    }
    let loaders = request.arch.glibc_interpreters().unwrap_or_default();
    let has_loader = |loader: &&&str| {
        crate::loader::resolve_in(&new, Path::new(**loader)).is_some_and(|path| path.is_file())
    };
    if loaders.iter().find(has_loader).is_none() {
        return Err(Failure::new(format!(
            "the root that mmdebstrap made has no loader for {}",
            request.arch
        )));
    }
    let lacking = agree::lacking(&new, release.name, request.arch).unwrap_or_default();
    if !lacking.versions.is_empty() {
        return Err(differs(&request.platform, &lacking.versions));
    }
    if folder.exists() {
        let old = scratch.path().join("old");
        fs::rename(&folder, old).map_err(|error| failed("the one before", error))?;
    }
    fs::rename(&new, &folder).map_err(|error| failed("its place", error))?;
    let text: String = packages.iter().map(|package| format!("{package}\n")).collect();
    Beside::open(&list)
        .and_then(|file| file.write(text.as_bytes()))
        .map_err(|error| failed("the list of its packages", error))?;
    Ok(Made { folder, kept: false, lacking: lacking.libraries })
}

/// Beside a root: the packages that it has beyond the plain ones.
fn listed(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".packages");
    name.into()
}

/// A root with older libraries than `check` and `show` speak of: another release.
fn differs(platform: &str, lacking: &[String]) -> Failure {
    const SHOWN: usize = 6;
    let failure = Failure::new(format!("what was made is not what is known of {platform}"));
    let failure =
        lacking.iter().take(SHOWN).fold(failure, |failure, path| failure.note(format!("it lacks {path}")));
    let more = lacking.len().saturating_sub(SHOWN);
    let failure = if more > 0 { failure.note(format!("and {more} more")) } else { failure };
    failure.help("is the mirror the right one? `--mirror URL` names another")
}

/// Installers of these releases make `/lib` and others links into `/usr`; in
/// later ones the package base-files brings them.
fn merged_usr(release: &Release, debian: &str) -> Option<String> {
    if !release.links_by_installer {
        return None;
    }
    // base-files of Debian 13, debian/rules.
    let beside: &[&str] = match debian {
        "amd64" => &["lib64", "lib32", "libx32"],
        "i386" => &["lib64", "libx32"],
        "ppc64el" | "loong64" => &["lib64"],
        "s390x" => &["lib32"],
        _ => &[],
    };
    let links = ["bin", "sbin", "lib"].iter().chain(beside);
    let commands = links.map(|name| format!("mkdir -p \"$1\"/usr/{name} && ln -s usr/{name} \"$1\"/{name}"));
    Some(format!("--setup-hook={}", commands.collect::<Vec<_>>().join(" && ")))
}

/// The mirror that this machine's apt has, and the keyring that goes with it:
/// `sources.list` and `sources.list.d` in both of their formats (sources.list(5)).
fn mirror(distribution: &str, apt: &Path) -> Result<(String, Option<String>), Failure> {
    let mut texts = Vec::new();
    let mut read = |path: &Path| texts.extend(fs::read_to_string(path));
    read(&apt.join("sources.list"));
    let entries = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let is_source = |path: &&PathBuf| path.extension().is_some_and(|end| end == "list" || end == "sources");
    paths.iter().filter(is_source).for_each(|path| read(path));
    let found = texts.iter().flat_map(|text| mirrors(text));
    let is_of = |uri: &str| uri.trim_end_matches('/').rsplit('/').next() == Some(distribution);
    found.into_iter().find(|(uri, _)| is_of(uri)).ok_or_else(|| {
        Failure::new(format!("apt has no mirror of {distribution} on this machine"))
            .note(format!(
                "{} and {} name none",
                apt.join("sources.list").display(),
                apt.join("sources.list.d").display()
            ))
            .help("name one:\ncargo compat platforms root PLATFORM --arch ARCH --mirror URL")
    })
}

/// Each address of binary packages with its keyring, where that is a file.
fn mirrors(text: &str) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let (options, rest) = match rest.trim_start().strip_prefix('[') {
            Some(rest) => rest.split_once(']').unwrap_or(("", rest)),
            None => ("", rest),
        };
        let signed = options.split_whitespace().find_map(|word| word.strip_prefix("signed-by="));
        if let Some(uri) = rest.split_whitespace().next() {
            found.push((uri.to_owned(), signed.map(str::to_owned)));
        }
    }
    for block in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = block.lines().filter(|line| !line.starts_with('#'));
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        let binary = field("Types").is_some_and(|types| types.split_whitespace().any(|word| word == "deb"));
        let signed = field("Signed-By").filter(|path| path.starts_with('/')).map(str::to_owned);
        for uri in field("URIs").filter(|_| binary).into_iter().flat_map(str::split_whitespace) {
            found.push((uri.to_owned(), signed.clone()));
        }
    }
    found
}

/// The architecture that Debian or rustc calls so.
pub fn arch(name: &str) -> Option<Arch> {
    let known = cfg_expr::targets::ALL_BUILTINS
        .iter()
        .filter_map(|target| crate::target::arch(target.triple.as_str()));
    let is_meant = |arch: &Arch| root::debian_name(*arch) == Some(name) || arch.to_string() == name;
    known.into_iter().find(is_meant).or_else(|| crate::target::arch(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_in_both_formats() {
        let text = "# deb http://no.invalid/debian x main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://a.invalid/debian bookworm main\n\
                    deb-src http://src.invalid/debian bookworm main\n\
                    deb http://b.invalid/ubuntu jammy main\n\n\
                    Types: deb deb-src\nURIs: http://c.invalid/debian/ http://d.invalid/debian\nSuites: bookworm\nSigned-By: /l.gpg\n\n\
                    Types: deb-src\nURIs: http://e.invalid/debian\n";
        let keyed = |uri: &str, key: &str| (uri.to_owned(), Some(key.to_owned()));
        assert_eq!(
            mirrors(text),
            [
                keyed("http://a.invalid/debian", "/k.gpg"),
                ("http://b.invalid/ubuntu".to_owned(), None),
                keyed("http://c.invalid/debian/", "/l.gpg"),
                keyed("http://d.invalid/debian", "/l.gpg"),
            ]
        );
    }

    #[test]
    fn architectures_by_both_names() {
        for (name, debian) in [
            ("s390x", "s390x"),
            ("ppc64el", "ppc64el"),
            ("powerpc64le", "ppc64el"),
            ("x86_64", "amd64"),
            ("amd64", "amd64"),
            ("aarch64", "arm64"),
        ] {
            assert_eq!(arch(name).and_then(root::debian_name), Some(debian), "{name}");
        }
        assert_eq!(arch("pdp11"), None);
    }
}
