//! A QR code as the path of an SVG.

use fast_qr::{ECL, QRBuilder};
use serde::Serialize;

/// What a page needs to draw it: one path in a square.
#[derive(Debug, Serialize)]
pub(crate) struct Picture {
    /// Modules on a side, with the quiet zone (ISO/IEC 18004 section 9.1: four modules).
    size: usize,
    /// The dark modules.
    path: String,
}

impl Picture {
    /// `None` if the text is longer than any code can hold.
    pub(crate) fn of(text: &str) -> Option<Self> {
        // M: a seventh of it may be lost to dirt and glare.
        let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
        let mut path = String::new();
        for y in 0..code.size {
            let row: Vec<bool> = code[y][..code.size]
                .iter()
                .map(|module| module.value())
                .collect();
            let mut x = 0;
            while x < row.len() {
                let run = row[x..].iter().take_while(|dark| **dark).count();
                if run > 0 {
                    let (left, top) = (x + QUIET, y + QUIET);
                    path.push_str(&format!("M{left} {top}h{run}v1h-{run}z"));
                }
                x += run.max(1);
            }
        }
        Some(Self {
            size: code.size + 2 * QUIET,
            path,
        })
    }
}

/// Modules.
const QUIET: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_finder_patterns_within_the_quiet_zone() {
        let picture =
            Picture::of("http://127.0.0.1:8080/login/confirm#abcdefghijklmnopqrstuv").unwrap();
        // The upper edge of the two upper finder patterns: seven dark modules each.
        assert!(picture.path.starts_with("M4 4h7v1h-7z"), "{}", picture.path);
        let right = picture.size - 4 - 7;
        assert!(picture.path.contains(&format!("M{right} 4h7v1h-7z")));
        assert!(Picture::of(&"x".repeat(5000)).is_none());
    }
}
