//! The conversation with `--reconnect`, which continues over several connections.

use std::time::Instant;

use sockeye::{
    CloseCode, ErrorKind, Message, TrySendError,
    reconnect::{Dropped, Event, Outage, Policy, Queue, Reconnecting, Sender},
};
use tokio::{sync::mpsc, task::JoinHandle, time};

use super::{
    ConnectArgs,
    ending::{CloseLine, Ending},
    input::{self, Source},
    pings::Pings,
    reading::Input,
    screen::{Screen, start_of},
    stop_requests::StopRequests,
    talk::settings,
};
use crate::dial::dial;

/// Sends the input and shows received messages, over one connection after the other.
pub(crate) async fn stay(args: &ConnectArgs) -> Ending {
    let connect = match dial(&args.dial, settings(args)) {
        Ok(connect) => connect,
        Err(message) => return Ending::usage(message),
    };
    let (mut source, inputs, screen) = input::start(args);
    let stops = StopRequests::catch(&mut source);
    let queue = Queue::reject_when_full().bytes_max(2 * args.dial.max_message.0);
    let mut feed = connect.reconnect(Policy::new().queue(queue));
    let pings = Pings::default();
    let (control, answered) = (screen.clone(), pings.clone());
    feed.on_control(move |frame| control.control(&frame, &answered));
    let (when_full, input_ends) = match source {
        Source::Terminal(_) => (WhenFull::Tell, InputEnd::Quits),
        Source::Pipe => (WhenFull::Wait, InputEnd::AwaitsAnswers),
    };
    let sending = Sending {
        sender: feed.sender().clone(),
        full: when_full,
        screen: screen.clone(),
        pings: pings.clone(),
    };
    let sending = tokio::spawn(sending.send_all(inputs));
    let mut stay = Stay {
        args,
        screen,
        pings,
        stops,
        input_ends,
        close_line: CloseLine::of(args, &source),
        received_count: 0,
        connected: false,
        last: None,
    };
    let stopped = stay.converse(&mut feed, sending).await;
    let ending = stay.end(&mut feed, stopped).await;
    if let Source::Terminal(terminal) = source {
        terminal.stop().await;
    }
    ending
}

struct Stay<'a> {
    args: &'a ConnectArgs,
    screen: Screen,
    pings: Pings,
    stops: StopRequests,
    input_ends: InputEnd,
    close_line: CloseLine,
    received_count: u64,
    connected: bool,
    /// Why there is no connection.
    last: Option<Outage>,
}

/// What happens at the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputEnd {
    /// A person quits, with or without a connection.
    Quits,
    /// A program waits for answers, and for a connection if there is none.
    AwaitsAnswers,
}

/// Why the conversation ends.
enum StayEnd {
    /// The user or the options end it.
    Done,
    /// No message has come for the time of `--wait`.
    Quiet,
    /// The client doesn't reconnect any more.
    Final,
    BadInput(String),
}

