//! Reading artifacts: bytes in, owned facts out.
//!
//! A reader answers with facts or a typed error, whatever the bytes are. It
//! judges nothing, and nothing here depends on the rest of the program.

mod cpu;
mod elf;
mod format;
mod linkable;
mod machine;
mod saved;
mod source;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::cpu::Cpu;
use self::elf::Choose;
pub use self::elf::{Code, Exports, Found, Spot, code_at, gnu_hash};
pub use self::format::Format;
pub use self::linkable::{Linkable, Open, Place, Referrer, Unread, archive, definitions, referrers};
pub use self::machine::{Arch, Class, Endian, libc_of_interpreter};
use self::saved::Word;
pub use self::source::{Source, kind_of};
pub use self::version::{AbiVersion, Release, Tag};

/// The longest name read from a file, in bytes. C++ names of 30 KB are real.
const LONGEST_NAME: u64 = 1 << 20;

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    NotAFile(&'static str),
    Shrunk {
        len: u64,
    },
    OutOfFile {
        what: &'static str,
        offset: u64,
        len: u64,
        file_len: u64,
    },
    TooLarge {
        what: &'static str,
        len: u64,
        most: u64,
    },
    /// The bytes contradict the format.
    Malformed(String),
    /// The reader itself failed; the other files are read all the same.
    Bug(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotAFile(kind) => write!(f, "it is {kind}"),
            Self::Shrunk { len } => write!(f, "it became shorter than {len} bytes while it was read"),
            Self::OutOfFile { what, offset, len, file_len } => write!(
                f,
                "{what} would be {len} bytes at file offset {offset:#x}, but the file has {file_len} bytes"
            ),
            Self::TooLarge { what, len, most } => {
                write!(f, "{what} has {len} bytes; more than {most} are not read")
            }
            Self::Malformed(what) => f.write_str(what),
            Self::Bug(what) => write!(f, "the reader failed, which is a bug of cargo-compat: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// What a file turned out to be.
#[derive(Debug)]
pub enum Examined {
    /// An ELF executable or shared object, with its facts.
    Elf(Box<Artifact>),
    /// A format that holds no dynamic needs, or that is not read yet.
    Other(Format),
}

/// How much of a file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything but symbols: a few pages of any file.
    Needs,
    /// The dynamic symbols too.
    Symbols,
    /// What the loader binds.
    Bindings,
    /// The symbols, and what the loader binds.
    All,
}

impl Depth {
    fn more(self) -> More {
        let symbols = if matches!(self, Self::Symbols | Self::All) { Pick::All } else { Pick::None };
        More { symbols, bindings: matches!(self, Self::Bindings | Self::All) }
    }
}

/// What to read of a file beyond its needs.
#[derive(Debug, Clone, Default)]
pub struct More {
    pub symbols: Pick,
    /// What the loader binds.
    pub bindings: bool,
}

/// Which dynamic symbols to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pick {
    #[default]
    None,
    /// Those that carry one of these versions, by [`VersionNeed::index`].
    OfVersions(BTreeSet<u16>),
    All,
}

/// Reads one file, as deep as asked.
pub fn examine(path: &Path, depth: Depth) -> Result<Examined, ReadError> {
    examine_by(path, |_| depth.more())
}

/// Reads one file in one go: `choose` is told of its needs, and says what more
/// to read of it.
pub fn examine_by(path: &Path, mut choose: impl FnMut(&Artifact) -> More) -> Result<Examined, ReadError> {
    let source = Source::open(path)?;
    contained(|| examine_source(&source, &mut choose))
}

/// Reads what is in memory already.
pub fn examine_bytes(bytes: Vec<u8>, depth: Depth) -> Result<Examined, ReadError> {
    examine_bytes_by(bytes, |_| depth.more())
}

/// [`examine_by`] of what is in memory already.
pub fn examine_bytes_by(
    bytes: Vec<u8>,
    mut choose: impl FnMut(&Artifact) -> More,
) -> Result<Examined, ReadError> {
    examine_source(&Source::from_bytes(bytes), &mut choose)
}

/// Reads a file that is open already.
pub fn examine_file(file: File, depth: Depth) -> Result<Examined, ReadError> {
    let source = Source::from_file(file)?;
    contained(|| examine_source(&source, &mut |_| depth.more()))
}

/// Tells the format by a file's first bytes, as far as they do.
pub fn format_of(head: &[u8]) -> Format {
    format::sniff(&Source::from_bytes(head.to_vec())).unwrap_or(Format::Unknown)
}

/// Reads an object file or an archive: what it leaves to a later link.
pub fn examine_linkable(path: &Path) -> Result<Linkable, ReadError> {
    let source = Source::open(path)?;
    contained(|| linkable::read(path, &source))
}

/// Reads one that is in memory already; a thin archive's files are not there.
pub fn examine_linkable_bytes(bytes: Vec<u8>) -> Result<Linkable, ReadError> {
    linkable::read(Path::new(""), &Source::from_bytes(bytes))
}

/// A panic of the reader is an error of one file, not the end of the run.
fn contained<T>(read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|panic| Err(ReadError::Bug(crate::text::of_panic(&*panic))))
}

