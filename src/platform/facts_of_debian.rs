//! The descriptions that come with the program, held against what is known of Debian.

use super::{LibraryFacts, Probe, System, find, hash};
use crate::artifact::{Arch, Found};

/// What a library whose symbols are known has of a name.
fn defined<'l>(library: &'l LibraryFacts, name: &str) -> Vec<Found<'l>> {
    library.find(hash(name.as_bytes())).unwrap().collect()
}

const ARCHITECTURES: &[&str] = &["x86_64", "aarch64", "s390x", "powerpc64le"];

fn with(platform: &str, arch: &str, check: impl Fn(&System)) {
    let arch: Arch = super::published::arch(arch).unwrap();
    check(find(platform).unwrap().system(arch).unwrap());
}

fn on_all(platform: &str, check: impl Fn(&System)) {
    for arch in ARCHITECTURES {
        with(platform, arch, &check);
    }
}

/// A library in the default folders.
fn library(system: &System, name: &str) -> Probe {
    let probes = system.search().iter().map(|folder| system.probe(&format!("{folder}/{name}")));
    probes.into_iter().find(|probe| !matches!(probe, Probe::Absent)).unwrap_or(Probe::Absent)
}

fn facts<T>(system: &System, name: &str, of: impl Fn(&LibraryFacts) -> T) -> T {
    match library(system, name) {
        Probe::Library(libraries) => of(libraries[0].facts.as_ref().unwrap()),
        other => panic!("{name}: {other:?}"),
    }
}

fn is_absent(system: &System, name: &str) -> bool {
    matches!(library(system, name), Probe::Absent)
}

// Facts 3 and 16.
#[test]
fn each_architecture_has_its_loader_where_programs_ask_for_it() {
    for (arch, path) in [
        ("x86_64", "/lib64/ld-linux-x86-64.so.2"),
        ("aarch64", "/lib/ld-linux-aarch64.so.1"),
        ("s390x", "/lib/ld64.so.1"),
        ("powerpc64le", "/lib64/ld64.so.2"),
    ] {
        for platform in ["debian-12", "debian-13"] {
            with(platform, arch, |system| match system.probe(path) {
                Probe::Library(loader) => {
                    assert!(loader[0].plain && loader[0].package.as_deref() == Some("libc6"));
                    assert!(loader[0].facts.as_ref().unwrap().nodes.contains(&"GLIBC_PRIVATE".to_owned()));
                }
                other => panic!("{platform} {arch}: {other:?}"),
            });
        }
    }
    with("debian-12", "s390x", |system| {
        assert!(matches!(system.probe("/lib64/ld-linux-x86-64.so.2"), Probe::Absent));
    });
}

// Facts 6, 7, 8 and 34.
#[test]
fn nodes_and_symbols_of_the_c_library() {
    on_all("debian-12", |system| {
        facts(system, "libc.so.6", |libc| {
            assert!(libc.nodes.iter().any(|node| node == "GLIBC_2.34"));
            assert!(libc.nodes.iter().any(|node| node == "GLIBC_ABI_DT_RELR"));
            assert!(!libc.nodes.iter().any(|node| node == "GLIBC_2.38"));
            let versions = |name: &str| {
                let found = defined(libc, name);
                found
                    .into_iter()
                    .map(|one| (one.version.unwrap_or("").to_owned(), one.hidden))
                    .collect::<Vec<_>>()
            };
            let dlsym = versions("dlsym");
            assert!(dlsym.contains(&("GLIBC_2.34".to_owned(), false)), "{dlsym:?}");
            assert!(dlsym.iter().any(|(_, hidden)| *hidden), "{dlsym:?}");
            assert_eq!(versions("gettid"), [("GLIBC_2.30".to_owned(), false)]);
            assert_eq!(versions("pidfd_spawnp"), []);
            assert!(libc.defines_versions && libc.has_version_table && libc.knows_symbols());
        });
    });
    on_all("debian-13", |system| {
        facts(system, "libc.so.6", |libc| assert_eq!(defined(libc, "pidfd_spawnp").len(), 1));
    });
}

// Fact 35.
#[test]
fn a_version_that_is_there_does_not_mean_that_the_symbol_is() {
    on_all("debian-12", |system| {
        facts(system, "libcurl.so.4", |curl| {
            assert!(curl.nodes.iter().any(|node| node == "CURL_OPENSSL_4"));
            assert_eq!(defined(curl, "curl_easy_init")[0].version, Some("CURL_OPENSSL_4"));
            assert!(defined(curl, "curl_easy_ssls_export").is_empty());
        });
        facts(system, "libnettle.so.8", |nettle| {
            assert!(nettle.nodes.iter().any(|node| node == "NETTLE_8"));
            assert!(defined(nettle, "nettle_ocb_encrypt").is_empty());
        });
    });
}

