//! What records change in the index.

use std::sync::Arc;

use super::{
    Index,
    record::{Location, StreamState},
};
use crate::StreamPosition;

/// What a record changes in the index when it has been written.
pub(super) enum Change {
    Named {
        number: u32,
    },
    State {
        number: u32,
        state: StreamState,
        keeps_records: bool,
        segment: u32,
    },
    Publication {
        number: u32,
        state: StreamState,
        location: Location,
        /// Bytes, where the state says that they are counted.
        content: u32,
    },
    Key {
        number: u32,
        key: Arc<str>,
        position: Option<StreamPosition>,
        until: u64,
        segment: u32,
    },
}

/// Carries out what was written.
pub(super) fn apply(index: &mut Index, changes: Vec<Change>, era: u32) {
    for change in changes {
        match change {
            Change::Named { number } => index.channel_mut(number).named_in = era,
            Change::State {
                number,
                state,
                keeps_records,
                segment,
            } => index.set_state(number, &state, segment, keeps_records),
            Change::Publication {
                number,
                state,
                location,
                content,
            } => index.set_publication(number, &state, location, content),
            Change::Key {
                number,
                key,
                position,
                until,
                segment,
            } => index.remember_key(number, &key, position, until, segment),
        }
    }
}
