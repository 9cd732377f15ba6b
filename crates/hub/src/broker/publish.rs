//! How something is published, and what came of it.

use std::{sync::Arc, time::Duration};

use crate::{Epoch, StreamPosition};

/// How a publication is kept and recognised. The default keeps nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishOptions {
    /// Publications. How many the history keeps, this one included; older ones are dropped. 0 (the default): this
    /// publication doesn't go into the history and gets no offset.
    pub history_size: usize,
    /// Bytes. How much the publications in the history have together, of data, tags and client; older ones are dropped. This
    /// publication is kept, however large it is. 0 (the default): no limit.
    pub history_bytes_max: usize,
    /// How long the history is kept after its last publication. 0 (the default): as `history_size` 0.
    pub history_ttl: Duration,
    /// How long offset and epoch are remembered after the last publication or question about them. 0 (the default): as long
    /// as the last one said; for a new history the broker's default.
    pub history_meta_ttl: Duration,
    /// A publication with a key that the channel has seen within `idempotency_ttl` is suppressed.
    pub idempotency_key: Option<Arc<str>>,
    /// How long the key is remembered; 5 minutes by default. 0: the key is not remembered.
    pub idempotency_ttl: Duration,
    /// The version of the state that the publication carries. One that isn't above the last version of the channel's
    /// history is suppressed. 0 (the default): no version; the last one stays. Without history versions are ignored.
    pub version: u64,
    /// Names the counter of `version`. Another name than the last one's makes any version acceptable. Empty (the
    /// default): the last one's counter, whatever its name.
    pub version_epoch: Epoch,
}

impl PublishOptions {
    /// The default of [`PublishOptions::idempotency_ttl`].
    pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(300);

    /// Returns whether the publication goes into the channel's history.
    #[must_use]
    pub fn keeps_history(&self) -> bool {
        self.history_size > 0 && !self.history_ttl.is_zero()
    }
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            history_size: 0,
            history_bytes_max: 0,
            history_ttl: Duration::ZERO,
            history_meta_ttl: Duration::ZERO,
            idempotency_key: None,
            idempotency_ttl: Self::IDEMPOTENCY_TTL,
            version: 0,
            version_epoch: Epoch::default(),
        }
    }
}

/// What came of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its position. For a repeated idempotency key that of the first publication with the key, for a version that is too
    /// low the top of the history. `None` if the publication was not for the history.
    pub position: Option<StreamPosition>,
    /// Why the publication was neither kept nor delivered. `None` if it was.
    pub suppressed: Option<Suppression>,
}

/// Why a publication is neither kept nor delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppression {
    /// The channel has had a publication with this idempotency key.
    Idempotency,
    /// The channel has had this version, or a higher one.
    Version,
}
