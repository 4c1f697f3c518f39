use std::ffi::c_char;

#[link(name = "crypt")]
unsafe extern "C" {
    fn crypt(key: *const c_char, salt: *const c_char) -> *mut c_char;
}

/// # Safety
/// Both are C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hashed(key: *const c_char, salt: *const c_char) -> *mut c_char {
    unsafe { crypt(key, salt) }
}
