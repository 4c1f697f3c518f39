//! The ELF writer of the other tests, held against GNU readelf.

mod support {
    pub mod elf;
    pub mod hex;
}

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use support::elf::Elf;

const MACHINES: [(&str, &str, &str, &str); 10] = [
    ("x86-64", "ELF64", "little endian", "X86-64"),
    ("i386", "ELF32", "little endian", "Intel 80386"),
    ("aarch64", "ELF64", "little endian", "AArch64"),
    ("arm", "ELF32", "little endian", "ARM"),
    ("s390x", "ELF64", "big endian", "S/390"),
    ("ppc64le", "ELF64", "little endian", "PowerPC64"),
    ("ppc64", "ELF64", "big endian", "PowerPC64"),
    ("riscv64", "ELF64", "little endian", "RISC-V"),
    ("mips", "ELF32", "big endian", "MIPS R3000"),
    ("loongarch64", "ELF64", "little endian", "LoongArch"),
];

const EVERYTHING: &str = r#"
interpreter = "/lib/ld.so.1"
needed = ["libc.so.6", "libm.so.6"]
soname = "libfull.so.1"
runpath = "$ORIGIN/lib"
pie = true
bind-now = true
textrel = true
relr = true
stack = "rwx"
abi-tag = [0, 3, 2, 0]
build-id = "00112233 44556677"
dlopen = ['[{"soname":["libz.so.1"]}]', '[{"soname":["liblzma.so.5"]}]']
version-needs = [
    { file = "libc.so.6", nodes = [{ name = "GLIBC_2.34" }, { name = "GLIBC_2.38", weak = true }] },
    { file = "ld.so.1", nodes = [{ name = "GLIBC_2.34" }] },
]
version-definitions = ["libfull.so.1", "FULL_1.0"]
symbols = [
    { name = "full_b", defined = true, version = "FULL_1.0" },
    { name = "full_a", defined = true, version = "FULL_1.0", hidden = true },
    { name = "stderr", defined = true, type = "object", version = "GLIBC_2.34", file = "libc.so.6" },
    { name = "plain", binding = "weak" },
    { name = "strlcpy", version = "GLIBC_2.38" },
    { name = "__tls_get_addr", version = "GLIBC_2.34", file = "ld.so.1" },
    { name = "own", defined = true, binding = "local", visibility = "hidden" },
]
"#;

const SYMBOLS: [&str; 7] = [
    "FUNC GLOBAL DEFAULT defined full_b@@FULL_1.0",
    "FUNC GLOBAL DEFAULT defined full_a@FULL_1.0",
    "OBJECT GLOBAL DEFAULT defined stderr@GLIBC_2.34",
    "FUNC WEAK DEFAULT undefined plain",
    "FUNC GLOBAL DEFAULT undefined strlcpy@GLIBC_2.38",
    "FUNC GLOBAL DEFAULT undefined __tls_get_addr@GLIBC_2.34",
    "FUNC LOCAL HIDDEN defined own",
];

const DYNAMIC: [&str; 9] = [
    "(NEEDED) Shared library: [libc.so.6]",
    "(NEEDED) Shared library: [libm.so.6]",
    "(SONAME) Library soname: [libfull.so.1]",
    "(RUNPATH) Library runpath: [$ORIGIN/lib]",
    "(FLAGS) TEXTREL BIND_NOW",
    "(FLAGS_1) Flags: NOW PIE",
    "(TEXTREL) 0x0",
    "(VERDEFNUM) 2",
    "(VERNEEDNUM) 2",
];

fn write(description: &str) -> anyhow::Result<Vec<u8>> {
    toml::from_str::<Elf>(description)?.to_bytes()
}

/// A warning of readelf's means that we wrote the file wrong.
fn readelf(options: &[&str], bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).expect("a written file");
    let output = (Command::new("readelf").args(options).arg(&path).env("LC_ALL", "C").output())
        .expect("readelf, of binutils, is installed");
    // Its exit code says nothing: a note of a type unknown to it is 1.
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.is_empty(), "{options:?}: {complaints}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn dynamic_entries(text: &str) -> BTreeSet<String> {
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| words.get(1).is_some_and(|tag| tag.starts_with('(')))
        .map(|words| words[1..].join(" "))
        .collect()
}

/// file → (node, flags)
fn version_needs(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut needs = BTreeMap::new();
    let mut file = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "Version:", "1", "File:", name, ..] => file = (*name).to_owned(),
            [_, "Name:", node, "Flags:", flags, ..] if !file.is_empty() => {
                let nodes: &mut Vec<_> = needs.entry(file.clone()).or_default();
                nodes.push(((*node).to_owned(), (*flags).to_owned()));
            }
            _ => {}
        }
    }
    needs
}

