unsafe extern "C" {
    fn first_run(n: i32) -> i32;
}

pub fn run(n: i32) -> i32 {
    unsafe { first_run(n) + second::run(n) }
}
