//! The transport of clients that read an HTTP response: a queue of frames, and the body that empties it.

use std::{
    any::Any,
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::body::Bytes;
use futures_util::Stream;
use parking_lot::{Mutex, RwLock};
use sockeye::{MemoryBudget, MemoryHolder};
use sockeye_hub::{
    Client, Disconnect, Receivers, SendError, Transport,
    wire::{Encoding, Push, Reply},
};

use super::sessions::Registered;
use crate::memory_relief::{self, Relieve};

/// What is to be known of a transport before its client is.
#[derive(Clone, Debug)]
pub(super) struct QueueOptions {
    pub(super) name: &'static str,
    pub(super) encoding: Encoding,
    pub(super) is_unidirectional: bool,
    pub(super) form: Form,
    /// Bytes that may wait.
    pub(super) bytes_max: usize,
}

/// How frames stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An event of `text/event-stream` each.
    Event,
    /// A line each.
    Line,
    /// One after the other: each says its own length.
    Bare,
}

/// Frames that wait for one client.
pub(super) struct FrameQueue {
    options: QueueOptions,
    session: String,
    state: Mutex<State>,
}

struct State {
    frames: VecDeque<Waiting>,
    /// What is left of the frame that is being read, as it stands in the body.
    parts: VecDeque<Part>,
    /// What `parts` is of. It is held until the last part is taken.
    reading: Option<Waiting>,
    /// Bytes of the pushes in `frames` and `reading`.
    push_bytes: usize,
    /// Bytes of the answers among them.
    answer_bytes: usize,
    /// What they take of the memory budget.
    held_bytes: usize,
    held: MemoryHolder,
    is_ended: bool,
    /// Why the hub or this queue has ended it.
    disconnect: Option<Disconnect>,
    waker: Option<Waker>,
}

struct Waiting {
    frame: Bytes,
    kind: FrameKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Push,
    /// A push that other queues hold too.
    SharedPush,
    /// What the client has asked for. It doesn't count towards what makes a push wait too long.
    Answer,
}

/// A part of the body.
enum Part {
    Own(Bytes),
    /// Of a frame that only this queue holds: copied, so that no small part keeps it all.
    Slice(Bytes),
}

/// The transport of one such client.
pub(super) struct QueueTransport(pub(super) Arc<FrameQueue>);

impl Waiting {
    /// Returns the bytes that the frame takes of the memory budget. There is one copy of a shared one, as in an outbox.
    fn held_bytes(&self) -> usize {
        match self.kind {
            FrameKind::SharedPush => self.frame.len() / SHARED_PART,
            FrameKind::Push | FrameKind::Answer => self.frame.len(),
        }
    }
}

impl State {
    fn add(&mut self, frame: Bytes, kind: FrameKind) {
        let waiting = Waiting { frame, kind };
        *self.bytes_of(kind) += waiting.frame.len();
        self.held_bytes += waiting.held_bytes();
        self.held.set(self.held_bytes);
        self.frames.push_back(waiting);
    }

    fn forget(&mut self, waiting: &Waiting) {
        *self.bytes_of(waiting.kind) -= waiting.frame.len();
        self.held_bytes -= waiting.held_bytes();
        self.held.set(self.held_bytes);
    }

    fn bytes_of(&mut self, kind: FrameKind) -> &mut usize {
        match kind {
            FrameKind::Answer => &mut self.answer_bytes,
            FrameKind::Push | FrameKind::SharedPush => &mut self.push_bytes,
        }
    }

    fn bytes(&self) -> usize {
        self.push_bytes + self.answer_bytes
    }

