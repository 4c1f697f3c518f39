//! Where an illegal instruction stands: the program is run once more, with
//! QEMU's own log of system calls and memory.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::outcome::{self, Outcome};
use super::plan::{Plan, Way};
use super::runner::{self, Output};
use super::trial::Fault;
use crate::artifact::{Arch, Depth, Examined, Spot, code_at, examine};

/// The second run is ended after so many seconds.
const MOST_SECONDS: u64 = 120;
/// Of the log so much is read, in bytes.
const MOST_LOG: u64 = 256 << 20;
/// The longest instruction that is shown, in bytes.
const INSTRUCTION: u64 = 8;

/// `None`: not found, for example because it did not fail again.
pub fn find(plan: &Plan, way: Way) -> Option<Fault> {
    if way == Way::Configured {
        return None;
    }
    let log = logged(plan, way)?;
    let mut again = plan.clone();
    again.seconds = again.seconds.min(MOST_SECONDS);
    let emulator = again.emulator.as_mut()?;
    // Whether any CPU of this emulator knows it.
    let best = best_cpu(&emulator.path, emulator.cpu.as_deref());
    let also_on_best = match best {
        Some(best) => {
            emulator.cpu = best;
            again.env.retain(|(name, _)| name != "QEMU_CPU");
            let record = runner::run(&again, way, Output::Kept).ok()?;
            outcome::judge(&record.end, "", "", false) == Outcome::IllegalInstruction
        }
        None => true,
    };
    let seen = parse(&log)?;
    let mut fault =
        Fault { address: seen.address, object: None, function: None, bytes: Vec::new(), also_on_best };
    let (inside, spot) = match seen.mapped {
        Some((path, offset)) => (PathBuf::from(path), Spot::FromFile(offset)),
        None => (plan.program.clone(), Spot::FromCode(seen.address.checked_sub(seen.start_code)?)),
    };
    if let Ok(Some(code)) = code_at(&outside(plan, &inside), spot, INSTRUCTION) {
        fault.object = Some(inside.to_string_lossy().into_owned());
        fault.address = code.address;
        fault.function = code.function;
        fault.bytes = code.bytes;
        let arch = match examine(&plan.program, Depth::Needs) {
            Ok(Examined::Elf(facts)) => Some(facts.arch),
            _ => None,
        };
        fault.bytes.truncate(arch.and_then(|arch| length(arch, &fault.bytes)).unwrap_or(usize::MAX));
    }
    Some(fault)
}

/// How long the instruction is, where its first bytes say so: of s390x the
/// first two bits (Principles of Operation, "Instruction Formats"); of POWER
/// four bytes, or eight where the word is a prefix (Power ISA 3.1, opcode 1).
fn length(arch: Arch, bytes: &[u8]) -> Option<usize> {
    match (arch.to_string().as_str(), bytes) {
        ("s390x", [first, ..]) => Some([2, 4, 4, 6][usize::from(first >> 6)]),
        ("powerpc64le", [_, _, _, last, ..]) => Some(if last >> 2 == 1 { 8 } else { 4 }),
        ("aarch64", _) => Some(4),
        _ => None,
    }
}

/// The program that could not be started by one that failed, where the kernel
/// does not know programs for the emulator: by the same log,
/// `execve("PROGRAM",…) = -1 errno=8`. What the failed program itself says of it
/// is not to be relied on: it may be an exit code of 127 alone (fact 47).
pub fn child(plan: &Plan, way: Way) -> Option<String> {
    parse_exec(&logged(plan, way)?)
}

