//! The conversation: input goes out, what comes is shown, until one side has had enough.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use sockeye::{CloseCode, Deflate, Error, Rhythm, Session, Settings, WebSocket};
use tokio::{sync::mpsc, time};

use super::{
    ConnectArgs, ending,
    input::{self, Input, Source},
    screen::Screen,
};
use crate::{config::Switch, dial::dial, echo::Echo, signal::Signals};

/// Sends what stdin says and shows what comes.
pub(crate) async fn talk(args: &ConnectArgs) -> ExitCode {
    let connect = match dial(&args.dial, settings(args)) {
        Ok(connect) => connect,
        Err(message) => return usage(&message),
    };
    let mut websocket = match within(args, connect).await {
        Ok(websocket) => websocket,
        Err(code) => return code,
    };
    let (source, inputs, screen) = input::start(args);
    if args.verbose > 0 {
        screen.opened(websocket.session());
        let control = screen.clone();
        websocket.on_control(move |frame| control.control(&frame));
    }
    let talked = converse(args, &mut websocket, &source, inputs, &screen).await;
    if args.verbose > 0 && talked.is_ok() && websocket.session().is_open() {
        screen.sent("close 1000");
    }
    let closed = websocket.close(CloseCode::NORMAL, "").await;
    if let Source::Terminal(terminal) = source {
        terminal.stop().await;
        println!("{closed}");
    }
    match talked {
        Ok(()) => ending::closed(&closed),
        Err(Stopped::Failed(error)) => ending::failed(&error),
        Err(Stopped::BadInput(message)) => usage(&message),
    }
}

/// Answers every message with itself until the peer closes.
pub(crate) async fn echo(args: &ConnectArgs) -> ExitCode {
    let connect = match dial(&args.dial, settings(args)) {
        Ok(connect) => connect,
        Err(message) => return usage(&message),
    };
    let session = match within(args, connect.endpoint(Echo)).await {
        Ok(session) => session,
        Err(code) => return code,
    };
    let closed = match Signals::catch() {
        Ok(mut signals) => tokio::select! {
            closed = session.closed() => closed,
            () = signals.recv() => {
                session.close(CloseCode::NORMAL, "");
                session.closed().await
            }
        },
        Err(_) => session.closed().await,
    };
    ending::closed(&closed)
}

pub(super) fn settings(args: &ConnectArgs) -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = args.heartbeat_interval.0.map(|interval| {
        let timeout = args.heartbeat_timeout.0.unwrap_or(Duration::MAX);
        Rhythm::new(interval, timeout)
    });
    settings.deflate = (args.deflate == Switch::On).then(|| {
        let mut deflate = Deflate::default();
        // One connection: memory for two windows is nothing, and compression is better with them.
        deflate.client_no_context_takeover = false;
        deflate.server_no_context_takeover = false;
        deflate
    });
    settings
}

/// Why a conversation can't go on.
enum Stopped {
    Failed(Error),
    BadInput(String),
}

/// Returns `Ok` when it is time to close, or when the peer has closed.
async fn converse(
    args: &ConnectArgs,
    websocket: &mut WebSocket,
    source: &Source,
    inputs: mpsc::Receiver<Input>,
    screen: &Screen,
) -> Result<(), Stopped> {
    // Sending has a task of its own: while it waits for room, we must go on receiving, or two
    // peers with full buffers wait for each other.
    let mut sender = tokio::spawn(send_all(websocket.session().clone(), inputs));
    let mut signals = Signals::catch().ok();
    let mut all_sent = false;
    let mut received_count = 0;
    let mut quiet_since = Instant::now();
    loop {
        let quiet_until = quiet_since + source.patience(args.wait.0);
        tokio::select! {
            received = websocket.recv() => match received {
                Ok(Some(message)) => {
                    quiet_since = Instant::now();
                    received_count += 1;
                    // Nobody reads what we print: `| head` has had enough.
                    if screen.message(&message).await.is_err() || args.exit_after == Some(received_count) {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(Stopped::Failed(error)),
            },
            sent = &mut sender, if !all_sent => {
                if let Ok(Err(message)) = sent {
                    return Err(Stopped::BadInput(message));
                }
                all_sent = true;
                quiet_since = Instant::now();
            }
            () = time::sleep_until(quiet_until.into()), if all_sent && args.exit_after.is_none() => return Ok(()),
            () = next(&mut signals) => return Ok(()),
        }
    }
}

/// Ends when the input ends, when the session ends, or at the first bad input.
async fn send_all(session: Session, mut inputs: mpsc::Receiver<Input>) -> Result<(), String> {
    while let Some(input) = inputs.recv().await {
        let sent = match input {
            Input::Message(message) => session.send(message).await.map_err(drop),
            Input::Ping(payload) => session.ping(&payload).map_err(drop),
            Input::Close(code, reason) => {
                session.close(code, &reason);
                session.closed().await;
                return Ok(());
            }
            Input::Bad(message) => return Err(message),
        };
        if sent.is_err() {
            // Whoever receives learns why.
            return Ok(());
        }
    }
    Ok(())
}

pub(super) async fn next(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

/// Dials, for at most `--timeout`.
async fn within<T>(
    args: &ConnectArgs,
    dialling: impl IntoFuture<Output = Result<T, Error>>,
) -> Result<T, ExitCode> {
    let limit: Duration = args.dial.timeout.0;
    match time::timeout(limit, dialling).await {
        Ok(Ok(open)) => Ok(open),
        Ok(Err(error)) => Err(ending::not_connected(&error)),
        Err(_) => Err(ending::no_answer(limit)),
    }
}

pub(super) fn usage(message: &str) -> ExitCode {
    eprintln!("sockeye: {message}");
    ExitCode::from(ending::USAGE)
}
