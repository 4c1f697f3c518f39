//! Where the fields of an ELF file lie, and how to make them lie.

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::random::Random;

#[derive(Debug, Clone, Copy)]
struct Field {
    offset: usize,
    size: usize,
}

/// A file, and its fields in groups: what is small in a file and matters is chosen as often as what is large.
#[derive(Debug, Clone)]
pub struct Subject {
    pub name: String,
    pub bytes: Vec<u8>,
    groups: Vec<Vec<Field>>,
    big_endian: bool,
}

impl Subject {
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        let groups = match bytes[4] {
            1 => map::<elf::FileHeader32<Endianness>>(&bytes),
            _ => map::<elf::FileHeader64<Endianness>>(&bytes),
        };
        let groups = groups.unwrap_or_else(|error| panic!("{name} is no sound file: {error}"));
        let big_endian = bytes[5] == 2;
        Self { name: name.to_owned(), bytes, groups, big_endian }
    }

    /// The kinds of table that were found in it.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The file with some of its fields changed.
    pub fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for _ in 0..1 + random.below(4) {
            match random.below(16) {
                0 => bytes.truncate(random.below(self.bytes.len())),
                1 => flip(&mut bytes, random),
                2 => copy_within(&mut bytes, random),
                3 => self.swap(&mut bytes, random),
                _ => self.lie(&mut bytes, random),
            }
        }
        bytes
    }

    fn field(&self, random: &mut Random) -> Field {
        let group = random.pick(&self.groups).as_slice();
        *random.pick(group)
    }

    fn lie(&self, bytes: &mut [u8], random: &mut Random) {
        let field = self.field(random);
        let Some(old) = self.get(bytes, field) else { return };
        let bits = field.size as u32 * 8;
        let max = u64::MAX >> (64 - bits);
        let sign = 1 << (bits - 1);
        let len = self.bytes.len() as u64;
        let new = match random.below(16) {
            0 => 0,
            1 => 1,
            2 => max,
            3 => max - random.below(64) as u64,
            4 => sign,
            5 => sign - 1,
            6 => old.wrapping_add(1),
            7 => old.wrapping_sub(1),
            8 => old.wrapping_add(random.below(32) as u64),
            9 => old.wrapping_sub(random.below(32) as u64),
            10 => old ^ 1 << random.below(bits as usize),
            11 => old.swap_bytes() >> (64 - bits),
            12 => len.wrapping_add(random.below(5) as u64).wrapping_sub(2),
            13 => random.next() % len,
            14 => random.next(),
            // Another field's value: an address where a size belongs, a tag where a value does.
            _ => {
                let other = self.field(random);
                self.get(bytes, other).unwrap_or(0)
            }
        };
        self.set(bytes, field, new & max);
    }

    fn swap(&self, bytes: &mut [u8], random: &mut Random) {
        let group = random.pick(&self.groups).as_slice();
        let (a, b) = (*random.pick(group), *random.pick(group));
        if let (Some(first), Some(second)) = (self.get(bytes, a), self.get(bytes, b)) {
            self.set(bytes, a, second);
            self.set(bytes, b, first);
        }
    }

    fn get(&self, bytes: &[u8], field: Field) -> Option<u64> {
        let place = bytes.get(field.offset..field.offset + field.size)?;
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big_endian { place.iter().fold(0, fold) } else { place.iter().rev().fold(0, fold) })
    }

    fn set(&self, bytes: &mut [u8], field: Field, value: u64) {
        let Some(place) = bytes.get_mut(field.offset..field.offset + field.size) else { return };
        for (at, byte) in place.iter_mut().enumerate() {
            let shift = if self.big_endian { field.size - 1 - at } else { at } * 8;
            *byte = (value >> shift) as u8;
        }
    }
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let at = random.below(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn copy_within(bytes: &mut [u8], random: &mut Random) {
    let (from, to) = (random.below(bytes.len()), random.below(bytes.len()));
    let len = random.below(64).min(bytes.len() - from.max(to));
    bytes.copy_within(from..from + len, to);
}

/// `sizes`, one field after another, `count` times from `offset`.
fn table(bytes: &[u8], offset: usize, count: usize, sizes: &[usize]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut at = offset;
    for _ in 0..count {
        for size in sizes {
            if at + size <= bytes.len() {
                fields.push(Field { offset: at, size: *size });
            }
            at += size;
        }
    }
    fields
}

/// The fields of header, program headers, dynamic section, version tables, symbols, hash tables, strings, notes,
/// relocations and section headers.
fn map<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::read::Result<Vec<Vec<Field>>> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let wide = header.is_type_64();
    let word = if wide { 8 } else { 4 };
    let segments = header.program_headers(endian, bytes)?;
    let segment_sizes: &[usize] = if wide { &[4, 4, 8, 8, 8, 8, 8, 8] } else { &[4, 4, 4, 4, 4, 4, 4, 4] };
    let phoff: u64 = header.e_phoff(endian).into();
    let mut groups = vec![
        table(bytes, 0, 1, &[4, 1, 1, 1, 1, 1]),
        table(bytes, 16, 1, &[2, 2, 4, word, word, word, 4, 2, 2, 2, 2, 2, 2]),
        table(bytes, phoff as usize, segments.len(), segment_sizes),
    ];
    // Twice as likely: counts and sizes of the tables that everything else hangs on.
    groups.push(groups[2].clone());
    let offset_of = |address: u64| {
        segments.iter().filter(|one| one.p_type(endian) == elf::PT_LOAD).find_map(|one| {
            let (start, size): (u64, u64) = (one.p_vaddr(endian).into(), one.p_filesz(endian).into());
            let into = address.checked_sub(start).filter(|into| *into < size)?;
            Some((one.p_offset(endian).into() + into) as usize)
        })
    };
    for segment in segments {
        let offset: u64 = segment.p_offset(endian).into();
        let size: u64 = segment.p_filesz(endian).into();
        if segment.p_type(endian) == elf::PT_NOTE {
            groups.push(table(bytes, offset as usize, size as usize / 4, &[4]));
        }
        if segment.p_type(endian) == elf::PT_INTERP {
            groups.push(table(bytes, offset as usize, size as usize, &[1]));
        }
        let Some(entries) = segment.dynamic(endian, bytes)? else { continue };
        groups.push(table(bytes, offset as usize, entries.len(), &[word, word]));
        let value = |tag| {
            let entry = entries.iter().find(|entry| entry.d_tag(endian) == tag)?;
            Some(entry.d_val(endian).into())
        };
        let at = |tag| value(tag).and_then(offset_of);
        let symbol: &[usize] = if wide { &[4, 1, 1, 2, 8, 8] } else { &[4, 4, 4, 1, 1, 2] };
        let relocation: &[usize] = if wide { &[8, 8, 8] } else { &[4, 4] };
        let symbols = match (at(elf::DT_SYMTAB), at(elf::DT_STRTAB)) {
            (Some(table), Some(names)) if names > table => (names - table) / if wide { 24 } else { 16 },
            _ => 8,
        };
        let tables = [
            (elf::DT_STRTAB, value(elf::DT_STRSZ).unwrap_or(0) as usize, &[1_usize] as &[usize]),
            (elf::DT_SYMTAB, symbols, symbol),
            (elf::DT_VERSYM, symbols, &[2]),
            (elf::DT_HASH, 32, &[4]),
            (elf::DT_GNU_HASH, 4, &[4]),
            (elf::DT_GNU_HASH, 32, &[4]),
            (elf::DT_RELA, 16, relocation),
            (elf::DT_REL, 16, relocation),
            (elf::DT_JMPREL, 16, relocation),
        ];
        for (tag, count, sizes) in tables {
            if let Some(offset) = at(tag) {
                groups.push(table(bytes, offset, count, sizes));
            }
        }
        // Chains: need and its first node are neighbours as linkers write them, so the area is words.
        if let Some(offset) = at(elf::DT_VERNEED) {
            let nodes = value(elf::DT_VERNEEDNUM).unwrap_or(1) as usize * 3;
            groups.push(table(bytes, offset, nodes, &[2, 2, 4, 4, 4]));
            groups.push(table(bytes, offset, nodes, &[4, 2, 2, 4, 4]));
        }
        if let Some(offset) = at(elf::DT_VERDEF) {
            let nodes = value(elf::DT_VERDEFNUM).unwrap_or(1) as usize;
            groups.push(table(bytes, offset, nodes, &[2, 2, 2, 2, 4, 4, 4, 4, 4]));
        }
    }
    let sections = header.section_headers(endian, bytes)?;
    let shoff: u64 = header.e_shoff(endian).into();
    if !sections.is_empty() {
        let sizes = [4, 4, word, word, word, word, 4, 4, word, word];
        groups.push(table(bytes, shoff as usize, sections.len(), &sizes));
    }
    groups.retain(|group| !group.is_empty());
    Ok(groups)
}
