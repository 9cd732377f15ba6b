//! A node with clients whose transport is a list of frames.

use std::{
    any::Any,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use sockeye_hub::{
    Client, ConnectionInfo, Disconnect, ManualClock, Node, NodeBuilder, NodeSettings, Receivers,
    SendError, Transport, UnixMillis,
    namespace::{ChannelConfig, ChannelOptions, Namespace, Namespaces, RecoveryMode, SlowReader},
    token::{Verifier, VerifierConfig, sign_hs256},
    wire::Encoding,
};

pub(crate) const SECRET: &str = "a secret that only the tests know";
/// Seconds since 1970 when a test begins.
pub(crate) const START: u64 = 1_700_000_000;

/// Options with all rights, a history, and everything that can be seen.
pub(crate) fn open_options() -> ChannelOptions {
    ChannelOptions {
        history_size: 10,
        history_ttl: Duration::from_secs(300),
        force_recovery: true,
        presence: true,
        join_leave: true,
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_client: true,
        allow_publish_for_anonymous: true,
        allow_history_for_client: true,
        allow_history_for_anonymous: true,
        allow_presence_for_client: true,
        allow_presence_for_anonymous: true,
        allow_user_limited_channels: true,
        ..ChannelOptions::default()
    }
}

pub(crate) fn namespaces() -> Namespaces {
    namespaces_with(open_options())
}

/// Returns the namespaces with these options for names without one.
pub(crate) fn namespaces_with(without_namespace: ChannelOptions) -> Namespaces {
    let closed = ChannelOptions::default();
    let watched = ChannelOptions {
        force_push_join_leave: true,
        ..open_options()
    };
    let plain = ChannelOptions {
        allow_subscribe_for_client: true,
        allow_subscribe_for_anonymous: true,
        allow_publish_for_client: true,
        allow_publish_for_anonymous: true,
        ..ChannelOptions::default()
    };
    let tagged = ChannelOptions {
        allow_tags_filter: true,
        ..open_options()
    };
    let cached = ChannelOptions {
        force_recovery_mode: RecoveryMode::Cache,
        ..tagged.clone()
    };
    let asked = ChannelOptions {
        refresh_by_server: true,
        ..open_options()
    };
    let hidden = ChannelOptions {
        history_size: 10,
        history_ttl: Duration::from_secs(300),
        presence: true,
        ..ChannelOptions::default()
    };
    let ticker = |slow_reader| ChannelOptions {
        slow_reader,
        ..plain.clone()
    };
    let score = ChannelOptions {
        force_recovery_mode: RecoveryMode::Cache,
        auto_cache_recover: true,
        ..open_options()
    };
    let namespaces = [
        ("oldest", ticker(SlowReader::DropOldest)),
        ("latest", ticker(SlowReader::LatestOnly)),
        ("score", score),
        ("closed", closed),
        ("hidden", hidden),
        ("watched", watched),
        ("plain", plain),
        ("tagged", tagged),
        ("cached", cached),
        ("asked", asked),
    ];
    Namespaces::new(ChannelConfig {
        without_namespace,
        namespaces: namespaces
            .into_iter()
            .map(|(name, options)| Namespace {
                name: name.to_owned(),
                options,
            })
            .collect(),
        ..ChannelConfig::default()
    })
    .expect("a valid configuration")
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) clock: Arc<ManualClock>,
}

/// A clock that a node and its test share.
struct SharedClock(Arc<ManualClock>);

