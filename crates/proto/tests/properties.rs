//! Properties of all connections: the split of the bytes changes nothing, and one end reads what the other sends.

#[path = "rfc6455/story.rs"]
mod story;

use proptest::prelude::*;
use sockeye_proto::{
    CloseCode, Delivery, Event, Input, Message, MessageKind, Receiver, Role, Sender,
    driver::{self, PreparedForm, encode_compressed, encode_head, encode_into, encode_plain},
    extension::{Deflate, DeflateParams, End, Pool},
};
use story::{Seen, Setting, from_peer, note};

/// An order to the sending end.
#[derive(Clone, Debug)]
enum Order {
    Text(String, How),
    Binary(Vec<u8>, How),
    /// A message in parts, with a ping before each of them.
    Parts(MessageKind, Vec<u8>, Vec<prop::sample::Index>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// The way in which a whole message is sent, if the connection allows it; otherwise `Sender::send` is used.
#[derive(Clone, Copy, Debug)]
enum How {
    Send,
    /// The header first, then the uncompressed payload.
    Head,
    /// A prepared frame.
    Prepared,
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![Just(Delivery::Whole), Just(Delivery::Parts)]
}

prop_compose! {
    fn params()(
        server_no_context_takeover: bool,
        client_no_context_takeover: bool,
        server_max_window_bits in 8_u8..=15,
        client_max_window_bits in 8_u8..=15,
    ) -> DeflateParams {
        DeflateParams {
            server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        }
    }
}

fn setting() -> impl Strategy<Value = Setting> {
    (
        role(),
        prop::option::of((params(), 0_u8..=9, 0_usize..200)),
        delivery(),
    )
        .prop_map(|(role, deflate, delivery)| Setting {
            delivery,
            deflate: deflate.map(|(params, level, threshold_bytes)| {
                let mut settings = Deflate::default();
                settings.level = level;
                settings.threshold_bytes = threshold_bytes;
                (params, settings)
            }),
            ..Setting::new(role)
        })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        ("[a-z]{1,9}", 0_usize..3_000).prop_map(|(word, times)| word.repeat(times)),
        ("(é|世|🐟|x){0,60}", 1_usize..30).prop_map(|(word, times)| word.repeat(times)),
    ]
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (
            any::<u8>(),
            prop_oneof![
                Just(125_usize),
                Just(126),
                Just(65_535),
                Just(65_536),
                0_usize..200_000
            ]
        )
            .prop_map(|(byte, bytes)| vec![byte; bytes]),
    ]
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Send), Just(How::Head), Just(How::Prepared)]
}

fn order() -> impl Strategy<Value = Order> {
    let cuts = || prop::collection::vec(any::<prop::sample::Index>(), 0..5);
    prop_oneof![
        3 => (text(), how()).prop_map(|(text, how)| Order::Text(text, how)),
        3 => (binary(), how()).prop_map(|(bytes, how)| Order::Binary(bytes, how)),
        2 => (text(), cuts()).prop_map(|(text, cuts)| Order::Parts(MessageKind::Text, text.into(), cuts)),
        2 => (binary(), cuts()).prop_map(|(bytes, cuts)| Order::Parts(MessageKind::Binary, bytes, cuts)),
        1 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(Order::Ping),
        1 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(Order::Pong),
    ]
}

/// Sends everything, and returns the events that the other end must see.
fn send(setting: &Setting, orders: &[Order]) -> (Vec<u8>, Vec<Seen>) {
    let deflate = setting.deflate.as_ref();
    let deflate = deflate.map(|(params, settings)| (*params, settings));
    let mut sender = match setting.role {
        Role::Server => Sender::server(deflate),
        Role::Client => Sender::client([3; 32], deflate),
    };
    let (mut pool, mut out, mut seen) = (Pool::new(), Vec::new(), Vec::new());
    for order in orders {
        match order {
            Order::Text(text, how) => {
                send_whole(&mut sender, &Message::from(text), *how, &mut pool, &mut out);
                seen.push(Seen::Text(text.clone()));
            }
            Order::Binary(bytes, how) => {
                send_whole(
                    &mut sender,
                    &Message::from(bytes),
                    *how,
                    &mut pool,
                    &mut out,
                );
                seen.push(Seen::Binary(bytes.clone()));
            }
            Order::Parts(kind, bytes, cuts) => {
                let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                cuts.sort_unstable();
                cuts.push(bytes.len());
                sender.begin_parts().unwrap();
                let mut from = 0;
                for (index, cut) in cuts.iter().enumerate() {
                    sender.ping(b"between", &mut out).unwrap();
                    seen.push(Seen::Ping(b"between".to_vec()));
                    let end = if index + 1 == cuts.len() {
                        End::Yes
                    } else {
                        End::No
                    };
                    let part = &bytes[from..*cut];
                    sender
                        .send_part(*kind, part, end, &mut pool, &mut out)
                        .unwrap();
                    from = *cut;
                }
                seen.push(match kind {
                    MessageKind::Text => Seen::Text(String::from_utf8(bytes.clone()).unwrap()),
                    MessageKind::Binary => Seen::Binary(bytes.clone()),
                });
            }
            Order::Ping(payload) => {
                sender.ping(payload, &mut out).unwrap();
                seen.push(Seen::Ping(payload.clone()));
            }
            Order::Pong(payload) => {
                sender.pong(payload, &mut out).unwrap();
                seen.push(Seen::Pong(payload.clone()));
            }
        }
    }
    sender.close(CloseCode::NORMAL, "done", &mut out).unwrap();
    seen.push(Seen::Close(1000, "done".into()));
    (out, seen)
}

