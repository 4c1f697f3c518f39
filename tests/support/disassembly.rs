//! Which functions use an import, as GNU objdump tells it: from relocations that the linker kept (`--emit-relocs`),
//! which say of each instruction what it was meant to name. On ppc64le they may name the table of contents; there the
//! instruction's operands and the dynamic relocations tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// An import as `name@VERSION`, or its name alone.
pub type Name = String;

#[derive(Debug, Default)]
pub struct Disassembly {
    /// Every import, with the addresses of the functions that use it.
    pub users: BTreeMap<Name, BTreeSet<u64>>,
    /// Functions by their address.
    pub functions: BTreeMap<u64, Function>,
    /// Imports that are named by code outside of any function.
    pub elsewhere: BTreeSet<Name>,
}

#[derive(Debug, Default)]
pub struct Function {
    end: u64,
    pub names: BTreeSet<String>,
}

/// `prefix`: of the binutils, as in `s390x-linux-gnu-`.
pub fn read(prefix: &str, file: &Path) -> anyhow::Result<Disassembly> {
    let mut read = Disassembly::default();
    let path = file.to_str().context("a path in UTF-8")?;
    let dynamic = output(&format!("{prefix}nm"), &["-D", "--with-symbol-versions", path])?;
    for line in dynamic.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., kind, name] = &words[..] else { continue };
        // A copied object is defined, by a version of another file: `@`, not `@@`.
        let is_import = matches!(*kind, "U" | "w" | "v") || (name.contains('@') && !name.contains("@@"));
        if is_import && *kind != "A" {
            read.users.insert((*name).to_owned(), BTreeSet::new());
        }
    }
    let symbols = output(&format!("{prefix}readelf"), &["-sW", path])?;
    symbols.lines().for_each(|line| read.add_function(line));
    let code = output(&format!("{prefix}objdump"), &["-drw", "--no-show-raw-insn", path])?;
    let mut by_name: BTreeMap<&str, Vec<Name>> = BTreeMap::new();
    let imports: Vec<Name> = read.users.keys().cloned().collect();
    for import in &imports {
        by_name.entry(bare(import)).or_default().push(import.clone());
    }
    let contents = Contents::read(prefix, path)?;
    // What no dynamic relocation names, the linker has resolved: a weak one to 0, in a program at a fixed address.
    let filled: BTreeSet<&Name> = contents.slots.values().collect();
    let mut halves = HashMap::new();
    let mut instruction = "";
    let mut relocations = 0;
    for line in code.lines() {
        if line.ends_with(">:") {
            halves.clear();
        }
        let fields: Vec<&str> = line.split('\t').collect();
        // A second relocation of an instruction has a line of its own.
        if !fields[0].is_empty() {
            instruction = line.split(": R_").next().unwrap_or(line);
        }
        contents.first_half(&fields, &mut halves);
        for pair in fields.windows(2) {
            let Some((address, kind)) = pair[0].split_once(": ") else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            // What is `NONE` the linker has resolved; `SEQ` marks instructions between those that name something.
            // Of thread-local variables s390x marks the call, which names none.
            let is_mark = kind.contains("SEQ") || (kind.starts_with("R_390_TLS") && kind.ends_with("CALL"));
            if !kind.starts_with("R_") || kind.ends_with("_NONE") || is_mark {
                continue;
            }
            relocations += 1;
            let mut name = without_addend(pair[1].trim());
            if let Some(said) = thread_local(name, &by_name) {
                // The linker often finds something better than the call, and the relocation stays.
                if !instruction.contains("__tls_get_") {
                    continue;
                }
                name = said;
            }
            // ppc64le: the relocation names the table of contents, where the compiler put the address.
            let by_contents = match [".toc", ".got", ".LC"].iter().any(|start| name.starts_with(start)) {
                true => contents.import(&fields, &halves),
                false => None,
            };
            name = by_contents.unwrap_or(name);
            for import in by_name.get(bare(name)).into_iter().flatten() {
                let is_other = name.contains('@') && name.replace("@@", "@") != *import;
                if is_other || !filled.contains(import) {
                    continue;
                }
                match read.function_at(address) {
                    Some(function) => read.users.entry(import.clone()).or_default().insert(function),
                    None => read.elsewhere.insert(import.clone()),
                };
            }
        }
    }
    ensure!(relocations > 0, "{path} was not linked with --emit-relocs");
    Ok(read)
}

