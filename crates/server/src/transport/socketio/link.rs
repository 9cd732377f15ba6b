//! The way from the hub to one socket: acks and events.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::body::Bytes;
use parking_lot::Mutex;
use sockeye::socketio::{Ack, EmitError, EventSender, JsonArgs, PreparedEvent};
use sockeye_hub::{
    Disconnect, SendError,
    wire::{ConnectResult, Encoding, ErrorReply, Reply},
};
use tokio::sync::oneshot;

use super::{
    output::{self, Event, Move},
    positions::Positions,
};

/// The encoding between the hub and this transport: its payloads can be any bytes, and are slices of the frame.
pub(super) const ENCODING: Encoding = Encoding::Protobuf;

/// The namespace of the hub.
pub(super) const NAMESPACE: &str = "/";

/// The id of the connect command, the first of all.
pub(super) const CONNECT_ID: u32 = 1;

/// The way from the hub to one socket.
pub(super) struct Link {
    state: Mutex<LinkState>,
    last_id: AtomicU32,
    /// Bytes that may wait before the client is told that it is connected, and half of which make it crowded afterwards.
    queue_max_size: usize,
}

struct LinkState {
    phase: Phase,
    /// Who waits for the replies, by the ids of the commands. The hub limits how many of its commands wait.
    waiters: HashMap<u32, Waiter>,
    /// What the client has, if it may come back.
    positions: Option<Box<Positions>>,
    /// Why the hub or this transport has ended it.
    disconnect: Option<Disconnect>,
}

enum Phase {
    /// The hub decides. Nothing has been sent.
    Connecting {
        decided: Option<oneshot::Sender<Result<ConnectResult, ConnectFailure>>>,
        /// What follows the answer to the connect command.
        waiting: Vec<Outgoing>,
        waiting_bytes: usize,
    },
    Open(EventSender),
    Ended,
}

/// Who waits for the reply to a command.
pub(super) enum Waiter {
    Client(Ack, Effect),
    Recovery(oneshot::Sender<Reply>),
}

/// What a command does to the positions of a client that may come back.
pub(super) enum Effect {
    Nothing,
    /// It subscribes to a channel, which has this place in the record; `None`: the record has no room.
    Subscribes(String, Option<usize>),
    Unsubscribes(String),
}

/// An event for one or many sockets.
#[derive(Clone)]
pub(super) struct Outgoing {
    name: &'static str,
    args: JsonArgs,
    moves: Move,
    /// For sockets without positions.
    prepared: PreparedEvent,
}

/// Why the hub doesn't let a client in.
pub(super) enum ConnectFailure {
    Error(ErrorReply),
    Disconnect(Disconnect),
}

/// What the hub says of a client.
pub(super) type Decision = oneshot::Receiver<Result<ConnectResult, ConnectFailure>>;

impl Link {
    /// Creates the way to a client about which the hub will decide.
    pub(super) fn new(queue_max_size: usize) -> (Self, Decision) {
        let (decided, decision) = oneshot::channel();
        let link = Self {
            state: Mutex::new(LinkState {
                phase: Phase::Connecting {
                    decided: Some(decided),
                    waiting: Vec::new(),
                    waiting_bytes: 0,
                },
                waiters: HashMap::new(),
                positions: None,
                disconnect: None,
            }),
            last_id: AtomicU32::new(CONNECT_ID),
            queue_max_size,
        };
        (link, decision)
    }

