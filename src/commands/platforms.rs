//! `cargo compat platforms`: what is known of systems.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact::Arch;
use crate::exit::{KEPT, NOT_JUDGED, USAGE};
use crate::loader::{default_folders, glibc_release_of, leave_open};
use crate::platform::{
    self, About, Draft, Gathered, Interest, Open, OpenError, Platform, System, Thing, gather_archive,
    gather_root,
};
use crate::report::{self, Compared, Failure, Imported, MessageFormat, Streams};
use crate::text;

#[derive(Debug)]
pub enum Options {
    List(MessageFormat),
    Show { name: String, format: MessageFormat },
    Diff { old: String, new: String, architectures: Vec<String>, format: MessageFormat },
    Import { name: String, from: From, output: Option<PathBuf>, force: bool },
}

/// Where a system is.
#[derive(Debug)]
pub enum From {
    Root(PathBuf),
    /// `-` is standard input.
    Archive(PathBuf),
}

pub fn run(options: &Options, streams: &Streams) -> io::Result<u8> {
    let done = match options {
        Options::List(format) => {
            let all: Vec<_> = platform::names().filter_map(platform::find).collect();
            report::platform_list(&all, *format, streams)?;
            Ok(())
        }
        Options::Show { name, format } => match find(name) {
            Ok(platform) => {
                report::platform_page(&platform, *format, streams)?;
                Ok(())
            }
            Err(failure) => Err((failure, USAGE)),
        },
        Options::Diff { old, new, architectures, format } => diff(old, new, architectures, *format, streams)?,
        Options::Import { name, from, output, force } => {
            import(name, from, output.as_deref(), *force, streams)?
        }
    };
    match done {
        Ok(()) => Ok(KEPT),
        Err((failure, code)) => {
            report::failure(&failure, streams)?;
            Ok(code)
        }
    }
}

type Done = Result<(), (Failure, u8)>;

/// A platform by its name, or by the path of a description.
pub fn find(name: &str) -> Result<Arc<Platform>, Failure> {
    if name.contains(['/', std::path::MAIN_SEPARATOR]) || name.ends_with(".platform") {
        return Platform::open(Path::new(name)).map(Arc::new).map_err(|error| {
            let failure = Failure::new(format!("the description {} cannot be read", text::escape(name)));
            match error {
                OpenError::Broken(_) => failure
                    .note(error.to_string())
                    .help("`cargo compat platforms import NAME --root DIR` writes a description"),
                other => failure.note(other.to_string()),
            }
        });
    }
    platform::find(name).ok_or_else(|| {
        let failure = Failure::new(format!("no platform is named `{}`", text::escape(name)));
        match text::did_you_mean(name, platform::names()) {
            Some(like) => failure.help(format!("did you mean `{like}`?")),
            None => failure.help(
                "`cargo compat platforms list` names them all; `cargo compat platforms import` describes any system",
            ),
        }
    })
}

fn diff(
    old: &str,
    new: &str,
    architectures: &[String],
    format: MessageFormat,
    streams: &Streams,
) -> io::Result<Done> {
    let (old, new) = match (find(old), find(new)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(failure), _) | (_, Err(failure)) => return Ok(Err((failure, USAGE))),
    };
    for platform in [&old, &new] {
        if !platform.is_described() {
            let failure = Failure::new(format!("the libraries of {} are not known", platform.name()))
                .note("only the versions of its C library, libgcc and libstdc++ are published")
                .help("`cargo compat platforms import` makes a full description of an installed system");
            return Ok(Err((failure, NOT_JUDGED)));
        }
    }
    let both: Vec<Arch> =
        old.architectures().into_iter().filter(|arch| new.system(*arch).is_some()).collect();
    let wanted = |arch: &Arch| architectures.is_empty() || architectures.contains(&arch.to_string());
    let chosen: Vec<Arch> = both.iter().copied().filter(wanted).collect();
    if chosen.is_empty() {
        let names: Vec<String> = both.iter().map(ToString::to_string).collect();
        let failure =
            Failure::new(format!("{} and {} have no such architecture in common", old.name(), new.name()))
                .help(format!("in common are: {}", names.join(", ")));
        return Ok(Err((failure, USAGE)));
    }
    let mut compared = Vec::new();
    for arch in chosen {
        let (Some(before), Some(after)) = (old.system(arch), new.system(arch)) else { continue };
        match (libraries(before), libraries(after)) {
            (Ok(before), Ok(after)) => compared.push(compare(arch, &before, &after)),
            (Err(broken), _) | (_, Err(broken)) => {
                let failure = Failure::new("a description cannot be read").note(broken.to_string());
                return Ok(Err((failure, NOT_JUDGED)));
            }
        }
    }
    report::platform_diff(&old, &new, &compared, format, streams)?;
    Ok(Ok(()))
}

