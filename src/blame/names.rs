//! Names of functions: what a mangled one says of its crate.

use std::fmt::Write as _;

use rustc_demangle::try_demangle;

/// The crates of the sysroot, which also lie on a registry under these names.
const STD: &[&str] = &[
    "std",
    "core",
    "alloc",
    "proc_macro",
    "test",
    "std_detect",
    "panic_unwind",
    "panic_abort",
    "unwind",
    "compiler_builtins",
    // What rustc itself adds, such as `__rust_alloc`.
    "__rustc",
];

/// What std itself depends on.
const STD_DEPENDENCIES: &[&str] = &[
    "addr2line",
    "adler2",
    "cfg_if",
    "gimli",
    "hashbrown",
    "libc",
    "memchr",
    "miniz_oxide",
    "object",
    "rustc_demangle",
];

/// Whether the crate can only be the standard library's.
pub fn is_std(crate_name: &str) -> bool {
    STD.contains(&crate_name)
}

/// The start file that a function is from, as far as its name tells.
pub fn start_file(function: &str) -> &'static str {
    match function {
        "_start" | "__start" | "__libc_csu_init" | "__libc_csu_fini" | "_dl_relocate_static_pie" => "Scrt1.o",
        "_init" | "_fini" | "call_weak_fn" => "crti.o",
        _ => "crtbeginS.o",
    }
}

/// Imports that the C start files have (glibc `csu/`, `sysdeps/*/start.S`, GCC
/// `crtstuff.c`).
pub fn of_start_files(import: &str) -> bool {
    matches!(
        import,
        "__libc_start_main"
            | "__gmon_start__"
            | "__cxa_finalize"
            | "_ITM_deregisterTMCloneTable"
            | "_ITM_registerTMCloneTable"
            | "abort"
    )
}

pub fn start_file_of_import(import: &str) -> &'static str {
    match import {
        "__libc_start_main" => "Scrt1.o",
        "__gmon_start__" => "crti.o",
        _ => "crtbeginS.o",
    }
}

/// An import as objects call it: on ppc64le the linker takes an optimised one
/// (ELFv2 ABI, 3.7.3; binutils, `--no-tls-get-addr-optimize`).
pub fn in_objects(import: &str) -> &str {
    match import {
        "__tls_get_addr_opt" => "__tls_get_addr",
        other => other,
    }
}

/// The other way around.
pub fn as_linked(import: &str) -> &str {
    match import {
        "__tls_get_addr" => "__tls_get_addr_opt",
        other => other,
    }
}

/// Whether std links a crate of that name of its own, beside one that the
/// user's crates may have.
pub fn is_also_in_std(crate_name: &str) -> bool {
    STD_DEPENDENCIES.contains(&crate_name)
}

/// A function's name as its source says it; a C function's own.
pub fn demangled(name: &str) -> String {
    let Ok(demangled) = try_demangle(name) else { return name.to_owned() };
    let mut text = String::new();
    // A hostile name may be short and mean much.
    match write!(Bounded(&mut text), "{demangled:#}") {
        Ok(()) => text,
        Err(_) => name.to_owned(),
    }
}

/// What is written, up to a limit.
struct Bounded<'t>(&'t mut String);

