//! CPU levels: what a build may be aimed at, in the order of their coming.

use std::fmt;

/// Machines by `e_machine`.
const X86_64: u16 = 62;
const S390: u16 = 22;
const PPC64: u16 = 21;
const AARCH64: u16 = 183;

/// A level and the names that rustc, LLVM and GCC have for CPUs of it.
struct Level {
    name: &'static str,
    also: &'static [&'static str],
    /// `target-feature` names that it is the first to have.
    features: &'static [&'static str],
}

/// x86-64 psABI, "Micro-Architecture Levels".
const X86_64_LEVELS: &[Level] = &[
    Level { name: "x86-64", also: &["generic"], features: &["cmov", "cx8", "fxsr", "mmx", "sse", "sse2"] },
    Level {
        name: "x86-64-v2",
        also: &["nehalem", "westmere", "sandybridge", "ivybridge", "silvermont", "btver2"],
        features: &["cmpxchg16b", "lahfsahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"],
    },
    Level {
        name: "x86-64-v3",
        also: &["haswell", "broadwell", "skylake", "alderlake", "znver1", "znver2", "znver3"],
        features: &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"],
    },
    Level {
        name: "x86-64-v4",
        also: &[
            "skylake-avx512",
            "cascadelake",
            "icelake-server",
            "icelake-client",
            "sapphirerapids",
            "znver4",
            "znver5",
        ],
        features: &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    },
];

/// z/Architecture Principles of Operation; LLVM `SystemZProcessors.td`.
const S390_LEVELS: &[Level] = &[
    Level { name: "z10", also: &["arch8", "generic"], features: &[] },
    Level { name: "z196", also: &["arch9"], features: &["high-word", "distinct-ops", "population-count"] },
    Level {
        name: "zEC12",
        also: &["arch10", "zec12"],
        features: &["transactional-execution", "execution-hint"],
    },
    Level { name: "z13", also: &["arch11"], features: &["vector"] },
    Level {
        name: "z14",
        also: &["arch12"],
        features: &["vector-enhancements-1", "vector-packed-decimal", "guarded-storage"],
    },
    Level {
        name: "z15",
        also: &["arch13"],
        features: &["vector-enhancements-2", "miscellaneous-extensions-3"],
    },
    Level { name: "z16", also: &["arch14"], features: &["nnp-assist"] },
    Level {
        name: "z17",
        also: &["arch15"],
        features: &["vector-enhancements-3", "miscellaneous-extensions-4"],
    },
];

/// Power ISA; LLVM `PPC.td`.
const PPC64_LEVELS: &[Level] = &[
    Level {
        name: "power8",
        also: &["pwr8", "ppc64le", "generic"],
        features: &["altivec", "vsx", "power8-vector", "power8-altivec"],
    },
    Level { name: "power9", also: &["pwr9"], features: &["power9-vector", "power9-altivec"] },
    Level { name: "power10", also: &["pwr10"], features: &["power10-vector"] },
    Level { name: "power11", also: &["pwr11"], features: &[] },
];

/// Arm Architecture Reference Manual, "Armv8-A architecture extensions"; LLVM `AArch64Processors.td`. Each
/// level has all of those before it; Armv8.6 and later are not in that order with Armv9, and are left out.
const AARCH64_LEVELS: &[Level] = &[
    Level {
        name: "armv8-a",
        also: &["generic", "cortex-a35", "cortex-a53", "cortex-a57", "cortex-a72", "cortex-a73", "thunderx"],
        // Those of `outline-atomics` are chosen at run time.
        features: &["neon", "fp-armv8", "outline-atomics"],
    },
    Level {
        name: "armv8.1-a",
        also: &["thunderx2t99"],
        features: &["v8.1a", "crc", "lse", "rdm", "pan", "lor", "vh"],
    },
    Level {
        name: "armv8.2-a",
        also: &[
            "cortex-a55",
            "cortex-a75",
            "cortex-a76",
            "cortex-a77",
            "cortex-a78",
            "neoverse-n1",
            "neoverse-e1",
        ],
        features: &["v8.2a", "ras", "dpb"],
    },
    Level { name: "armv8.3-a", also: &[], features: &["v8.3a", "paca", "pacg", "jsconv", "fcma", "rcpc"] },
    Level {
        name: "armv8.4-a",
        also: &["neoverse-v1"],
        features: &["v8.4a", "dotprod", "dit", "flagm", "rcpc2", "lse2"],
    },
    Level {
        name: "armv8.5-a",
        also: &[],
        features: &["v8.5a", "ssbs", "sb", "dpb2", "frintts", "flagm2", "bti"],
    },
    Level {
        name: "armv9-a",
        also: &["neoverse-n2", "neoverse-v2", "cortex-a710"],
        features: &["v9a", "sve", "sve2"],
    },
];

