//! The ELF reader: program headers, then `PT_DYNAMIC` and what it points to.
//!
//! Section headers play no part in the verdict: a program without them runs
//! all the same (fact 1). They only help to size the symbol table.

mod applied;
mod bindings;
mod code;
mod dynamic;
mod exports;
mod name_service;
mod notes;
mod relocations;
mod symbols;
mod traces;
mod versions;

pub use self::code::{Code, Spot, code_at};

use std::sync::Arc;

use object::Endianness;
use object::elf;
use object::pod::{self, Pod};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

pub use self::exports::{Exports, Found, gnu_hash};
use super::machine::{libc_of_interpreter, libc_of_needed};
use super::{Arch, Artifact, Class, Endian, Examined, Format, Libc, More, ReadError, Role, Source, Stack};

/// Told of everything else, says what more to read.
pub type Choose<'c> = dyn FnMut(&Artifact) -> More + 'c;

/// Bytes of program headers that the kernel takes of a program
/// (`fs/binfmt_elf.c`, `load_elf_phdrs`). The loader takes any of a library.
const KERNEL_TAKES: usize = 65_536;
/// Folders and bytes of a run path read at most. Nix has paths of some KiB.
const MOST_FOLDERS: usize = 1024;
const LONGEST_PATH: usize = 1 << 16;
/// `PT_LOAD`s read at most. Real files have up to ten.
const MOST_LOADS: usize = 4096;

pub fn read(source: &Source, choose: &mut Choose<'_>) -> Result<Examined, ReadError> {
    // `e_ident`: class at 4, byte order at 5, version at 6.
    let ident = source.read(0, 16, "the ELF identification")?;
    match ident[4] {
        1 => Elf::<elf::FileHeader32<Endianness>>::open(source)?.examine(choose),
        2 => Elf::<elf::FileHeader64<Endianness>>::open(source)?.examine(choose),
        class => Err(ReadError::Malformed(format!("EI_CLASS is {class}; 1 (32-bit) and 2 (64-bit) exist"))),
    }
}

/// A `PT_LOAD`: which file bytes stand at which addresses.
#[derive(Debug, Clone, Copy)]
struct Load {
    address: u64,
    offset: u64,
    file_size: u64,
    memory_size: u64,
}

struct Elf<'s, H: FileHeader<Endian = Endianness>> {
    source: &'s Source,
    header: H,
    endian: Endianness,
    segments: Vec<H::ProgramHeader>,
    loads: Vec<Load>,
}

/// One record out of bytes that are as long as the record.
pub(super) fn record<T: Pod>(bytes: &[u8]) -> T {
    *pod::from_bytes::<T>(bytes)
        .expect("the bytes were read by the record's size, and records are unaligned")
        .0
}

impl<'s, H: FileHeader<Endian = Endianness>> Elf<'s, H> {
    fn open(source: &'s Source) -> Result<Self, ReadError> {
        let header: H = record(&source.read(0, size_of::<H>() as u64, "the ELF header")?);
        let endian = match header.e_ident().data {
            elf::ELFDATA2LSB => Endianness::Little,
            elf::ELFDATA2MSB => Endianness::Big,
            other => {
                return Err(ReadError::Malformed(format!(
                    "EI_DATA is {}; 1 (little-endian) and 2 (big-endian) exist",
                    other.0
                )));
            }
        };
        let mut elf = Self { source, header, endian, segments: Vec::new(), loads: Vec::new() };
        elf.segments = elf.read_segments()?;
        elf.loads = elf
            .segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .map(|segment| Load {
                address: segment.p_vaddr(endian).into(),
                offset: segment.p_offset(endian).into(),
                file_size: segment.p_filesz(endian).into(),
                memory_size: segment.p_memsz(endian).into(),
            })
            .collect();
        if elf.loads.len() > MOST_LOADS {
            let found = elf.loads.len();
            return Err(ReadError::Malformed(format!(
                "{found} PT_LOAD; more than {MOST_LOADS} are not read"
            )));
        }
        Ok(elf)
    }

