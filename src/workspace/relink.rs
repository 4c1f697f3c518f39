//! Linking a stripped artifact once more, with its symbols, on request.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{CargoOptions, cargo};
use crate::artifact::Role;
use crate::judge::Input;
use crate::process::Invocation;
use crate::report::Failure;
use crate::text;

/// A file that was linked again, until it is dropped.
#[derive(Debug)]
pub struct Relinked {
    path: PathBuf,
    _folder: TempDir,
}

impl Relinked {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Links an artifact again by `cargo rustc -- -C strip=none`, which compiles
/// only its own crate again. What was built before is put back in its place.
pub fn relink(
    options: &CargoOptions,
    folder: &Path,
    package: &str,
    input: &Input,
) -> Result<Relinked, Failure> {
    let target = input.name.shown.rsplit(':').next().unwrap_or(&input.name.shown);
    let own = CargoOptions {
        packages: vec![package.to_owned()],
        workspace: false,
        exclude: Vec::new(),
        targets: input.triples.iter().take(options.targets.len()).cloned().collect(),
        rest: Vec::new(),
        ..options.clone()
    };
    let is_example = input.path.components().any(|part| part.as_os_str() == "examples");
    let own = match (input.role, is_example) {
        (Some(Role::SharedObject), _) => only(own, |own| own.lib = true),
        (_, true) => only(own, |own| own.example = vec![target.to_owned()]),
        _ => only(own, |own| own.bin = vec![target.to_owned()]),
    };
    let failed =
        |why: String| Failure::new(format!("`{}` could not be linked once more", input.name.shown)).note(why);
    let variables = super::build::linker_variables(options, folder)?;
    let before = beside(&input.path).map_err(|error| failed(error.to_string()))?;
    let mut invocation =
        Invocation::new(cargo()).args(["rustc"]).args(own.build_args()).args(["--", "-C", "strip=none"]);
    invocation.env = variables;
    let result = invocation.output_or_error();
    let linked = before.path().join("linked");
    let kept = std::fs::copy(&input.path, &linked);
    // Whatever happened, what was there before is there again.
    let restored = std::fs::rename(before.path().join("before"), &input.path);
    match result {
        Ok(Ok(_)) => {}
        Ok(Err(stderr)) => {
            let mut failure = failed(format!("`{}` failed", invocation.shown()));
            failure.notes.extend(stderr.trim().lines().rev().take(3).map(str::to_owned));
            return Err(failure);
        }
        Err(error) => return Err(failed(error.to_string())),
    }
    kept.and(restored).map_err(|error| failed(format!("{}: {error}", text::path(&input.path))))?;
    Ok(Relinked { path: linked, _folder: before })
}

/// With one target selected, and no other.
fn only(options: CargoOptions, select: impl FnOnce(&mut CargoOptions)) -> CargoOptions {
    let mut own = CargoOptions {
        lib: false,
        bins: false,
        bin: Vec::new(),
        examples: false,
        example: Vec::new(),
        tests: false,
        test: Vec::new(),
        benches: false,
        bench: Vec::new(),
        all_targets: false,
        ..options
    };
    select(&mut own);
    own
}

/// A folder beside the file, with a copy of it that can be renamed back.
fn beside(path: &Path) -> std::io::Result<TempDir> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = tempfile::Builder::new().prefix(".compat-relink-").tempdir_in(folder)?;
    let copy = folder.path().join("before");
    std::fs::copy(path, &copy)?;
    let modified = std::fs::metadata(path)?.modified()?;
    std::fs::File::options().append(true).open(&copy)?.set_modified(modified)?;
    Ok(folder)
}
