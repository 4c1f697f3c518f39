//! What a system's own files tell of its loader.

use std::cmp::Ordering;
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
/// each name, searched as the loader searches it.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    bytes: Vec<u8>,
    big: bool,
    count: usize,
}

impl Cache {
    const HEADER: usize = 48;
    const ENTRY: usize = 24;

    /// `None`: there is none, or one of another format.
    pub(super) fn of_system(folder: &Path, arch: Arch) -> Option<Self> {
        Self::new(resolve(folder, "/etc/ld.so.cache").and_then(|path| read_whole(&path))?, arch)
    }

    fn new(mut bytes: Vec<u8>, arch: Arch) -> Option<Self> {
        const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
        // Before it there may be a cache of the format that glibc had until 2.31.
        let start = memmem::find(&bytes, MAGIC)?;
        bytes.drain(..start);
        let mut cache = Self { bytes, big: arch.endian == Endian::Big, count: 0 };
        cache.count = cache.number(MAGIC.len())? as usize;
        let room = cache.bytes.len().saturating_sub(Self::HEADER) / Self::ENTRY;
        (cache.count <= room).then_some(cache)
    }

    fn number(&self, at: usize) -> Option<u32> {
        let word: [u8; 4] = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    /// The name (`field` 4) or the path (8) of an entry.
    fn text(&self, index: usize, field: usize) -> Option<&[u8]> {
        let at = self.number(Self::HEADER + index * Self::ENTRY + field)?;
        let tail = self.bytes.get(at as usize..)?;
        Some(&tail[..tail.iter().position(|byte| *byte == 0)?])
    }

    /// Where a name is: of a newer CPU last, because the promise is about the oldest.
    pub(super) fn find(&self, name: &str) -> Vec<String> {
        self.search(name.as_bytes()).unwrap_or_default()
    }

    fn search(&self, name: &[u8]) -> Option<Vec<String>> {
        // The largest name is first.
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match compare(self.text(middle, 4)?, name) {
                Ordering::Greater => low = middle + 1,
                Ordering::Equal | Ordering::Less => high = middle,
            }
        }
        let (mut found, mut of_hwcaps) = (Vec::new(), Vec::new());
        for at in low..self.count {
            let own = self.text(at, 4)?;
            if compare(own, name) != Ordering::Equal {
                break;
            }
            let path = std::str::from_utf8(self.text(at, 8)?).ok()?.to_owned();
            if own == name {
                if path.contains("/glibc-hwcaps/") { &mut of_hwcaps } else { &mut found }.push(path);
            }
        }
        found.append(&mut of_hwcaps);
        Some(found)
    }
}

/// The order of the cache: digits count as numbers (`elf/dl-cache.c`, `_dl_cache_libcmp`).
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    /// Takes the digits at the start; too large ones wrap, as they may do there.
    fn digits(text: &mut &[u8]) -> i32 {
        let mut value = 0_i32;
        while let [digit @ b'0'..=b'9', rest @ ..] = text {
            value = value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
            *text = rest;
        }
        value
    }
    loop {
        let (digit_a, digit_b) = (a.first().map(u8::is_ascii_digit), b.first().map(u8::is_ascii_digit));
        match (digit_a, digit_b) {
            (None, _) | (_, None) => return a.len().cmp(&b.len()),
            (Some(true), Some(true)) => match digits(&mut a).wrapping_sub(digits(&mut b)) {
                0 => {}
                difference => return difference.cmp(&0),
            },
            (Some(true), Some(false)) => return Ordering::Greater,
            (Some(false), Some(true)) => return Ordering::Less,
            (Some(false), Some(false)) => match a[0].cmp(&b[0]) {
                Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
                // Where `char` has a sign, other bytes than ASCII are small; no library has such a name.
                other => return other,
            },
        }
    }
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

    /// A cache of these entries, in their order.
    fn cache(entries: &[(&str, &str)]) -> Cache {
        let mut bytes = b"glibc-ld.so.cache1.1".to_vec();
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.resize(Cache::HEADER, 0);
        let mut texts = Vec::new();
        for (name, path) in entries {
            let at = |texts: &Vec<u8>| (Cache::HEADER + entries.len() * Cache::ENTRY + texts.len()) as u32;
            bytes.extend([1, 3, 0, 0]);
            for text in [name, path] {
                bytes.extend(at(&texts).to_le_bytes());
                texts.extend(text.bytes().chain([0]));
            }
            bytes.extend([0; 12]);
        }
        bytes.extend(texts);
        Cache::new([b"ld.so-1.7.0".to_vec(), bytes].concat(), ARCH).unwrap()
    }

    #[test]
    fn a_cache_is_searched_in_the_loader_s_order() {
        let entries = [
            ("libz.so.10", "/lib/libz.so.10"),
            ("libz.so.9", "/lib/libz.so.9"),
            ("libc.so.6", "/lib/glibc-hwcaps/x86-64-v3/libc.so.6"),
            ("libc.so.6", "/lib/libc.so.6"),
            ("libc.so", "/lib/libc.so"),
            ("ld.so", "/lib/ld.so"),
        ];
        let cache = cache(&entries);
        for (name, path) in &entries {
            assert!(cache.find(name).contains(&(*path).to_owned()), "{name}");
        }
        assert_eq!(cache.find("libc.so.6"), ["/lib/libc.so.6", "/lib/glibc-hwcaps/x86-64-v3/libc.so.6"]);
        assert_eq!(cache.find("libz.so.11"), [""; 0]);
        assert_eq!(cache.find("libz.so.09"), [""; 0]);
        assert_eq!(cache.find("a"), [""; 0]);
    }

    #[test]
    fn a_cache_that_ends_too_soon_says_nothing() {
        assert!(Cache::new(b"glibc-ld.so.cache1.1\xff\xff\xff\xff".to_vec(), ARCH).is_none());
    }

    /// Where this machine has one: every name is found in it.
    #[test]
    fn all_of_a_real_cache_is_found() {
        let Some(cache) = Cache::of_system(Path::new("/"), ARCH) else { return };
        for at in 0..cache.count {
            let text = |field| String::from_utf8(cache.text(at, field).unwrap().to_vec()).unwrap();
            assert!(cache.find(&text(4)).contains(&text(8)), "{}", text(4));
        }
    }
}
