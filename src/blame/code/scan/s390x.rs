//! s390x: instructions with a 32-bit relative operand (RIL-b, RIL-c; IBM,
//! z/Architecture Principles of Operation, chapter 5), and loads from the
//! global offset table by a register that holds its address (`-fpic`).
//!
//! Not followed: the offset of another file's thread-local variable, which
//! stands in a literal of its own.

use super::{How, Sink, Window};

pub struct Scanner {
    got: Option<u64>,
    /// Registers that hold the table's address, a bit each.
    holders: u16,
}

impl Scanner {
    pub fn new(got: Option<u64>) -> Self {
        Self { got, holders: 0 }
    }

    pub fn scan(&mut self, window: &Window<'_>, sink: &mut Sink<'_>) {
        let bytes = window.bytes;
        // Instructions begin at even addresses.
        let first = window.from + (window.address as usize + window.from) % 2;
        for at in (first..window.until).step_by(2) {
            let address = window.address.wrapping_add(at as u64);
            let Some(&[first, second, a, b, c, d]) = bytes.get(at..at + 6).and_then(|six| six.first_chunk())
            else {
                break;
            };
            if self.holders != 0 {
                if first == 0xe3 && d == 0x04 {
                    self.load(address, second, [a, b, c], sink);
                }
                self.overwrite([first, second, a, b, c, d]);
            }
            let how = match (first, second & 15) {
                (0xc0, 0) => Some(How::Take),
                // lghrl … strl, and comparisons with memory.
                (0xc4, _) | (0xc6, 4..=15) => Some(How::Access),
                // brcl, brasl
                (0xc0, 4 | 5) => None,
                _ => continue,
            };
            let offset = i64::from(i32::from_be_bytes([a, b, c, d])) * 2;
            let target = address.wrapping_add_signed(offset);
            if !sink.is_near(target) {
                continue;
            }
            if sink.at(address) {
                self.holders = 0;
            }
            match how {
                None => sink.branch(address, target),
                Some(How::Take) if Some(target) == self.got => self.holders |= 1 << (second >> 4),
                Some(how) => {
                    sink.names(address, target, how);
                }
            }
        }
    }

    /// Forgets a register that something else is written to, as far as the
    /// usual instructions go.
    fn overwrite(&mut self, instruction: [u8; 6]) {
        let [first, second, third, fourth, _, last] = instruction;
        let (register, other) = (second >> 4, second & 15);
        let written = match (first, last) {
            // lmg: from one register to another, past 15 from 0.
            (0xeb, 0x04) => {
                let count = (other.wrapping_sub(register) & 15) + 1;
                (0..count).fold(0_u16, |bits, next| bits | 1 << ((register + next) & 15))
            }
            (0xeb, 0x0a | 0x0c | 0x0d) | (0xe3, 0x04 | 0x08 | 0x09 | 0x14 | 0x71) => 1 << register,
            (0xb9, _) if matches!(second, 0x04 | 0x08 | 0x09 | 0x14) && third == 0 => 1 << (fourth >> 4),
            (0x41 | 0x58, _) => 1 << register,
            (0xa7, _) if matches!(other, 8..=11) => 1 << register,
            _ => 0,
        };
        self.holders &= !written;
    }

    /// `lg`: RXY-a, a signed displacement of 20 bits.
    fn load(&mut self, address: u64, registers: u8, [a, b, c]: [u8; 3], sink: &mut Sink<'_>) {
        if sink.at(address) {
            self.holders = 0;
            return;
        }
        let (index, base) = (registers & 15, a >> 4);
        let holds = |register: u8| register != 0 && self.holders >> register & 1 == 1;
        if !(index == 0 && holds(base) || base == 0 && holds(index)) {
            return;
        }
        let low = i64::from(a & 15) << 8 | i64::from(b);
        let displacement = i64::from(c as i8) << 12 | low;
        if let Some(got) = self.got {
            sink.names(address, got.wrapping_add_signed(displacement), How::Access);
        }
    }
}
