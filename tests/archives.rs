//! Hostile archives: whatever the bytes are, reading them ends soon, in little memory, with what is in them or an
//! error that says what is wrong; and nothing is unpacked.

#[path = "support"]
mod support {
    pub mod elf;
    pub mod hex;
    pub mod random;
}

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use cargo_compat::release::{Holds, Release};
use support::elf::Elf;
use support::random::Random;

const SEED: u64 = 0x0a2c_417e;
/// Changed archives of each kind.
const CASES: usize = 600;
/// A case takes some milliseconds; a bomb has 256 MiB to unpack.
const MOST_TIME: Duration = Duration::from_secs(30);
/// A window of 128 MiB may be asked for.
const MOST_MEMORY: u64 = 150 << 20;

const NAME: &str = "tool-1.0/bin/tool";

fn artifact() -> Vec<u8> {
    let description = r#"
        interpreter = "/lib64/ld-linux-x86-64.so.2"
        needed = ["libc.so.6", "libz.so.1"]
        version-needs = [{ file = "libc.so.6", nodes = [{ name = "GLIBC_2.17" }] }]
        symbols = [{ name = "memcpy", version = "GLIBC_2.17" }, { name = "deflate" }]
    "#;
    toml::from_str::<Elf>(description).expect("a description").to_bytes().expect("an ELF file")
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, *bytes).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    flate2::bufread::GzEncoder::new(bytes, flate2::Compression::default())
        .read_to_end(&mut packed)
        .expect("memory");
    packed
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut options = lzma_rust2::XzOptions::with_preset(1);
    options.lzma_options.dict_size = 1 << 16;
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options");
    writer.write_all(bytes).expect("memory");
    writer.finish().expect("memory")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let method = zip::CompressionMethod::Deflated;
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("memory");
        writer.write_all(bytes).expect("memory");
    }
    writer.finish().expect("memory").into_inner()
}

