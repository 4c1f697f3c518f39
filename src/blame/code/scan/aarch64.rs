//! aarch64: `adrp` and a load or `add` behind it, `adr`, `b` and `bl` (Arm
//! Architecture Reference Manual, C4.1).

use super::{Bases, How, Sink, Window};

#[derive(Default)]
pub struct Scanner {
    bases: Bases,
}

impl Scanner {
    pub fn scan(&mut self, window: &Window<'_>, sink: &mut Sink<'_>) {
        let first = window.from + (window.address as usize + window.from).wrapping_neg() % 4;
        for at in (first..window.until).step_by(4) {
            let Some(word) = window.bytes.get(at..at + 4).and_then(|four| four.first_chunk()) else { break };
            self.instruction(u32::from_le_bytes(*word), window.address.wrapping_add(at as u64), sink);
        }
    }

    fn instruction(&mut self, word: u32, address: u64, sink: &mut Sink<'_>) {
        if sink.at(address) {
            self.bases.forget();
        }
        let (rd, rn) = ((word & 31) as usize, (word >> 5 & 31) as usize);
        let low = u64::from(word >> 10 & 0xfff);
        // b, bl
        if word & 0x7c00_0000 == 0x1400_0000 {
            let offset = i64::from((word << 6) as i32 >> 6) * 4;
            sink.branch(address, address.wrapping_add_signed(offset));
            // Not even a call need come back.
            self.bases.part();
        // adr, adrp
        } else if word & 0x1f00_0000 == 0x1000_0000 {
            let value = i64::from((word << 8) as i32 >> 13) << 2 | i64::from(word >> 29 & 3);
            if word >> 31 == 1 {
                self.bases.remember(rd, (address & !0xfff).wrapping_add_signed(value << 12));
            } else {
                sink.names(address, address.wrapping_add_signed(value), How::Take);
                self.bases.lose(rd);
            }
        // add, 64 bits, not shifted
        } else if word & 0xffc0_0000 == 0x9100_0000 {
            self.finish(rn, low, address, How::Take, sink);
            self.bases.lose(rd);
        // Loads and stores with an unsigned offset, which counts in their size.
        } else if word & 0x3b00_0000 == 0x3900_0000 {
            let is_vector_16 = word & 0x0480_0000 == 0x0480_0000 && word >> 30 == 0;
            let scale = if is_vector_16 { 4 } else { word >> 30 };
            // ldr of 64 bits
            let how = if word & 0xffc0_0000 == 0xf940_0000 { How::Load } else { How::Access };
            self.finish(rn, low << scale, address, how, sink);
            self.bases.lose(rd);
        // br, blr, ret and their like; brk and other exceptions; udf
        } else if word & 0xfe00_0000 == 0xd600_0000 || word & 0xff00_0000 == 0xd400_0000 || word >> 16 == 0 {
            self.bases.part();
        } else {
            // What it writes stands in one of these, a second register of a pair too.
            for register in [rd, rn, (word >> 10 & 31) as usize] {
                self.bases.lose(register);
            }
        }
    }

    fn finish(&self, register: usize, low: u64, address: u64, how: How, sink: &mut Sink<'_>) {
        for page in self.bases.reaching(register) {
            sink.names(address, page.wrapping_add(low), how);
        }
    }
}
