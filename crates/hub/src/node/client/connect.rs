//! The connect command: who the client is, and what it is subscribed to from the start.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{
    Client, ConnectionInfo, Failure,
    ping::Ping,
    state::{Connected, Phase, State},
    subscribe::{Plan, Request},
    subscriptions::{Origin, Progress, Subscription},
};
use crate::{
    ClientInfo, Disconnect, ErrorCode, RareBytes, UnixMillis,
    metrics::FrameKind,
    namespace::UnresolvedChannel,
    node::{ClientHeaders, ConnectEvent, Credentials, OtherConnections},
    shard::Generation,
    token::SubscriptionOptions,
    wire::{
        ConnectPush, ConnectRequest, ConnectResult, Push, Reply, SubscribeRequest, SubscribeResult,
    },
};

/// A server-side subscription that the client will be told of.
struct Held {
    plan: Plan,
    request: Request,
    generation: Generation,
    origin: Origin,
}

/// A channel that the server subscribes a client to.
struct ServerSide {
    channel: String,
    options: SubscriptionOptions,
    origin: Origin,
}

/// Who a client is.
struct Admission {
    credentials: Credentials,
    /// Whether the connect command may name further channels: not if the application has decided.
    may_ask: bool,
}

impl Held {
    fn subscription(&self) -> Subscription {
        let progress = Progress::Active(self.generation);
        let channel = Arc::clone(&self.plan.channel);
        let mut subscription = Subscription::new(channel, progress, self.origin);
        subscription.refresh = self.plan.refresh;
        subscription.set_chan_info(self.plan.chan_info.clone());
        subscription
    }
}

impl Client {
    /// Connects a client that sends no commands, and tells it by a connect push.
    pub async fn connect_unidirectional(self: &Arc<Self>, request: ConnectRequest) {
        match self.connect(0, request).await {
            Ok(()) | Err(Failure::Closed) => {}
            Err(Failure::Disconnect(disconnect)) => self.disconnect(disconnect),
            // There is no reply that could carry the error.
            Err(Failure::Error(error)) => self.disconnect(match error.code {
                code if code == ErrorCode::TokenExpired.code() => Disconnect::EXPIRED,
                code if code == ErrorCode::PermissionDenied.code() => Disconnect::PERMISSION_DENIED,
                _ if error.temporary => Disconnect::SERVER_ERROR,
                _ => Disconnect::BAD_REQUEST,
            }),
        }
    }

    pub(super) async fn connect(
        self: &Arc<Self>,
        id: u32,
        request: ConnectRequest,
    ) -> Result<(), Failure> {
        let info = {
            let mut state = self.state.lock();
            let Phase::Opened { until, .. } = state.phase else {
                return Err(match state.phase {
                    Phase::Closed => Failure::Closed,
                    _ => Disconnect::BAD_REQUEST.into(),
                });
            };
            match std::mem::replace(&mut state.phase, Phase::Connecting { until }) {
                Phase::Opened { info, .. } => *info,
                _ => ConnectionInfo::default(),
            }
        };
        let registered = &self.node.settings.registered_client_names;
        self.name.set(registered, &request.name);
        let ConnectionInfo {
            headers,
            credentials,
        } = info;
        let emulated = request.headers.to_map().into_iter();
        let headers = ClientHeaders {
            request: headers,
            emulated: emulated
                .map(|(name, value)| (name.to_lowercase(), value.clone()))
                .collect(),
        };
        let kept = headers.kept(&self.node.settings.kept_headers);
        let connected = match self.admit(&request, headers, credentials).await {
            Ok(admission) => self.welcome(id, request, admission, kept).await,
            Err(failure) => Err(failure),
        };
        if let Err(Failure::Error(_)) = &connected {
            let mut state = self.state.lock();
            if let Phase::Connecting { until } = state.phase {
                state.phase = Phase::Refused { until };
            }
        }
        connected
    }

