//! What is read over and over.

/// A buffer full of masked frames.
pub(crate) struct Story {
    pub(crate) wire: Vec<u8>,
    pub(crate) frames: usize,
    payload: Vec<u8>,
}

/// What [`Story::named`] knows.
pub(crate) const NAMES: [&str; 5] = ["binary-16", "binary-1", "text-16", "text-1", "text-1k"];

impl Story {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let short = b"twenty bytes of data".to_vec();
        let long: String = "Ünïcödé, 日本語, текст 🐟. "
            .chars()
            .cycle()
            .take(1024)
            .collect();
        let mut end = 1024;
        while !long.is_char_boundary(end) {
            end -= 1;
        }
        let mut long = long[..end].to_owned();
        long.extend(std::iter::repeat_n('.', 1024 - end));
        Some(match name {
            "binary-16" => Self::new(0x82, short, 16),
            "binary-1" => Self::new(0x82, short, 1),
            "text-16" => Self::new(0x81, short, 16),
            "text-1" => Self::new(0x81, short, 1),
            "text-1k" => Self::new(0x81, long.into_bytes(), 1),
            _ => return None,
        })
    }

    fn new(first: u8, payload: Vec<u8>, frames: usize) -> Self {
        let mut wire = Vec::new();
        for index in 0..frames {
            let key = [0x37, 0xfa, 0x21, 0x3d ^ index as u8];
            wire.push(first);
            match payload.len() {
                len @ 0..=125 => wire.push(0x80 | len as u8),
                len => {
                    wire.push(0x80 | 126);
                    wire.extend((len as u16).to_be_bytes());
                }
            }
            wire.extend(key);
            wire.extend(
                payload
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        }
        Self {
            wire,
            frames,
            payload,
        }
    }

    /// Bytes of payload in one round.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload.len() * self.frames
    }
}
