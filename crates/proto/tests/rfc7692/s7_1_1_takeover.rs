//! Section 7.1.1: context takeover, and how much it saves.

use sockeye_proto::{
    Role,
    extension::{Compression, Deflate, Pool, Progress},
};

/// The offer of Chromium and of Tornado's client.
const OFFER: &[u8] = b"permessage-deflate; client_max_window_bits";

/// Messages of a chat: JSON of some 170 bytes each.
fn chat(messages: u32) -> impl Iterator<Item = String> {
    const WORDS: [&str; 32] = [
        "the",
        "deploy",
        "is",
        "green",
        "again",
        "who",
        "has",
        "looked",
        "at",
        "staging",
        "since",
        "noon",
        "I",
        "can't",
        "see",
        "why",
        "it",
        "would",
        "fail",
        "there",
        "maybe",
        "cache",
        "or",
        "a",
        "slow",
        "disk",
        "let's",
        "talk",
        "tomorrow",
        "morning",
        "thanks",
        "everybody",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..messages).map(move |number| {
        let count = 4 + random() % 12;
        let words: Vec<_> = (0..count)
            .map(|_| WORDS[(random() % 32) as usize])
            .collect();
        format!(
            r#"{{"type":"message","id":"{:016x}","room":"general","from":"user-4711","at":{},"text":"{}"}}"#,
            random(),
            1_770_000_000_000_u64 + u64::from(number) * 7_351,
            words.join(" ")
        )
    })
}

/// Returns the bytes of all messages, plain and as a client compresses them at `level` after `settings` responded to its offer,
/// and the most memory that the server kept between two of them.
fn measure(settings: &Deflate, level: u8) -> (usize, usize, usize) {
    let (params, _) = settings.respond([OFFER]).unwrap();
    let (mut deflater, mut inflater) = (
        params.deflater(Role::Client, level),
        params.inflater(Role::Server),
    );
    let (mut client, mut server) = (Pool::new(), Pool::new());
    let (mut plain_bytes, mut wire_bytes, mut kept_bytes) = (0, 0, 0);
    for message in chat(1_000) {
        let (mut wire, mut back) = (Vec::new(), Vec::new());
        plain_bytes += message.len();
        match deflater.deflate_whole(&mut client, message.as_bytes(), &mut wire) {
            Compression::NotSmaller => wire_bytes += message.len(),
            Compression::Smaller => {
                wire_bytes += wire.len();
                let mut input = wire.as_slice();
                let end = sockeye_proto::extension::End::Yes;
                let progress = inflater.inflate(&mut server, &mut input, end, &mut back, 1 << 20);
                assert_eq!(progress, Ok(Progress::End));
                assert_eq!(back, message.as_bytes());
            }
        }
        kept_bytes = kept_bytes.max(inflater.held_bytes());
    }
    (plain_bytes, wire_bytes, kept_bytes)
}

#[test]
fn a_chat_takes_less_than_half_of_the_bytes_with_the_window_that_is_asked_for_by_default() {
    let mut each_for_itself = Deflate::default();
    each_for_itself.client_no_context_takeover = true;
    let mut largest = Deflate::default();
    largest.kept_window_bits_max = 15;
    // Browsers use 6, our own client uses 1.
    for level in [6, 1] {
        let (plain, before, nothing) = measure(&each_for_itself, level);
        let (_, after, kept) = measure(&Deflate::default(), level);
        let (_, most, kept_most) = measure(&largest, level);
        println!(
            "1,000 chat messages at level {level}: {plain} bytes plain, {before} each for itself, \
             {after} with a window of 4 KiB, {most} with 32 KiB"
        );
        assert_eq!((nothing, kept), (0, 4 << 10));
        assert!(kept_most <= 32 << 10);
        assert!(2 * after < before, "{after} of {before}");
    }
}
