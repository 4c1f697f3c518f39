//! One `cargo build`, and what its JSON messages say was built.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cargo_metadata::{CrateType, Message, TargetKind};
use cfg_expr::targets::get_builtin_target_by_triple;

use super::link_args::{self, Script};
use super::linker::{self, Found};
use super::links::Links;
use super::settings::{Settings, host_triple, installed_host};
use super::{CargoArtifact, CargoOptions, Manifest, Outputs, cargo};
use crate::artifact::Role;
use crate::process::Invocation;
use crate::report::{BuildInfo, Failure};
use crate::text::path as shown;

pub(super) const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// What a build gave.
#[derive(Debug)]
pub struct Built {
    pub artifacts: Vec<CargoArtifact>,
    /// Rlibs of the packages that were asked for.
    pub rlibs: Vec<CargoArtifact>,
    /// What was said of links.
    pub links: Links,
    pub info: BuildInfo,
    /// The crates and build scripts behind them.
    pub outputs: Outputs,
    /// Files that were reported and are not there.
    pub failures: Vec<Failure>,
}

/// Builds, and names what was built. `say` is told what we do on our own.
pub fn build(
    options: &CargoOptions,
    manifest: &Manifest,
    folder: &Path,
    say: &mut dyn FnMut(&str, &str),
) -> Result<Built, Failure> {
    let settings = Settings::load(options, folder)?;
    let linkers = match options.build_with {
        Some(_) => Vec::new(),
        None => find_linkers(&settings),
    };
    for found in &linkers {
        say("Linking", &format!("for {} with {}", found.triple, found.linker));
    }
    let invocation = invocation(options, &linkers);
    let mut host = settings.needs_host().then(|| installed_host(&settings.rustc())).flatten();
    // Beside the build it costs no time.
    let asked = (settings.needs_host() && host.is_none()).then(|| {
        let rustc = settings.rustc();
        std::thread::spawn(move || host_triple(&rustc))
    });
    say("Running", &typed(options, &linkers));
    let mut messages = Messages::default();
    let mut text = Vec::new();
    let status = invocation
        .stream(|line| match serde_json::from_str::<Message>(line) {
            Ok(message) => messages.take(message),
            Err(_) => text.push(line.to_owned()),
        })
        .map_err(|error| not_started(options, &error))?;
    if let Some(asked) = asked {
        host = asked.join().ok().flatten();
    }
    let triples = settings.triples(host.as_deref());
    if !status.success() {
        let failure = Failure::new("the build failed, so nothing was judged")
            .note(format!("`{}` ended with {status}", typed(options, &linkers)));
        return Err(explain(failure, &settings, &triples));
    }
    if messages.count == 0 {
        let mut failure = Failure::new("the build reported no artifact")
            .note(format!("`{}` must pass `{MESSAGES}` on to cargo", typed(options, &[])));
        failure.notes.extend(text.iter().take(3).map(|line| format!("it printed: {line}")));
        return Err(failure);
    }
    let mut built = Built {
        artifacts: Vec::new(),
        rlibs: Vec::new(),
        links: Links {
            scripts: messages.scripts,
            rlibs: messages.rlibs,
            triples: if settings.has_targets() { triples.clone() } else { Vec::new() },
            linkers: linkers_of(&settings, &triples, host.as_deref(), &linkers),
            rustc: settings.rustc(),
        },
        info: BuildInfo {
            profile: options.profile().to_owned(),
            targets: match settings.has_targets() {
                true => triples.clone(),
                false => vec![host.clone().unwrap_or_else(|| "host".to_owned())],
            },
            compiled: Some(messages.compiled.len()),
        },
        outputs: messages.outputs,
        failures: Vec::new(),
    };
    // Fact 50: the messages carry no triple; the folder does.
    let triple_of = |path: &Path| {
        let folders = path.components().filter_map(|part| part.as_os_str().to_str());
        let found = folders.rev().find(|folder| triples.iter().any(|triple| triple == folder));
        found.map(str::to_owned)
    };
    built.outputs.settle(settings.has_targets(), triple_of);
    let target_dir = settings.target_dir(options, manifest, folder);
    for reported in messages.artifacts {
        let triple = triple_of(&reported.path);
        if triple.is_none() && settings.has_targets() {
            // Built for the building machine on the side.
            continue;
        }
        let path = if reported.path.exists() {
            reported.path
        } else {
            match retried(&reported.path, &target_dir, triple.as_deref()) {
                Ok(path) => path,
                Err(tried) => {
                    let message = format!("the build reported {}, which is not there", shown(&reported.path));
                    built.failures.push(Failure::new(message).note(format!("nor is {}", shown(&tried))));
                    continue;
                }
            }
        };
        let triple = triple.or_else(|| host.clone());
        let flags = triple.as_deref().map(|triple| settings.rustflags(triple)).unwrap_or_default();
        let scripts = built.links.scripts_of(triple.as_deref());
        let undefs = match reported.role {
            Role::Executable => link_args::undefs(&flags, &scripts, &reported.package, &reported.target),
            Role::SharedObject => Vec::new(),
        };
        let list = if reported.rlib { &mut built.rlibs } else { &mut built.artifacts };
        list.push(CargoArtifact {
            undefs,
            compiler_flags: settings.cpu_flags(triple.as_deref()),
            package: reported.package,
            package_id: reported.package_id,
            target: reported.target,
            role: reported.role,
            path,
            triple,
            stale: None,
        });
    }
    Ok(built)
}