    /// Returns the id of a command, for whose reply `waiter` waits.
    pub(super) fn expect(&self, waiter: Waiter) -> u32 {
        // 0 would be a command without a reply.
        let mut id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if id == 0 {
            id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        }
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Ended) {
            state.waiters.insert(id, waiter);
        }
        id
    }

    /// Sets what the client has, which may come back from now on.
    pub(super) fn track(&self, positions: Positions) {
        self.state.lock().positions = Some(Box::new(positions));
    }

    /// Notes that the client can't be given what it misses from now on.
    pub(super) fn lose_positions(&self) {
        if let Some(positions) = &mut self.state.lock().positions {
            positions.lose();
        }
    }

    /// Drops the events that wait, of subscriptions that the client won't be told of.
    pub(super) fn drop_waiting(&self) {
        if let Phase::Connecting {
            waiting,
            waiting_bytes,
            ..
        } = &mut self.state.lock().phase
        {
            waiting.retain(|event| event.moves == Move::Subscribed);
            *waiting_bytes = waiting.iter().map(Outgoing::bytes).sum();
        }
    }

    /// Begins to send to a socket whose client knows that it is connected: first `connected`, then what it has missed, then what waits.
    pub(super) fn open(&self, sender: EventSender, connected: Event, missed: Vec<Event>) {
        let mut state = self.state.lock();
        let waiting = match &mut state.phase {
            Phase::Connecting { waiting, .. } => std::mem::take(waiting),
            Phase::Open(_) | Phase::Ended => return sender.close(),
        };
        let first = std::iter::once(connected).chain(missed);
        let mut first = first.filter_map(Outgoing::new).chain(waiting);
        let sent = first.try_for_each(|event| state.emit(&sender, &event));
        match sent {
            Ok(()) => state.phase = Phase::Open(sender),
            Err(_) => {
                state.phase = Phase::Ended;
                sender.close();
            }
        }
    }

    /// Sends what is in a frame of the hub.
    ///
    /// # Errors
    ///
    /// The client reads too slowly, or is gone.
    pub(super) fn send(&self, frame: Bytes) -> Result<(), SendError> {
        for reply in ENCODING.decode_replies(frame).flatten() {
            match reply {
                Reply {
                    push: Some(push), ..
                } => {
                    if let Some(event) = output::event(push).and_then(Outgoing::new) {
                        self.emit(&event)?;
                    }
                }
                reply => self.answer(reply)?,
            }
        }
        Ok(())
    }

    /// Sends an event, or keeps it until the client is told that it is connected.
    ///
    /// # Errors
    ///
    /// The client reads too slowly, or is gone.
    pub(super) fn emit(&self, event: &Outgoing) -> Result<(), SendError> {
        let mut state = self.state.lock();
        match &mut state.phase {
            Phase::Open(sender) => {
                let sender = sender.clone();
                state.emit(&sender, event).map_err(send_error)
            }
            Phase::Ended => Err(SendError::Closed),
            Phase::Connecting {
                waiting,
                waiting_bytes,
                ..
            } => {
                let bytes = event.bytes();
                if *waiting_bytes + bytes > self.queue_max_size {
                    return Err(SendError::Full);
                }
                *waiting_bytes += bytes;
                waiting.push(event.clone());
                Ok(())
            }
        }
    }

    fn answer(&self, reply: Reply) -> Result<(), SendError> {
        let mut state = self.state.lock();
        if reply.id == CONNECT_ID {
            state.decide(reply);
            return Ok(());
        }
        match state.waiters.remove(&reply.id) {
            None => Ok(()),
            Some(Waiter::Recovery(waiter)) => {
                // A client that is gone meanwhile is closed by what it has left.
                let _ = waiter.send(reply);
                Ok(())
            }
            Some(Waiter::Client(ack, effect)) => {
                let moved = state.apply(effect, &reply);
                if moved
                    && let (Phase::Open(sender), Some(event)) =
                        (&state.phase, Outgoing::new(output::position_event()))
                {
                    // Before the ack: a client that knows of a subscription has the text that names it.
                    let sender = sender.clone();
                    state.emit(&sender, &event).map_err(send_error)?;
                }
                ack.send_json(output::ack(reply)).map_err(send_error)
            }
        }
    }

    /// Ends the socket: clients that may come back lose their connection, others are told that the namespace has ended.
    pub(super) fn end(&self, disconnect: &Disconnect) {
        let mut state = self.state.lock();
        if state.disconnect.is_none() {
            state.disconnect = Some(disconnect.clone());
        }
        state.waiters.clear();
        match std::mem::replace(&mut state.phase, Phase::Ended) {
            Phase::Ended => {}
            Phase::Connecting { decided, .. } => {
                if let Some(decided) = decided {
                    let _ = decided.send(Err(ConnectFailure::Disconnect(disconnect.clone())));
                }
            }
            Phase::Open(sender) => {
                if disconnect.is_sent()
                    && let Some(event) = Outgoing::new(output::closing_event(disconnect))
                {
                    // A client that can't take it is ended all the same.
                    let _ = state.emit(&sender, &event);
                }
                match disconnect.reconnects() {
                    true => sender.close(),
                    false => sender.disconnect(),
                }
            }
        }
    }

    /// Returns why the hub or this transport has ended it.
    pub(super) fn disconnect(&self) -> Option<Disconnect> {
        self.state.lock().disconnect.clone()
    }

    pub(super) fn is_crowded(&self) -> bool {
        match &self.state.lock().phase {
            Phase::Open(sender) => sender.buffered_bytes() > self.queue_max_size / 2,
            Phase::Connecting { .. } | Phase::Ended => false,
        }
    }
}

