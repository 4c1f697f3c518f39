//! Calls of the C library's name service functions in a static program.
//!
//! A static glibc still loads NSS modules and gconv converters at run time
//! when one of these is called (fact 17). That it is linked proves nothing:
//! every Rust program pulls `getaddrinfo` in and most never call it. So the
//! code is searched for fields that lead to it, and the function around each
//! is named by the symbol table.

use std::collections::BTreeSet;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};

use super::{Elf, ReadError, lossy, record};

/// `.symtab` read at most, in bytes; beyond it nothing is claimed.
const MOST_SYMBOLS: u64 = 64 << 20;
/// Bytes of names in the answer at most: no program has so many.
const MOST_TEXT: usize = 1 << 20;
/// Segments of code at most: real files have one or two, and all may be of the
/// same bytes.
const MOST_SEGMENTS: usize = 16;
/// Code searched at most, in bytes.
const MOST_CODE: u64 = 128 << 20;

const FUNCTIONS: &[&str] = &[
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyaddr_r",
    "gethostbyname",
    "gethostbyname_r",
    "gethostbyname2",
    "gethostbyname2_r",
    "getgrgid",
    "getgrgid_r",
    "getgrnam",
    "getgrnam_r",
    "getgrouplist",
    "getnameinfo",
    "getpwnam",
    "getpwnam_r",
    "getpwuid",
    "getpwuid_r",
    "getservbyname",
    "getservbyname_r",
    "iconv_open",
    "initgroups",
];

/// Functions of glibc itself that call some of these: they are linked with
/// them, called or not.
const OWN_CALLERS: &[&str] =
    &["gaih_", "get_nss", "glob", "parse_tilde", "parse_dollars", "wordexp", "ruserok", "_"];

