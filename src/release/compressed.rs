//! Compressed streams: gzip, xz and Zstandard, each by its magic.

use std::io::{self, BufRead, Read};

use lzma_rust2::XzReader;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// The largest window that is kept, in bytes: what `xz -9` and `zstd --long`
/// ask for. A header can ask for 4 GiB in a few bytes.
const LARGEST_WINDOW: u64 = 128 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Xz,
    Zstandard,
}

impl Compression {
    /// RFC 1952, the .xz file format 1.2, RFC 8878.
    pub fn of(head: &[u8]) -> Option<Self> {
        [
            (&b"\x1f\x8b\x08"[..], Self::Gzip),
            (b"\xfd7zXZ\0", Self::Xz),
            (b"\x28\xb5\x2f\xfd", Self::Zstandard),
        ]
        .into_iter()
        .find_map(|(magic, compression)| head.starts_with(magic).then_some(compression))
    }

    /// The stream unpacked: members and frames that follow each other are one.
    pub fn reader<'r>(self, packed: impl BufRead + 'r) -> Box<dyn Read + 'r> {
        match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Self::Xz => {
                let most = (LARGEST_WINDOW >> 10) as u32 + 1024;
                Box::new(XzReader::new_mem_limit(packed, true, most))
            }
            Self::Zstandard => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(LARGEST_WINDOW);
                Box::new(Frames { packed, decoder, inside: false })
            }
        }
    }
}

/// Zstandard frames, one after the other; the crate's own reader stops at the
/// end of the first.
struct Frames<R> {
    packed: R,
    decoder: FrameDecoder,
    inside: bool,
}

impl<R: BufRead> Frames<R> {
    /// Goes to the next frame; `false` at the end.
    fn next(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut (&mut self.packed).take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error @ FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(io::Error::new(io::ErrorKind::OutOfMemory, error));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBytes;
        loop {
            if self.inside {
                while self.decoder.can_collect() < buffer.len() && !self.decoder.is_finished() {
                    let wanted = UptoBytes(buffer.len() - self.decoder.can_collect());
                    self.decoder.decode_blocks(&mut self.packed, wanted).map_err(io::Error::other)?;
                }
                let read = self.decoder.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
                let stored = self.decoder.get_checksum_from_data();
                if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a checksum is wrong"));
                }
                self.inside = false;
            }
            if !self.next()? {
                return Ok(0);
            }
            self.inside = true;
        }
    }
}
