//! One turn: one read, and all that follows from it.

use std::{io, task::Poll};

use parking_lot::MutexGuard;
use sockeye_proto::{
    Event, Input, Message, Pong, ProtocolError,
    driver::{commit, payload_buffer, poll_long, poll_other, poll_short},
    extension::Pool,
};

use crate::connection::{
    buffers,
    fan_out::backlog,
    pending_work::{Cause, Owed},
    read::{
        driver::{Driver, DriverStage, ShortRead},
        watchdog::Traffic,
    },
    session::Session,
    sink::{InputMessage, Room, Sink},
    write::{Cork, LARGE_BYTES_MIN, ReplyBatch, Writer},
};

/// The work that a turn leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextWork {
    /// There may be more to read.
    Read,
    /// Other work, or the connection has ended.
    Others,
}

/// What is known of the connection when a turn begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TurnStart {
    /// The input ended with the end of a message. There may be other work than to read.
    BetweenMessages,
    /// The input ended within a message. There may be other work than to read.
    WithinMessage,
    /// All other work is done that can be done now.
    AfterOthers,
}

/// Bytes of answers to large messages from which on they are written before the turn ends: enough that the
/// cost of a write doesn't matter, and few enough that they are still in the L2 cache.
const WRITE_EARLY_BYTES: usize = 128 << 10;