fn send_whole(
    sender: &mut Sender,
    message: &Message<'_>,
    how: How,
    pool: &mut Pool,
    out: &mut Vec<u8>,
) {
    let (kind, payload) = (message.kind(), message.as_bytes());
    let form = match how {
        How::Send => PreparedForm::Own,
        How::Head => {
            if driver::send_head(sender, kind, payload.len(), out).unwrap() {
                return out.extend_from_slice(payload);
            }
            PreparedForm::Own
        }
        How::Prepared => driver::prepared_form(sender, payload.len()).unwrap(),
    };
    match form {
        PreparedForm::Own => sender.send(message, pool, out).unwrap(),
        PreparedForm::Plain => {
            let mut room = [0; 4 + 1000];
            match encode_into(kind, payload, &mut room) {
                Some(len) => out.extend_from_slice(&room[..len]),
                None if payload.len().is_multiple_of(2) => encode_plain(kind, payload, out),
                None => {
                    let len = encode_head(kind, payload.len(), &mut room).unwrap();
                    out.extend_from_slice(&room[..len]);
                    out.extend_from_slice(payload);
                }
            }
        }
        PreparedForm::Compressed { window_bits, level } => {
            encode_compressed(kind, payload, window_bits, level, pool, out);
        }
    }
}

/// Joins the parts of each message, at the position of its last part.
fn joined(seen: Vec<Seen>) -> Vec<Seen> {
    let mut open: Option<(MessageKind, Vec<u8>)> = None;
    let mut whole = Vec::new();
    for one in seen {
        let Seen::Part(kind, payload, last) = one else {
            whole.push(one);
            continue;
        };
        let (_, bytes) = open.get_or_insert((kind, Vec::new()));
        bytes.extend(payload);
        if last && let Some((kind, bytes)) = open.take() {
            whole.push(match kind {
                MessageKind::Text => Seen::Text(String::from_utf8(bytes).unwrap()),
                MessageKind::Binary => Seen::Binary(bytes),
            });
        }
    }
    whole
}

