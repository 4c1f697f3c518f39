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
