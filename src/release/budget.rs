//! How far an archive is unpacked: its own size bounds what is read of it.

use std::cell::Cell;
use std::io::{self, Read};

/// What any archive may expand to, in bytes.
const ALWAYS: u64 = 256 << 20;
/// How many times its own size an archive may expand to. Programs shrink to a
/// third, their debug information to a tenth.
const TIMES: u64 = 200;
/// More is not read of any archive, in bytes.
const NEVER: u64 = 32 << 30;

/// Bytes that may still be unpacked.
#[derive(Debug)]
pub struct Budget {
    most: u64,
    left: Cell<u64>,
    exceeded: Cell<bool>,
}

impl Budget {
    /// For an archive of so many bytes.
    pub fn of(archive: u64) -> Self {
        let most = archive.saturating_mul(TIMES).clamp(ALWAYS, NEVER);
        Self { most, left: Cell::new(most), exceeded: Cell::new(false) }
    }

    pub fn most(&self) -> u64 {
        self.most
    }

    /// Whether a reader was stopped: then its error is this one.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    /// Lets `inner` be read as long as there is something left.
    pub fn bound<R: Read>(&self, inner: R) -> Bounded<'_, R> {
        Bounded { budget: self, inner }
    }
}

#[derive(Debug)]
pub struct Bounded<'b, R> {
    budget: &'b Budget,
    inner: R,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.budget.left.get().checked_sub(read as u64) {
            Some(left) => self.budget.left.set(left),
            None => {
                self.budget.exceeded.set(true);
                return Err(io::Error::other("it expands without end"));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_bounds_what_is_read() {
        assert_eq!(Budget::of(0).most(), ALWAYS);
        assert_eq!(Budget::of(10 << 20).most(), 2000 << 20);
        assert_eq!(Budget::of(u64::MAX).most(), NEVER);
    }

    #[test]
    fn what_has_no_end_is_stopped() {
        let budget = Budget::of(0);
        let read = io::copy(&mut budget.bound(io::repeat(0)), &mut io::sink());
        assert!(read.is_err() && budget.is_exceeded());
        let budget = Budget::of(0);
        let read = io::copy(&mut budget.bound(io::repeat(0).take(ALWAYS)), &mut io::sink());
        assert_eq!(read.unwrap(), ALWAYS);
        assert!(!budget.is_exceeded());
    }
}
