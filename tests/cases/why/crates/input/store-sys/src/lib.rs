unsafe extern "C" {
    pub fn store_open() -> i32;
}
