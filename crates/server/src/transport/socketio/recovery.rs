//! The recovery of connections: a client whose connection was lost comes back with the id of that, and is given what it has missed, or
//! begins anew and is told so.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use sockeye_hub::{
    Client, Disconnect, Node,
    wire::{Command, Reply, SubscribeRequest},
};
use tokio::sync::oneshot;

use super::{
    link::{ENCODING, Effect, Link, Waiter},
    output::{self, Event},
    positions::{Brought, Positions, brought},
    record::Record,
};

/// The connections of one path that may come back.
pub(super) struct Recoveries {
    node: Node,
    /// How long a connection can be recovered after it was lost, at least.
    max_time: Duration,
    /// By their ids.
    live: Mutex<HashMap<Arc<str>, Weak<Client>>>,
}

/// A connection that may come back.
pub(super) struct Recoverable {
    pub(super) pid: Arc<str>,
    /// Whether it has come back.
    pub(super) is_recovered: bool,
    recoveries: Arc<Recoveries>,
    client: Weak<Client>,
    record: Mutex<Record>,
    /// What the client has missed, until it is told.
    missed: Mutex<Vec<Event>>,
}

/// What a client brings when it connects.
pub(super) struct Bringing<'b> {
    pub(super) pid: Option<&'b str>,
    pub(super) text: Option<&'b str>,
    /// Whether the server has subscribed the client to something.
    pub(super) has_server_side: bool,
}

/// A connection can't be recovered.
struct NotRecovered;

impl Recoveries {
    pub(super) fn new(node: &Node, max_time: Duration) -> Self {
        Self {
            node: node.clone(),
            max_time,
            live: Mutex::default(),
        }
    }

    /// Begins a connection that may come back, or goes on with the one that the client names. `None`: the broker fails, and the
    /// connection can't come back.
    pub(super) async fn begin(
        self: &Arc<Self>,
        client: &Arc<Client>,
        link: &Link,
        bringing: Bringing<'_>,
    ) -> Option<Arc<Recoverable>> {
        let user = client.user()?;
        if let Some(pid) = bringing.pid.filter(|pid| is_pid(pid))
            && let Some(record) = self.record(pid).await
            && record.user == *user
        {
            let mut recoverable = self.recoverable(pid.into(), client, record);
            self.take_over(&recoverable.pid, client);
            match self
                .recover(&mut recoverable, client, link, &bringing)
                .await
            {
                Ok(()) => return Some(self.start(recoverable)),
                // The client gets another id, so nobody comes back with this one.
                Err(NotRecovered) => recoverable.forget().await,
            }
        }
        let mut id = [0; PID_BYTES];
        getrandom::fill(&mut id).ok()?;
        let pid: Arc<str> = URL_SAFE_NO_PAD.encode(id).into();
        let record = Record::new(&user);
        self.keep(&pid, &record).await?;
        link.track(Positions::new(&pid));
        let recoverable = self.recoverable(pid, client, record);
        self.take_over(&recoverable.pid, client);
        Some(self.start(recoverable))
    }

    fn recoverable(
        self: &Arc<Self>,
        pid: Arc<str>,
        client: &Arc<Client>,
        record: Record,
    ) -> Recoverable {
        Recoverable {
            pid,
            is_recovered: false,
            recoveries: Arc::clone(self),
            client: Arc::downgrade(client),
            record: Mutex::new(record),
            missed: Mutex::default(),
        }
    }

    /// Begins to keep a record as long as its connection lives.
    fn start(&self, recoverable: Recoverable) -> Arc<Recoverable> {
        let recoverable = Arc::new(recoverable);
        let weak = Arc::downgrade(&recoverable);
        let interval = self.max_time;
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(recoverable) = weak.upgrade() else {
                    return;
                };
                let record = recoverable.record.lock().clone();
                let recoveries = &recoverable.recoveries;
                // If it fails, it is tried again, and the record lasts as long once more.
                let _ = recoveries.keep(&recoverable.pid, &record).await;
            }
        });
        recoverable
    }

    /// Ends the connection that has the id. A half-open one would otherwise receive what the client receives by `client`.
    fn take_over(&self, pid: &Arc<str>, client: &Arc<Client>) {
        let weak = Arc::downgrade(client);
        let old = self.live.lock().insert(Arc::clone(pid), weak);
        if let Some(old) = old.as_ref().and_then(Weak::upgrade)
            && !Arc::ptr_eq(&old, client)
        {
            let taken = Disconnect::new(4509, "a newer connection has taken over");
            old.disconnect(taken.unwrap_or(Disconnect::CONNECTION_LIMIT));
        }
    }

    /// Forgets a connection that lives no more, unless another one has its id.
    fn leave(&self, pid: &Arc<str>, client: &Weak<Client>) {
        let mut live = self.live.lock();
        if live
            .get(pid)
            .is_some_and(|found| Weak::ptr_eq(found, client))
        {
            live.remove(pid);
        }
    }

    /// Subscribes the client to the channels in which it was, from the positions that it brings.
    async fn recover(
        &self,
        recoverable: &mut Recoverable,
        client: &Arc<Client>,
        link: &Link,
        bringing: &Bringing<'_>,
    ) -> Result<(), NotRecovered> {
        let pid = &recoverable.pid;
        let Brought::Positions(brought) = brought(pid, bringing.text) else {
            return Err(NotRecovered);
        };
        if bringing.has_server_side {
            return Err(NotRecovered);
        }
        // Once more: the connection that was ended may have changed it until then.
        let record = self.record(pid).await.ok_or(NotRecovered)?;
        let mut positions = Positions::new(pid);
        let mut missed = Vec::new();
        let mut subscribed = Vec::new();
        for position in brought {
            let recovered = match record.channel(position.index) {
                Some(kept) => {
                    subscribed.push(kept.channel.clone());
                    let request = SubscribeRequest {
                        channel: kept.channel.clone(),
                        token: kept.token.clone(),
                        recover: true,
                        epoch: position.epoch,
                        offset: position.offset,
                        positioned: true,
                        recoverable: true,
                        join_leave: true,
                        ..SubscribeRequest::default()
                    };
                    let subscribe = Command {
                        subscribe: Some(request),
                        ..Command::default()
                    };
                    let reply = ask(client, link, subscribe).await;
                    let result = reply.and_then(|reply| reply.subscribe);
                    result.filter(|result| result.recovered && result.recoverable)
                }
                None => None,
            };
            let (Some(result), Some(channel)) = (recovered, subscribed.last()) else {
                undo(client, link, subscribed).await;
                return Err(NotRecovered);
            };
            positions.set(position.index, channel, position.offset, &result.epoch);
            let publications = result.publications.into_iter();
            missed.extend(publications.map(|missed| output::publication_event(channel, missed)));
        }
        link.track(positions);
        recoverable.is_recovered = true;
        *recoverable.missed.get_mut() = missed;
        *recoverable.record.get_mut() = record;
        Ok(())
    }

    async fn record(&self, pid: &str) -> Option<Record> {
        let kept = self.node.kept(&key(pid), self.ttl()).await.ok()??;
        Record::decode(&kept)
    }

    async fn keep(&self, pid: &str, record: &Record) -> Option<()> {
        let key = key(pid);
        let kept = self.node.keep(&key, record.encode(), self.ttl());
        kept.await.ok()
    }

    /// Returns how long a record is kept: until it is kept again, and as long as the connection can be recovered after that.
    fn ttl(&self) -> Duration {
        self.max_time.saturating_mul(2)
    }
}

