//! What stands for a worker's mailbox in a build without the feature `server`, which has no workers.

use std::{sync::Arc, task::Waker};

use crate::connection::fan_out::Slice;

/// There is none.
pub(crate) enum Mailbox {}

pub(crate) enum Note {
    Look(u32),
    Deliver(Arc<Slice>),
}

impl Mailbox {
    pub(crate) fn post(&self, _note: Note) {
        match *self {}
    }

    pub(crate) fn waker(mailbox: &Arc<Self>, _place: u32) -> Waker {
        match **mailbox {}
    }

    pub(crate) fn undelivered(&self) -> usize {
        match *self {}
    }

    pub(crate) fn begin_delivery(&self) {
        match *self {}
    }

    pub(crate) fn end_delivery(&self) {
        match *self {}
    }

    pub(crate) fn stamp(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn next_stamp(&self) -> u64 {
        match *self {}
    }
}
