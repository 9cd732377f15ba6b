//! The cookie that says what a browser has already got from `/socket/get-msg`.
//!
//! A message is handed out once, and yet must not be lost with an answer that never arrived. Nobody can know both from
//! the server alone. So each answer sets a cookie that names the last message in it: a browser that has the answer has the
//! cookie too, and shows it with its next request. Pages need to know nothing of it.

use std::fmt;

/// What a browser shows of what it has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// The browser: a person may have several. Random, never 0.
    pub(crate) jar: u64,
    /// Of the history that `seq` counts in; empty before the first answer.
    pub(crate) epoch: String,
    /// The last message that came.
    pub(crate) seq: u64,
}

impl Receipt {
    /// A browser that has got nothing yet.
    pub(crate) fn blank(jar: u64) -> Self {
        Self {
            jar: jar.max(1),
            epoch: String::new(),
            seq: 0,
        }
    }

    /// From the cookie's value; `None` for what [`Receipt`] doesn't write.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (jar, rest) = text.split_once('.')?;
        let (epoch, seq) = rest.split_once('.')?;
        let jar = u64::from_str_radix(jar, 16).ok().filter(|jar| *jar > 0)?;
        Some(Self {
            jar,
            epoch: epoch.to_owned(),
            seq: seq.parse().ok()?,
        })
    }

    /// Whether the browser has message `seq` of history `epoch`.
    pub(crate) fn covers(&self, epoch: &str, seq: u64) -> bool {
        self.epoch == epoch && seq <= self.seq
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}.{}", self.jar, self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let mut receipt = Receipt::blank(7);
        assert_eq!(Receipt::parse(&receipt.to_string()), Some(receipt.clone()));
        (receipt.epoch, receipt.seq) = ("e1".into(), 9);
        assert_eq!(Receipt::parse(&receipt.to_string()), Some(receipt.clone()));
        assert!(receipt.covers("e1", 9) && !receipt.covers("e1", 10) && !receipt.covers("e2", 1));
        for bad in ["", "7", "7.e", "0.e.1", "x.e.1", "7.e.-1"] {
            assert_eq!(Receipt::parse(bad), None, "{bad}");
        }
    }
}
