//! What a system's own files tell of its loader.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use memchr::{memmem, memrchr};

use super::root::resolve;
use crate::artifact::{Arch, Class, Endian, Release};

/// Bytes of a loader, a C library or a cache that are read at most. Real ones
/// have up to some 3 MB.
const MOST_BYTES: u64 = 64 << 20;

/// A regular file, if it is not too large.
pub(super) fn read_whole(path: &Path) -> Option<Vec<u8>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MOST_BYTES).then_some(bytes)
}

/// The default folders as they are compiled into a glibc loader: one string
/// after the other, each a path with a slash at its end (`elf/dl-load.c`,
/// `system_dirs`).
pub fn default_folders(loader: &[u8], arch: Arch) -> Vec<String> {
    // Where one ends and the next begins.
    for between in memmem::find_iter(loader, b"/\0/") {
        let start = memrchr(0, &loader[..between]).map_or(0, |before| before + 1);
        let texts = loader[start..].split(|byte| *byte == 0);
        let folders = texts.map_while(|text| std::str::from_utf8(text).ok().filter(|text| is_folder(text)));
        let run: Vec<String> = folders.map(|text| text.trim_end_matches('/').to_owned()).collect();
        if run.len() >= 2 {
            return run;
        }
    }
    let wide = if arch.class == Class::Elf64 { &["/lib64", "/usr/lib64"][..] } else { &[] };
    wide.iter().chain(&["/lib", "/usr/lib"]).map(|&folder| folder.to_owned()).collect()
}

fn is_folder(text: &str) -> bool {
    text.len() > 1
        && text.starts_with('/')
        && text.ends_with('/')
        && text.contains("lib")
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// From `GNU C Library (…) stable release version 2.36.`, in `libc.so.6`
/// (`version.c`).
pub(super) fn glibc_release(folder: &Path, loader: &[u8]) -> Option<Release> {
    glibc_release_of(loader).or_else(|| {
        let arch_neutral = default_folders(
            loader,
            Arch { machine: 0, class: Class::Elf64, endian: Endian::Little, flags: 0 },
        );
        let libc =
            arch_neutral.iter().find_map(|own| read_whole(&resolve(folder, &format!("{own}/libc.so.6"))?))?;
        glibc_release_of(&libc)
    })
}

/// The release that glibc's own files state.
pub fn glibc_release_of(bytes: &[u8]) -> Option<Release> {
    const BEFORE: &[u8] = b" release version ";
    let at = memmem::find(bytes, BEFORE)? + BEFORE.len();
    let text: String = bytes[at..]
        .iter()
        .take(16)
        .map(|byte| char::from(*byte))
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    Release::parse(text.trim_end_matches('.'))
}

/// `/etc/ld-musl-ARCH.path`, else musl's own default (`ldso/dynlink.c`).
pub(super) fn musl_folders(folder: &Path, interpreter: &str) -> Vec<String> {
    let name = interpreter.rsplit('/').next().unwrap_or_default();
    let arch = name.strip_prefix("ld-musl-").and_then(|name| name.strip_suffix(".so.1")).unwrap_or_default();
    let file = resolve(folder, &format!("/etc/ld-musl-{arch}.path")).and_then(|path| read_whole(&path));
    match file {
        Some(bytes) => String::from_utf8_lossy(&bytes)
            .split([':', '\n'])
            .filter(|folder| !folder.is_empty())
            .map(str::to_owned)
            .collect(),
        None => ["/lib", "/usr/local/lib", "/usr/lib"].map(str::to_owned).to_vec(),
    }
}

/// `/etc/ld.so.cache` (`sysdeps/generic/dl-cache.h`): where `ldconfig` found
/// each name. Without one, or with one of another format: nothing.
pub(super) fn cache(folder: &Path, arch: Arch) -> HashMap<String, Vec<String>> {
    let bytes = resolve(folder, "/etc/ld.so.cache").and_then(|path| read_whole(&path)).unwrap_or_default();
    entries(&bytes, arch).unwrap_or_default()
}

fn entries(bytes: &[u8], arch: Arch) -> Option<HashMap<String, Vec<String>>> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEADER: usize = 48;
    const ENTRY: usize = 24;
    // Before it there may be a cache of the format that glibc had until 2.31.
    let start = memmem::find(bytes, MAGIC)?;
    let cache = &bytes[start..];
    let number = |at: usize| {
        let word: [u8; 4] = *cache.get(at..)?.first_chunk()?;
        Some(if arch.endian == Endian::Big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    let text = |at: u32| {
        let tail = cache.get(at as usize..)?;
        let end = tail.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&tail[..end]).ok()
    };
    let count = number(20)? as usize;
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    let mut of_hwcaps = Vec::new();
    for at in (0..count).map(|index| HEADER + index * ENTRY) {
        let (name, path) = (text(number(at + 4)?)?, text(number(at + 8)?)?);
        if path.contains("/glibc-hwcaps/") {
            of_hwcaps.push((name.to_owned(), path.to_owned()));
        } else {
            found.entry(name.to_owned()).or_default().push(path.to_owned());
        }
    }
    // Those of a newer CPU last: the promise is about the oldest.
    for (name, path) in of_hwcaps {
        found.entry(name).or_default().push(path);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCH: Arch = Arch { machine: 62, class: Class::Elf64, endian: Endian::Little, flags: 0 };

    #[test]
    fn folders_are_read_from_the_loader() {
        let loader = b"\x7fELF\0/etc/\0junk\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0more";
        assert_eq!(
            default_folders(loader, ARCH),
            ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"]
        );
        assert_eq!(default_folders(b"", ARCH), ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]);
    }

    #[test]
    fn a_cache_that_ends_too_soon_says_nothing() {
        assert!(entries(b"glibc-ld.so.cache1.1\xff\xff\xff\xff", ARCH).is_none());
    }
}
