//! A client as an SDK would be, which judges everything that it receives.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, Weak},
};

use bytes::Bytes;
use sockeye_hub::{
    Client, ConnectionInfo, Disconnect, Node, Receivers, SendError, Tags, Transport,
    wire::{
        Command, ConnectRequest, Encoding, FilterNode, Publication, PublishRequest, Push,
        RefreshRequest, Reply, SubscribeRequest, SubscribeResult, UnsubscribeRequest,
    },
};

use crate::{
    broker::{Backbone, Truth},
    simulation::Secrets,
};

/// Frames that wait for a client that doesn't read.
const INBOX_FRAMES_MAX: usize = 30;

/// The way to one client.
#[derive(Default)]
pub(crate) struct Inbox {
    frames: Mutex<VecDeque<Bytes>>,
    ended: Mutex<Option<Disconnect>>,
}

struct InboxTransport {
    encoding: Encoding,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct InboxReceivers(Mutex<Vec<Arc<Inbox>>>);

/// A client, which has one connection after another.
pub(crate) struct SimulatedClient {
    pub(crate) number: u64,
    pub(crate) encoding: Encoding,
    backbone: Arc<Backbone>,
    secrets: Arc<Secrets>,
    pub(crate) connection: Option<Connection>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    /// Whether it reads.
    pub(crate) is_stalled: bool,
    /// Nodes and ids of its connections so far.
    pub(crate) ids: Vec<(usize, String)>,
    /// Connections that have ended; none of them may be alive in the end.
    pub(crate) past: Vec<Weak<Client>>,
    next_id: u32,
    /// What happened, for people who repeat a run.
    /// By channel; `""` is the connection.
    pub(crate) trace: BTreeMap<String, Vec<String>>,
}

pub(crate) struct Connection {
    pub(crate) node: usize,
    pub(crate) client: Arc<Client>,
    inbox: Arc<Inbox>,
    /// Its id, once it is connected.
    pub(crate) id: Option<String>,
    /// Id of the connect command.
    connect_id: u32,
}

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) is_wanted: bool,
    pub(crate) is_by_server: bool,
    pub(crate) state: SubscriptionState,
    /// What it has seen; `None` before the first answer.
    pub(crate) seen: Option<Seen>,
    has_filter: bool,
    /// Who has joined or left last, by id of the connection, since the subscription began.
    pub(crate) others: BTreeMap<String, Edge>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Joined,
    Left,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SubscriptionState {
    Idle,
    Subscribing {
        id: u32,
        /// An unsubscribe command that was sent before; what comes until its reply belongs to the earlier subscription.
        after: Option<u32>,
        /// What the truth was when the command was sent.
        truth: Truth,
    },
    Subscribed,
    /// What comes until the reply belongs to the subscription that ends.
    Unsubscribing {
        id: u32,
    },
}

impl Inbox {
    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        if self.ended.lock().unwrap().is_some() {
            return Err(SendError::Closed);
        }
        let mut frames = self.frames.lock().unwrap();
        if frames.len() >= INBOX_FRAMES_MAX {
            return Err(SendError::Full);
        }
        frames.push_back(frame);
        Ok(())
    }

    fn end(&self, disconnect: &Disconnect) {
        self.ended
            .lock()
            .unwrap()
            .get_or_insert_with(|| disconnect.clone());
    }
}

impl Transport for InboxTransport {
    fn name(&self) -> &'static str {
        "inbox"
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.inbox.send(frame)
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        self.inbox.end(disconnect);
    }

    fn new_receivers(&self) -> Box<dyn Receivers> {
        Box::new(InboxReceivers::default())
    }
}

impl Receivers for InboxReceivers {
    fn add(&self, transport: &dyn Transport) {
        self.0.lock().unwrap().push(inbox_of(transport));
    }

    fn remove(&self, transport: &dyn Transport) {
        let inbox = inbox_of(transport);
        let mut inboxes = self.0.lock().unwrap();
        let before = inboxes.len();
        inboxes.retain(|other| !Arc::ptr_eq(other, &inbox));
        assert_eq!(before, inboxes.len() + 1, "it was on the list once");
    }

