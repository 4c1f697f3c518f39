unsafe extern "C" {
    pub fn shelf_depth() -> i32;
}
