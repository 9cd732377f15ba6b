//! Callback style: one value per connection.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use sockeye_proto::{CloseCode, Event, Message};

use crate::{
    Closed, Error, Session,
    driver::{Driver, Sink},
    established::Established,
    session::Shared,
    wire::Cork,
};

/// One value per connection, callbacks that never block.
///
/// All calls for one session come from one task, one after the other: `on_open` first, `on_close`
/// last and always.
pub trait Endpoint: Send + 'static {
    /// The connection is open.
    fn on_open(&mut self, session: &Session) {
        let _ = session;
    }

    /// A whole message came. What it returns is sent before the next message is looked at.
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply;

    /// A ping came; it is answered already.
    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        let _ = (session, payload);
    }

    /// A pong came.
    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        let _ = (session, payload);
    }

    /// The connection has ended, whoever ended it. The last call.
    fn on_close(&mut self, session: &Session, closed: &Closed) {
        let _ = (session, closed);
    }

    /// The peer broke the protocol, a limit was reached or the transport failed. `on_close` follows.
    fn on_error(&mut self, session: &Session, error: &Error) {
        let _ = (session, error);
    }
}

/// What an endpoint answers to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    #[default]
    None,
    /// The message itself, without a copy of ours.
    Echo,
    /// Another message.
    Message(Message<'static>),
    /// The end.
    Close(CloseCode, String),
}

/// Runs `endpoint` on the connection, in a task of its own.
///
/// # Errors
///
/// The system gives no entropy for a client's masks.
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

/// The future that runs `endpoint` on the connection until its end, and the session.
pub(crate) fn serve(
    established: Established,
    endpoint: Box<dyn Endpoint>,
) -> Result<(impl Future<Output = ()> + Send + use<>, Session), Error> {
    let (driver, shared) = Driver::new(established)?;
    let session = Session::new(shared);
    let served = Served {
        endpoint,
        session: session.clone(),
    };
    let task = EndpointTask {
        driver,
        served,
        opened: false,
    };
    Ok((task, session))
}

struct EndpointTask {
    driver: Driver,
    served: Served,
    opened: bool,
}

impl Future for EndpointTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.opened {
            this.opened = true;
            this.served.endpoint.on_open(&this.served.session);
        }
        this.driver.poll_drive(cx, &mut this.served)
    }
}

impl Drop for EndpointTask {
    /// The runtime goes down or the endpoint has panicked: the session ends all the same.
    fn drop(&mut self) {
        let code = if std::thread::panicking() {
            CloseCode::INTERNAL_ERROR
        } else {
            CloseCode::GOING_AWAY
        };
        if !self.driver.has_ended() {
            // It may have been in the middle of a batch, after which nothing would be flushed.
            self.driver.release();
            self.served.session.close(code, "");
        }
        if std::thread::panicking() {
            self.driver.abort(&mut Nobody);
        } else {
            self.driver.abort(&mut self.served);
        }
    }
}

struct Served {
    endpoint: Box<dyn Endpoint>,
    session: Session,
}

impl Sink for Served {
    #[inline]
    fn handle_event(&mut self, shared: &Shared, event: Event<'_>) {
        let session = &self.session;
        match event {
            Event::Message(message) => match self.endpoint.on_message(session, message.as_ref()) {
                Reply::None => {}
                Reply::Echo => shared.wire().send(&message),
                Reply::Message(reply) => shared.wire().send(&reply),
                Reply::Close(code, reason) => session.close(code, &reason),
            },
            Event::Ping(payload) => self.endpoint.on_ping(session, payload),
            Event::Pong(payload) => self.endpoint.on_pong(session, payload),
            Event::Part(_) | Event::Close(_) => {}
        }
    }

    fn handle_error(&mut self, error: Error) {
        self.endpoint.on_error(&self.session, &error);
    }

    fn handle_closed(&mut self, closed: &Closed) {
        self.endpoint.on_close(&self.session, closed);
    }

    fn has_room(&self) -> bool {
        true
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn cork(&self) -> Cork {
        Cork::Off
    }
}

/// Hears nothing, for an endpoint that can't be called any more.
struct Nobody;

impl Sink for Nobody {
    fn handle_event(&mut self, _: &Shared, _: Event<'_>) {}

    fn handle_error(&mut self, _: Error) {}

    fn handle_closed(&mut self, _: &Closed) {}

    fn has_room(&self) -> bool {
        true
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn cork(&self) -> Cork {
        Cork::Off
    }
}
