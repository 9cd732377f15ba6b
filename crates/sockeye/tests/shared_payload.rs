//! Payloads in shared memory: where the bytes lie that the stream is given.

use std::{
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use sockeye::{
    CloseCode, Endpoint, Message, Reply, Role, Session, Settings, TrySendError, WebSocket,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

/// A stream that takes as many bytes as the test allows, and records where they lay.
#[derive(Clone, Default)]
struct Recorder {
    recording: Arc<Mutex<Recording>>,
    written: Arc<Notify>,
}

#[derive(Default)]
struct Recording {
    /// What the session reads next.
    input: Vec<u8>,
    /// Bytes that the stream takes before a write must wait.
    room: usize,
    waker: Option<Waker>,
    /// What was written, and the address of each byte.
    written: Vec<u8>,
    addresses: Vec<usize>,
}

impl Recorder {
    fn with_room(room: usize) -> Self {
        let recorder = Self::default();
        recorder.lock().room = room;
        recorder
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap()
    }

    /// Takes everything from now on, and waits until nothing more is written.
    async fn take_all(&self, session: &Session) {
        let waker = {
            let mut recording = self.lock();
            recording.room = usize::MAX;
            recording.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        // The Close frame is written behind all that waits.
        session.close(CloseCode::NORMAL, "");
        self.until(|written| written.ends_with(&[0x88, 2, 3, 0xE8]))
            .await;
    }

    async fn until(&self, is_reached: impl Fn(&[u8]) -> bool) {
        while !is_reached(&self.lock().written) {
            self.written.notified().await;
        }
    }
}

impl Recording {
    /// Returns how many of the bytes written lay in `memory`.
    fn written_from(&self, memory: &Range<usize>) -> usize {
        let addresses = self.addresses.iter();
        addresses.filter(|at| memory.contains(at)).count()
    }
}

/// Returns the addresses of `bytes`.
fn memory(bytes: &[u8]) -> Range<usize> {
    let start = bytes.as_ptr().addr();
    start..start + bytes.len()
}

impl AsyncRead for Recorder {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let input = std::mem::take(&mut self.lock().input);
        match input.is_empty() {
            true => Poll::Pending,
            false => {
                buffer.put_slice(&input);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut recording = self.lock();
        let mut count = 0;
        for slice in slices {
            let taken = &slice[..slice.len().min(recording.room)];
            recording.room -= taken.len();
            recording.written.extend_from_slice(taken);
            recording.addresses.extend(memory(taken));
            count += taken.len();
        }
        if count == 0 {
            recording.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(recording);
        self.written.notify_one();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn server(recorder: &Recorder) -> WebSocket {
    WebSocket::from_stream(recorder.clone(), Role::Server, Settings::default()).unwrap()
}

#[tokio::test]
async fn shared_bytes_are_written_from_their_memory_also_after_they_have_waited() {
    for room in [0, 1, 4, 11, 50_000, usize::MAX] {
        let recorder = Recorder::with_room(room);
        let websocket = server(&recorder);
        let payload = Bytes::from(vec![7; 100_000]);
        websocket.session().try_send(payload.clone()).unwrap();
        recorder.take_all(websocket.session()).await;
        let recording = recorder.lock();
        let mut expected = vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xA0];
        expected.extend_from_slice(&payload);
        expected.extend_from_slice(&[0x88, 2, 3, 0xE8]);
        assert_eq!(recording.written, expected, "{room}");
        assert_eq!(recording.written_from(&memory(&payload)), 100_000, "{room}");
        assert!(payload.is_unique(), "{room}");
    }
}

#[tokio::test]
async fn a_shared_text_is_written_from_its_memory_also_after_it_has_waited() {
    for room in [0, 5_000, usize::MAX] {
        let recorder = Recorder::with_room(room);
        let websocket = server(&recorder);
        let text = Arc::<str>::from("é".repeat(20_000));
        websocket.send(Arc::clone(&text)).await.unwrap();
        recorder.take_all(websocket.session()).await;
        let recording = recorder.lock();
        assert_eq!(recording.written[..4], [0x81, 126, 0x9C, 0x40], "{room}");
        assert_eq!(recording.written[4..40_004], *text.as_bytes(), "{room}");
        let memory = memory(text.as_bytes());
        assert_eq!(recording.written_from(&memory), 40_000, "{room}");
        assert_eq!(Arc::strong_count(&text), 1, "{room}");
    }
}

#[tokio::test]
async fn what_finds_no_room_comes_back_and_is_still_shared() {
    let recorder = Recorder::default();
    let websocket = server(&recorder);
    let payload = Bytes::from(vec![7; 600_000]);
    let session = websocket.session();
    session.try_send(payload.clone()).unwrap();
    assert_eq!(session.buffered_bytes(), 600_010);
    let Err(TrySendError::Full(message)) = session.try_send(payload.clone()) else {
        panic!("the outbox takes 1 MiB");
    };
    assert!(message.is_shared());
    assert_eq!(message.as_bytes().as_ptr(), payload.as_ptr());
}

/// Answers each message with two shared ones, of which it sends the first by the session.
struct Sharing {
    sent: Bytes,
    reply: Arc<str>,
}

impl Endpoint for Sharing {
    fn on_message(&mut self, session: &Session, _: Message<'_>) -> Reply {
        session.try_send("first").unwrap();
        session.try_send(self.sent.clone()).unwrap();
        Reply::Message(Arc::clone(&self.reply).into())
    }
}

#[tokio::test]
async fn within_a_batch_shared_payloads_keep_their_order_and_their_memory() {
    let recorder = Recorder::with_room(usize::MAX);
    recorder.lock().input = [0x81, 0x80, 0, 0, 0, 0].repeat(2);
    let sent = Bytes::from(vec![7; 5_000]);
    let reply = Arc::<str>::from("r".repeat(70_000));
    let endpoint = Sharing {
        sent: sent.clone(),
        reply: Arc::clone(&reply),
    };
    let session = Session::from_stream(
        recorder.clone(),
        Role::Server,
        Settings::default(),
        endpoint,
    )
    .unwrap();
    let mut expected = Vec::new();
    for _ in 0..2 {
        expected.extend_from_slice(b"\x81\x05first\x82\x7e\x13\x88");
        expected.extend_from_slice(&sent);
        expected.extend_from_slice(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        expected.extend_from_slice(reply.as_bytes());
    }
    recorder
        .until(|written| written.len() >= expected.len())
        .await;
    let recording = recorder.lock();
    assert_eq!(recording.written, expected);
    assert_eq!(recording.written_from(&memory(&sent)), 10_000);
    assert_eq!(recording.written_from(&memory(reply.as_bytes())), 140_000);
    drop(recording);
    session.close(CloseCode::NORMAL, "");
}