    /// A segment that the file ends before is mapped all the same, and the
    /// process dies of SIGBUS when it touches what is missing.
    fn is_whole(&self) -> Result<(), ReadError> {
        let past = |load: &&Load| {
            let end = load.offset.checked_add(load.file_size);
            load.file_size > 0 && end.is_none_or(|end| end > self.source.size())
        };
        match self.loads.iter().find(past) {
            None => Ok(()),
            Some(load) => Err(ReadError::OutOfFile {
                what: "a PT_LOAD",
                offset: load.offset,
                len: load.file_size,
                file_len: self.source.size(),
            }),
        }
    }

    fn read_segments(&self) -> Result<Vec<H::ProgramHeader>, ReadError> {
        let offset: u64 = self.header.e_phoff(self.endian).into();
        // As it stands: kernel and loader know nothing of `PN_XNUM`, by which
        // the gABI lets section 0 hold a larger number.
        let count = u64::from(self.header.e_phnum(self.endian));
        if count == 0 || offset == 0 {
            return Ok(Vec::new());
        }
        let size = size_of::<H::ProgramHeader>();
        let entry = self.header.e_phentsize(self.endian);
        if usize::from(entry) != size {
            return Err(ReadError::Malformed(format!("e_phentsize is {entry}; this class has {size}")));
        }
        let table = self.source.read(offset, count * size as u64, "the program header table")?;
        Ok(table.chunks_exact(size).map(record).collect())
    }

    /// A section header, where there is a table that holds it.
    fn section_header(&self, index: u64) -> Result<Option<H::SectionHeader>, ReadError> {
        let size = size_of::<H::SectionHeader>() as u64;
        let table: u64 = self.header.e_shoff(self.endian).into();
        if table == 0 || u64::from(self.header.e_shentsize(self.endian)) != size {
            return Ok(None);
        }
        let Some(at) = table.checked_add(index * size) else { return Ok(None) };
        Ok(Some(record(&self.source.read(at, size, "a section header")?)))
    }

    /// The file bytes from an address to the end of its segment: (offset,
    /// length). `None` where no `PT_LOAD` brings the address from the file.
    ///
    /// The last one counts: each is mapped over those before it.
    fn place(&self, address: u64) -> Option<(u64, u64)> {
        self.loads.iter().rev().find_map(|load| {
            let into = address.checked_sub(load.address).filter(|into| *into < load.file_size)?;
            Some((load.offset.checked_add(into)?, load.file_size - into))
        })
    }

    /// `len` bytes at an address, as the loader sees them.
    fn at_address(&self, address: u64, len: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        let (offset, available) = self.offset_of(address, what)?;
        if len > available {
            return Err(runs_past(address, what));
        }
        self.source.read(offset, len, what)
    }

    fn offset_of(&self, address: u64, what: &'static str) -> Result<(u64, u64), ReadError> {
        self.place(address).ok_or_else(|| {
            ReadError::Malformed(format!(
                "{what} is at address {address:#x}, which no PT_LOAD brings from the file"
            ))
        })
    }

    fn find_segment(&self, kind: elf::ProgramType) -> Option<&H::ProgramHeader> {
        self.segments.iter().find(|segment| segment.p_type(self.endian) == kind)
    }

    /// `PT_INTERP`. The kernel takes the first, by file offset, and insists on
    /// the NUL at its end (`fs/binfmt_elf.c`, `load_elf_binary`).
    fn interpreter(&self) -> Result<Option<String>, ReadError> {
        let Some(segment) = self.find_segment(elf::PT_INTERP) else { return Ok(None) };
        let size: u64 = segment.p_filesz(self.endian).into();
        // The kernel's own limits: at least two bytes, at most PATH_MAX.
        if !(2..=4096).contains(&size) {
            return Err(ReadError::Malformed(format!(
                "PT_INTERP has {size} bytes; the kernel takes 2 to 4096"
            )));
        }
        let bytes = self.source.read(segment.p_offset(self.endian).into(), size, "PT_INTERP")?;
        if bytes.last() != Some(&0) {
            return Err(ReadError::Malformed("PT_INTERP does not end with NUL".to_owned()));
        }
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(Some(lossy(&bytes[..end])))
    }