/// The variables by which cargo takes installed cross compilers.
pub fn linker_variables(options: &CargoOptions, folder: &Path) -> Result<Vec<(OsString, OsString)>, Failure> {
    let settings = Settings::load(options, folder)?;
    Ok(find_linkers(&settings).iter().map(Found::variable).collect())
}

/// The linker of each triple, as far as one is named.
fn linkers_of(
    settings: &Settings,
    triples: &[String],
    host: Option<&str>,
    found: &[Found],
) -> BTreeMap<String, String> {
    let named = triples.iter().map(String::as_str).chain(host);
    let named = named.filter_map(|triple| Some((triple.to_owned(), settings.linker(triple)?)));
    found.iter().map(|found| (found.triple.clone(), found.linker.clone())).chain(named).collect()
}

pub(super) fn find_linkers(settings: &Settings) -> Vec<Found> {
    settings
        .triples(None)
        .iter()
        .filter(|triple| linker::is_foreign(triple) && !settings.names_linker(triple))
        .filter_map(|triple| linker::installed(triple))
        .collect()
}

/// The words of the build command. They were split once before, so that a
/// command that is none is wrong usage.
fn words(options: &CargoOptions) -> Vec<String> {
    let given = options.build_with.as_deref().and_then(|command| shell_words::split(command).ok());
    given.unwrap_or_else(|| vec!["cargo".to_owned(), "build".to_owned()])
}

fn invocation(options: &CargoOptions, linkers: &[Found]) -> Invocation {
    let words = words(options);
    let program = if words[0] == "cargo" { cargo() } else { words[0].clone().into() };
    let mut invocation =
        Invocation::new(program).args(&words[1..]).args([MESSAGES]).args(options.build_args());
    invocation.env.extend(linkers.iter().map(Found::variable));
    invocation
}

/// As one would type it.
fn typed(options: &CargoOptions, linkers: &[Found]) -> String {
    let words = words(options);
    let command = Invocation::new(&words[0]).args(&words[1..]).args(options.build_args()).shown();
    let variables =
        linkers.iter().map(|found| format!("{}={} ", linker::variable(&found.triple), found.linker));
    variables.collect::<String>() + &command
}

fn not_started(options: &CargoOptions, error: &crate::process::ProcessError) -> Failure {
    let failure = Failure::new("the build could not be started").note(error.to_string());
    match options.build_with {
        Some(_) => {
            failure.help(format!("is `{}`, which `--build-with` names, installed?", words(options)[0]))
        }
        None => failure.help("is cargo installed, and on PATH?"),
    }
}

/// Adds what is most often missing when a foreign build fails.
pub(super) fn explain(mut failure: Failure, settings: &Settings, triples: &[String]) -> Failure {
    let mut packages = Vec::new();
    if triples
        .iter()
        .any(|triple| settings.cpu_flags(Some(triple)).iter().any(|flag| flag.contains("+crt-static")))
    {
        failure = failure.note("with `-C target-feature=+crt-static` rustc makes no cdylib or dylib; `--bin NAME` builds a program alone");
    }
    for triple in triples {
        let rustc = settings.rustc().args(["--print", "target-libdir", "--target", triple]);
        match rustc.output() {
            Ok(Some(folder)) if !Path::new(folder.trim()).is_dir() => {
                return failure
                    .note(format!("the target `{triple}` is not installed"))
                    .help(install_target(triple));
            }
            Ok(None) if get_builtin_target_by_triple(triple).is_none() => {
                if let Some(near) = crate::policy::nearest_triple(triple) {
                    return failure
                        .note(format!("there is no target `{triple}`"))
                        .help(format!("did you mean `{near}`?"));
                }
            }
            _ => {}
        }
        let has_linker = settings.names_linker(triple) || linker::installed(triple).is_some();
        if !linker::is_foreign(triple) || has_linker {
            continue;
        }
        let Some(compiler) = linker::cross_compiler(triple) else { continue };
        failure =
            failure.note(format!("no linker for `{triple}` is configured, and {compiler} is not installed"));
        packages.extend(linker::debian_package(triple));
    }
    match packages.is_empty() {
        true => failure,
        false => failure
            .help(format!("on Debian and Ubuntu, install it:\nsudo apt-get install {}", packages.join(" "))),
    }
}

