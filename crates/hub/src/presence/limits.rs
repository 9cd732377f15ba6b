//! Limits of presence.

/// Limits of everything in presence that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most known clients: those online and those whose last-seen time is kept. When a new client connects at the
    /// limit, the offline client seen longest ago is forgotten; if all are online, the new one isn't tracked
    /// ([`super::DeviceGuard::is_tracked`]). Default 1,000,000, at some 300 bytes each.
    pub clients_max: usize,
    /// Most listed devices of one client; the oldest are listed. Further devices count, and are listed when others
    /// disconnect. Default 64.
    pub devices_per_client_max: usize,
    /// Most changes that wait for one subscriber. One that lags further behind loses the oldest and is told how
    /// many ([`super::Update::Missed`]). Default 1,024.
    pub changes_max: usize,
    /// Bytes. The longest name of a client. One with a longer name isn't tracked. Default
    /// [`CLIENT_BYTES_MAX`](crate::CLIENT_BYTES_MAX).
    pub name_bytes_max: usize,
    /// Bytes. A longer device name is cut to this. Default 64, since it is a label for people.
    pub device_bytes_max: usize,
    /// Most clients whose last-seen time is kept, within `clients_max`. 0: none. Default: no limit of its own.
    pub last_seen_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 1_000_000,
            devices_per_client_max: 64,
            changes_max: 1024,
            name_bytes_max: crate::CLIENT_BYTES_MAX,
            device_bytes_max: 64,
            last_seen_max: usize::MAX,
        }
    }
}

/// Most clients in one page of [`super::Presence::list`], whatever the caller asks for.
pub(crate) const LIST_MAX: usize = 1000;
