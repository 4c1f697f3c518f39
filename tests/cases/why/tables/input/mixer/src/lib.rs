#[inline(never)]
pub fn all(till: u32, each: impl Fn(f64) -> f64) -> f64 {
    (0..till).map(|at| each(f64::from(at))).sum()
}
