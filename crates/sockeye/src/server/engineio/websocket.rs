//! The transport `websocket`: packets in the messages of a WebSocket.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use sockeye_proto::{CloseCode, Message};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    lifecycle::{Carrier, End},
    packet::{ClientPacket, ServerPacket},
    session::{EngineSession, Next, Receiver, ReceiverKind},
};
use crate::{
    connection::{Session, TrySendError},
    error::Error,
    server::polling::{RelayEnd, RelayHolder as _, push_binary, push_text},
    time::later,
    websocket::WebSocket,
};

/// Carries a session that the WebSocket has begun, whose first packet is `open`.
pub(super) async fn carry_new(websocket: WebSocket, receiver: Receiver, open: String) {
    if websocket.send(open).await.is_ok() {
        carry(websocket, receiver).await;
    }
}

/// Has a WebSocket take over a session that requests have carried so far. If it doesn't ask for that in time, it is closed, and the
/// session goes on without it.
pub(super) async fn take_over(
    mut websocket: WebSocket,
    session: Arc<EngineSession>,
    time: Duration,
) {
    let deadline = later(Instant::now(), time);
    let taken = timeout_at(deadline, probe(&mut websocket, &session)).await;
    match taken {
        Ok(Some(receiver)) => {
            // The client has sent what it had to by requests. They have it delivered first.
            let _sending = session.hold_sending().await;
            carry(websocket, receiver).await;
        }
        Ok(None) | Err(_) => websocket.session().close(CloseCode::NORMAL, ""),
    }
}

/// Answers the probe, and waits until the client takes over. `None` if it doesn't follow the protocol, or if another WebSocket
/// has been faster.
async fn probe(websocket: &mut WebSocket, session: &Arc<EngineSession>) -> Option<Receiver> {
    // Another one has been faster, or asks at this moment.
    if session.carrier() != Carrier::Polling {
        return None;
    }
    let asked = websocket.recv().await.ok()??;
    if ClientPacket::parse(asked.as_text()?) != Ok(ClientPacket::Ping("probe")) {
        return None;
    }
    session.handle_probe().ok()?;
    let probed = Probed(session);
    websocket.send("3probe").await.ok()?;
    let completed = websocket.recv().await.ok()??;
    if ClientPacket::parse(completed.as_text()?) != Ok(ClientPacket::Upgrade) {
        return None;
    }
    let receiver = probed.0.take_over().await;
    receiver.ok()
}

/// A session whose carrier is to change. Its drop notes that this has failed, if it hasn't succeeded.
struct Probed<'s>(&'s Arc<EngineSession>);

impl Drop for Probed<'_> {
    fn drop(&mut self) {
        self.0.handle_probe_failed();
    }
}

/// Carries a session by a WebSocket, until one of them ends. The session ends with the WebSocket.
async fn carry(mut websocket: WebSocket, receiver: Receiver) {
    let session = Arc::clone(receiver.session());
    let mut sender = Sender::new(websocket.session().clone());
    let relay = session.relay();
    let heartbeat = sleep_until(Instant::now());
    tokio::pin!(heartbeat);
    let mut is_delivered = true;
    loop {
        if let Some(due) = session.next_timeout()
            && due != heartbeat.deadline()
        {
            heartbeat.as_mut().reset(due);
        }
        tokio::select! {
            // How the session has ended is for `poll_next` to say.
            _ = poll_fn(|cx| relay.poll_delivered(cx)), if !is_delivered => is_delivered = true,
            message = websocket.recv(), if is_delivered => {
                let Ok(Some(message)) = message else { break };
                match handle(&session, &message) {
                    Ok(frames) => is_delivered = frames.is_empty() || relay.deliver(frames).is_err(),
                    Err(end) => session.end(end),
                }
            }
            next = poll_fn(|cx| session.poll_next(ReceiverKind::WebSocket, cx)), if sender.is_idle() => {
                match next {
                    Next::Packets(packets) => sender.send_all(packets),
                    next => {
                        close(&websocket, &next);
                        break;
                    }
                }
            }
            sent = sender.flush(), if !sender.is_idle() => {
                if sent.is_err() {
                    break;
                }
            }
            () = heartbeat.as_mut() => session.handle_timeout(Instant::now()),
        }
    }
    // The client may end a session by closing its WebSocket.
    let closed = websocket.session().closed_now();
    if let Some(code) = closed.and_then(|closed| closed.received) {
        session.close(code);
        receiver.leave();
    }
}

/// Handles one message of the client. Returns the frames for the session.
fn handle(session: &EngineSession, message: &Message<'_>) -> Result<Vec<u8>, End> {
    let mut frames = Vec::new();
    let Some(text) = message.as_text() else {
        push_binary(message.as_bytes(), &mut frames);
        return Ok(frames);
    };
    match ClientPacket::parse(text) {
        Ok(ClientPacket::Text(text)) => push_text(text, &mut frames),
        Ok(ClientPacket::Pong) => session.handle_pong(),
        Ok(ClientPacket::Noop) => {}
        Ok(ClientPacket::Close) => return Err(End::ByClient),
        // The server pings, and the upgrade is over.
        Ok(ClientPacket::Ping(_) | ClientPacket::Upgrade | ClientPacket::Binary(_)) | Err(_) => {
            return Err(End::Broken);
        }
    }
    Ok(frames)
}

/// Closes the WebSocket of a session that has ended.
fn close(websocket: &WebSocket, next: &Next) {
    let code = match next {
        Next::Closed(RelayEnd::Closed(close)) => CloseCode::new(close.code),
        Next::Ended(End::Broken) => CloseCode::PROTOCOL_ERROR,
        _ => CloseCode::NORMAL,
    };
    websocket.session().close(code, "");
}

/// Sends packets without keeping the loop from anything else.
struct Sender {
    session: Session,
    waiting: VecDeque<Message<'static>>,
    /// The message for which the outbox has had no room.
    sending: Option<SendingFuture>,
}

type SendingFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// The error of a WebSocket that is closing.
struct WebSocketOver;

impl Sender {
    fn new(session: Session) -> Self {
        Self {
            session,
            waiting: VecDeque::new(),
            sending: None,
        }
    }

    /// Returns whether nothing waits.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_none()
    }

    /// Takes packets, of which no others wait. [`Sender::flush`] sends them.
    fn send_all(&mut self, packets: Vec<ServerPacket>) {
        let messages = packets.into_iter().map(|packet| match packet {
            ServerPacket::Ping => Message::from("2"),
            ServerPacket::Text(text) => Message::from(text),
            ServerPacket::Binary(data) => Message::from(data),
        });
        self.waiting.extend(messages);
    }

    /// Sends what waits.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is lost.
    async fn flush(&mut self) -> Result<(), WebSocketOver> {
        loop {
            if let Some(sending) = &mut self.sending {
                let sent = sending.as_mut().await;
                self.sending = None;
                sent.map_err(|_| WebSocketOver)?;
            }
            let Some(message) = self.waiting.pop_front() else {
                return Ok(());
            };
            match self.session.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return Err(WebSocketOver),
                Err(TrySendError::Full(message)) => {
                    let session = self.session.clone();
                    self.sending = Some(Box::pin(async move { session.send(message).await }));
                }
            }
        }
    }
}