/// Nearly valid bytes: frames of a peer, with some bytes changed or lost.
fn nearly_right() -> impl Strategy<Value = (Setting, Vec<u8>)> {
    let frames = prop::collection::vec(
        (
            prop_oneof![
                4 => prop::sample::select(vec![0x01_u8, 0x02, 0x00, 0x80, 0x81, 0x82]),
                2 => prop::sample::select(vec![0x41_u8, 0x42, 0xc1, 0xc2]),
                2 => prop::sample::select(vec![0x88_u8, 0x89, 0x8a]),
                1 => any::<u8>(),
            ],
            prop_oneof![
                Just(b"".to_vec()),
                Just(b"\x03\xe8".to_vec()),
                Just(b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()),
                Just(b"\xf2\x00\x11\x00\x00".to_vec()),
                ".{0,20}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..20),
                (any::<u8>(), 0_usize..300).prop_map(|(byte, bytes)| vec![byte; bytes]),
            ],
        ),
        1..8,
    );
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let limits = (prop_oneof![Just(1_000_usize), 0_usize..400], 1_u32..5);
    (
        setting(),
        frames,
        damage,
        limits,
        any::<prop::sample::Index>(),
    )
        .prop_map(
            |(mut setting, frames, damage, (bytes_max, fragments_max), end)| {
                setting.limits.message_bytes_max = bytes_max;
                setting.limits.fragments_max = Some(fragments_max);
                let frames: Vec<_> = (frames.iter())
                    .map(|(first, payload)| (*first, payload.as_slice()))
                    .collect();
                let mut bytes = from_peer(setting.role, &frames);
                for (place, byte) in damage {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
                if end.index(4) == 0 {
                    bytes.truncate(end.index(bytes.len() + 1));
                }
                (setting, bytes)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_end_reads_what_the_other_sends(
        setting in setting(),
        orders in prop::collection::vec(order(), 0..8),
        sizes in prop::collection::vec(1_usize..5_000, 1..6),
    ) {
        let (wire, expected) = send(&setting, &orders);
        let peer = Setting { delivery: setting.delivery, ..setting.peer() };
        let story = peer.receive_in(&wire, &sizes);
        prop_assert_eq!(story.error, None);
        prop_assert_eq!(joined(story.seen), expected);
        prop_assert!(story.closed);
    }

    #[test]
    fn any_cutting_of_any_bytes_gives_the_same_story(
        (setting, bytes) in nearly_right(),
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let whole = setting.receive_in(&bytes, &[usize::MAX]);
        prop_assert_eq!(setting.receive_in(&bytes, &sizes), whole.clone());
        prop_assert_eq!(setting.receive_in(&bytes, &[1]), whole);
    }

    #[test]
    fn parts_are_the_whole_message(
        (setting, bytes) in nearly_right(),
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let parts = Setting { delivery: Delivery::Parts, ..setting.clone() };
        let whole = Setting { delivery: Delivery::Whole, ..setting };
        let (parts, whole) = (parts.receive_in(&bytes, &sizes), whole.receive_in(&bytes, &sizes));
        prop_assert_eq!(joined(parts.seen), whole.seen);
        prop_assert_eq!(parts.error, whole.error);
        prop_assert_eq!(parts.answered, whole.answered);
    }

    #[test]
    fn a_direct_read_gives_the_same_as_input(
        role in role(),
        messages in prop::collection::vec(
            (any::<u8>(), 0_usize..700_000, prop::collection::vec(any::<prop::sample::Index>(), 0..3)),
            1..5,
        ),
        text in text(),
        input_bytes in 1_usize..100_000,
        direct_bytes in prop::collection::vec(1_usize..400_000, 1..5),
    ) {
        let mut orders = Vec::new();
        for (seed, bytes, cuts) in messages {
            // No two pieces of it are alike.
            let payload = (0..bytes).map(|index| (index.wrapping_mul(index) >> 7) as u8 ^ seed).collect();
            orders.push(match cuts.as_slice() {
                [] => Order::Binary(payload, How::Send),
                _ => Order::Parts(MessageKind::Binary, payload, cuts),
            });
            orders.push(Order::Text(text.clone(), How::Send));
        }
        let setting = Setting::new(role);
        let (mut wire, expected) = send(&setting, &orders);
        let peer = setting.peer();
        let mut receiver = Receiver::new(peer.role, None);
        let (mut pool, mut seen) = (Pool::new(), Vec::new());
        let mut direct_bytes = direct_bytes.into_iter().cycle();
        let mut rest = wire.as_mut_slice();
        while !rest.is_empty() {
            let message = if let Some(room) = driver::payload_buffer(&mut receiver) {
                prop_assert!(!room.is_empty());
                let len = room.len().min(rest.len()).min(direct_bytes.next().unwrap_or(1));
                let (direct, after) = std::mem::take(&mut rest).split_at_mut(len);
                room[..len].copy_from_slice(direct);
                rest = after;
                driver::commit(&mut receiver, len)
            } else {
                let len = input_bytes.min(rest.len());
                let (piece, after) = std::mem::take(&mut rest).split_at_mut(len);
                rest = after;
                let mut input = Input::new(piece);
                while let Some(event) = receiver.poll_event(&mut input, &mut pool, &peer.limits).unwrap() {
                    note(&mut seen, &event);
                }
                None
            };
            if let Some(message) = message {
                note(&mut seen, &Event::Message(message.as_ref()));
                pool.recycle(message);
            }
            if receiver.is_between_messages() {
                prop_assert_eq!(receiver.buffered_bytes(), 0);
            }
        }
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn nothing_but_the_window_is_held_between_messages(
        setting in setting(),
        orders in prop::collection::vec(order(), 0..5),
        size in 1_usize..3_000,
    ) {
        let (mut wire, expected) = send(&setting, &orders);
        let peer = setting.peer();
        let params = setting.deflate.as_ref().map(|(params, _)| *params);
        let window_bytes = params.map_or(0, |params| match setting.role {
            Role::Server if params.server_no_context_takeover => 0,
            Role::Server => 1 << params.server_max_window_bits,
            Role::Client if params.client_no_context_takeover => 0,
            Role::Client => 1 << params.client_max_window_bits,
        });
        let mut receiver = Receiver::new(peer.role, params);
        let (mut pool, mut seen) = (Pool::new(), Vec::new());
        for piece in wire.chunks_mut(size) {
            let mut input = Input::new(piece);
            while let Some(event) = receiver.poll_event(&mut input, &mut pool, &peer.limits).unwrap() {
                note(&mut seen, &event);
            }
            prop_assert!(input.is_empty());
            if receiver.is_between_messages() {
                prop_assert!(receiver.buffered_bytes() <= window_bytes);
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(receiver.has_ended());
    }
}
