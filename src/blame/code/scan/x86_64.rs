//! x86-64: `rip + disp32` at any byte, `e8`, `e9` and `0f 8x`; in a program
//! at a fixed address also `mov` of an address itself (Intel SDM, volume 2,
//! chapter 2).

use super::{How, Sink, Window};

pub struct Scanner {
    pub fixed: bool,
}

impl Scanner {
    pub fn scan(&mut self, window: &Window<'_>, sink: &mut Sink<'_>) {
        let bytes = window.bytes;
        for at in window.from..window.until {
            let byte = bytes[at];
            let is_branch = byte & 0xfe == 0xe8;
            let is_condition = byte & 0xf0 == 0x80 && at > 0 && bytes[at - 1] == 0x0f;
            let is_memory = byte & 0xc7 == 0x05;
            // mov to a register: of 32 bits, and of 64 with the sign extended.
            let is_value =
                self.fixed && (byte & 0xf8 == 0xb8 || byte & 0xf8 == 0xc0 && at > 0 && bytes[at - 1] == 0xc7);
            if !(is_branch || is_condition || is_memory || is_value) {
                continue;
            }
            let Some(field) = bytes.get(at + 1..at + 5).and_then(|field| field.first_chunk()) else { break };
            let field = i64::from(i32::from_le_bytes(*field));
            let site = window.address.wrapping_add(at as u64 + 1);
            let next = site.wrapping_add(4);
            if is_branch || is_condition {
                let target = next.wrapping_add_signed(field);
                if sink.is_near(target) {
                    sink.at(site);
                    sink.branch(site, target);
                }
            } else if is_value {
                let target = field as u32 as u64;
                if sink.is_near(target) {
                    sink.at(site);
                    sink.names(site, target, How::Take);
                }
            } else if at > 0 {
                let opcode = bytes[at - 1];
                let target = next.wrapping_add_signed(field + immediate(opcode, byte));
                if sink.is_near(target) {
                    sink.at(site);
                    let how = match (opcode, byte >> 3 & 7) {
                        (0xff, 2 | 4) => How::CallThrough,
                        (0x8d, _) => How::Take,
                        _ => How::Access,
                    };
                    sink.names(site, target, how);
                }
            }
        }
    }
}

/// Bytes of the immediate operand that follows the displacement, from which
/// the displacement counts.
fn immediate(opcode: u8, modrm: u8) -> i64 {
    match (opcode, modrm >> 3 & 7) {
        (0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 | 0x6b, _) | (0xf6, 0 | 1) => 1,
        (0x81 | 0xc7 | 0x69, _) | (0xf7, 0 | 1) => 4,
        _ => 0,
    }
}