    fn arch(&self) -> Arch {
        Arch {
            machine: self.header.e_machine(self.endian).0,
            class: if self.header.is_type_64() { Class::Elf64 } else { Class::Elf32 },
            endian: if self.header.is_big_endian() { Endian::Big } else { Endian::Little },
            flags: self.header.e_flags(self.endian).0,
        }
    }

    fn examine(&self, choose: &mut Choose<'_>) -> Result<Examined, ReadError> {
        let endian = self.endian;
        let elf_type = self.header.e_type(endian);
        let named_type = match elf_type {
            elf::ET_EXEC => "ET_EXEC",
            elf::ET_DYN => "ET_DYN",
            elf::ET_REL => return Ok(Examined::Other(Format::Object)),
            elf::ET_CORE => return Ok(Examined::Other(Format::Core)),
            other => {
                return Err(ReadError::Malformed(format!(
                    "e_type is {}, which is no kind of program",
                    other.0
                )));
            }
        };
        if self.entry_is_missing() && self.is_debug_info() {
            return Ok(Examined::Other(Format::DebugInfo));
        }
        if self.loads.is_empty() {
            return Err(ReadError::Malformed("no PT_LOAD: nothing of it would be loaded".to_owned()));
        }
        self.is_whole()?;
        let interpreter = self.interpreter()?;
        // With several, the loader keeps the last (`elf/rtld.c`,
        // `rtld_setup_phdr`; `elf/dl-load.c`, `_dl_map_object_from_fd`).
        let dynamic = match self.segments.iter().rfind(|segment| segment.p_type(endian) == elf::PT_DYNAMIC) {
            Some(segment) => Some(self.dynamic(segment.p_vaddr(endian).into())?),
            None => None,
        };
        let has_dynamic = dynamic.is_some();
        let dynamic = dynamic.unwrap_or_default();
        let strings = dynamic.strings(self)?;
        let needed = strings.all(&dynamic.needed, "a DT_NEEDED name")?;
        let soname = strings.one(dynamic.soname, "DT_SONAME")?;
        let version_needs = self.version_needs(&dynamic, &strings)?;
        let definitions = self.version_definitions(&dynamic, &strings)?;
        let notes = self.notes()?;
        let arch = self.arch();
        let pie = dynamic.flags_1 & elf::DF_1_PIE.0 != 0;
        // `libc.so.6` has an interpreter too: its soname tells it from a
        // program. A static PIE has none and is known by DF_1_PIE (fact 14).
        let role = match elf_type {
            elf::ET_EXEC => Role::Executable,
            _ if pie || (interpreter.is_some() && soname.is_none()) => Role::Executable,
            _ => Role::SharedObject,
        };
        let headers = self.segments.len() * size_of::<H::ProgramHeader>();
        if role == Role::Executable && headers > KERNEL_TAKES {
            return Err(ReadError::Malformed(format!(
                "{} program headers: the kernel refuses a program with more than {KERNEL_TAKES} bytes of them",
                self.segments.len()
            )));
        }
        let stack = match self.find_segment(elf::PT_GNU_STACK) {
            None => Stack::Unsaid,
            Some(segment) if segment.p_flags(endian).0 & elf::PF_X.0 != 0 => Stack::Executable,
            Some(_) => Stack::NotExecutable,
        };
        let loads = self.segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD);
        // 0 and 1 mean "none"; the loader takes the former only.
        let alignment = loads.map(|segment| segment.p_align(endian).into()).filter(|align| *align > 0).min();
        // Only a static glibc brings its own name service, and only glibc
        // marks its programs with an ABI tag. Section headers that lie cost the
        // evidence, not the verdict.
        let is_static_glibc =
            role == Role::Executable && interpreter.is_none() && needed.is_empty() && notes.abi_tag.is_some();
        let name_service_calls =
            if is_static_glibc { self.name_service_calls().unwrap_or_default() } else { Vec::new() };
        let ident = self.header.e_ident();
        let mut facts = Box::new(Artifact {
            arch,
            elf_type: named_type,
            size: self.source.size(),
            role,
            os_abi: ident.os_abi.0,
            abi_version: ident.abi_version,
            libc: libc(interpreter.as_deref(), &needed),
            dynamic: has_dynamic,
            soname,
            rpath: split_path(strings.one(dynamic.rpath, "DT_RPATH")?, "DT_RPATH")?,
            runpath: split_path(strings.one(dynamic.runpath, "DT_RUNPATH")?, "DT_RUNPATH")?,
            version_definitions: definitions
                .iter()
                .filter(|one| !one.base)
                .map(|one| one.name.clone())
                .collect(),
            symbols: None,
            bindings: None,
            relr: dynamic.relr,
            pie,
            bind_now: dynamic.bind_now(),
            text_relocations: dynamic.text_relocations(),
            stack,
            load_alignment: alignment.unwrap_or(0),
            name_service_calls,
            abi_tag: notes.abi_tag,
            x86_isa_needed: notes.x86_isa_needed,
            build_id: notes.build_id,
            dlopen: notes.dlopen,
            interpreter,
            needed,
            version_needs,
        });
        let more = choose(&facts);
        let needs = &facts.version_needs;
        let symbols = self.symbols(&more.symbols, &dynamic, &strings, needs, &definitions);
        let bindings = more.bindings.then(|| {
            let bindings = self.bindings(&dynamic, &strings, needs, &definitions);
            bindings.map(Arc::new).map_err(|error| error.to_string())
        });
        (facts.symbols, facts.bindings) = (symbols, bindings);
        Ok(Examined::Elf(facts))
    }

    /// `objcopy --only-keep-debug` keeps the headers and drops the bytes:
    /// `.dynamic` is then a section without bytes (`SHT_NOBITS`).
    fn is_debug_info(&self) -> bool {
        let count = u64::from(self.header.e_shnum(self.endian)).min(256);
        let sections = (0..count).map_while(|index| self.section_header(index).ok().flatten());
        let mut dynamic = false;
        let mut code_is_gone = false;
        for section in sections {
            let kind = section.sh_type(self.endian);
            let executable = section.sh_flags(self.endian).0 & elf::SHF_EXECINSTR.0 != 0;
            dynamic |= kind == elf::SHT_DYNAMIC;
            code_is_gone |= kind == elf::SHT_NOBITS && executable;
        }
        code_is_gone && !dynamic
    }

    /// Whether the first byte to run is missing from the file: then nothing of
    /// it can be loaded, and a section header may say why.
    fn entry_is_missing(&self) -> bool {
        let entry: u64 = self.header.e_entry(self.endian).into();
        let executable = |segment: &&H::ProgramHeader| {
            segment.p_type(self.endian) == elf::PT_LOAD && segment.p_flags(self.endian).0 & elf::PF_X.0 != 0
        };
        match entry {
            0 => self
                .segments
                .iter()
                .find(executable)
                .is_some_and(|segment| segment.p_filesz(self.endian).into() == 0),
            _ => self.place(entry).is_none(),
        }
    }
}