    fn send(&self, frame: &Bytes) {
        for inbox in &*self.0.lock().unwrap() {
            if inbox.send(frame.clone()) == Err(SendError::Full) {
                inbox.end(&Disconnect::SLOW);
            }
        }
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        for inbox in &*self.0.lock().unwrap() {
            inbox.end(disconnect);
        }
    }
}

fn inbox_of(transport: &dyn Transport) -> Arc<Inbox> {
    let transport: &dyn Any = transport;
    let transport: &InboxTransport = transport.downcast_ref().expect("of this type");
    Arc::clone(&transport.inbox)
}

impl SimulatedClient {
    pub(crate) fn new(number: u64, backbone: &Arc<Backbone>, secrets: &Arc<Secrets>) -> Self {
        Self {
            number,
            encoding: match number % 2 {
                0 => Encoding::Json,
                _ => Encoding::Protobuf,
            },
            backbone: Arc::clone(backbone),
            secrets: Arc::clone(secrets),
            connection: None,
            subscriptions: BTreeMap::new(),
            is_stalled: false,
            ids: Vec::new(),
            past: Vec::new(),
            next_id: 1,
            trace: BTreeMap::new(),
        }
    }

    pub(crate) fn user(&self) -> String {
        // Two connections of each user.
        format!("user{}", self.number / 2)
    }

    pub(crate) fn is_connected(&self) -> bool {
        (self.connection.as_ref()).is_some_and(|connection| connection.id.is_some())
    }

    // ---- What a client does --------------------------------------------------------------------------------

    pub(crate) fn connect(&mut self, at: usize, node: &Node) {
        assert!(self.connection.is_none());
        self.note("", format!("connects to node {at}"));
        let inbox = Arc::new(Inbox::default());
        let transport = InboxTransport {
            encoding: self.encoding,
            inbox: Arc::clone(&inbox),
        };
        let id = self.id();
        self.connection = Some(Connection {
            node: at,
            client: node.open(transport, ConnectionInfo::default()),
            inbox,
            id: None,
            connect_id: id,
        });
        let by_server = self.subscriptions.iter();
        let subs = by_server.filter(|(_, subscription)| subscription.is_by_server);
        let subs = subs
            .map(|(channel, subscription)| (channel.clone(), subscription.recovery()))
            .collect();
        let request = ConnectRequest {
            token: self.secrets.connection_token(self.number, &self.user()),
            subs,
            ..ConnectRequest::default()
        };
        let command = Command {
            id,
            connect: Some(request),
            ..Command::default()
        };
        for subscription in self.subscriptions.values_mut() {
            subscription.state = SubscriptionState::Idle;
            subscription.others.clear();
        }
        for (channel, subscription) in &mut self.subscriptions {
            if subscription.is_by_server {
                subscription.state = SubscriptionState::Subscribing {
                    id,
                    after: None,
                    truth: self.backbone.truth(channel),
                };
            }
        }
        self.send(command);
        self.is_stalled = false;
    }

    /// Subscribes, or will as soon as it is connected.
    pub(crate) fn want(&mut self, channel: &str, has_filter: bool) {
        let subscription = self
            .subscriptions
            .entry(channel.to_owned())
            .or_insert_with(|| Subscription::new(has_filter));
        if subscription.is_by_server {
            return;
        }
        subscription.is_wanted = true;
        self.subscribe_wanted();
    }

    /// Sends the subscribe commands that are due.
    pub(crate) fn subscribe_wanted(&mut self) {
        if !self.is_connected() {
            return;
        }
        let channels: Vec<String> = self.subscriptions.keys().cloned().collect();
        for channel in channels {
            let subscription = &self.subscriptions[&channel];
            let after = match subscription.state {
                SubscriptionState::Idle => None,
                SubscriptionState::Unsubscribing { id } => Some(id),
                _ => continue,
            };
            if !subscription.is_wanted || subscription.is_by_server {
                continue;
            }
            let mut request = subscription.recovery();
            request.channel.clone_from(&channel);
            request.join_leave = true;
            request.tf = subscription.has_filter.then(even);
            if channel.starts_with('$') {
                request.token = self.secrets.subscription_token(&self.user(), &channel);
            }
            let id = self.id();
            let state = SubscriptionState::Subscribing {
                id,
                after,
                truth: self.backbone.truth(&channel),
            };
            let subscription = self.subscriptions.get_mut(&channel).unwrap();
            subscription.state = state;
            self.note(&channel, "subscribes".to_owned());
            self.send(Command {
                id,
                subscribe: Some(request),
                ..Command::default()
            });
        }
    }

