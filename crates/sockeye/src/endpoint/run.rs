//! Passes the driver's events to an endpoint, and runs one in a task.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use sockeye_proto::{CloseCode, Event, Message, Role, extension::Pool};

use crate::{
    closed::Closed,
    connection::{
        Cork, Driver, Established, InputMessage, ReplyBatch, Room, Session, Sink, Stream,
        UpgradedStream,
    },
    endpoint::{
        app_heartbeat::Answering,
        endpoint::{Endpoint, Reply},
        task_driver::TaskDriver,
    },
    error::Error,
    settings::Settings,
};

impl Session {
    /// Runs `endpoint` in a task of its own on a stream whose opening handshake is done, without extensions and
    /// without a request.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers for the masks of a client.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn from_stream(
        stream: impl Stream,
        role: Role,
        settings: Settings,
        endpoint: impl Endpoint,
    ) -> Result<Self, Error> {
        spawn(
            Established::bare(stream, role, settings),
            Box::new(endpoint),
        )
    }

    /// Runs `endpoint` in a task of its own on a stream whose opening handshake another library has done.
    ///
    /// # Errors
    ///
    /// Those of [`crate::WebSocket::from_upgraded`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn from_upgraded(upgraded: UpgradedStream, endpoint: impl Endpoint) -> Result<Self, Error> {
        spawn(upgraded.establish()?, Box::new(endpoint))
    }
}

/// Runs `endpoint` on the connection in a task of its own.
///
/// # Errors
///
/// The operating system has no random numbers for the masks of a client.
///
/// # Panics
///
/// Outside a tokio runtime.
pub(crate) fn spawn(
    established: Established,
    endpoint: Box<dyn Endpoint>,
) -> Result<Session, Error> {
    let (task, session) = serve(established, endpoint)?;
    tokio::spawn(task);
    Ok(session)
}

/// Returns the future that runs `endpoint` on the connection until its end, and the session.
pub(crate) fn serve(
    established: Established,
    endpoint: Box<dyn Endpoint>,
) -> Result<(impl Future<Output = ()> + Send + use<>, Session), Error> {
    let heartbeat = established.negotiated.settings.app_heartbeat.as_ref();
    let endpoint = Answering::wrap(endpoint, heartbeat);
    let driver = Driver::new(established)?;
    let session = driver.session().clone();
    let task = EndpointTask {
        driver: TaskDriver::new(driver),
        endpoint,
        opened: false,
    };
    Ok((task, session))
}

struct EndpointTask {
    driver: TaskDriver,
    endpoint: Box<dyn Endpoint>,
    opened: bool,
}

impl Future for EndpointTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.opened {
            this.opened = true;
            let (endpoint, session) = (&mut this.endpoint, this.driver.session());
            let opened = catch_unwind(AssertUnwindSafe(|| open(endpoint, session)));
            if opened.is_err() {
                this.driver.handle_panic(&mut this.endpoint);
            }
        }
        this.driver.poll_drive(cx, &mut this.endpoint)
    }
}

impl Drop for EndpointTask {
    /// Ends the session also when the runtime shuts down or the task is aborted.
    fn drop(&mut self) {
        let Self {
            driver, endpoint, ..
        } = self;
        let aborted = catch_unwind(AssertUnwindSafe(|| {
            driver.break_off(CloseCode::GOING_AWAY);
            driver.abort(endpoint);
        }));
        if aborted.is_err() {
            endpoint.handle_panic();
            let _ = catch_unwind(AssertUnwindSafe(|| driver.abort(endpoint)));
        }
    }
}

/// Makes the first call. After it the session drops the request, unless the settings keep it.
pub(crate) fn open(endpoint: &mut Box<dyn Endpoint>, session: &Session) {
    endpoint.on_open(session);
    session.shared().forget_request();
}

/// Answers `message` through the session's writer, behind the replies of the batch.
#[inline(never)]
fn reply_by_writer(
    session: &Session,
    message: Message<'_>,
    reply: Reply,
    replies: &mut ReplyBatch<'_>,
) -> Room {
    let mut writer = session.shared().lock_in_order();
    writer.take_replies(replies);
    match reply {
        Reply::None => {}
        Reply::Echo => writer.reply(&message),
        Reply::Message(reply) => drop(writer.reply_owned(reply)),
        Reply::Close(code, reason) => writer.close(code, &reason),
    }
    Room::of(&writer)
}