fn runs_past(address: u64, what: &str) -> ReadError {
    ReadError::Malformed(format!("{what} at address {address:#x} runs past the end of its segment"))
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn split_path(path: Option<String>, what: &str) -> Result<Vec<String>, ReadError> {
    // An empty one is no run path; an empty entry is the current folder (glibc,
    // elf/dl-load.c, `decompose_rpath`, `fillin_rpath`).
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(Vec::new()) };
    let folders: Vec<String> = path.split(':').map(str::to_owned).collect();
    if folders.len() > MOST_FOLDERS || path.len() > LONGEST_PATH {
        return Err(ReadError::Malformed(format!(
            "{what} has {} folders in {} bytes; more than {MOST_FOLDERS} in {LONGEST_PATH} are not read",
            folders.len(),
            path.len()
        )));
    }
    Ok(folders)
}

/// Fact 15: what the file says, not what its triple says.
fn libc(interpreter: Option<&str>, needed: &[String]) -> Libc {
    let signs = interpreter
        .map(libc_of_interpreter)
        .into_iter()
        .chain(needed.iter().map(|name| libc_of_needed(name)))
        .filter(|libc| *libc != Libc::Unknown);
    signs.reduce(|a, b| if a == b { a } else { Libc::Mixed }).unwrap_or(Libc::Unknown)
}
