//! What `src/platform/data/` states, held against what others publish in a form that programs read: auditwheel's
//! policies, and Debian's list of releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use cargo_compat::platform::{Platform, Probe, System, find, names};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Architectures by our names and by Python's.
const ARCHITECTURES: &[(&str, &str)] =
    &[("x86_64", "x86_64"), ("aarch64", "aarch64"), ("powerpc64le", "ppc64le"), ("s390x", "s390x")];

/// Libraries, by the namespace of their nodes.
const LIBRARIES: &[(&str, &str)] =
    &[("GCC", "libgcc_s.so.1"), ("GLIBCXX", "libstdc++.so.6"), ("CXXABI", "libstdc++.so.6")];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = vec![
        trial(
            "manylinux_is_as_auditwheel_has_it",
            policies(),
            "`cargo xtask fixtures`",
            manylinux_is_as_auditwheel_has_it,
        ),
        trial(
            "dates_are_as_debian_lists_them",
            "/usr/share/distro-info".into(),
            "distro-info-data",
            dates_are_as_debian_lists_them,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, needs: PathBuf, from: &str, run: fn() -> anyhow::Result<()>) -> Trial {
    let reason = format!("needs {from}");
    match needs.exists() {
        false if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") => {
            Trial::test(name, || Err(reason.into()))
        }
        false => Trial::test(name, || Err("its needs are not met here".into()))
            .with_kind(format!("ignored: {reason}"))
            .with_ignored_flag(true),
        true => Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}")))),
    }
}

fn policies() -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fixtures");
    fixtures.join("auditwheel/auditwheel/policy/manylinux-policy.json")
}

/// Every node that a policy allows is there, and no other; and so the libraries.
fn manylinux_is_as_auditwheel_has_it() -> anyhow::Result<()> {
    let text = fs::read_to_string(policies())?;
    let policies: Vec<Value> = serde_json::from_str(&text)?;
    let mut differ = Vec::new();
    let ours = names().filter(|name| name.starts_with("manylinux"));
    for name in ours {
        let policy = policies.iter().find(|policy| policy["name"] == name).context("no such policy")?;
        let platform = find(name).context("no such platform")?;
        let aliases = strings(&policy["aliases"]);
        if aliases != platform.also().iter().map(String::as_str).collect() {
            differ.push(format!("{name}: {aliases:?}"));
        }
        let allowed = strings(&policy["lib_whitelist"]);
        for (arch, pythons) in ARCHITECTURES {
            let system = system(&platform, arch)?;
            for library in &allowed {
                // On a few architectures glibc has no vector functions.
                if is_absent(system, library) && *library != "libmvec.so.1" {
                    differ.push(format!("{name} {arch}: no {library}"));
                }
            }
            for not_allowed in ["libssl.so.3", "libcrypt.so.1", "libpng16.so.16"] {
                if !is_absent(system, not_allowed) {
                    differ.push(format!("{name} {arch}: {not_allowed}"));
                }
            }
            let versions = &policy["symbol_versions"][pythons];
            for (namespace, library) in LIBRARIES {
                let theirs = strings(&versions[*namespace]);
                let ours = nodes(system, library, namespace);
                let ours: BTreeSet<&str> = ours.iter().map(String::as_str).collect();
                for node in ours.symmetric_difference(&theirs) {
                    let whose = if ours.contains(node) { "ours" } else { "theirs" };
                    differ.push(format!("{name} {arch}: {namespace}_{node} is only {whose}"));
                }
            }
        }
    }
    ensure!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    Ok(())
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn system<'p>(platform: &'p Platform, arch: &str) -> anyhow::Result<&'p System> {
    let mut systems = platform.systems().iter();
    systems.find(|system| system.arch().to_string() == arch).with_context(|| format!("no {arch}"))
}

fn is_absent(system: &System, library: &str) -> bool {
    system.search().iter().all(|folder| matches!(system.probe(&format!("{folder}/{library}")), Probe::Absent))
}

/// What follows the namespace in a library's nodes.
fn nodes(system: &System, library: &str, namespace: &str) -> BTreeSet<String> {
    let Probe::Library(found) = system.probe(&format!("/usr/lib64/{library}")) else {
        return BTreeSet::new();
    };
    let facts = found.iter().filter_map(|library| library.facts.as_ref());
    let rest = facts
        .flat_map(|facts| &facts.nodes)
        .filter_map(|node| node.strip_prefix(namespace)?.strip_prefix('_'));
    rest.map(str::to_owned).collect()
}

/// Releases, and the last day of updates that everybody gets: with Debian those of its LTS.
fn dates_are_as_debian_lists_them() -> anyhow::Result<()> {
    let mut differ = Vec::new();
    for (distribution, end) in [("debian", "eol-lts"), ("ubuntu", "eol")] {
        let text = fs::read_to_string(format!("/usr/share/distro-info/{distribution}.csv"))?;
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().context("it is empty")?;
        for fields in lines {
            let row: BTreeMap<&str, &str> = head.iter().copied().zip(fields).collect();
            let version = row["version"].split(' ').next().unwrap_or_default();
            let Some(platform) = find(&format!("{distribution}-{version}")) else { continue };
            let ours = [platform.released(), platform.end_of_life()];
            let ours = ours.map(|date| date.map(|date| date.to_string()).unwrap_or_default());
            let theirs = ["release", end].map(|key| (*row.get(key).unwrap_or(&"")).to_owned());
            if ours != theirs {
                differ.push(format!("{}: {ours:?}, theirs {theirs:?}", platform.name()));
            }
            ensure!(
                platform.also().iter().any(|name| name == row["series"]),
                "{} is not known",
                row["series"]
            );
        }
    }
    ensure!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    Ok(())
}
