//! Archives and object files: what they define and refer to, or an error, whatever the bytes are.
#![no_main]

use cargo_compat::artifact::examine_linkable_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let again = format!("{:?}", examine_linkable_bytes(bytes.to_vec()));
    assert_eq!(format!("{:?}", examine_linkable_bytes(bytes.to_vec())), again, "the same bytes are read in two ways");
});
