//! What a browser has got of the private messages that waited for it.
//!
//! A message must not be lost with an answer that never arrived, so it waits until its receiver confirms it. A page that
//! knows how says `/chat/ack`, or asks for what comes after. For one that doesn't, each answer of `/socket/get-msg` sets a
//! cookie that names the last message in it: a browser that has the answer has the cookie too, and shows it with its next
//! request.

use std::fmt;

/// What a browser has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Of the history that `seq` counts in.
    pub(crate) epoch: String,
    /// The last message that came, and all before it.
    pub(crate) seq: u64,
}

impl Receipt {
    /// From the cookie's value; `None` for what [`Receipt`] doesn't write. An earlier version wrote one part more in
    /// front.
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
