//! The user's own crate.

#[inline(never)]
fn wants(n: i32) -> i32 {
    std::hint::black_box(inner::brings(n) + 1)
}

#[inline(never)]
fn asks(worker: &dyn inner::Work, n: i32) -> i32 {
    std::hint::black_box(worker.work(n) + 1)
}

fn main() {
    let n = std::env::args().count() as i32;
    let thread = std::thread::spawn(move || inner::threaded(n));
    println!("{} {} {}", wants(n), asks(&*inner::worker(), n), thread.join().is_ok());
}
