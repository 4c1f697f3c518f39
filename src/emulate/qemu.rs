//! QEMU's user mode: which program emulates an architecture, and which of its
//! CPU models stands for a CPU.

use std::path::{Path, PathBuf};

use super::plan::{Emulator, magic};
use crate::artifact::{Arch, Artifact, Cpu, Depth, Endian, Examined, examine};
use crate::process::Invocation;
use crate::report::Failure;

/// Older ones cannot keep a program's own name (`binfmt_misc`'s flag `P`), and
/// have gaps that newer ones closed.
const OLDEST: (u32, u32) = (6, 0);

/// A model that was tried, and could be used with what it lacks left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What `-cpu` takes.
    pub argument: String,
    /// Its name alone.
    pub name: &'static str,
    /// Features that this QEMU cannot emulate.
    pub without: Vec<String>,
}

/// What QEMU calls an architecture.
fn name_of(arch: Arch) -> Option<&'static str> {
    let names = [
        ("x86_64", Endian::Little, "x86_64"),
        ("x86", Endian::Little, "i386"),
        ("aarch64", Endian::Little, "aarch64"),
        ("aarch64", Endian::Big, "aarch64_be"),
        ("arm", Endian::Little, "arm"),
        ("arm", Endian::Big, "armeb"),
        ("s390x", Endian::Big, "s390x"),
        ("powerpc64", Endian::Little, "ppc64le"),
        ("powerpc64", Endian::Big, "ppc64"),
        ("powerpc", Endian::Big, "ppc"),
        ("riscv64", Endian::Little, "riscv64"),
        ("riscv32", Endian::Little, "riscv32"),
        ("loongarch64", Endian::Little, "loongarch64"),
        ("mips64", Endian::Big, "mips64"),
        ("mips64", Endian::Little, "mips64el"),
        ("mips", Endian::Big, "mips"),
        ("mips", Endian::Little, "mipsel"),
        ("sparc64", Endian::Big, "sparc64"),
        ("m68k", Endian::Big, "m68k"),
    ];
    let width = |name: &str| if name.contains("64") || name == "s390x" { 64 } else { 32 };
    names
        .into_iter()
        .find(|(name, endian, _)| {
            Arch::of_target(name, width(name), *endian).is_some_and(|own| own.same_as(arch))
        })
        .map(|(_, _, qemu)| qemu)
}

/// The architecture of the machine we run on.
pub fn native() -> Option<Arch> {
    let endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
    let width = if cfg!(target_pointer_width = "64") { 64 } else { 32 };
    Arch::of_target(std::env::consts::ARCH, width, endian)
}

/// The first static one on `PATH`: one that needs a loader cannot be used in a
/// root that has none for it (fact 49).
pub fn find(arch: Arch) -> Result<Emulator, Failure> {
    let Some(name) = name_of(arch) else {
        return Err(Failure::new(format!("QEMU has no user mode for {arch}")));
    };
    let names = [format!("qemu-{name}-static"), format!("qemu-{name}")];
    let mut seen = Vec::new();
    for path in names.iter().filter_map(|name| on_path(name)) {
        match examine(&path, Depth::Needs) {
            Ok(Examined::Elf(facts)) if is_static(&facts) => {
                let version = version(&path)?;
                let native = native().is_some_and(|native| native.same_as(arch));
                return Ok(Emulator { native, path, version, cpu: None, magic: magic(arch), log: None });
            }
            Ok(Examined::Elf(_)) => seen.push((
                path,
                "it is linked dynamically, and the root has not the loader and libraries that it needs",
            )),
            _ => seen.push((
                path,
                "it is no program that the machine starts by itself, and the root has nothing that starts it",
            )),
        }
    }
    let failure = match seen.first() {
        Some((path, why)) => {
            Failure::new(format!("{} cannot serve inside a root", crate::text::path(path))).note(*why)
        }
        None => Failure::new(format!("no QEMU for {arch} was found"))
            .note(format!("`{}` and `{}` are not on PATH", names[0], names[1])),
    };
    Err(failure
        .help("install static QEMU user mode emulation, for example:\nsudo apt-get install qemu-user-static"))
}

fn is_static(facts: &Artifact) -> bool {
    facts.interpreter.is_none() && facts.needed.is_empty()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())?;
    found.canonicalize().ok()
}

fn version(path: &Path) -> Result<String, Failure> {
    let shown = crate::text::path(path);
    let output = Invocation::new(path).args(["--version"]).output().ok().flatten().unwrap_or_default();
    let version =
        output.lines().next().and_then(|line| line.split_once(" version ")?.1.split_whitespace().next());
    let numbers: Vec<u32> =
        version.unwrap_or_default().split('.').map_while(|part| part.parse().ok()).collect();
    match (version, numbers.as_slice()) {
        (Some(version), [major, minor, ..]) if (*major, *minor) >= OLDEST => Ok(version.to_owned()),
        (Some(version), [_, _, ..]) => {
            Err(Failure::new(format!("{shown} is version {version}, which is too old"))
                .help(format!("install QEMU {}.{} or later", OLDEST.0, OLDEST.1)))
        }
        _ => Err(Failure::new(format!("{shown} does not tell its version"))),
    }
}

