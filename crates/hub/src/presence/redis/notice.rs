//! What nodes tell each other, as JSON. The only types here that can be serialised.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, presence::Device};

/// One message on the channel.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    /// Who says it.
    pub(super) node: String,
    /// When, in ms since 1970.
    pub(super) at: u64,
    #[serde(flatten)]
    pub(super) event: Event,
}

/// What is said. Programs of another version may say more; that is ignored, and the numbers tell.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// Clients with their devices there, an empty list for those who left. The hash has this number now.
    Changed {
        number: u64,
        clients: Vec<(String, Vec<NoticedDevice>)>,
    },
    /// The hash is a new one: read it.
    Replaced,
    /// The node has ended.
    Left,
}

/// Name and time in ms since 1970.
pub(super) type NoticedDevice = (String, u64);

/// For JSON.
pub(super) fn noticed(devices: &[Device]) -> Vec<NoticedDevice> {
    let pairs = devices.iter();
    pairs
        .map(|device| (device.name.to_string(), device.since.0))
        .collect()
}

/// From JSON.
pub(super) fn devices(noticed: Vec<NoticedDevice>) -> Vec<Device> {
    let pairs = noticed.into_iter();
    pairs
        .map(|(name, since)| Device::new(name.into(), UnixMillis(since)))
        .collect()
}

/// From JSON.
pub(super) fn clients(noticed: Vec<(String, Vec<NoticedDevice>)>) -> Vec<(Arc<str>, Vec<Device>)> {
    let pairs = noticed.into_iter();
    pairs
        .map(|(client, found)| (client.into(), devices(found)))
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