/// Runs it again, and gives QEMU's log. It goes to a file: of what the program
/// starts, the streams are the program's.
fn logged(plan: &Plan, way: Way) -> Option<String> {
    let file = tempfile::NamedTempFile::new().ok()?;
    let mut again = plan.clone();
    again.seconds = again.seconds.min(MOST_SECONDS);
    again.visible.push(file.path().to_owned());
    again.emulator.as_mut()?.log = Some(file.path().to_owned());
    runner::run(&again, way, Output::Kept).ok()?;
    let mut bytes = Vec::new();
    file.reopen().ok()?.take(MOST_LOG).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse_exec(log: &str) -> Option<String> {
    let mut called = None;
    for line in log.lines() {
        if let Some((_, call)) = line.split_once(" execve(\"") {
            called = call.split('"').next().map(str::to_owned);
        }
        // The result may stand on a later line.
        if line.contains("errno=8 ") && called.is_some() {
            return called;
        }
    }
    None
}

/// The best CPU of an emulator, as `-cpu` takes it. `None`: it is that one
/// already.
fn best_cpu(emulator: &Path, now: Option<&str>) -> Option<Option<String>> {
    now?;
    let name = emulator.file_name()?.to_string_lossy().into_owned();
    // POWER has no `max`; QEMU's default is older than its best.
    let best = if name.contains("ppc") { "power10" } else { "max" };
    (now != Some(best)).then(|| Some(best.to_owned()))
}

/// A path of the root as one of this machine.
fn outside(plan: &Plan, inside: &Path) -> PathBuf {
    if plan.visible.iter().any(|folder| inside.starts_with(folder)) {
        return inside.to_owned();
    }
    let folder = plan.root.as_deref().unwrap_or(Path::new("/"));
    crate::loader::resolve_in(folder, inside).unwrap_or_else(|| inside.to_owned())
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    address: u64,
    start_code: u64,
    /// The library that is mapped there, and the offset in it.
    mapped: Option<(String, u64)>,
}

/// QEMU's log: `start_code 0x…` once; `PID openat(AT_FDCWD,"/lib/x.so",…) = 3`
/// and `PID mmap(NULL,len,prot,flags,3,0) = 0x…`, where the result may stand on
/// a later line; and `--- SIGILL {si_signo=SIGILL, si_code=2, si_addr=0x…} ---`.
fn parse(log: &str) -> Option<Seen> {
    let hex = |text: &str| {
        let digits = text.trim().trim_start_matches("0x");
        let end = digits.find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(digits.len());
        u64::from_str_radix(&digits[..end], 16).ok()
    };
    let mut start_code = 0;
    let mut files: HashMap<String, String> = HashMap::new();
    let mut maps: Vec<(u64, u64, u64, String)> = Vec::new();
    let mut pending: Option<String> = None;
    let mut address = None;
    for line in log.lines() {
        if let Some(rest) = line.strip_prefix("start_code") {
            start_code = hex(rest).unwrap_or(0);
        } else if let Some((_, rest)) = line.split_once("--- SIGILL {") {
            address = rest.split_once("si_addr=").and_then(|(_, rest)| hex(rest));
        } else if let Some((_, call)) = line.split_once(" openat(AT_FDCWD,\"") {
            let name = call.split('"').next().unwrap_or_default();
            if let Some((_, number)) = call.rsplit_once(") = ") {
                files.insert(number.trim().to_owned(), name.to_owned());
            }
        } else if let Some((_, call)) = line.split_once(" mmap(") {
            pending = Some(call.to_owned());
        }
        let result = line.rsplit_once(" = 0x").map(|(_, result)| result);
        if let (Some(call), Some(result)) = (pending.clone(), result) {
            pending = None;
            let words: Vec<&str> = call.split(')').next().unwrap_or_default().split(',').collect();
            if let [_, len, _, _, file, offset] = words.as_slice()
                && let (Some(path), Ok(len), Some(base)) = (files.get(*file), len.parse(), hex(result))
            {
                let offset = if offset.starts_with("0x") { hex(offset) } else { offset.parse().ok() };
                maps.push((base, len, offset.unwrap_or(0), path.clone()));
            }
        }
    }
    let address = address?;
    // The last one counts: it lies over those before it.
    let mapped = maps.iter().rev().find_map(|(base, len, offset, path)| {
        let into = address.checked_sub(*base).filter(|into| into < len)?;
        Some((path.clone(), offset.checked_add(into)?))
    });
    Some(Seen { address, start_code, mapped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_not_started() {
        let log =
            "7 execve(\"/w/prog\",{\"/w/prog\",NULL}) = -1 errno=8 (Exec format error)\n7 exit_group(127)\n";
        assert_eq!(parse_exec(log).as_deref(), Some("/w/prog"));
        assert_eq!(parse_exec("7 execve(\"/x\",{NULL}) = -1 errno=2 (No such file or directory)\n"), None);
    }

    #[test]
    fn instructions_end() {
        let arch = |name| crate::target::arch(name).unwrap();
        let (s390x, power) = (arch("s390x-unknown-linux-gnu"), arch("powerpc64le-unknown-linux-gnu"));
        assert_eq!(length(s390x, &[0xe7, 0x11, 0x10]), Some(6));
        assert_eq!(length(s390x, &[0x07, 0xfe]), Some(2));
        assert_eq!(length(power, &[0x12, 0x4e, 0x63, 0x7c, 0xb4]), Some(4));
        assert_eq!(length(power, &[0, 0, 0, 0x06, 0]), Some(8));
        assert_eq!(length(arch("x86_64-unknown-linux-gnu"), &[0x0f, 0x0b]), None);
    }

    #[test]
    fn logs_are_read() {
        let log = "start_code  0x0000004000000000\n\
                   7 openat(AT_FDCWD,\"/lib/libx.so\",O_RDONLY|O_CLOEXEC) = 3\n\
                   7 mmap(NULL,4096,PROT_READ|PROT_EXEC,MAP_PRIVATE,3,65536)page layout changed following mmap\n\
                   start            end              size             prot\n = 0x0000004002000000\n";
        let fault = |address: &str| {
            parse(&format!("{log}--- SIGILL {{si_signo=SIGILL, si_code=1, si_addr=0x{address}}} ---\n"))
        };
        let seen = fault("0000004000000984").unwrap();
        assert_eq!((seen.address - seen.start_code, seen.mapped), (0x984, None));
        assert_eq!(fault("0000004002000010").unwrap().mapped, Some(("/lib/libx.so".to_owned(), 65536 + 16)));
        assert_eq!(parse(log), None);
    }
}
