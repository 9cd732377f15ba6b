//! Two ends that write, read and close in any order, over a wire that may be slow or damaged.

use sockeye_proto::{
    CloseCode, Delivery, Limits, Message, MessageKind, Receiver, Role, SendError, Sender,
    extension::{End, Pool},
};

use crate::{
    choices::Choices,
    witness::{Seen, Witness},
};

/// Orders. More tell nothing new.
const ORDERS_MAX: usize = 200;

/// One end: what it said, what is on its way, what it heard.
struct Party {
    sender: Sender,
    receiver: Receiver,
    /// Bytes to the other end that have not arrived.
    wire: Vec<u8>,
    /// Messages and Close, in order. Pings and pongs come and go in between.
    said: Vec<Seen>,
    heard: Witness,
    /// Kind and text of the message in parts.
    open: Option<(MessageKind, Vec<u8>)>,
    /// Whether its bytes were damaged on the way.
    damaged: bool,
}

/// What either end says the other hears, in order, and nothing else; a damaged wire gives an error
/// of the protocol and no worse.
pub fn conversation(data: &[u8]) {
    let mut choices = Choices::new(data);
    let deflate = choices
        .flag()
        .then(|| (choices.params(), choices.settings()));
    let deflate = deflate
        .as_ref()
        .map(|(params, settings)| (*params, settings));
    let mut limits = Limits::default();
    limits.message_bytes_max = 300_000;
    let party = |role: Role, sender: Sender| Party {
        sender,
        receiver: Receiver::new(role, deflate.map(|(params, _)| params)),
        wire: Vec::new(),
        said: Vec::new(),
        heard: Witness::default(),
        open: None,
        damaged: false,
    };
    let mut parties = [
        party(Role::Server, Sender::server(deflate)),
        party(Role::Client, Sender::client([5; 32], deflate)),
    ];
    let mut pool = Pool::new();

    for _ in 0..ORDERS_MAX {
        if choices.is_empty() {
            break;
        }
        let order = choices.byte();
        let who = usize::from(order >> 7);
        match order & 0x0f {
            0..=3 => deliver(&mut parties, who, choices.number(), &limits, &mut pool),
            4 => damage(&mut parties[who], &mut choices),
            5 => {
                let delivery = match choices.flag() {
                    true => Delivery::Parts,
                    false => Delivery::Whole,
                };
                parties[who].receiver.deliver(delivery);
            }
            _ => parties[who].act(order & 0x0f, &mut choices, &mut pool),
        }
    }

    for who in [0, 1] {
        parties[who].finish(&mut pool);
    }
    // Answers to what arrives last are on their way then, so once more.
    for who in [0, 1, 0, 1] {
        deliver(&mut parties, who, usize::MAX, &limits, &mut pool);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        judge(&parties[from], &parties[to]);
    }
}

/// Brings the next bytes of one end to the other, and its answers on their way.
fn deliver(parties: &mut [Party; 2], from: usize, bytes: usize, limits: &Limits, pool: &mut Pool) {
    let bytes = bytes.min(parties[from].wire.len());
    let mut piece: Vec<_> = parties[from].wire.drain(..bytes).collect();
    let to = &mut parties[1 - from];
    let Party {
        sender,
        receiver,
        wire,
        said,
        heard,
        ..
    } = to;
    let had_failed = heard.error.is_some();
    let closed_before = sender.close_sent();
    heard.feed(receiver, &mut piece, limits, pool, |event| {
        sender.answer(event, wire)
    });
    if let Some(error) = heard.error
        && !had_failed
    {
        sender.fail(error, wire);
    }
    if closed_before.is_none()
        && let Some(code) = sender.close_sent()
    {
        let reason = match (heard.error, heard.seen.last()) {
            (Some(error), _) => error.as_str().to_owned(),
            (None, Some(Seen::Close(_, reason))) => reason.clone(),
            (None, _) => String::new(),
        };
        said.push(Seen::Close(code.as_u16(), reason));
    }
}

