//! Subscriptions of a client: what is allowed, and what it missed.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Client, Failure,
    connect::seconds_until,
    questions::answer_bytes,
    room::{AnswerRoom, RoomWait},
    state::{Connected, State},
    subscriptions::{Origin, Progress, RefreshBy, Subscription},
};
use crate::{
    ClientInfo, Disconnect, Epoch, ErrorCode, History, HistoryQuery, Limit, RareBytes,
    StreamPosition, UnixMillis,
    filter::HeldFilter,
    metrics::FrameKind,
    namespace::{
        DeltaType, Membership, RecoveryMode, ResolvedChannel, SlowReader, UnresolvedChannel,
    },
    node::{ClientView, SubscriptionGrant},
    shard::{Begun, Generation, NewSubscription, RecoveryRequest, Variant},
    token::SubscriptionOptions,
    wire::{Reply, SubscribeRequest, SubscribeResult},
};

/// A subscription that is allowed, with all that follows from the channel's options, the token and the request.
pub(crate) struct Plan {
    pub(crate) channel: Arc<str>,
    pub(crate) is_recoverable: bool,
    pub(crate) is_positioned: bool,
    /// Whether the channel is a map.
    pub(crate) is_map: bool,
    pub(crate) is_present: bool,
    /// Whether others are told of it.
    pub(crate) announces: bool,
    /// Whether the client is told of others.
    pub(crate) hears_others: bool,
    pub(crate) filter: Option<Arc<HeldFilter>>,
    /// Whether the channel's options and the request let it have differences.
    pub(crate) can_have_delta: bool,
    pub(crate) has_delta: bool,
    pub(crate) mode: RecoveryMode,
    /// Whether the newest publication is delivered although the client doesn't ask.
    pub(crate) auto_cache_recover: bool,
    pub(crate) slow_reader: SlowReader,
    pub(crate) history_meta_ttl: std::time::Duration,
    pub(crate) chan_info: RareBytes,
    pub(crate) data: Bytes,
    pub(crate) expire_at: Option<UnixMillis>,
    pub(crate) refresh: RefreshBy,
}

/// A subscription that is to begin.
pub(super) struct Opened {
    pub(super) plan: Plan,
    pub(super) generation: Generation,
    /// Where deliveries begin. `None`: with what has been kept.
    pub(super) position: Option<StreamPosition>,
    /// Room for what is recovered, until the client has been told.
    pub(super) room: Option<AnswerRoom>,
    pub(super) result: SubscribeResult,
}

/// What a client asks to be given.
pub(super) struct Request {
    recover: bool,
    since: StreamPosition,
    /// Whether an error is wanted where nothing can be recovered.
    fails_unrecovered: bool,
    /// Bytes. Most that may be recovered; 0: nothing.
    pub(super) bytes_max: usize,
    /// Room for what is recovered, until the client has been told.
    pub(super) room: Option<AnswerRoom>,
    /// Where deliveries begin, once the history was read.
    pub(super) position: Option<StreamPosition>,
}

/// A subscription for which publications are kept.
pub(super) struct Holding {
    pub(super) generation: Generation,
    /// What the node had been given of the channel before.
    known: Option<StreamPosition>,
}

/// Bit of the request's flags: answer error 112 instead of a subscription that isn't recovered.
const FLAG_ERROR_IF_UNRECOVERABLE: i64 = 2;

/// The name of the only delta compression there is.
const FOSSIL: &str = "fossil";

/// What the client itself asks to have.
struct Wishes<'a> {
    positioned: bool,
    recoverable: bool,
    join_leave: bool,
    filter: Option<&'a crate::wire::FilterNode>,
}

impl Request {
    pub(super) fn new(request: &SubscribeRequest, bytes_max: usize) -> Self {
        Self {
            bytes_max,
            room: None,
            recover: request.recover,
            since: StreamPosition {
                offset: request.offset,
                epoch: Epoch::new(&request.epoch),
            },
            fails_unrecovered: request.flag & FLAG_ERROR_IF_UNRECOVERABLE != 0,
            position: None,
        }
    }
}