impl std::fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > 1 << 16 {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Without generic arguments, for people: `a::f::<B>` is `a::f`, and
/// `<a::B<C> as d::E<F>>::g` is `<a::B as d::E>::g`.
pub fn brief(demangled: &str) -> String {
    let mut brief = String::new();
    let mut depth = 0_usize;
    let mut kept = Vec::new();
    let mut before = ' ';
    for letter in demangled.chars() {
        match letter {
            '<' => {
                // At the start of a path it holds a type; behind one, arguments.
                let holds_a_type =
                    depth == 0 && !(before.is_alphanumeric() || matches!(before, '_' | ':' | '}'));
                kept.push(holds_a_type);
                if holds_a_type {
                    brief.push('<');
                } else {
                    depth += 1;
                }
            }
            '>' if before != '-' => match kept.pop() {
                Some(true) => brief.push('>'),
                Some(false) => depth = depth.saturating_sub(1),
                None => brief.push('>'),
            },
            _ if depth == 0 => brief.push(letter),
            _ => {}
        }
        before = letter;
    }
    brief.replace("::>", ">").replace(":: as", " as").trim_end_matches("::").replace("::::", "::")
}

/// Without what LLVM appends to a name where link-time optimisation moved a
/// function: `.llvm.123`, `.123`. A C function's name stays as it is.
pub fn without_suffix(mangled: &str) -> &str {
    if mangled.starts_with("_R") {
        return mangled.split('.').next().unwrap_or(mangled);
    }
    match hash_end(mangled) {
        Some(end) if mangled.starts_with("_ZN") => &mangled[..end],
        _ => mangled,
    }
}

/// Whether it is a Rust function's name of the older kind.
pub fn is_legacy(mangled: &str) -> bool {
    mangled.starts_with("_ZN") && hash_end(mangled).is_some()
}

/// The crate that a Rust function's code was written in; `None` for C.
pub fn crate_of(mangled: &str) -> Option<String> {
    if let Some(rest) = mangled.strip_prefix("_R") {
        // Some linkers and LLVM append to a name.
        return v0_crate(rest.as_bytes()).or_else(|| crate_in(&demangled(mangled)));
    }
    let is_legacy = is_legacy(mangled) && try_demangle(mangled).is_ok();
    is_legacy.then(|| crate_in(&demangled(mangled))).flatten()
}

/// rustc's legacy mangling ends in `17h`, sixteen digits, `E`; C++'s does not.
/// LLVM may append to it, after a dot. Where it ends without that.
fn hash_end(mangled: &str) -> Option<usize> {
    mangled.rmatch_indices("17h").map(|(at, _)| at).find_map(|at| {
        let hash = mangled.as_bytes().get(at + 3..at + 20)?;
        let is_whole = matches!(mangled.as_bytes().get(at + 20), None | Some(b'.'));
        let is_hash = hash[16] == b'E' && hash[..16].iter().all(u8::is_ascii_hexdigit);
        (is_whole && is_hash).then_some(at + 20)
    })
}

/// The crate root that the path of a v0 name begins at: for an `impl`, the
/// crate where that stands (RFC 2603).
fn v0_crate(name: &[u8]) -> Option<String> {
    let mut at = usize::from(name.first().is_some_and(u8::is_ascii_digit));
    loop {
        match name.get(at)? {
            b'N' => at += 2,
            b'I' => at += 1,
            b'M' | b'X' => at = disambiguator(name, at + 1)?,
            b'C' => {
                at = disambiguator(name, at + 1)?;
                let digits = name[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let length: usize = std::str::from_utf8(&name[at..at + digits]).ok()?.parse().ok()?;
                at += digits;
                at += usize::from(name.get(at) == Some(&b'_'));
                let identifier = name.get(at..at.checked_add(length)?)?;
                return String::from_utf8(identifier.to_vec()).ok();
            }
            _ => return None,
        }
    }
}

/// Past `s`, digits of base 62, `_`, if that is what stands there.
fn disambiguator(name: &[u8], at: usize) -> Option<usize> {
    if name.get(at) != Some(&b's') {
        return Some(at);
    }
    let length = name[at..].iter().position(|byte| *byte == b'_')?;
    Some(at + length + 1)
}

/// The crate in a demangled path: `a::b`, `<a::B as c::D>::e`. Of an `impl`
/// only its type and its trait are known: the one that is not std's is taken.
fn crate_in(demangled: &str) -> Option<String> {
    let mut first = None;
    let mut word = String::new();
    let mut letters = demangled.chars().peekable();
    let mut inside_path = false;
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
            continue;
        }
        let is_crate = letter == ':' && letters.peek() == Some(&':') && !inside_path && !word.is_empty();
        if is_crate {
            if !is_std(&word) {
                return Some(word);
            }
            first = first.or(Some(word.clone()));
        }
        inside_path = letter == ':';
        // A path that is no type's names the crate outright.
        if is_crate && !demangled.starts_with('<') {
            return first;
        }
        word.clear();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_mangled_names() {
        for (name, expected) in [
            ("_RNvNtCsjrHSEGnQ3l9_3std2io5stdin", Some("std")),
            ("_RNvMs5_NtNtCsjrHSEGnQ3l9_3std2io5errorNtB5_5Error3new", Some("std")),
            (
                "_RNvXs_Cs4fqI2P2rA04_8bytesizeNtB4_8ByteSizeNtNtCsgEmfK2I1SDS_4core3fmt7Display3fmt",
                Some("bytesize"),
            ),
            ("_RINvCskwGfYPst2Cb_5mycra1fhE", Some("mycra")),
            ("_ZN8bytesize9to_string17h0123456789abcdefE", Some("bytesize")),
            ("_ZN8bytesize9to_string17h0123456789abcdefE.llvm.123", Some("bytesize")),
            (
                "_ZN57_$LT$bytesize..ByteSize$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
                Some("bytesize"),
            ),
            (
                "_ZN53_$LT$alloc..string..String$u20$as$u20$mine..Trait$GT$3fmt17h0123456789abcdefE",
                Some("mine"),
            ),
            (
                "_ZN58_$LT$alloc..string..String$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                Some("alloc"),
            ),
            ("_ZNSt6vectorIiE4sizeEv", None),
            ("deflate", None),
            ("_R", None),
            ("_RNvC", None),
            ("_RNvC99999999999999999999a", None),
        ] {
            assert_eq!(crate_of(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn suffixes_are_of_llvm() {
        for (name, bare) in [
            ("_RNvCs1_3std1f.llvm.42", "_RNvCs1_3std1f"),
            ("_ZN1a..b1f17h0123456789abcdefE.123", "_ZN1a..b1f17h0123456789abcdefE"),
            ("_ZN1a1f17h0123456789abcdefE", "_ZN1a1f17h0123456789abcdefE"),
            ("zstd_decompress.part.0", "zstd_decompress.part.0"),
        ] {
            assert_eq!(without_suffix(name), bare);
        }
    }

    #[test]
    fn briefly_means_without_arguments() {
        for (long, short) in [
            ("a::f::<b::C<d::E>>", "a::f"),
            ("<a::B<c::D> as e::F<g::H>>::i::<j::K>", "<a::B as e::F>::i"),
            ("a::f::<fn(u8) -> b::C>::{closure#0}", "a::f::{closure#0}"),
            ("deflate", "deflate"),
            ("<a::B>::f", "<a::B>::f"),
            (
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
                "core::ops::function::FnOnce::call_once{{vtable.shim}}",
            ),
        ] {
            assert_eq!(brief(long), short);
        }
    }
}
