//! What a test says about an ELF file: the `[elf."name"]` tables of a `case.toml`.

use serde::Deserialize;

use crate::support::hex::Hex;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Elf {
    pub machine: Machine,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// 32 or 64, against the machine's own.
    pub class: Option<u8>,
    pub endian: Option<Endian>,
    pub os_abi: u8,
    /// `e_flags`.
    pub flags: Option<u32>,
    pub interpreter: Option<String>,
    pub needed: Vec<String>,
    pub soname: Option<String>,
    pub rpath: Option<String>,
    pub runpath: Option<String>,
    pub dynamic: Option<bool>,
    pub version_needs: Vec<VersionNeed>,
    /// The first is the base definition.
    pub version_definitions: Vec<String>,
    pub symbols: Vec<Symbol>,
    /// For `.symtab`; where there is no `.dynsym`, `symbols` goes there too.
    pub static_symbols: Vec<Symbol>,
    pub pie: bool,
    pub bind_now: bool,
    pub textrel: bool,
    pub relr: bool,
    pub stack: Stack,
    pub load_align: Option<u64>,
    pub hash: Option<Hash>,
    pub abi_tag: Option<[u32; 4]>,
    pub build_id: Option<Hex>,
    pub x86_isa_needed: Option<u32>,
    pub dlopen: Vec<String>,
    pub sections: bool,
    pub program_headers: Option<usize>,
    pub truncate: Option<usize>,
    pub patch: Vec<Patch>,
    pub patch_field: Vec<PatchField>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionNeed {
    pub file: String,
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub name: String,
    #[serde(default)]
    pub weak: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Symbol {
    pub name: String,
    pub binding: Binding,
    pub defined: bool,
    pub version: Option<String>,
    /// Whose `version`, where two files are needed with nodes of one name.
    pub file: Option<String>,
    pub hidden: bool,
    #[serde(rename = "type")]
    pub kind: SymbolKind,
    pub visibility: Visibility,
    pub value: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    pub offset: usize,
    pub hex: Hex,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchField {
    pub field: String,
    /// Two's complement: -1 is the field's greatest value.
    pub value: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Rel = 1,
    Exec = 2,
    #[default]
    Dyn = 3,
    Core = 4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    Little,
    Big,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    Local = 0,
    #[default]
    Global = 1,
    Weak = 2,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    NoType = 0,
    Object = 1,
    #[default]
    Func = 2,
    Tls = 6,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    #[default]
    Default = 0,
    Hidden = 2,
    Protected = 3,
}

/// `rw` unless said otherwise: a file without `PT_GNU_STACK` asks for an executable stack on some machines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stack {
    #[default]
    Rw,
    Rwx,
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    Gnu,
    Sysv,
    Both,
    None,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Machine {
    #[default]
    #[serde(rename = "x86-64")]
    X86_64,
    #[serde(rename = "i386")]
    I386,
    #[serde(rename = "aarch64")]
    Aarch64,
    #[serde(rename = "arm")]
    Arm,
    #[serde(rename = "s390x")]
    S390x,
    #[serde(rename = "ppc64le")]
    Ppc64le,
    #[serde(rename = "ppc64")]
    Ppc64,
    #[serde(rename = "riscv64")]
    Riscv64,
    #[serde(rename = "mips")]
    Mips,
    #[serde(rename = "loongarch64")]
    Loongarch64,
}

#[derive(Debug, Clone, Copy)]
pub struct MachineTraits {
    pub number: u16,
    pub class: u8,
    pub endian: Endian,
    pub flags: u32,
    /// What bfd aligns `PT_LOAD` to.
    pub load_align: u64,
}

impl Machine {
    pub fn traits(self) -> MachineTraits {
        use Endian::{Big, Little};
        let (number, class, endian, flags, load_align) = match self {
            Self::X86_64 => (62, 64, Little, 0, 0x1000),
            Self::I386 => (3, 32, Little, 0, 0x1000),
            Self::Aarch64 => (183, 64, Little, 0, 0x10000),
            Self::Arm => (40, 32, Little, 0x0500_0400, 0x10000), // EABI 5, hard float
            Self::S390x => (22, 64, Big, 0, 0x1000),
            Self::Ppc64le => (21, 64, Little, 2, 0x10000), // ELFv2
            Self::Ppc64 => (21, 64, Big, 1, 0x10000),      // ELFv1
            Self::Riscv64 => (243, 64, Little, 5, 0x1000), // RVC, double float
            Self::Mips => (8, 32, Big, 0x7000_1007, 0x10000), // o32, mips32r2, position-independent
            Self::Loongarch64 => (258, 64, Little, 0x43, 0x4000), // object ABI 1, double float
        };
        MachineTraits { number, class, endian, flags, load_align }
    }
}

impl Elf {
    pub fn wide(&self) -> bool {
        self.class.unwrap_or(self.machine.traits().class) == 64
    }

    pub fn big_endian(&self) -> bool {
        self.endian.unwrap_or(self.machine.traits().endian) == Endian::Big
    }

    pub fn load_align(&self) -> u64 {
        self.load_align.unwrap_or(self.machine.traits().load_align)
    }

    /// Whether the file has segments that a loader maps.
    pub fn is_loaded(&self) -> bool {
        matches!(self.kind, Kind::Exec | Kind::Dyn)
    }

    pub fn has_dynamic(&self) -> bool {
        self.dynamic.unwrap_or(match self.kind {
            Kind::Dyn => true,
            Kind::Exec => !self.needed.is_empty(),
            Kind::Rel | Kind::Core => false,
        })
    }

    pub fn has_sections(&self) -> bool {
        self.sections || self.kind == Kind::Rel
    }

    /// The traditional table of mips has no order that `DT_GNU_HASH` could need.
    pub fn hash(&self) -> Hash {
        self.hash.unwrap_or(match self.machine {
            Machine::Mips => Hash::Sysv,
            _ => Hash::Gnu,
        })
    }
}
