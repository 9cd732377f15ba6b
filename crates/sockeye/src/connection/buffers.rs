//! What a thread lends to the connections it works for, so that an idle one owns no buffer.

use std::{borrow::Cow, cell::Cell};

use sockeye_proto::{Message, extension::Pool};

use crate::connection::write::{Framed, Outbox};

/// Bytes. One read: large enough that a busy socket needs few, small enough to stay in L2.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// Bytes. What a kept outbox may keep between two uses.
const OUTBOX_BYTES_KEPT: usize = 512 << 10;

/// Bytes. Smaller messages aren't worth a look.
const RECYCLED_BYTES_MIN: usize = 64 << 10;

/// Bytes. A shorter message lies in an inbox with its like until it is taken: taken in a batch and freed one by one,
/// blocks of their own would cost the allocator more than the copy does. Memory of no more is kept for the next one.
pub(crate) const SHORT_BYTES_END: usize = 2 << 10;

/// Bytes. Spare memory that waits for the thread's pool.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// For receiving: where the socket's bytes go first.
pub(crate) struct ReadBuffers {
    pub(crate) buffer: Box<[u8]>,
    pub(crate) pool: Pool,
    pub(crate) framed: Framed,
}

thread_local! {
    static READING: Cell<Option<Box<ReadBuffers>>> = const { Cell::new(None) };
    static SENDING: Cell<Option<Box<Pool>>> = const { Cell::new(None) };
    static OUTBOX: Cell<Option<Box<Outbox>>> = const { Cell::new(None) };
    /// Memory that was to be recycled while the pool was kept.
    static SPARES: Cell<Vec<Message<'static>>> = const { Cell::new(Vec::new()) };
    /// Of the short messages that were sent last, one of each kind.
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

/// Lends the thread's buffers for receiving. Within another loan there is a second set.
pub(crate) fn with_read_buffers<T>(work: impl FnOnce(&mut ReadBuffers) -> T) -> T {
    let mut kept = READING
        .take()
        .unwrap_or_else(|| Box::new(ReadBuffers::new()));
    let result = work(&mut kept);
    READING.set(Some(kept));
    result
}

/// Keeps the memory of a message that its owner has no more use for, for the next one that is received: of a
/// short one because a program that answers each message with another needs the allocator for none of them then.
#[inline]
pub(crate) fn recycle(message: Message<'_>) {
    match message {
        message if message.len() >= RECYCLED_BYTES_MIN => recycle_large(message),
        Message::Binary(Cow::Owned(bytes)) if bytes.capacity() <= SHORT_BYTES_END => {
            SHORT_BINARY.set(bytes);
        }
        Message::Text(Cow::Owned(text)) if text.capacity() <= SHORT_BYTES_END => {
            SHORT_TEXT.set(text);
        }
        _ => {}
    }
}

/// A message of its own, in memory that was recycled if there is any.
#[inline]
pub(crate) fn binary(payload: &[u8]) -> Message<'static> {
    let mut bytes = SHORT_BINARY.take();
    bytes.clear();
    bytes.extend_from_slice(payload);
    Message::from(bytes)
}

/// The same of text.
#[inline]
pub(crate) fn text(payload: &str) -> Message<'static> {
    let mut text = SHORT_TEXT.take();
    text.clear();
    text.push_str(payload);
    Message::from(text)
}

/// What goes back to the allocator often goes back to the system, and must be mapped again page by page.
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

/// Gives the kept pool what was recycled meanwhile.
pub(crate) fn collect_spares(pool: &mut Pool) {
    let mut spares = SPARES.take();
    for spare in spares.drain(..) {
        pool.recycle(spare);
    }
    SPARES.set(spares);
}

/// Lends the thread's contexts for sending, which may happen in the middle of receiving.
pub(crate) fn with_send_pool<T>(work: impl FnOnce(&mut Pool) -> T) -> T {
    let mut kept = SENDING.take().unwrap_or_default();
    let result = work(&mut kept);
    SENDING.set(Some(kept));
    result
}

/// Lends an empty outbox.
#[inline]
pub(crate) fn take_outbox() -> Box<Outbox> {
    OUTBOX.take().unwrap_or_default()
}

/// Takes it back, empty.
#[inline]
pub(crate) fn return_outbox(mut outbox: Box<Outbox>) {
    outbox.end_holding();
    outbox.shrink_to(OUTBOX_BYTES_KEPT);
    OUTBOX.set(Some(outbox));
}