impl sockeye_hub::Clock for SharedClock {
    fn now(&self) -> UnixMillis {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(build: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Self {
        Self::begin(namespaces(), build)
    }

    pub(crate) fn in_namespaces(namespaces: Namespaces) -> Self {
        Self::begin(namespaces, |builder| builder)
    }

    pub(crate) fn begin(
        namespaces: Namespaces,
        build: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(START * 1000)));
        let mut settings = NodeSettings::default();
        settings.allow_anonymous_connect_without_token = true;
        let verifier = Verifier::new(VerifierConfig {
            hmac_secret_key: Some(SECRET.into()),
            ..VerifierConfig::default()
        })
        .expect("a valid key");
        let builder = Node::builder(namespaces)
            .settings(settings)
            .verifier(verifier)
            .clock(SharedClock(Arc::clone(&clock)));
        let node = build(builder).start();
        Self { node, clock }
    }

    /// Opens a connection that has said nothing yet.
    pub(crate) fn open(&self) -> Peer {
        self.open_with(Encoding::Json)
    }

    pub(crate) fn open_with(&self, encoding: Encoding) -> Peer {
        self.open_as(encoding, ConnectionInfo::default())
    }

    pub(crate) fn open_as(&self, encoding: Encoding, info: ConnectionInfo) -> Peer {
        let inbox = Arc::new(Inbox::default());
        let transport = ListTransport {
            encoding,
            inbox: Arc::clone(&inbox),
        };
        Peer {
            client: self.node.open(transport, info),
            inbox,
            encoding,
            next_id: 1,
        }
    }

    /// Opens a connection and connects it, as anonymous.
    pub(crate) fn connect(&self) -> Peer {
        let mut peer = self.open();
        let reply = peer.call("connect", json!({}));
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        peer
    }

    /// Opens a connection and connects it with a token of this user.
    pub(crate) fn connect_as(&self, user: &str) -> Peer {
        let mut peer = self.open();
        let token = token(&json!({ "sub": user }));
        let reply = peer.call("connect", json!({ "token": token }));
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        peer
    }

    /// Lets time pass, and the node do what is due.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        // The node's task looks at its clock once a second at least, by tokio's clock, which is paused and jumps.
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.rest().await;
    }

    /// Lets all tasks run that can.
    pub(crate) async fn rest(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn token(claims: &Value) -> String {
    sign_hs256(SECRET.as_bytes(), claims.to_string().as_bytes()).expect("a token")
}

/// What a client has received.
#[derive(Default)]
pub(crate) struct Inbox {
    frames: Mutex<Vec<Bytes>>,
    disconnected: Mutex<Option<Disconnect>>,
    /// Whether the client has stopped to read.
    pub(crate) is_full: std::sync::atomic::AtomicBool,
    /// Whether much waits for the client.
    pub(crate) is_crowded: std::sync::atomic::AtomicBool,
    /// Whether an answer has to wait until the client has read more.
    pub(crate) has_no_room: std::sync::atomic::AtomicBool,
}

struct ListTransport {
    encoding: Encoding,
    inbox: Arc<Inbox>,
}

impl Inbox {
    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        if self.disconnected.lock().unwrap().is_some() {
            return Err(SendError::Closed);
        }
        if self.is_full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(SendError::Full);
        }
        self.frames.lock().unwrap().push(frame);
        Ok(())
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        self.disconnected
            .lock()
            .unwrap()
            .get_or_insert_with(|| disconnect.clone());
    }
}

impl Transport for ListTransport {
    fn name(&self) -> &'static str {
        "list"
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn is_crowded(&self) -> bool {
        let is_crowded = &self.inbox.is_crowded;
        is_crowded.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn has_room(&self, _bytes: usize) -> bool {
        let has_no_room = &self.inbox.has_no_room;
        !has_no_room.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.inbox.send(frame)
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        self.inbox.disconnect(disconnect);
    }

    fn new_receivers(&self) -> Box<dyn Receivers> {
        Box::new(ListReceivers::default())
    }
}

#[derive(Default)]
struct ListReceivers(Mutex<Vec<Arc<Inbox>>>);

impl Receivers for ListReceivers {
    fn add(&self, transport: &dyn Transport) {
        self.0.lock().unwrap().push(inbox_of(transport));
    }

