//! The roots that a policy can name, and where they lie on this machine.

use std::path::{Path, PathBuf};

use super::make_root;
use crate::artifact::{Arch, Depth, Examined, examine};
use crate::process::Invocation;
use crate::report::Failure;
use crate::text;
use crate::workspace;

/// What a policy or the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// What a scratch image has: nothing.
    Empty,
    /// The libraries of the cross compiler.
    Sysroot,
    Folder(PathBuf),
    /// A platform that a root was made of.
    Platform(String),
}

impl Wanted {
    /// `base`: what a relative folder is relative to.
    pub fn parse(text: &str, base: &Path) -> Self {
        match text {
            "empty" => Self::Empty,
            "sysroot" => Self::Sysroot,
            _ if text.contains('/') || text.starts_with('.') => Self::Folder(base.join(text)),
            _ => Self::Platform(text.to_owned()),
        }
    }
}

/// A root, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// None: the empty root.
    pub folder: Option<PathBuf>,
    pub is_sysroot: bool,
}

/// Finds it, and makes sure that it is for the architecture. `compiler`: the
/// linker that cargo's configuration names.
pub fn find(wanted: &Wanted, arch: Arch, triple: &str, compiler: Option<&Path>) -> Result<Found, Failure> {
    match wanted {
        Wanted::Empty => Ok(Found { folder: None, is_sysroot: false }),
        Wanted::Sysroot => {
            let folder = sysroot(arch, triple, compiler)?;
            Ok(Found { folder: Some(folder), is_sysroot: true })
        }
        Wanted::Folder(folder) => {
            let folder = is_root(folder, arch)?;
            Ok(Found { folder: Some(folder), is_sysroot: false })
        }
        Wanted::Platform(name) => {
            let folder = made(name, arch)?;
            if !folder.is_dir() && !make_root::names().any(|own| own == name) {
                return Err(unknown(name, arch));
            }
            if !folder.is_dir() {
                let debian = debian_name(arch).unwrap_or("ARCH");
                return Err(Failure::new(format!("no root of `{name}` for {arch} is on this machine"))
                    .note(format!("it would be {}", text::path(&folder)))
                    .help(format!("make one:\ncargo compat platforms root {name} --arch {debian}")));
            }
            Ok(Found { folder: Some(is_root(&folder, arch)?), is_sysroot: false })
        }
    }
}

/// A name that is neither a root that was made nor one that can be.
fn unknown(name: &str, arch: Arch) -> Failure {
    let failure = Failure::new(format!("there is no root `{}` for {arch}", text::escape(name)));
    match text::did_you_mean(name, make_root::names().chain(["empty", "sysroot"])) {
        Some(like) => failure.help(format!("did you mean `{like}`?")),
        None => failure.help(format!(
            "a root is `empty`, `sysroot`, a folder with a slash in it (`./{}`), or one that was made by\ncargo compat platforms root PLATFORM --arch ARCH",
            if name.is_empty() { "root".to_owned() } else { text::escape(name) }
        )),
    }
}

/// Where roots of platforms are kept: the user's folder for caches
/// (XDG Base Directory Specification).
pub fn cache() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("cargo-compat/roots")).ok_or_else(|| {
        Failure::new("there is no folder to keep roots in").note("neither `XDG_CACHE_HOME` nor `HOME` is set")
    })
}

/// Where the root of a platform is, made or not.
pub fn made(name: &str, arch: Arch) -> Result<PathBuf, Failure> {
    if name.contains(['/', '\0']) || name.starts_with('.') {
        return Err(Failure::new(format!("`{}` is no name of a platform", text::escape(name))));
    }
    let arch = debian_name(arch).map_or_else(|| arch.to_string(), str::to_owned);
    Ok(cache()?.join(format!("{name}-{arch}")))
}

/// Debian's word for an architecture.
pub fn debian_name(arch: Arch) -> Option<&'static str> {
    Some(match arch.to_string().as_str() {
        "x86_64" => "amd64",
        "i386" | "x86" => "i386",
        "aarch64" => "arm64",
        "s390x" => "s390x",
        "powerpc64le" => "ppc64el",
        "riscv64" => "riscv64",
        "loongarch64" => "loong64",
        _ => return None,
    })
}

