//! The guard that keeps a device online.

use std::{fmt, sync::Arc};

use super::{registry::Tracking, shared::PresenceShared};

/// A guard that keeps a device online until it is dropped.
///
/// Keep it in the value that lives as long as the device's connection. Dropping it doesn't block.
pub struct DeviceGuard {
    shared: Arc<PresenceShared>,
    client: Arc<str>,
    tracking: Tracking,
}

impl DeviceGuard {
    pub(super) fn new(shared: Arc<PresenceShared>, client: Arc<str>, tracking: Tracking) -> Self {
        Self {
            shared,
            client,
            tracking,
        }
    }

    /// Returns the name of the device's client.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Returns whether the device counts. It doesn't if the client's name is invalid (valid: 1 to 128 bytes, no control
    /// characters) or if [`super::Limits::clients_max`] other clients are online.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.tracking != Tracking::Untracked
    }
}

impl Drop for DeviceGuard {
    fn drop(&mut self) {
        self.shared.leave(&self.client, self.tracking);
    }
}

impl fmt::Debug for DeviceGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("client", &self.client)
            .field("is_tracked", &self.is_tracked())
            .finish()
    }
}
