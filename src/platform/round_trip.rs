//! What is packed is found again, and what is left out is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::{About, Definition, Draft, Entry, Facts, What};
use super::{Open, Pack, Probe, System, hash, write};
use crate::artifact::{Arch, Class, Endian};

const ARCH: Arch = Arch { machine: 62, class: Class::Elf64, endian: Endian::Little, flags: 0 };

/// A system with one library, `/lib/liba.so.1`.
fn draft(platform: &str, names: &[&str], partial: bool) -> Draft {
    let mut symbols: Vec<Definition> =
        names.iter().map(|name| Definition { hash: hash(name.as_bytes()), node: 0, hidden: false }).collect();
    symbols.sort_unstable();
    let facts = Facts { symbols: Some(symbols), partial, ..Facts::default() };
    Draft {
        about: About {
            platform: platform.to_owned(),
            arch: ARCH.into(),
            triplet: String::new(),
            libc: "glibc 2.36".to_owned(),
            search: vec!["/lib".to_owned()],
            folder_links: Vec::new(),
            complete: true,
            provenance: Vec::new(),
        },
        entries: vec![Entry {
            path: "/lib/liba.so.1".to_owned(),
            package: "a".to_owned(),
            plain: true,
            what: What::Library(Box::new(facts)),
        }],
        others: Vec::new(),
        packages: Vec::new(),
    }
}

/// Names that something asks for, of the library.
fn open(names: &[String]) -> Open {
    let mut hashes: Vec<u64> = names.iter().map(|name| hash(name.as_bytes())).collect();
    hashes.sort_unstable();
    Open { names: hashes.clone(), asked_of: [("/lib/liba.so.1".to_owned(), hashes)].into() }
}

/// How many definitions each system's library has of a name; `None`: it is not known.
fn found(drafts: &[Draft], open: &Open, surety: u8, name: &str) -> Vec<Option<usize>> {
    let bytes = write(drafts, surety, open).unwrap().bytes;
    let systems = System::all(&Arc::new(Pack::open(bytes.into()).unwrap()));
    let one = |system: &System| match system.probe("/lib/liba.so.1") {
        Probe::Library(all) => {
            all[0].facts.as_ref().unwrap().find(hash(name.as_bytes())).map(Iterator::count)
        }
        other => panic!("{other:?}"),
    };
    systems.iter().map(one).collect()
}

#[test]
fn a_whole_library_lacks_what_is_not_stored() {
    let drafts = [draft("one", &["a", "b"], false), draft("two", &["a"], false)];
    let found = |name| found(&drafts, &Open::default(), 30, name);
    assert_eq!(found("a"), [Some(1), Some(1)]);
    assert_eq!(found("b"), [Some(1), Some(0)]);
    assert_eq!(found("c"), [Some(0), Some(0)]);
}

#[test]
fn of_a_partial_library_only_what_is_asked_for_is_known() {
    let drafts = [draft("one", &["a", "b"], true), draft("two", &["a"], true)];
    let open = open(&["host".to_owned()]);
    assert_eq!(found(&drafts, &open, 30, "a"), [Some(1), Some(1)]);
    // Another system has it, so it would be stored here too.
    assert_eq!(found(&drafts, &open, 30, "b"), [Some(1), Some(0)]);
    assert_eq!(found(&drafts, &open, 30, "host"), [Some(0), Some(0)]);
    assert_eq!(found(&drafts, &open, 30, "c"), [None, None]);
}

#[test]
fn libraries_of_one_name_are_partial_together() {
    let drafts = [draft("one", &["a", "b"], false), draft("two", &["a"], true)];
    assert!(write(&drafts, 30, &Open::default()).unwrap_err().to_string().contains("liba"));
}

// With so few bits many a name is taken for another, but never an open one.
#[test]
fn open_names_are_not_taken_for_others() {
    let names: Vec<String> = (0..200).map(|at| format!("own{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let drafts = [draft("one", &names, false)];
    let hosts: Vec<String> = (0..500).map(|at| format!("host{at}")).collect();
    let count = |open: &Open| hosts.iter().filter(|name| found(&drafts, open, 3, name) != [Some(0)]).count();
    assert!(count(&Open::default()) > 10);
    let open = open(&hosts);
    assert_eq!(count(&open), 0);
    // Nothing looks for them here.
    assert!(count(&Open { asked_of: BTreeMap::new(), ..open.clone() }) > 10);
    assert!(names.iter().all(|name| found(&drafts, &open, 3, name) == [Some(1)]));
}
