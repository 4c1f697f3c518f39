//! Writes the ELF files that the tests judge, from descriptions in TOML, so that most cases need no compiler.
//!
//! An address is never equal to its offset, and differs from it by another amount in each segment: a reader that
//! confuses the two fails.

mod chunk;
pub mod description;
mod dynamic;
mod encoder;
mod notes;
mod symbols;
mod versions;

use anyhow::{Context, bail, ensure};

use chunk::{Chunk, Home, Place, Places, Strings};
pub use description::Elf;
use description::{Kind, Machine, Stack};
use encoder::Encoder;
use notes::PLAIN_NOTES;
use symbols::SYMBOL_SIZE;

const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
const SHT_RELR: u32 = 19;
const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const PN_XNUM: usize = 0xffff;
const R: u32 = 4;
const W: u32 = 2;
const X: u32 = 1;

impl Elf {
    pub fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        self.validate()?;
        let draft = self.chunks(&Places::default())?;
        let places = self.places(&draft);
        let chunks = self.chunks(&places)?;
        let mut file = self.assemble(&chunks, &places)?;
        for patch in &self.patch_field {
            let field = (file.fields.iter())
                .find(|field| field.name == patch.field)
                .with_context(|| format!("patch-field: the file has no field `{}`", patch.field))?;
            let (offset, size) = (field.offset, field.size);
            file.overwrite(offset, size, patch.value as u64);
        }
        let mut bytes = file.bytes;
        if let Some(length) = self.truncate {
            ensure!(length <= bytes.len(), "truncate: the file has only {} bytes", bytes.len());
            bytes.truncate(length);
        }
        for patch in &self.patch {
            let length = bytes.len();
            bytes
                .get_mut(patch.offset..patch.offset + patch.hex.0.len())
                .with_context(|| {
                    format!("patch: {:#x} lies past the file's {length:#x} bytes", patch.offset)
                })?
                .copy_from_slice(&patch.hex.0);
        }
        Ok(bytes)
    }

    /// A key that the file could not show would make its case say something else than it seems to.
    fn validate(&self) -> anyhow::Result<()> {
        ensure!(matches!(self.class, None | Some(32 | 64)), "class is 32 or 64");
        ensure!(
            self.x86_isa_needed.is_none() || matches!(self.machine, Machine::X86_64 | Machine::I386),
            "x86-isa-needed is for x86 alone"
        );
        ensure!(self.load_align().is_power_of_two(), "load-align is a power of two");
        if !self.has_dynamic() {
            let texts = [&self.soname, &self.rpath, &self.runpath];
            let flags =
                [self.pie, self.bind_now, self.textrel, self.relr, self.is_versioned(), self.hash.is_some()];
            if !self.needed.is_empty() || texts.iter().any(|text| text.is_some()) || flags.contains(&true) {
                bail!("a key says something that only a dynamic section holds, and the file has none");
            }
        }
        let has_static_symbols =
            !self.static_symbols.is_empty() || (!self.has_dynamic() && !self.symbols.is_empty());
        ensure!(
            !has_static_symbols || self.has_sections(),
            "only `sections = true` makes a static symbol findable"
        );
        ensure!(
            self.is_versioned() || self.symbols.iter().all(|symbol| symbol.version.is_none()),
            "a symbol has a version, and the file has none"
        );
        ensure!(
            self.static_symbols.iter().all(|symbol| symbol.version.is_none()),
            "static symbols have no version"
        );
        let needless =
            self.kind == Kind::Rel && (self.interpreter.is_some() || self.program_headers.is_some());
        ensure!(!needless, "a relocatable file has no program headers");
        Ok(())
    }

    fn chunks(&self, places: &Places) -> anyhow::Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        if let Some(interpreter) = &self.interpreter {
            let body = self.encoded(format!("{interpreter}\0").as_bytes());
            chunks.push(Chunk::new(".interp", SHT_PROGBITS, Home::Text, 1, body));
        }
        chunks.extend(self.note_chunks());
        let mut strings = Strings::new();
        if self.has_dynamic() {
            chunks.extend(self.gnu_hash_chunk());
            chunks.extend(self.sysv_hash_chunk());
            chunks.push(self.dynamic_symbol_chunk(&mut strings, places));
            let names = chunks.len();
            if self.is_versioned() {
                chunks.push(self.version_symbol_chunk()?);
            }
            chunks.extend(self.version_definitions_chunk(&mut strings));
            chunks.extend(self.version_needs_chunk(&mut strings));
            if self.relr {
                let mut body = self.encoder();
                body.word("relr[0]", places.of(".data").address);
                let mut chunk = Chunk::new(".relr.dyn", SHT_RELR, Home::Text, self.word_size(), body);
                chunk.entry_size = self.word_size();
                chunks.push(chunk);
            }
            let present: Vec<_> = chunks.iter().map(|chunk| chunk.name).collect();
            let dynamic = self.dynamic_chunk(&present, &mut strings, places);
            // Just behind the symbols, as every linker does: some readers count symbols by it.
            let body = self.encoded(&strings.bytes);
            chunks.insert(names, Chunk::new(".dynstr", SHT_STRTAB, Home::Text, 1, body));
            chunks.push(dynamic);
        }
        if self.kind != Kind::Core {
            let room = (self.symbols.len() + self.static_symbols.len() + 1) * SYMBOL_SIZE as usize;
            let body = self.encoded(&vec![0; room]);
            let before_data =
                chunks.iter().position(|chunk| chunk.home == Home::Data).unwrap_or(chunks.len());
            chunks.insert(before_data, Chunk::new(".text", SHT_PROGBITS, Home::Text, 16, body.clone()));
            chunks.push(Chunk::new(".data", SHT_PROGBITS, Home::Data, 16, body));
        }
        let mut static_strings = Strings::new();
        if let Some(symbols) = self.static_symbol_chunk(&mut static_strings, places) {
            chunks.push(symbols);
            let body = self.encoded(&static_strings.bytes);
            chunks.push(Chunk::new(".strtab", SHT_STRTAB, Home::Nowhere, 1, body));
        }
        Ok(chunks)
    }

    fn places(&self, chunks: &[Chunk]) -> Places {
        let step = self.load_align().max(0x10000);
        let text_base = if self.kind == Kind::Exec { step.max(0x40_0000) } else { step };
        let mut places = Places::default();
        let mut offset =
            self.header_size() + self.program_header_size() * self.program_header_count(chunks) as u64;
        for (chunk, section) in chunks.iter().zip(1..) {
            offset = offset.next_multiple_of(chunk.align);
            let base = match chunk.home {
                Home::Text => text_base,
                Home::Data => text_base + step,
                Home::Nowhere => 0,
            };
            let is_mapped = self.is_loaded() && chunk.home != Home::Nowhere;
            let size = chunk.body.bytes.len() as u64;
            let address = if is_mapped { base + offset } else { 0 };
            places.0.insert(chunk.name, Place { offset, address, size, section });
            offset += size;
        }
        places
    }

    fn header_size(&self) -> u64 {
        if self.wide() { 64 } else { 52 }
    }

    fn program_header_size(&self) -> u64 {
        if self.wide() { 56 } else { 32 }
    }

    fn program_header_count(&self, chunks: &[Chunk]) -> usize {
        let own = self.segments(chunks, &Places::default(), 0).len();
        own.max(self.program_headers.unwrap_or(0))
    }

    fn segments(&self, chunks: &[Chunk], places: &Places, count: usize) -> Vec<Segment> {
        let whole = |label: &str, kind, flags, name: &str| {
            let place = places.of(name);
            let align = chunks.iter().find(|chunk| chunk.name == name).map(|chunk| chunk.align);
            align.map(|align| Segment::new(label, kind, flags, place, align))
        };
        let span = |wanted: &dyn Fn(&Chunk) -> bool| {
            let mut inside = chunks.iter().filter(|chunk| wanted(chunk)).map(|chunk| places.of(chunk.name));
            let first = inside.next()?;
            let last = inside.next_back().unwrap_or(first);
            Some(Place { size: last.offset + last.size - first.offset, ..first })
        };
        let mut segments = Vec::new();
        let in_text = span(&|chunk| chunk.home == Home::Text).unwrap_or_default();
        if self.is_loaded() {
            let base = in_text.address - in_text.offset;
            if self.interpreter.is_some() {
                let offset = self.header_size();
                let size = self.program_header_size() * count as u64;
                let table = Place { offset, address: base + offset, size, section: 0 };
                segments.push(Segment::new("phdr", 6, R, table, self.word_size()));
            }
            segments.extend(whole("interp", 3, R, ".interp"));
            let text = Place { offset: 0, address: base, size: in_text.offset + in_text.size, section: 0 };
            let data = span(&|chunk| chunk.home == Home::Data).unwrap_or_default();
            segments.push(Segment::new("load[0]", 1, R | X, text, self.load_align()));
            segments.push(Segment::new("load[1]", 1, R | W, data, self.load_align()));
            segments.extend(whole("dynamic", 2, R | W, ".dynamic"));
        }
        if self.kind == Kind::Rel {
            return segments;
        }
        if let Some(notes) = span(&|chunk| PLAIN_NOTES.contains(&chunk.name)) {
            segments.push(Segment::new("note[0]", 4, R, notes, 4));
        }
        segments.extend(whole("note[1]", 4, R, ".note.gnu.property"));
        segments.extend(whole("gnu-property", 0x6474_e553, R, ".note.gnu.property"));
        let stack = match self.stack {
            Stack::Rw => Some(R | W),
            Stack::Rwx => Some(R | W | X),
            Stack::Absent => None,
        };
        if let Some(flags) = stack.filter(|_| self.is_loaded()) {
            segments.push(Segment::new("stack", 0x6474_e551, flags, Place::default(), 16));
        }
        segments
    }

    fn assemble(&self, chunks: &[Chunk], places: &Places) -> anyhow::Result<Encoder> {
        let program_headers = self.program_header_count(chunks);
        let mut names = Strings::new();
        let mut table = self.encoder();
        let sections = if self.has_sections() {
            let count = if program_headers >= PN_XNUM { program_headers as u32 } else { 0 };
            Section { info: count, ..Section::default() }.push(&mut table);
            for chunk in chunks {
                Section::of(chunk, places, &mut names).push(&mut table);
            }
            let name = names.add(".shstrtab");
            let offset =
                chunks.last().map_or(0, |chunk| places.of(chunk.name).offset + places.of(chunk.name).size);
            let size = names.bytes.len() as u64;
            let own = Place { offset, size, ..Place::default() };
            Section {
                label: ".shstrtab",
                name,
                kind: SHT_STRTAB,
                place: own,
                align: 1,
                ..Section::default()
            }
            .push(&mut table);
            chunks.len() + 2
        } else if program_headers >= PN_XNUM {
            Section { info: program_headers as u32, ..Section::default() }.push(&mut table);
            1
        } else {
            0
        };

        let mut body = self.encoder();
        let start = self.header_size() + self.program_header_size() * program_headers as u64;
        body.pad_until(start as usize);
        for chunk in chunks {
            body.pad_until(places.of(chunk.name).offset as usize);
            body.append(&chunk.body);
        }
        if self.has_sections() {
            body.raw(&names.bytes);
        }
        body.align(8);
        let section_offset = if sections == 0 { 0 } else { body.bytes.len() as u64 };
        body.append(&table);

        let mut file = self.encoder();
        self.push_header(&mut file, places, program_headers, section_offset, sections);
        let mut segments = self.segments(chunks, places, program_headers);
        segments.resize_with(program_headers, Segment::default);
        segments.iter().for_each(|segment| segment.push(&mut file));
        ensure!(file.bytes.len() as u64 == start, "the headers have another size than was laid out");
        let head = file.bytes.len();
        file.raw(&body.bytes[head..]);
        file.fields.append(&mut body.fields);
        Ok(file)
    }

    fn push_header(
        &self,
        file: &mut Encoder,
        places: &Places,
        program_headers: usize,
        section_offset: u64,
        sections: usize,
    ) {
        let traits = self.machine.traits();
        let starts = self.kind == Kind::Exec || self.interpreter.is_some();
        file.raw(b"\x7fELF");
        file.field("ei_class", 1, if self.wide() { 2 } else { 1 });
        file.field("ei_data", 1, if self.big_endian() { 2 } else { 1 });
        file.field("ei_version", 1, 1);
        file.field("ei_osabi", 1, self.os_abi.into());
        file.raw(&[0; 8]);
        file.u16("e_type", self.kind as u16);
        file.u16("e_machine", traits.number);
        file.u32("e_version", 1);
        file.word("e_entry", if starts { places.of(".text").address } else { 0 });
        file.word("e_phoff", if program_headers == 0 { 0 } else { self.header_size() });
        file.word("e_shoff", section_offset);
        file.u32("e_flags", self.flags.unwrap_or(traits.flags));
        file.u16("e_ehsize", self.header_size() as u16);
        file.u16("e_phentsize", if program_headers == 0 { 0 } else { self.program_header_size() as u16 });
        file.u16("e_phnum", program_headers.min(PN_XNUM) as u16);
        file.u16(
            "e_shentsize",
            if sections == 0 {
                0
            } else if self.wide() {
                64
            } else {
                40
            },
        );
        file.u16("e_shnum", sections as u16);
        file.u16("e_shstrndx", if self.has_sections() { sections as u16 - 1 } else { 0 });
    }
}

