//! The frames of RFC 6455 between a session and what carries it, which never leave the process. They have no extension, and
//! the masking key of those towards the session is 0.

/// Reads the frames that a session writes.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// The part of a frame that has come without its end, or of a message.
    unfinished: Option<Box<Unfinished>>,
}

#[derive(Debug, Default)]
struct Unfinished {
    /// A frame without its end: `frame.len()` is less than its header says.
    frame: Vec<u8>,
    /// The frames so far of a message in parts, and whether it is text.
    message: Option<(Vec<u8>, bool)>,
}

/// What a session has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromSession<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A Close frame.
    Close(u16, &'a str),
}

impl FrameReader {
    /// Reads all of `bytes`, and calls `handle` with what they bring. Pings and pongs have no meaning here.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut handle: impl FnMut(FromSession<'_>)) {
        while !bytes.is_empty() {
            let is_begun = (self.unfinished.as_ref()).is_some_and(|begun| !begun.frame.is_empty());
            if !is_begun && let Some(head) = FrameHead::parse(bytes) {
                let whole = bytes.get(head.head_bytes..head.head_bytes + head.payload_bytes);
                if let Some(payload) = whole {
                    self.handle_frame(&head, payload, &mut handle);
                    bytes = &bytes[head.head_bytes + head.payload_bytes..];
                    continue;
                }
            }
            bytes = self.gather(bytes, &mut handle);
        }
    }

    /// Appends to the unfinished frame what belongs to it, and handles the frame if it is whole then. Returns the bytes
    /// after it.
    fn gather<'b>(
        &mut self,
        bytes: &'b [u8],
        handle: &mut impl FnMut(FromSession<'_>),
    ) -> &'b [u8] {
        let frame = &mut self.unfinished.get_or_insert_default().frame;
        let wanted = match FrameHead::parse(frame) {
            Some(head) => head.head_bytes + head.payload_bytes - frame.len(),
            // A byte at a time, until the header tells how many more there are.
            None => 1,
        };
        let (mine, rest) = bytes.split_at(wanted.min(bytes.len()));
        frame.extend_from_slice(mine);
        if let Some(head) = FrameHead::parse(frame)
            && frame.len() == head.head_bytes + head.payload_bytes
        {
            let frame = std::mem::take(frame);
            self.handle_frame(&head, &frame[head.head_bytes..], handle);
        }
        rest
    }

    fn handle_frame(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        handle: &mut impl FnMut(FromSession<'_>),
    ) {
        match head.opcode {
            TEXT | BINARY | CONTINUATION => self.handle_data(head, payload, handle),
            CLOSE => {
                let (code, reason) = match payload.split_first_chunk() {
                    Some((code, reason)) => (u16::from_be_bytes(*code), reason),
                    None => (NORMAL, &[][..]),
                };
                handle(FromSession::Close(
                    code,
                    str::from_utf8(reason).unwrap_or_default(),
                ));
            }
            _ => {}
        }
        let is_done =
            |unfinished: &Unfinished| unfinished.frame.is_empty() && unfinished.message.is_none();
        self.unfinished.take_if(|unfinished| is_done(unfinished));
    }

    fn handle_data(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        handle: &mut impl FnMut(FromSession<'_>),
    ) {
        let begun = self.unfinished.as_mut();
        let mut begun = begun.and_then(|unfinished| unfinished.message.take());
        if let Some((message, _)) = &mut begun {
            message.extend_from_slice(payload);
        }
        if !head.is_final {
            let message = begun.unwrap_or_else(|| (payload.to_vec(), head.opcode == TEXT));
            self.unfinished.get_or_insert_default().message = Some(message);
            return;
        }
        let (payload, is_text) = match &begun {
            Some((message, is_text)) => (&message[..], *is_text),
            None => (payload, head.opcode == TEXT),
        };
        handle(match str::from_utf8(payload) {
            Ok(text) if is_text => FromSession::Text(text),
            _ => FromSession::Binary(payload),
        });
    }
}

/// Appends a text message for the session.
pub(crate) fn push_text(text: &str, frames: &mut Vec<u8>) {
    push_frame(TEXT, text.as_bytes(), frames);
}

/// Appends a binary message for the session.
#[cfg_attr(not(feature = "engineio"), cfg(test))]
pub(crate) fn push_binary(payload: &[u8], frames: &mut Vec<u8>) {
    push_frame(BINARY, payload, frames);
}

/// Appends a Close frame for the session. Of `reason` 123 bytes at most are written (section 5.5).
pub(crate) fn push_close(code: u16, reason: &str, frames: &mut Vec<u8>) {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    push_frame(CLOSE, &payload, frames);
}

fn push_frame(opcode: u8, payload: &[u8], frames: &mut Vec<u8>) {
    frames.push(FINAL | opcode);
    match payload.len() {
        len @ 0..=125 => frames.push(MASKED | len as u8),
        len @ 126..=0xFFFF => {
            frames.push(MASKED | 126);
            frames.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frames.push(MASKED | 127);
            frames.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frames.extend_from_slice(&[0; 4]);
    frames.extend_from_slice(payload);
}

/// The header of a frame without a masking key.
struct FrameHead {
    opcode: u8,
    is_final: bool,
    head_bytes: usize,
    payload_bytes: usize,
}

impl FrameHead {
    /// Parses the header at the beginning of `bytes`. `None` if it isn't whole.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        let (head_bytes, payload_bytes) = match second {
            126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*rest.first_chunk()?) as usize),
            len => (2, usize::from(len)),
        };
        Some(Self {
            opcode: first & 0x0F,
            is_final: first & FINAL != 0,
            head_bytes,
            payload_bytes,
        })
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// The code of a close without one.
const NORMAL: u16 = 1000;

/// Bytes. A control frame has 125 at most, and the code takes two.
const CLOSE_REASON_BYTES_MAX: usize = 123;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockeye_proto::{CloseCode, Connection, Event, Input, Limits, Message};

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut reader = FrameReader::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            reader.read(chunk, |sent| seen.push(format!("{sent:?}")));
        }
        assert!(reader.unfinished.is_none());
        seen
    }

    #[test]
    fn a_message_in_parts_is_one_message_and_pings_between_are_nothing() {
        let frames: [&[u8]; 5] = [
            b"\x01\x02ab",
            b"\x89\x01!",
            b"\x00\x01c",
            b"\x80\x01d",
            b"\x88\x00",
        ];
        assert_eq!(read(&frames), ["Text(\"abcd\")", "Close(1000, \"\")"]);
        assert_eq!(read(&[b"\x02\x01a", b"\x80\x01b"]), ["Binary([97, 98])"]);
        // The bytes of a text in parts come from the program, which may get them wrong.
        assert_eq!(read(&[b"\x81\x01\xff"]), ["Binary([255])"]);
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_messages_are_the_same(
            texts in prop::collection::vec("\\PC{0,200}", 0..8),
            large in 0..70_000_usize,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut server = Connection::server(Limits::default(), None);
            let mut bytes = Vec::new();
            let mut expected: Vec<String> = Vec::new();
            for text in texts.iter().cloned().chain(["x".repeat(large)]) {
                server.send(&Message::from(&*text)).unwrap();
                expected.push(format!("{:?}", FromSession::Text(&text)));
            }
            server.close(CloseCode::new(3000), "over").unwrap();
            expected.push("Close(3000, \"over\")".to_owned());
            server.poll_transmit(&mut bytes);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                chunks.push(&bytes[start..cut]);
                start = cut;
            }
            prop_assert_eq!(read(&chunks), expected);
        }

        #[test]
        fn what_is_written_for_the_session_is_what_it_receives(
            text in "\\PC{0,300}",
            large in 0..70_000_usize,
            reason in "\\PC{0,150}",
        ) {
            let mut frames = Vec::new();
            push_text(&text, &mut frames);
            push_binary(&vec![255; large], &mut frames);
            push_close(3001, &reason, &mut frames);
            let mut server = Connection::server(Limits::default(), None);
            let mut input = Input::new(&mut frames);
            let first = server.poll_event(&mut input).unwrap();
            prop_assert_eq!(first, Some(Event::Message((&*text).into())));
            let second = server.poll_event(&mut input).unwrap();
            prop_assert_eq!(second, Some(Event::Message(vec![255; large].into())));
            let Some(Event::Close(close)) = server.poll_event(&mut input).unwrap() else {
                panic!("no Close frame");
            };
            prop_assert_eq!(u16::from(close.code), 3001);
            prop_assert!(reason.starts_with(close.reason) && close.reason.len() + 4 > reason.len().min(123));
        }
    }
}