pub(super) struct Function {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) size: u64,
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    /// `caller → callee`, sorted. Without a symbol table: nothing.
    pub fn name_service_calls(&self) -> Result<Vec<String>, ReadError> {
        let functions = self.functions()?;
        let wanted: Vec<&Function> =
            functions.iter().filter(|function| FUNCTIONS.contains(&function.name.as_str())).collect();
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
        // ELFv2 on ppc64le enters eight bytes in where the caller shares its TOC.
        let local_entry = if self.header.e_machine(self.endian) == elf::EM_PPC64 { 8 } else { 0 };
        let reach = first.start..=last.start.saturating_add(local_entry);
        let mut pairs = BTreeSet::new();
        let mut left = MOST_CODE;
        let code = |segment: &&H::ProgramHeader| {
            segment.p_type(self.endian) == elf::PT_LOAD && segment.p_flags(self.endian).0 & elf::PF_X.0 != 0
        };
        if self.segments.iter().filter(code).count() > MOST_SEGMENTS {
            return Ok(Vec::new());
        }
        for segment in self.segments.iter().filter(code) {
            let size: u64 = segment.p_filesz(self.endian).into();
            let Some(rest) = left.checked_sub(size) else { return Ok(Vec::new()) };
            left = rest;
            let code = self.source.read(segment.p_offset(self.endian).into(), size, "a PT_LOAD")?;
            let start: u64 = segment.p_vaddr(self.endian).into();
            self.leads(&code, start, |from, to| {
                if !reach.contains(&to) {
                    return;
                }
                let starting = |at: u64| {
                    let first = wanted.partition_point(|function| function.start < at);
                    wanted.get(first).filter(|function| function.start == at)
                };
                let Some(callee) = starting(to).or_else(|| starting(to.wrapping_sub(local_entry))) else {
                    return;
                };
                let around = functions.partition_point(|function| function.start <= from).checked_sub(1);
                let Some(caller) = around.map(|at| &functions[at]) else { return };
                let inside = from < caller.start.saturating_add(caller.size.max(1));
                // Rust's mangled names begin with `_` too.
                let is_rust = caller.name.starts_with("_R") || caller.name.starts_with("_ZN");
                let own = OWN_CALLERS.iter().any(|name| caller.name.starts_with(name)) && !is_rust;
                if inside && !own && !FUNCTIONS.contains(&caller.name.as_str()) {
                    pairs.insert((caller.name.as_str(), callee.name.as_str()));
                }
            });
        }
        if pairs.iter().map(|(caller, callee)| caller.len() + callee.len()).sum::<usize>() > MOST_TEXT {
            return Ok(Vec::new());
        }
        Ok(pairs.into_iter().map(|(caller, callee)| format!("{caller} → {callee}")).collect())
    }

    /// The functions of `.symtab`, by address.
    pub(super) fn functions(&self) -> Result<Vec<Function>, ReadError> {
        let count = u64::from(self.header.e_shnum(self.endian));
        let mut sections = (0..count).map_while(|index| self.section_header(index).ok().flatten());
        let Some(table) = sections.find(|section| section.sh_type(self.endian) == elf::SHT_SYMTAB) else {
            return Ok(Vec::new());
        };
        let Some(names) = self.section_header(u64::from(table.sh_link(self.endian)))? else {
            return Ok(Vec::new());
        };
        let (size, names_size) = (table.sh_size(self.endian).into(), names.sh_size(self.endian).into());
        if size > MOST_SYMBOLS || names_size > MOST_SYMBOLS {
            return Ok(Vec::new());
        }
        let entries = self.source.read(table.sh_offset(self.endian).into(), size, "the symbol table")?;
        let names = self.source.read(names.sh_offset(self.endian).into(), names_size, "the string table")?;
        let mut budget = MOST_SYMBOLS;
        let mut functions = Vec::new();
        for entry in entries.chunks_exact(size_of::<H::Sym>()) {
            let symbol: H::Sym = record(entry);
            if symbol.st_type() != elf::STT_FUNC || symbol.st_shndx(self.endian) == elf::SHN_UNDEF {
                continue;
            }
            let tail = names.get(symbol.st_name(self.endian) as usize..).unwrap_or_default();
            let end = tail.iter().position(|byte| *byte == 0).unwrap_or(0) as u64;
            let Some(left) = budget.checked_sub(end) else { return Ok(Vec::new()) };
            budget = left;
            functions.push(Function {
                name: lossy(&tail[..end as usize]),
                start: symbol.st_value(self.endian).into(),
                size: symbol.st_size(self.endian).into(),
            });
        }
        functions.sort_by(|a, b| (a.start, a.size, &a.name).cmp(&(b.start, b.size, &b.name)));
        Ok(functions)
    }

    /// Every field that may hold a distance to code: from where, to where.
    fn leads(&self, code: &[u8], start: u64, mut lead: impl FnMut(u64, u64)) {
        let word = |at: usize| code.get(at..at + 4).and_then(|word| word.first_chunk().copied());
        match self.header.e_machine(self.endian) {
            // `call`, `jmp` and `lea` end in a distance from their end; they
            // may begin at any byte.
            elf::EM_X86_64 => {
                for at in 0..code.len().saturating_sub(4) {
                    let Some(distance) = word(at).map(i32::from_le_bytes) else { return };
                    let from = start.wrapping_add(at as u64);
                    lead(from, from.wrapping_add(4).wrapping_add_signed(distance.into()));
                }
            }
            // `brasl`, `brcl` and `larl`: halfwords from their beginning.
            elf::EM_S390 => {
                for at in (2..code.len().saturating_sub(4)).step_by(2) {
                    let Some(distance) = word(at).map(i32::from_be_bytes) else { return };
                    let from = start.wrapping_add(at as u64 - 2);
                    lead(from, from.wrapping_add_signed(i64::from(distance) * 2));
                }
            }
            // `b` and `bl`: 24 bits of words.
            elf::EM_PPC64 => {
                for at in (0..code.len().saturating_sub(3)).step_by(4) {
                    let Some(bytes) = word(at) else { return };
                    let big = self.header.is_big_endian();
                    let instruction = if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
                    if instruction >> 26 == 18 {
                        let distance = ((instruction & 0x03ff_fffc) << 6).cast_signed() >> 6;
                        let from = start.wrapping_add(at as u64);
                        lead(from, from.wrapping_add_signed(distance.into()));
                    }
                }
            }
            // `b` and `bl`: 26 bits of words.
            elf::EM_AARCH64 => {
                for at in (0..code.len().saturating_sub(3)).step_by(4) {
                    let Some(instruction) = word(at).map(u32::from_le_bytes) else { return };
                    if instruction >> 26 & 0x1f == 5 {
                        let distance = (instruction << 6).cast_signed() >> 4;
                        let from = start.wrapping_add(at as u64);
                        lead(from, from.wrapping_add_signed(distance.into()));
                    }
                }
            }
            _ => {}
        }
    }
}