impl LinkState {
    /// Sends an event. To a client that may come back it has the positions as its last argument, which the client keeps.
    fn emit(&mut self, sender: &EventSender, event: &Outgoing) -> Result<(), EmitError> {
        let Some(positions) = &mut self.positions else {
            return sender.emit_prepared(&event.prepared);
        };
        match &event.moves {
            Move::Nothing => {}
            Move::Publication { channel, offset } => positions.advance(channel, *offset),
            Move::Unsubscribed { channel } => positions.remove(channel),
            Move::Subscribed => positions.lose(),
        }
        let mut args = event.args.clone();
        if !args.json.is_empty() {
            args.json.push(',');
        }
        // Nothing in it has to be escaped but what an epoch could have.
        args.json
            .push_str(&serde_json::Value::from(positions.text()).to_string());
        sender.emit_prepared(&PreparedEvent::from_json(NAMESPACE, event.name, args)?)
    }

    fn decide(&mut self, reply: Reply) {
        let Phase::Connecting { decided, .. } = &mut self.phase else {
            return;
        };
        let decision = match (reply.connect, reply.error) {
            (Some(connected), _) => Ok(connected),
            (None, Some(error)) => Err(ConnectFailure::Error(error)),
            (None, None) => return,
        };
        if let Some(decided) = decided.take() {
            // A client that is gone meanwhile is closed by what it has left.
            let _ = decided.send(decision);
        }
    }

    /// Moves the positions by what a command has done. Returns whether they have changed.
    fn apply(&mut self, effect: Effect, reply: &Reply) -> bool {
        let Some(positions) = &mut self.positions else {
            return false;
        };
        match (effect, &reply.subscribe) {
            (Effect::Subscribes(channel, Some(index)), Some(result)) => {
                let newest = result.publications.last();
                let offset = newest.map_or(result.offset, |newest| newest.offset);
                let epoch = match result.recoverable {
                    true => &*result.epoch,
                    false => "",
                };
                positions.set(index, &channel, offset, epoch);
                true
            }
            (Effect::Subscribes(_, None), Some(_)) => {
                positions.lose();
                true
            }
            (Effect::Unsubscribes(channel), _) if reply.error.is_none() => {
                positions.remove(&channel);
                true
            }
            _ => false,
        }
    }
}

impl Outgoing {
    /// Encodes an event; `None` if it has more attachments than a packet can have.
    pub(super) fn new(event: Event) -> Option<Self> {
        let Event { name, args, moves } = event;
        let prepared = PreparedEvent::from_json(NAMESPACE, name, args.clone()).ok()?;
        Some(Self {
            name,
            args,
            moves,
            prepared,
        })
    }

    fn bytes(&self) -> usize {
        let attachments = self.args.attachments.iter().map(Bytes::len);
        2 * self.args.json.len() + attachments.sum::<usize>()
    }
}

fn send_error(error: EmitError) -> SendError {
    match error {
        EmitError::Full => SendError::Full,
        _ => SendError::Closed,
    }
}