    fn remove(&self, transport: &dyn Transport) {
        let inbox = inbox_of(transport);
        self.0
            .lock()
            .unwrap()
            .retain(|other| !Arc::ptr_eq(other, &inbox));
    }

    fn send(&self, frame: &Bytes) {
        for inbox in &*self.0.lock().unwrap() {
            if inbox.send(frame.clone()) == Err(SendError::Full) {
                inbox.disconnect(&Disconnect::SLOW);
            }
        }
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        for inbox in &*self.0.lock().unwrap() {
            inbox.disconnect(disconnect);
        }
    }
}

fn inbox_of(transport: &dyn Transport) -> Arc<Inbox> {
    let transport: &dyn Any = transport;
    let transport: &ListTransport = transport.downcast_ref().expect("of this type");
    Arc::clone(&transport.inbox)
}

/// The other end of a connection.
pub(crate) struct Peer {
    pub(crate) client: Arc<Client>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) encoding: Encoding,
    next_id: u32,
}

impl Peer {
    /// Sends a command and returns its id.
    pub(crate) fn send(&mut self, kind: &str, request: Value) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_raw(&json!({ "id": id, kind: request }).to_string());
        id
    }

    pub(crate) fn send_raw(&self, frame: &str) {
        self.client
            .handle_frame(Bytes::copy_from_slice(frame.as_bytes()));
    }

    /// Sends a command and returns its reply, which must have come at once. What came before it is dropped.
    pub(crate) fn call(&mut self, kind: &str, request: Value) -> Value {
        let id = self.send(kind, request);
        let frames = self.take();
        let reply = frames.into_iter().find(|reply| reply["id"] == id);
        reply.unwrap_or_else(|| panic!("no reply to {kind}; disconnected: {:?}", self.code()))
    }

    /// Returns the code of the error by which a command fails.
    pub(crate) fn error(&mut self, kind: &str, request: Value) -> u64 {
        let reply = self.call(kind, request);
        reply["error"]["code"]
            .as_u64()
            .unwrap_or_else(|| panic!("no error: {reply}"))
    }

    pub(crate) fn subscribe(&mut self, channel: &str) -> Value {
        let reply = self.call("subscribe", json!({ "channel": channel }));
        assert!(reply["subscribe"].is_object(), "{reply}");
        reply["subscribe"].clone()
    }

    /// Returns what was received since the last look.
    pub(crate) fn take(&self) -> Vec<Value> {
        let frames = std::mem::take(&mut *self.inbox.frames.lock().unwrap());
        let frames = frames.into_iter().flat_map(|frame| {
            let text = String::from_utf8(frame.to_vec()).expect("JSON is UTF-8");
            let objects: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).expect("a frame holds JSON"))
                .collect();
            objects
        });
        frames.collect()
    }

    /// Returns the pushes received since the last look.
    pub(crate) fn pushes(&self) -> Vec<Value> {
        let frames = self.take().into_iter();
        frames
            .filter_map(|mut frame| frame.get_mut("push").map(Value::take))
            .collect()
    }

    /// Returns the data of the publications received since the last look.
    pub(crate) fn publications(&self) -> Vec<Value> {
        let pushes = self.pushes().into_iter();
        pushes
            .filter_map(|mut push| {
                push.get_mut("pub")
                    .map(|publication| publication["data"].take())
            })
            .collect()
    }

    /// Returns the code with which it was disconnected.
    pub(crate) fn code(&self) -> Option<u16> {
        let disconnected = self.inbox.disconnected.lock().unwrap();
        disconnected.as_ref().map(Disconnect::code)
    }

    pub(crate) fn frames(&self) -> Vec<Bytes> {
        std::mem::take(&mut *self.inbox.frames.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn time_passes_when_a_test_says_so() {
    let world = World::new();
    world.pass(Duration::from_secs(90)).await;
    assert_eq!(world.node.info().uptime, Duration::from_secs(90));
}
