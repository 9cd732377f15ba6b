//! The conversation: sends the input and shows received messages.

use std::time::{Duration, Instant};

use sockeye::{
    CloseCode, Deflate, Error, ErrorKind, HeartbeatConfig, Session, Settings, WebSocket,
};
use tokio::{sync::mpsc, task::JoinHandle, time};

use super::{
    ConnectArgs,
    ending::{CloseLine, Ending},
    input::{self, Source},
    pings::Pings,
    reading::Input,
    screen::Screen,
    stop_requests::StopRequests,
};
use crate::{config::Switch, dial::dial, echo::Echo};

/// Sends the input and shows received messages, until one side ends the conversation.
pub(crate) async fn talk(args: &ConnectArgs) -> Ending {
    let connect = match dial(&args.dial, settings(args)) {
        Ok(connect) => connect,
        Err(message) => return Ending::usage(message),
    };
    let mut websocket = match within(args, connect).await {
        Ok(websocket) => websocket,
        Err(ending) => return ending,
    };
    let (mut source, inputs, screen) = input::start(args);
    let mut stops = StopRequests::catch(&mut source);
    screen.opened(websocket.session());
    let pings = Pings::default();
    let (control, answered) = (screen.clone(), pings.clone());
    websocket.on_control(move |frame| control.control(&frame, &answered));
    let close_line = CloseLine::of(args, &source);
    // Sending has its own task. While it waits for room, receiving must continue, or two peers with full buffers wait
    // for each other.
    let sender = tokio::spawn(send_all(websocket.session().clone(), inputs, pings));
    let stopped = converse(args, &mut websocket, &source, sender, &screen, &mut stops).await;
    if stopped.is_orderly() && websocket.session().is_open() {
        screen.sent("close 1000");
    }
    let closing = websocket.close(CloseCode::NORMAL, "");
    let closed = stops.unless_asked(closing).await;
    if let Source::Terminal(terminal) = source {
        terminal.stop().await;
    }
    let ending = match (&stopped, &closed) {
        (TalkEnd::Failed(error), _) => Ending::failed(error),
        (TalkEnd::BadInput(message), _) => Ending::usage(message.clone()),
        (_, Some(closed)) => Ending::closed(closed, close_line),
        (_, None) => Ending::not_waited_for(),
    };
    let ending = match (stopped, args.exit_after) {
        (TalkEnd::Quiet { received }, Some(wanted)) if ending.is_success() => {
            Ending::too_few(received, wanted, args.wait())
        }
        _ => ending,
    };
    match &closed {
        Some(closed) => ending.with_closed(closed),
        None => ending,
    }
}

/// Sends every message back until the peer closes.
pub(crate) async fn echo(args: &ConnectArgs) -> Ending {
    let connect = match dial(&args.dial, settings(args)) {
        Ok(connect) => connect,
        Err(message) => return Ending::usage(message),
    };
    let session = match within(args, connect.endpoint(Echo)).await {
        Ok(session) => session,
        Err(ending) => return ending,
    };
    let mut stops = StopRequests::signals_only();
    if let Some(closed) = stops.unless_asked(session.closed()).await {
        return Ending::closed(&closed, CloseLine::OnFailure);
    }
    session.close(CloseCode::NORMAL, "");
    match stops.unless_asked(session.closed()).await {
        Some(closed) => Ending::closed(&closed, CloseLine::OnFailure),
        None => Ending::not_waited_for(),
    }
}

pub(super) fn settings(args: &ConnectArgs) -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = args.heartbeat_interval.0.map(|interval| {
        let timeout = args.heartbeat_timeout.0.unwrap_or(Duration::MAX);
        HeartbeatConfig::new(interval, timeout)
    });
    settings.deflate = (args.deflate == Switch::On).then(|| {
        let mut deflate = Deflate::default();
        // For one connection the memory of two windows doesn't matter, and they compress better.
        deflate.client_no_context_takeover = false;
        deflate.server_no_context_takeover = false;
        deflate
    });
    settings
}

/// Why a conversation ends.
enum TalkEnd {
    /// One side ends it.
    Done,
    /// No message has come for the time of `--wait`.
    Quiet {
        /// Messages received before.
        received: u64,
    },
    Failed(Error),
    BadInput(String),
}

impl TalkEnd {
    fn is_orderly(&self) -> bool {
        matches!(self, Self::Done | Self::Quiet { .. })
    }
}

async fn converse(
    args: &ConnectArgs,
    websocket: &mut WebSocket,
    source: &Source,
    mut sender: JoinHandle<Result<(), String>>,
    screen: &Screen,
    stops: &mut StopRequests,
) -> TalkEnd {
    let patience = source.patience(args.wait());
    let mut all_sent = false;
    let mut received = 0;
    let mut quiet_since = Instant::now();
    loop {
        let quiet_until = quiet_since + patience;
        tokio::select! {
            message = websocket.recv() => match message {
                Ok(Some(message)) => {
                    quiet_since = Instant::now();
                    received += 1;
                    // stdout is closed, as by `| head`.
                    if screen.message(&message).await.is_err() || args.exit_after == Some(received) {
                        return TalkEnd::Done;
                    }
                }
                Ok(None) => return TalkEnd::Done,
                // Closed with another code than 1000, which the ending shows.
                Err(error) if error.kind() == ErrorKind::Closed => return TalkEnd::Done,
                Err(error) => return TalkEnd::Failed(error),
            },
            sent = &mut sender, if !all_sent => {
                if let Ok(Err(message)) = sent {
                    return TalkEnd::BadInput(message);
                }
                all_sent = true;
                quiet_since = Instant::now();
            }
            () = time::sleep_until(quiet_until.into()), if all_sent => {
                return match source {
                    Source::Terminal(_) => TalkEnd::Done,
                    Source::Pipe => TalkEnd::Quiet { received },
                };
            }
            () = stops.next() => return TalkEnd::Done,
        }
    }
}

/// Sends until the input ends, the session ends, or the input is bad.
async fn send_all(
    session: Session,
    mut inputs: mpsc::Receiver<Input>,
    pings: Pings,
) -> Result<(), String> {
    while let Some(input) = inputs.recv().await {
        let sent = match input {
            Input::Message(message) => session.send(message).await.map_err(drop),
            Input::Ping(payload) => {
                pings.send(&session, &payload);
                Ok(())
            }
            Input::Close(code, reason) => {
                session.close(code, &reason);
                session.closed().await;
                return Ok(());
            }
            Input::Bad(message) => return Err(message),
        };
        if sent.is_err() {
            // The receiver is told why.
            return Ok(());
        }
    }
    Ok(())
}

/// Connects within `--timeout`.
async fn within<T>(
    args: &ConnectArgs,
    dialling: impl IntoFuture<Output = Result<T, Error>>,
) -> Result<T, Ending> {
    let limit: Duration = args.dial.timeout.0;
    match time::timeout(limit, dialling).await {
        Ok(Ok(open)) => Ok(open),
        Ok(Err(error)) => {
            Screen::pipe(args).not_opened(&error);
            Err(Ending::not_connected(&error))
        }
        Err(_) => Err(Ending::no_answer(limit)),
    }
}
