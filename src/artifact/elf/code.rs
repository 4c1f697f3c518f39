//! What stands at a place in a file's code.

use std::path::Path;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use super::super::Source;
use super::{Elf, ReadError};

/// A place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// So many bytes behind the page in which the first executable segment begins.
    FromCode(u64),
    /// So many bytes from the file's beginning.
    FromFile(u64),
}

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The address in the file's own terms.
    pub address: u64,
    /// The function of `.symtab` and how far in it, in bytes.
    pub function: Option<(String, u64)>,
    pub bytes: Vec<u8>,
}

/// Reads at most `len` bytes of code. `Ok(None)`: the place is in no segment.
pub fn code_at(path: &Path, spot: Spot, len: u64) -> Result<Option<Code>, ReadError> {
    let source = Source::open(path)?;
    let ident = source.read(0, 16, "the ELF identification")?;
    match ident[4] {
        1 => Elf::<elf::FileHeader32<Endianness>>::open(&source)?.code_at(spot, len),
        _ => Elf::<elf::FileHeader64<Endianness>>::open(&source)?.code_at(spot, len),
    }
}

impl<H: FileHeader<Endian = Endianness>> Elf<'_, H> {
    fn code_at(&self, spot: Spot, len: u64) -> Result<Option<Code>, ReadError> {
        let address = match spot {
            Spot::FromCode(distance) => self.first_code().and_then(|start| start.checked_add(distance)),
            Spot::FromFile(offset) => self.loads.iter().find_map(|load| {
                let into = offset.checked_sub(load.offset).filter(|into| *into < load.file_size)?;
                load.address.checked_add(into)
            }),
        };
        let Some(address) = address else { return Ok(None) };
        let Some((offset, left)) = self.place(address) else { return Ok(None) };
        let bytes = self.source.read(offset, len.min(left), "code")?;
        let functions = self.functions()?;
        let before = functions.partition_point(|function| function.start <= address);
        let function = functions[..before].iter().rev().find(|function| {
            let into = address - function.start;
            // Hand-written ones have no size.
            into < function.size || (function.size == 0 && into < 4096)
        });
        let function = function
            .map(|function| (rustc_demangle::demangle(&function.name).to_string(), address - function.start));
        Ok(Some(Code { address, function, bytes }))
    }

    fn first_code(&self) -> Option<u64> {
        let code = |segment: &&H::ProgramHeader| {
            segment.p_type(self.endian) == elf::PT_LOAD && segment.p_flags(self.endian).0 & elf::PF_X.0 != 0
        };
        let starts = self.segments.iter().filter(code).map(|segment| segment.p_vaddr(self.endian).into());
        starts.min()
    }
}
