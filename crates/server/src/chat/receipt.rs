//! Receipts: which waiting private messages a browser has received.
//!
//! A message must not be lost with an answer that never arrives, so it waits until its recipient confirms it. A page does so
//! by `/chat/ack`, or by asking for the messages after it. For other pages, each answer of `/socket/get-msg` sets a cookie
//! that names its last message: a browser that received the answer sends the cookie with its next request.

use std::fmt;

/// The messages that a browser has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The history that `seq` belongs to.
    pub(crate) epoch: String,
    /// The last received message. All before it count as received.
    pub(crate) seq: u64,
}

impl Receipt {
    /// Parses the cookie's value; `None` if it is invalid. An earlier version wrote one more part in front.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, seq) = text.rsplit_once('.')?;
        let epoch = rest.rsplit_once('.').map_or(rest, |(_, epoch)| epoch);
        Some(Self {
            epoch: epoch.to_owned(),
            seq: seq.parse().ok()?,
        })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let receipt = Receipt {
            epoch: "e1".into(),
            seq: 9,
        };
        assert_eq!(Receipt::parse(&receipt.to_string()), Some(receipt.clone()));
        assert_eq!(Receipt::parse("0000000000000007.e1.9"), Some(receipt));
        for bad in ["", "7", "e.", "e.-1", "e.x"] {
            assert_eq!(Receipt::parse(bad), None, "{bad}");
        }
    }
}