/// deb(5).
fn deb(data: &str, bytes: &[u8]) -> Vec<u8> {
    let mut package = b"!<arch>\n".to_vec();
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar", b"abc"), (data, bytes)] {
        let len = bytes.len();
        package.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{len:<10}`\n", 0, 0, 0, 100_644).bytes());
        package.extend(bytes);
        package.extend(&b"\n"[..len % 2]);
    }
    package
}

type Make = fn(&[(&str, &[u8])]) -> Vec<u8>;

/// Every kind, and whether a checksum covers the members.
const KINDS: [(&str, Make, bool); 9] = [
    ("tar", tar, false),
    ("tar.gz", |members| gzip(&tar(members)), true),
    ("tar.xz", |members| xz(&tar(members)), true),
    ("tar.zst", |members| zstandard(&tar(members)), true),
    ("zip", zip, true),
    ("gz", |members| gzip(members[0].1), true),
    ("gzip.deb", |members| deb("data.tar.gz", &gzip(&tar(members))), true),
    ("xz.deb", |members| deb("data.tar.xz", &xz(&tar(members))), true),
    ("none.deb", |members| deb("data.tar", &tar(members)), false),
];

/// Reads an archive within the limits. What was read, as text, and what could not be.
fn read(folder: &Path, name: &str, bytes: &[u8]) -> (Vec<String>, String) {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a temporary file");
    let started = Instant::now();
    let mut release = None;
    let used = allocation_counter::measure(|| release = Some(Release::read(&path)));
    let release = release.expect("it was read");
    assert!(started.elapsed() < MOST_TIME, "{name} takes {:?}", started.elapsed());
    assert!(used.bytes_max < MOST_MEMORY, "{name} takes {} bytes of memory", used.bytes_max);
    let failures = format!("{:?}", release.failures);
    assert!(!failures.contains("bug of cargo-compat"), "{name}: {failures}");
    let left: Vec<_> =
        fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, [path.file_name().expect("a name")], "something was unpacked");
    fs::remove_file(&path).expect("a temporary file");
    let facts = release.members.iter().filter_map(|member| match &member.holds {
        Holds::Facts(facts) => Some(serde_json::to_string(facts).expect("facts are JSON")),
        _ => None,
    });
    let silent = release.failures.is_empty();
    (facts.collect(), if silent { String::new() } else { failures })
}

fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => {
                let end = (at + 1 + random.below(8)).min(bytes.len());
                bytes[at..end].fill(*random.pick(&[0, 0xff]));
            }
            3 => bytes.truncate(at.max(1)),
            4 => {
                let end = (at + random.below(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
        }
    }
    bytes
}

#[test]
fn changed_archives() {
    let artifact = artifact();
    let members: [(&str, &[u8]); 2] = [(NAME, &artifact), ("tool-1.0/README", b"read me, and read me again")];
    let folder = tempfile::tempdir().expect("a folder");
    let (sound, none) = read(folder.path(), "tool", &artifact);
    assert!(sound.len() == 1 && none.is_empty(), "{none}");
    for (kind, make, summed) in KINDS {
        let bytes = make(&members);
        assert_eq!(read(folder.path(), kind, &bytes), (sound.clone(), String::new()), "{kind}");
        let mut refused = 0;
        for case in 0..CASES {
            let mut random = Random::new(SEED, kind, case);
            let changed = changed(&bytes, &mut random);
            let (facts, failures) = read(folder.path(), kind, &changed);
            refused += usize::from(!failures.is_empty());
            // What a checksum covers is as it was, or not taken for read.
            if summed && failures.is_empty() {
                assert!(facts.iter().all(|one| sound.contains(one)), "{kind}, case {case}: {facts:?}");
            }
        }
        assert!(refused > CASES / 4, "{kind}: only {refused} of {CASES} were refused");
    }
}

/// A stream in two members or frames is one stream.
#[test]
fn compressed_streams_may_be_in_pieces() {
    let artifact = artifact();
    let whole = tar(&[(NAME, &artifact)]);
    let (first, second) = whole.split_at(700);
    let folder = tempfile::tempdir().expect("a folder");
    for (name, pack) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("xz", xz), ("zst", zstandard)] {
        let mut packed = pack(first);
        if name == "zst" {
            // A skippable frame (RFC 8878, 3.1.2).
            packed.extend(b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc");
        }
        packed.extend(pack(second));
        let (facts, failures) = read(folder.path(), name, &packed);
        assert!(facts.len() == 1 && failures.is_empty(), "{name}: {failures}");
    }
}

/// A header of tar with any size, its checksum right.
fn tar_header(kind: u8, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("x").expect("a short name");
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Zeros after a beginning, by Zstandard's RLE blocks: 128 KiB of four bytes (RFC 8878, 3.1.1.2).
fn zstandard_bomb(head: &[u8]) -> Vec<u8> {
    // Frame: window descriptor of 8 MiB, no checksum.
    let mut bytes = b"\x28\xb5\x2f\xfd\x00\x68".to_vec();
    bytes.extend(&(head.len() as u32 * 8).to_le_bytes()[..3]);
    bytes.extend(head);
    for _ in 0..4096 {
        bytes.extend([0x02, 0x00, 0x10, 0x00]);
    }
    bytes
}

/// `PK\5\6` with numbers that are not so.
fn zip_of_many(entries: u16) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    bytes[..4].copy_from_slice(b"PK\x03\x04");
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(entries.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend(0xffff_0000_u32.to_le_bytes());
    bytes.extend(0x0010_0000_u32.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn little_that_asks_for_much() {
    let zeros = vec![0; 300 << 20];
    // Of a zip archive only what may be an artifact is unpacked at all.
    let program = [&b"\x7fELF\x02\x01\x01"[..], &zeros].concat();
    let long_name = [&tar_header(b'L', 8 << 20), &zeros[..8 << 20]].concat();
    let records = [&tar_header(b'x', 8 << 20), &zeros[..8 << 20]].concat();
    let many: Vec<u8> = tar_header(b'0', 0).repeat(1 << 16);
    let wide_window = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
    let sparse = [tar_header(b'S', 1 << 40), tar_header(b'0', 0)].concat();
    let artifact = artifact();
    let nested = gzip(&tar(&[("inside.tar.gz", &gzip(&tar(&[(NAME, &artifact)])))]));
    let bombs: [(&str, Vec<u8>, &str); 14] = [
        ("zeros.gz", gzip(&zeros), "expands without end"),
        ("zeros.xz", xz(&zeros), "expands without end"),
        ("zeros.zst", zstandard_bomb(b""), "expands without end"),
        ("zeros.zip", zip(&[("a", &program)]), "expands without end"),
        (
            "zeros.deb",
            deb("data.tar.zst", &zstandard_bomb(&tar_header(b'0', 400 << 20))),
            "expands without end",
        ),
        ("long-name.tar.gz", gzip(&long_name), "more than 1048576 bytes"),
        ("records.tar.gz", gzip(&records), "more than 1048576 bytes"),
        ("many.tar.gz", gzip(&many), "twice"),
        ("window.zst", wide_window, "128 MiB of memory"),
        ("sparse.tar", sparse, "sparse"),
        ("promise.tar", tar_header(b'0', 1 << 50), "cannot be read to its end"),
        ("many.zip", zip_of_many(u16::MAX), "cannot be read to its end"),
        (
            "member.deb",
            [&b"!<arch>\ndebian-binary   0           0     0     100644  9999999999`\n"[..], b"2.0\n"]
                .concat(),
            "cannot be read to its end",
        ),
        ("nested.tar.gz", nested, "nothing to compare"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes, expected) in bombs {
        let (facts, failures) = read(folder.path(), name, &bytes);
        assert!(facts.is_empty() && failures.contains(expected), "{name}: {failures}");
    }
}
