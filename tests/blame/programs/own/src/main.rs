use std::ffi::{c_char, c_int, c_long};

unsafe extern "C" {
    fn own_by_name(name: *const c_char, x: f64) -> f64;
    fn own_size(path: *const c_char) -> c_long;
    fn own_work(n: c_int) -> c_int;
}

trait Work {
    fn run(&self) -> i64;
}

struct Size;
struct Threads;

impl Work for Size {
    fn run(&self) -> i64 {
        unsafe { own_size(c"/etc/passwd".as_ptr()) as i64 }
    }
}

impl Work for Threads {
    fn run(&self) -> i64 {
        unsafe { own_work(1).into() }
    }
}

fn main() {
    let all: Vec<Box<dyn Work>> = vec![Box::new(Size), Box::new(Threads)];
    let results: Vec<i64> = all.iter().map(|work| work.run()).collect();
    println!("{} {results:?}", unsafe { own_by_name(c"log".as_ptr(), 2.0) });
}
