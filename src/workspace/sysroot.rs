//! The libraries at hand for a target: this machine's own, or those of the
//! cross compiler. They are what was linked with, not what the program will
//! meet: what they lack is undecided.

use cfg_expr::targets::get_builtin_target_by_triple;

use super::linker;
use crate::artifact::{Arch, Artifact, Endian, Libc};
use crate::loader::{Family, Root};
use crate::process::{Invocation, on_path};

/// What is at hand for a file of that architecture and C library.
pub fn libraries(facts: &Artifact, triple: Option<&str>) -> Root {
    // The triple lies at times (fact 15): what the file says goes before.
    let musl = match facts.libc {
        Libc::Musl => true,
        Libc::Unknown => triple.is_some_and(|triple| triple.contains("-musl")),
        _ => false,
    };
    if this_machine().is_some_and(|own| own.same_as(facts.arch)) && cfg!(target_os = "linux") {
        let interpreter = match musl {
            true => format!("/lib/ld-musl-{}.so.1", facts.arch),
            false => match facts.arch.glibc_interpreters().and_then(<[_]>::first) {
                Some(path) => (*path).to_owned(),
                None => String::new(),
            },
        };
        if std::path::Path::new(&interpreter).is_file() {
            return Root::of_system("/", facts.arch, &interpreter).not_whole();
        }
    }
    let folders = match (musl, triple) {
        (false, Some(triple)) => compiler(triple).map(|name| folders_of(&name)).unwrap_or_default(),
        _ => Vec::new(),
    };
    let family = if musl { Family::Musl } else { Family::Glibc { release: None } };
    Root::of_folders("/", family, folders)
}

/// Where rustc keeps the libraries of a target (`libstd-….so`).
pub fn of_rustc(triple: &str) -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Invocation::new(rustc).args(["--print", "target-libdir", "--target", triple]);
    let folder = asked.output().ok()??;
    Some(folder.trim().to_owned())
}

fn this_machine() -> Option<Arch> {
    let endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
    let width = if cfg!(target_pointer_width = "64") { 64 } else { 32 };
    Arch::of_target(std::env::consts::ARCH, width, endian)
}

/// The compiler that links for a triple: cargo's variable, else the one that
/// we would name to cargo.
fn compiler(triple: &str) -> Option<String> {
    let named = std::env::var(linker::variable(triple)).ok();
    let known = get_builtin_target_by_triple(triple).and_then(|_| linker::cross_compiler(triple));
    [named, known].into_iter().flatten().find(|name| on_path(name.as_ref()))
}

/// `libraries: =/folder:/folder`, as GCC and Clang print it.
fn folders_of(compiler: &str) -> Vec<String> {
    let asked = Invocation::new(compiler).args(["-print-search-dirs"]).output();
    let Ok(Some(text)) = asked else { return Vec::new() };
    let Some(list) = text.lines().find_map(|line| line.strip_prefix("libraries: =")) else {
        return Vec::new();
    };
    let mut folders: Vec<String> = Vec::new();
    for folder in list.split(':').filter(|folder| folder.starts_with('/')) {
        let folder = folder.trim_end_matches('/').to_owned();
        if !folders.contains(&folder) && std::path::Path::new(&folder).is_dir() {
            folders.push(folder);
        }
    }
    folders
}
