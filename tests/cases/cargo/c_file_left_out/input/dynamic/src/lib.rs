unsafe extern "C" {
    fn ensure_cloned_binary(fd: i32) -> i32;
}

#[unsafe(no_mangle)]
pub extern "C" fn nsenter(fd: i32) -> i32 {
    let text = format!("{fd}");
    text.len() as i32 + unsafe { ensure_cloned_binary(fd) }
}
