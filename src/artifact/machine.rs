//! Machines, and what each one's C libraries call their loader.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Libc;
use super::version::Release;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Class {
    #[serde(rename = "32")]
    Elf32,
    #[serde(rename = "64")]
    Elf64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Endian {
    Little,
    Big,
}

/// What decides which loader can take a file: machine, class, byte order, and
/// the machine's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Arch {
    /// `e_machine`.
    pub machine: u16,
    /// `EI_CLASS`.
    pub class: Class,
    /// `EI_DATA`.
    pub endian: Endian,
    /// `e_flags`.
    pub flags: u32,
}

/// One architecture as glibc and Rust know it.
struct Known {
    /// As in a target triple.
    name: &'static str,
    machine: u16,
    class: Class,
    endian: Endian,
    /// Interpreters of glibc: its wiki page "ABIList", and each port's
    /// `shlib-versions` and `ldconfig.h`.
    glibc: &'static [&'static str],
    /// The first node of glibc on this architecture: the `DEFAULT` of its
    /// `shlib-versions`. Empty: not known here.
    base: &'static [u32],
    /// What follows `/lib/ld-musl-` (musl's `arch/*/reloc.h`), before a suffix
    /// of a sub-architecture.
    musl: &'static str,
}

use Class::{Elf32, Elf64};
use Endian::{Big, Little};

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    Known { name: "x86_64", machine: 62, class: Elf64, endian: Little, glibc: &["/lib64/ld-linux-x86-64.so.2"], base: &[2, 2, 5], musl: "x86_64" },
    Known { name: "x32", machine: 62, class: Elf32, endian: Little, glibc: &["/libx32/ld-linux-x32.so.2"], base: &[2, 16], musl: "x32" },
    Known { name: "i686", machine: 3, class: Elf32, endian: Little, glibc: &["/lib/ld-linux.so.2"], base: &[2, 0], musl: "i386" },
    Known { name: "aarch64", machine: 183, class: Elf64, endian: Little, glibc: &["/lib/ld-linux-aarch64.so.1"], base: &[2, 17], musl: "aarch64" },
    Known { name: "aarch64_be", machine: 183, class: Elf64, endian: Big, glibc: &["/lib/ld-linux-aarch64_be.so.1"], base: &[2, 17], musl: "aarch64_be" },
    Known { name: "arm", machine: 40, class: Elf32, endian: Little, glibc: &["/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3"], base: &[2, 4], musl: "arm" },
    Known { name: "armeb", machine: 40, class: Elf32, endian: Big, glibc: &["/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3"], base: &[2, 4], musl: "armeb" },
    Known { name: "s390x", machine: 22, class: Elf64, endian: Big, glibc: &["/lib/ld64.so.1"], base: &[2, 2], musl: "s390x" },
    Known { name: "s390", machine: 22, class: Elf32, endian: Big, glibc: &["/lib/ld.so.1"], base: &[], musl: "s390" },
    Known { name: "powerpc64le", machine: 21, class: Elf64, endian: Little, glibc: &["/lib64/ld64.so.2"], base: &[2, 17], musl: "powerpc64le" },
    Known { name: "powerpc64", machine: 21, class: Elf64, endian: Big, glibc: &["/lib64/ld64.so.1", "/lib64/ld64.so.2"], base: &[2, 3], musl: "powerpc64" },
    Known { name: "powerpc", machine: 20, class: Elf32, endian: Big, glibc: &["/lib/ld.so.1"], base: &[], musl: "powerpc" },
    Known { name: "riscv64", machine: 243, class: Elf64, endian: Little, glibc: &["/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-linux-riscv64-lp64.so.1"], base: &[2, 27], musl: "riscv64" },
    Known { name: "riscv32", machine: 243, class: Elf32, endian: Little, glibc: &["/lib/ld-linux-riscv32-ilp32d.so.1", "/lib/ld-linux-riscv32-ilp32.so.1"], base: &[2, 33], musl: "riscv32" },
    Known { name: "loongarch64", machine: 258, class: Elf64, endian: Little, glibc: &["/lib64/ld-linux-loongarch-lp64d.so.1", "/lib64/ld-linux-loongarch-lp64s.so.1"], base: &[2, 36], musl: "loongarch64" },
    Known { name: "mips", machine: 8, class: Elf32, endian: Big, glibc: &["/lib/ld.so.1", "/lib/ld-linux-mipsn8.so.1", "/lib32/ld.so.1"], base: &[], musl: "mips" },
    Known { name: "mipsel", machine: 8, class: Elf32, endian: Little, glibc: &["/lib/ld.so.1", "/lib/ld-linux-mipsn8.so.1", "/lib32/ld.so.1"], base: &[], musl: "mipsel" },
    Known { name: "mips64", machine: 8, class: Elf64, endian: Big, glibc: &["/lib64/ld.so.1", "/lib64/ld-linux-mipsn8.so.1"], base: &[], musl: "mips64" },
    Known { name: "mips64el", machine: 8, class: Elf64, endian: Little, glibc: &["/lib64/ld.so.1", "/lib64/ld-linux-mipsn8.so.1"], base: &[], musl: "mips64el" },
    Known { name: "sparc64", machine: 43, class: Elf64, endian: Big, glibc: &["/lib64/ld-linux.so.2"], base: &[], musl: "" },
    Known { name: "sparc", machine: 2, class: Elf32, endian: Big, glibc: &["/lib/ld-linux.so.2"], base: &[], musl: "" },
    Known { name: "m68k", machine: 4, class: Elf32, endian: Big, glibc: &["/lib/ld.so.1"], base: &[], musl: "m68k" },
    Known { name: "hppa", machine: 15, class: Elf32, endian: Big, glibc: &["/lib/ld.so.1"], base: &[], musl: "" },
    Known { name: "alpha", machine: 0x9026, class: Elf64, endian: Little, glibc: &["/lib/ld-linux.so.2"], base: &[], musl: "" },
    Known { name: "sh4", machine: 42, class: Elf32, endian: Little, glibc: &["/lib/ld-linux.so.2"], base: &[], musl: "sh" },
    Known { name: "csky", machine: 252, class: Elf32, endian: Little, glibc: &["/lib/ld-linux-cskyv2-hf.so.1", "/lib/ld-linux-cskyv2.so.1"], base: &[2, 29], musl: "" },
];

