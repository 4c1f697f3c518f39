unsafe extern "C" {
    fn second_run(n: i32) -> i32;
}

pub fn run(n: i32) -> i32 {
    unsafe { second_run(n) }
}