fn symbols(text: &str) -> BTreeSet<String> {
    let mut symbols = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [_, _, _, kind @ ("FUNC" | "OBJECT"), binding, visibility, section, name, ..] =
            words.as_slice()
        {
            let state = if *section == "UND" { "undefined" } else { "defined" };
            symbols.insert(format!("{kind} {binding} {visibility} {state} {name}"));
        }
    }
    symbols
}

fn owned<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.map(str::to_owned).into()
}

#[test]
fn readelf_sees_what_was_described() {
    for (machine, class, data, machine_text) in MACHINES {
        for hash in ["gnu", "sysv", "both"] {
            let bytes =
                write(&format!("machine = '{machine}'\nhash = '{hash}'\nsections = true\n{EVERYTHING}"))
                    .unwrap_or_else(|error| panic!("{machine}: {error:#}"));
            let text = readelf(&["-hldVnSW", "--dyn-syms"], &bytes);

            for fact in [class, data, machine_text, "[Requesting program interpreter: /lib/ld.so.1]"] {
                assert!(text.contains(fact), "{machine}: no `{fact}` in\n{text}");
            }
            for fact in ["ABI: 3.2.0", "Build ID: 0011223344556677", "GNU_STACK", "RWE", "FDO"] {
                assert!(text.contains(fact), "{machine}: no `{fact}` in\n{text}");
            }
            let entries = dynamic_entries(&text);
            assert!(owned(DYNAMIC).is_subset(&entries), "{machine}: {entries:#?}");
            let needs = version_needs(&text);
            let node = |name: &str, flags: &str| (name.to_owned(), flags.to_owned());
            assert_eq!(
                needs["libc.so.6"],
                [node("GLIBC_2.34", "none"), node("GLIBC_2.38", "WEAK")],
                "{machine}"
            );
            assert_eq!(needs["ld.so.1"], [node("GLIBC_2.34", "none")], "{machine}");
            assert_eq!(symbols(&text), owned(SYMBOLS), "{machine} {hash}");
        }
    }
}

#[test]
fn without_sections_the_dynamic_segment_says_the_same() {
    for (machine, ..) in MACHINES {
        for hash in ["gnu", "sysv", "both"] {
            let bytes = write(&format!("machine = '{machine}'\nhash = '{hash}'\n{EVERYTHING}"))
                .unwrap_or_else(|error| panic!("{machine}: {error:#}"));
            let text = readelf(&["-hdW"], &bytes);
            assert!(text.contains("Start of section headers:          0 "), "{machine}: {text}");
            let entries = dynamic_entries(&text);
            assert!(owned(DYNAMIC).is_subset(&entries), "{machine}: {entries:#?}");
            // It counts the symbols by a hash table.
            let found = symbols(&readelf(&["-DsW"], &bytes));
            assert_eq!(found, owned(SYMBOLS), "{machine} {hash}");
        }
    }
}

/// What readelf cannot show of `.gnu.hash`: that a look-up by it finds the symbol.
fn look_up<H: FileHeader<Endian = Endianness>>(bytes: &[u8], name: &str) -> object::read::Result<bool> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let symbols = sections.symbols(endian, bytes, object::elf::SHT_DYNSYM)?;
    let versions = sections.versions(endian, bytes)?.unwrap_or_default();
    let Some((table, _)) = sections.gnu_hash(endian, bytes)? else {
        return Ok(false);
    };
    assert_eq!(table.symbol_table_length(endian), Some(SYMBOLS.len() as u32 + 1));
    let hash = object::elf::gnu_hash(name.as_bytes());
    Ok(table.find(endian, name.as_bytes(), hash, None, &symbols, &versions).is_some())
}

#[test]
fn the_gnu_hash_table_finds_what_is_defined() {
    for (machine, class, ..) in MACHINES {
        let bytes = write(&format!("machine = '{machine}'\nhash = 'gnu'\nsections = true\n{EVERYTHING}"))
            .unwrap_or_else(|error| panic!("{machine}: {error:#}"));
        for (name, is_defined) in [("full_b", true), ("stderr", true), ("strlcpy", false)] {
            let found = match class {
                "ELF32" => look_up::<FileHeader32<Endianness>>(&bytes, name),
                _ => look_up::<FileHeader64<Endianness>>(&bytes, name),
            };
            assert_eq!(found, Ok(is_defined), "{machine}: {name}");
        }
    }
}

#[test]
fn an_isa_note_is_a_gnu_property() {
    let text = readelf(&["-nlW"], &write("x86-isa-needed = 4\nsections = true").expect("a file"));
    assert!(text.contains("x86 ISA needed: x86-64-v3"), "{text}");
    assert!(text.contains("GNU_PROPERTY"), "{text}");
}

