//! Which of many addresses a given one is, asked millions of times.

/// The widest span that gets a bit for each byte: 32 MiB of them.
const WIDEST: u64 = 1 << 28;

/// A sorted set of addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    sorted: Vec<u64>,
    first: u64,
    /// One bit a byte from `first`, and how many are set before each word.
    bits: Vec<u64>,
    before: Vec<u32>,
}

impl Addresses {
    /// Of sorted addresses, no two alike.
    pub fn new(sorted: Vec<u64>) -> Self {
        let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return Self::default() };
        if last - first > WIDEST {
            return Self { sorted, first, ..Self::default() };
        }
        let mut bits = vec![0_u64; ((last - first) / 64 + 1) as usize];
        for address in &sorted {
            let at = address - first;
            bits[(at / 64) as usize] |= 1 << (at % 64);
        }
        let mut total = 0;
        let before = bits.iter().map(|word| {
            let before = total;
            total += word.count_ones();
            before
        });
        Self { before: before.collect(), sorted, first, bits }
    }

    /// The position of an address, if it is one of them.
    #[inline]
    pub fn find(&self, address: u64) -> Option<usize> {
        let at = address.wrapping_sub(self.first);
        let Some(word) = self.bits.get((at / 64) as usize) else {
            return if self.bits.is_empty() { self.sorted.binary_search(&address).ok() } else { None };
        };
        let bit = 1_u64 << (at % 64);
        if word & bit == 0 {
            return None;
        }
        Some(self.before[(at / 64) as usize] as usize + (word & (bit - 1)).count_ones() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_and_narrow_sets_agree() {
        let narrow = vec![5, 6, 68, 69, 4096, 4097];
        let mut wide = narrow.clone();
        wide.push(u64::MAX - 1);
        for set in [Addresses::new(narrow.clone()), Addresses::new(wide)] {
            for address in 0..5000 {
                assert_eq!(set.find(address), narrow.iter().position(|one| *one == address), "{address}");
            }
            assert_eq!(set.find(u64::MAX), None);
        }
        assert_eq!(Addresses::new(Vec::new()).find(0), None);
    }
}
