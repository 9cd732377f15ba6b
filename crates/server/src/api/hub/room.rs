//! Room for answers: how much one may have, and when there is memory for it.

use std::time::Duration;

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::Response,
};
use sockeye::{MemoryAccount, MemoryBudget};
use sockeye_hub::ErrorCode;
use tokio::sync::{Mutex, MutexGuard};

use super::{failure::Failure, held_body::HeldBody};
use crate::api::answer;

/// Room for one answer: of one order, of a batch, or of all lines of the older form.
pub(super) struct AnswerRoom(Mutex<Room>);

pub(super) struct Room {
    /// Bytes that the answer may still have.
    bytes_left: usize,
    /// What it takes while it is made.
    account: MemoryAccount,
}

/// Bytes. What histories, presence and lists of channels in one answer take together.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// One answer may take this part of the memory budget below its soft mark, so that there is room for it.
const BUDGET_PART: usize = 4;

/// Bytes. An answer that takes less needs no room: it is gone before it matters.
const COUNTED_BYTES_MIN: usize = 64 << 10;

/// What a byte of an answer costs: the result, and the text that is made of it.
const COST: usize = 2;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// After so long without memory, those who have held much for long have to give it back, and the order fails with error 100.
const RECLAIM_WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(5);

impl AnswerRoom {
    pub(super) fn new(budget: &MemoryBudget) -> Self {
        let of_budget = budget.soft_bytes_max() / BUDGET_PART;
        Self::with(ANSWER_BYTES_MAX.min(of_budget), budget)
    }

    pub(super) fn with(bytes_max: usize, budget: &MemoryBudget) -> Self {
        Self(Mutex::new(Room {
            bytes_left: bytes_max,
            account: budget.account(),
        }))
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Room> {
        self.0.lock().await
    }

    /// Returns the answer with status 200. A large one takes its bytes of the budget until it is read.
    pub(super) fn answer(self, text: Vec<u8>) -> Response {
        let bytes = text.len();
        if bytes < COUNTED_BYTES_MIN {
            return answer::text(StatusCode::OK, text);
        }
        let room = self.0.into_inner();
        let body = HeldBody::new(text.into(), room.account.budget());
        let mut response = answer::text(StatusCode::OK, Body::from_stream(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, bytes.into());
        response
    }
}

impl Room {
    /// Returns how many bytes the answer may still have. Fails with error 106 if it can't have more.
    pub(super) fn bytes_left(&self) -> Result<usize, Failure> {
        match self.bytes_left {
            0 => Err(ErrorCode::LimitExceeded.into()),
            bytes => Ok(bytes),
        }
    }

    /// Makes room for `bytes` bytes. Fails with error 106 if the answer can't have so many.
    pub(super) async fn take(&mut self, bytes: usize) -> Result<(), Failure> {
        if bytes > self.bytes_left {
            return Err(ErrorCode::LimitExceeded.into());
        }
        self.take_last(bytes).await
    }

    /// Makes room for `bytes` bytes, which may be the last that the answer can have.
    pub(super) async fn take_last(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        let cost = bytes.saturating_mul(COST);
        if self.account.bytes().saturating_add(cost) < COUNTED_BYTES_MIN {
            self.account.charge(cost);
            return Ok(());
        }
        let mut waited = Duration::ZERO;
        let budget = self.account.budget().clone();
        while !self.account.try_charge(cost, budget.soft_bytes_max()) {
            if waited >= WAIT_MAX {
                return Err(ErrorCode::Internal.into());
            }
            if waited >= RECLAIM_WAIT {
                budget.reclaim(cost);
            }
            waited += PAUSE;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_waits_for_memory_and_not_for_ever() {
        let budget = MemoryBudget::new(1 << 20);
        let room = AnswerRoom::new(&budget);
        let mut room = room.lock().await;
        let mut others = budget.account();
        others.set(700 << 10);
        room.take(10_000).await.unwrap();
        let (taken, ()) = tokio::join!(room.take(100_000), async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            others.set(0);
        });
        taken.unwrap();
        assert_eq!(budget.used_bytes(), 220_000);
        others.set(700 << 10);
        let failed = room.take(50_000).await.unwrap_err();
        assert_eq!(failed.code, ErrorCode::Internal.code());
        let failed = room.take(200_000).await.unwrap_err();
        assert_eq!(failed.code, ErrorCode::LimitExceeded.code());
    }

    #[tokio::test]
    async fn a_large_answer_has_a_length_and_takes_its_bytes_until_it_is_read() {
        let budget = MemoryBudget::new(1 << 20);
        for bytes in [1_000, 100_000] {
            let room = AnswerRoom::new(&budget);
            room.lock().await.take(bytes).await.unwrap();
            let response = room.answer(vec![b'1'; bytes]);
            let length = response.headers().get(header::CONTENT_LENGTH);
            let is_large = bytes > COUNTED_BYTES_MIN;
            assert_eq!(length.is_some(), is_large);
            assert_eq!(budget.used_bytes(), if is_large { bytes } else { 0 });
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            assert_eq!(body.unwrap().len(), bytes);
            assert_eq!(budget.used_bytes(), 0);
        }
    }
}