/// The names by which programs ask for libraries in the default folders, each
/// with its package.
fn libraries(system: &System) -> Result<BTreeMap<String, String>, platform::Broken> {
    let search: BTreeSet<&str> = system.search().iter().map(String::as_str).collect();
    let mut names = BTreeMap::new();
    system.each(|item| {
        // `libfoo.so` alone is for the linker; programs ask for names with a version.
        let asked = item.name.contains(".so.") && (item.link.is_some() || item.is_library);
        let own = item.soname.is_none_or(|soname| soname == item.name);
        if asked && own && search.contains(item.folder.as_str()) {
            names.entry(item.name.to_owned()).or_insert_with(|| item.package.to_owned());
        }
    })?;
    // A file that another name of it leads to, `libz.so.1.2.13`, is no name that programs ask for.
    let mut targets = BTreeSet::new();
    system.each(|item| {
        if let Some(target) = item.link
            && search.contains(item.folder.as_str())
        {
            targets.insert(target.to_owned());
        }
    })?;
    names.retain(|name, _| !targets.contains(name));
    // Where links are not known, the shorter of two names of a package is the one that programs ask for.
    let all: Vec<(String, String)> = names.clone().into_iter().collect();
    for pair in all.windows(2) {
        let [(short, package), (long, other)] = pair else { continue };
        if package == other && long.strip_prefix(short.as_str()).is_some_and(|rest| rest.starts_with('.')) {
            names.remove(long);
        }
    }
    Ok(names)
}

fn compare(arch: Arch, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Compared {
    let mut compared = Compared { arch: arch.to_string(), ..Compared::default() };
    let pair = |(name, package): (&String, &String)| (name.clone(), package.clone());
    for (name, package) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        match platform::renamed(name).filter(|rename| after.contains_key(&rename.new)) {
            Some(rename) => compared.renamed.push((name.clone(), rename.new.clone())),
            None => compared.gone.push((name.clone(), package.clone())),
        }
    }
    let news = |name: &String| compared.renamed.iter().any(|(_, new)| new == name);
    compared.come =
        after.iter().filter(|(name, _)| !before.contains_key(*name) && !news(name)).map(pair).collect();
    compared.kept = before.keys().filter(|name| after.contains_key(*name)).count();
    compared
}

