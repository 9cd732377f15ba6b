//! What transports keep for clients that come back: small values with a life time, where histories are kept.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::Node;
use crate::{BrokerError, HistoryQuery, Limit, Publication, PublishOptions};

impl Node {
    /// Keeps `value` under `key` for `ttl`, in place of what was kept there. It lasts as histories do: with the log it survives the
    /// process, with Redis other nodes find it too. Nobody is told of it. It counts towards the broker's limits as a channel with one
    /// publication.
    ///
    /// # Errors
    ///
    /// The broker failed, or has reached a limit.
    ///
    /// # Cancel safety
    ///
    /// The value may be kept.
    pub async fn keep(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<(), BrokerError> {
        let node = self.shared();
        let publication = Publication {
            data: value.into(),
            time: node.now(),
            ..Publication::default()
        };
        let options = PublishOptions {
            history_size: 1,
            history_ttl: ttl,
            history_meta_ttl: ttl,
            ..PublishOptions::default()
        };
        let kept = node.broker.publish(&channel(key), publication, options);
        kept.await.map(|_| ())
    }

    /// Returns what is kept under `key`, by a program that keeps it for `ttl`.
    ///
    /// # Errors
    ///
    /// The broker failed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn kept(&self, key: &str, ttl: Duration) -> Result<Option<Bytes>, BrokerError> {
        let query = HistoryQuery {
            limit: Limit::AtMost(1),
            reverse: true,
            meta_ttl: ttl,
            ..HistoryQuery::default()
        };
        let history = self.shared().broker.history(&channel(key), query).await?;
        let newest = history.publications.first();
        Ok(newest.map(|publication| publication.data.clone()))
    }

    /// Forgets what is kept under `key`.
    ///
    /// # Errors
    ///
    /// The broker failed.
    ///
    /// # Cancel safety
    ///
    /// It may be forgotten.
    pub async fn forget(&self, key: &str) -> Result<(), BrokerError> {
        self.shared().broker.remove_history(&channel(key)).await
    }
}

/// Returns the name of the history that has a key's value. It begins with a character that no configured namespace can have.
fn channel(key: &str) -> Arc<str> {
    format!("\u{1f}{key}").into()
}
