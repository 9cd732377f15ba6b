//! The JSON messages between nodes. The only types of this crate that can be serialised.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, presence::Device};

/// One message on the channel.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    /// The name of the node that sends it.
    pub(super) node: String,
    /// When it was sent, in ms since 1970.
    pub(super) at: u64,
    #[serde(flatten)]
    pub(super) event: Event,
}

/// The content of a message. Unknown messages of another version are ignored; a gap in the numbers shows what is missing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The changed clients with their devices; an empty list if the client has left the node. `number` is the hash's new
    /// number.
    Changed {
        number: u64,
        clients: Vec<(String, Vec<NoticedDevice>)>,
    },
    /// The hash was replaced; the others read it again.
    Replaced,
    /// The node has left.
    Left,
}

/// A device's name, and when it connected in ms since 1970.
pub(super) type NoticedDevice = (String, u64);

/// Converts devices for JSON.
pub(super) fn to_wire(devices: &[Device]) -> Vec<NoticedDevice> {
    let pairs = devices.iter();
    pairs
        .map(|device| (device.name.to_string(), device.since.0))
        .collect()
}

/// Converts devices from JSON.
pub(super) fn devices_from_wire(noticed: Vec<NoticedDevice>) -> Vec<Device> {
    let pairs = noticed.into_iter();
    pairs
        .map(|(name, since)| Device {
            name: name.into(),
            since: UnixMillis(since),
        })
        .collect()
}

/// Converts clients from JSON.
pub(super) fn clients_from_wire(
    noticed: Vec<(String, Vec<NoticedDevice>)>,
) -> Vec<(Arc<str>, Vec<Device>)> {
    let pairs = noticed.into_iter();
    pairs
        .map(|(client, found)| (client.into(), devices_from_wire(found)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written() {
        let notice = Notice {
            node: "n1".to_owned(),
            at: 5,
            event: Event::Changed {
                number: 7,
                clients: vec![("ann".to_owned(), vec![("web".to_owned(), 3)])],
            },
        };
        let text = serde_json::to_string(&notice).unwrap();
        assert_eq!(
            text,
            r#"{"node":"n1","at":5,"event":"changed","number":7,"clients":[["ann",[["web",3]]]]}"#
        );
        let read: Notice = serde_json::from_str(&text).unwrap();
        assert!(matches!(read.event, Event::Changed { number: 7, .. }));
    }
}
