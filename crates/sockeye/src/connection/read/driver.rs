//! The loop between a socket and a connection: read, hand out, answer, flush, close.

mod memory;
mod panic;
mod time_slice;
mod timeouts;
mod turn;

pub(crate) use turn::NextWork;

use std::{
    io,
    sync::Arc,
    task::{Poll, Waker, ready},
    time::Duration,
};

use sockeye_proto::{CloseCode, Receiver, Role, Sender};
use tokio::time::Instant;

use crate::{
    closed::{Closed, EndCause},
    connection::{
        buffers,
        established::Established,
        fan_out::Slice,
        pending_work::{Cause, Owed, PendingWork},
        read::{
            driver::time_slice::TimeSlice,
            late_peer::Unread,
            read_size::ReadSize,
            watchdog::{Traffic, Watchdog},
        },
        session::{Session, SessionShared},
        sink::Sink,
        write::{Cork, ReplyBatch, Writer},
    },
    error::{Error, ErrorKind},
    time::later,
};

/// The receiving side of one connection, and its end. An endpoint's task, the caller of `recv` or a worker
/// drives it; it doesn't know which.
///
/// ```text
///           Close both ways, or failure          our direction ended      peer's ended
///   Open ───────────────────────────────> Ending ───────────────────> Draining ───────> Done
///     └────────────── socket failed ───────────────────────────────────────────────────^
/// ```
pub(crate) struct Driver {
    session: Session,
    receiver: Receiver,
    role: Role,
    stage: DriverStage,
    read_size: ReadSize,
    watchdog: Watchdog,
    /// Whether a message came, or a part of one, since the watchdog's last check.
    traffic: Traffic,
    /// What the peer may still have to read.
    unread: Unread,
    /// The work still to be done; a calm connection has none.
    pending_work: Option<Box<PendingWork>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DriverStage {
    Open,
    Ending,
    Draining,
    Done,
}

/// Whether a read that doesn't fill its buffer is the last for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShortRead {
    /// It is: the system reports whatever comes after it.
    Last,
    /// It isn't: the peer's end may follow, which the system has reported already.
    ReadOn,
}

impl Driver {
    pub(crate) fn new(established: Established) -> Result<Self, Error> {
        let Established {
            io,
            leftover,
            role,
            negotiated,
            request,
        } = established;
        let agreed = negotiated.deflate.zip(negotiated.settings.deflate.as_ref());
        let sender = match role {
            Role::Server => Sender::server(agreed),
            Role::Client => Sender::client(entropy()?, agreed),
        };
        let receiver = Receiver::new(role, negotiated.deflate);
        let outbox_bytes_max = negotiated.settings.outbox_bytes_max;
        let writer = Writer::new(io, sender, outbox_bytes_max, request);
        let session = Session::new(Arc::new(SessionShared::new(negotiated, writer)));
        let settings = &session.shared().negotiated().settings;
        let mut driver = Self {
            watchdog: Watchdog::new(settings, session.id(), Instant::now()),
            session,
            traffic: Traffic::Quiet,
            unread: Unread::default(),
            receiver,
            role,
            stage: DriverStage::Open,
            read_size: ReadSize::Part,
            pending_work: None,
        };
        if !leftover.is_empty() {
            driver.pending_work().pending = leftover;
        }
        Ok(driver)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// Returns whether no more events come.
    pub(crate) fn has_ended(&self) -> bool {
        self.stage != DriverStage::Open
    }

    /// Sends the gathered bytes; later sends go to the socket at once.
    pub(crate) fn release(&self) {
        self.shared().lock_in_order().uncork();
    }

    /// Has sends gather until [`Driver::release`], because the program has more messages to take.
    pub(crate) fn gather(&self) {
        self.shared().lock_in_order().set_cork(Cork::Inbox);
    }

    /// Returns whether the program's answers still gather, after it has taken the last message of a batch. If
    /// there are none, later sends go to the socket at once.
    pub(crate) fn gathers(&self) -> bool {
        self.shared().lock_in_order().gathers()
    }

    /// Returns whether the socket is closed.
    pub(crate) fn is_done(&self) -> bool {
        self.stage == DriverStage::Done
    }

    /// Pauses reading until `slice` has room again. The caller drives the connection then.
    pub(crate) fn hold(&mut self, slice: Arc<Slice>) {
        if !self.has_ended() {
            self.pending_work().backlog = Some(slice);
        }
    }

    /// Returns whether reading pauses because of what the endpoint has sent to a group.
    fn waits_for_group(&mut self) -> bool {
        let Some(pending_work) = &mut self.pending_work else {
            return false;
        };
        pending_work.backlog.take_if(|slice| !slice.is_full());
        pending_work.backlog.is_some()
    }

    /// Sets the waker of the task that drives this connection from now on, or polls its stream.
    pub(crate) fn set_task(&self, waker: &Waker) {
        self.shared().lock_in_order().set_task(waker);
    }

    /// Wakes the task or worker that drives this connection.
    pub(crate) fn wake(&self) {
        self.shared().lock_in_order().wake_driver();
    }

    /// Returns how long to poll before sleeping.
    #[inline]
    pub(crate) fn spin_max(&self) -> Duration {
        self.shared().negotiated().settings.busy_poll
    }

    /// Returns whether there is any work but reading.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.pending_work
            .as_ref()
            .is_some_and(|pending_work| pending_work.is_busy())
    }

