//! An entry as a broker keeps it over a restart.

use bytes::Bytes;
use prost::Message;

use super::entries::Entry;
use crate::{Epoch, Publication, UnixMillis};

/// An entry, but for what its publication carries beside the data: tags, client and time are those of the publication that
/// holds this.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct EntryRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) data: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) offset: u64,
    #[prost(string, tag = "3")]
    pub(super) epoch: String,
    /// Milliseconds since 1970. 0: it stays.
    #[prost(uint64, tag = "4")]
    pub(super) expires_at: u64,
    #[prost(uint64, tag = "5")]
    pub(super) version: u64,
    #[prost(string, tag = "6")]
    pub(super) version_epoch: String,
}

impl EntryRecord {
    pub(super) fn of(entry: &Entry, epoch: &Epoch, expires_at: Option<UnixMillis>) -> Self {
        Self {
            data: entry.publication.data.clone(),
            offset: entry.publication.offset,
            epoch: epoch.as_str().to_owned(),
            expires_at: expires_at.map_or(0, |time| time.0),
            version: entry.version,
            version_epoch: entry.version_epoch.as_str().to_owned(),
        }
    }

    /// Returns the publication to be kept.
    pub(super) fn publication(&self, of: &Publication) -> Publication {
        Publication {
            data: self.encode_to_vec().into(),
            change: None,
            ..of.clone()
        }
    }
}
