//! Opens presence with the configured store.

use std::sync::Arc;

use sockeye_hub::{
    SystemClock,
    presence::{ChannelPresence, Durable, Limits, Presence, Redis},
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

/// Opens the presence of the hub's channels on the store that several servers share; `None` if the configuration has no
/// such store, for a server knows its own clients without one.
///
/// # Errors
///
/// The store can't be used as it is configured. The text is one line.
pub(crate) async fn open_channels(config: &Config) -> Result<Option<ChannelPresence>, String> {
    let PresenceStore::Redis(url) = &config.presence_store else {
        return Ok(None);
    };
    let opened = match Redis::new(url, config.presence_ttl.0, &ChannelPresence::limits()) {
        Ok(store) => {
            let store = store.prefix("sockeye:channels");
            ChannelPresence::open(Arc::new(SystemClock), store).await
        }
        Err(error) => Err(error),
    };
    opened
        .map(Some)
        .map_err(|error| format!("presence of channels: {error}"))
}
