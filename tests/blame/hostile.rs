//! Hostile files: whatever the bytes are, reading their code answers, soon and in little memory.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use cargo_compat::artifact::Source;
use cargo_compat::blame::code::{Code, Lines, patterns};

use crate::compile::{Machine, Workshop};
use crate::support::mutate::Subject;
use crate::support::random::Random;

const CASES: usize = 600;
const SEED: u64 = 0x00c0_ffee;
/// A case takes milliseconds. This is for machines that do something else meanwhile.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Names may have 64 MiB together, by the reader's own limit, and edges are counted in millions.
const MOST_MEMORY: u64 = 128 << 20;

/// Changes of a program and of an object: of the fields that the loader reads, of section headers, and of what these
/// lead to.
pub fn changed_files(machine: &'static Machine) -> anyhow::Result<()> {
    let workshop = Workshop::new(machine)?;
    let flags: &[&str] = match machine.name {
        "x86_64" => &["-O2", "-fPIE", "-pie", "-s", "-Wl,-z,pack-relative-relocs"],
        _ => &["-O2", "-fPIE", "-pie"],
    };
    let files =
        [workshop.c_program("program", &["-O2", "-fPIC", "-shared"])?, workshop.c_program("other", flags)?];
    let object = fs::read(workshop.c_object("object.o", &["-O2", "-fPIC"])?)?;
    answers(object.clone())?;
    for path in files {
        let subject = Subject::new(machine.name, fs::read(path)?);
        ensure!(Code::read(&Source::from_bytes(subject.bytes.clone())).is_ok());
        for case in 0..CASES {
            let mut random = Random::new(SEED, machine.name, case);
            let mut bytes = if case % 4 == 0 { subject.mutated(&mut random) } else { subject.bytes.clone() };
            if case % 4 != 0 {
                change_sections(&mut bytes, &mut random);
            }
            answers(bytes).map_err(|error| error.context(format!("case {case} of {}", machine.name)))?;
        }
    }
    for case in 0..CASES / 4 {
        let mut random = Random::new(SEED, "object", case);
        let mut bytes = object.clone();
        change_sections(&mut bytes, &mut random);
        answers(bytes).map_err(|error| error.context(format!("case {case} of an object")))?;
    }
    Ok(())
}

/// Section headers stand at `e_shoff` (0x28), 64 bytes each (ELF gABI, chapter 4).
fn change_sections(bytes: &mut [u8], random: &mut Random) {
    let big_endian = bytes[5] == 2;
    let number = |bytes: &[u8], at: usize| -> usize {
        let Some(field) = bytes.get(at..at + 8).and_then(|field| field.first_chunk()) else { return 0 };
        (if big_endian { u64::from_be_bytes(*field) } else { u64::from_le_bytes(*field) }) as usize
    };
    let table = number(bytes, 0x28);
    let count = bytes.len().saturating_sub(table) / 64;
    for _ in 0..1 + random.below(4) {
        let header = table + 64 * random.below(count);
        let offset = number(bytes, header + 24);
        let size = number(bytes, header + 32);
        let at = match random.below(3) {
            0 => header + random.below(64),
            1 => header + [4, 24, 32, 40, 44][random.below(5)] + random.below(4),
            _ => offset.saturating_add(random.below(size.clamp(1, 1 << 16))),
        };
        let value = match random.below(4) {
            0 => 0xff,
            1 => 0,
            2 => 0x80,
            _ => random.next() as u8,
        };
        for byte in bytes.iter_mut().skip(at).take(1 + random.below(3)) {
            *byte = value;
        }
    }
}

fn answers(bytes: Vec<u8>) -> anyhow::Result<()> {
    let started = Instant::now();
    let most = MOST_MEMORY + 16 * bytes.len() as u64;
    let mut outcome = Ok(());
    let used = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| ask(bytes)));
    });
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        bail!("it panics: {}", text.unwrap_or_else(|| format!("{:?}", panic.downcast_ref::<&str>())));
    }
    ensure!(used.bytes_max <= most, "it takes {} bytes of memory; {most} would be fine", used.bytes_max);
    ensure!(started.elapsed() <= MOST_TIME, "it takes {:?}", started.elapsed());
    Ok(())
}

fn ask(bytes: Vec<u8>) {
    let source = Source::from_bytes(bytes);
    let names: HashSet<&str> = ["dep_called", "dep_twice", "dep_tail"].into_iter().collect();
    let offered = patterns(&source, 0, source.size(), &names).unwrap_or_default();
    if let Ok(Some(lines)) = Lines::read(&source) {
        (0..0x4000).step_by(64).for_each(|address| drop(lines.of(address)));
    }
    let Ok(code) = Code::read(&source) else { return };
    let imports: Vec<_> = code.imports().cloned().collect();
    for import in imports.iter().take(64) {
        let references = code.references(import);
        for function in references.functions.iter().take(4) {
            code.is_start_file(function);
            code.chain(function, |symbol| symbol.starts_with("user_"));
        }
        let _ = code.match_functions(&source, import, &offered.iter().collect::<Vec<_>>());
    }
}
