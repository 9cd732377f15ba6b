//! The body of a large answer, which counts towards the memory budget until it is read.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use axum::body::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use sockeye::{MemoryBudget, MemoryHolder};

use crate::memory_relief::{self, Relieve};

/// A body that is handed on in parts of [`PART_BYTES_MAX`]. If memory is short and it is among those that hold most, it ends early.
pub(super) struct HeldBody(Arc<Held>);

struct Held(Mutex<State>);

struct State {
    /// What isn't handed on yet.
    rest: Bytes,
    holder: MemoryHolder,
    is_cut: bool,
    waker: Option<Waker>,
}

/// Bytes. What is handed on counts no longer.
const PART_BYTES_MAX: usize = 16 << 10;

impl HeldBody {
    pub(super) fn new(text: Bytes, budget: &MemoryBudget) -> Self {
        let held = Arc::new_cyclic(|held| {
            let mut holder = budget.holder(memory_relief::waker(held));
            holder.set(text.len());
            Held(Mutex::new(State {
                rest: text,
                holder,
                is_cut: false,
                waker: None,
            }))
        });
        Self(held)
    }
}

impl Relieve for Held {
    fn relieve(&self) {
        let mut state = self.0.lock();
        if state.holder.must_end() {
            state.is_cut = !state.rest.is_empty();
            state.rest = Bytes::new();
            state.holder.set(0);
            state.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl Stream for HeldBody {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.0.lock();
        if state.is_cut {
            let error = io::Error::other("memory is short");
            return Poll::Ready(Some(Err(error)));
        }
        if state.rest.is_empty() {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        let bytes = state.rest.len().min(PART_BYTES_MAX);
        // A copy, so that no part keeps all of it.
        let part = Bytes::copy_from_slice(&state.rest.split_to(bytes));
        if state.rest.is_empty() {
            // Freed only now, however much was handed on before.
            state.rest = Bytes::new();
            state.holder.set(0);
        }
        Poll::Ready(Some(Ok(part)))
    }
}

impl fmt::Debug for HeldBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_counts_until_its_last_part() {
        let budget = MemoryBudget::new(1 << 20);
        let text = Bytes::from("0123456789".repeat(5_000));
        let mut body = HeldBody::new(text.clone(), &budget);
        let mut read = Vec::new();
        while let Some(part) = body.next().await {
            let part = part.unwrap();
            assert!(part.len() <= PART_BYTES_MAX);
            read.extend_from_slice(&part);
            let is_all = read.len() == text.len();
            assert_eq!(budget.used_bytes(), if is_all { 0 } else { text.len() });
        }
        assert_eq!(read, text);
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_counts_no_longer() {
        let budget = MemoryBudget::new(1 << 20);
        drop(HeldBody::new(vec![b'x'; 50_000].into(), &budget));
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_is_cut_when_memory_is_short() {
        let budget = MemoryBudget::new(1 << 20);
        let mut body = HeldBody::new(vec![b'x'; 900_000].into(), &budget);
        assert!(body.next().await.unwrap().is_ok());
        let mut others = budget.account();
        others.set(200_000);
        while budget.used_bytes() > 200_000 {
            tokio::task::yield_now().await;
        }
        assert!(body.next().await.unwrap().is_err());
    }
}
