//! The delivery of a group's publications to one member.

use std::sync::Arc;

use sockeye_proto::{
    CloseCode,
    driver::{PreparedForm, prepared_form},
};

use crate::connection::{
    fan_out::{Batch, Delivery, Memberships, Slice},
    mailbox::Mailbox,
    write::{
        prepared::Prepared,
        writer::{Cork, DrivenBy, OutboxError, Writer},
    },
};

impl Writer {
    /// Sends the publications that the session's groups sent before, so that they precede what the session is
    /// sent now.
    #[inline]
    pub(crate) fn catch_up(&mut self) {
        // A member of a group has a cold state, a calm session has none.
        if self.cold_state.is_some() {
            self.take_owed();
        }
    }

    /// Sends `batch` of `slice`, if the session is a member and hasn't got it.
    #[inline]
    pub(crate) fn deliver(&mut self, batch: &mut Batch, slice: &Slice) {
        let Some(cold_state) = &mut self.cold_state else {
            return;
        };
        match cold_state.memberships.step(slice, batch) {
            Delivery::Whole => self.give_batch(batch),
            Delivery::Nothing => {}
            Delivery::Owed => self.take_owed(),
        }
    }

    /// Sends a message of a group. A session that has no room for it reads too slowly and is closed.
    pub(crate) fn give(&mut self, message: &Prepared) {
        if self.offer(message) == Err(OutboxError::Full) {
            let own = self
                .cold_state
                .as_ref()
                .and_then(|cold_state| cold_state.slow_reader.clone());
            match own {
                Some(own) => self.close(own.code, own.reason),
                None => self.close(CloseCode::TRY_AGAIN_LATER, "reads too slowly"),
            }
        }
    }

    pub(crate) fn memberships(&mut self) -> Option<&mut Memberships> {
        self.cold_state
            .as_mut()
            .map(|cold_state| &mut cold_state.memberships)
    }

    /// Returns the mailbox of its worker, if it has one.
    pub(crate) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match &self.driven_by {
            DrivenBy::Worker { mailbox, .. } => Some(mailbox),
            DrivenBy::Nobody | DrivenBy::Task(_) => None,
        }
    }

    #[inline(never)]
    fn take_owed(&mut self) {
        let Some(mailbox) = self.mailbox().filter(|mailbox| mailbox.undelivered() > 0) else {
            return;
        };
        let stamp = mailbox.stamp();
        let Some(memberships) = self.memberships() else {
            return;
        };
        let owed = memberships.take_owed(stamp);
        let bytes = owed.iter().map(Prepared::wire_bytes_max).sum();
        self.give_all(&owed, bytes);
    }

    #[inline]
    fn give_batch(&mut self, batch: &mut Batch) {
        if !self.is_open() {
            return;
        }
        let waiting = self.buffered_bytes();
        let fits = waiting + batch.bytes() <= self.outbox_bytes_max();
        let is_one = batch.messages().len() == 1;
        match self.common_form(batch) {
            Some(form) if fits || waiting == 0 && is_one => {
                self.count_batch(batch);
                self.transmit_shared(batch.joined(form));
            }
            _ => self.give_all(batch.messages(), batch.bytes()),
        }
    }

    #[inline]
    fn count_batch(&mut self, batch: &Batch) {
        if self.sent().is_some() {
            let messages = batch.messages();
            let lens = messages.iter().map(|message| message.message().len());
            self.count(messages.len(), lens.sum());
        }
    }

    /// Returns the form of frame that fits all of `batch`, if it is one that sessions share.
    #[inline]
    fn common_form(&self, batch: &Batch) -> Option<PreparedForm> {
        let (min, max) = batch.payload_bytes();
        let form = prepared_form(&self.sender, max).ok()?;
        let is_common = min == max || prepared_form(&self.sender, min) == Ok(form);
        (is_common && form != PreparedForm::Own).then_some(form)
    }

    /// Sends one message after another, in one write if `bytes`, the most that they can be, fit the outbox.
    fn give_all(&mut self, messages: &[Prepared], bytes: usize) {
        let gathers = messages.len() > 1
            && self.cork == Cork::Off
            && self.buffered_bytes() + bytes <= self.outbox_bytes_max();
        if gathers {
            self.cork = Cork::Batch;
        }
        for message in messages {
            self.give(message);
        }
        if gathers {
            self.cork = Cork::Off;
            if self.outbox.is_some() {
                self.flush();
            }
        }
    }
}
