//! A linker for a foreign target, where cargo's configuration names none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cfg_expr::targets::get_builtin_target_by_triple;

use crate::process::on_path;

/// A linker that was found for a target.
#[derive(Debug)]
pub struct Found {
    pub triple: String,
    pub linker: PathBuf,
}

impl Found {
    /// The variable by which cargo takes it; `--config` still goes before.
    pub fn variable(&self) -> (String, OsString) {
        (variable(&self.triple), self.linker.clone().into())
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

/// Whether cargo's configuration, or a flag, names a linker.
pub fn is_configured(config: &cargo_config2::Config, triple: &str) -> bool {
    if std::env::var_os(variable(triple)).is_some() {
        return true;
    }
    let named = config.linker(triple).ok().flatten().is_some();
    let by_flag = config.rustflags(triple).ok().flatten();
    named || by_flag.is_some_and(|flags| flags.flags.iter().any(|flag| flag.contains("linker=")))
}

/// The cross compiler that the `cc` crate would use, if it is installed.
pub fn installed(triple: &str) -> Option<Found> {
    let linker = cross_compiler(triple)?;
    on_path(&linker).then(|| Found { triple: triple.to_owned(), linker })
}

/// Its name, installed or not: `s390x-linux-gnu-gcc`.
pub fn cross_compiler(triple: &str) -> Option<PathBuf> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let compiler = cc::Build::new()
        .target(triple)
        .host(&host)
        .opt_level(0)
        .cargo_metadata(false)
        .cargo_warnings(false)
        .try_get_compiler()
        .ok()?;
    let path = compiler.path();
    // A compiler that needs arguments to aim at the target (clang) cannot be
    // named as a linker.
    let is_cross_gcc = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("-gcc"));
    is_cross_gcc.then(|| path.to_owned())
}

/// What to install for it, on Debian and its relatives.
pub fn debian_package(compiler: &Path) -> Option<String> {
    let name = compiler.file_name()?.to_str()?;
    let prefix = name.strip_suffix("-gcc")?;
    Some(format!("gcc-{}", prefix.replace('_', "-")))
}