/// The function that thread-local storage calls, under the name that it is imported by.
fn thread_local<'a>(name: &'a str, imports: &BTreeMap<&str, Vec<Name>>) -> Option<&'a str> {
    match bare(name) {
        "__tls_get_addr" if imports.contains_key("__tls_get_addr_opt") => Some("__tls_get_addr_opt"),
        "__tls_get_addr" | "__tls_get_offset" => Some(name),
        _ => None,
    }
}

fn bare(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

fn without_addend(name: &str) -> &str {
    match name.rfind(['+', '-']) {
        Some(at) if name[at + 1..].starts_with("0x") => &name[..at],
        _ => name,
    }
}

impl Disassembly {
    /// A line of `readelf -sW`: number, value, size, type, binding, visibility, section, name. On ppc64le
    /// `[<localentry>: 8]` stands among them (fact 4).
    fn add_function(&mut self, line: &str) {
        let mut in_brackets = false;
        let words: Vec<&str> = line
            .split_whitespace()
            .filter(|word| {
                in_brackets |= word.starts_with('[');
                let skipped = in_brackets;
                in_brackets &= !word.ends_with(']');
                !skipped
            })
            .collect();
        let [_, value, size, "FUNC" | "IFUNC", _, _, section, name] = words[..] else { return };
        let Ok(start) = u64::from_str_radix(value, 16) else { return };
        let size = match size.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => size.parse(),
        };
        let (Ok(size), false) = (size, section == "UND") else { return };
        let function = self.functions.entry(start).or_default();
        function.end = function.end.max(start + size);
        function.names.insert(bare(name).to_owned());
    }

    fn function_at(&self, address: u64) -> Option<u64> {
        let (start, function) = self.functions.range(..=address).next_back()?;
        (address < function.end || function.end == *start).then_some(*start)
    }
}

/// What the loader fills in; on ppc64le the table of contents, where r2 is `.got` + 0x8000 (ELFv2 ABI, 3.3).
#[derive(Debug, Default)]
struct Contents {
    base: Option<u64>,
    slots: HashMap<u64, Name>,
}

impl Contents {
    fn read(prefix: &str, path: &str) -> anyhow::Result<Self> {
        let mut contents = Self::default();
        if prefix.starts_with("powerpc64le") {
            let sections = output(&format!("{prefix}readelf"), &["-SW", path])?;
            let got =
                sections.lines().find_map(|line| line.split_once(" .got ")?.1.split_whitespace().nth(1));
            contents.base = Some(u64::from_str_radix(got.context("no .got")?, 16)? + 0x8000);
        }
        let relocations = output(&format!("{prefix}readelf"), &["-rW", path])?;
        let mut is_dynamic = false;
        for line in relocations.lines() {
            if line.starts_with("Relocation section") {
                is_dynamic = line.contains("'.rela.dyn'") || line.contains("'.rela.plt'");
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [offset, _, _, _, name, ..] = words[..]
                && is_dynamic
                && let Ok(offset) = u64::from_str_radix(offset, 16)
            {
                contents.slots.insert(offset, name.to_owned());
            }
        }
        Ok(contents)
    }

    /// `addis rX,r2,N`: registers and what is added to r2, in units of 65,536.
    fn first_half(&self, fields: &[&str], halves: &mut HashMap<String, i64>) {
        let mut words = fields.iter().flat_map(|field| field.split_whitespace());
        if words.any(|word| word == "addis")
            && let Some((register, rest)) = words.next().and_then(|operands| operands.split_once(",r2,"))
            && let Ok(half) = rest.parse()
        {
            halves.insert(register.to_owned(), half);
        }
    }

    /// `ld rY,N(rX)`: the import whose slot is read.
    fn import(&self, fields: &[&str], halves: &HashMap<String, i64>) -> Option<&str> {
        let mut words = fields.iter().flat_map(|field| field.split_whitespace());
        words.find(|word| *word == "ld")?;
        let (_, place) = words.next()?.split_once(',')?;
        let (low, register) = place.strip_suffix(')')?.split_once('(')?;
        let half = if register == "r2" { 0 } else { *halves.get(register)? };
        let slot = self.base?.wrapping_add_signed((half << 16) + low.parse::<i64>().ok()?);
        self.slots.get(&slot).map(String::as_str)
    }
}

pub fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "`{program} {}`: {}\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