/// A program header; the default is `PT_NULL`.
#[derive(Debug, Default)]
struct Segment {
    label: String,
    kind: u32,
    flags: u32,
    place: Place,
    align: u64,
}

impl Segment {
    fn new(label: &str, kind: u32, flags: u32, place: Place, align: u64) -> Self {
        Self { label: label.to_owned(), kind, flags, place, align }
    }

    fn push(&self, file: &mut Encoder) {
        let field = |name: &str| format!("{}.{name}", self.label);
        file.u32(field("p_type"), self.kind);
        if file.is_wide() {
            file.u32(field("p_flags"), self.flags);
        }
        file.word(field("p_offset"), self.place.offset);
        file.word(field("p_vaddr"), self.place.address);
        file.word(field("p_paddr"), self.place.address);
        file.word(field("p_filesz"), self.place.size);
        file.word(field("p_memsz"), self.place.size);
        if !file.is_wide() {
            file.u32(field("p_flags"), self.flags);
        }
        file.word(field("p_align"), self.align);
    }
}

/// A section header; the default is the null section.
#[derive(Debug, Default)]
struct Section {
    label: &'static str,
    name: u32,
    kind: u32,
    flags: u64,
    place: Place,
    link: u16,
    info: u32,
    align: u64,
    entry_size: u64,
}

