//! A QR code as the path of an SVG.

use fast_qr::{ECL, QRBuilder};
use serde::Serialize;

/// A QR code as one SVG path in a square, ready to draw.
#[derive(Debug, Serialize)]
pub(crate) struct QrCode {
    /// Modules on each side, with the quiet zone (ISO/IEC 18004 section 9.1: four modules).
    size: usize,
    /// The dark modules.
    path: String,
}

impl QrCode {
    /// Encodes a text; `None` if it is too long for a QR code.
    pub(crate) fn of(text: &str) -> Option<Self> {
        // Level M: a code with 15 % of damage can still be read.
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

/// Modules of the quiet zone on each side.
const QUIET: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_finder_patterns_within_the_quiet_zone() {
        let qr_code =
            QrCode::of("http://127.0.0.1:8080/login/confirm#abcdefghijklmnopqrstuv").unwrap();
        // The upper edge of the two upper finder patterns: seven dark modules each.
        assert!(qr_code.path.starts_with("M4 4h7v1h-7z"), "{}", qr_code.path);
        let right = qr_code.size - 4 - 7;
        assert!(qr_code.path.contains(&format!("M{right} 4h7v1h-7z")));
        assert!(QrCode::of(&"x".repeat(5000)).is_none());
    }
}
