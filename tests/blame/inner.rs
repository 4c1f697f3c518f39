//! The crate that brings the imports in.

#[link(name = "dep")]
unsafe extern "C" {
    fn dep_by_rust(n: i32) -> i32;
    fn dep_by_trait(n: i32) -> i32;
    fn dep_by_thread(n: i32) -> i32;
}

#[inline(never)]
fn deeper(n: i32) -> i32 {
    std::hint::black_box(unsafe { dep_by_rust(n) } + 1)
}

#[inline(never)]
pub fn brings(n: i32) -> i32 {
    std::hint::black_box(deeper(n) + 1)
}

pub trait Work {
    fn work(&self, n: i32) -> i32;
}

pub struct Worker;

impl Work for Worker {
    #[inline(never)]
    fn work(&self, n: i32) -> i32 {
        std::hint::black_box(unsafe { dep_by_trait(n) } + 1)
    }
}

#[inline(never)]
pub fn worker() -> Box<dyn Work> {
    Box::new(Worker)
}

#[inline(never)]
pub fn threaded(n: i32) -> i32 {
    std::hint::black_box(unsafe { dep_by_thread(n) } + 1)
}