    /// Finds out who the client is. A token that it brings is checked in any case.
    async fn admit(
        &self,
        request: &ConnectRequest,
        headers: ClientHeaders,
        known: Option<Credentials>,
    ) -> Result<Admission, Failure> {
        let settings = &self.node.settings;
        if !request.token.is_empty() {
            let claims = self.node.connection_claims(&request.token).await?;
            if claims.user.is_empty() && settings.disallow_anonymous_connection_tokens {
                self.node.log_anonymous_token();
                return Err(Disconnect::PERMISSION_DENIED.into());
            }
            return Ok(Admission {
                credentials: Credentials {
                    user: claims.user,
                    info: claims.info.unwrap_or_default(),
                    meta: claims.meta.unwrap_or_default(),
                    data: Bytes::new(),
                    expire_at: claims.expire_at,
                    subscriptions: claims.subs,
                    others: OtherConnections::Stay,
                },
                may_ask: true,
            });
        }
        let decided = |credentials| Admission {
            credentials,
            may_ask: false,
        };
        if let Some(credentials) = known {
            return Ok(decided(credentials));
        }
        if let Some(handler) = &self.node.handlers.connect {
            let event = ConnectEvent {
                client: Arc::clone(&self.id),
                transport: self.transport.name(),
                encoding: self.transport.encoding(),
                data: request.data.clone(),
                name: request.name.clone(),
                version: request.version.clone(),
                channels: request
                    .subs
                    .to_map()
                    .into_keys()
                    .map(str::to_owned)
                    .collect(),
                headers: Arc::new(headers),
            };
            if let Some(credentials) = self.node.call(handler, event).await? {
                return Ok(decided(credentials));
            }
        }
        if settings.insecure || settings.allow_anonymous_connect_without_token {
            return Ok(Admission {
                credentials: Credentials::default(),
                may_ask: true,
            });
        }
        self.node.log_no_token();
        Err(Disconnect::BAD_REQUEST.into())
    }

    /// Opens the client's session with the hub, and tells it.
    async fn welcome(
        self: &Arc<Self>,
        id: u32,
        request: ConnectRequest,
        admission: Admission,
        headers: Option<Arc<ClientHeaders>>,
    ) -> Result<(), Failure> {
        let Admission {
            credentials:
                Credentials {
                    user,
                    info,
                    meta,
                    data,
                    expire_at,
                    subscriptions,
                    others,
                },
            may_ask,
        } = admission;
        let now = self.node.now();
        if expire_at.is_some_and(|expire_at| expire_at <= now) {
            return Err(ErrorCode::Expired.into());
        }
        let info = Arc::new(ClientInfo {
            user: match user.is_empty() {
                true => Arc::clone(&self.node.anonymous),
                false => user.into(),
            },
            client: Arc::clone(&self.id),
            conn_info: info.into(),
            chan_info: RareBytes::default(),
        });
        let connected = Connected::new(info, meta, headers, expire_at.into());
        let mut channels = self.server_side(&connected.info.user, subscriptions);
        let mut asked = request.subs.into_map();
        if may_ask {
            self.add_asked(&connected.info.user, asked.keys(), &mut channels)?;
        }
        if channels.len() > self.node.settings.channel_limit {
            return Err(Disconnect::CHANNEL_LIMIT.into());
        }
        let (held, results) = self.open_all(&connected, channels, &mut asked).await?;
        // A client that isn't told can't try to refresh, which is the server's task then.
        let told_expiry = expire_at.filter(|_| self.node.handlers.refresh.is_none());
        let ttl = told_expiry.map(|expire_at| seconds_until(expire_at, now));
        let needs_pings = self.transport.needs_pings();
        let interval = self.node.settings.ping_interval;
        let result = ConnectResult {
            client: self.id.to_string(),
            version: self.node.settings.version.clone(),
            expires: ttl.is_some(),
            ttl: ttl.unwrap_or(0),
            data,
            subs: results.into(),
            ping: if needs_pings { seconds(interval) } else { 0 },
            pong: needs_pings && !self.transport.is_unidirectional(),
            session: self.transport.session().unwrap_or_default().to_owned(),
            node: match self.transport.is_emulated() {
                true => self.node.id.clone(),
                false => String::new(),
            },
            time: match self.node.settings.connect_include_server_time {
                true => i64::try_from(now.0).unwrap_or(i64::MAX),
                false => 0,
            },
            ..ConnectResult::default()
        };
        self.begin_session(id, connected, others, held, result)
    }