impl Driver {
    /// Runs one turn, unless there is other work: one read, the answers, one write. `Pending` if there is nothing more to
    /// do, as for most connections. The connection doesn't end here.
    #[inline(always)] // Into the worker's loop.
    pub(crate) fn poll_turn(
        &mut self,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<NextWork> {
        if self.stage != DriverStage::Open || self.is_busy() || !sink.has_room() {
            return Poll::Ready(NextWork::Others);
        }
        match self.receiver.is_unfinished() {
            true => self.turn_slowly(TurnStart::WithinMessage, sink, buffers, short_read),
            false => self.turn_from(TurnStart::BetweenMessages, sink, buffers, short_read),
        }
    }

    /// Runs one turn after all other work, also while bytes wait to be written.
    pub(super) fn poll_turn_after_others(
        &mut self,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<NextWork> {
        self.turn_slowly(TurnStart::AfterOthers, sink, buffers, short_read)
    }

    #[inline(never)]
    fn turn_slowly(
        &mut self,
        start: TurnStart,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<NextWork> {
        self.turn_from(start, sink, buffers, short_read)
    }

    #[inline(always)]
    fn turn_from(
        &mut self,
        start: TurnStart,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<NextWork> {
        let shared = self.session.shared();
        let mut writer = shared.lock_for_driver();
        if start != TurnStart::AfterOthers && !writer.is_calm() {
            return Poll::Ready(NextWork::Others);
        }
        let payload = match start {
            TurnStart::BetweenMessages => None,
            TurnStart::WithinMessage | TurnStart::AfterOthers => payload_buffer(&mut self.receiver),
        };
        let (direct_max, len_max, read) = match payload {
            Some(payload) => (payload.len(), payload.len(), writer.poll_read(payload)),
            None => {
                let buffer = self.read_size.part_of(&mut buffers.buffer);
                (0, buffer.len(), writer.poll_read(buffer))
            }
        };
        let len = match read {
            Poll::Ready(Ok(len @ 1..)) => len,
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) if writer.close_sent().is_some() => {
                // The peer hung up after our Close frame.
                drop(writer);
                self.finish(sink);
                self.done();
                return Poll::Ready(NextWork::Others);
            }
            Poll::Ready(ended) => {
                fail(writer, ended.err());
                return Poll::Ready(NextWork::Others);
            }
        };
        // A stream socket gives all it has (epoll(7), question 9). The peer's end may follow.
        let is_drained = len < len_max && writer.is_on_socket();
        let mut replies = ReplyBatch::new(&mut buffers.framed);
        match start {
            TurnStart::AfterOthers => writer.set_cork(Cork::Batch),
            TurnStart::BetweenMessages | TurnStart::WithinMessage => {
                shared.begin_turn();
                writer.begin_turn(&mut replies);
            }
        }
        drop(writer);
        let (buffer, pool) = (&mut buffers.buffer, &mut buffers.pool);
        self.handle_read(len, direct_max, buffer, pool, replies, sink);
        match () {
            () if self.is_busy() => Poll::Ready(NextWork::Others),
            () if is_drained && short_read == ShortRead::Last => Poll::Pending,
            () => Poll::Ready(NextWork::Read),
        }
    }

    /// Handles a read of `len` bytes: first those that went to a message's own memory, which had room for
    /// `direct_max`, then the others at the beginning of `buffer`.
    #[inline(always)]
    fn handle_read<'b>(
        &mut self,
        len: usize,
        direct_max: usize,
        buffer: &'b mut [u8],
        pool: &mut Pool,
        mut replies: ReplyBatch<'b>,
        sink: &mut impl Sink,
    ) {
        self.watchdog.handle_bytes();
        self.read_size.handle_read(len, direct_max);
        let direct = len.min(direct_max);
        let bytes = &mut buffer[..len - direct];
        let room = match direct {
            0 => Room::Left,
            _ => self.handle_direct(direct, pool, &mut replies, sink),
        };
        let rest = match room {
            Room::Left => self.look_through(bytes, pool, &mut replies, sink),
            Room::None => bytes,
        };
        if !rest.is_empty() {
            self.pending_work().pending = rest.to_vec();
        }
        self.end_turn(&mut replies, pool, sink);
        replies.finish();
    }

    /// Handles `len` bytes that were read into a message's own memory, and hands the message out if it is
    /// whole.
    #[inline(never)]
    fn handle_direct(
        &mut self,
        len: usize,
        pool: &mut Pool,
        replies: &mut ReplyBatch<'_>,
        sink: &mut impl Sink,
    ) -> Room {
        self.traffic = Traffic::Busy;
        match commit(&mut self.receiver, len) {
            Some(message) => self.hand_out_owned(message, pool, replies, sink),
            None => Room::Left,
        }
    }

    /// Hands out a message that lies in the input.
    #[inline(always)] // Into the loop.
    fn hand_out_long<'b>(
        &mut self,
        message: Message<'b>,
        pool: &mut Pool,
        replies: &mut ReplyBatch<'b>,
        sink: &mut impl Sink,
    ) -> Room {
        if message.len() < LARGE_BYTES_MIN {
            return sink.handle_message(&self.session, InputMessage::Brief(message), replies);
        }
        let lasting = InputMessage::Lasting(message, pool);
        let room = sink.handle_message(&self.session, lasting, replies);
        self.write_early(replies, pool);
        room
    }

    /// Hands out a large message that owns its memory.
    fn hand_out_owned(
        &mut self,
        message: Message<'static>,
        pool: &mut Pool,
        replies: &mut ReplyBatch<'_>,
        sink: &mut impl Sink,
    ) -> Room {
        let owned = InputMessage::Owned(message, pool);
        let room = sink.handle_message(&self.session, owned, replies);
        self.write_early(replies, pool);
        room
    }

    /// Writes large answers before the turn ends, while they are in the nearer caches, and so that the peer
    /// has something to do.
    fn write_early(&mut self, replies: &mut ReplyBatch<'_>, pool: &mut Pool) {
        if replies.bytes() >= WRITE_EARLY_BYTES {
            let mut writer = self.session.shared().lock_for_driver();
            writer.write_replies(replies, pool);
        }
    }

    /// Hands out the messages in `bytes` while the sink has room. Returns the bytes that aren't handed out
    /// yet.
    #[inline(always)] // Into the turn.
    pub(super) fn look_through<'b>(
        &mut self,
        bytes: &'b mut [u8],
        pool: &mut Pool,
        replies: &mut ReplyBatch<'b>,
        sink: &mut impl Sink,
    ) -> &'b [u8] {
        let mut input = Input::new(bytes);
        loop {
            let limits = &self.session.shared().negotiated().settings.limits;
            let Some(message) = poll_short(&mut self.receiver, &mut input, limits) else {
                match self.look_further(&mut input, pool, replies, sink) {
                    Some(_) if backlog::is_behind() => return input.into_rest(),
                    Some(Room::Left) => continue,
                    Some(Room::None) => return input.into_rest(),
                    None => return &[],
                }
            };
            let room = match message {
                Ok(message) => {
                    self.traffic = Traffic::Busy;
                    sink.handle_message(&self.session, InputMessage::Brief(message), replies)
                }
                Err(error) => {
                    self.owe(error);
                    return &[];
                }
            };
            if room == Room::None || input.is_empty() || backlog::is_behind() {
                return input.into_rest();
            }
        }
    }

    /// Hands out what comes next if it isn't a short message. `None` after the last.
    #[inline(never)]
    fn look_further<'b>(
        &mut self,
        input: &mut Input<'b>,
        pool: &mut Pool,
        replies: &mut ReplyBatch<'b>,
        sink: &mut impl Sink,
    ) -> Option<Room> {
        let mut was_long = false;
        loop {
            let limits = &self.session.shared().negotiated().settings.limits;
            match poll_long(&mut self.receiver, input, limits) {
                Some(Ok(message)) => {
                    self.traffic = Traffic::Busy;
                    let room = self.hand_out_long(message, pool, replies, sink);
                    if room == Room::None || backlog::is_behind() {
                        return Some(Room::None);
                    }
                    // The next one is likely to be as long.
                    was_long = true;
                }
                Some(Err(error)) => {
                    self.owe(error);
                    return None;
                }
                None if was_long => return Some(Room::Left),
                None => break,
            }
        }
        let limits = &self.session.shared().negotiated().settings.limits;
        match poll_other(&mut self.receiver, input, pool, limits) {
            Ok(None) => None,
            Ok(Some(Event::Message(message))) => {
                self.traffic = Traffic::Busy;
                if message.len() < LARGE_BYTES_MIN || !message.is_owned() {
                    let brief = InputMessage::Brief(message);
                    return Some(sink.handle_message(&self.session, brief, replies));
                }
                let message = message.into_owned();
                Some(self.hand_out_owned(message, pool, replies, sink))
            }
            Ok(Some(event @ Event::Part(_))) => {
                self.traffic = Traffic::Busy;
                Some(sink.handle_event(&self.session, event))
            }
            Ok(Some(event)) => {
                if let Event::Pong(payload) = event
                    && let Pong::Ours(latency) = self.watchdog.handle_pong(payload)
                {
                    // Hidden from the program, because it answers a ping that the program didn't send.
                    if let Some(latency) = latency {
                        self.session.shared().measure(latency);
                    }
                    return Some(Room::Left);
                }
                let mut owed = None;
                let room = handle_control(&self.session, event, replies, sink, &mut owed);
                if owed.is_some() {
                    self.pending_work().owed = owed;
                }
                Some(room)
            }
            Err(error) => {
                self.owe(error);
                None
            }
        }
    }

    /// Notes that a Close frame is owed because the peer has broken a rule.
    #[cold]
    fn owe(&mut self, error: ProtocolError) {
        self.pending_work().owed = Some(Owed::new(Cause::Broken(error)));
    }

    /// Ends a turn: sends the program's answers.
    #[inline(always)]
    pub(super) fn end_turn(
        &mut self,
        replies: &mut ReplyBatch<'_>,
        pool: &mut Pool,
        sink: &impl Sink,
    ) {
        let mut writer = self.session.shared().lock_for_driver();
        writer.end_turn(replies, pool);
        writer.set_cork(sink.cork());
        if writer.is_calm() {
            return;
        }
        let is_closing = writer.close_sent().is_some() || writer.is_lost();
        drop(writer);
        if is_closing {
            self.pending_work().has_more = true;
        }
    }
}

/// Answers a ping, or notes that a Close frame has to be answered.
#[cold]
fn handle_control(
    session: &Session,
    event: Event<'_>,
    replies: &mut ReplyBatch<'_>,
    sink: &mut impl Sink,
    owed: &mut Option<Owed>,
) -> Room {
    let has_room = {
        let mut writer = session.shared().lock_in_order();
        writer.take_replies(replies);
        match event {
            Event::Ping(_) => writer.answer(&event),
            Event::Close(frame) => {
                writer.hear_close(frame);
                *owed = Some(Owed::new(Cause::PeerClosed));
            }
            _ => {}
        }
        writer.has_room()
    };
    match sink.handle_event(session, event) {
        Room::Left if has_room => Room::Left,
        _ => Room::None,
    }
}

/// Notes that the socket has failed, or that the peer has ended its direction without a Close frame.
#[cold]
fn fail(mut writer: MutexGuard<'_, Writer>, error: Option<io::Error>) {
    writer.fail_io(error.unwrap_or(io::ErrorKind::UnexpectedEof.into()));
}
