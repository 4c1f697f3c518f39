//! Small files that ask for much: each was, or might become, a way to make the reader or the judge take minutes or
//! gigabytes. x86-64 throughout; what is bounded does not depend on the machine.

/// A file's tables, by name, and its dynamic entries; addresses are offsets from `BASE`.
#[derive(Debug, Default)]
struct File {
    tables: Vec<(&'static str, Vec<u8>)>,
    dynamic: Vec<(u64, Value)>,
    /// `PT_LOAD`s beside the one that holds everything.
    more_loads: usize,
    kind: u16,
    /// `.symtab` and `.strtab`, by the names of their tables.
    symtab: Option<(&'static str, &'static str)>,
    notes: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Of(&'static str),
    Number(u64),
}

use Value::{Number, Of};

const BASE: u64 = 0x10_0000;
const NEEDED: u64 = 1;
const HASH: u64 = 4;
const STRTAB: u64 = 5;
const SYMTAB: u64 = 6;
const STRSZ: u64 = 10;
const RUNPATH: u64 = 29;
const GNU_HASH: u64 = 0x6fff_fef5;
const VERSYM: u64 = 0x6fff_fff0;
const VERNEED: u64 = 0x6fff_fffe;

/// What it abuses, and the file.
pub type Bomb = (&'static str, fn() -> Vec<u8>);

pub const ALL: &[Bomb] = &[
    ("a_long_name_of_a_library_that_many_nodes_share", || long_name(500_000, 4_000)),
    ("a_long_name_of_a_node_that_many_symbols_share", || long_symbols(200_000, 20_000)),
    ("many_nodes", || nodes(30_000, "GLIBC_x")),
    ("many_nodes_and_symbols", || nodes_and_symbols(4_000, 60_000, true)),
    ("many_needs_of_one_node_and_many_symbols", || nodes_and_symbols(4_000, 30_000, false)),
    ("many_needed_libraries", || needed(50_000)),
    ("a_run_path_of_colons", || run_path(&":".repeat(1_000_000))),
    ("a_run_path_half_bad_half_long", || {
        run_path(&format!("{}/{}", bad_folders(20_000), "g".repeat(60_000)))
    }),
    ("a_long_hash_chain_and_many_loads", || hash_chain(500_000, 4_000)),
    ("many_notes", || notes(50_000, "x")),
    ("a_note_with_many_entries", || notes(1, &required(20_000))),
    ("a_symbol_table_of_name_services", || name_services(10_000, 200_000, 0)),
    ("code_that_many_loads_share", || name_services(100, 1_000_000, 1_100)),
];

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// One library's needs: `names` are offsets into the string table, where the library is at 1.
fn needs(names: &[u32]) -> Vec<u8> {
    let mut bytes = words(&[0x1_0001, 1, 16, 0]);
    for (at, name) in names.iter().enumerate() {
        let next = if at + 1 == names.len() { 0 } else { 16 };
        bytes.extend(words(&[0, (2 + at as u32 % 30_000) << 16, *name, next]));
    }
    bytes
}

/// A string table that begins with one name, and the offsets of the others.
fn strings(first: &str, others: impl Iterator<Item = String>) -> (Vec<u8>, Vec<u32>) {
    let mut bytes = format!("\0{first}\0").into_bytes();
    let mut offsets = Vec::new();
    for other in others {
        offsets.push(bytes.len() as u32);
        bytes.extend(other.bytes().chain([0]));
    }
    (bytes, offsets)
}

fn symbol(name: u32, info: u8, section: u8, value: u64) -> Vec<u8> {
    let mut bytes = words(&[name]);
    bytes.extend([info, 0, section, 0]);
    bytes.extend(value.to_le_bytes());
    bytes.extend(8_u64.to_le_bytes());
    bytes
}

fn long_name(len: usize, count: usize) -> Vec<u8> {
    let (names, nodes) = strings(&"n".repeat(len), ["GLIBC_9.9".to_owned()].into_iter());
    let needs = needs(&vec![nodes[0]; count]);
    File { tables: vec![("strings", names), ("needs", needs)], ..File::default() }.strings().write()
}

fn nodes(count: usize, prefix: &str) -> Vec<u8> {
    let (names, nodes) = strings("libc.so.6", (0..count).map(|at| format!("{prefix}{at}")));
    File { tables: vec![("strings", names), ("needs", needs(&nodes))], ..File::default() }.strings().write()
}

fn with_symbols(names: Vec<u8>, needs: Vec<u8>, symbols: usize, index: impl Fn(usize) -> u16) -> Vec<u8> {
    let mut table = vec![0; 24];
    table.extend(symbol(1, 0x12, 0, 0).repeat(symbols));
    let versions = std::iter::once(0).chain((0..symbols).map(index)).flat_map(u16::to_le_bytes).collect();
    let hash = words(&[1, symbols as u32 + 1, 0, 0]);
    let tables = vec![
        ("strings", names),
        ("needs", needs),
        ("symbols", table),
        ("versions", versions),
        ("hash", hash),
    ];
    let dynamic = vec![(SYMTAB, Of("symbols")), (VERSYM, Of("versions")), (HASH, Of("hash"))];
    File { tables, dynamic, ..File::default() }.strings().write()
}

fn long_symbols(len: usize, symbols: usize) -> Vec<u8> {
    let (names, nodes) = strings("l", ["GLIBC_9.9".to_owned() + &"9".repeat(len)].into_iter());
    with_symbols(names, needs(&nodes), symbols, |_| 2)
}

fn nodes_and_symbols(count: usize, symbols: usize, distinct: bool) -> Vec<u8> {
    let (names, mut nodes) = strings("libc.so.6", (0..count).map(|at| format!("GLIBC_9.{at}")));
    if !distinct {
        let first = nodes[0];
        nodes.fill(first);
    }
    with_symbols(names, needs(&nodes), symbols, |at| 2 + (at % 30_000) as u16)
}

fn needed(count: usize) -> Vec<u8> {
    let (names, offsets) = strings("libc.so.6", (0..count).map(|at| format!("lib{at}.so")));
    let dynamic = offsets.iter().map(|at| (NEEDED, Number((*at).into()))).collect();
    File { tables: vec![("strings", names)], dynamic, ..File::default() }.strings().write()
}

fn run_path(path: &str) -> Vec<u8> {
    let (names, _) = strings(path, std::iter::empty());
    let dynamic = vec![(RUNPATH, Number(1))];
    File { tables: vec![("strings", names)], dynamic, ..File::default() }.strings().write()
}

fn bad_folders(count: usize) -> String {
    (0..count).map(|at| format!("{at}:")).collect()
}

fn required(count: usize) -> String {
    let entries: Vec<_> =
        (0..count).map(|at| format!(r#"{{"soname":["{at}"],"priority":"required"}}"#)).collect();
    format!("[{}]", entries.join(","))
}

fn hash_chain(len: usize, more_loads: usize) -> Vec<u8> {
    let mut hash = words(&[1, 1, 1, 0]);
    hash.extend([0; 8]); // the Bloom filter
    hash.extend(words(&[1])); // the only bucket
    hash.extend(vec![0; len * 4]);
    hash.extend(words(&[1])); // its end
    let tables = vec![("strings", b"\0a\0".to_vec()), ("symbols", vec![0; 48]), ("hash", hash)];
    let dynamic = vec![(SYMTAB, Of("symbols")), (GNU_HASH, Of("hash"))];
    File { tables, dynamic, more_loads, ..File::default() }.strings().write()
}

fn notes(count: usize, text: &str) -> Vec<u8> {
    let padded = text.len().next_multiple_of(4);
    let mut note = words(&[4, text.len() as u32, 0x407c_0c0a]);
    note.extend(b"FDO\0");
    note.extend(text.bytes().chain([0; 4]).take(padded));
    let tables = vec![("strings", b"\0a\0".to_vec()), ("notes", note.repeat(count))];
    File { tables, notes: Some("notes"), ..File::default() }.strings().write()
}

/// A static program whose every byte is a call of a name service, from a caller with a long name.
fn name_services(count: usize, code: usize, more_loads: usize) -> Vec<u8> {
    let caller = format!("main{}", "n".repeat(1000));
    let (names, _) = strings("getaddrinfo", [caller].into_iter());
    let mut symbols = vec![0; 24];
    for at in 0..count as u64 {
        // Code of zeros leads to four bytes further on.
        let name = if at % 2 == 0 { 1 } else { 13 };
        symbols.extend(symbol(name, 0x12, 1, BASE + at * 8));
    }
    let mut tag = words(&[4, 16, 1]);
    tag.extend(b"GNU\0");
    tag.extend(words(&[0, 3, 2, 0]));
    let tables = vec![("strings", names), ("symbols", symbols), ("notes", tag), ("code", vec![0; code])];
    let symtab = Some(("symbols", "strings"));
    File { tables, notes: Some("notes"), symtab, kind: 2, more_loads, ..File::default() }.write()
}

impl File {
    fn strings(mut self) -> Self {
        let size =
            self.tables.iter().find(|(name, _)| *name == "strings").map_or(0, |(_, bytes)| bytes.len());
        self.dynamic.extend([(STRTAB, Of("strings")), (STRSZ, Number(size as u64))]);
        if self.tables.iter().any(|(name, _)| *name == "needs") {
            self.dynamic.push((VERNEED, Of("needs")));
        }
        self.dynamic.push((0, Number(0)));
        self
    }

    fn write(self) -> Vec<u8> {
        let segments =
            1 + self.more_loads + usize::from(!self.dynamic.is_empty()) + usize::from(self.notes.is_some());
        let sections = if self.symtab.is_some() { 3 } else { 0 };
        let mut end = 64 + 56 * segments as u64;
        let dynamic = end;
        end += 16 * self.dynamic.len() as u64;
        let mut places = Vec::new();
        for (name, bytes) in &self.tables {
            end = end.next_multiple_of(16);
            places.push((*name, end, bytes.len() as u64));
            end += bytes.len() as u64;
        }
        let place = |name: &str| {
            let found = places.iter().find(|(own, ..)| *own == name);
            found.map(|(_, offset, size)| (*offset, *size)).expect("a table of that name")
        };
        let section_headers = end.next_multiple_of(8);
        let kind = if self.kind == 0 { 3 } else { self.kind };

        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        out.extend(kind.to_le_bytes().into_iter().chain(62_u16.to_le_bytes()));
        out.extend(words(&[1]));
        let shoff = if sections == 0 { 0 } else { section_headers };
        out.extend([0, 64, shoff].iter().flat_map(|word: &u64| word.to_le_bytes()));
        out.extend(words(&[0]));
        out.extend([64, 56, segments as u16, 64, sections, 0].iter().flat_map(|half| half.to_le_bytes()));
        let mut segment = |kind: u32, (offset, size): (u64, u64), address: u64| {
            out.extend(words(&[kind, 5]));
            out.extend([offset, address, address, size, size, 8].iter().flat_map(|word| word.to_le_bytes()));
        };
        let code = self.tables.iter().any(|(name, _)| *name == "code").then(|| place("code"));
        segment(1, code.unwrap_or((0, end)), BASE);
        // The same code again, or what lies where nothing is looked for: the last load is asked first.
        for at in 0..self.more_loads as u64 {
            match code {
                Some(code) => segment(1, code, BASE + at),
                None => segment(1, (0, 16), 0xff00_0000 + at * 16),
            }
        }
        if !self.dynamic.is_empty() {
            segment(2, (dynamic, 16 * self.dynamic.len() as u64), BASE + dynamic);
        }
        if let Some(notes) = self.notes {
            segment(4, place(notes), 0);
        }
        for (tag, value) in &self.dynamic {
            let value = match value {
                Of(name) => BASE + place(name).0,
                Number(number) => *number,
            };
            out.extend(tag.to_le_bytes().into_iter().chain(value.to_le_bytes()));
        }
        for ((_, offset, _), (_, bytes)) in places.iter().zip(&self.tables) {
            out.resize(*offset as usize, 0);
            out.extend(bytes);
        }
        if let Some((symbols, strings)) = self.symtab {
            out.resize(section_headers as usize + 64, 0);
            for (kind, (offset, size), link) in [(2, place(symbols), 2), (3, place(strings), 0)] {
                out.extend(words(&[0, kind]));
                out.extend([0, 0, offset, size].iter().flat_map(|word: &u64| word.to_le_bytes()));
                out.extend(words(&[link, 0]));
                out.extend([8, 24].iter().flat_map(|word: &u64| word.to_le_bytes()));
            }
        }
        out
    }
}