fn examine_source(source: &Source, choose: &mut Choose<'_>) -> Result<Examined, ReadError> {
    match format::sniff(source)? {
        Format::Elf => elf::read(source, choose),
        other => Ok(Examined::Other(other)),
    }
}

/// What an ELF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Executable,
    SharedObject,
}

/// The C library that a process of this file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Libc {
    Glibc,
    Musl,
    Android,
    /// Signs of more than one: an interpreter of one and needs of another.
    Mixed,
    /// No sign: a static program, or a library that needs no libc.
    Unknown,
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::Android => "Android's libc",
            Self::Mixed => "more than one libc",
            Self::Unknown => "no libc",
        })
    }
}

/// The facts of one ELF file, from its program headers and what `PT_DYNAMIC`
/// points to (ELF gABI, chapter 5). Text is lossy UTF-8.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Artifact {
    #[serde(flatten)]
    pub arch: Arch,
    #[serde(deserialize_with = "saved::name")]
    pub elf_type: Word,
    pub role: Role,
    /// The file's length in bytes; 0 in reports from before it was said.
    #[serde(default)]
    pub size: u64,
    /// `EI_OSABI`: 0 is System V, 3 is GNU.
    pub os_abi: u8,
    pub abi_version: u8,
    pub libc: Libc,
    /// `PT_INTERP`.
    pub interpreter: Option<String>,
    /// Whether there is a `PT_DYNAMIC`.
    pub dynamic: bool,
    /// `DT_NEEDED`, in the file's order.
    pub needed: Vec<String>,
    /// `DT_SONAME`.
    pub soname: Option<String>,
    /// `DT_RPATH`, split at the colons. The loader ignores it where there is a
    /// `DT_RUNPATH`.
    pub rpath: Vec<String>,
    /// `DT_RUNPATH`, split at the colons.
    pub runpath: Vec<String>,
    /// `DT_VERNEED`.
    pub version_needs: Vec<VersionNeed>,
    /// `DT_VERDEF`, without the base definition.
    pub version_definitions: Vec<String>,
    /// The dynamic symbols; absent where they were not asked for.
    pub symbols: Option<Symbols>,
    /// What the loader binds, or why that could not be read; absent where it
    /// was not asked for.
    #[serde(skip)]
    pub bindings: Option<Result<Arc<Bindings>, String>>,
    /// `DT_RELR`: packed relative relocations.
    pub relr: bool,
    /// `DF_1_PIE`.
    pub pie: bool,
    /// `DT_BIND_NOW`, `DF_BIND_NOW` or `DF_1_NOW`.
    pub bind_now: bool,
    /// `DT_TEXTREL` or `DF_TEXTREL`.
    pub text_relocations: bool,
    /// `PT_GNU_STACK`.
    pub stack: Stack,
    /// The smallest `p_align` of a `PT_LOAD`, in bytes.
    pub load_alignment: u64,
    /// In a static glibc program: `caller → function` for each function that
    /// makes glibc load NSS modules or converters at run time.
    pub name_service_calls: Vec<String>,
    /// `NT_GNU_ABI_TAG`: the oldest Linux kernel.
    pub abi_tag: Option<String>,
    /// `GNU_PROPERTY_X86_ISA_1_NEEDED`, its bits.
    pub x86_isa_needed: Option<u32>,
    /// `NT_GNU_BUILD_ID`, in hexadecimal.
    pub build_id: Option<String>,
    /// `.note.dlopen` (UAPI specification "dlopen metadata"), each a JSON text.
    pub dlopen: Vec<String>,
}

impl Artifact {
    /// Whether a needed name is the file's own loader, which may stand in
    /// `DT_NEEDED` beside `PT_INTERP` (fact 16).
    pub fn is_own_loader(&self, name: &str) -> bool {
        match &self.interpreter {
            Some(path) => path.rsplit('/').next() == Some(name),
            None => self.arch.is_loader_name(name),
        }
    }

