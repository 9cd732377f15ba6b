//! A type without a value in place of a worker's mailbox, for builds without the feature `server`.

use std::{sync::Arc, task::Waker};

use crate::connection::fan_out::Slice;

/// Has no value: this build has none.
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