// Facts 28 and 29.
#[test]
fn names_that_changed_with_debian_13() {
    on_all("debian-12", |system| {
        assert!(!is_absent(system, "libaio.so.1"));
        assert!(!is_absent(system, "libfuse3.so.3") && is_absent(system, "libfuse3.so.4"));
    });
    on_all("debian-13", |system| {
        assert!(is_absent(system, "libaio.so.1") && !is_absent(system, "libaio.so.1t64"));
        assert!(is_absent(system, "libfuse3.so.3") && is_absent(system, "libcapstone.so.4"));
        match library(system, "libfuse3.so.4") {
            Probe::Library(fuse) => {
                assert_eq!(fuse[0].package.as_deref(), Some("libfuse3-4"));
                assert!(!fuse[0].plain);
                assert!(system.package_version("libfuse3-4").unwrap().unwrap().starts_with("3.17"));
            }
            other => panic!("{other:?}"),
        }
    });
}

// Facts 42 and 45.
#[test]
fn links_that_are_made_at_installation() {
    on_all("debian-12", |system| match library(system, "libblas.so.3") {
        Probe::Library(providers) => {
            let packages: Vec<_> = providers.iter().filter_map(|one| one.package.as_deref()).collect();
            assert!(packages.contains(&"libblas3") && packages.len() > 1, "{packages:?}");
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn what_a_plain_install_has() {
    on_all("debian-12", |system| {
        let plain = |name: &str| match library(system, name) {
            Probe::Library(libraries) => libraries.iter().any(|library| library.plain),
            other => panic!("{name}: {other:?}"),
        };
        assert!(plain("libc.so.6") && plain("libgcc_s.so.1") && plain("libstdc++.so.6"));
        assert!(!plain("libssl.so.3") && !plain("libcurl.so.4"));
    });
}

#[test]
fn published_platforms_decide_three_libraries() {
    with("rhel-8", "s390x", |system| {
        assert_eq!(system.about().glibc().unwrap().to_string(), "2.28");
        facts(system, "libc.so.6", |libc| {
            assert!(libc.nodes.iter().any(|node| node == "GLIBC_2.28"));
            assert!(!libc.nodes.iter().any(|node| node == "GLIBC_2.29" || node == "GLIBC_ABI_DT_RELR"));
            assert!(defined(libc, "gettid").is_empty());
            assert!(!defined(libc, "statx").is_empty());
        });
        facts(system, "libstdc++.so.6", |library| {
            assert!(library.nodes.iter().any(|node| node == "GLIBCXX_3.4.25"));
            assert!(!library.nodes.iter().any(|node| node == "GLIBCXX_3.4.26"));
        });
        assert!(matches!(library(system, "libssl.so.1.1"), Probe::Unknown(_)));
        assert!(matches!(system.probe("/lib/ld64.so.1"), Probe::Library(_)));
        assert!(matches!(system.probe("/lib/ld-musl-s390x.so.1"), Probe::Absent));
    });
    with("manylinux_2_17", "powerpc64le", |system| assert!(is_absent(system, "libssl.so.3")));
    with("alpine-3.22", "x86_64", |system| {
        assert!(matches!(system.probe("/lib64/ld-linux-x86-64.so.2"), Probe::Absent));
        match system.probe("/lib/ld-musl-x86_64.so.1") {
            Probe::Library(musl) => assert!(musl[0].plain),
            other => panic!("{other:?}"),
        }
    });
    with("alpine-3.22", "s390x", |system| {
        assert!(matches!(system.probe("/lib/ld64.so.1"), Probe::Absent));
    });
}

#[test]
fn the_oldest_and_the_newest() {
    with("debian-11", "x86_64", |system| {
        assert_eq!(system.about().glibc().unwrap().to_string(), "2.31");
        facts(system, "libc.so.6", |libc| assert!(!libc.nodes.iter().any(|node| node == "GLIBC_2.32")));
        assert!(matches!(library(system, "libssl.so.1.1"), Probe::Library(_)));
    });
    assert!(find("debian-11").unwrap().system(super::published::arch("s390x").unwrap()).is_none());
    for arch in ARCHITECTURES {
        with("debian-testing", arch, |system| {
            assert!(system.about().glibc().unwrap() >= crate::artifact::Release::parse("2.41").unwrap());
            assert!(system.about().provenance.iter().any(|(what, _)| what.contains("SHA-256")));
        });
    }
}

#[test]
fn what_is_newer_than_every_description_is_not_known() {
    let text =
        "title = 'later'\n[cpu]\nx86_64 = ''\n[libraries]\nlayout = 'lib64'\nglibc = '2.60'\n[sources]\n";
    let published = super::published::Published::parse(text).unwrap();
    let arch: Arch = super::published::arch("x86_64").unwrap();
    let described = super::registry::described(arch);
    let libraries = published.libraries.as_ref().unwrap();
    let system = System::published("later", libraries, arch, described).unwrap();
    facts(&system, "libc.so.6", |libc| {
        assert!(libc.nodes.iter().any(|node| node == "GLIBC_2.60"));
        assert!(!libc.nodes.iter().any(|node| node == "GLIBC_2.61"));
        assert!(libc.later_nodes.iter().any(|node| node == "GLIBC_2.59"));
        assert!(libc.find(hash(b"not_yet_written")).is_none() && libc.find(hash(b"gettid")).is_some());
    });
    // Nothing is said of its libstdc++ but that it has one.
    match library(&system, "libstdc++.so.6") {
        Probe::Library(found) => assert!(found[0].facts.is_none()),
        other => panic!("{other:?}"),
    }
}