/// The models that stand for a CPU, and features without which one would not.
fn candidates(cpu: Cpu) -> (&'static [&'static str], &'static [&'static str]) {
    const V3: &[&str] = &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"];
    const V4: &[&str] = &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];
    match cpu.to_string().as_str() {
        "x86-64" => (&["qemu64"], &[]),
        "x86-64-v2" => (&["Nehalem"], &[]),
        "x86-64-v3" => (&["Haswell-noTSX", "Haswell"], V3),
        "x86-64-v4" => (&["Skylake-Server-noTSX-IBRS", "Skylake-Server"], V4),
        "z10" => (&["z10EC"], &[]),
        "z196" => (&["z196"], &[]),
        "zEC12" => (&["zEC12"], &[]),
        "z13" => (&["z13"], &["vx"]),
        "z14" => (&["z14"], &["vxeh"]),
        "z15" => (&["gen15a"], &["vxeh2"]),
        "z16" => (&["gen16a"], &["vxeh2"]),
        "z17" => (&["gen17a"], &["vxeh3"]),
        "power8" => (&["power8"], &[]),
        "power9" => (&["power9"], &[]),
        "power10" => (&["power10"], &[]),
        "power11" => (&["power11"], &[]),
        _ => (&[], &[]),
    }
}

/// Tries the models of a CPU (fact 33). QEMU knows more CPUs than it can
/// emulate: what it says to lack is left out, unless the CPU is known by it.
/// `Err`: what QEMU says against it.
pub fn model(emulator: &Path, cpu: Cpu) -> Result<Model, String> {
    let (names, essential) = candidates(cpu);
    let mut refused = "it has no model for this CPU".to_owned();
    for name in names {
        let mut model = Model { argument: (*name).to_owned(), name, without: Vec::new() };
        // What is left out may bring up what depends on it.
        for _ in 0..4 {
            let said = try_model(emulator, &model.argument);
            let missing = missing_features(&said);
            if said.is_empty() {
                return Ok(model);
            }
            if let Some(feature) = missing.iter().find(|feature| essential.contains(&feature.as_str())) {
                refused = format!("it cannot emulate `{feature}`, which {cpu} has");
                break;
            }
            if missing.is_empty() {
                refused = said.lines().next().unwrap_or_default().to_owned();
                break;
            }
            for feature in missing {
                model.argument += &format!(",{feature}=off");
                model.without.push(feature);
            }
        }
    }
    Err(refused)
}

/// What QEMU says against a model; the empty text is a yes. The "program" that
/// it is given is none, so that nothing runs.
fn try_model(emulator: &Path, model: &str) -> String {
    let invocation = Invocation::new(emulator).args(["-cpu", model, "/dev/null"]);
    match invocation.output_or_error() {
        Ok(Ok(_)) => String::new(),
        Ok(Err(said)) => {
            let about_model = |line: &&str| !line.trim().is_empty() && !line.contains("/dev/null");
            said.lines().filter(about_model).collect::<Vec<_>>().join("\n")
        }
        Err(error) => error.to_string(),
    }
}

/// The features that a refusal names: all at once for s390x, and a warning
/// each for x86.
fn missing_features(said: &str) -> Vec<String> {
    let mut features = Vec::new();
    for line in said.lines() {
        if let Some((_, list)) = line.split_once("not available in the configuration: ") {
            features.extend(list.split_whitespace().map(str::to_owned));
        } else if let Some((_, rest)) = line.split_once("doesn't support requested feature: ") {
            let name = rest.split(" [").next().and_then(|name| name.rsplit(['.', ':']).next());
            features.extend(name.map(str::to_owned));
        }
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_understood() {
        assert_eq!(
            missing_features(
                "qemu-s390x-static: Some features requested in the CPU model are not available in the configuration: dfp tods  "
            ),
            ["dfp", "tods"]
        );
        assert_eq!(
            missing_features(
                "warning: TCG doesn't support requested feature: CPUID.01H:ECX.pcid [bit 17]\nwarning: TCG doesn't support requested feature: CPUID.07H:EBX.invpcid [bit 10]"
            ),
            ["pcid", "invpcid"]
        );
        assert!(missing_features("unable to find CPU model 'power12'").is_empty());
    }

    // Fact 33: of the models that QEMU lists some do not start, and each has to be tried.
    #[test]
    #[cfg_attr(
        any(target_arch = "s390x", target_arch = "powerpc64"),
        ignore = "starts QEMU, which is not in the root where this architecture is emulated"
    )]
    fn models_are_tried() {
        let arch = Arch::of_target("s390x", 64, Endian::Big).unwrap();
        let found = find(arch);
        let required = std::env::var_os("COMPAT_REQUIRE_ALL").is_some();
        let Ok(emulator) = found else { return assert!(!required, "needs qemu-s390x-static") };
        assert!(!try_model(&emulator.path, "z10EC-base").is_empty(), "this QEMU has all of z10EC-base");
        let model = model(&emulator.path, Cpu::parse("z13").unwrap()).unwrap();
        assert!(model.argument.starts_with("z13,") && !model.without.is_empty());
        assert_eq!(try_model(&emulator.path, &model.argument), "");
    }
}