impl Stay<'_> {
    async fn converse(
        &mut self,
        feed: &mut Reconnecting,
        mut sending: JoinHandle<Result<InputLeft, String>>,
    ) -> StayEnd {
        let mut all_sent = false;
        let mut quiet_since = Instant::now();
        loop {
            let quiet_until = quiet_since + self.args.wait();
            tokio::select! {
                event = feed.next() => {
                    quiet_since = Instant::now();
                    if let Some(stopped) = self.handle(event).await {
                        return stopped;
                    }
                }
                sent = &mut sending, if !all_sent => {
                    if let Ok(Err(message)) = sent {
                        return StayEnd::BadInput(message);
                    }
                    if self.input_ends == InputEnd::Quits && matches!(sent, Ok(Ok(InputLeft::None))) {
                        return StayEnd::Done;
                    }
                    all_sent = true;
                    quiet_since = Instant::now();
                }
                // Without a connection no answers come.
                () = time::sleep_until(quiet_until.into()), if all_sent && self.connected => {
                    if feed.sender().waiting() == 0 {
                        return StayEnd::Quiet;
                    }
                    quiet_since = Instant::now();
                }
                () = self.stops.next() => return StayEnd::Done,
            }
        }
    }

    async fn handle(&mut self, event: Option<Event>) -> Option<StayEnd> {
        let Some(event) = event else {
            return Some(StayEnd::Final);
        };
        match event {
            Event::Connected(session) => {
                self.pings.forget();
                self.screen.opened(&session);
                if self.last.take().is_some() {
                    self.screen.reconnected();
                }
                self.connected = true;
            }
            Event::Message(message) => {
                self.received_count += 1;
                // stdout is closed, as by `| head`.
                if self.screen.message(&message).await.is_err()
                    || self.args.exit_after == Some(self.received_count)
                {
                    return Some(StayEnd::Done);
                }
            }
            Event::Disconnected { closed, retry_in } => {
                self.connected = false;
                if let Some(error) = closed.error() {
                    self.screen.not_opened(error);
                }
                if let Some(delay) = retry_in {
                    self.screen.disconnected(&closed, delay);
                }
                self.last = Some(closed);
                return retry_in.is_none().then_some(StayEnd::Final);
            }
            Event::Dropped(dropped) => self.lost(&dropped),
            _ => {}
        }
        None
    }

    /// Closes the connection if there is one, and returns the ending.
    async fn end(mut self, feed: &mut Reconnecting, stopped: StayEnd) -> Ending {
        let is_orderly = matches!(stopped, StayEnd::Done | StayEnd::Quiet);
        if self.connected && is_orderly {
            self.screen.sent("close 1000");
        }
        let closing = feed.close(CloseCode::NORMAL, "");
        let Some(closed) = self.stops.unless_asked(closing).await else {
            return Ending::not_waited_for();
        };
        while let Some(event) = feed.next().await {
            if let Event::Dropped(dropped) = event {
                self.lost(&dropped);
            }
        }
        let ending = match (closed, self.last.take()) {
            (Some(closed), _) => Ending::closed(&closed, self.close_line),
            (None, Some(outage)) => match (outage.closed(), outage.error()) {
                (Some(closed), Some(error)) if error.kind() != ErrorKind::Closed => {
                    Ending::failed(error).with_closed(closed)
                }
                (Some(closed), _) => Ending::closed(closed, self.close_line),
                (None, Some(error)) => Ending::not_connected(error),
                (None, None) => Ending::stopped_early(),
            },
            (None, None) => Ending::stopped_early(),
        };
        match (stopped, self.args.exit_after) {
            (StayEnd::BadInput(message), _) => Ending::usage(message),
            (StayEnd::Quiet, Some(wanted)) if ending.is_success() => {
                Ending::too_few(self.received_count, wanted, self.args.wait())
            }
            _ => ending,
        }
    }

    fn lost(&self, dropped: &Dropped) {
        self.screen.unsent(&dropped.message);
    }
}

/// Sends the input.
struct Sending {
    sender: Sender,
    full: WhenFull,
    screen: Screen,
    pings: Pings,
}

/// Whether sending ended with the input. Otherwise the end of the connection follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputLeft {
    Some,
    None,
}

/// What happens when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// A program waits in its pipe.
    Wait,
    /// A person is told and can go on typing.
    Tell,
}

impl Sending {
    /// Sends until the input ends, the client doesn't reconnect any more, or the input is bad.
    async fn send_all(self, mut inputs: mpsc::Receiver<Input>) -> Result<InputLeft, String> {
        while let Some(input) = inputs.recv().await {
            match input {
                Input::Message(message) => {
                    if !self.send(message).await {
                        return Ok(InputLeft::Some);
                    }
                }
                Input::Ping(payload) => match self.sender.session() {
                    Some(session) => self.pings.send(&session, &payload),
                    None => self.screen.note("not sent: a ping needs a connection"),
                },
                Input::Close(code, reason) => {
                    self.sender.close(code, &reason);
                    return Ok(InputLeft::Some);
                }
                Input::Bad(message) => return Err(message),
            }
        }
        Ok(InputLeft::None)
    }

    /// Sends one input. Returns false if the client doesn't reconnect any more.
    async fn send(&self, message: Message<'static>) -> bool {
        let mut message = message;
        loop {
            message = match self.sender.send(message).await {
                Ok(()) => return true,
                Err(TrySendError::Closed(unsent)) => {
                    self.screen.unsent(&unsent);
                    return false;
                }
                Err(TrySendError::Full(unsent)) => unsent,
            };
            if self.full == WhenFull::Tell {
                let count = self.sender.waiting();
                let text = start_of(&message);
                self.screen
                    .note(&format!("not sent, {count} messages wait already: {text}"));
                return true;
            }
            self.sender.connected().await;
        }
    }
}
