use squash_sys as _;

unsafe extern "C" {
    fn pack_all(things: i32) -> i32;
}

pub fn all(things: i32) -> i32 {
    unsafe { pack_all(things) }
}
