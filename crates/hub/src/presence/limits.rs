//! What presence can make grow.

/// What presence can make grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Clients known, those who are here and those whose last-seen time is kept, together. When a client
    /// comes and there is no room, the one who was seen longest ago is forgotten; if all are here, the new
    /// one isn't tracked ([`super::Ticket::is_tracked`]). Default 1,000,000, at some 300 bytes each.
    pub clients_max: usize,
    /// Devices of one client that are listed, the oldest. More of them count, and are listed as others leave.
    /// Default 64.
    pub devices_per_client_max: usize,
    /// Changes that wait for a subscriber. One that lags further behind misses the oldest and is told how
    /// many ([`super::Heard::Missed`]). Default 1,024.
    pub changes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 1_000_000,
            devices_per_client_max: 64,
            changes_max: 1024,
        }
    }
}

/// Bytes. A device's name is cut to this: it is a label for people.
pub(crate) const DEVICE_BYTES_MAX: usize = 64;

/// Clients in one answer of [`super::Presence::list`], however many were asked for.
pub(crate) const LIST_MAX: usize = 1000;
