//! The client: what the transport calls.

use std::{
    collections::BTreeMap,
    future::Future as _,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::{
    command_queue::{CommandQueue, QueueFull, QueueLimits, Ready, Subject},
    ping::{Ping, PingAction},
    state::{Commands, Phase, State},
    subscriptions::{Progress, Subscription},
};
use crate::{
    Disconnect, StreamPosition,
    memory::Charge,
    metrics::{FrameKind, NameLabel, TransportLabel},
    node::{DisconnectEvent, NodeShared, push},
    shard::{ClientKey, Generation},
    transport::{SendError, Transport},
    wire::{Command, DisconnectPush, Push, Reply},
};

/// One connected client. Its transport makes it with [`crate::Node::open`], hands it every frame, and closes it.
///
/// # Closing
///
/// [`Client::close`] must be called when the connection has ended, also after the hub has ended it.
pub struct Client {
    pub(super) node: Arc<NodeShared>,
    pub(super) key: ClientKey,
    pub(super) id: Arc<str>,
    pub(super) transport: Box<dyn Transport>,
    pub(super) transport_label: TransportLabel,
    pub(super) name: NameLabel,
    pub(super) state: Mutex<State>,
}

/// What is known of a connection before its client has said anything. Dropped when the client is connected.
#[derive(Clone, Debug, Default)]
pub struct ConnectionInfo {
    /// Header fields of the request, by lower-case name, that handlers may want.
    pub headers: BTreeMap<String, String>,
    /// Who the client is, if the transport knows already: then no token is needed.
    pub credentials: Option<crate::Credentials>,
}

impl Client {
    pub(crate) fn new(
        node: &Arc<NodeShared>,
        key: ClientKey,
        transport: Box<dyn Transport>,
        info: ConnectionInfo,
    ) -> Arc<Self> {
        let until = (node.elapsed() + node.settings.stale_close_delay).into();
        let client = Arc::new(Self {
            node: Arc::clone(node),
            key,
            id: node.new_client_id(),
            transport_label: node.recorder.transport(transport.name()),
            transport,
            name: NameLabel::unnamed(),
            state: Mutex::new(State {
                phase: Phase::Opened {
                    until,
                    info: Box::new(info),
                },
                ping: Ping::Off,
                commands: None,
                alarm: None,
            }),
        });
        client.set_alarm(&mut client.state.lock());
        client
    }

    /// Returns the connection's id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Returns the user; `None` unless the client is connected. Empty for an anonymous one.
    #[must_use]
    pub fn user(&self) -> Option<Arc<str>> {
        let mut state = self.state.lock();
        let connected = state.connected().ok()?;
        Some(Arc::clone(&connected.info.user))
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    pub(crate) fn transport_label(&self) -> TransportLabel {
        self.transport_label
    }

    pub(crate) fn key(&self) -> ClientKey {
        self.key
    }

    /// Handles one frame of the client: one or more commands. Replies go out by the transport, some of them later.
    ///
    /// Call it within a tokio runtime, since a command that takes time goes on in a task.
    pub fn handle_frame(self: &Arc<Self>, frame: Bytes) {
        let limits = self.node.settings.command_limits;
        let mut bytes_left = frame.len();
        let mut commands = self.transport.encoding().decode_commands(frame, limits);
        while let Some(command) = commands.next() {
            let bytes = bytes_left - commands.bytes_left();
            bytes_left -= bytes;
            let command = match command {
                Ok(command) => {
                    let kind = FrameKind::of_command(&command);
                    let bytes = commands.last_bytes();
                    self.node
                        .recorder
                        .received(self.transport_label, kind, bytes);
                    command
                }
                Err(error) => {
                    tracing::debug!(client = &*self.id, %error, "a frame is not understood");
                    self.node
                        .log_bad_frame(self.transport.encoding().subprotocol(), &error);
                    return self.disconnect(error.disconnect());
                }
            };
            if !self.handle_command(Box::new(command), bytes) {
                return;
            }
        }
    }

    /// Ends the client.
    pub fn disconnect(self: &Arc<Self>, disconnect: Disconnect) {
        if self.finish(Some(&disconnect)) {
            self.transport.disconnect(&disconnect);
        }
    }

    /// Notes that the connection has ended. Does nothing the second time, and nothing after the hub has ended the client.
    pub fn close(self: &Arc<Self>) {
        self.finish(None);
    }

    /// Notes that the connection has ended because the transport ended it, such as with [`Disconnect::SLOW`]. As
    /// [`Client::close`] otherwise.
    pub fn close_ended(self: &Arc<Self>, disconnect: &Disconnect) {
        self.finish(Some(disconnect));
    }

    /// Returns whether the client goes on. `bytes` is the length of the command as it was sent.
    fn handle_command(self: &Arc<Self>, command: Box<Command>, bytes: usize) -> bool {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Closed) {
            return false;
        }
        if command.is_pong() {
            let pinged = state.ping.handle_pong(self.node.settings.ping_interval);
            drop(state);
            match pinged {
                Ok(pinged) => {
                    let took = self.node.elapsed().saturating_sub(pinged);
                    self.node.recorder.ponged(self.transport_label, took);
                }
                Err(_) => self.disconnect(Disconnect::BAD_REQUEST),
            }
            return pinged.is_ok();
        }
        let meter = &self.node.meter;
        let commands = state.commands.get_or_insert_with(|| {
            Box::new(Commands {
                queue: CommandQueue::default(),
                charge: Charge::new(meter, 0),
            })
        });
        let bytes = command.memory_bytes(bytes);
        let begun = commands.queue.push(command, bytes, self.queue_limits());
        let waiting = commands.queue.bytes();
        commands.charge.set(waiting);
        drop(state);
        match begun {
            Ok(Some(ready)) => self.begin(ready),
            Ok(None) if !meter.is_exhausted() => {}
            Ok(None) | Err(QueueFull) => {
                self.disconnect(Disconnect::TOO_MANY_REQUESTS);
                return false;
            }
        }
        true
    }

    /// Carries out a command, and those that waited for it. What isn't known at once goes on in a task.
    fn begin(self: &Arc<Self>, ready: Ready) {
        let mut next = Some(ready);
        while let Some(ready) = next {
            let Ready {
                subject,
                command,
                bytes,
            } = ready;
            let mut executed = Box::pin(Arc::clone(self).execute(command));
            let mut context = Context::from_waker(Waker::noop());
            if executed.as_mut().poll(&mut context) == Poll::Pending {
                let client = Arc::clone(self);
                let charge = Charge::new(&self.node.meter, bytes);
                tokio::spawn(async move {
                    executed.await;
                    drop(charge);
                    if let Some(ready) = client.next_command(Some(&subject)) {
                        client.begin(ready);
                    }
                });
                next = self.next_command(None);
            } else {
                next = self.next_command(Some(&subject));
            }
        }
    }

    fn next_command(&self, finished: Option<&Subject>) -> Option<Ready> {
        let limits = self.queue_limits();
        let mut state = self.state.lock();
        let commands = state.commands.as_mut()?;
        let next = commands.queue.finish(finished, limits);
        let waiting = commands.queue.bytes();
        commands.charge.set(waiting);
        if next.is_none() && commands.queue.is_empty() {
            state.commands = None;
        }
        next
    }

    fn queue_limits(&self) -> QueueLimits {
        let settings = &self.node.settings;
        QueueLimits {
            running_max: settings.concurrency.max(1),
            waiting_max: settings.commands_waiting_max,
            waiting_bytes_max: settings.command_bytes_waiting_max,
        }
    }

    /// Sends the reply to a command of this kind. A client that doesn't read is ended.
    pub(super) fn send(self: &Arc<Self>, kind: FrameKind, reply: &Reply) -> Result<(), Disconnect> {
        let mut frame = Vec::new();
        let encoding = self.transport.encoding();
        encoding
            .encode_reply(reply, &mut frame)
            .map_err(|error| error.disconnect())?;
        self.send_frame(kind, frame.into())
    }

    /// Sends a reply of about `bytes` bytes for which room was made.
    pub(super) fn send_answer(
        self: &Arc<Self>,
        kind: FrameKind,
        reply: &Reply,
        bytes: usize,
    ) -> Result<(), Disconnect> {
        let mut frame = Vec::with_capacity(bytes);
        let encoding = self.transport.encoding();
        encoding
            .encode_reply(reply, &mut frame)
            .map_err(|error| error.disconnect())?;
        let bytes = frame.len();
        self.sent(kind, bytes, self.transport.send_answer(frame.into()))
    }

    pub(super) fn push(self: &Arc<Self>, push: Push) -> Result<(), Disconnect> {
        let encoding = self.transport.encoding();
        let kind = FrameKind::of_push(&push);
        let frame = push::encode(encoding, self.transport.is_unidirectional(), push)
            .map_err(|error| error.disconnect())?;
        self.send_frame(kind, frame)
    }

    /// Sends a push for which room was made, as an answer.
    pub(super) fn push_answer(self: &Arc<Self>, push: Push) -> Result<(), Disconnect> {
        let encoding = self.transport.encoding();
        let kind = FrameKind::of_push(&push);
        let frame = push::encode(encoding, self.transport.is_unidirectional(), push)
            .map_err(|error| error.disconnect())?;
        let bytes = frame.len();
        self.sent(kind, bytes, self.transport.send_answer(frame))
    }

    fn send_frame(&self, kind: FrameKind, frame: Bytes) -> Result<(), Disconnect> {
        let bytes = frame.len();
        self.sent(kind, bytes, self.transport.send(frame))
    }

    fn sent(
        &self,
        kind: FrameKind,
        bytes: usize,
        sent: Result<(), SendError>,
    ) -> Result<(), Disconnect> {
        match sent {
            Ok(()) => {
                let recorder = &self.node.recorder;
                recorder.sent(self.transport_label, kind, bytes, 1);
                Ok(())
            }
            // What is gone has no need to be ended: the transport says so.
            Err(SendError::Closed) => Ok(()),
            Err(SendError::Full) => Err(Disconnect::SLOW),
        }
    }

    /// Takes the client out of the node. Returns whether it was in.
    fn finish(self: &Arc<Self>, disconnect: Option<&Disconnect>) -> bool {
        let mut state = self.state.lock();
        let phase = std::mem::replace(&mut state.phase, Phase::Closed);
        state.ping = Ping::Off;
        state.commands = None;
        drop(state);
        if let (false, Some(disconnect)) = (matches!(phase, Phase::Closed), disconnect) {
            self.node.recorder.ended(disconnect);
        }
        let mut connected = match phase {
            Phase::Closed => return false,
            Phase::Connected(connected) => connected,
            _ => return true,
        };
        let recorder = &self.node.recorder;
        recorder.disconnected(self.transport_label, &self.name);
        self.node.clients.remove(&connected.info);
        let subscriptions = std::mem::take(&mut connected.subscriptions);
        for subscription in subscriptions.iter() {
            self.abandon(subscription);
        }
        // The presence on other nodes ends before the application hears of it.
        drop(subscriptions);
        self.drop_catch_ups();
        if let Some(handler) = &self.node.handlers.disconnect {
            handler(DisconnectEvent {
                client: connected.view(&*self.transport),
                disconnect: disconnect.cloned(),
            });
        }
        true
    }

    /// Begins to deliver to a subscription of which the client has been told.
    pub(super) fn release(
        &self,
        channel: &str,
        generation: Generation,
        position: Option<StreamPosition>,
    ) {
        self.node.recorder.subscribed(&self.name);
        self.node
            .channels
            .release(channel, self.key, generation, position)
            .settle();
    }

    /// Removes a subscription that is no longer among the client's from its shard, and tells the others.
    pub(super) fn abandon(&self, subscription: &Subscription) {
        if let Progress::Active(generation) = subscription.progress()
            && let Some(removed) =
                self.node
                    .channels
                    .remove(&subscription.channel, self.key, generation)
        {
            self.node.recorder.unsubscribed(&self.name);
            self.node.after_removal(&subscription.channel, removed);
        }
    }

    /// Called by the node when the alarm has come.
    pub(crate) fn handle_timeout(self: &Arc<Self>, now: Duration) {
        let settings = &self.node.settings;
        let mut state = self.state.lock();
        state.alarm = None;
        let disconnect = match &state.phase {
            Phase::Closed => return,
            Phase::Opened { until, .. }
            | Phase::Connecting { until }
            | Phase::Refused { until }
                if until.elapsed() <= now =>
            {
                Some(Disconnect::STALE)
            }
            _ => None,
        };
        let ping = state.ping.handle_timeout(
            now,
            settings.ping_interval,
            settings.pong_timeout,
            !self.transport.is_unidirectional(),
        );
        let disconnect = disconnect.or_else(|| match ping {
            PingAction::Nothing => None,
            PingAction::Send => {
                let ping = self.transport.encoding().ping();
                self.send_frame(FrameKind::ServerPing, Bytes::from_static(ping))
                    .err()
            }
            PingAction::GiveUp => Some(Disconnect::NO_PONG),
        });
        let expired = self.expired(&mut state);
        let is_silent = matches!(state.phase, Phase::Opened { .. });
        self.set_alarm(&mut state);
        drop(state);
        if let Some(disconnect) = disconnect {
            if is_silent && disconnect == Disconnect::STALE {
                self.node.log_stale(self.transport.name());
            }
            return self.disconnect(disconnect);
        }
        self.end_expired(expired);
    }

    /// Asks the node for a call at the next time at which something is due.
    pub(super) fn set_alarm(self: &Arc<Self>, state: &mut MutexGuard<'_, State>) {
        let opened = match &state.phase {
            Phase::Opened { until, .. }
            | Phase::Connecting { until }
            | Phase::Refused { until } => Some(until.elapsed()),
            Phase::Connected(_) => self.expiry(state),
            Phase::Closed => return,
        };
        let ping = state.ping.deadline(self.node.settings.pong_timeout);
        let Some(due) = opened.into_iter().chain(ping).min() else {
            return;
        };
        let due = due.into();
        if state.alarm.is_none_or(|alarm| due < alarm) {
            state.alarm = Some(due);
            self.node.deadlines.add(due, self);
        }
    }
}

impl From<&Disconnect> for Push {
    fn from(disconnect: &Disconnect) -> Self {
        Self {
            disconnect: Some(DisconnectPush::from(disconnect)),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_one_subscription_is_small() {
        // With the counters of its Arc and the eight bytes that glibc's allocator adds these are 192, a size of it.
        assert!(size_of::<Client>() <= 168, "{}", size_of::<Client>());
    }
}