impl Arch {
    fn known(self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| {
            (known.machine, known.class, known.endian) == (self.machine, self.class, self.endian)
        })
    }

    /// The architecture of a target triple's `target_arch`, width and order,
    /// as far as they are in the table.
    pub fn of_target(arch: &str, pointer_width: u8, endian: Endian) -> Option<Self> {
        let machine = match arch {
            "x86_64" => 62,
            "x86" => 3,
            "aarch64" | "arm64ec" => 183,
            "arm" => 40,
            "s390x" => 22,
            "powerpc64" => 21,
            "powerpc" => 20,
            "riscv32" | "riscv64" => 243,
            "loongarch32" | "loongarch64" => 258,
            "mips" | "mips32r6" | "mips64" | "mips64r6" => 8,
            "sparc64" => 43,
            "sparc" => 2,
            "m68k" => 4,
            "csky" => 252,
            "hexagon" => 164,
            _ => return None,
        };
        // n32 MIPS and x32 are 64-bit instruction sets in 32-bit files.
        let class = if pointer_width == 64 { Elf64 } else { Elf32 };
        Some(Self { machine, class, endian, flags: 0 })
    }

    /// Whether files of `self` and `other` are for the same loader, as far as
    /// machine, class and byte order tell.
    pub fn same_as(self, other: Self) -> bool {
        (self.machine, self.class, self.endian) == (other.machine, other.class, other.endian)
    }

    /// The interpreters that this architecture's glibc has. `None`: not known.
    pub fn glibc_interpreters(self) -> Option<&'static [&'static str]> {
        let all = self.known()?.glibc;
        let one = match self.machine {
            // One loader for each of the two ABIs (`EF_PPC64_ABI`); ELFv2 is 2.
            21 if self.endian == Big => usize::from(self.flags & 3 == 2),
            // `EF_RISCV_FLOAT_ABI`: doubles in registers, or none.
            243 => match self.flags & 6 {
                4 => 0,
                0 => 1,
                _ => return None,
            },
            // `EF_ARM_ABI_FLOAT_HARD`, `EF_ARM_ABI_FLOAT_SOFT`; old files say neither.
            40 if self.flags & 0x400 != 0 => 0,
            40 if self.flags & 0x200 != 0 => 1,
            // `EF_LOONGARCH_ABI_MODIFIER`: doubles in registers, or none.
            258 => match self.flags & 7 {
                3 => 0,
                1 => 1,
                _ => return None,
            },
            _ => return Some(all),
        };
        all.get(one..=one)
    }

    /// Whether `path` is where musl has its loader on this architecture.
    /// `None`: not known.
    pub fn is_musl_interpreter(self, path: &str) -> Option<bool> {
        let musl = self.known()?.musl;
        let rest = path.strip_prefix("/lib/ld-musl-").and_then(|rest| rest.strip_prefix(musl));
        let rest = rest.and_then(|rest| rest.strip_suffix(".so.1"));
        // What may follow is a sub-architecture: `hf`, `-sf`, `r6el`, `-sp`.
        // A longer name of another architecture (`mips`, `mips64`) is none.
        let other = KNOWN.iter().any(|known| {
            known.musl.len() > musl.len()
                && path.strip_prefix("/lib/ld-musl-").is_some_and(|rest| rest.starts_with(known.musl))
        });
        Some(!musl.is_empty() && rest.is_some() && !other)
    }

    /// The file name by which a library's `DT_NEEDED` may name the loader.
    pub fn is_loader_name(self, name: &str) -> bool {
        let glibc = self.known().map(|known| known.glibc).unwrap_or_default();
        glibc.iter().any(|path| path.rsplit('/').next() == Some(name))
            || self.is_musl_interpreter(&format!("/lib/{name}")) == Some(true)
    }

    /// The oldest version node that glibc has on this architecture.
    pub fn glibc_base(self) -> Option<Release> {
        let base = self.known()?.base;
        (!base.is_empty()).then(|| Release::from(base))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(known) = self.known() {
            return f.write_str(known.name);
        }
        let bits = if self.class == Elf64 { 64 } else { 32 };
        let order = if self.endian == Big { "big" } else { "little" };
        write!(f, "machine {} ({bits}-bit, {order}-endian)", self.machine)
    }
}

