//! The store that saves nothing.

use std::future::pending;

use super::{
    Store,
    store::{Batch, SaveTiming, StoreEvent},
};
use crate::{StoreError, UnixMillis};

/// The store that saves nothing: presence data lasts as long as the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

impl Store for Memory {
    async fn open(&mut self, _now: UnixMillis) -> Result<Vec<StoreEvent>, StoreError> {
        Ok(Vec::new())
    }

    async fn save(&mut self, _batch: Batch) -> Result<Vec<StoreEvent>, StoreError> {
        Ok(Vec::new())
    }

    async fn next_event(&mut self) -> Result<Option<StoreEvent>, StoreError> {
        pending().await
    }

    fn expire(&mut self, _now: UnixMillis) -> Option<StoreEvent> {
        None
    }

    async fn close(&mut self) {}

    fn save_timing(&self) -> Option<SaveTiming> {
        None
    }
}
