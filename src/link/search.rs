//! Where a linker looks for libraries: the folders that were named, then those
//! of the C compiler that links.

use std::path::{Path, PathBuf};

use cfg_expr::targets::get_builtin_target_by_triple;

use crate::process::{Invocation, on_path};
use crate::workspace;

/// The folders, in order.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The compiler that was asked; `None`: none was found.
    pub compiler: Option<String>,
    folders: Vec<PathBuf>,
}

impl Search {
    /// Asks the compiler that links for a triple: `configured` as cargo has it,
    /// else the usual one.
    pub fn of_target(triple: Option<&str>, configured: Option<&str>) -> Self {
        let usual = match triple {
            Some(triple) if workspace::is_foreign(triple) => {
                workspace::cross_compiler(triple).into_iter().collect()
            }
            Some(triple) if is_musl(triple) => vec!["musl-gcc".to_owned()],
            _ => ["cc", "gcc", "clang"].map(str::to_owned).to_vec(),
        };
        let candidates = configured.map(str::to_owned).into_iter().chain(usual);
        for compiler in candidates.filter(|name| on_path(name.as_ref())) {
            // A bare linker knows no such question.
            let Ok(Some(text)) = Invocation::new(&compiler).args(["-print-search-dirs"]).output() else {
                continue;
            };
            let folders = folders(&text);
            if folders.is_empty() {
                continue;
            }
            return Self { compiler: Some(compiler), folders };
        }
        Self::default()
    }

    /// The same with folders before all others.
    pub fn with_folders(&self, first: &[PathBuf]) -> Self {
        let folders = first.iter().chain(&self.folders).cloned().collect();
        Self { folders, compiler: self.compiler.clone() }
    }

    /// A file by its name.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// `-lNAME`: in each folder the shared library, then the archive.
    pub fn library(&self, name: &str, only_static: bool) -> Option<PathBuf> {
        if let Some(file) = name.strip_prefix(':') {
            return self.file(file);
        }
        let names = [format!("lib{name}.so"), format!("lib{name}.a")];
        let names = &names[usize::from(only_static)..];
        self.folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)))
            .find(|path| path.is_file())
    }

    /// A file that a script names. An absolute path begins at the sysroot where
    /// the script lies in one: the nearest folder above it below which the path
    /// exists, or the root. A bare name is searched.
    pub fn file_of_script(&self, script: &Path, name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() {
            let below = name.trim_start_matches('/');
            let mut above = script.ancestors().skip(1);
            return above.find_map(|folder| Some(folder.join(below)).filter(|path| path.is_file()));
        }
        let beside = script.parent().map(|folder| folder.join(name)).filter(|path| path.is_file());
        beside.or_else(|| self.file(name))
    }

    /// Every library by which a program may be linked: `libNAME.so` and its
    /// path, each name once.
    pub fn shared(&self) -> Vec<(String, PathBuf)> {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        for folder in &self.folders {
            let mut here: Vec<(String, PathBuf)> = Vec::new();
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let bare = name.strip_prefix("lib").and_then(|name| name.strip_suffix(".so"));
                here.extend(bare.map(|bare| (bare.to_owned(), entry.path())));
            }
            here.sort();
            here.retain(|(name, _)| !found.iter().any(|(known, _)| known == name));
            found.extend(here);
        }
        found
    }
}

fn is_musl(triple: &str) -> bool {
    let target = get_builtin_target_by_triple(triple);
    target.and_then(|target| target.env.as_ref()).is_some_and(|env| env.as_str() == "musl")
}

/// `libraries: =/folder:/folder`, as GCC and Clang print it; those that exist.
fn folders(text: &str) -> Vec<PathBuf> {
    let list = text.lines().find_map(|line| line.strip_prefix("libraries: =")).unwrap_or_default();
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in std::env::split_paths(list).filter_map(|folder| folder.canonicalize().ok()) {
        if folder.is_dir() && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}
