//! The same work for each of many files.

use rayon::prelude::*;

/// Below this number, to start threads takes longer than they save.
const WORTH_THREADS: usize = 8;

/// What `work` makes of each, in their order.
pub fn each<T: Send, U: Send>(all: Vec<T>, work: impl Fn(T) -> U + Send + Sync) -> Vec<U> {
    match all.len() < WORTH_THREADS {
        true => all.into_iter().map(work).collect(),
        false => all.into_par_iter().map(work).collect(),
    }
}

/// The same with something that is made once for many of them.
pub fn each_with<T: Send, U: Send, W>(
    all: Vec<T>,
    make: impl Fn() -> W + Send + Sync,
    work: impl Fn(&mut W, T) -> U + Send + Sync,
) -> Vec<U> {
    match all.len() < WORTH_THREADS {
        true => {
            let mut made = make();
            all.into_iter().map(|one| work(&mut made, one)).collect()
        }
        false => all.into_par_iter().map_init(make, work).collect(),
    }
}
