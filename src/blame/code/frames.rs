//! `.eh_frame`: the bounds of functions, which even a stripped file has, for
//! unwinding (Linux Standard Base Core 5.0, 10.6.1).

use std::collections::HashMap;

use super::CannotSay;
use super::image::{Image, Section};

/// The longest augmentation, in bytes. Compilers write up to five letters.
const LONGEST_AUGMENTATION: usize = 16;

/// Start and end of each function that can be unwound. Entries that make no
/// sense are passed over: unwinding is not this program's business.
pub fn read(image: &Image<'_>) -> Result<Vec<(u64, u64)>, CannotSay> {
    let Some(section) = image.named(".eh_frame") else { return Ok(Vec::new()) };
    let bytes = image.bytes(section, ".eh_frame")?;
    let mut frames = Vec::new();
    let mut encodings = HashMap::new();
    let mut at = 0_usize;
    while let Some(length) = word(image, &bytes, at) {
        // 0 ends the list; 0xffffffff is for entries of more than 4 GiB.
        if length == 0 || length == u32::MAX {
            break;
        }
        let start = at + 4;
        let Some(end) = start.checked_add(length as usize).filter(|end| *end <= bytes.len()) else { break };
        if let Some(back) = word(image, &bytes, start).filter(|back| *back != 0) {
            let cie = start.checked_sub(back as usize);
            let encoding = cie.and_then(|cie| {
                *encodings.entry(cie).or_insert_with(|| pointer_encoding(image, &bytes, cie))
            });
            let range = encoding.and_then(|one| range(image, section, &bytes[..end], start + 4, one));
            frames.extend(range);
        }
        at = end;
    }
    Ok(frames)
}

fn word(image: &Image<'_>, bytes: &[u8], at: usize) -> Option<u32> {
    Some(image.u32(bytes.get(at..at.checked_add(4)?)?))
}

/// How the entries of a common entry write addresses: `R` of its augmentation.
fn pointer_encoding(image: &Image<'_>, bytes: &[u8], cie: usize) -> Option<u8> {
    let length = word(image, bytes, cie)? as usize;
    if word(image, bytes, cie + 4)? != 0 {
        return None;
    }
    let entry = bytes.get(cie + 8..(cie + 4).checked_add(length)?)?;
    let (version, rest) = entry.split_first()?;
    let end = rest.iter().take(LONGEST_AUGMENTATION).position(|byte| *byte == 0)?;
    let (augmentation, mut rest) = (&rest[..end], &rest[end + 1..]);
    let Some((b'z', letters)) = augmentation.split_first() else {
        return Some(0);
    };
    // The factors of code and data alignment, and the return address's column.
    skip_leb(&mut rest)?;
    skip_leb(&mut rest)?;
    if *version == 1 {
        rest = rest.get(1..)?;
    } else {
        skip_leb(&mut rest)?;
    }
    skip_leb(&mut rest)?;
    for letter in letters {
        match letter {
            b'R' => return rest.first().copied(),
            b'L' => rest = rest.get(1..)?,
            b'P' => rest = rest.get(1 + size_of_pointer(*rest.first()?)?..)?,
            b'S' | b'B' => {}
            _ => return None,
        }
    }
    Some(0)
}

fn skip_leb(bytes: &mut &[u8]) -> Option<()> {
    let end = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    *bytes = &bytes[end + 1..];
    Some(())
}

/// `DW_EH_PE_*`: the low four bits say how wide.
fn size_of_pointer(encoding: u8) -> Option<usize> {
    match encoding & 0x0f {
        0x00 | 0x04 | 0x0c => Some(8),
        0x03 | 0x0b => Some(4),
        _ => None,
    }
}

fn range(image: &Image<'_>, section: &Section, bytes: &[u8], at: usize, encoding: u8) -> Option<(u64, u64)> {
    let size = size_of_pointer(encoding)?;
    let number = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        Some(match encoding & 0x0f {
            0x03 => u64::from(image.u32(bytes)),
            0x0b => i64::from(image.u32(bytes) as i32) as u64,
            _ => image.u64(bytes),
        })
    };
    let base = match encoding & 0x70 {
        0x00 => 0,
        0x10 => section.address.wrapping_add(at as u64),
        _ => return None,
    };
    let start = base.wrapping_add(number(at)?);
    let len = match (number(at + size)?, encoding & 0x0f) {
        (len, 0x0b) => u64::from(len as u32),
        (len, _) => len,
    };
    let end = start.checked_add(len)?;
    (end > start).then_some((start, end))
}
