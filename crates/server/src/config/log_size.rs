//! The size of the hub's log.

use std::str::FromStr;

use super::{shape::Shape, value::parse_bytes};

/// Bytes of the hub's log: `10GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSize(pub(crate) u64);

impl FromStr for LogSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = parse_bytes(text).map(|bytes| bytes as u64);
        match bytes.filter(|bytes| (LOG_BYTES_MIN..=LOG_BYTES_MAX).contains(bytes)) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(Shape::LogSize.refuse(text)),
        }
    }
}

/// Bytes. Sixteen segments of 64 KiB.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// Bytes. The ids of segments last much longer.
const LOG_BYTES_MAX: u64 = 64 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_from_a_mebibyte_to_tebibytes() {
        assert_eq!("1MiB".parse(), Ok(LogSize(1 << 20)));
        assert_eq!("10GiB".parse(), Ok(LogSize(10 << 30)));
        assert_eq!("65536GiB".parse(), Ok(LogSize(64 << 40)));
        for bad in ["", "0", "1023KiB", "65537GiB", "off"] {
            assert!(bad.parse::<LogSize>().is_err(), "{bad}");
        }
    }
}