    pub(crate) fn unsubscribe(&mut self, channel: &str) {
        let Some(subscription) = self.subscriptions.get_mut(channel) else {
            return;
        };
        if subscription.is_by_server {
            return;
        }
        subscription.is_wanted = false;
        let is_open = matches!(
            subscription.state,
            SubscriptionState::Subscribed | SubscriptionState::Subscribing { .. }
        );
        if !is_open {
            return;
        }
        let id = self.id();
        self.note(channel, "unsubscribes".to_owned());
        self.subscriptions.get_mut(channel).unwrap().state =
            SubscriptionState::Unsubscribing { id };
        self.send(Command {
            id,
            unsubscribe: Some(UnsubscribeRequest {
                channel: channel.to_owned(),
            }),
            ..Command::default()
        });
    }

    pub(crate) fn publish(&mut self, channel: &str, data: String) {
        if !self.is_connected() {
            return;
        }
        let id = self.id();
        self.send(Command {
            id,
            publish: Some(PublishRequest {
                channel: channel.to_owned(),
                data: data.into(),
                ..PublishRequest::default()
            }),
            ..Command::default()
        });
    }

    pub(crate) fn refresh(&mut self) {
        if !self.is_connected() {
            return;
        }
        let id = self.id();
        let token = self.secrets.connection_token(self.number, &self.user());
        self.send(Command {
            id,
            refresh: Some(RefreshRequest { token }),
            ..Command::default()
        });
    }

