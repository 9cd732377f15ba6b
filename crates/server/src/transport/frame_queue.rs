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
use sockeye::{MemoryAccount, MemoryBudget, MemoryPressure};
use sockeye_hub::{
    Client, Disconnect, Receivers, SendError, Transport,
    wire::{Encoding, Push, Reply},
};

use super::sessions::Registered;

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
    frames: VecDeque<Bytes>,
    /// The bytes of `frames`, charged to the memory budget.
    held: MemoryAccount,
    is_ended: bool,
    /// Why the hub or this queue has ended it.
    disconnect: Option<Disconnect>,
    waker: Option<Waker>,
}

/// The transport of one such client.
pub(super) struct QueueTransport(pub(super) Arc<FrameQueue>);

impl FrameQueue {
    pub(super) fn new(options: QueueOptions, budget: &MemoryBudget) -> Arc<Self> {
        Arc::new(Self {
            options,
            // 122 random bits: who knows it may send commands for the client.
            session: uuid::Uuid::new_v4().to_string(),
            state: Mutex::new(State {
                frames: VecDeque::new(),
                held: budget.account(),
                is_ended: false,
                disconnect: None,
                waker: None,
            }),
        })
    }

    pub(super) fn session(&self) -> &str {
        &self.session
    }

    fn push(&self, frame: &Bytes) -> Result<(), SendError> {
        let mut state = self.state.lock();
        if state.is_ended {
            return Err(SendError::Closed);
        }
        let bytes = state.held.bytes() + frame.len();
        let is_full = bytes > self.options.bytes_max && !state.frames.is_empty();
        if is_full || state.held.budget().pressure() == MemoryPressure::Hard {
            return Err(SendError::Full);
        }
        state.held.charge(frame.len());
        state.frames.push_back(frame.clone());
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
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
            state.held.charge(frame.len());
            state.frames.push_back(frame.into());
        }
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn poll_frame(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        match state.frames.pop_front() {
            Some(frame) => {
                state.held.release(frame.len());
                Poll::Ready(Some(self.options.form.wrap(&frame)))
            }
            None if state.is_ended => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Form {
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
        self.0.state.lock().held.bytes() > self.0.options.bytes_max / 2
    }

    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.0.push(&frame)
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
            if queue.push(frame) == Err(SendError::Full) {
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
        self.queue.poll_frame(cx).map(|frame| frame.map(Ok))
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
            state.frames.clear();
            state.held.set(0);
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
        let options = QueueOptions {
            name: "test",
            encoding: Encoding::Json,
            is_unidirectional: false,
            form: Form::Line,
            bytes_max,
        };
        FrameQueue::new(options, &MemoryBudget::new(1 << 20))
    }

    fn read(queue: &FrameQueue) -> Option<Option<Bytes>> {
        match queue.poll_frame(&Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame),
            Poll::Pending => None,
        }
    }

    #[test]
    fn frames_come_out_in_their_order_and_the_goodbye_last() {
        let queue = queue(100);
        assert_eq!(read(&queue), None);
        queue.push(&Bytes::from_static(b"1")).unwrap();
        queue.push(&Bytes::from_static(b"2")).unwrap();
        queue.end(&Disconnect::SHUTDOWN);
        queue.end(&Disconnect::SLOW);
        assert_eq!(
            queue.push(&Bytes::from_static(b"3")),
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
        queue.push(&Bytes::from_static(b"12345678")).unwrap();
        let next = Bytes::from_static(b"123");
        assert_eq!(queue.push(&next), Err(SendError::Full));
        read(&queue);
        assert_eq!(queue.push(&next), Ok(()));
    }

    #[test]
    fn a_single_frame_may_be_larger_than_the_queue() {
        let queue = queue(10);
        assert_eq!(queue.push(&Bytes::from_static(b"123456789abc")), Ok(()));
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
