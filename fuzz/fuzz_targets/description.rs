//! Descriptions of platforms: every question is answered, or an error, whatever the bytes are.
#![no_main]

use std::sync::Arc;

use cargo_compat::platform::{Pack, Probe, System, hash};
use libfuzzer_sys::fuzz_target;

const PATHS: &[&str] = &["/lib/liba.so.1", "/lib/libb.so", "/lib/../lib/libb.so", "/nowhere", "lib", "/"];

fuzz_target!(|bytes: &[u8]| {
    let Ok(pack) = Pack::open(bytes.to_vec().into()) else { return };
    for system in System::all(&Arc::new(pack)) {
        let _ = system.packages();
        let _ = system.package_version("a");
        let mut paths: Vec<String> = PATHS.iter().map(|&path| path.to_owned()).collect();
        let _ = system.each(|item| paths.push(format!("{}/{}", item.folder, item.name)));
        for path in paths.iter().take(100) {
            let Probe::Library(libraries) = system.probe(path) else { continue };
            for facts in libraries.iter().filter_map(|library| library.facts.as_ref()) {
                let found = facts.find(hash(b"known")).map(Iterator::count);
                assert!(found.is_none_or(|count| count <= facts.symbol_count().unwrap_or(0)));
            }
        }
    }
});
