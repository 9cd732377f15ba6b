//! What a thread lends to the connections it works for, so that an idle one owns no buffer.

use std::cell::Cell;

use sockeye_proto::extension::Pool;

/// Bytes. One read: large enough that a busy socket needs few, small enough to stay in L2.
const READ_BYTES: usize = 64 << 10;

/// Bytes. What `out` may keep between two uses.
const OUT_BYTES_KEPT: usize = 256 << 10;

/// For receiving: where the socket's bytes go first, and the replies of the batch.
pub(crate) struct Reading {
    pub(crate) buffer: Box<[u8]>,
    pub(crate) pool: Pool,
    pub(crate) out: Vec<u8>,
}

/// For sending, which may happen in the middle of receiving.
#[derive(Default)]
pub(crate) struct Sending {
    pub(crate) pool: Pool,
    pub(crate) out: Vec<u8>,
}

thread_local! {
    static READING: Cell<Option<Box<Reading>>> = const { Cell::new(None) };
    static SENDING: Cell<Option<Box<Sending>>> = const { Cell::new(None) };
}

/// Lends the thread's buffers for receiving. Within another loan there is a second set.
pub(crate) fn reading<T>(work: impl FnOnce(&mut Reading) -> T) -> T {
    let mut lent = READING.take().unwrap_or_else(|| {
        Box::new(Reading {
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            pool: Pool::default(),
            out: Vec::new(),
        })
    });
    let result = work(&mut lent);
    tidy(&mut lent.out);
    READING.set(Some(lent));
    result
}

/// Lends the thread's buffers for sending.
pub(crate) fn sending<T>(work: impl FnOnce(&mut Sending) -> T) -> T {
    let mut lent = SENDING.take().unwrap_or_default();
    let result = work(&mut lent);
    tidy(&mut lent.out);
    SENDING.set(Some(lent));
    result
}

fn tidy(out: &mut Vec<u8>) {
    out.clear();
    out.shrink_to(OUT_BYTES_KEPT);
}
