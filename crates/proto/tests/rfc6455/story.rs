//! Gives bytes to one end of a connection and records its events and answers.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test crate tells the stories it needs"
)]

use sockeye_proto::{
    Connection, Delivery, Event, Input, Limits, MessageKind, ProtocolError, Role, Violation,
    extension::{Deflate, DeflateParams},
};

/// An event that owns its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    /// The kind, the payload, and whether it is the last part.
    Part(MessageKind, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// What one end did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    /// The events that it returned.
    pub(crate) seen: Vec<Seen>,
    /// The error after them.
    pub(crate) error: Option<ProtocolError>,
    /// The frames that it sent, as events of the other end.
    pub(crate) answered: Vec<Seen>,
    /// Whether the connection is closed.
    pub(crate) closed: bool,
}

/// One end and its settings.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) role: Role,
    pub(crate) limits: Limits,
    pub(crate) deflate: Option<(DeflateParams, Deflate)>,
    pub(crate) delivery: Delivery,
}

impl Setting {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            limits: Limits::default(),
            deflate: None,
            delivery: Delivery::Whole,
        }
    }

    pub(crate) fn with_deflate(role: Role, params: DeflateParams) -> Self {
        let mut settings = Deflate::default();
        settings.threshold_bytes = 0;
        Self {
            deflate: Some((params, settings)),
            ..Self::new(role)
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        let deflate = self.deflate.as_ref();
        let deflate = deflate.map(|(params, settings)| (*params, settings));
        let mut connection = match self.role {
            Role::Server => Connection::server(self.limits.clone(), deflate),
            Role::Client => Connection::client(self.limits.clone(), deflate, [7; 32]),
        };
        connection.deliver(self.delivery);
        connection
    }

    /// Gives the bytes to a new connection: whole, byte by byte and in uneven pieces. The story must be the same.
    pub(crate) fn receive(&self, bytes: &[u8]) -> Story {
        let whole = self.receive_in(bytes, &[usize::MAX]);
        for sizes in [&[1][..], &[2, 3, 1, 7], &[13, 1, 64], &[1000]] {
            assert_eq!(
                self.receive_in(bytes, sizes),
                whole,
                "in pieces of {sizes:?}"
            );
        }
        whole
    }

    /// Gives the bytes to a new connection in pieces of these sizes, repeated.
    pub(crate) fn receive_in(&self, bytes: &[u8], sizes: &[usize]) -> Story {
        let mut connection = self.connection();
        let mut seen = Vec::new();
        let mut error = None;
        let mut bytes = bytes.to_vec();
        let mut rest = bytes.as_mut_slice();
        for size in sizes.iter().cycle() {
            let (piece, left) = rest.split_at_mut((*size).min(rest.len()));
            let mut input = Input::new(piece);
            loop {
                match connection.poll_event(&mut input) {
                    Ok(Some(event)) => note(&mut seen, &event),
                    Ok(None) => break,
                    Err(failure) => assert_eq!(error.replace(failure), None),
                }
            }
            assert!(input.is_empty());
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        // How much of a message in parts was handed out before it failed depends on the pieces.
        if error.is_some() && matches!(seen.last(), Some(Seen::Part(_, _, false))) {
            seen.pop();
        }
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        Story {
            seen,
            error,
            answered: self.peer().read(&mut out),
            closed: connection.is_closed(),
        }
    }

    /// Returns the setting of the other end, with the same parameters and the default limits.
    pub(crate) fn peer(&self) -> Self {
        Self {
            role: self.role.peer(),
            limits: Limits::default(),
            deflate: self.deflate.clone(),
            delivery: Delivery::Whole,
        }
    }

    /// Returns the events of valid bytes.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> Vec<Seen> {
        let mut connection = self.connection();
        let mut input = Input::new(bytes);
        let mut seen = Vec::new();
        while let Some(event) = connection.poll_event(&mut input).expect("right bytes") {
            note(&mut seen, &event);
        }
        seen
    }
}

