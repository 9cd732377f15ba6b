//! Opens presence with the configured store.

use std::sync::Arc;

use sockeye_hub::{
    SystemClock,
    presence::{Durable, Limits, Presence, Redis},
};

use crate::{
    config::{Config, PresenceStore},
    data::DataDir,
};

/// Opens presence with the configured store. A Redis that can't be reached is retried in the background.
///
/// # Errors
///
/// The store can't be used as it is configured. The text is one line.
pub(crate) async fn open(config: &Config, data: Option<&DataDir>) -> Result<Presence, String> {
    let mut limits = Limits::default();
    limits.clients_max = config.presence_clients_max.0 as usize;
    let clock = Arc::new(SystemClock);
    let opened = match (&config.presence_store, data) {
        (PresenceStore::Redis(url), _) => match Redis::new(url, config.presence_ttl.0, &limits) {
            Ok(store) => Presence::open(limits, clock, store).await,
            Err(error) => Err(error),
        },
        (PresenceStore::Auto | PresenceStore::Durable, Some(data)) => {
            let store = Durable::in_directory(data.path(), &limits);
            Presence::open(limits, clock, store).await
        }
        (PresenceStore::Durable, None) => return Err("--presence-store: needs --data too".into()),
        (PresenceStore::Auto | PresenceStore::Memory, _) => {
            return Ok(Presence::in_memory(limits, clock));
        }
    };
    opened.map_err(|error| format!("presence: {error}"))
}