fn import(
    name: &str,
    from: &From,
    output: Option<&Path>,
    force: bool,
    streams: &Streams,
) -> io::Result<Done> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    if name.is_empty() || !name.chars().all(plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        let failure = Failure::new(format!("`{}` is no name for a platform", text::escape(name)))
            .help("letters, digits, `.`, `_`, `+` and `-` may stand in it: `rhel-9.4-our-image`");
        return Ok(Err((failure, USAGE)));
    }
    if platform::find(name).is_some() {
        let failure = Failure::new(format!("`{name}` is the name of a platform that is known already"))
            .help("take another name; the description's name is what reports show");
        return Ok(Err((failure, USAGE)));
    }
    let output = output.map_or_else(|| PathBuf::from(format!("{name}.platform")), Path::to_path_buf);
    if output.exists() && !force {
        let failure = Failure::new(format!("{} is there already", text::path(&output)))
            .help("`--force` replaces it, `--output FILE` writes another one");
        return Ok(Err((failure, USAGE)));
    }
    let (what, gathered) = match from {
        From::Root(folder) => (text::path(folder), gather_root(folder)),
        From::Archive(path) if path.as_os_str() == "-" => {
            ("standard input".to_owned(), gather_archive(io::stdin().lock()))
        }
        From::Archive(path) => match std::fs::File::open(path) {
            Ok(file) => (text::path(path), gather_archive(file)),
            Err(error) => {
                let failure =
                    Failure::new(format!("{} cannot be read", text::path(path))).note(error.to_string());
                return Ok(Err((failure, NOT_JUDGED)));
            }
        },
    };
    let gathered = match gathered {
        Ok(gathered) => gathered,
        Err(error) => {
            let failure = Failure::new(format!("{what} cannot be described")).note(error.to_string());
            return Ok(Err((failure, NOT_JUDGED)));
        }
    };
    let mut drafts = drafts(name, &gathered);
    if drafts.is_empty() {
        return Ok(Err((no_loader(&what, &gathered), NOT_JUDGED)));
    }
    for draft in &mut drafts {
        if let Err(broken) = leave_open(draft) {
            let failure = Failure::new(format!("{what} cannot be described")).note(broken.to_string());
            return Ok(Err((failure, NOT_JUDGED)));
        }
    }
    let packed = match platform::write(&drafts, IMPORT_SURETY, &Open::default()) {
        Ok(packed) => packed,
        Err(broken) => {
            let failure = Failure::new(format!("{what} cannot be described")).note(broken.to_string());
            return Ok(Err((failure, NOT_JUDGED)));
        }
    };
    if let Err(error) = keep(&output, &packed.bytes) {
        let failure =
            Failure::new(format!("{} cannot be written", text::path(&output))).note(error.to_string());
        return Ok(Err((failure, NOT_JUDGED)));
    }
    let imported = Imported {
        name: name.to_owned(),
        output,
        bytes: packed.bytes.len(),
        architectures: drafts.iter().map(imported).collect(),
    };
    report::platform_imported(&imported, streams)?;
    Ok(Ok(()))
}

/// A name that a library lacks is taken for one of its own once in 2^28 times.
const IMPORT_SURETY: u8 = 28;

fn imported(draft: &Draft) -> (String, String, usize, usize) {
    let facts = draft.entries.iter().filter_map(|entry| match &entry.what {
        platform::What::Library(facts) => Some(facts),
        _ => None,
    });
    let symbols = facts.clone().filter_map(|facts| facts.symbols.as_ref()).map(Vec::len).sum();
    (draft.about.arch.arch().to_string(), draft.about.libc.clone(), facts.count(), symbols)
}

fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    // A temporary file is its owner's alone; a description is to be committed.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        beside.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    beside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn no_loader(what: &str, gathered: &Gathered) -> Failure {
    let machines: Vec<String> =
        gathered.tree.machines().iter().map(|(arch, count)| format!("{count} for {arch}")).collect();
    let failure = Failure::new(format!("{what} holds no system: there is no loader of a C library"));
    match machines.is_empty() {
        true => failure
            .note("no shared object was found in it")
            .help("`docker export CONTAINER` writes a system; `docker save` writes the layers of an image"),
        false => {
            let failure = failure.note(format!("shared objects: {}", machines.join(", ")));
            // A system whose `/lib64` was to be a link.
            let merged = |path: &str| gathered.tree.follow(&format!("/usr{path}"));
            let interpreters = gathered
                .tree
                .machines()
                .into_iter()
                .flat_map(|(arch, _)| arch.glibc_interpreters().unwrap_or_default().iter().copied());
            let mut elsewhere = interpreters
                .filter(|path| merged(path).is_some_and(|real| !gathered.tree.at(&real).is_empty()));
            match elsewhere.next() {
                Some(path) => failure
                    .note(format!("there is /usr{path}, and programs ask for {path}"))
                    .help(format!("make {0} a link to /usr{0} in it", split_first(path))),
                None => failure,
            }
        }
    }
}

/// The uppermost folder of a path.
fn split_first(path: &str) -> &str {
    let end = path[1..].find('/').map_or(path.len(), |at| at + 1);
    &path[..end]
}

