//! The buffers of a thread, which its connections use in turn, so that an idle connection owns none.

use std::cell::Cell;

use sockeye_proto::{Message, extension::Pool};

use crate::connection::write::{Framed, Outbox};

/// Bytes of one read: large enough that a busy socket needs few, small enough to stay in the L2 cache.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// Bytes of memory that the thread's outbox may keep between two uses.
const OUTBOX_BYTES_KEPT: usize = 512 << 10;

/// Bytes. The memory of a smaller message isn't recycled by the pool.
const RECYCLED_BYTES_MIN: usize = 64 << 10;

/// Bytes. A shorter message is copied into an inbox's common buffer, since the allocator costs more for many
/// small blocks than the copy does. Memory of at most this size is kept for the next message.
pub(crate) const SHORT_BYTES_END: usize = 2 << 10;

/// Bytes. The most spare memory that waits for the thread's pool.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// The thread's buffers for receiving. The socket's bytes go to `buffer` first.
pub(crate) struct ReadBuffers {
    pub(crate) buffer: Box<[u8]>,
    pub(crate) pool: Pool,
    pub(crate) framed: Framed,
}

thread_local! {
    static READING: Cell<Option<Box<ReadBuffers>>> = const { Cell::new(None) };
    static SENDING: Cell<Option<Box<Pool>>> = const { Cell::new(None) };
    static OUTBOX: Cell<Option<Box<Outbox>>> = const { Cell::new(None) };
    /// Memory to recycle that came while the pool was in use.
    static SPARES: Cell<Vec<Message<'static>>> = const { Cell::new(Vec::new()) };
    /// The memory of the last short messages sent, one of each kind.
    static SHORT_BINARY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SHORT_TEXT: Cell<String> = const { Cell::new(String::new()) };
}

impl ReadBuffers {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            pool: Pool::default(),
            framed: Framed::default(),
        }
    }
}

/// Calls `work` with the thread's buffers for receiving. A nested call gets a second set.
pub(crate) fn with_read_buffers<T>(work: impl FnOnce(&mut ReadBuffers) -> T) -> T {
    let mut kept = READING
        .take()
        .unwrap_or_else(|| Box::new(ReadBuffers::new()));
    let result = work(&mut kept);
    READING.set(Some(kept));
    result
}

/// Keeps the memory of a message that its owner no longer needs for the next one received. With the memory of
/// short messages, a program that answers each message with another never calls the allocator.
#[inline]
pub(crate) fn recycle(message: Message<'_>) {
    match message {
        message if message.len() >= RECYCLED_BYTES_MIN => recycle_large(message),
        Message::Binary(bytes) if bytes.is_owned() => {
            let bytes = bytes.into_owned();
            if bytes.capacity() <= SHORT_BYTES_END {
                SHORT_BINARY.set(bytes);
            }
        }
        Message::Text(text) if text.is_owned() => {
            let text = text.into_owned();
            if text.capacity() <= SHORT_BYTES_END {
                SHORT_TEXT.set(text);
            }
        }
        _ => {}
    }
}

/// Returns an owned binary message, in recycled memory if there is any.
#[inline]
pub(crate) fn binary(payload: &[u8]) -> Message<'static> {
    let mut bytes = SHORT_BINARY.take();
    bytes.clear();
    bytes.extend_from_slice(payload);
    Message::from(bytes)
}

/// Returns an owned text message, in recycled memory if there is any.
#[inline]
pub(crate) fn text(payload: &str) -> Message<'static> {
    let mut text = SHORT_TEXT.take();
    text.clear();
    text.push_str(payload);
    Message::from(text)
}

/// Recycles a large block: freed, it would often go back to the system, and be mapped again page by page.
#[inline(never)]
fn recycle_large(message: Message<'_>) {
    if !message.is_owned() {
        return;
    }
    if let Some(mut kept) = READING.take() {
        kept.pool.recycle(message);
        return READING.set(Some(kept));
    }
    let mut spares = SPARES.take();
    let kept: usize = spares.iter().map(Message::len).sum();
    if kept + message.len() <= SPARE_BYTES_MAX {
        spares.push(message.into_owned());
    }
    SPARES.set(spares);
}

/// Gives the pool the memory that was recycled while it was in use.
pub(crate) fn collect_spares(pool: &mut Pool) {
    let mut spares = SPARES.take();
    for spare in spares.drain(..) {
        pool.recycle(spare);
    }
    SPARES.set(spares);
}

/// Calls `work` with the thread's compression contexts for sending, which may happen in the middle of
/// receiving.
pub(crate) fn with_send_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    let mut kept = SENDING.take().unwrap_or_default();
    let result = work(&mut kept);
    SENDING.set(Some(kept));
    result
}

/// Returns an empty outbox, the thread's if it is there.
#[inline]
pub(crate) fn take_outbox() -> Box<Outbox> {
    OUTBOX.take().unwrap_or_default()
}

/// Gives an empty outbox back to the thread.
#[inline]
pub(crate) fn return_outbox(mut outbox: Box<Outbox>) {
    outbox.end_holding();
    outbox.shrink_to(OUTBOX_BYTES_KEPT);
    OUTBOX.set(Some(outbox));
}