impl Recoverable {
    /// Keeps that the client subscribes to a channel, before it does. Returns the channel's place; `None` if there is no room or the
    /// broker fails, and the connection can't come back.
    pub(super) async fn note(&self, channel: &str, token: &str) -> Option<usize> {
        let (index, changed) = {
            let mut record = self.record.lock();
            let is_new = record.note(channel, token).ok()?;
            (record.index(channel)?, is_new.then(|| record.clone()))
        };
        if let Some(record) = changed {
            self.recoveries.keep(&self.pid, &record).await?;
        }
        Some(index)
    }

    /// Returns what the client has missed.
    pub(super) fn take_missed(&self) -> Vec<Event> {
        std::mem::take(&mut *self.missed.lock())
    }

    /// Forgets the connection, unless a newer one has taken over: its client has left, or must not come back.
    pub(super) async fn forget(&self) {
        let is_current = {
            let live = self.recoveries.live.lock();
            let found = live.get(&self.pid);
            found.is_some_and(|found| Weak::ptr_eq(found, &self.client))
        };
        if !is_current {
            return;
        }
        // If it fails, the record is forgotten after its time.
        let _ = self.recoveries.node.forget(&key(&self.pid)).await;
    }
}

impl Drop for Recoverable {
    fn drop(&mut self) {
        self.recoveries.leave(&self.pid, &self.client);
    }
}

/// Sends a command for the transport itself, and waits for the reply.
async fn ask(client: &Arc<Client>, link: &Link, mut command: Command) -> Option<Reply> {
    let (waiter, reply) = oneshot::channel();
    command.id = link.expect(Waiter::Recovery(waiter));
    let mut frame = Vec::new();
    ENCODING.encode_command(&command, &mut frame).ok()?;
    client.handle_frame(frame.into());
    reply.await.ok()
}

/// Takes subscriptions back of which the client hasn't been told.
async fn undo(client: &Arc<Client>, link: &Link, channels: Vec<String>) {
    for channel in channels {
        let unsubscribe = Command {
            unsubscribe: Some(sockeye_hub::wire::UnsubscribeRequest { channel }),
            ..Command::default()
        };
        ask(client, link, unsubscribe).await;
    }
    link.drop_waiting();
}

/// Returns whether a text has the form of an id.
fn is_pid(text: &str) -> bool {
    text.len() == PID_BYTES.div_ceil(3) * 4
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Random bytes of an id: a multiple of three, so that its text has no padding.
const PID_BYTES: usize = 15;

fn key(pid: &str) -> String {
    format!("socketio/{pid}")
}

impl Effect {
    /// Returns what a command of a client that may come back does. Keeps what has to be kept before it.
    pub(super) async fn of(
        command: &Command,
        recoverable: Option<&Arc<Recoverable>>,
        link: &Link,
    ) -> Self {
        let Some(recoverable) = recoverable else {
            return Self::Nothing;
        };
        if let Some(request) = &command.subscribe {
            let index = recoverable.note(&request.channel, &request.token).await;
            return Self::Subscribes(request.channel.clone(), index);
        }
        if let Some(request) = &command.sub_refresh
            && recoverable
                .note(&request.channel, &request.token)
                .await
                .is_none()
        {
            link.lose_positions();
        }
        match &command.unsubscribe {
            Some(request) => Self::Unsubscribes(request.channel.clone()),
            None => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_of_the_form_are_looked_for() {
        assert!(is_pid("abcdefghij-_KLMNOP09"));
        for other in [
            "",
            "short",
            "abcdefghij-_KLMNOP0",
            "abcdefghij-_KLMNOP09x",
            "__proto__ __proto__ ",
            "abcdefghij/_KLMNOP09",
        ] {
            assert!(!is_pid(other), "{other:?}");
        }
    }
}
