//! One `cargo build`, and what its JSON messages say was built.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cargo_metadata::{CrateType, Message, TargetKind};

use super::linker::{self, Found};
use super::{CargoArtifact, CargoOptions, Manifest, cargo, folder_of};
use crate::artifact::Role;
use crate::process::Invocation;
use crate::report::{BuildInfo, Failure};

/// What a build gave.
#[derive(Debug)]
pub struct Built {
    pub artifacts: Vec<CargoArtifact>,
    pub info: BuildInfo,
    /// Why the build is not to be judged.
    pub failures: Vec<Failure>,
}

/// Builds, and names what was built. `say` is told what we do on our own.
pub fn build(
    options: &CargoOptions,
    manifest: &Manifest,
    folder: &Path,
    say: &mut dyn FnMut(&str, &str),
) -> Result<Built, Failure> {
    let config = cargo_config2::Config::load_with_cwd(folder)
        .map_err(|error| Failure::new("cargo's configuration cannot be read").note(format!("{error:#}")))?;
    let requested = config
        .build_target_for_cli(&options.targets)
        .map_err(|error| Failure::new("cargo's configuration cannot be read").note(format!("{error:#}")))?;
    let triples: Vec<String> = requested.iter().map(|target| folder_of(target)).collect();
    let linkers = if options.build_with.is_some() { Vec::new() } else { find_linkers(&config, &triples) };
    for found in &linkers {
        say("Linking", &format!("for {} with {}", found.triple, found.linker.display()));
    }
    let invocation = invocation(options, &linkers)?;
    // The host's triple costs no time beside the build.
    let host = triples.is_empty().then(|| {
        let rustc = rustc(&config);
        std::thread::spawn(move || host_triple(&rustc))
    });
    say("Running", &invocation.shown());
    let mut messages = Messages::default();
    let mut text = Vec::new();
    let status = invocation
        .stream(|line| match serde_json::from_str::<Message>(line) {
            Ok(message) => messages.take(message),
            Err(_) => text.push(line.to_owned()),
        })
        .map_err(|error| Failure::new(error.to_string()).help("is cargo installed, and on PATH?"))?;
    let host = host.and_then(|thread| thread.join().ok().flatten());
    let names: Vec<String> = match triples.is_empty() {
        true => vec![host.clone().unwrap_or_else(|| "host".to_owned())],
        false => triples.clone(),
    };
    let mut failures = Vec::new();
    if !status.success() {
        let failure = Failure::new(format!("`{}` failed; nothing was judged", invocation.shown()));
        failures.push(explain(failure, &config, &triples));
    }
    let mut artifacts = Vec::new();
    for artifact in messages.artifacts {
        artifacts.extend(settle(
            artifact,
            options,
            manifest,
            &config,
            &triples,
            host.as_deref(),
            &mut failures,
        ));
    }
    let info = BuildInfo {
        profile: options.profile().to_owned(),
        targets: names,
        compiled: Some(messages.compiled),
    };
    if status.success() && messages.count == 0 {
        let mut failure = Failure::new(format!("`{}` reported no artifact", invocation.shown()))
            .help("it must pass `--message-format=json-render-diagnostics` on to cargo");
        failure.notes.extend(text.iter().take(3).map(|line| format!("it printed: {line}")));
        failures.push(failure);
    }
    Ok(Built { artifacts, info, failures })
}

fn find_linkers(config: &cargo_config2::Config, triples: &[String]) -> Vec<Found> {
    triples
        .iter()
        .filter(|triple| linker::is_foreign(triple) && !linker::is_configured(config, triple))
        .filter_map(|triple| linker::installed(triple))
        .collect()
}

fn invocation(options: &CargoOptions, linkers: &[Found]) -> Result<Invocation, Failure> {
    let words = match &options.build_with {
        None => vec!["cargo".to_owned(), "build".to_owned()],
        Some(command) => shell_words::split(command)
            .ok()
            .filter(|words| !words.is_empty())
            .ok_or_else(|| Failure::new(format!("`--build-with {command}` is no command")))?,
    };
    let program: OsString = if words[0] == "cargo" { cargo() } else { words[0].clone().into() };
    let mut invocation = Invocation::new(program)
        .args(&words[1..])
        .args(["--message-format=json-render-diagnostics"])
        .args(options.build_args());
    invocation.env.extend(linkers.iter().map(Found::variable));
    Ok(invocation)
}

fn rustc(config: &cargo_config2::Config) -> Invocation {
    let configured = config.rustc();
    // Beside the cargo that calls us stands its rustc: no detour by rustup.
    let beside = PathBuf::from(cargo()).with_file_name("rustc");
    let program = match configured.path.as_os_str() == "rustc" && beside.is_absolute() && beside.is_file() {
        true => beside.into_os_string(),
        false => configured.path.clone().into_os_string(),
    };
    Invocation::new(program)
}

