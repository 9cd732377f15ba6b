//! The status of clients.

use std::{borrow::Cow, sync::Arc};

use crate::UnixMillis;

/// One of a client's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The name it was given when it connected. At most [`Limits::device_bytes_max`](super::Limits::device_bytes_max).
    pub name: Cow<'static, str>,
    /// When it connected.
    pub since: UnixMillis,
}

impl Device {
    /// Cuts a name that is too long.
    pub(crate) fn cut(self, bytes_max: usize) -> Self {
        if self.name.len() <= bytes_max {
            return self;
        }
        let end = self.name.floor_char_boundary(bytes_max);
        Self {
            name: self.name[..end].to_owned().into(),
            since: self.since,
        }
    }
}

/// The status of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// At least one device is connected.
    Online {
        /// Since when at least one device has been connected without a gap.
        since: UnixMillis,
        /// The listed devices, on this node and on others.
        devices: Vec<Device>,
    },
    /// No device is connected.
    Offline {
        /// When the last device disconnected.
        last_seen: UnixMillis,
    },
}

/// An entry in the list of online clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The client's name.
    pub client: Arc<str>,
    /// Since when at least one device has been connected without a gap.
    pub since: UnixMillis,
    /// The number of its devices, listed or not.
    pub devices: usize,
}

/// A page of the list of online clients, with the count and the store's error at the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Ordered by the bytes of their names.
    pub clients: Vec<Listed>,
    /// Whether more clients follow on the next page.
    pub has_more: bool,
    /// The number of online clients, on all pages.
    pub count: usize,
    /// The store's current error, in one line.
    pub store_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_name_is_cut_between_characters() {
        let device = |name: String| Device {
            name: name.into(),
            since: UnixMillis(1),
        };
        let long = device("ü".repeat(40)).cut(64);
        assert_eq!(long.name, "ü".repeat(32));
        let uneven = device(format!("a{}", "ü".repeat(40))).cut(64);
        assert_eq!(uneven.name.len(), 63);
    }
}
