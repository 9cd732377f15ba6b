//! The store that keeps nothing.

use std::future::pending;

use super::{
    Store,
    store::{Batch, News, Pace},
};
use crate::{StoreError, UnixMillis};

/// The store that keeps nothing: presence lives as long as the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

impl Store for Memory {
    async fn open(&mut self, _now: UnixMillis) -> Result<Vec<News>, StoreError> {
        Ok(Vec::new())
    }

    async fn save(&mut self, _batch: Batch) -> Result<Vec<News>, StoreError> {
        Ok(Vec::new())
    }

    async fn news(&mut self) -> Result<Option<News>, StoreError> {
        pending().await
    }

    fn lost(&mut self, _now: UnixMillis) -> Option<News> {
        None
    }

    async fn close(&mut self) {}

    fn pace(&self) -> Option<Pace> {
        None
    }
}
