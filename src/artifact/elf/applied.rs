//! Which relocations loaders apply: glibc's `sysdeps/<machine>/dl-machine.h`, `elf_machine_rela`, and musl's
//! `arch/<machine>/reloc.h` with `ldso/dynlink.c`, `do_relocs`.

use object::elf;

use crate::artifact::Refusal;

/// What becomes of a relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    Always,
    /// If the address is in the lowest 2 GiB, as in a program that is not position-independent: a library is
    /// never loaded there.
    Low,
    Never,
}

impl Applied {
    /// `is_low`: the address is.
    pub(super) fn refusal(self, is_low: bool) -> Option<Refusal> {
        match self {
            Self::Always => None,
            Self::Low => (!is_low).then_some(Refusal::TooFar),
            Self::Never => Some(Refusal::Unknown),
        }
    }
}

fn only(known: &[u32], kind: u32) -> Applied {
    if known.contains(&kind) { Applied::Always } else { Applied::Never }
}

/// Of machines that are not here every relocation is taken to be applied.
pub(super) fn by_glibc(machine: u16, is_64: bool, kind: u32) -> Applied {
    match (elf::Machine(machine), is_64) {
        // 38 is R_X86_64_RELATIVE64. What is too far for R_X86_64_32 and R_X86_64_PC32 is only warned of.
        (elf::EM_X86_64, true) => only(&[1, 2, 5, 6, 7, 8, 10, 16, 17, 18, 32, 33, 36, 37, 38], kind),
        (elf::EM_AARCH64, true) => {
            only(&[256, 257, 258, 1024, 1025, 1026, 1027, 1028, 1029, 1030, 1031, 1032], kind)
        }
        // What is too far is cut off without a word.
        (elf::EM_S390, true) => only(&[1, 3, 4, 5, 9, 10, 11, 12, 16, 17, 19, 22, 23, 54, 55, 56, 61], kind),
        (elf::EM_PPC64, true) => match kind {
            // ADDR32, ADDR24, ADDR16, ADDR16_HI, ADDR16_HA, ADDR14 and its kin, UADDR16, ADDR16_DS
            1..=3 | 5..=9 | 25 | 56 => Applied::Low,
            // ADDR16_LO, COPY, GLOB_DAT, JMP_SLOT, RELATIVE, UADDR32, REL32, ADDR30, ADDR64, ADDR16_HIGHER to
            // HIGHESTA, UADDR64, REL64, ADDR16_LO_DS, DTPMOD64, TPREL16 to TPREL64, DTPREL64
            // and JMP_IREL, IRELATIVE
            4 | 19..=22 | 24 | 26 | 37..=44 | 57 | 68..=73 | 78 | 95..=100 | 110..=113 | 247 | 248 => {
                Applied::Always
            }
            _ => Applied::Never,
        },
        _ => Applied::Always,
    }
}

pub(super) fn by_musl(machine: u16, is_64: bool, kind: u32) -> Applied {
    match (elf::Machine(machine), is_64) {
        (elf::EM_X86_64, true) => only(&[1, 2, 5, 6, 7, 8, 16, 17, 18, 36], kind),
        (elf::EM_AARCH64, true) => only(&[257, 1024, 1025, 1026, 1027, 1028, 1029, 1030, 1031], kind),
        (elf::EM_S390, true) => only(&[9, 10, 11, 12, 22, 54, 55, 56], kind),
        (elf::EM_PPC64, true) => only(&[19, 20, 21, 22, 38, 68, 73, 78], kind),
        _ => Applied::Always,
    }
}

/// The psABI's name of a relocation that somebody may refuse, where it is told.
pub(super) fn name(machine: u16, kind: u32) -> Option<&'static str> {
    Some(match (elf::Machine(machine), kind) {
        (elf::EM_X86_64, 3) => "R_X86_64_GOT32",
        (elf::EM_X86_64, 4) => "R_X86_64_PLT32",
        (elf::EM_X86_64, 9) => "R_X86_64_GOTPCREL",
        (elf::EM_X86_64, 10) => "R_X86_64_32",
        (elf::EM_X86_64, 11) => "R_X86_64_32S",
        (elf::EM_X86_64, 12) => "R_X86_64_16",
        (elf::EM_X86_64, 13) => "R_X86_64_PC16",
        (elf::EM_X86_64, 14) => "R_X86_64_8",
        (elf::EM_X86_64, 15) => "R_X86_64_PC8",
        (elf::EM_X86_64, 24) => "R_X86_64_PC64",
        (elf::EM_X86_64, 32) => "R_X86_64_SIZE32",
        (elf::EM_X86_64, 33) => "R_X86_64_SIZE64",
        (elf::EM_X86_64, 37) => "R_X86_64_IRELATIVE",
        (elf::EM_AARCH64, 1032) => "R_AARCH64_IRELATIVE",
        (elf::EM_AARCH64, 261) => "R_AARCH64_PREL32",
        (elf::EM_AARCH64, 260) => "R_AARCH64_PREL64",
        (elf::EM_S390, 61) => "R_390_IRELATIVE",
        (elf::EM_S390, 20) => "R_390_PLT32DBL",
        (elf::EM_PPC64, 1) => "R_PPC64_ADDR32",
        (elf::EM_PPC64, 2) => "R_PPC64_ADDR24",
        (elf::EM_PPC64, 3) => "R_PPC64_ADDR16",
        (elf::EM_PPC64, 4) => "R_PPC64_ADDR16_LO",
        (elf::EM_PPC64, 5) => "R_PPC64_ADDR16_HI",
        (elf::EM_PPC64, 6) => "R_PPC64_ADDR16_HA",
        (elf::EM_PPC64, 7) => "R_PPC64_ADDR14",
        (elf::EM_PPC64, 8) => "R_PPC64_ADDR14_BRTAKEN",
        (elf::EM_PPC64, 9) => "R_PPC64_ADDR14_BRNTAKEN",
        (elf::EM_PPC64, 10) => "R_PPC64_REL24",
        (elf::EM_PPC64, 25) => "R_PPC64_UADDR16",
        (elf::EM_PPC64, 26) => "R_PPC64_REL32",
        (elf::EM_PPC64, 44) => "R_PPC64_REL64",
        (elf::EM_PPC64, 56) => "R_PPC64_ADDR16_DS",
        (elf::EM_PPC64, 57) => "R_PPC64_ADDR16_LO_DS",
        (elf::EM_PPC64, 248) => "R_PPC64_IRELATIVE",
        _ => return None,
    })
}
