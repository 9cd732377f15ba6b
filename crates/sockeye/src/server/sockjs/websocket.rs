//! The transport `websocket`: frames of the protocol in the messages of a WebSocket.

use std::{future::poll_fn, sync::Arc, time::Duration};

use sockeye_proto::CloseCode;
use tokio::time::{Instant, sleep_until};

use super::{
    form::{HEARTBEAT, OPEN},
    json::{BareString, BrokenJson, parse_messages},
    receiver::{Receiver, frame_of},
};
use crate::{
    server::polling::{Received, RelayHolder as _, push_text},
    time::later,
    websocket::WebSocket,
};

/// Carries a session by a WebSocket, until one of them ends. The session ends with the WebSocket.
pub(super) async fn carry(
    mut websocket: WebSocket,
    receiver: Receiver,
    heartbeat_interval: Duration,
) {
    if websocket.send(OPEN).await.is_err() {
        return;
    }
    let session = Arc::clone(receiver.session());
    let relay = session.relay();
    let heartbeat = sleep_until(later(Instant::now(), heartbeat_interval));
    tokio::pin!(heartbeat);
    let mut is_delivered = true;
    loop {
        let frame = tokio::select! {
            // How the session has ended comes as a frame.
            _ = poll_fn(|cx| relay.poll_delivered(cx)), if !is_delivered => {
                is_delivered = true;
                continue;
            }
            message = websocket.recv(), if is_delivered => {
                let Ok(Some(message)) = message else { break };
                let Ok(frames) = frames_of(message.as_bytes()) else {
                    let session = websocket.session();
                    session.close(CloseCode::INVALID_PAYLOAD, "Broken JSON encoding.");
                    break;
                };
                is_delivered = frames.is_empty() || relay.deliver(frames).is_err();
                continue;
            }
            received = receiver.receive() => {
                let is_close = matches!(received, Received::End(_));
                let sent = websocket.send(frame_of(received)).await;
                if is_close {
                    websocket.session().close(CloseCode::NORMAL, "");
                }
                if is_close || sent.is_err() {
                    break;
                }
                continue;
            }
            () = heartbeat.as_mut() => HEARTBEAT,
        };
        if websocket.send(frame).await.is_err() {
            break;
        }
        heartbeat
            .as_mut()
            .reset(later(Instant::now(), heartbeat_interval));
    }
    end(&websocket, receiver);
}

/// Ends the session as the client has ended the WebSocket.
fn end(websocket: &WebSocket, receiver: Receiver) {
    let closed = websocket.session().closed_now();
    if let Some(code) = closed.and_then(|closed| closed.received)
        && code.is_sendable()
    {
        receiver.close(code.into(), "");
    }
}

/// Returns the frames for the session of a message of the client. An empty one is nothing.
fn frames_of(message: &[u8]) -> Result<Vec<u8>, BrokenJson> {
    let mut frames = Vec::new();
    if !message.is_empty() {
        parse_messages(message, BareString::Allowed, |text| {
            push_text(text, &mut frames);
        })?;
    }
    Ok(frames)
}