    /// Returns when the connection must be driven, even if nothing happens.
    pub(crate) fn timer(&self) -> Option<Instant> {
        let pending_work = self.pending_work.as_ref()?;
        let owed = pending_work.owed.as_ref().map(|owed| owed.due);
        let due = owed.into_iter().chain(pending_work.deadline);
        let write_stall = pending_work
            .write_stall
            .as_ref()
            .map(|write_stall| write_stall.due);
        due.chain(write_stall).min()
    }

    /// Works until nothing more can be done now. Ready once the socket is closed, or the time slice is over.
    pub(crate) fn poll_drive(
        &mut self,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<DriveOutcome> {
        let next_work = ready!(self.poll_turn(sink, buffers, short_read));
        self.poll_on(next_work, sink, buffers, short_read)
    }

    /// Does `next_work`, and whatever follows from it, as [`Driver::poll_drive`].
    #[inline(never)]
    pub(crate) fn poll_on(
        &mut self,
        mut next_work: NextWork,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<DriveOutcome> {
        let mut time_slice = TimeSlice::default();
        while !time_slice.is_over() {
            match self.stage {
                DriverStage::Open => {
                    let turned = match next_work {
                        NextWork::Others => self.poll_others(sink, buffers, short_read),
                        NextWork::Read => self.poll_turn(sink, buffers, short_read),
                    };
                    next_work = ready!(turned);
                }
                DriverStage::Ending => ready!(self.poll_ending()),
                DriverStage::Draining => ready!(self.poll_draining(buffers)),
                DriverStage::Done => return Poll::Ready(DriveOutcome::Done),
            }
        }
        Poll::Ready(DriveOutcome::Over)
    }

    /// Sends a Close frame with `code`, unless the connection has ended. For use before [`Driver::abort`].
    pub(crate) fn break_off(&self, code: CloseCode) {
        if !self.has_ended() {
            // A batch may have been interrupted, after which nothing would be flushed.
            self.release();
            self.session.close(code, "");
        }
    }

    /// Ends the connection without a closing handshake, as when the runtime shuts down.
    pub(crate) fn abort(&mut self, sink: &mut impl Sink) {
        if self.stage == DriverStage::Open {
            self.finish(sink);
        }
        self.done();
    }

    /// Does all work besides reading, or before it, and reads then if that may be. `Pending` if it waits.
    #[cold]
    fn poll_others(
        &mut self,
        sink: &mut impl Sink,
        buffers: &mut buffers::ReadBuffers,
        short_read: ShortRead,
    ) -> Poll<NextWork> {
        self.shared().lock_in_order().clear_pause();
        self.send_owed_close(sink);
        let session = self.session.clone();
        let mut writer = session.shared().lock_in_order();
        // Answers to messages given before still gather if the program has more to take.
        writer.set_cork(sink.cork());
        let flushed = writer.flush();
        buffers::collect_spares(&mut buffers.pool);
        if writer.is_lost() {
            // The peer's last bytes may still be there, a Close frame above all.
            let is_over = self.receiver.has_ended() || !sink.has_room();
            if !is_over && !self.has_pending() && !self.is_late() {
                let read = writer.poll_read(&mut buffers.buffer);
                if let Poll::Ready(Ok(len)) = read {
                    self.pending_work().pending = buffers.buffer[..len].to_vec();
                }
            }
            if is_over || !self.has_pending() {
                drop(writer);
                self.handle_lost(sink);
                return Poll::Ready(NextWork::Read);
            }
        }
        if self.receiver.has_ended() && !self.is_owing() && flushed {
            let is_on_socket = writer.is_on_socket();
            drop(writer);
            let closed = self.finish(sink);
            if closed.is_clean() && is_on_socket {
                // After its Close frame the peer sends nothing (RFC 6455 section 5.5.1), so that no byte comes unread
                // which the kernel would answer with a reset: it needs neither shutdown(2) nor the peer's end.
                self.done();
            }
            return Poll::Ready(NextWork::Read);
        }
        if writer.close_sent().is_some() && self.is_late() {
            drop(writer);
            self.finish(sink);
            self.done();
            return Poll::Ready(NextWork::Read);
        }
        if self.is_stalled(&mut writer) {
            drop(writer);
            self.cut_off(EndCause::Stalled, sink);
            return Poll::Ready(NextWork::Read);
        }
        if self.must_close(&writer) {
            drop(writer);
            self.expel(EndCause::Shed, sink);
            return Poll::Ready(NextWork::Read);
        }
        writer.charge_to(&session.shared().negotiated().settings.memory_budget);
        writer.pause();
        let has_room = writer.may_read() && sink.has_room();
        if self.receiver.has_ended() || !has_room || self.waits_for_group() {
            return Poll::Pending;
        }
        if !self.has_pending() {
            // Input that is here already is handled all the same, which frees memory.
            if self.must_wait(&writer) && !writer.is_at_end() {
                return Poll::Pending;
            }
            if let Some(pending_work) = &mut self.pending_work {
                pending_work.has_more = false;
            }
            self.pending_work
                .take_if(|pending_work| pending_work.is_empty());
            drop(writer);
            return self.poll_turn_after_others(sink, buffers, short_read);
        }
        writer.set_cork(Cork::Batch);
        drop(writer);
        self.handle_pending(buffers, sink);
        Poll::Ready(NextWork::Read)
    }

    /// Handles the messages in the bytes that were read before, and keeps the rest.
    fn handle_pending(&mut self, buffers: &mut buffers::ReadBuffers, sink: &mut impl Sink) {
        let buffers::ReadBuffers { pool, framed, .. } = buffers;
        let pending_work = self.pending_work();
        let (mut pending, start) = (
            std::mem::take(&mut pending_work.pending),
            pending_work.handled,
        );
        let mut replies = ReplyBatch::new(framed);
        let rest = self.look_through(&mut pending[start..], pool, &mut replies, sink);
        let left = rest.len();
        self.end_turn(&mut replies, pool, sink);
        drop(replies);
        let pending_work = self.pending_work();
        pending_work.handled = 0;
        // The rest stays where it is. A copy for each message would be quadratic.
        if left > 0 {
            pending_work.handled = pending.len() - left;
            pending_work.pending = pending;
        }
    }

    /// Sends the Close frame that is owed, once the program is idle or its time is over.
    fn send_owed_close(&mut self, sink: &mut impl Sink) {
        let due = |owed: &mut Owed| sink.is_idle() || Instant::now() >= owed.due;
        let owed = self
            .pending_work
            .as_mut()
            .and_then(|pending_work| pending_work.owed.take_if(due));
        let Some(owed) = owed else {
            return;
        };
        match owed.cause {
            Cause::PeerClosed => self.shared().lock_in_order().answer_close(),
            Cause::Broken(error) => {
                self.shared().lock_in_order().fail(error);
                sink.handle_error(&self.session, error.into());
            }
        }
    }

    /// Ends the connection after the socket has failed.
    fn handle_lost(&mut self, sink: &mut impl Sink) {
        let failure = self.shared().lock_in_order().failure();
        if let Some(failure) = failure {
            let message = match failure.kind() {
                io::ErrorKind::UnexpectedEof => "the peer hung up without a Close frame",
                _ => "the connection was lost",
            };
            let error = Error::new(ErrorKind::Io, message).with_source(failure);
            sink.handle_error(&self.session, error);
        }
        self.finish(sink);
        self.done();
    }

    /// Settles how the connection ended, and tells the sink.
    fn finish(&mut self, sink: &mut impl Sink) -> Closed {
        let closed = self.shared().finish();
        self.stop_receiving();
        // RFC 6455 section 7.1.1: the server ends TCP first; a client waits for it, unless it fails
        // the connection.
        self.stage = match self.role {
            Role::Client if closed.is_clean() => DriverStage::Draining,
            _ => DriverStage::Ending,
        };
        sink.handle_closed(&self.session, &closed);
        closed
    }

    fn poll_ending(&mut self) -> Poll<()> {
        let shutdown = {
            let mut writer = self.shared().lock_in_order();
            writer.poll_shutdown()
        };
        if shutdown.is_ready() {
            self.stage = DriverStage::Draining;
        } else if self.is_late() {
            self.done();
        } else {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Reads to the end, so that the kernel doesn't answer unread bytes with a reset that overtakes
    /// our Close frame.
    fn poll_draining(&mut self, buffers: &mut buffers::ReadBuffers) -> Poll<()> {
        // Before the read: to a peer that sends without end, there is always something to read.
        if self.is_late() {
            self.done();
            return Poll::Ready(());
        }
        let read = {
            let mut writer = self.shared().lock_in_order();
            writer.poll_read(&mut buffers.buffer)
        };
        match ready!(read) {
            Ok(1..) => {}
            Ok(_) | Err(_) => self.done(),
        }
        Poll::Ready(())
    }

    fn done(&mut self) {
        self.shared().lock_in_order().drop_io();
        self.pending_work = None;
        self.stage = DriverStage::Done;
    }

    fn shared(&self) -> &SessionShared {
        self.session.shared()
    }

    fn pending_work(&mut self) -> &mut PendingWork {
        self.pending_work.get_or_insert_default()
    }

    fn has_pending(&self) -> bool {
        self.pending_work
            .as_ref()
            .is_some_and(|pending_work| !pending_work.pending.is_empty())
    }

    fn is_owing(&self) -> bool {
        self.pending_work
            .as_ref()
            .is_some_and(|pending_work| pending_work.owed.is_some())
    }

    /// Returns whether the time for closing is over. The first call starts it.
    fn is_late(&mut self) -> bool {
        let close_timeout = self.shared().negotiated().settings.limits.close_timeout;
        let now = Instant::now();
        now >= *self
            .pending_work()
            .deadline
            .get_or_insert_with(|| later(now, close_timeout))
    }
}

/// Why [`Driver::poll_drive`] has stopped although it doesn't wait for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DriveOutcome {
    /// The time slice is over, and there is more to do.
    Over,
    /// The socket is closed.
    Done,
}

impl Drop for Driver {
    /// Settles the end if the runtime shuts down, so that waiting tasks hear of it and groups drop the
    /// session.
    fn drop(&mut self) {
        if self.stage == DriverStage::Open {
            self.shared().finish();
        }
        if self.stage != DriverStage::Done {
            self.done();
        }
    }
}

fn entropy() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Error::new(ErrorKind::Config, "the system gives no entropy").with_source(error)
    })?;
    Ok(seed)
}