fn host_triple(rustc: &Invocation) -> Option<String> {
    let output = rustc.clone().args(["-vV"]).output().ok()??;
    output.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Adds what is most often missing when a foreign build fails.
fn explain(mut failure: Failure, config: &cargo_config2::Config, triples: &[String]) -> Failure {
    for triple in triples {
        let rustc = rustc(config).args(["--print", "target-libdir", "--target", triple]);
        let missing = match rustc.output() {
            Ok(Some(folder)) => !Path::new(folder.trim()).is_dir(),
            _ => false,
        };
        if missing {
            return failure
                .note(format!("the target `{triple}` is not installed"))
                .help(format!("install it:\nrustup target add {triple}"));
        }
        if !linker::is_foreign(triple)
            || linker::is_configured(config, triple)
            || linker::installed(triple).is_some()
        {
            continue;
        }
        let Some(compiler) = linker::cross_compiler(triple) else { continue };
        failure = failure.note(format!(
            "no linker for `{triple}` is configured, and {} is not installed",
            compiler.display()
        ));
        if let Some(package) = linker::debian_package(&compiler) {
            return failure
                .help(format!("on Debian and Ubuntu, install it:\nsudo apt-get install {package}"));
        }
    }
    failure
}

/// What the messages said, in their order.
#[derive(Default)]
struct Messages {
    artifacts: Vec<Reported>,
    count: usize,
    compiled: usize,
}

struct Reported {
    package: String,
    target: String,
    role: Role,
    path: PathBuf,
}

impl Messages {
    fn take(&mut self, message: Message) {
        let Message::CompilerArtifact(artifact) = message else { return };
        self.count += 1;
        self.compiled += usize::from(!artifact.fresh);
        // These run on the machine that builds.
        let of_host = artifact
            .target
            .kind
            .iter()
            .any(|kind| matches!(kind, TargetKind::CustomBuild | TargetKind::ProcMacro));
        if of_host {
            return;
        }
        let package = package_name(&artifact.package_id.repr, &artifact.target.name);
        let mut push = |role, path: PathBuf| {
            self.artifacts.push(Reported {
                package: package.clone(),
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
        if !artifact.target.crate_types.iter().any(links) {
            return;
        }
        for file in artifact.filenames {
            // A library of a dependency stays below `deps`: nobody ships it.
            let below_deps = file.parent().is_some_and(|folder| folder.file_name() == Some("deps"));
            let name = file.file_name().unwrap_or_default();
            if !below_deps && (is_shared(name) || name.ends_with(".a") || name.ends_with(".lib")) {
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
fn package_name(id: &str, target: &str) -> String {
    let Some((source, fragment)) = id.rsplit_once('#') else { return target.to_owned() };
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => source.trim_end_matches('/').rsplit('/').next().unwrap_or(target).to_owned(),
    }
}

/// Gives a reported file its triple and its real place; `None` where it was
/// built for the building machine on the side.
fn settle(
    reported: Reported,
    options: &CargoOptions,
    manifest: &Manifest,
    config: &cargo_config2::Config,
    triples: &[String],
    host: Option<&str>,
    failures: &mut Vec<Failure>,
) -> Option<CargoArtifact> {
    // Fact 50: the messages carry no triple; the folder does.
    let folders = reported.path.components().filter_map(|part| part.as_os_str().to_str());
    let triple =
        folders.rev().find(|folder| triples.iter().any(|triple| triple == folder)).map(str::to_owned);
    if triple.is_none() && !triples.is_empty() {
        return None;
    }
    let path = if reported.path.exists() {
        reported.path
    } else {
        match retried(&reported.path, options, manifest, config) {
            Ok(path) => path,
            Err(tried) => {
                failures.push(
                    Failure::new(format!(
                        "the build reported {}, which is not there",
                        crate::text::path(&reported.path)
                    ))
                    .note(format!("nor is {}", crate::text::path(&tried))),
                );
                return None;
            }
        }
    };
    let triple = triple.or_else(|| host.map(str::to_owned));
    Some(CargoArtifact {
        compiler_flags: super::compiler_flags(config, triple.as_deref()),
        package: reported.package,
        target: reported.target,
        role: reported.role,
        triple,
        path,
        stale: None,
    })
}

/// A build in a container reports the container's paths: the same file below
/// this machine's target folder, or where it was looked for.
fn retried(
    path: &Path,
    options: &CargoOptions,
    manifest: &Manifest,
    config: &cargo_config2::Config,
) -> Result<PathBuf, PathBuf> {
    let target_dir = super::layout::target_dir(options, manifest, config);
    let parts: Vec<_> = path.components().collect();
    let mut tried = target_dir.join(path.file_name().unwrap_or_default());
    // The longest tail that is there: with the triple before without.
    for from in 1..parts.len() {
        let candidate = target_dir.join(parts[from..].iter().collect::<PathBuf>());
        if candidate.is_file() {
            return Ok(candidate);
        }
        if parts.len() - from == 3 {
            tried = candidate;
        }
    }
    Err(tried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids_give_names() {
        for (id, name) in [
            ("path+file:///work/app#0.1.0", "app"),
            ("path+file:///work/app#tool@0.1.0", "tool"),
            ("registry+https://example.invalid/index#serde@1.0.0", "serde"),
            ("nonsense", "target"),
        ] {
            assert_eq!(package_name(id, "target"), name);
        }
    }
}
