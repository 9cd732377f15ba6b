//! Where a chunked body ends (RFC 9112 section 7.1).

/// Follows a chunked body to its end, without looking at the data. What is in it is decoded elsewhere; here
/// every line must end in CR LF, as in a head, because a proxy may see other lines than we do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Of the chunk that is under way: its length so far, then what is left of it.
    left: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a length.
    #[default]
    Length,
    /// Behind at least one digit.
    Digits,
    /// Behind the length, where extensions stand.
    Extension,
    /// Behind the CR of a length's line.
    LengthEnd,
    Data,
    /// Behind the data: CR, then LF.
    DataCr,
    DataLf,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    /// Within such a line, which isn't empty.
    TrailerLine,
    TrailerEnd,
    /// Behind the CR of the empty line.
    End,
}

/// What was found in a piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The body goes on behind it.
    More,
    /// The body ends after so many bytes of it.
    End(usize),
    /// It isn't chunked well.
    Broken,
}

impl Chunks {
    /// Looks at the next piece of the body.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Found {
        let mut at = 0;
        while at < bytes.len() {
            if self.place == Place::Data {
                let here = bytes.len() - at;
                let taken = usize::try_from(self.left).map_or(here, |left| left.min(here));
                self.left -= taken as u64;
                at += taken;
                if self.left == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            let is_end = self.place == Place::End;
            match self.after(bytes[at]) {
                Some(place) => self.place = place,
                None => return Found::Broken,
            }
            at += 1;
            if is_end {
                return Found::End(at);
            }
        }
        Found::More
    }

    /// Where the body is after one more byte that isn't data.
    fn after(&mut self, byte: u8) -> Option<Place> {
        Some(match (self.place, byte) {
            (Place::Length | Place::Digits, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left.checked_mul(16)?.checked_add(digit.into())?;
                Place::Digits
            }
            (Place::Digits | Place::Extension, b'\r') => Place::LengthEnd,
            (Place::Digits, b';' | b' ' | b'\t') => Place::Extension,
            (Place::Extension | Place::TrailerLine, _) if is_text(byte) => self.place,
            (Place::LengthEnd, b'\n') if self.left == 0 => Place::Trailer,
            (Place::LengthEnd, b'\n') => Place::Data,
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Length,
            (Place::Trailer, b'\r') => Place::End,
            (Place::Trailer, _) if is_text(byte) => Place::TrailerLine,
            (Place::TrailerLine, b'\r') => Place::TrailerEnd,
            (Place::TrailerEnd, b'\n') => Place::Trailer,
            (Place::End, b'\n') => Place::Length,
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
            assert_eq!(chunks.scan(&bytes[..cut]), Found::More, "{cut}");
            assert_eq!(
                chunks.scan(&bytes[cut..]),
                Found::End(body.len() - cut),
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
                Found::Broken,
                "{body:?}"
            );
        }
    }
}