    /// Its network breaks: what was sent to it and not read is lost.
    pub(crate) fn drop_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.note("", "its connection breaks".to_owned());
            connection.client.close();
            self.past.push(Arc::downgrade(&connection.client));
            for subscription in self.subscriptions.values_mut() {
                subscription.state = SubscriptionState::Idle;
            }
        }
    }

    // ---- What a client receives ----------------------------------------------------------------------------

    /// Reads what has come, and notices the end of the connection.
    pub(crate) fn read(&mut self) {
        if self.is_stalled {
            return;
        }
        while let Some(connection) = &self.connection {
            let frame = connection.inbox.frames.lock().unwrap().pop_front();
            let Some(frame) = frame else { break };
            let replies: Vec<_> = self.encoding.decode_replies(frame).collect();
            for reply in replies {
                self.take_in(reply.expect("the hub sends what it can read"));
            }
        }
        let ended = match &self.connection {
            Some(connection) => connection.inbox.ended.lock().unwrap().clone(),
            None => None,
        };
        if let Some(disconnect) = ended {
            self.note("", format!("is ended with {disconnect}"));
            // 3502: its server-side subscriptions took too long.
            let is_due = match disconnect.code() {
                3502 => !self.is_connected(),
                code => matches!(code, 3001 | 3005..=3012),
            };
            assert!(is_due, "{disconnect}: this client has done nothing wrong");
            self.drop_connection();
        }
    }

    fn take_in(&mut self, reply: Reply) {
        if reply == Reply::default() {
            return self.send(Command::default());
        }
        if let Some(push) = reply.push {
            return self.take_in_push(push);
        }
        if let Some(result) = reply.connect {
            let connection = self.connection.as_mut().expect("it is connected");
            self.ids.push((connection.node, result.client.clone()));
            connection.id = Some(result.client);
            self.note("", "is connected".to_owned());
            for (channel, result) in result.subs.into_map() {
                let subscription = self
                    .subscriptions
                    .entry(channel.clone())
                    .or_insert_with(|| Subscription::new(false));
                subscription.is_by_server = true;
                subscription.is_wanted = true;
                let truth = match &subscription.state {
                    SubscriptionState::Subscribing { truth, .. } => Some(truth.clone()),
                    _ => None,
                };
                self.begin(&channel, result, truth);
            }
            return self.subscribe_wanted();
        }
        let connect_id = self
            .connection
            .as_ref()
            .map(|connection| connection.connect_id);
        if connect_id == Some(reply.id) {
            let error = reply.error.expect("a result or an error");
            assert!(error.temporary, "{error:?}");
            return self.drop_connection();
        }
        let Some(channel) = self.channel_of(reply.id) else {
            // Of a refresh, or a publication that the broker refused.
            if let Some(error) = reply.error {
                assert!(error.temporary, "{error:?}");
            }
            return;
        };
        let subscription = self.subscriptions.get_mut(&channel).expect("it is known");
        match (&mut subscription.state, reply.subscribe) {
            (SubscriptionState::Subscribing { id, truth, .. }, Some(result)) if *id == reply.id => {
                let truth = truth.clone();
                self.begin(&channel, result, Some(truth));
            }
            (SubscriptionState::Subscribing { id, .. }, None) if *id == reply.id => {
                let error = reply.error.expect("a result or an error");
                assert!(error.temporary, "{channel}: {error:?}");
                subscription.state = SubscriptionState::Idle;
            }
            (SubscriptionState::Subscribing { after, .. }, _) if *after == Some(reply.id) => {
                *after = None;
            }
            (SubscriptionState::Unsubscribing { id }, _) if *id == reply.id => {
                subscription.state = SubscriptionState::Idle;
            }
            _ => {}
        }
    }

    /// Returns the channel of the command with this id.
    fn channel_of(&self, reply_id: u32) -> Option<String> {
        let mut all = self.subscriptions.iter();
        let found = all.find(|(_, subscription)| match subscription.state {
            SubscriptionState::Subscribing { id, after, .. } => {
                id == reply_id || after == Some(reply_id)
            }
            SubscriptionState::Unsubscribing { id } => id == reply_id,
            _ => false,
        });
        found.map(|(channel, _)| channel.clone())
    }

    /// A subscription begins.
    fn begin(&mut self, channel: &str, result: SubscribeResult, truth: Option<Truth>) {
        let what = format!(
            "is subscribed: recovered {}, {} publications, {}@{}",
            result.recovered,
            result.publications.len(),
            result.offset,
            result.epoch
        );
        self.note(channel, what);
        let subscription = self.subscriptions.get_mut(channel).expect("it is known");
        subscription.state = SubscriptionState::Subscribed;
        subscription.others.clear();
        assert!(result.recoverable && result.positioned, "{channel} is both");
        assert_eq!(result.was_recovering, subscription.seen.is_some());
        if !result.recovered {
            assert!(result.publications.is_empty());
            let before = subscription.seen.replace(Seen {
                epoch: result.epoch,
                offset: result.offset,
            });
            let Some(before) = before else { return };
            if let Some(truth) = truth
                && self.secrets.is_fair
            {
                let now = self.backbone.truth(channel);
                let was_kept = |truth: &Truth| {
                    before.offset + 1 >= truth.first && before.offset <= truth.position.offset
                };
                let same = *truth.position.epoch.as_str() == before.epoch
                    && truth.position.epoch == now.position.epoch;
                assert!(
                    !(same && was_kept(&truth) && was_kept(&now)),
                    "{channel}: {before:?} could be recovered from {truth:?} and {now:?}"
                );
            }
            return;
        }
        let seen = subscription.seen.as_mut().expect("it has asked to recover");
        assert_eq!(
            result.offset, seen.offset,
            "it counts on from its own position"
        );
        assert!(seen.epoch.is_empty() || seen.epoch == result.epoch);
        seen.epoch = result.epoch;
        for publication in result.publications {
            self.take_in_publication(channel, publication);
        }
    }

    fn take_in_push(&mut self, push: Push) {
        let channel = push.channel;
        if let Some(disconnect) = push.disconnect {
            panic!("a push that ends the connection: {disconnect:?}");
        }
        let Some(subscription) = self.subscriptions.get_mut(&channel) else {
            panic!("a push to {channel}, which this client never had");
        };
        match subscription.state {
            SubscriptionState::Subscribed => {}
            SubscriptionState::Unsubscribing { .. }
            | SubscriptionState::Subscribing { after: Some(_), .. } => return,
            // A back end may end a subscription that is being decided.
            SubscriptionState::Subscribing { after: None, .. } if push.unsubscribe.is_some() => {}
            ref state => panic!("a push to {channel} while it is {state:?}"),
        }
        if let Some(publication) = push.r#pub {
            return self.take_in_publication(&channel, publication);
        }
        if let Some(unsubscribe) = push.unsubscribe {
            subscription.state = SubscriptionState::Idle;
            subscription.is_wanted = unsubscribe.code >= 2500;
            self.note(&channel, format!("is unsubscribed: {}", unsubscribe.code));
            return self.subscribe_wanted();
        }
        let (edge, info) = match (push.join, push.leave) {
            (Some(join), None) => (Edge::Joined, join.info.expect("who")),
            (None, Some(leave)) => (Edge::Left, leave.info.expect("who")),
            other => panic!("a push of nothing: {other:?}"),
        };
        let before = subscription.others.insert(info.client.clone(), edge);
        assert_ne!(
            before,
            Some(edge),
            "{} twice in a row {edge:?}",
            info.client
        );
    }

    fn take_in_publication(&mut self, channel: &str, publication: Publication) {
        let subscription = self.subscriptions.get_mut(channel).expect("it is known");
        let seen = subscription.seen.as_mut().expect("it has a position");
        if seen.epoch.is_empty() {
            seen.epoch = publication.epoch.clone();
        }
        assert!(publication.epoch.is_empty() || publication.epoch == seen.epoch);
        let truth = |offset| self.backbone.publication(channel, &seen.epoch, offset);
        let Some(real) = truth(publication.offset) else {
            panic!(
                "{channel} {}@{} was never published",
                publication.offset, seen.epoch
            );
        };
        assert_eq!(
            real.data, publication.data,
            "{channel} {}",
            publication.offset
        );
        let next = seen.offset + 1;
        assert!(
            publication.offset >= next,
            "{channel} {} again or too late",
            publication.offset
        );
        for offset in next..publication.offset {
            let skipped = truth(offset).map(|skipped| skipped.tags.clone());
            assert!(
                subscription.has_filter && skipped.is_some_and(|tags| !is_even(&tags)),
                "{channel} {offset} is missing before {}",
                publication.offset
            );
        }
        assert!(
            !subscription.has_filter || is_even(&real.tags),
            "not asked for"
        );
        seen.offset = publication.offset;
        self.note(channel, format!("gets {}", publication.offset));
    }

    fn send(&mut self, command: Command) {
        let mut frame = Vec::new();
        self.encoding.encode_command(&command, &mut frame).unwrap();
        if let Some(connection) = &self.connection {
            connection.client.handle_frame(frame.into());
        }
    }

    fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn note(&mut self, channel: &str, what: String) {
        self.trace.entry(channel.to_owned()).or_default().push(what);
    }
}

impl Subscription {
    fn new(has_filter: bool) -> Self {
        Self {
            is_wanted: true,
            is_by_server: false,
            state: SubscriptionState::Idle,
            seen: None,
            has_filter,
            others: BTreeMap::new(),
        }
    }

    pub(crate) fn has_filter(&self) -> bool {
        self.has_filter
    }

    fn recovery(&self) -> SubscribeRequest {
        self.seen
            .as_ref()
            .map_or_else(SubscribeRequest::default, |seen| SubscribeRequest {
                recover: true,
                epoch: seen.epoch.clone(),
                offset: seen.offset,
                ..SubscribeRequest::default()
            })
    }
}

/// The filter of those that have one.
fn even() -> FilterNode {
    FilterNode {
        key: "parity".to_owned(),
        cmp: "eq".to_owned(),
        val: "even".to_owned(),
        ..FilterNode::default()
    }
}

pub(crate) fn is_even(tags: &Tags) -> bool {
    tags.value("parity") == Some("even")
}