/// A folder that can be a root for the architecture. One without a loader is
/// a root too: what needs one fails there.
fn is_root(folder: &Path, arch: Arch) -> Result<PathBuf, Failure> {
    let shown = text::path(folder);
    let failure = |why: String| Failure::new(format!("{shown} is no root")).note(why);
    let folder = folder.canonicalize().map_err(|error| failure(error.to_string()))?;
    if !folder.is_dir() {
        return Err(failure("it is no folder".to_owned()));
    }
    if !super::mounts::is_plain(&folder) {
        return Err(failure("its path cannot be bound".to_owned()));
    }
    let others = other_architecture(&folder, arch);
    match others {
        Some((file, other)) => Err(Failure::new(format!("{shown} is a root for {other}, not for {arch}"))
            .note(format!("{} is for {other}", text::path(&file)))),
        None => Ok(folder),
    }
}

/// A program or loader of another architecture, where there is none of this one.
fn other_architecture(folder: &Path, arch: Arch) -> Option<(PathBuf, Arch)> {
    let mut other = None;
    let folders = ["lib", "lib64", "usr/lib", "usr/lib64", "bin", "usr/bin"];
    for place in folders.iter().map(|place| folder.join(place)) {
        let Ok(entries) = std::fs::read_dir(place) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let telling =
                name.starts_with("ld") && name.contains(".so") || matches!(&*name, "sh" | "true" | "env");
            // A link may lead out of the root.
            if !telling || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            match examine(&entry.path(), Depth::Needs) {
                Ok(Examined::Elf(facts)) if facts.arch.same_as(arch) => return None,
                Ok(Examined::Elf(facts)) => other = Some((entry.path(), facts.arch)),
                _ => {}
            }
        }
    }
    other
}

/// The folder in which the C compiler for a triple has its libraries: a root
/// whose `/lib` they are. For the machine itself that is the machine.
fn sysroot(arch: Arch, triple: &str, compiler: Option<&Path>) -> Result<PathBuf, Failure> {
    if super::qemu::native().is_some_and(|native| native.same_as(arch)) {
        return Ok(PathBuf::from("/"));
    }
    let named = compiler.map(Path::to_owned);
    let Some(compiler) = named.or_else(|| workspace::cross_compiler(triple).map(PathBuf::from)) else {
        return Err(Failure::new(format!("no cross compiler for {triple} is known, so it has no `sysroot`")));
    };
    let shown = text::path(&compiler);
    let failure = |why: String| {
        let failure =
            Failure::new(format!("the libraries of {shown} are not found, so there is no `sysroot`"))
                .note(why);
        match workspace::debian_package(triple) {
            Some(package) => {
                failure.help(format!("on Debian and Ubuntu, install it:\nsudo apt-get install {package}"))
            }
            None => failure,
        }
    };
    let output = Invocation::new(&compiler).args(["-print-file-name=libc.so.6"]).output();
    let output = output.map_err(|error| failure(error.to_string()))?.unwrap_or_default();
    let library = Path::new(output.trim());
    // Where it finds none the compiler prints the bare name.
    if !library.is_absolute() {
        return Err(failure("it has no libc.so.6".to_owned()));
    }
    let library = library.canonicalize().map_err(|error| failure(error.to_string()))?;
    let folder = library.ancestors().find(|folder| {
        folder.file_name().is_some_and(|name| name == "lib" || name == "lib64" || name == "usr")
            && folder.parent().is_some_and(|above| above.join("lib").is_dir())
            && folder.file_name().is_none_or(|name| name != "usr")
    });
    match folder.and_then(Path::parent).filter(|folder| *folder != Path::new("/")) {
        Some(folder) if folder.file_name().is_some_and(|name| name == "usr") => {
            Ok(folder.parent().unwrap_or(folder).to_owned())
        }
        Some(folder) => Ok(folder.to_owned()),
        None => Err(failure(format!("{} lies in no root of its own", text::path(&library)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_roots() {
        let base = Path::new("/w");
        assert_eq!(Wanted::parse("empty", base), Wanted::Empty);
        assert_eq!(Wanted::parse("sysroot", base), Wanted::Sysroot);
        assert_eq!(Wanted::parse("./r", base), Wanted::Folder("/w/./r".into()));
        assert_eq!(Wanted::parse("/r", base), Wanted::Folder("/r".into()));
        assert_eq!(Wanted::parse("debian-12", base), Wanted::Platform("debian-12".into()));
    }
}
