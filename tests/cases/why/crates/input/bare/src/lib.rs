#[link(name = "bare")]
unsafe extern "C" {
    fn bare_level() -> i32;
}

pub fn level() -> i32 {
    unsafe { bare_level() }
}