    /// By namespace, the newest version needed: where that is missing, the
    /// loader refuses the file. musl ignores version needs (fact 13), and of a
    /// weak one the loader only warns (fact 9).
    pub fn floors(&self) -> BTreeMap<String, Release> {
        let mut floors: BTreeMap<String, Release> = BTreeMap::new();
        for need in self.version_needs.iter().filter(|need| !need.weak && self.libc != Libc::Musl) {
            let version = AbiVersion::parse(&need.version, []);
            let Some(release) = version.tag.release() else { continue };
            let floor = floors.entry(version.namespace).or_insert_with(|| release.clone());
            if *floor < *release {
                floor.clone_from(release);
            }
        }
        floors
    }

    /// Fact 14: static means that no loader takes part, whether the file is
    /// `ET_EXEC` or a static PIE.
    pub fn is_static(&self) -> bool {
        self.role == Role::Executable && self.interpreter.is_none() && self.needed.is_empty()
    }
}

/// One node that the file asks of one library: (file, version) is the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VersionNeed {
    /// `vn_file`: the needed library.
    pub file: String,
    /// `vna_name`: the version node.
    pub version: String,
    /// `VER_FLG_WEAK`: the loader only warns where the node is missing.
    pub weak: bool,
    /// `vna_other`: the index by which symbols name this need.
    #[serde(skip)]
    pub index: u16,
}

/// What could be learned of the dynamic symbols. Needs never depend on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "read", content = "of")]
pub enum Symbols {
    All(Vec<Symbol>),
    /// Those that carry one of the versions that were asked about.
    OfVersions(Vec<Symbol>),
    /// Why they could not be read.
    Unreadable(String),
}

impl Symbols {
    pub fn known(&self) -> &[Symbol] {
        match self {
            Self::All(symbols) | Self::OfVersions(symbols) => symbols,
            Self::Unreadable(_) => &[],
        }
    }
}

/// One entry of the dynamic symbol table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Symbol {
    pub name: String,
    pub binding: Binding,
    #[serde(deserialize_with = "saved::name")]
    pub kind: Word,
    #[serde(deserialize_with = "saved::name")]
    pub visibility: Word,
    /// Whether the file defines it. A copy-relocated symbol is defined *and*
    /// carries the version that it was copied by (fact 2).
    pub defined: bool,
    /// The version node's name, of a need or a definition.
    pub version: Option<String>,
    /// For a needed version, the library it is needed of.
    pub file: Option<String>,
    /// A defined version that is not the default one (`@`, not `@@`).
    pub hidden: bool,
}

/// The references that the loader binds for a file, and the definitions that
/// it finds in it.
#[derive(Debug, Clone)]
pub struct Bindings {
    pub imports: Vec<Import>,
    pub exports: Exports,
    /// Strong undefined names that only `.symtab` has: traces of a linker that
    /// was told to leave references unresolved (fact 23).
    pub leftovers: Vec<String>,
    /// `.symtab` is there.
    pub has_symbol_table: bool,
    /// `R_*_NONE` in `DT_JMPREL`, another such trace.
    pub empty_plt_slots: usize,
    /// `DF_1_NODEFLIB`: no default folders for its needs.
    pub no_default_folders: bool,
    /// One of each kind.
    pub refused: Vec<RefusedRelocation>,
}

/// A relocation that stops a loader at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRelocation {
    /// `R_<machine>_…`, by its number.
    pub kind: u32,
    /// Where it is known.
    pub name: Option<&'static str>,
    /// The symbol that it is about, where it has a name.
    pub symbol: Option<String>,
    /// `None`: it applies it.
    pub by_glibc: Option<Refusal>,
    pub by_musl: Option<Refusal>,
}

impl RefusedRelocation {
    /// Its name, or its number as the loader tells it.
    pub fn shown(&self) -> String {
        self.name.map_or_else(|| format!("relocation type {:#04x}", self.kind), str::to_owned)
    }
}

/// Why a loader does not apply a relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know it: only the linker does.
    Unknown,
    /// The address does not fit into the bits that there are for it.
    TooFar,
}

/// A reference that some relocation makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    pub name: String,
    /// The version node that it asks for.
    pub version: Option<String>,
    /// The library that `DT_VERNEED` names for that version. Another one may
    /// satisfy it all the same (fact 38).
    pub file: Option<String>,
    /// The hidden bit of `vna_other`: an unversioned definition will not do.
    pub exact: bool,
    /// A weak reference may stay unbound.
    pub weak: bool,
    pub when: When,
    /// By a copy relocation: the file's own definition does not count.
    pub copied: bool,
}

/// When the loader looks a reference up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the program's first instruction.
    Start,
    /// When the function is first called.
    Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    Local,
    Global,
    Weak,
    Other,
}

/// What `PT_GNU_STACK` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// No such header: the kernel's default for the architecture decides.
    Unsaid,
    NotExecutable,
    Executable,
}
