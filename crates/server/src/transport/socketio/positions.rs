//! Which of its channels' publications a client has: the text that it keeps and brings back.
//!
//! The text is `PID.INDEX:OFFSET:EPOCH,…`: the first characters of the connection's id, and for each channel its place in the record, and
//! its position. `PID.-` says that nothing can be recovered.

use std::fmt::Write as _;

/// The positions of one connection, as far as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    tag: Box<str>,
    tracked: Vec<Tracked>,
    /// Whether the client is in a channel whose publications can't be recovered, or was in more channels than a record has.
    is_lost: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tracked {
    index: usize,
    channel: Box<str>,
    offset: u64,
    epoch: Box<str>,
}

/// A position that a client brings back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BroughtPosition {
    /// Place in the record.
    pub(super) index: usize,
    pub(super) offset: u64,
    pub(super) epoch: String,
}

/// What a client brings back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    Positions(Vec<BroughtPosition>),
    /// It says that nothing can be recovered, or isn't a text of this server.
    Nothing,
}

impl Positions {
    /// Begins without a channel.
    pub(super) fn new(pid: &str) -> Self {
        Self {
            tag: tag(pid).into(),
            tracked: Vec::new(),
            is_lost: false,
        }
    }

    /// Adds a channel, or changes its position. `epoch` is empty if its publications can't be recovered.
    pub(super) fn set(&mut self, index: usize, channel: &str, offset: u64, epoch: &str) {
        self.remove(channel);
        self.is_lost |= epoch.is_empty() || epoch.contains(',');
        self.tracked.push(Tracked {
            index,
            channel: channel.into(),
            offset,
            epoch: epoch.into(),
        });
    }

    /// Notes that the client is no longer in a channel. What was lost stays so.
    pub(super) fn remove(&mut self, channel: &str) {
        self.tracked.retain(|tracked| *tracked.channel != *channel);
    }

    /// Notes that a publication is sent. Offset 0 is one that isn't in the history.
    pub(super) fn advance(&mut self, channel: &str, offset: u64) {
        let mut tracked = self.tracked.iter_mut();
        if let Some(tracked) = tracked.find(|tracked| *tracked.channel == *channel)
            && offset > 0
        {
            tracked.offset = offset;
        }
    }

    /// Notes that nothing can be recovered from now on.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Returns the text for the client.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}.", self.tag);
        if self.is_lost {
            text.push('-');
            return text;
        }
        for (at, tracked) in self.tracked.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let Tracked {
                index,
                offset,
                epoch,
                ..
            } = tracked;
            // Writing to a String can't fail.
            let _ = write!(text, "{comma}{index}:{offset}:{epoch}");
        }
        text
    }
}

/// Returns what a client brings back with `pid`. A client that has had no event since it got the id has the text of an earlier one, or
/// none: it was in no channel, because the text that names a channel comes before the ack of its subscription.
pub(super) fn brought(pid: &str, text: Option<&str>) -> Brought {
    let own = text.and_then(|text| text.strip_prefix(tag(pid))?.strip_prefix('.'));
    match own {
        None | Some("") => Brought::Positions(Vec::new()),
        Some(own) => match own.split(',').map(position).collect() {
            Some(positions) => Brought::Positions(positions),
            None => Brought::Nothing,
        },
    }
}

fn position(text: &str) -> Option<BroughtPosition> {
    let mut parts = text.splitn(3, ':');
    Some(BroughtPosition {
        index: parts.next()?.parse().ok()?,
        offset: parts.next()?.parse().ok()?,
        epoch: parts.next().filter(|epoch| !epoch.is_empty())?.to_owned(),
    })
}

/// Returns what tells the texts of a connection from those of another: the characters are random.
fn tag(pid: &str) -> &str {
    pid.get(..TAG_BYTES).unwrap_or(pid)
}

/// Characters of base64: 60 bits.
const TAG_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const PID: &str = "abcdefghijklmnopqrst";

    #[test]
    fn a_text_brings_back_the_positions_that_were_sent() {
        let mut positions = Positions::new(PID);
        assert_eq!(positions.text(), "abcdefghij.");
        positions.set(0, "news", 7, "e:1");
        positions.set(2, "chat", 0, "e2");
        positions.advance("news", 9);
        positions.advance("chat", 0);
        positions.advance("other", 5);
        assert_eq!(positions.text(), "abcdefghij.0:9:e:1,2:0:e2");
        let position = |index, offset, epoch: &str| BroughtPosition {
            index,
            offset,
            epoch: epoch.to_owned(),
        };
        let expected = vec![position(0, 9, "e:1"), position(2, 0, "e2")];
        assert_eq!(
            brought(PID, Some(&positions.text())),
            Brought::Positions(expected)
        );
        positions.remove("news");
        assert_eq!(positions.text(), "abcdefghij.2:0:e2");
    }

    #[test]
    fn a_foreign_or_missing_text_is_the_beginning_and_a_broken_one_nothing() {
        // The client keeps the text of one id under the next.
        for text in [
            None,
            Some("0123456789.0:9:e"),
            Some("abcdefghij."),
            Some("hello"),
            Some(""),
        ] {
            assert_eq!(
                brought(PID, text),
                Brought::Positions(Vec::new()),
                "{text:?}"
            );
        }
        for text in [
            "-",
            "0",
            "0:1",
            "0:1:",
            "0:-1:e",
            "x:1:e",
            "0:1:e,",
            "0:99999999999999999999:e",
        ] {
            assert_eq!(
                brought(PID, Some(&format!("abcdefghij.{text}"))),
                Brought::Nothing,
                "{text}"
            );
        }
    }

    #[test]
    fn a_channel_without_a_history_makes_all_unrecoverable() {
        let mut positions = Positions::new(PID);
        positions.set(0, "news", 7, "e");
        positions.set(1, "live", 0, "");
        assert_eq!(positions.text(), "abcdefghij.-");
        positions.remove("live");
        assert_eq!(positions.text(), "abcdefghij.-");
    }
}
