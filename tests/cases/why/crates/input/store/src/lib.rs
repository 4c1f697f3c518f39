pub fn open() -> i32 {
    unsafe { store_sys::store_open() }
}
