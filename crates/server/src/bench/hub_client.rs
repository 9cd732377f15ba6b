//! Clients of a hub: what they send first, and what they make of what comes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use sockeye::{Closed, Endpoint, Error, Message, Reply as Answer, Session};
use sockeye_hub::wire::{Command, ConnectRequest, Encoding, Reply, SubscribeRequest};

use super::{
    fan_out::{FanOut, Seats},
    link::{Ending, Run},
    payload::{Read, Stamp},
    publisher::{FIRST_ID, send},
    tokens::Dials,
};

/// The state that all clients of a run share.
pub(crate) struct Hub {
    pub(crate) run: Arc<Run>,
    pub(crate) dials: Arc<Dials>,
    pub(crate) encoding: Encoding,
    /// The names of the channels.
    pub(crate) names: Arc<[String]>,
    /// Channels of each client.
    pub(crate) subscriptions: usize,
    /// Whether subscriptions that can be recovered are asked for.
    pub(crate) is_recoverable: bool,
    pub(crate) stamp: Arc<Stamp>,
    /// Publications of the publisher that the server has accepted.
    pub(crate) accepted: Arc<AtomicU64>,
}

/// Where a client has stopped to receive a channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

/// One object that the server has sent.
pub(crate) enum Incoming {
    /// The server asks whether the client is there.
    Ping,
    /// A publication of a run.
    Publication(Read),
    Reply(Box<Reply>),
    /// Nothing that the protocol knows: the reason.
    Unknown(String),
}

impl Hub {
    /// Returns the channels of a receiver, by the receivers' own numbers from 0 on.
    pub(crate) fn channels(&self, receiver: usize) -> impl Iterator<Item = usize> + use<> {
        let (count, channels) = (self.subscriptions, self.names.len());
        (0..count).map(move |slot| (receiver * count + slot) % channels)
    }

    /// Sends what a client sends first: it connects, and subscribes to channels, from these positions on if there are any.
    pub(crate) fn begin(
        &self,
        session: &Session,
        number: usize,
        channels: &[usize],
        positions: Vec<Position>,
    ) {
        let token = self.dials.first_message_token(number).unwrap_or_default();
        let connect = ConnectRequest {
            token: token.to_owned(),
            name: "sockeye-bench".to_owned(),
            ..ConnectRequest::default()
        };
        let mut commands = vec![Command {
            id: CONNECT_ID,
            connect: Some(connect),
            ..Command::default()
        }];
        let mut positions = positions.into_iter();
        for (id, channel) in (CONNECT_ID + 1..).zip(channels) {
            let position = positions.next();
            let is_recovery = position.is_some();
            let position = position.unwrap_or_default();
            let subscribe = SubscribeRequest {
                channel: self.names[*channel].clone(),
                recover: is_recovery,
                epoch: position.epoch,
                offset: position.offset,
                recoverable: self.is_recoverable,
                ..SubscribeRequest::default()
            };
            commands.push(Command {
                id,
                subscribe: Some(subscribe),
                ..Command::default()
            });
        }
        if !send(session, self.encoding, &commands) {
            self.run
                .count_error("the first commands can't be sent".to_owned());
        }
    }

    /// Calls `each` with what a message holds.
    pub(crate) fn read(&self, message: &Message<'_>, mut each: impl FnMut(Incoming)) {
        let mut rest = message.as_bytes();
        while !rest.is_empty() {
            let (object, after) = match self.encoding {
                Encoding::Json => split_line(rest),
                Encoding::Protobuf => match split_delimited(rest) {
                    Some(split) => split,
                    None => return each(Incoming::Unknown("an object has no end".to_owned())),
                },
            };
            let whole = &rest[..rest.len() - after.len()];
            rest = after;
            if object.is_empty() || object == b"{}" {
                each(Incoming::Ping);
                continue;
            }
            match self.stamp.find(object) {
                // A reply may hold publications, too.
                Read::Foreign => each(self.decode(whole)),
                read if is_push(self.encoding, object) => each(Incoming::Publication(read)),
                _ => each(self.decode(whole)),
            }
        }
    }

    fn decode(&self, object: &[u8]) -> Incoming {
        let object = match self.encoding {
            Encoding::Json => object.strip_suffix(b"\n").unwrap_or(object),
            Encoding::Protobuf => object,
        };
        let mut replies = self.encoding.decode_replies(Bytes::copy_from_slice(object));
        match replies.next() {
            Some(Ok(reply)) => Incoming::Reply(Box::new(reply)),
            Some(Err(error)) => Incoming::Unknown(error.to_string()),
            None => Incoming::Unknown("an empty object".to_owned()),
        }
    }

    /// Answers a ping.
    pub(crate) fn pong(&self, session: &Session) {
        send(session, self.encoding, &[Command::default()]);
    }

