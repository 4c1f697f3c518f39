unsafe extern "C" {
    #[link_name = "example.com/x.(*T).entry"]
    fn entry() -> i32;
}

#[unsafe(no_mangle)]
pub extern "C" fn plugin() -> i32 {
    // SAFETY: the host defines it.
    unsafe { entry() }
}
