//! What happens in a channel, as clients receive it.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Epoch,
    shard::{Form, Item},
    wire::{self, EncodeError, Encoding, Push, Reply},
};

/// Returns the difference that an item is sent as, in all encodings; `None` if it is sent whole.
pub(crate) fn difference(item: &Item) -> Option<Bytes> {
    match item {
        Item::Publication {
            publication,
            form: Form::Fossil(Some(previous)),
            ..
        } => wire::Publication::difference(&publication.data, &previous.data),
        _ => None,
    }
}

/// Returns the frame of an item, whose [`difference`] it is given. `is_bare` leaves out the reply around the push.
pub(crate) fn frame(
    encoding: Encoding,
    is_bare: bool,
    channel: &str,
    item: &Item,
    difference: Option<Bytes>,
) -> Result<Bytes, EncodeError> {
    let mut push = Push {
        channel: channel.to_owned(),
        ..Push::default()
    };
    match item {
        Item::Publication {
            publication,
            epoch,
            form,
        } => {
            let mut publication = wire::Publication {
                epoch: epoch.as_str().to_owned(),
                ..publication.as_ref().into()
            };
            if let Form::Fossil(_) = form {
                publication.compress(encoding, difference)?;
            }
            push.r#pub = Some(publication);
        }
        Item::Join(info) => {
            push.join = Some(wire::JoinPush {
                info: Some(info.as_ref().into()),
            });
        }
        Item::Leave(info) => {
            push.leave = Some(wire::LeavePush {
                info: Some(info.as_ref().into()),
            });
        }
    }
    encode(encoding, is_bare, push)
}

/// Encodes a push as a frame.
pub(crate) fn encode(encoding: Encoding, is_bare: bool, push: Push) -> Result<Bytes, EncodeError> {
    let mut frame = Vec::new();
    match is_bare {
        true => encoding.encode_push(&push, &mut frame)?,
        false => {
            let reply = Reply {
                push: Some(push),
                ..Reply::default()
            };
            encoding.encode_reply(&reply, &mut frame)?;
        }
    }
    Ok(frame.into())
}

/// Returns publications of a history for a client. The first of all has the epoch.
pub(crate) fn of_history<'a>(
    publications: impl Iterator<Item = &'a Arc<crate::Publication>>,
    epoch: &Epoch,
) -> Vec<wire::Publication> {
    publications
        .map(|publication| {
            let mut publication = wire::Publication::from(publication.as_ref());
            if publication.offset == 1 {
                epoch.as_str().clone_into(&mut publication.epoch);
            }
            publication
        })
        .collect()
}

impl From<&crate::Publication> for wire::Publication {
    fn from(publication: &crate::Publication) -> Self {
        Self {
            data: publication.data.clone(),
            info: publication.info.as_deref().map(Into::into),
            offset: publication.offset,
            tags: publication
                .tags
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            key: publication
                .change
                .as_ref()
                .map_or_else(String::new, |change| change.key.to_string()),
            removed: publication
                .change
                .as_ref()
                .is_some_and(|change| change.removed),
            ..Self::default()
        }
    }
}

impl From<&crate::ClientInfo> for wire::ClientInfo {
    fn from(info: &crate::ClientInfo) -> Self {
        Self {
            user: info.user.to_string(),
            client: info.client.to_string(),
            conn_info: info.conn_info.bytes(),
            chan_info: info.chan_info.bytes(),
        }
    }
}
