//! A linker for a foreign target, where cargo's configuration names none.

use std::ffi::OsString;

use cfg_expr::targets::get_builtin_target_by_triple;

use crate::process::on_path;

/// A linker that was found for a target.
#[derive(Debug)]
pub struct Found {
    pub triple: String,
    pub linker: String,
}

impl Found {
    /// The variable by which cargo takes it; `--config` still goes before.
    pub fn variable(&self) -> (OsString, OsString) {
        (variable(&self.triple).into(), self.linker.clone().into())
    }
}

pub fn variable(triple: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace(['-', '.'], "_"))
}

/// Whether the target is for another machine than this program runs on: then
/// the host's own linker cannot serve.
pub fn is_foreign(triple: &str) -> bool {
    get_builtin_target_by_triple(triple).is_some_and(|target| {
        target.arch.as_str() != std::env::consts::ARCH
            && target.os.as_ref().is_some_and(|os| os.as_str() == "linux")
    })
}

/// The cross compiler for it, if it is installed.
pub fn installed(triple: &str) -> Option<Found> {
    let linker = cross_compiler(triple)?;
    on_path(linker.as_ref()).then(|| Found { triple: triple.to_owned(), linker })
}

/// Its name, installed or not: `s390x-linux-gnu-gcc`.
///
/// Not the `cc` crate's answer: that takes `CC`, which is the host's compiler
/// in many a CI, for the foreign target's.
pub fn cross_compiler(triple: &str) -> Option<String> {
    Some(format!("{}-gcc", gnu_prefix(triple)?))
}

/// What to install for it, on Debian and its relatives.
pub fn debian_package(triple: &str) -> Option<String> {
    Some(format!("gcc-{}", gnu_prefix(triple)?.replace('_', "-")))
}

/// GNU's name of the system, as Debian calls its cross compilers: without a
/// vendor, and with GNU's word for the machine.
fn gnu_prefix(triple: &str) -> Option<String> {
    let target = get_builtin_target_by_triple(triple)?;
    if target.env.as_ref().is_none_or(|env| env.as_str() != "gnu") {
        return None;
    }
    let (machine, rest) = triple.split_once('-')?;
    let system = rest.split_once("linux-").map(|(_, environment)| environment)?;
    let machine = match target.arch.as_str() {
        "x86" => "i686",
        "arm" => "arm",
        "riscv64" => "riscv64",
        "riscv32" => "riscv32",
        _ => machine,
    };
    Some(format!("{machine}-linux-{system}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_compilers_by_their_debian_names() {
        for (triple, compiler) in [
            ("s390x-unknown-linux-gnu", Some("s390x-linux-gnu-gcc")),
            ("powerpc64le-unknown-linux-gnu", Some("powerpc64le-linux-gnu-gcc")),
            ("aarch64-unknown-linux-gnu", Some("aarch64-linux-gnu-gcc")),
            ("riscv64gc-unknown-linux-gnu", Some("riscv64-linux-gnu-gcc")),
            ("armv7-unknown-linux-gnueabihf", Some("arm-linux-gnueabihf-gcc")),
            ("i586-unknown-linux-gnu", Some("i686-linux-gnu-gcc")),
            ("x86_64-unknown-linux-gnux32", Some("x86_64-linux-gnux32-gcc")),
            ("aarch64-unknown-linux-musl", None),
            ("x86_64-pc-windows-gnu", None),
        ] {
            assert_eq!(cross_compiler(triple).as_deref(), compiler, "{triple}");
        }
        assert_eq!(debian_package("x86_64-unknown-linux-gnu").as_deref(), Some("gcc-x86-64-linux-gnu"));
    }
}
