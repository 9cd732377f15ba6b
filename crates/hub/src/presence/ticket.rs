//! A device's place among those who are here.

use std::{fmt, sync::Arc};

use super::{handle::Shared, registry::Place};

/// A device's place among those who are here; the device leaves when it is dropped.
///
/// It can sit in whatever lives as long as the device is connected. Dropping it doesn't wait.
pub struct Ticket {
    shared: Arc<Shared>,
    client: Arc<str>,
    place: Place,
}

impl Ticket {
    pub(super) fn new(shared: Arc<Shared>, client: Arc<str>, place: Place) -> Self {
        Self {
            shared,
            client,
            place,
        }
    }

    /// Whose device it is.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Whether the device counts: not if the client's name is none (1 to 128 bytes, no control characters) or
    /// [`super::Limits::clients_max`] others are here.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.place != Place::Untracked
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.leave(&self.client, self.place);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("client", &self.client)
            .field("is_tracked", &self.is_tracked())
            .finish()
    }
}
