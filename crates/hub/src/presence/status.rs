//! What is known about clients.

use std::{borrow::Cow, sync::Arc};

use super::limits::DEVICE_BYTES_MAX;
use crate::UnixMillis;

/// One of a client's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it was called when it came. At most 64 bytes.
    pub name: Cow<'static, str>,
    /// When it came.
    pub since: UnixMillis,
}

impl Device {
    /// Cuts the name if it is too long.
    pub(crate) fn new(name: Cow<'static, str>, since: UnixMillis) -> Self {
        if name.len() <= DEVICE_BYTES_MAX {
            return Self { name, since };
        }
        let end = name.floor_char_boundary(DEVICE_BYTES_MAX);
        Self {
            name: name[..end].to_owned().into(),
            since,
        }
    }
}

/// What is known about one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// At least one device is here.
    Online {
        /// Since when there was always one.
        since: UnixMillis,
        /// Those that are listed, on this node and on others.
        devices: Vec<Device>,
    },
    /// None is.
    Away {
        /// When the last one went.
        last_seen: UnixMillis,
    },
}

/// One client in a list of those who are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub client: Arc<str>,
    /// Since when at least one of its devices was always here.
    pub since: UnixMillis,
    /// How many devices it has.
    pub devices: usize,
}

/// A part of the list of those who are here, and what else was true at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of their names' bytes.
    pub clients: Vec<Listed>,
    /// Whether there are more after the last one.
    pub has_more: bool,
    /// How many clients are here, on all pages.
    pub count: usize,
    /// What is wrong with the store, in one line.
    pub trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_name_is_cut_between_characters() {
        let long = Device::new("ü".repeat(40).into(), UnixMillis(1));
        assert_eq!(long.name, "ü".repeat(32));
        let uneven = Device::new(format!("a{}", "ü".repeat(40)).into(), UnixMillis(1));
        assert_eq!(uneven.name.len(), 63);
    }
}