    /// Counts what the server says unasked, if it is an end.
    pub(crate) fn count_push(&self, reply: &Reply) {
        let push = reply.push.as_ref();
        if let Some(unsubscribe) = push.and_then(|push| push.unsubscribe.as_ref()) {
            self.run.wrong.fetch_add(1, Ordering::Relaxed);
            let (code, reason) = (unsubscribe.code, &unsubscribe.reason);
            self.run
                .count_error(format!("unsubscribed: {code} {reason}"));
        }
    }
}

/// The text of a reply's error.
pub(crate) fn error_text(reply: &Reply) -> Option<String> {
    let error = reply.error.as_ref()?;
    Some(format!("{} {}", error.code, error.message))
}

fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// Splits off an object behind its length, a varint. `None`: it isn't there as a whole.
fn split_delimited(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes[index + 1..].split_at_checked(length);
        }
    }
    None
}

/// Returns whether an object is a push, by its first bytes: as a server writes one that has nothing else.
fn is_push(encoding: Encoding, object: &[u8]) -> bool {
    match encoding {
        Encoding::Json => object.starts_with(b"{\"push\""),
        // Field 4, a message.
        Encoding::Protobuf => object[0] == 4 << 3 | 2,
    }
}

/// The endpoint of one connection in mode `hub`. The first one publishes.
pub(crate) struct HubClient {
    hub: Arc<Hub>,
    fan_out: Arc<FanOut>,
    number: usize,
    seats: Seats,
    /// Replies to the first commands that have not come.
    awaited: usize,
    ending: Ending,
}

impl HubClient {
    pub(crate) fn new(hub: &Arc<Hub>, fan_out: &Arc<FanOut>, number: usize) -> Self {
        let receiver = number.checked_sub(1);
        let seats = receiver.map_or_else(
            || Seats::new([]),
            |receiver| Seats::new(hub.channels(receiver)),
        );
        Self {
            awaited: 1 + seats.channels().count(),
            hub: Arc::clone(hub),
            fan_out: Arc::clone(fan_out),
            number,
            seats,
            ending: Ending::default(),
        }
    }

    fn handle_reply(&mut self, reply: &Reply) {
        if reply.id == 0 {
            return self.hub.count_push(reply);
        }
        if let Some(error) = error_text(reply) {
            let what = match reply.id {
                CONNECT_ID => "not connected",
                FIRST_ID.. => "not published",
                _ => "not subscribed",
            };
            return self.hub.run.count_error(format!("{what}: {error}"));
        }
        if reply.id >= FIRST_ID {
            self.hub.accepted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 && self.number > 0 {
            self.fan_out.join();
        }
    }

    fn wrong(&self) {
        self.hub.run.wrong.fetch_add(1, Ordering::Relaxed);
    }
}

impl Endpoint for HubClient {
    fn on_open(&mut self, session: &Session) {
        let channels: Vec<usize> = self.seats.channels().collect();
        self.hub.begin(session, self.number, &channels, vec![]);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Answer {
        let hub = Arc::clone(&self.hub);
        hub.read(&message, |incoming| match incoming {
            Incoming::Ping => hub.pong(session),
            Incoming::Publication(Read::Number(number)) => {
                if !self.fan_out.receive(self.number, &mut self.seats, number) {
                    self.wrong();
                }
            }
            Incoming::Publication(_) => self.wrong(),
            Incoming::Reply(reply) => self.handle_reply(&reply),
            Incoming::Unknown(what) => {
                self.wrong();
                hub.run.count_error(format!("not understood: {what}"));
            }
        });
        Answer::None
    }

    fn on_error(&mut self, _session: &Session, error: &Error) {
        self.ending.handle_error(error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        if self.ending.handle_close(&self.hub.run, closed) && self.number > 0 {
            self.fan_out.leave(&self.seats);
        }
    }
}

/// The id of the connect command. Those of the subscribe commands follow.
pub(crate) const CONNECT_ID: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_split_at_newlines_and_by_their_lengths() {
        assert_eq!(split_line(b"a\nb\nc"), (&b"a"[..], &b"b\nc"[..]));
        assert_eq!(split_line(b"a"), (&b"a"[..], &b""[..]));
        assert_eq!(split_delimited(b"\x02abc"), Some((&b"ab"[..], &b"c"[..])));
        assert_eq!(split_delimited(b"\x00\x00"), Some((&b""[..], &b"\x00"[..])));
        let mut long = vec![0x80 | 44, 2];
        long.extend([7; 300]);
        let (object, rest) = split_delimited(&long).unwrap();
        assert_eq!((object.len(), rest.len()), (300, 0));
        assert_eq!(split_delimited(b"\x03ab"), None);
        assert_eq!(split_delimited(&[0x80; 6]), None);
    }
}