    /// Drops what waits.
    fn clear(&mut self) {
        (self.frames, self.parts, self.reading) = Default::default();
        (self.push_bytes, self.answer_bytes, self.held_bytes) = (0, 0, 0);
        self.held.set(0);
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl FrameQueue {
    pub(super) fn new(options: QueueOptions, budget: &MemoryBudget) -> Arc<Self> {
        Arc::new_cyclic(|queue| Self {
            options,
            // 122 random bits: who knows it may send commands for the client.
            session: uuid::Uuid::new_v4().to_string(),
            state: Mutex::new(State {
                frames: VecDeque::new(),
                parts: VecDeque::new(),
                reading: None,
                push_bytes: 0,
                answer_bytes: 0,
                held_bytes: 0,
                held: budget.holder(memory_relief::waker(queue)),
                is_ended: false,
                disconnect: None,
                waker: None,
            }),
        })
    }

    pub(super) fn session(&self) -> &str {
        &self.session
    }

    fn push(&self, frame: &Bytes, kind: FrameKind) -> Result<(), SendError> {
        let mut state = self.state.lock();
        if state.is_ended {
            return Err(SendError::Closed);
        }
        let bytes = state.push_bytes + frame.len();
        if kind != FrameKind::Answer && bytes > self.options.bytes_max && state.push_bytes > 0 {
            return Err(SendError::Full);
        }
        state.add(frame.clone(), kind);
        state.wake();
        Ok(())
    }

    /// Says goodbye behind what waits, and ends the body.
    fn end(&self, disconnect: &Disconnect) {
        let mut frame = Vec::new();
        let push = Push::from(disconnect);
        let encoding = self.options.encoding;
        let encoded = match self.options.is_unidirectional {
            true => encoding.encode_push(&push, &mut frame),
            false => {
                let reply = Reply {
                    push: Some(push),
                    ..Reply::default()
                };
                encoding.encode_reply(&reply, &mut frame)
            }
        };
        let mut state = self.state.lock();
        if state.is_ended {
            return;
        }
        state.is_ended = true;
        state.disconnect = Some(disconnect.clone());
        if disconnect.is_sent() && encoded.is_ok() {
            state.add(frame.into(), FrameKind::Push);
        }
        state.wake();
    }

    fn poll_part(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        if state.parts.is_empty()
            && let Some(waiting) = state.frames.pop_front()
        {
            if waiting.frame.len() <= PART_BYTES_MAX {
                state.forget(&waiting);
                return Poll::Ready(Some(self.options.form.wrap(&waiting.frame)));
            }
            state.parts = self.options.form.parts(&waiting);
            state.reading = Some(waiting);
        }
        match state.parts.pop_front() {
            Some(part) => {
                if state.parts.is_empty()
                    && let Some(read) = state.reading.take()
                {
                    state.forget(&read);
                }
                Poll::Ready(Some(match part {
                    Part::Own(part) => part,
                    Part::Slice(part) => Bytes::copy_from_slice(&part),
                }))
            }
            None if state.is_ended => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Relieve for FrameQueue {
    /// Ends the body without a goodbye, and frees what waits.
    fn relieve(&self) {
        let mut state = self.state.lock();
        if state.held.must_end() {
            state.is_ended = true;
            state.disconnect.get_or_insert(Disconnect::SLOW);
            state.clear();
            state.wake();
        }
    }
}

/// Bytes. Most of a frame that is handed on at once: what is handed on isn't counted any more.
const PART_BYTES_MAX: usize = 16 << 10;

/// A frame that many queues hold counts for this part in each, as in the outbox of a WebSocket.
const SHARED_PART: usize = 8;

impl Form {
    /// Returns a large frame in parts, as they stand in the body.
    fn parts(self, waiting: &Waiting) -> VecDeque<Part> {
        let frame = &waiting.frame;
        let slices = |bytes: &[u8]| -> Vec<Part> {
            let slices = bytes.chunks(PART_BYTES_MAX);
            let part = match waiting.kind {
                FrameKind::SharedPush => Part::Own,
                FrameKind::Push | FrameKind::Answer => Part::Slice,
            };
            slices.map(|slice| part(frame.slice_ref(slice))).collect()
        };
        let fixed = |text: &'static [u8]| Part::Own(Bytes::from_static(text));
        let mut parts = VecDeque::new();
        match self {
            Self::Bare => parts.extend(slices(frame)),
            Self::Line => {
                parts.extend(slices(frame));
                parts.push_back(fixed(b"\n"));
            }
            Self::Event => {
                let mut begin = &b"data: "[..];
                for line in frame.split(|byte| *byte == b'\n') {
                    parts.push_back(fixed(begin));
                    parts.extend(slices(line));
                    begin = b"\ndata: ";
                }
                parts.push_back(fixed(b"\n\n"));
            }
        }
        parts
    }

    /// Returns a frame as it stands in the body.
    fn wrap(self, frame: &Bytes) -> Bytes {
        match self {
            Self::Bare => frame.clone(),
            Self::Line => [frame, &b"\n"[..]].concat().into(),
            Self::Event => {
                // A frame of several objects has newlines, and an event can't have them in one line of data.
                let lines = frame.split(|byte| *byte == b'\n');
                let mut event = Vec::with_capacity(frame.len() + 8);
                for line in lines {
                    event.extend_from_slice(b"data: ");
                    event.extend_from_slice(line);
                    event.push(b'\n');
                }
                event.push(b'\n');
                event.into()
            }
        }
    }
}

impl Transport for QueueTransport {
    fn name(&self) -> &'static str {
        self.0.options.name
    }

    fn encoding(&self) -> Encoding {
        self.0.options.encoding
    }

    fn is_unidirectional(&self) -> bool {
        self.0.options.is_unidirectional
    }

    fn is_emulated(&self) -> bool {
        !self.0.options.is_unidirectional
    }

    fn session(&self) -> Option<&str> {
        Some(&self.0.session)
    }

    fn is_crowded(&self) -> bool {
        self.0.state.lock().bytes() > self.0.options.bytes_max / 2
    }

    fn has_room(&self, bytes: usize) -> bool {
        let bytes_max = self.0.options.bytes_max;
        let waiting = self.0.state.lock().bytes();
        waiting <= bytes_max / 8 || waiting + bytes <= bytes_max
    }

    fn send_answer(&self, frame: Bytes) -> Result<(), SendError> {
        self.0.push(&frame, FrameKind::Answer)
    }

    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.0.push(&frame, FrameKind::Push)
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        self.0.end(disconnect);
    }

    fn new_receivers(&self) -> Box<dyn Receivers> {
        Box::new(QueueReceivers::default())
    }
}

/// Clients of this kind that receive the same frames.
#[derive(Default)]
struct QueueReceivers(RwLock<Vec<Arc<FrameQueue>>>);

impl Receivers for QueueReceivers {
    fn add(&self, transport: &dyn Transport) {
        if let Some(queue) = queue_of(transport) {
            self.0.write().push(Arc::clone(queue));
        }
    }

    fn remove(&self, transport: &dyn Transport) {
        if let Some(queue) = queue_of(transport) {
            let mut queues = self.0.write();
            if let Some(at) = queues.iter().position(|other| Arc::ptr_eq(other, queue)) {
                queues.swap_remove(at);
            }
        }
    }

    fn send(&self, frame: &Bytes) {
        for queue in &*self.0.read() {
            if queue.push(frame, FrameKind::SharedPush) == Err(SendError::Full) {
                queue.end(&Disconnect::SLOW);
            }
        }
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        for queue in &*self.0.read() {
            queue.end(disconnect);
        }
    }
}

fn queue_of(transport: &dyn Transport) -> Option<&Arc<FrameQueue>> {
    let transport: &dyn Any = transport;
    transport.downcast_ref().map(|QueueTransport(queue)| queue)
}

/// The body of the response. The client ends with it.
pub(super) struct FrameBody {
    pub(super) queue: Arc<FrameQueue>,
    pub(super) client: Arc<Client>,
    /// What comes before the first frame.
    pub(super) first: Option<Bytes>,
    /// Its place among the sessions; `Some` until the end.
    pub(super) registered: Option<Registered>,
}

impl Stream for FrameBody {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.queue.poll_part(cx).map(|frame| frame.map(Ok))
    }
}

impl Drop for FrameBody {
    fn drop(&mut self) {
        // First, so that no command finds the session once the client is gone.
        self.registered = None;
        let disconnect = {
            let mut state = self.queue.state.lock();
            state.is_ended = true;
            // What still waits would count towards the memory budget until the last handle is gone.
            state.clear();
            state.disconnect.take()
        };
        match disconnect {
            Some(disconnect) => self.client.close_ended(&disconnect),
            None => self.client.close(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bytes_max: usize) -> Arc<FrameQueue> {
        queue_in(&MemoryBudget::new(1 << 20), Form::Line, bytes_max)
    }

    fn queue_in(budget: &MemoryBudget, form: Form, bytes_max: usize) -> Arc<FrameQueue> {
        let options = QueueOptions {
            name: "test",
            encoding: Encoding::Json,
            is_unidirectional: false,
            form,
            bytes_max,
        };
        FrameQueue::new(options, budget)
    }

    fn read(queue: &FrameQueue) -> Option<Option<Bytes>> {
        match queue.poll_part(&Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        }
    }

    #[test]
    fn frames_come_out_in_their_order_and_the_goodbye_last() {
        let queue = queue(100);
        assert_eq!(read(&queue), None);
        queue
            .push(&Bytes::from_static(b"1"), FrameKind::Push)
            .unwrap();
        queue
            .push(&Bytes::from_static(b"2"), FrameKind::Push)
            .unwrap();
        queue.end(&Disconnect::SHUTDOWN);
        queue.end(&Disconnect::SLOW);
        assert_eq!(
            queue.push(&Bytes::from_static(b"3"), FrameKind::Push),
            Err(SendError::Closed)
        );
        assert_eq!(read(&queue), Some(Some(Bytes::from_static(b"1\n"))));
        assert_eq!(read(&queue), Some(Some(Bytes::from_static(b"2\n"))));
        let goodbye = read(&queue).unwrap().unwrap();
        assert_eq!(
            &goodbye[..],
            b"{\"push\":{\"disconnect\":{\"code\":3001,\"reason\":\"shutdown\"}}}\n"
        );
        assert_eq!(read(&queue), Some(None));
    }

    #[test]
    fn an_ending_without_a_word_is_the_end_alone() {
        let queue = queue(100);
        queue.end(&Disconnect::CLOSED);
        assert_eq!(read(&queue), Some(None));
    }

    #[test]
    fn a_client_that_does_not_read_has_so_much_waiting() {
        let queue = queue(10);
        queue
            .push(&Bytes::from_static(b"12345678"), FrameKind::Push)
            .unwrap();
        let next = Bytes::from_static(b"123");
        assert_eq!(queue.push(&next, FrameKind::Push), Err(SendError::Full));
        read(&queue);
        assert_eq!(queue.push(&next, FrameKind::Push), Ok(()));
    }

    #[test]
    fn a_single_frame_may_be_larger_than_the_queue() {
        let queue = queue(10);
        let large = Bytes::from_static(b"123456789abc");
        assert_eq!(queue.push(&large, FrameKind::Push), Ok(()));
    }

    #[test]
    fn a_client_that_has_asked_for_much_is_no_slow_reader() {
        let queue = queue(10);
        let transport = QueueTransport(Arc::clone(&queue));
        assert!(transport.has_room(100));
        let large = Bytes::from(vec![b'x'; 100]);
        transport.send_answer(large).unwrap();
        assert!(!transport.has_room(1));
        let push = Bytes::from_static(b"1234567");
        assert_eq!(queue.push(&push, FrameKind::Push), Ok(()));
        assert_eq!(queue.push(&push, FrameKind::Push), Err(SendError::Full));
        read(&queue);
        assert_eq!(queue.push(&push, FrameKind::Push), Err(SendError::Full));
        read(&queue);
        assert!(transport.has_room(100));
    }

    #[test]
    fn a_large_frame_is_handed_on_in_parts_and_counts_until_the_last() {
        let text = [&[b'x'; 40_000][..], b"\n", &[b'y'; 20_000]].concat();
        for (form, begin, middle, end) in [
            (Form::Bare, "", "\n", ""),
            (Form::Line, "", "\n", "\n"),
            (Form::Event, "data: ", "\ndata: ", "\n\n"),
        ] {
            for kind in [FrameKind::Answer, FrameKind::SharedPush] {
                let budget = MemoryBudget::new(1 << 20);
                let queue = queue_in(&budget, form, 1 << 20);
                let frame = Bytes::from(text.clone());
                queue.push(&frame, kind).unwrap();
                let counted = match kind {
                    FrameKind::SharedPush => text.len() / 8,
                    _ => text.len(),
                };
                let mut body = Vec::new();
                loop {
                    assert_eq!(budget.used_bytes(), counted);
                    let part = read(&queue).unwrap().unwrap();
                    assert!(part.len() <= PART_BYTES_MAX);
                    body.extend_from_slice(&part);
                    if budget.used_bytes() == 0 {
                        break;
                    }
                }
                assert_eq!(read(&queue), None);
                let (xs, ys) = ("x".repeat(40_000), "y".repeat(20_000));
                assert_eq!(body, format!("{begin}{xs}{middle}{ys}{end}").into_bytes());
            }
        }
    }

    #[tokio::test]
    async fn the_queue_that_holds_most_is_freed_when_memory_is_short_and_a_small_one_goes_on() {
        let budget = MemoryBudget::new(1 << 20);
        let [large, small] = [(); 2].map(|()| queue_in(&budget, Form::Line, 2 << 20));
        let hello = Bytes::from_static(b"hello");
        small.push(&hello, FrameKind::Push).unwrap();
        let frame = Bytes::from(vec![b'x'; 600 << 10]);
        large.push(&frame, FrameKind::Answer).unwrap();
        read(&large);
        large.push(&frame, FrameKind::Answer).unwrap();
        // Memory is short now, which ends no small queue.
        assert_eq!(small.push(&hello, FrameKind::SharedPush), Ok(()));
        while budget.used_bytes() > 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(&large), Some(None));
        assert_eq!(large.push(&hello, FrameKind::Push), Err(SendError::Closed));
        let disconnect = large.state.lock().disconnect.clone();
        assert_eq!(disconnect, Some(Disconnect::SLOW));
        assert_eq!(read(&small), Some(Some(Bytes::from_static(b"hello\n"))));
        assert_eq!(read(&small), Some(Some(Bytes::from_static(b"hello\n"))));
    }

    #[test]
    fn frames_that_many_queues_hold_count_an_eighth_in_each() {
        let budget = MemoryBudget::new(1 << 20);
        let queue = queue_in(&budget, Form::Event, 1 << 20);
        let receivers = QueueReceivers::default();
        receivers.add(&QueueTransport(Arc::clone(&queue)));
        receivers.send(&Bytes::from(vec![b'x'; 8_000]));
        assert_eq!(budget.used_bytes(), 1_000);
        receivers.send(&Bytes::from(vec![b'x'; 80_000]));
        assert_eq!(budget.used_bytes(), 11_000);
    }

    #[test]
    fn an_event_has_a_line_for_each_object() {
        let frame = Bytes::from_static(b"{}\n{\"id\":1}");
        assert_eq!(
            &Form::Event.wrap(&frame)[..],
            b"data: {}\ndata: {\"id\":1}\n\n"
        );
        assert_eq!(Form::Bare.wrap(&frame), frame);
    }
}