fn damage(party: &mut Party, choices: &mut Choices<'_>) {
    let (place, byte) = (choices.number(), choices.byte());
    if party.wire.is_empty() || byte == 0 {
        return;
    }
    let place = place % party.wire.len();
    party.wire[place] ^= byte;
    party.damaged = true;
}

impl Party {
    fn act(&mut self, order: u8, choices: &mut Choices<'_>, pool: &mut Pool) {
        match order {
            6..=8 => {
                let message = message(choices);
                if self.sender.send(&message, pool, &mut self.wire).is_ok() {
                    self.said
                        .push(Seen::Message(message.kind(), message.as_bytes().to_vec()));
                }
            }
            9..=11 => {
                let end = match choices.flag() {
                    true => End::Yes,
                    false => End::No,
                };
                self.send_part(&message(choices), end, pool);
            }
            12 => {
                let payload = choices.byte();
                let payload = choices.bytes(usize::from(payload));
                let _ = self.sender.ping(payload, &mut self.wire);
            }
            13 => {
                let payload = choices.byte();
                let payload = choices.bytes(usize::from(payload));
                let _ = self.sender.pong(payload, &mut self.wire);
            }
            _ => {
                let code = CloseCode::new(choices.number() as u16);
                let text = text(choices);
                self.close(code, &text);
            }
        }
    }

    fn send_part(&mut self, part: &Message<'_>, end: End, pool: &mut Pool) {
        if self.open.is_none() {
            match self.sender.begin_parts() {
                Ok(()) => self.open = Some((part.kind(), Vec::new())),
                Err(error) => return assert_eq!(error, SendError::Closing),
            }
        }
        let Some((kind, bytes)) = &mut self.open else {
            return;
        };
        // Text in a message of text, anything in one of bytes.
        let payload = match (*kind, part.kind()) {
            (MessageKind::Text, MessageKind::Binary) => b"",
            _ => part.as_bytes(),
        };
        let sent = self
            .sender
            .send_part(*kind, payload, end, pool, &mut self.wire);
        if sent.is_err() {
            return;
        }
        bytes.extend_from_slice(payload);
        if end == End::Yes
            && let Some((kind, bytes)) = self.open.take()
        {
            self.said.push(Seen::Message(kind, bytes));
        }
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        if self.sender.close(code, reason, &mut self.wire).is_err() {
            return;
        }
        let seen = match code.is_sendable() {
            true => Seen::Close(
                code.as_u16(),
                reason[..reason.floor_char_boundary(123)].to_owned(),
            ),
            false => Seen::Close(1005, String::new()),
        };
        self.said.push(seen);
    }

    fn finish(&mut self, pool: &mut Pool) {
        if self.open.is_some() {
            self.send_part(&Message::from("end"), End::Yes, pool);
        }
        self.close(CloseCode::NORMAL, "the end");
    }
}

/// Text or bytes, made of few choices, so that long ones are as likely as short ones.
fn message(choices: &mut Choices<'_>) -> Message<'static> {
    let kind = choices.byte();
    if kind & 1 == 0 {
        return Message::from(text(choices));
    }
    let pattern = choices.byte();
    let pattern = choices.bytes(usize::from(pattern % 64));
    let bytes = choices.number();
    let bytes = pattern.iter().copied().cycle().take(bytes);
    Message::from(bytes.collect::<Vec<_>>())
}

fn text(choices: &mut Choices<'_>) -> String {
    let word = choices.byte();
    let word = choices.bytes(usize::from(word % 32));
    let times = choices.number() % 2_000;
    String::from_utf8_lossy(word).repeat(times)
}

/// `to` heard what `from` said.
fn judge(from: &Party, to: &Party) {
    let heard = to.heard.seen.iter();
    let heard: Vec<_> = heard
        .filter(|one| matches!(one, Seen::Message(..) | Seen::Close(..)))
        .collect();
    if from.damaged {
        return;
    }
    // The limit is the only thing that an honest peer can break.
    if let Some(error) = to.heard.error {
        assert_eq!(error.close_code(), CloseCode::MESSAGE_TOO_BIG);
        return;
    }
    let said: Vec<_> = from.said.iter().collect();
    assert_eq!(heard, said);
    assert!(to.receiver.has_ended());
}