/// How to come by a target's standard library, as far as rustup has it.
fn install_target(triple: &str) -> String {
    let listed = Invocation::new("rustup").args(["target", "list"]).output().ok().flatten();
    match listed {
        Some(list) if !list.lines().any(|line| line.split(' ').next() == Some(triple)) => {
            format!(
                "rustup has no standard library for it; with a nightly toolchain cargo builds one:\ncargo +nightly compat check --target {triple} -Z build-std"
            )
        }
        Some(_) => format!("install it:\nrustup target add {triple}"),
        None => "install its standard library the way this Rust was installed".to_owned(),
    }
}

/// What the messages said, in their order.
#[derive(Default)]
struct Messages {
    artifacts: Vec<Reported>,
    scripts: Vec<Script>,
    /// Every rlib, and every library of Rust's own kind.
    rlibs: Vec<PathBuf>,
    count: usize,
    /// Packages of which something was not fresh.
    compiled: BTreeSet<String>,
    outputs: Outputs,
}

struct Reported {
    package: String,
    package_id: String,
    target: String,
    role: Role,
    path: PathBuf,
    rlib: bool,
}

impl Messages {
    fn take(&mut self, message: Message) {
        let artifact = match message {
            Message::CompilerArtifact(artifact) => artifact,
            Message::BuildScriptExecuted(script) => {
                self.scripts.push(Script {
                    package: package_name(&script.package_id.repr, ""),
                    out_dir: script.out_dir.clone().into(),
                    libraries: script.linked_libs.iter().map(ToString::to_string).collect(),
                    folders: (script.linked_paths.iter())
                        .filter_map(|path| link_args::search_folder(path.as_str()))
                        .collect(),
                });
                return self.outputs.take_script(script);
            }
            _ => return,
        };
        self.count += 1;
        if !artifact.fresh {
            self.compiled.insert(artifact.package_id.repr.clone());
        }
        // These run on the machine that builds.
        let of_host = artifact
            .target
            .kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::CustomBuild | TargetKind::ProcMacro));
        if of_host {
            return;
        }
        self.outputs.take_crate(&artifact);
        let package = package_name(&artifact.package_id.repr, &artifact.target.name);
        let mut push = |role, path: PathBuf| {
            let rlib = path.extension().is_some_and(|ending| ending == "rlib");
            self.artifacts.push(Reported {
                rlib,
                package: package.clone(),
                package_id: artifact.package_id.repr.clone(),
                target: artifact.target.name.clone(),
                role,
                path,
            });
        };
        if let Some(executable) = artifact.executable {
            return push(Role::Executable, executable.into());
        }
        let links =
            |kind: &CrateType| matches!(kind, CrateType::CDyLib | CrateType::DyLib | CrateType::StaticLib);
        let links = artifact.target.crate_types.iter().any(links);
        for file in artifact.filenames {
            // A library of a dependency stays below `deps`: nobody ships it.
            let below_deps = file.parent().is_some_and(|folder| folder.file_name() == Some("deps"));
            let name = file.file_name().unwrap_or_default();
            let rlib = name.ends_with(".rlib");
            if rlib || (links && is_shared(name)) {
                self.rlibs.push(file.clone().into());
            }
            let final_file = links && (is_shared(name) || name.ends_with(".a") || name.ends_with(".lib"));
            if !below_deps && (rlib || final_file) {
                push(Role::SharedObject, file.into());
            }
        }
    }
}

fn is_shared(name: &str) -> bool {
    [".so", ".dylib", ".dll", ".wasm"].iter().any(|ending| name.ends_with(ending))
}

/// The package's name in a package id: `path+file:///a/b#name@1.0.0`, or
/// `path+file:///a/name#1.0.0` where the folder is called like the package.
pub(super) fn package_name(id: &str, target: &str) -> String {
    let Some((source, fragment)) = id.rsplit_once('#') else { return target.to_owned() };
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => source.trim_end_matches('/').rsplit('/').next().unwrap_or(target).to_owned(),
    }
}

/// A build in a container reports the container's paths: the same file below
/// this machine's target folder, or where it was looked for. What was built
/// for a triple is only looked for in that triple's folder.
fn retried(path: &Path, target_dir: &Path, triple: Option<&str>) -> Result<PathBuf, PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let from = match triple {
        Some(triple) => parts.iter().rposition(|part| part.as_os_str() == triple),
        // The profile's folder, or `examples` below it, is the last.
        None => parts.len().checked_sub(2).map(|last| match parts[last].as_os_str() == "examples" {
            true => last.saturating_sub(1),
            false => last,
        }),
    };
    let candidate = target_dir.join(parts[from.unwrap_or(0)..].iter().collect::<PathBuf>());
    if candidate.is_file() { Ok(candidate) } else { Err(candidate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids_give_names() {
        for (id, name) in [
            ("path+file:///src/app#0.1.0", "app"),
            ("path+file:///src/app#tool@0.1.0", "tool"),
            ("registry+https://example.invalid/index#serde@1.0.0", "serde"),
            ("nonsense", "target"),
        ] {
            assert_eq!(package_name(id, "target"), name);
        }
    }
}
