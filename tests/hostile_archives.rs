//! Hostile archives and objects: whatever the bytes are, the reader answers, soon and in little memory.
//!
//! Sound archives of three machines are changed and cut; a case depends on its number alone. `HOSTILE_CASES` is how many
//! each machine gets.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cargo_compat::artifact::{Linkable, ReadError, definitions, examine_linkable_bytes, referrers};

const CASES: u64 = 6000;
/// Every one is read; with its relocations, which needs a file, only every nth.
const WRITTEN: u64 = 50;
const MOST_TIME: Duration = Duration::from_secs(5);
const MOST_MEMORY: u64 = 64 << 20;
const ARCHIVES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/libc_nonshared.a",
    "/usr/s390x-linux-gnu/lib/libc_nonshared.a",
    "/usr/powerpc64le-linux-gnu/lib/libc_nonshared.a",
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // xorshift64 (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Changes where it hurts: headers of the archive, of objects, of sections, and anywhere.
fn changed(sound: &[u8], random: &mut Random) -> Vec<u8> {
    const NUMBERS: [u64; 7] = [0, 1, 0xff, 0xffff, 0x7fff_ffff, u64::MAX, 1 << 40];
    let mut bytes = sound.to_vec();
    let elf: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, four)| four == b"\x7fELF").map(|(at, _)| at).collect();
    for _ in 0..1 + random.below(4) {
        let object = elf[random.below(elf.len())];
        let at = match random.below(5) {
            0 => random.below(bytes.len()),
            1 => object + random.below(64),
            // The section header table stands at the end of an object.
            2 => object + random.below(4096),
            3 => object.saturating_sub(60) + random.below(60),
            _ => 8 + random.below(200),
        };
        let width = [1, 2, 4, 8][random.below(4)];
        let number = match random.below(3) {
            0 => NUMBERS[random.below(NUMBERS.len())],
            1 => random.below(bytes.len()) as u64,
            _ => random.next(),
        };
        let number = if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
        for (to, from) in bytes.iter_mut().skip(at).zip(number.iter().take(width)) {
            *to = *from;
        }
    }
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

fn read(bytes: Vec<u8>) -> Result<Linkable, ReadError> {
    let len = bytes.len() as u64;
    let start = Instant::now();
    let mut read = None;
    let used = allocation_counter::measure(|| read = Some(examine_linkable_bytes(bytes)));
    assert!(start.elapsed() < MOST_TIME, "it takes {:?}", start.elapsed());
    assert!(used.bytes_max < MOST_MEMORY + 8 * len, "it takes {} bytes for {len}", used.bytes_max);
    read.expect("it was read")
}

#[test]
fn changed_archives() {
    let cases = std::env::var("HOSTILE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let required = std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1");
    for path in ARCHIVES {
        let Ok(sound) = fs::read(path) else {
            assert!(!required, "needs {path}");
            continue;
        };
        let facts = read(sound.clone()).unwrap();
        assert!(
            facts.objects > 3 && !facts.open.is_empty() && facts.unread.is_empty(),
            "{path} was not understood"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.a");
        let mut answers = [0, 0];
        for case in 0..cases {
            let mut random = Random(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            random.next();
            let bytes = changed(&sound, &mut random);
            if case % WRITTEN == 0 {
                fs::write(&file, &bytes).unwrap();
                with_relocations(&file, &facts);
            }
            answers[usize::from(read(bytes).is_ok())] += 1;
        }
        assert!(answers[0] > 0 && answers[1] > 0, "all of {path} came to one answer: {answers:?}");
    }
}

fn with_relocations(file: &Path, facts: &Linkable) {
    let start = Instant::now();
    let names = facts.open.iter().map(|open| open.name.as_str()).collect();
    // What it answers is not known; that it does is the test.
    let answers = [
        referrers(file, &names).is_ok(),
        definitions(file, facts.arch.expect("the sound one has it"), &mut |_| {}).is_ok(),
    ];
    assert!(start.elapsed() < MOST_TIME, "{answers:?} after {:?}", start.elapsed());
}

#[test]
fn every_length_of_an_archive() {
    let Ok(sound) = fs::read(ARCHIVES[0]) else { return };
    for len in (0..sound.len()).step_by(7) {
        // Past its magic and before its end it is cut somewhere: a member lacks bytes, or all members are gone.
        let facts = read(sound[..len].to_vec());
        assert!(len < 8 || facts.is_err() || facts.is_ok_and(|facts| facts.objects < 20), "{len}");
    }
}