#[test]
fn other_types() {
    let objects = r#"
        type = "rel"
        symbols = [{ name = "here", defined = true }, { name = "there", type = "notype" }]
    "#;
    let text = readelf(&["-hsW"], &write(objects).expect("an object"));
    assert!(text.contains("REL (Relocatable file)"), "{text}");
    assert!(text.contains("FUNC    GLOBAL DEFAULT    1 here"), "{text}");
    assert!(text.contains("NOTYPE  GLOBAL DEFAULT  UND there"), "{text}");

    let text = readelf(
        &["-hldW"],
        &write("type = 'exec'\nmachine = 's390x'\nos-abi = 3").expect("a static program"),
    );
    assert!(text.contains("EXEC (Executable file)") && text.contains("UNIX - GNU"), "{text}");
    assert!(text.contains("There is no dynamic section"), "{text}");

    let text = readelf(&["-hW"], &write("type = 'core'").expect("a core"));
    assert!(text.contains("CORE (Core file)"), "{text}");
}

#[test]
fn class_and_endian_may_contradict_the_machine() {
    let text =
        readelf(&["-hdW"], &write("class = 32\nendian = 'big'\nneeded = ['liba.so']").expect("a file"));
    assert!(text.contains("ELF32") && text.contains("big endian") && text.contains("X86-64"), "{text}");
    assert!(text.contains("[liba.so]"), "{text}");
}

#[test]
fn very_many_program_headers() {
    let description = "program-headers = 70000\nneeded = ['liba.so']";
    let text = readelf(&["-hdW"], &write(&format!("{description}\nsections = true")).expect("a file"));
    assert!(text.contains("65535 (70000)") && text.contains("[liba.so]"), "{text}");
    // Where a section is there for the count alone, readelf 2.40 finds no dynamic section.
    let bytes = write(description).expect("a file");
    let header = FileHeader64::<Endianness>::parse(bytes.as_slice()).expect("a header");
    assert_eq!(header.phnum(Endianness::Little, bytes.as_slice()), Ok(70_000));
}

#[test]
fn fields_are_patched_where_they_lie() {
    let plain = write(EVERYTHING).expect("a file");
    let hostile = [
        "e_phoff",
        "e_phnum",
        "e_phentsize",
        "e_shoff",
        "e_shnum",
        "DT_STRTAB",
        "DT_STRSZ",
        "DT_VERNEED",
        "DT_SYMTAB",
        "DT_STRTAB.d_tag",
        "verneed[0].vn_next",
        "verneed[0].vn_aux",
        "verneed[0].vn_file",
        "verneed[0].aux[0].vna_next",
        "verneed[0].aux[0].vna_name",
        "verneed[1].aux[0].vna_hash",
        "verdef[1].vd_next",
        "interp.p_offset",
        "interp.p_filesz",
        "dynamic.p_vaddr",
        "dynamic.p_offset",
        "dynamic.p_filesz",
        "load[1].p_memsz",
        "needed[0]",
        "symbol[plain].st_name",
        "versym[plain]",
        "gnu_hash.nbuckets",
        ".note.dlopen[1].n_descsz",
    ];
    for field in hostile {
        let bytes = write(&format!("{EVERYTHING}\npatch-field = [{{ field = '{field}', value = -1 }}]"))
            .expect(field);
        assert_eq!(bytes.len(), plain.len());
        let changed: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != plain[*at]).collect();
        assert!(!changed.is_empty() && changed.iter().all(|at| bytes[*at] == 0xff), "{field}: {changed:?}");
    }
    let bytes =
        write("patch-field = [{ field = 'e_machine', value = 0x1234 }]\nendian = 'big'").expect("a file");
    assert_eq!(bytes[18..20], [0x12, 0x34]);
    let bytes = write("truncate = 20\npatch = [{ offset = 0, hex = '00 45' }]").expect("a file");
    assert_eq!((bytes.len(), &bytes[..4]), (20, b"\x00ELF".as_slice()));
}

#[test]
fn a_description_that_cannot_be_kept_is_refused() {
    for (description, complaint) in [
        ("type = 'exec'\nsoname = 'a'", "the file has none"),
        ("symbols = [{ name = 'a', version = 'V' }]", "the file has none"),
        ("static-symbols = [{ name = 'a' }]", "sections = true"),
        ("machine = 'arm'\nx86-isa-needed = 1", "x86 alone"),
        ("patch-field = [{ field = 'DT_NONE', value = 0 }]", "no field `DT_NONE`"),
        ("patch = [{ offset = 100000, hex = '00' }]", "past the file"),
        ("truncate = 100000", "truncate"),
        ("build-id = '0'", "pairs"),
        ("colour = 'red'", "unknown field"),
        (
            "version-needs = [{ file = 'a', nodes = [{ name = 'V' }] }, { file = 'b', nodes = [{ name = 'V' }] }]\n\
             symbols = [{ name = 's', version = 'V' }]",
            "there 2 times",
        ),
    ] {
        let error = format!("{:#}", write(description).expect_err(description));
        assert!(error.contains(complaint), "{description}: {error}");
    }
}