/// The C library whose loader a path names.
pub fn libc_of_interpreter(path: &str) -> Libc {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.starts_with("ld-musl-") {
        Libc::Musl
    } else if matches!(name, "linker" | "linker64") {
        Libc::Android
    } else if name.starts_with("ld-linux") || name.starts_with("ld64.so") || name.starts_with("ld.so") {
        Libc::Glibc
    } else {
        Libc::Unknown
    }
}

/// The C library that a needed name belongs to.
pub fn libc_of_needed(name: &str) -> Libc {
    match name {
        // Musl's own soname is `libc.so`, and Android's is the same.
        _ if name.starts_with("libc.musl-") || name.starts_with("ld-musl-") => Libc::Musl,
        _ if name.starts_with("libc.so.6")
            || name.starts_with("ld-linux")
            || name.starts_with("ld64.so.") =>
        {
            Libc::Glibc
        }
        _ => Libc::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arch(name: &str) -> Arch {
        let known = KNOWN.iter().find(|known| known.name == name).unwrap();
        Arch { machine: known.machine, class: known.class, endian: known.endian, flags: 0 }
    }

    // Fact 16.
    #[test]
    fn ppc64_has_a_loader_for_each_abi() {
        let big = arch("powerpc64");
        assert_eq!(big.glibc_interpreters(), Some(&["/lib64/ld64.so.1"][..]));
        assert_eq!(Arch { flags: 2, ..big }.glibc_interpreters(), Some(&["/lib64/ld64.so.2"][..]));
        assert_eq!(arch("powerpc64le").glibc_interpreters(), Some(&["/lib64/ld64.so.2"][..]));
        assert_eq!(arch("s390x").glibc_interpreters(), Some(&["/lib/ld64.so.1"][..]));
    }

    #[test]
    fn musl_loaders_are_told_apart() {
        for (name, path, expected) in [
            ("x86_64", "/lib/ld-musl-x86_64.so.1", true),
            ("x86_64", "/lib/ld-musl-i386.so.1", false),
            ("arm", "/lib/ld-musl-armhf.so.1", true),
            ("arm", "/lib/ld-musl-armeb.so.1", false),
            ("mips", "/lib/ld-musl-mips-sf.so.1", true),
            ("mips", "/lib/ld-musl-mips64.so.1", false),
            ("powerpc64", "/lib/ld-musl-powerpc64.so.1", true),
            ("powerpc64", "/lib/ld-musl-powerpc64le.so.1", false),
            ("x86_64", "/nix/store/abc/lib/ld-musl-x86_64.so.1", false),
        ] {
            assert_eq!(arch(name).is_musl_interpreter(path), Some(expected), "{name} {path}");
        }
    }

    // Fact 7.
    #[test]
    fn base_nodes() {
        for (name, base) in [
            ("x86_64", "2.2.5"),
            ("s390x", "2.2"),
            ("powerpc64le", "2.17"),
            ("aarch64", "2.17"),
            ("riscv64", "2.27"),
            ("loongarch64", "2.36"),
        ] {
            assert_eq!(arch(name).glibc_base().unwrap().to_string(), base, "{name}");
        }
    }
}
