//! Fingerprints of names: "is it there?" needs no names.
//!
//! A sorted list of truncated 64-bit hashes is stored as the gaps between them,
//! each as a Rice code (R. F. Rice, JPL Publication 79-22): `quotient` ones, a
//! zero, then the lowest `rice` bits. Bits are filled from the lowest up.

/// FNV-1a, 64 bits, and MurmurHash3's finalizer so that the highest bits are as
/// good as the lowest. Stored data depends on it: it never changes.
pub fn hash(name: &[u8]) -> u64 {
    let mut hash = name.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The width of fingerprints for a set of `count` names, so that a name that is
/// not in it is taken for one that is once in 2^`surety` times.
pub fn width(count: usize, surety: u8) -> u8 {
    let log = usize::BITS - count.max(1).leading_zeros();
    (log as u8 + surety).min(64)
}

/// The first `width` bits of a hash.
pub fn cut(hash: u64, width: u8) -> u64 {
    match width {
        0 => 0,
        width => hash >> (64 - width.min(64)),
    }
}

/// A sorted list without doubles, coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    pub rice: u8,
    pub bytes: Vec<u8>,
}

/// Codes a sorted list without doubles of numbers below 2^`width`.
pub fn encode(sorted: &[u64], width: u8) -> Coded {
    let space = if width >= 64 { u64::MAX } else { 1 << width };
    let gap = space / sorted.len().max(1) as u64;
    // The best parameter for geometric gaps is log2(ln 2 × mean gap).
    let rice = (gap / 16 * 11).checked_ilog2().unwrap_or(0) as u8;
    let mut bits = Writer::default();
    let mut last = None;
    for &value in sorted {
        let gap = last.map_or(value, |last: u64| value - last - 1);
        bits.unary(gap >> rice);
        bits.put(gap & ((1 << rice) - 1), rice);
        last = Some(value);
    }
    Coded { rice, bytes: bits.finish() }
}

/// The list that was coded. `None`: the bytes hold no such list.
pub fn decode(bytes: &[u8], count: usize, rice: u8) -> Option<Vec<u64>> {
    // A code has one bit at least, so that the count cannot ask for more memory than there are bits.
    if rice > 63 || count > bytes.len().checked_mul(8)? {
        return None;
    }
    let mut bits = Reader { bytes, at: 0, buffer: 0, filled: 0 };
    let mut values = Vec::with_capacity(count);
    let mut next = 0u64;
    for _ in 0..count {
        let gap = bits.unary()?.checked_shl(u32::from(rice))? | bits.take(rice)?;
        let value = next.checked_add(gap)?;
        values.push(value);
        next = value.checked_add(1)?;
    }
    Some(values)
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    buffer: u8,
    filled: u8,
}

impl Writer {
    fn bit(&mut self, bit: bool) {
        self.buffer |= u8::from(bit) << self.filled;
        self.filled += 1;
        if self.filled == 8 {
            self.bytes.push(self.buffer);
            (self.buffer, self.filled) = (0, 0);
        }
    }

    fn unary(&mut self, ones: u64) {
        for _ in 0..ones {
            self.bit(true);
        }
        self.bit(false);
    }

    fn put(&mut self, value: u64, count: u8) {
        for at in 0..count {
            self.bit(value >> at & 1 == 1);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.buffer);
        }
        self.bytes
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    /// The next bits, lowest first; those from `filled` on are zero.
    buffer: u64,
    filled: u32,
}

impl Reader<'_> {
    fn fill(&mut self) {
        while self.filled <= 56 {
            let Some(byte) = self.bytes.get(self.at) else { return };
            self.buffer |= u64::from(*byte) << self.filled;
            self.filled += 8;
            self.at += 1;
        }
    }

    fn unary(&mut self) -> Option<u64> {
        let mut count = 0;
        loop {
            self.fill();
            if self.filled == 0 {
                return None;
            }
            let ones = self.buffer.trailing_ones().min(self.filled);
            count += u64::from(ones);
            if ones < self.filled {
                self.drop(ones + 1);
                return Some(count);
            }
            self.drop(ones);
        }
    }

    fn drop(&mut self, count: u32) {
        self.buffer = self.buffer.checked_shr(count).unwrap_or(0);
        self.filled -= count;
    }

    fn take(&mut self, count: u8) -> Option<u64> {
        let (mut value, mut have) = (0, 0u32);
        let count = u32::from(count);
        while have < count {
            self.fill();
            let part = (count - have).min(self.filled).min(32);
            if part == 0 {
                return None;
            }
            value |= (self.buffer & ((1 << part) - 1)) << have;
            self.drop(part);
            have += part;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u64, width: u8) -> Vec<u64> {
        let mut list: Vec<u64> = (0..count).map(|at| cut(hash(&at.to_le_bytes()), width)).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    #[test]
    fn what_is_coded_is_decoded() {
        for (count, bits) in [(0, 20), (1, 8), (1, 64), (3, 64), (5, 3), (1000, 12), (5000, 34), (70_000, 40)]
        {
            let list = sample(count, bits);
            let coded = encode(&list, bits);
            assert_eq!(decode(&coded.bytes, list.len(), coded.rice).as_ref(), Some(&list), "{count} {bits}");
        }
    }

    #[test]
    fn a_code_costs_little_more_than_its_surety() {
        let (count, surety) = (50_000, 20);
        let bits = width(count, surety);
        let list = sample(count as u64, bits);
        let coded = encode(&list, bits);
        let each = coded.bytes.len() as f64 * 8.0 / list.len() as f64;
        assert!(each < f64::from(surety) + 2.7, "{each} bits");
    }

    // Stored data depends on it.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash(b"dlsym"), 10_839_804_528_417_490_623);
    }

    #[test]
    fn other_bytes_are_no_list() {
        assert_eq!(decode(&[0xff; 4], 1, 3), None);
        assert_eq!(decode(&[0; 4], 33, 0), None);
        assert_eq!(decode(&[0; 4], 2, 40), None);
        assert_eq!(decode(&[0; 4], 1, 64), None);
        assert_eq!(decode(&[], 0, 0), Some(Vec::new()));
    }
}