    /// Makes the client known, tells it, and begins to deliver to it.
    fn begin_session(
        self: &Arc<Self>,
        id: u32,
        mut connected: Connected,
        others: OtherConnections,
        held: Vec<Held>,
        result: ConnectResult,
    ) -> Result<(), Failure> {
        let node = &self.node;
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Closed) {
            drop(state);
            self.abandon_held(&held);
            return Err(Failure::Closed);
        }
        let replaced = match self.register(&connected.info, others) {
            Ok(replaced) => replaced,
            Err(failure) => {
                drop(state);
                self.abandon_held(&held);
                return Err(failure);
            }
        };
        for held in &held {
            connected.subscriptions.insert(held.subscription());
        }
        node.recorder.connected(self.transport_label, &self.name);
        state.phase = Phase::Connected(connected);
        if self.transport.needs_pings() {
            let random = node.jitter();
            state.ping = Ping::start(node.elapsed(), node.settings.ping_interval, random);
        }
        let told = self.tell_connected(id, result, &held);
        self.set_alarm(&mut state);

        self.release_held(&mut state, held);
        drop(state);
        // After the lock is released, since each locks itself.
        for replaced in replaced {
            replaced.disconnect(Disconnect::CONNECTION_LIMIT);
        }
        told.map_err(Failure::Disconnect)
    }

    fn tell_connected(
        self: &Arc<Self>,
        id: u32,
        result: ConnectResult,
        held: &[Held],
    ) -> Result<(), Disconnect> {
        if self.transport.is_unidirectional() {
            return self.push_answer(Push::from(result));
        }
        let connect = Some(result);
        let reply = Reply {
            id,
            connect,
            ..Reply::default()
        };
        let rooms = held.iter().filter_map(|held| held.request.room.as_ref());
        match rooms.map(|room| room.bytes).sum() {
            0 => self.send(FrameKind::Connect, &reply),
            bytes => self.send_answer(FrameKind::Connect, &reply, bytes),
        }
    }

    /// Begins to deliver to server-side subscriptions.
    fn release_held(self: &Arc<Self>, state: &mut State, held: Vec<Held>) {
        for Held {
            plan,
            request,
            generation,
            ..
        } in held
        {
            let position = request.position;
            self.release(&plan.channel, generation, position);
            if let Ok(connected) = state.connected() {
                self.appear(connected, &plan);
            }
        }
    }

    /// Makes the client known under its user, and returns the clients that it replaces.
    fn register(
        self: &Arc<Self>,
        info: &Arc<ClientInfo>,
        others: OtherConnections,
    ) -> Result<Vec<Arc<Self>>, Failure> {
        let (clients, settings) = (&self.node.clients, &self.node.settings);
        let is_single = settings.single_connection || others == OtherConnections::End;
        if is_single && !info.user.is_empty() {
            return Ok(clients.insert_and_find_others(info, self));
        }
        match clients.insert(info, self, settings.user_connection_limit) {
            true => Ok(Vec::new()),
            false => Err(Disconnect::CONNECTION_LIMIT.into()),
        }
    }

    /// Returns the channels that the server subscribes the client to: those of its credentials, and its own.
    fn server_side(
        &self,
        user: &str,
        subscriptions: Vec<(String, SubscriptionOptions)>,
    ) -> Vec<ServerSide> {
        let named = subscriptions.into_iter();
        // An empty name names nothing.
        let named = named.filter(|(channel, _)| !channel.is_empty());
        let mut channels: Vec<ServerSide> = named
            .map(|(channel, options)| ServerSide {
                channel,
                options,
                origin: Origin::Token,
            })
            .collect();
        let personal = self.node.settings.personal_channel_namespace.as_deref();
        let personal =
            personal.and_then(|namespace| self.node.namespaces.personal_channel(namespace, user));
        if let Some(personal) = personal {
            add(&mut channels, personal);
        }
        channels
    }

    /// Adds the channels that the connect command names, if the client could subscribe to them itself. The others are
    /// left out without a word.
    fn add_asked<'a>(
        &self,
        user: &str,
        asked: impl Iterator<Item = &'a String>,
        channels: &mut Vec<ServerSide>,
    ) -> Result<(), Failure> {
        let limit = self.node.settings.channel_limit;
        for channel in asked {
            let resolved = match self.node.namespaces.resolve(channel) {
                Ok(resolved) => resolved,
                Err(UnresolvedChannel::UnknownNamespace) => {
                    return Err(Disconnect::BAD_REQUEST.into());
                }
                Err(_) => continue,
            };
            let is_decided_elsewhere =
                resolved.is_private || self.node.handlers.subscribe.is_some();
            let is_allowed = match resolved.users {
                Some(users) => users.contains(user),
                None => resolved.options.allows_subscribe(user),
            };
            if !is_decided_elsewhere && (is_allowed || self.node.settings.insecure) {
                add(channels, channel.clone());
            }
            // One too many is enough to know.
            if channels.len() > limit {
                break;
            }
        }
        Ok(())
    }

    /// Subscribes a client that isn't told yet to all channels, or to none. `asked` is what it asks for in them.
    async fn open_all(
        self: &Arc<Self>,
        connected: &Connected,
        channels: Vec<ServerSide>,
        asked: &mut BTreeMap<String, SubscribeRequest>,
    ) -> Result<(Vec<Held>, BTreeMap<String, SubscribeResult>), Failure> {
        let mut held = Vec::with_capacity(channels.len());
        let mut results = BTreeMap::new();
        // One reply has all that is recovered.
        let mut bytes_left = self.node.settings.answer_bytes_max;
        for server_side in channels {
            let channel = server_side.channel.clone();
            let request = asked.remove(&channel).unwrap_or_default();
            let delta = request.delta.clone();
            let request = Request::new(&request, bytes_left);
            match self.open(connected, server_side, request, &delta).await {
                Ok((subscription, result)) => {
                    let room = subscription.request.room.as_ref();
                    let recovered = room.map_or(0, |room| room.bytes);
                    bytes_left = bytes_left.saturating_sub(recovered);
                    held.push(subscription);
                    results.insert(channel, result);
                }
                Err(failure) => {
                    self.abandon_held(&held);
                    return Err(failure);
                }
            }
        }
        Ok((held, results))
    }

    /// Subscribes a client that isn't told yet.
    async fn open(
        self: &Arc<Self>,
        connected: &Connected,
        server_side: ServerSide,
        mut request: Request,
        delta: &str,
    ) -> Result<(Held, SubscribeResult), Failure> {
        let ServerSide {
            channel,
            options,
            origin,
        } = server_side;
        let mut plan = self.plan_trusted(&connected.info.user, &channel, options, None)?;
        Self::agree_on_delta(&mut plan, delta);
        let info = connected.info_in(&plan.chan_info);
        let holding = self.hold(&mut plan, info).await?;
        let generation = holding.generation;
        match self.read(&mut plan, &mut request, &holding).await {
            Ok(result) => Ok((
                Held {
                    plan,
                    request,
                    generation,
                    origin,
                },
                result,
            )),
            Err(failure) => {
                self.drop_held(&plan.channel, generation);
                Err(failure)
            }
        }
    }

    fn abandon_held(&self, held: &[Held]) {
        for held in held {
            self.drop_held(&held.plan.channel, held.generation);
        }
    }
}

/// Adds a channel, unless it is one of them.
fn add(channels: &mut Vec<ServerSide>, channel: String) {
    if channels.iter().all(|known| known.channel != channel) {
        channels.push(ServerSide {
            channel,
            options: SubscriptionOptions::default(),
            origin: Origin::Server,
        });
    }
}

impl From<ConnectResult> for Push {
    fn from(result: ConnectResult) -> Self {
        Self {
            connect: Some(ConnectPush {
                client: result.client,
                version: result.version,
                data: result.data,
                subs: result.subs,
                expires: result.expires,
                ttl: result.ttl,
                ping: result.ping,
                pong: result.pong,
                session: result.session,
                node: result.node,
                time: result.time,
            }),
            ..Self::default()
        }
    }
}

/// Whole seconds from `now` to `then`, as clients are told; at least one.
pub(super) fn seconds_until(then: UnixMillis, now: UnixMillis) -> u32 {
    seconds(then.since(now)).max(1)
}

fn seconds(duration: std::time::Duration) -> u32 {
    // A year, so that no client's timer overflows.
    const MAX: u64 = 365 * 24 * 3600;
    duration.as_secs().min(MAX) as u32
}
