//! One read, and all that follows from it.

use std::io;

use sockeye_proto::{Event, Input, Pong, ProtocolError, extension::Pool};

use super::{Driver, Room, Sink, Stage};
use crate::{
    Session,
    agenda::{Cause, Owed},
    lend,
    replies::Replies,
    vigil::Traffic,
};

/// Whether a turn has left nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Nothing; the system will tell of whatever comes next.
    Yes,
    /// There may be more, or other things: [`Driver::poll_drive`] knows them all.
    No,
}

impl Driver {
    /// The turn of a calm connection on a worker's socket, which most turns are: one read, the answers, one
    /// write.
    #[inline]
    pub(crate) fn turn(&mut self, sink: &mut impl Sink, lent: &mut lend::Reading) -> Settled {
        if self.stage != Stage::Open || self.agenda.is_some() || self.receiver.is_unfinished() {
            return Settled::No;
        }
        let shared = self.session.shared();
        let mut wire = shared.wire_for_turn();
        if !wire.is_calm() {
            return Settled::No;
        }
        let buffer = self.appetite.part_of(&mut lent.buffer);
        let len_max = buffer.len();
        let len = match wire.try_read_plain(buffer) {
            Some(Ok(len @ 1..)) => len,
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Settled::Yes,
            Some(Err(error)) if error.kind() != io::ErrorKind::Interrupted => {
                wire.fail_transport(error);
                return Settled::No;
            }
            _ => return Settled::No,
        };
        shared.begin_turn();
        wire.begin_turn(&mut lent.replies);
        drop(wire);
        self.vigil.handle_bytes();
        self.appetite.handle_read(len, 0);
        let bytes = &mut lent.buffer[..len];
        let handled = self.look_through(bytes, &mut lent.pool, &mut lent.replies, sink);
        if handled < len {
            self.agenda().pending = lent.buffer[handled..len].to_vec();
        }
        self.end_turn(&mut lent.replies, sink);
        match len < len_max && self.agenda.is_none() {
            true => Settled::Yes,
            false => Settled::No,
        }
    }

    /// `len` bytes were read into a message's own memory: hands it out, if it is whole.
    pub(super) fn handle_direct(
        &mut self,
        len: usize,
        pool: &mut Pool,
        sink: &mut impl Sink,
    ) -> Room {
        self.traffic = Traffic::Busy;
        match self.receiver.handle_filled(len) {
            Some(message) => sink.handle_large(&self.session, message, pool),
            None => Room::Left,
        }
    }

    /// Hands out what `bytes` hold, as long as there is room. How many bytes of it are done with.
    #[inline(never)]
    pub(super) fn handle_bytes(
        &mut self,
        bytes: &mut [u8],
        pool: &mut Pool,
        replies: &mut Replies,
        sink: &mut impl Sink,
    ) -> usize {
        self.look_through(bytes, pool, replies, sink)
    }

    /// The same. Inlined where it pays.
    #[inline(always)]
    fn look_through(
        &mut self,
        bytes: &mut [u8],
        pool: &mut Pool,
        replies: &mut Replies,
        sink: &mut impl Sink,
    ) -> usize {
        let len = bytes.len();
        let mut input = Input::new(bytes);
        loop {
            let limits = &self.session.shared().terms().settings.limits;
            let Some(message) = self.receiver.poll_short(&mut input, limits) else {
                match self.look_further(&mut input, pool, replies, sink) {
                    Some(Room::Left) => continue,
                    Some(Room::None) => return len - input.rest().len(),
                    None => return len,
                }
            };
            let room = match message {
                Ok(message) => {
                    self.traffic = Traffic::Busy;
                    sink.handle_message(&self.session, message, replies)
                }
                Err(error) => {
                    self.owe(error);
                    return len;
                }
            };
            if room == Room::None || input.is_empty() {
                return len - input.rest().len();
            }
        }
    }

    /// Hands out what comes next, if it isn't a short message. `None` after the last.
    #[inline(never)]
    fn look_further(
        &mut self,
        input: &mut Input<'_>,
        pool: &mut Pool,
        replies: &mut Replies,
        sink: &mut impl Sink,
    ) -> Option<Room> {
        let limits = &self.session.shared().terms().settings.limits;
        match self.receiver.poll_other(input, pool, limits) {
            Ok(None) => None,
            Ok(Some(Event::Message(message))) => {
                self.traffic = Traffic::Busy;
                Some(sink.handle_message(&self.session, message, replies))
            }
            Ok(Some(event @ Event::Part(_))) => {
                self.traffic = Traffic::Busy;
                Some(sink.handle_event(&self.session, event))
            }
            Ok(Some(event)) => {
                if let Event::Pong(payload) = event
                    && let Pong::Ours(latency) = self.vigil.handle_pong(payload)
                {
                    // Not the program's business: it answers a ping that the program didn't send.
                    if let Some(latency) = latency {
                        self.session.shared().measure(latency);
                    }
                    return Some(Room::Left);
                }
                let mut owed = None;
                let room = handle_control(&self.session, event, replies, sink, &mut owed);
                if owed.is_some() {
                    self.agenda().owed = owed;
                }
                Some(room)
            }
            Err(error) => {
                self.owe(error);
                None
            }
        }
    }

    /// The peer has broken a rule: a Close frame is owed.
    #[cold]
    fn owe(&mut self, error: ProtocolError) {
        self.agenda().owed = Some(Owed::new(Cause::Broken(error)));
    }

    /// What the program has answered goes out.
    #[inline(always)]
    pub(super) fn end_turn(&mut self, replies: &mut Replies, sink: &impl Sink) {
        let mut wire = self.session.shared().wire_for_turn();
        wire.end_turn(replies);
        wire.set_cork(sink.cork());
        if wire.is_calm() {
            return;
        }
        let is_closing = wire.close_sent().is_some() || wire.is_lost();
        drop(wire);
        if is_closing {
            // There is something to do, though no event may come that tells of it.
            self.agenda();
        }
    }
}

/// A ping is answered; to a Close frame an answer is owed.
#[cold]
fn handle_control(
    session: &Session,
    event: Event<'_>,
    replies: &mut Replies,
    sink: &mut impl Sink,
    owed: &mut Option<Owed>,
) -> Room {
    let has_room = {
        let mut wire = session.shared().wire();
        wire.take_in(replies);
        match event {
            Event::Ping(_) => wire.answer(&event),
            Event::Close(frame) => {
                wire.hear_close(frame);
                *owed = Some(Owed::new(Cause::PeerClosed));
            }
            _ => {}
        }
        wire.has_room()
    };
    match sink.handle_event(session, event) {
        Room::Left if has_room => Room::Left,
        _ => Room::None,
    }
}