impl Section {
    fn of(chunk: &Chunk, places: &Places, names: &mut Strings) -> Self {
        let flags = match (chunk.home, chunk.name) {
            (Home::Text, ".text") => SHF_ALLOC | SHF_EXECINSTR,
            (Home::Text, _) => SHF_ALLOC,
            (Home::Data, _) => SHF_ALLOC | SHF_WRITE,
            (Home::Nowhere, _) => 0,
        };
        Self {
            label: chunk.name,
            name: names.add(chunk.name),
            kind: chunk.section_type,
            flags,
            place: places.of(chunk.name),
            link: chunk.link.map_or(0, |link| places.of(link).section),
            info: chunk.info,
            align: chunk.align,
            entry_size: chunk.entry_size,
        }
    }

    fn push(&self, table: &mut Encoder) {
        let field = |name: &str| format!("section[{}].{name}", self.label);
        table.u32(field("sh_name"), self.name);
        table.u32(field("sh_type"), self.kind);
        table.word(field("sh_flags"), self.flags);
        table.word(field("sh_addr"), self.place.address);
        table.word(field("sh_offset"), self.place.offset);
        table.word(field("sh_size"), self.place.size);
        table.u32(field("sh_link"), self.link.into());
        table.u32(field("sh_info"), self.info);
        table.word(field("sh_addralign"), self.align);
        table.word(field("sh_entsize"), self.entry_size);
    }
}
