//! The reader: facts or an error, whatever the bytes are; and how deep it reads changes nothing but the symbols.
#![no_main]

use cargo_compat::artifact::{Depth, Examined, ReadError, examine_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let needs = examine_bytes(bytes.to_vec(), Depth::Needs);
    let symbols = examine_bytes(bytes.to_vec(), Depth::Symbols).map(|examined| match examined {
        Examined::Elf(mut facts) => {
            assert!(facts.symbols.take().is_some(), "asked for, and not there");
            Examined::Elf(facts)
        }
        other => other,
    });
    assert_eq!(shown(&needs), shown(&symbols), "what is no symbol depends on the depth");
});

fn shown(examined: &Result<Examined, ReadError>) -> String {
    format!("{examined:?}")
}