const TABLES: &[(u16, &[Level])] =
    &[(X86_64, X86_64_LEVELS), (S390, S390_LEVELS), (PPC64, PPC64_LEVELS), (AARCH64, AARCH64_LEVELS)];

/// A CPU level of one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    machine: u16,
    rank: usize,
    name: &'static str,
}

impl Cpu {
    /// By the name of the level, or of a CPU that has it.
    pub fn parse(name: &str) -> Option<Self> {
        TABLES.iter().find_map(|(machine, _)| {
            Self::find(*machine, |level| {
                level.name == name || (name != "generic" && level.also.contains(&name))
            })
        })
    }

    /// A `target-cpu` of rustc, for one architecture.
    pub fn of_target_cpu(machine: u16, name: &str) -> Option<Self> {
        Self::find(machine, |level| level.name == name || level.also.contains(&name))
    }

    /// The first level that has a `target-feature` of rustc.
    pub fn of_feature(machine: u16, feature: &str) -> Option<Self> {
        Self::find(machine, |level| level.features.contains(&feature))
    }

    /// `GNU_PROPERTY_X86_ISA_1_NEEDED`: a bit for each level, the highest counts.
    pub fn of_x86_isa(bits: u32) -> Option<Self> {
        let rank = bits.checked_ilog2()? as usize;
        X86_64_LEVELS.get(rank).map(|level| Self { machine: X86_64, rank, name: level.name })
    }

    fn find(machine: u16, fits: impl Fn(&Level) -> bool) -> Option<Self> {
        let (_, levels) = TABLES.iter().find(|(own, _)| *own == machine)?;
        let rank = levels.iter().position(fits)?;
        Some(Self { machine, rank, name: levels[rank].name })
    }

    pub fn is_of(self, machine: u16) -> bool {
        self.machine == machine
    }

    /// Whether code for `self` needs more than `other` has.
    pub fn is_newer_than(self, other: Self) -> bool {
        self.machine == other.machine && self.rank > other.rank
    }

    /// What every CPU of the machine has.
    pub fn is_base(self) -> bool {
        self.rank == 0
    }

    /// The name that rustc has for it, or for the nearest before it.
    pub fn for_rustc(self) -> &'static str {
        match self.machine {
            PPC64 => PPC64_LEVELS[self.rank].also[0],
            AARCH64 => "generic",
            _ => self.name,
        }
    }

    /// The option of GCC and Clang.
    pub fn for_cc(self) -> String {
        format!("{}={self}", if self.machine == PPC64 { "-mcpu" } else { "-march" })
    }

    /// Every level's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLES.iter().flat_map(|(_, levels)| levels.iter().map(|level| level.name))
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order() {
        let cpu = |name| Cpu::parse(name).unwrap();
        assert!(cpu("z14").is_newer_than(cpu("z13")));
        assert!(!cpu("arch11").is_newer_than(cpu("z13")));
        assert!(cpu("haswell").is_newer_than(cpu("x86-64-v2")));
        assert!(!cpu("z14").is_newer_than(cpu("x86-64")));
        assert!(Cpu::parse("generic").is_none() && Cpu::parse("native").is_none());
        assert_eq!(Cpu::of_target_cpu(PPC64, "pwr9").unwrap().to_string(), "power9");
        assert_eq!(Cpu::of_x86_isa(0b11).unwrap().to_string(), "x86-64-v2");
        assert!(
            !cpu("armv8.2-a").is_newer_than(cpu("neoverse-n1"))
                && cpu("armv9-a").is_newer_than(cpu("neoverse-v1"))
        );
        assert_eq!(cpu("power9").for_rustc(), "pwr9");
        assert_eq!(cpu("power9").for_cc(), "-mcpu=power9");
        assert_eq!(cpu("z13").for_rustc(), "z13");
        assert_eq!(Cpu::of_x86_isa(0), None);
        assert_eq!(Cpu::of_x86_isa(1 << 9), None);
    }
}
