#[inline]
pub fn depth() -> i32 {
    unsafe { shelf_sys::shelf_depth() }
}
