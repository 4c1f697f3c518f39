//! ppc64le: `addis` on the table of contents' address and a load or `addi`
//! behind it, `b` and `bl` (Power ISA 3.1, book I; ELFv2 ABI, 3.6).

use super::{Bases, How, Sink, Window};

/// `mtctr r12`, `bctr`: how a stub ends. Compilers do not leave a function so,
/// because the callee needs another r2.
const JUMP: [u8; 8] = [0xa6, 0x03, 0x89, 0x7d, 0x20, 0x04, 0x80, 0x4e];

/// `mtctr r12`, `bctrl`, `ld r2,24(r1)`, `ld r0,8(r1)`: how the stub of
/// `__tls_get_addr_opt` goes on, which has to come back.
const CALL: [u8; 16] =
    [0xa6, 0x03, 0x89, 0x7d, 0x21, 0x04, 0x80, 0x4e, 0x18, 0x00, 0x41, 0xe8, 0x08, 0x00, 0x01, 0xe8];

pub struct Scanner {
    /// `.TOC.`: `.got` + 0x8000, in r2 all the time.
    toc: u64,
    bases: Bases,
}

impl Scanner {
    pub fn new(toc: u64) -> Self {
        Self { toc, bases: Bases::default() }
    }

    pub fn scan(&mut self, window: &Window<'_>, sink: &mut Sink<'_>) {
        let first = window.from + (window.address as usize + window.from).wrapping_neg() % 4;
        for at in (first..window.until).step_by(4) {
            let Some(word) = window.bytes.get(at..at + 4).and_then(|four| four.first_chunk()) else { break };
            let rest = &window.bytes[at + 4..];
            self.instruction(u32::from_le_bytes(*word), rest, window.address.wrapping_add(at as u64), sink);
        }
    }

    fn instruction(&mut self, word: u32, rest: &[u8], address: u64, sink: &mut Sink<'_>) {
        if sink.at(address) {
            self.bases.forget();
        }
        let (rt, ra) = ((word >> 21 & 31) as usize, (word >> 16 & 31) as usize);
        let low = i64::from(word as u16 as i16);
        match word >> 26 {
            // b, bl; not their absolute forms.
            18 if word & 2 == 0 => {
                let offset = i64::from((word << 6) as i32 >> 6 & !3);
                sink.branch(address, address.wrapping_add_signed(offset));
            }
            // addis
            15 if ra == 2 => self.bases.remember(rt, self.toc.wrapping_add_signed(low << 16)),
            // addi
            14 => self.finish(ra, low, address, How::Take, sink),
            // lwz … stfdu: loads and stores of whole displacements.
            32..=55 => self.finish(ra, low, address, How::Access, sink),
            58 if rt == 12 && (rest.starts_with(&JUMP) || rest.starts_with(&CALL)) => {
                self.stub(ra, low & !3, address, sink);
            }
            // ld
            58 if word & 3 == 0 => self.finish(ra, low & !3, address, How::Load, sink),
            // ldu, lwa; std, stdu
            58 | 62 => self.finish(ra, low & !3, address, How::Access, sink),
            _ => {}
        }
    }

    fn stub(&self, register: usize, low: i64, address: u64, sink: &mut Sink<'_>) {
        for base in self.whole(register) {
            sink.stub(address, base.wrapping_add_signed(low));
        }
    }

    fn finish(&self, register: usize, low: i64, address: u64, how: How, sink: &mut Sink<'_>) {
        for base in self.whole(register) {
            sink.names(address, base.wrapping_add_signed(low), how);
        }
    }

    /// What a register may hold.
    fn whole(&self, register: usize) -> &[u64] {
        if register == 2 { std::slice::from_ref(&self.toc) } else { self.bases.of(register) }
    }
}