/// A draft for each architecture that has a loader.
fn drafts(name: &str, gathered: &Gathered) -> Vec<Draft> {
    let machines = gathered.tree.machines();
    machines.iter().filter_map(|(arch, _)| draft(name, gathered, *arch)).collect()
}

fn draft(name: &str, gathered: &Gathered, arch: Arch) -> Option<Draft> {
    let tree = &gathered.tree;
    let real = |path: &str| {
        let real = tree.follow(path)?;
        let fits =
            |(_, thing): &(_, Thing)| matches!(thing, Thing::Library(own, _) if own.arch().same_as(arch));
        tree.at(&real).iter().any(fits).then_some(real)
    };
    let glibc = arch.glibc_interpreters().unwrap_or_default().iter().find_map(|path| real(path));
    let musl = || real(&format!("/lib/ld-musl-{arch}.so.1"));
    let (loader, is_glibc) = match glibc {
        Some(loader) => (loader, true),
        None => (musl()?, false),
    };
    let bytes = gathered.loaders.get(&loader).map(Vec::as_slice).unwrap_or_default();
    let mut search: Vec<String> = Vec::new();
    let mut libc = "musl".to_owned();
    if is_glibc {
        search.extend(configured(gathered, "/etc/ld.so.conf", 0));
        search.extend(default_folders(bytes, arch));
        let libraries = search.iter().filter_map(|folder| real(&format!("{folder}/libc.so.6")));
        let mut texts = libraries.filter_map(|path| gathered.loaders.get(&path)).map(Vec::as_slice);
        let release = glibc_release_of(bytes).or_else(|| texts.find_map(glibc_release_of));
        libc = release.map_or_else(|| "glibc".to_owned(), |release| format!("glibc {release}"));
    } else {
        match gathered.texts.iter().find(|(path, _)| **path == format!("/etc/ld-musl-{arch}.path")) {
            Some((_, text)) => {
                search.extend(text.split([':', '\n']).filter(|one| !one.is_empty()).map(str::to_owned));
            }
            None => search.extend(["/lib", "/usr/local/lib", "/usr/lib"].map(str::to_owned)),
        }
    }
    let mut folders: Vec<String> = Vec::new();
    for folder in search.iter().filter_map(|folder| tree.follow(folder)) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let of_triplet = folders.iter().filter_map(|folder| folder.strip_prefix("/usr/lib/"));
    let triplet = of_triplet.into_iter().find(|rest| rest.contains("-linux-gnu") && !rest.contains('/'));
    let pretty = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| gathered.texts.get(*path));
    let pretty = pretty.and_then(|text| {
        let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    });
    let about = About {
        platform: name.to_owned(),
        arch: arch.into(),
        triplet: triplet.unwrap_or_default().to_owned(),
        libc,
        search: folders,
        folder_links: Vec::new(),
        complete: true,
        provenance: pretty.map(|name| ("system".to_owned(), name)).into_iter().collect(),
    };
    Some(tree.draft(about, Vec::new()))
}

/// The folders that `ld.so.conf` names, with what it includes
/// (`ldconfig(8)`, `elf/ldconfig.c`, `parse_conf`).
fn configured(gathered: &Gathered, path: &str, depth: usize) -> Vec<String> {
    const DEEPEST: usize = 8;
    let mut folders = Vec::new();
    let Some(text) = gathered.texts.get(path).filter(|_| depth < DEEPEST) else { return folders };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include").map(str::trim) {
            let pattern = if pattern.starts_with('/') {
                pattern.to_owned()
            } else {
                format!("{}/{pattern}", platform::split(path).0)
            };
            let Ok(glob) = globset::Glob::new(&pattern) else { continue };
            let glob = glob.compile_matcher();
            let included = gathered.texts.keys().filter(|own| *own != path && glob.is_match(own.as_str()));
            for own in included.filter(|own| Interest::of(own) == Interest::Text) {
                folders.extend(configured(gathered, own, depth + 1));
            }
        } else if line.starts_with('/') {
            let folder = line.split(['=', ' ', '\t']).next().unwrap_or_default();
            folders.push(folder.trim_end_matches('/').to_owned());
        }
    }
    folders
}
