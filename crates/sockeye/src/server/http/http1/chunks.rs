//! Where a chunked body ends (RFC 9112 section 7.1).

/// A scanner that finds the end of a chunked body and passes over the data. hyper decodes the body. Here every line
/// must end in CR LF, as in a head, because a proxy in front may take other bytes for line ends than we do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    position: ChunkPosition,
    /// The length of the current chunk: the part that was parsed so far, then the bytes that are left.
    left: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkPosition {
    /// Before the first digit of a length.
    #[default]
    Length,
    /// After at least one digit.
    Digits,
    /// After the length, where extensions stand.
    Extension,
    /// After the CR of the line with the length.
    LengthEnd,
    Data,
    /// After the data: CR, then LF.
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    Trailer,
    /// Within such a line, after its first byte.
    TrailerLine,
    TrailerEnd,
    /// After the CR of the empty line.
    End,
}

/// What a piece of a body contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkScan {
    /// The body continues after it.
    More,
    /// The body ends after this many bytes of it.
    End(usize),
    /// The chunks are malformed.
    Broken,
}

impl Chunks {
    /// Scans the next piece of the body.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> ChunkScan {
        let mut at = 0;
        while at < bytes.len() {
            if self.position == ChunkPosition::Data {
                let here = bytes.len() - at;
                let taken = usize::try_from(self.left).map_or(here, |left| left.min(here));
                self.left -= taken as u64;
                at += taken;
                if self.left == 0 {
                    self.position = ChunkPosition::DataCr;
                }
                continue;
            }
            let is_end = self.position == ChunkPosition::End;
            match self.after(bytes[at]) {
                Some(position) => self.position = position,
                None => return ChunkScan::Broken,
            }
            at += 1;
            if is_end {
                return ChunkScan::End(at);
            }
        }
        ChunkScan::More
    }

    /// Returns the position after one more byte that isn't data.
    fn after(&mut self, byte: u8) -> Option<ChunkPosition> {
        Some(match (self.position, byte) {
            (ChunkPosition::Length | ChunkPosition::Digits, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(digit.into())?;
                ChunkPosition::Digits
            }
            (ChunkPosition::Digits | ChunkPosition::Extension, b'\r') => ChunkPosition::LengthEnd,
            (ChunkPosition::Digits, b';' | b' ' | b'\t') => ChunkPosition::Extension,
            (ChunkPosition::Extension | ChunkPosition::TrailerLine, _) if is_text(byte) => {
                self.position
            }
            (ChunkPosition::LengthEnd, b'\n') if self.left == 0 => ChunkPosition::Trailer,
            (ChunkPosition::LengthEnd, b'\n') => ChunkPosition::Data,
            (ChunkPosition::DataCr, b'\r') => ChunkPosition::DataLf,
            (ChunkPosition::DataLf, b'\n') => ChunkPosition::Length,
            (ChunkPosition::Trailer, b'\r') => ChunkPosition::End,
            (ChunkPosition::Trailer, _) if is_text(byte) => ChunkPosition::TrailerLine,
            (ChunkPosition::TrailerLine, b'\r') => ChunkPosition::TrailerEnd,
            (ChunkPosition::TrailerEnd, b'\n') => ChunkPosition::Trailer,
            (ChunkPosition::End, b'\n') => ChunkPosition::Length,
            _ => return None,
        })
    }
}

fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_is_found_wherever_the_body_is_cut() {
        let body = b"5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n";
        let bytes = [body.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
        for cut in 1..body.len() {
            let mut chunks = Chunks::default();
            assert_eq!(chunks.scan(&bytes[..cut]), ChunkScan::More, "{cut}");
            assert_eq!(
                chunks.scan(&bytes[cut..]),
                ChunkScan::End(body.len() - cut),
                "{cut}"
            );
        }
    }

    #[test]
    fn broken_chunks_are_seen() {
        for body in [
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhello!\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\n\r\n",
            "5\r\nhello\r\n0\r\n\n",
            "0\r\nX: 1\n\r\n",
            "\r\n",
            ";x\r\n",
            "x\r\n",
            "-1\r\n",
            "5;a\0b\r\n",
            "10000000000000000\r\n",
        ] {
            assert_eq!(
                Chunks::default().scan(body.as_bytes()),
                ChunkScan::Broken,
                "{body:?}"
            );
        }
    }
}
