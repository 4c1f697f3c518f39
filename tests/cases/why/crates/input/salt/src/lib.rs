unsafe extern "C" {
    fn salt_fresh(times: u32) -> u32;
}

pub fn fresh() -> u32 {
    unsafe { salt_fresh(3) }
}
