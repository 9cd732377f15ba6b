//! What is kept of a connection, so that its client can come back: who it is, and its channels.

use serde::{Deserialize, Serialize};

/// What is kept of a connection. Texts of the client name channels by their places here, so places never change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Record {
    pub(super) user: String,
    channels: Vec<Kept>,
}

/// A channel, and the token with which the client has subscribed to it; empty without one.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Kept {
    pub(super) channel: String,
    pub(super) token: String,
}

/// The record has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordFull;

impl Record {
    pub(super) fn new(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            channels: Vec::new(),
        }
    }

    pub(super) fn channel(&self, index: usize) -> Option<&Kept> {
        self.channels.get(index)
    }

    /// Returns the place of a channel.
    pub(super) fn index(&self, channel: &str) -> Option<usize> {
        self.channels
            .iter()
            .position(|kept| kept.channel == channel)
    }

    /// Notes with which token the client subscribes to a channel. Returns whether that is new.
    ///
    /// # Errors
    ///
    /// It has as many channels, or as many bytes, as it may.
    pub(super) fn note(&mut self, channel: &str, token: &str) -> Result<bool, RecordFull> {
        let bytes = self
            .channels
            .iter()
            .map(|kept| kept.channel.len() + kept.token.len());
        if bytes.sum::<usize>() + channel.len() + token.len() > BYTES_MAX {
            return Err(RecordFull);
        }
        if let Some(index) = self.index(channel) {
            let kept = &mut self.channels[index];
            let is_new = kept.token != token;
            token.clone_into(&mut kept.token);
            return Ok(is_new);
        }
        if self.channels.len() >= CHANNELS_MAX {
            return Err(RecordFull);
        }
        self.channels.push(Kept {
            channel: channel.to_owned(),
            token: token.to_owned(),
        });
        Ok(true)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // Texts are JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// Different channels of a connection. With more of them it can't be recovered.
const CHANNELS_MAX: usize = 32;

/// Bytes of the names and tokens.
const BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_and_the_record_has_limits() {
        let mut record = Record::new("ann");
        assert_eq!(record.note("a", ""), Ok(true));
        assert_eq!(record.note("b", "t"), Ok(true));
        assert_eq!(record.note("a", ""), Ok(false));
        assert_eq!(record.note("a", "new"), Ok(true));
        assert_eq!((record.index("a"), record.index("b")), (Some(0), Some(1)));
        assert_eq!(Record::decode(&record.encode()).as_ref(), Some(&record));
        for number in 2..32 {
            assert_eq!(record.note(&number.to_string(), ""), Ok(true));
        }
        assert_eq!(record.note("one too many", ""), Err(RecordFull));
        assert_eq!(record.note("a", &"t".repeat(8 << 10)), Err(RecordFull));
    }
}