/// Sends an answer that borrows nothing, behind the replies of the batch. Also returns the memory that is left over.
fn send_answer(
    session: &Session,
    answer: Message<'static>,
    replies: &mut ReplyBatch<'_>,
) -> (Room, Option<Message<'static>>) {
    if replies.takes(&answer) && !session.shared().was_locked() {
        return (replies.push_lasting(answer), None);
    }
    let mut writer = session.shared().lock_in_order();
    writer.take_replies(replies);
    let spare = writer.reply_owned(answer);
    (Room::of(&writer), spare)
}

/// Answers a large message that stays in the read buffer until the turn ends.
#[inline(never)]
fn answer_lasting<'b>(
    endpoint: &mut Box<dyn Endpoint>,
    session: &Session,
    message: Message<'b>,
    replies: &mut ReplyBatch<'b>,
) -> Room {
    match endpoint.on_message(session, message.as_ref()) {
        Reply::None => Room::Left,
        Reply::Echo if replies.takes(&message) && !session.shared().was_locked() => {
            replies.push_lasting(message)
        }
        Reply::Message(answer) => send_answer(session, answer, replies).0,
        reply => reply_by_writer(session, message, reply, replies),
    }
}

/// Answers a large message that owns its memory.
#[inline(never)]
fn answer_owned(
    endpoint: &mut Box<dyn Endpoint>,
    session: &Session,
    message: Message<'static>,
    pool: &mut Pool,
    replies: &mut ReplyBatch<'_>,
) -> Room {
    let (room, spare) = match endpoint.on_message(session, message.as_ref()) {
        Reply::None => (Room::Left, Some(message)),
        Reply::Echo => send_answer(session, message, replies),
        Reply::Message(answer) => {
            pool.recycle(message);
            send_answer(session, answer, replies)
        }
        reply @ Reply::Close(..) => {
            let room = reply_by_writer(session, message.as_ref(), reply, replies);
            (room, Some(message))
        }
    };
    if let Some(spare) = spare {
        pool.recycle(spare);
    }
    room
}

impl Sink for Box<dyn Endpoint> {
    #[inline(always)] // Into the loop of the driver, which calls it for each message.
    fn handle_message<'b>(
        &mut self,
        session: &Session,
        message: InputMessage<'_, 'b>,
        replies: &mut ReplyBatch<'b>,
    ) -> Room {
        let message = match message {
            InputMessage::Brief(message) => message,
            InputMessage::Lasting(message, _) => {
                return answer_lasting(self, session, message, replies);
            }
            InputMessage::Owned(message, pool) => {
                return answer_owned(self, session, message, pool, replies);
            }
        };
        let reply = self.on_message(session, message.as_ref());
        match reply {
            // What the endpoint has sent through its session counts in the outbox already.
            Reply::None => Room::Left,
            // Apart from other answers, because the compiler knows that this message is borrowed.
            Reply::Echo if replies.takes(&message) && !session.shared().was_locked() => {
                replies.push(&message)
            }
            Reply::Message(answer) if replies.takes(&answer) && !session.shared().was_locked() => {
                replies.push_lasting(answer)
            }
            // Made only here, so that the message stays in registers.
            reply => reply_by_writer(session, message.as_ref(), reply, replies),
        }
    }

    fn handle_event(&mut self, session: &Session, event: Event<'_>) -> Room {
        match event {
            Event::Ping(payload) => self.on_ping(session, payload),
            Event::Pong(payload) => self.on_pong(session, payload),
            Event::Message(_) | Event::Part(_) | Event::Close(_) => {}
        }
        Room::Left
    }

    fn handle_error(&mut self, session: &Session, error: Error) {
        self.on_error(session, &error);
    }

    fn handle_closed(&mut self, session: &Session, closed: &Closed) {
        self.on_close(session, closed);
    }

    fn handle_panic(&mut self) {
        let endpoint = std::mem::replace(self, Box::new(Panicked(None)));
        *self = Box::new(Panicked(Some(endpoint)));
    }

    fn has_room(&self) -> bool {
        true
    }

    fn held_bytes(&self) -> usize {
        0
    }

    fn shed(&mut self) {}

    fn is_idle(&self) -> bool {
        true
    }

    fn cork(&self) -> Cork {
        Cork::Off
    }
}

/// An endpoint that has panicked. Only `on_close` is called, and not if `on_close` itself panicked.
struct Panicked(Option<Box<dyn Endpoint>>);

impl Endpoint for Panicked {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        if let Some(endpoint) = &mut self.0 {
            // The panic hook of the process has reported the panic.
            let _ = catch_unwind(AssertUnwindSafe(|| endpoint.on_close(session, closed)));
        }
    }
}

impl Drop for Panicked {
    fn drop(&mut self) {
        let endpoint = self.0.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(endpoint)));
    }
}