impl Client {
    /// Carries out a subscribe command. The reply is sent here, since nothing may come between it and the deliveries.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        id: u32,
        request: SubscribeRequest,
    ) -> Result<(), Failure> {
        check(&request)?;
        if request.r#type != 0 {
            return self.subscribe_to_map(id, request).await;
        }
        let channel: Arc<str> = request.channel.as_str().into();
        let resolved = self.node.namespaces.resolve(&channel).map_err(unresolved)?;
        if resolved.options.subscription_type.is_map() {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let attempt = self.node.next_number();
        let view = self.reserve(&channel, attempt)?;
        let granted = self.grant(&view, &resolved, &request).await;
        let opened = match granted {
            Ok(grant) => self.open_granted(&channel, &request, grant).await,
            Err(failure) => Err(failure),
        };
        match opened {
            Ok(opened) => self.begin_deliveries(id, attempt, opened),
            Err(failure) => {
                self.give_up(&channel, attempt);
                Err(failure)
            }
        }
    }

    /// Tells the client that it is subscribed, and begins to deliver.
    pub(super) fn begin_deliveries(
        self: &Arc<Self>,
        id: u32,
        attempt: u64,
        opened: Opened,
    ) -> Result<(), Failure> {
        let Opened {
            plan,
            generation,
            position,
            room,
            mut result,
        } = opened;
        let channel = &plan.channel;
        let now = self.node.now();
        if let (Some(expire_at), RefreshBy::Client) = (plan.expire_at, plan.refresh) {
            result.expires = true;
            result.ttl = seconds_until(expire_at, now);
        }
        let mut state = self.state.lock();
        let Some(subscription) = pending(&mut state, channel, attempt) else {
            drop(state);
            // The server has unsubscribed the client meanwhile, or the client is gone.
            self.drop_held(channel, generation);
            return Err(ErrorCode::Internal.into());
        };
        subscription.set_progress(Progress::Active(generation));
        subscription.channel = Arc::clone(&plan.channel);
        subscription.expiry = plan.expire_at.into();
        subscription.refresh = plan.refresh;
        subscription.set_chan_info(plan.chan_info.clone());
        let reply = Reply {
            id,
            subscribe: Some(result),
            ..Reply::default()
        };
        let told = match &room {
            Some(room) => self.send_answer(FrameKind::Subscribe, &reply, room.bytes),
            None => self.send(FrameKind::Subscribe, &reply),
        };
        self.release(channel, generation, position);
        self.set_alarm(&mut state);
        self.appear(state.connected()?, &plan);
        drop(state);
        told.map_err(Failure::Disconnect)
    }

    async fn open_granted(
        self: &Arc<Self>,
        channel: &Arc<str>,
        request: &SubscribeRequest,
        grant: SubscriptionGrant,
    ) -> Result<Opened, Failure> {
        let user = Arc::clone(&self.state.lock().connected()?.info.user);
        let resolved = self.node.namespaces.resolve(channel).map_err(unresolved)?;
        let mut plan = self.plan_of_client(&user, channel, &resolved, grant, request)?;
        Self::agree_on_delta(&mut plan, &request.delta);
        let mut wanted = Request::new(request, self.node.settings.answer_bytes_max);
        let info = self.state.lock().connected()?.info_in(&plan.chan_info);
        let holding = self.hold(&mut plan, info).await?;
        match self.read(&mut plan, &mut wanted, &holding).await {
            Ok(result) => Ok(Opened {
                plan,
                generation: holding.generation,
                position: wanted.position,
                room: wanted.room,
                result,
            }),
            Err(failure) => {
                self.drop_held(channel, holding.generation);
                Err(failure)
            }
        }
    }

    /// Makes the plan of a subscription that a client asks for.
    pub(super) fn plan_of_client(
        &self,
        user: &str,
        channel: &Arc<str>,
        resolved: &ResolvedChannel<'_>,
        grant: SubscriptionGrant,
        request: &SubscribeRequest,
    ) -> Result<Plan, Failure> {
        let wishes = Wishes {
            positioned: request.positioned,
            recoverable: request.recoverable,
            join_leave: request.join_leave,
            filter: request.tf.as_ref(),
        };
        self.plan(user, channel, resolved, grant, Some(wishes))
    }

    /// Takes the place of a subscription, so that there is one for each channel.
    pub(super) fn reserve(&self, channel: &Arc<str>, attempt: u64) -> Result<ClientView, Failure> {
        let mut state = self.state.lock();
        let connected = state.connected()?;
        let subscriptions = &mut connected.subscriptions;
        if subscriptions.find(channel).is_some() {
            return Err(ErrorCode::AlreadySubscribed.into());
        }
        let reading = self.node.catch_ups.count(self.key);
        if subscriptions.len() + reading >= self.node.settings.channel_limit {
            return Err(ErrorCode::LimitExceeded.into());
        }
        subscriptions.insert(Subscription::new(
            Arc::clone(channel),
            Progress::Pending(attempt),
            Origin::Client,
        ));
        Ok(connected.view(&*self.transport))
    }

    /// Takes the place back, unless something else has it. Returns whether it was there.
    pub(super) fn give_up(&self, channel: &str, attempt: u64) -> bool {
        let mut state = self.state.lock();
        let is_pending = pending(&mut state, channel, attempt).is_some();
        if is_pending && let Ok(connected) = state.connected() {
            connected.subscriptions.remove(channel);
        }
        is_pending
    }

    /// Makes the plan of a subscription that a back end asks for.
    pub(super) fn plan_trusted(
        &self,
        user: &str,
        channel: &str,
        options: SubscriptionOptions,
        expire_at: Option<UnixMillis>,
    ) -> Result<Plan, Failure> {
        let resolved = self
            .node
            .namespaces
            .resolve_trusted(channel)
            .map_err(unresolved)?;
        let grant = SubscriptionGrant { options, expire_at };
        self.plan(user, &channel.into(), &resolved, grant, None)
    }

    fn plan(
        &self,
        user: &str,
        channel: &Arc<str>,
        resolved: &ResolvedChannel<'_>,
        grant: SubscriptionGrant,
        wishes: Option<Wishes<'_>>,
    ) -> Result<Plan, Failure> {
        let options = resolved.options;
        let now = self.node.now();
        if grant.expire_at.is_some_and(|expire_at| expire_at <= now) {
            return Err(ErrorCode::Expired.into());
        }
        let SubscriptionOptions {
            info,
            data,
            overrides,
        } = grant.options;
        let insecure = self.node.settings.insecure;
        let member = Membership::Subscriber;
        let may_follow = insecure || options.allows_history(user, member);
        let may_see_others = insecure || options.allows_presence(user, member);
        let wishes = wishes.unwrap_or(Wishes {
            positioned: false,
            recoverable: false,
            join_leave: false,
            filter: None,
        });
        let is_recoverable = options.can_recover()
            && (overrides.force_recovery.unwrap_or(options.force_recovery)
                || wishes.recoverable && (options.allow_recovery || may_follow));
        let is_positioned = options.has_history()
            && (overrides
                .force_positioning
                .unwrap_or(options.force_positioning)
                || wishes.positioned && (options.allow_positioning || may_follow));
        let announces = overrides.join_leave.unwrap_or(options.join_leave);
        let hears_others = announces
            && (overrides
                .force_push_join_leave
                .unwrap_or(options.force_push_join_leave)
                || wishes.join_leave && may_see_others);
        let filter = match wishes.filter {
            None => None,
            Some(_) if !options.allow_tags_filter && !insecure => {
                return Err(ErrorCode::BadRequest.into());
            }
            Some(node) => Some(self.hold_filter(channel, node)?),
        };
        Ok(Plan {
            channel: Arc::clone(channel),
            is_recoverable,
            is_positioned: is_positioned || is_recoverable,
            is_map: false,
            is_present: overrides.presence.unwrap_or(options.presence),
            announces,
            hears_others,
            can_have_delta: filter.is_none() && options.allows_delta(DeltaType::Fossil),
            has_delta: false,
            filter,
            mode: options.force_recovery_mode,
            auto_cache_recover: options.auto_cache_recover
                && options.force_recovery_mode == RecoveryMode::Cache,
            slow_reader: options.slow_reader,
            history_meta_ttl: resolved.history_meta_ttl,
            chan_info: info.unwrap_or_default().into(),
            data: data.unwrap_or_default(),
            expire_at: grant.expire_at,
            refresh: match options.refresh_by_server && self.node.handlers.sub_refresh.is_some() {
                true => RefreshBy::Server,
                false => RefreshBy::Client,
            },
        })
    }

    /// Gives the subscription the delta compression that the client asks for, if it may have it. It is positioned then: the next
    /// difference needs the publication before.
    pub(super) fn agree_on_delta(plan: &mut Plan, asked: &str) {
        plan.has_delta = plan.can_have_delta && asked == FOSSIL;
        plan.is_positioned |= plan.has_delta;
    }

    /// Begins to keep what is published, so that nothing is missing between the history and the deliveries. From then on
    /// the plan has the name that all subscriptions to the channel share.
    pub(super) async fn hold(
        self: &Arc<Self>,
        plan: &mut Plan,
        info: Arc<ClientInfo>,
    ) -> Result<Holding, Failure> {
        self.node.check_maps_of(&plan.channel)?;
        let subscription = NewSubscription {
            client: Arc::clone(self),
            variant: Variant {
                transport: (*self.transport).type_id(),
                encoding: self.transport.encoding(),
                is_unidirectional: self.transport.is_unidirectional(),
                has_join_leave: plan.hears_others,
                has_delta: plan.has_delta,
                is_map: plan.is_map,
                is_positioned: plan.is_positioned,
                filter: plan.filter.clone(),
                slow_reader: plan.slow_reader,
            },
            info,
            is_present: plan.is_present,
            announces: plan.announces,
        };
        let Begun {
            channel,
            generation,
            is_delivered,
            position: known,
        } = self
            .node
            .channels
            .begin(&plan.channel, self.key, subscription);
        plan.channel = channel;
        if !is_delivered {
            if let Err(error) = self.node.subscribe_at_broker(&plan.channel).await {
                self.drop_held(&plan.channel, generation);
                return Err(error.into());
            }
            self.node
                .channels
                .set_delivered(&plan.channel, self.key, generation);
        }
        Ok(Holding { generation, known })
    }

    /// Shows others that the client is subscribed. To be called with its state locked: its end comes later then.
    pub(super) fn appear(&self, connected: &mut Connected, plan: &Plan) {
        let info = connected.info_in(&plan.chan_info);
        if plan.is_present
            && let Some(presence) = &self.node.channel_presence
            && let Some(subscription) = connected.subscriptions.find_mut(&plan.channel)
        {
            subscription.set_presence(presence.enter(&plan.channel, &info));
        }
        self.node.enter_maps_of(&plan.channel, &info);
        if plan.announces {
            self.node.announce_join(&plan.channel, info);
        }
    }

    /// Removes a subscription that the client has not been told of.
    pub(super) fn drop_held(&self, channel: &Arc<str>, generation: Generation) {
        if let Some(removed) = self.node.channels.remove(channel, self.key, generation) {
            self.node.after_removal(channel, removed);
        }
    }

    /// Reads what the client needs to begin: what it has missed, or where the channel is.
    pub(super) async fn read(
        &self,
        plan: &mut Plan,
        request: &mut Request,
        holding: &Holding,
    ) -> Result<SubscribeResult, Failure> {
        let mut result = SubscribeResult {
            data: plan.data.clone(),
            recoverable: plan.is_recoverable,
            positioned: plan.is_positioned,
            delta: plan.has_delta,
            was_recovering: request.recover || plan.is_recoverable && plan.auto_cache_recover,
            ..SubscribeResult::default()
        };
        if !plan.is_positioned {
            return Ok(result);
        }
        let recovers = plan.is_recoverable && (request.recover || plan.auto_cache_recover);
        let publications_max = self.node.settings.recovery_max_publication_limit;
        let query = HistoryQuery {
            meta_ttl: plan.history_meta_ttl,
            bytes_max: Some(request.bytes_max),
            ..match (recovers && request.bytes_max > 0, plan.mode) {
                (false, _) => HistoryQuery::default(),
                (true, RecoveryMode::Stream) => HistoryQuery {
                    limit: Limit::AtMost(publications_max),
                    // Whether the epoch is the right one is judged here, not by the broker.
                    since: Some(StreamPosition {
                        offset: request.since.offset,
                        epoch: Epoch::default(),
                    }),
                    ..HistoryQuery::default()
                },
                (true, RecoveryMode::Cache) => HistoryQuery {
                    limit: Limit::AtMost(1),
                    reverse: true,
                    ..HistoryQuery::default()
                },
            }
        };
        let history = self.read_with_room(plan, request, holding, query).await?;
        result.epoch = history.position.epoch.as_str().to_owned();
        result.offset = history.position.offset;
        request.position = Some(history.position.clone());
        if !recovers {
            return Ok(result);
        }
        let since = request.since.clone();
        let recovery = RecoveryRequest {
            since: since.clone(),
            mode: plan.mode,
        }
        .answer(history, publications_max);
        self.node.count_recovery(&recovery);
        if !recovery.is_recovered && request.fails_unrecovered && plan.mode == RecoveryMode::Stream
        {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        result.recovered = recovery.is_recovered;
        if !recovery.is_recovered {
            request.room = None;
        } else {
            // The client counts on from the publications.
            result.offset = since.offset;
        }
        result.publications = self.recovered(plan, &recovery)?;
        Ok(result)
    }

    /// Reads the history, and makes room for what is recovered.
    async fn read_with_room(
        &self,
        plan: &Plan,
        request: &mut Request,
        holding: &Holding,
        query: HistoryQuery,
    ) -> Result<History, Failure> {
        let mut wait = RoomWait::default();
        loop {
            let known = holding.known.as_ref();
            let history = self.node.history_since(&plan.channel, query.clone(), known);
            let history = history.await?;
            if history.publications.is_empty() {
                return Ok(history);
            }
            // A difference is a string in JSON, in which characters are escaped.
            let factor = if plan.has_delta { 2 } else { 1 };
            match self.try_make_room(answer_bytes(&history) * factor) {
                Ok(room) => {
                    request.room = Some(room);
                    return Ok(history);
                }
                Err(no_room) => {
                    drop(history);
                    wait.pause(no_room, self).await?;
                }
            }
        }
    }
}

/// Refuses what this hub doesn't have: deltas of an unknown kind, and subscriptions that are neither streams nor maps.
fn check(request: &SubscribeRequest) -> Result<(), Failure> {
    if request.channel.is_empty() || !matches!(&*request.delta, "" | FOSSIL) {
        return Err(Disconnect::BAD_REQUEST.into());
    }
    match request.r#type {
        0..=3 => Ok(()),
        _ => Err(ErrorCode::PermissionDenied.into()),
    }
}

/// Returns the subscription that is being decided, if it is still the one of `attempt`.
pub(super) fn pending<'a>(
    state: &'a mut State,
    channel: &str,
    attempt: u64,
) -> Option<&'a mut Subscription> {
    state
        .connected()
        .ok()?
        .subscriptions
        .find_mut(channel)
        .filter(|subscription| subscription.progress() == Progress::Pending(attempt))
}

/// Returns what a client is told whose channel can't be resolved.
pub(super) fn unresolved(error: UnresolvedChannel) -> Failure {
    match error {
        UnresolvedChannel::Empty => Disconnect::BAD_REQUEST.into(),
        UnresolvedChannel::UnknownNamespace => ErrorCode::UnknownChannel.into(),
        _ => ErrorCode::BadRequest.into(),
    }
}