/// Adds an event. Neighbouring parts of one message are joined, because they depend on how the bytes were split.
pub(crate) fn note(seen: &mut Vec<Seen>, event: &Event<'_>) {
    let one = match event {
        Event::Message(message) => match message.as_text() {
            Some(text) => Seen::Text(text.to_owned()),
            None => Seen::Binary(message.as_bytes().to_vec()),
        },
        Event::Part(part) => {
            if let Some(Seen::Part(kind, payload, last @ false)) = seen.last_mut() {
                assert_eq!(*kind, part.kind);
                payload.extend_from_slice(part.payload);
                *last = part.last;
                return;
            }
            Seen::Part(part.kind, part.payload.to_vec(), part.last)
        }
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Close(frame) => Seen::Close(frame.code.as_u16(), frame.reason.to_owned()),
    };
    seen.push(one);
}

impl Story {
    /// Asserts that the peer broke this rule before any event, and that the answer was code 1002.
    #[track_caller]
    pub(crate) fn is_violation(&self, violation: Violation) {
        self.failed_with(ProtocolError::Violation(violation), 1002);
    }

    /// Asserts that the peer made this mistake before any event.
    #[track_caller]
    pub(crate) fn failed_with(&self, error: ProtocolError, code: u16) {
        assert_eq!((&self.seen, self.error), (&vec![], Some(error)));
        self.ends_with_code(code);
    }

    /// Asserts that the last answer was a Close frame with this code, and that the connection is closed.
    #[track_caller]
    pub(crate) fn ends_with_code(&self, code: u16) {
        assert!(
            matches!(self.answered.last(), Some(&Seen::Close(sent, _)) if sent == code),
            "{:?}",
            self.answered
        );
        assert!(self.closed);
    }

    /// Asserts that there were these events, no error and no answer.
    #[track_caller]
    pub(crate) fn saw(&self, seen: &[Seen]) {
        assert_eq!(self.error, None);
        assert_eq!(self.seen, seen);
        assert_eq!(self.answered, []);
        assert!(!self.closed);
    }
}

/// Gives these bytes, in hex with blanks, to the end in this role.
pub(crate) fn receive(role: Role, text: &str) -> Story {
    Setting::new(role).receive(&hex(text))
}

/// Gives these frames of its peer to the end in this role.
pub(crate) fn receive_frames(role: Role, frames: &[(u8, &[u8])]) -> Story {
    Setting::new(role).receive(&from_peer(role, frames))
}

/// Returns frames of the peer of `role` with this first byte and payload, and with the right length and mask.
pub(crate) fn from_peer(role: Role, frames: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (first, payload) in frames {
        bytes.push(*first);
        let (mask_bit, key) = match role {
            Role::Server => (0x80, &[0x37, 0xfa, 0x21, 0x3d][..]),
            Role::Client => (0x00, &[][..]),
        };
        match payload.len() {
            length @ 0..=125 => bytes.push(mask_bit | length as u8),
            length @ 126..=65_535 => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                bytes.push(mask_bit | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(key);
        let masked = |(index, byte): (usize, &u8)| match key {
            [] => *byte,
            key => byte ^ key[index % 4],
        };
        bytes.extend(payload.iter().enumerate().map(masked));
    }
    bytes
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    let byte = |pair: &[char]| {
        let text: String = pair.iter().collect();
        u8::from_str_radix(&text, 16).expect("two hex digits")
    };
    digits.chunks(2).map(byte).collect()
}

/// Defines the same test for both roles, each with its own name.
macro_rules! in_each_role {
    ($server:ident, $client:ident, |$role:ident| $body:block) => {
        #[test]
        fn $server() {
            let $role = sockeye_proto::Role::Server;
            $body
        }

        #[test]
        fn $client() {
            let $role = sockeye_proto::Role::Client;
            $body
        }
    };
}
pub(crate) use in_each_role;
