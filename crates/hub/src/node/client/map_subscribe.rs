//! Subscriptions to maps: the entries in pages, then the changes since, then what comes.
//!
//! ```text
//!              page, cursor          page, cursor ...        behind by more than a page
//!   state ─────────────────> state ─────────────────> state ───────────────────────────> stream ──> stream ...
//!     │ last page                                       │ last page                         │ near the top
//!     v                                                 v                                   v
//!   live <──────────────────────────────────────────── live <───────────────────────────── live
//! ```
//!
//! A client that comes back begins with the stream, at the position that it has. All pages of entries stand for the position
//! of the first one: an entry that was changed later is left out, since the stream has the change. Where there is no stream,
//! what comes is kept from the first page on.

use std::sync::Arc;

use super::{
    Client, Failure,
    filters::wanted,
    subscribe::{Opened, Plan, unresolved},
};
use crate::{
    ClientInfo, Disconnect, Epoch, ErrorCode, HistoryQuery, Limit, MapStateQuery, Publication,
    StreamPosition,
    metrics::{FrameKind, RecoveryOutcome},
    namespace::{MapOptions, ResolvedChannel},
    node::catch_ups::CatchUp,
    shard::Generation,
    wire::{self, Reply, SubscribeRequest, SubscribeResult},
};

/// What a client reads next, as the protocol numbers it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    Stream,
    State,
}

/// What came of a request.
enum Step {
    /// A part was read, and the client goes on.
    Page(SubscribeResult, CatchUp),
    /// The client is to be subscribed.
    Live(Opened),
}

/// What the answer has beside the changes.
struct Entries {
    /// The entries of the last page.
    publications: Vec<Arc<Publication>>,
    /// Whether the client has the entries of some position already.
    is_recovery: bool,
}

impl Phase {
    fn of(request: &SubscribeRequest) -> Result<Self, Failure> {
        match request.phase {
            0 => Ok(Self::Live),
            1 => Ok(Self::Stream),
            2 => Ok(Self::State),
            _ => Err(ErrorCode::BadRequest.into()),
        }
    }

    fn number(self) -> i32 {
        self as i32
    }
}

impl Client {
    /// Carries out a command to subscribe to a map: reads a part of it, or begins to deliver.
    pub(super) async fn subscribe_to_map(
        self: &Arc<Self>,
        id: u32,
        request: SubscribeRequest,
    ) -> Result<(), Failure> {
        let channel: Arc<str> = request.channel.as_str().into();
        let kept = self.node.catch_ups.take(self.key, &channel);
        let attempt = self.node.next_number();
        let view = match self.reserve(&channel, attempt) {
            Ok(view) => view,
            Err(failure) => {
                if let Some(kept) = kept {
                    self.node.drop_catch_up(self.key, &kept);
                }
                return Err(failure);
            }
        };
        match self.step_to_map(&view, &request, kept).await {
            Ok(Step::Live(opened)) => self.begin_deliveries(id, attempt, opened),
            Ok(Step::Page(result, catch_up)) => {
                if !self.give_up(&channel, attempt) {
                    self.node.drop_catch_up(self.key, &catch_up);
                    // The server has unsubscribed the client meanwhile, or the client is gone.
                    return Err(ErrorCode::Internal.into());
                }
                self.node.catch_ups.put(self.key, catch_up);
                if self.state.lock().connected().is_err() {
                    // The client has gone before it was put there.
                    self.drop_catch_ups();
                }
                let reply = Reply {
                    id,
                    subscribe: Some(result),
                    ..Reply::default()
                };
                self.send(FrameKind::Subscribe, &reply)
                    .map_err(Failure::Disconnect)
            }
            Err(failure) => {
                self.give_up(&channel, attempt);
                Err(failure)
            }
        }
    }

    /// Gives up all maps that the client is reading.
    pub(super) fn drop_catch_ups(&self) {
        for catch_up in self.node.catch_ups.take_all(self.key) {
            self.node.drop_catch_up(self.key, &catch_up);
        }
    }

    /// Gives up a map that the client is reading. Returns whether it was.
    pub(super) fn drop_catch_up(&self, channel: &str) -> bool {
        let taken = self.node.catch_ups.take(self.key, channel);
        if let Some(catch_up) = &taken {
            self.node.drop_catch_up(self.key, catch_up);
        }
        taken.is_some()
    }

    /// Takes one step of a subscription to a map. `kept` is what the steps before have left.
    async fn step_to_map(
        self: &Arc<Self>,
        view: &crate::node::ClientView,
        request: &SubscribeRequest,
        kept: Option<CatchUp>,
    ) -> Result<Step, Failure> {
        let channel: Arc<str> = request.channel.as_str().into();
        let resolved = self.node.namespaces.resolve(&channel).map_err(unresolved)?;
        let phase = Phase::of(request);
        let is_continued =
            !request.cursor.is_empty() || kept.is_some() && request.phase != Phase::State.number();
        let mut catch_up = match (is_continued, kept) {
            (true, None) => return Err(ErrorCode::PermissionDenied.into()),
            (true, Some(kept)) if kept.until <= self.node.elapsed() => {
                self.node.drop_catch_up(self.key, &kept);
                return Err(Disconnect::SLOW.into());
            }
            (true, Some(kept)) => kept,
            (false, kept) => {
                if let Some(kept) = kept {
                    self.node.drop_catch_up(self.key, &kept);
                }
                let plan = self.plan_of_map(view, &channel, &resolved, request).await?;
                self.catch_up_of(plan, &resolved.options.map, request, &phase)?
            }
        };
        let map = &resolved.options.map;
        let page = match phase {
            Ok(Phase::State) => self.read_state(map, request, &mut catch_up).await,
            Ok(Phase::Stream) => self.read_stream(map, request, &mut catch_up).await,
            Ok(Phase::Live) => Ok(None),
            Err(failure) => Err(failure),
        };
        let step = match page {
            Ok(Some(Page::More(result))) => return Ok(Step::Page(result, catch_up)),
            Ok(Some(Page::Last(publications))) => {
                let since = StreamPosition {
                    offset: catch_up.offset,
                    epoch: catch_up.epoch.clone(),
                };
                let entries = Entries {
                    publications,
                    is_recovery: false,
                };
                self.go_live(map, request, &mut catch_up, since, entries)
                    .await
            }
            Ok(None) => {
                let since = StreamPosition {
                    offset: request.offset,
                    epoch: Epoch::new(&request.epoch),
                };
                let entries = Entries {
                    publications: Vec::new(),
                    is_recovery: true,
                };
                self.go_live(map, request, &mut catch_up, since, entries)
                    .await
            }
            Err(failure) => Err(failure),
        };
        match step {
            Ok((generation, position, result)) => Ok(Step::Live(Opened {
                plan: catch_up.plan,
                generation,
                position,
                room: None,
                result,
            })),
            Err(failure) => {
                self.node.drop_catch_up(self.key, &catch_up);
                Err(failure)
            }
        }
    }

    /// Decides whether the client may subscribe, and to what.
    async fn plan_of_map(
        self: &Arc<Self>,
        view: &crate::node::ClientView,
        channel: &Arc<str>,
        resolved: &ResolvedChannel<'_>,
        request: &SubscribeRequest,
    ) -> Result<Plan, Failure> {
        if request.r#type != resolved.options.subscription_type.number() {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let grant = self.grant(view, resolved, request).await?;
        let mut plan = self.plan_of_client(&view.user, channel, resolved, grant, request)?;
        let map = &resolved.options.map;
        plan.is_map = true;
        plan.is_recoverable = map.has_stream();
        plan.is_positioned = map.has_stream();
        plan.history_meta_ttl = map.meta_ttl();
        Ok(plan)
    }

    fn catch_up_of(
        &self,
        mut plan: Plan,
        map: &MapOptions,
        request: &SubscribeRequest,
        phase: &Result<Phase, Failure>,
    ) -> Result<CatchUp, Failure> {
        let is_stream = matches!(phase, Ok(Phase::Stream));
        if is_stream && !map.has_stream() {
            return Err(ErrorCode::BadRequest.into());
        }
        if is_stream && !request.recover {
            return Err(ErrorCode::PermissionDenied.into());
        }
        plan.has_delta = plan.can_have_delta && !request.delta.is_empty();
        Ok(CatchUp {
            until: self.node.elapsed() + map.subscribe_catch_up_timeout,
            epoch: match is_stream {
                true => Epoch::new(&request.epoch),
                false => Epoch::default(),
            },
            offset: 0,
            top: None,
            held: None,
            plan,
        })
    }

    /// Reads a page of entries.
    async fn read_state(
        self: &Arc<Self>,
        map: &MapOptions,
        request: &SubscribeRequest,
        catch_up: &mut CatchUp,
    ) -> Result<Option<Page>, Failure> {
        let is_first = request.cursor.is_empty();
        if !map.has_stream() && catch_up.held.is_none() {
            catch_up.held = Some(self.hold_plan(&mut catch_up.plan).await?);
        }
        let limit = map.page_size(request.limit);
        let query = MapStateQuery {
            after: (!is_first).then(|| request.cursor.clone()),
            limit,
            key: None,
        };
        let state = self.node.map_state(&catch_up.plan.channel, &query).await?;
        let has_revision = request.offset > 0 || !request.epoch.is_empty();
        if has_revision && request.epoch != state.position.epoch.as_str() {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        if is_first {
            catch_up.epoch = state.position.epoch.clone();
            catch_up.offset = state.position.offset;
        } else if catch_up.epoch != state.position.epoch {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        // What was changed since the first page comes with the stream.
        let mut entries = state.entries;
        if map.has_stream() {
            entries.retain(|entry| entry.offset <= catch_up.offset);
        }
        let is_near = catch_up.offset + limit as u64 >= state.position.offset;
        if state.next.is_none() && (is_near || !map.has_stream()) {
            return Ok(Some(Page::Last(entries)));
        }
        let result = SubscribeResult {
            r#type: RESULT_TYPE,
            phase: Phase::State.number(),
            cursor: state.next.map_or_else(String::new, |key| key.to_string()),
            epoch: state.position.epoch.as_str().to_owned(),
            offset: catch_up.offset,
            state: self.entries_for(&catch_up.plan, &entries, &state.position.epoch)?,
            ..SubscribeResult::default()
        };
        Ok(Some(Page::More(result)))
    }

    /// Reads a page of changes; `None` if so few are left that the client can be subscribed.
    async fn read_stream(
        self: &Arc<Self>,
        map: &MapOptions,
        request: &SubscribeRequest,
        catch_up: &mut CatchUp,
    ) -> Result<Option<Page>, Failure> {
        if !map.has_stream() {
            return Err(ErrorCode::BadRequest.into());
        }
        let epoch = Epoch::new(&request.epoch);
        if !epoch.is_empty() && !catch_up.epoch.is_empty() && epoch != catch_up.epoch {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        let channel = Arc::clone(&catch_up.plan.channel);
        let top = match catch_up.top {
            Some(top) => top,
            None => {
                let query = MapStateQuery::default();
                self.node.map_state(&channel, &query).await?.position.offset
            }
        };
        catch_up.top = Some(top);
        let limit = map.page_size(request.limit);
        if request.offset.saturating_add(limit as u64) >= top {
            return Ok(None);
        }
        let since = StreamPosition {
            offset: request.offset,
            epoch,
        };
        let (publications, position) = self.changes(&catch_up.plan, &since, limit).await?;
        if position.epoch != since.epoch && !since.epoch.is_empty() {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        let result = SubscribeResult {
            r#type: RESULT_TYPE,
            phase: Phase::Stream.number(),
            epoch: position.epoch.as_str().to_owned(),
            offset: publications.last().map_or(since.offset, |last| last.offset),
            publications: self.entries_for(&catch_up.plan, &publications, &position.epoch)?,
            ..SubscribeResult::default()
        };
        Ok(Some(Page::More(result)))
    }

    /// Returns changes behind a position, without a gap, and the position of the map.
    async fn changes(
        &self,
        plan: &Plan,
        since: &StreamPosition,
        limit: usize,
    ) -> Result<(Vec<Arc<Publication>>, StreamPosition), Failure> {
        let query = HistoryQuery {
            limit: Limit::AtMost(limit),
            // Whether the epoch is the right one is judged here, not by the broker.
            since: Some(StreamPosition {
                offset: since.offset,
                epoch: Epoch::default(),
            }),
            meta_ttl: plan.history_meta_ttl,
            ..HistoryQuery::default()
        };
        let history = self.node.broker.history(&plan.channel, query).await?;
        let top = history.position.offset;
        let is_whole = match history.publications.first() {
            Some(first) => first.offset == since.offset + 1,
            None => since.offset == top,
        };
        match is_whole {
            true => Ok((history.publications, history.position)),
            false => Err(ErrorCode::UnrecoverablePosition.into()),
        }
    }

    /// Subscribes the client, and reads the changes that it needs before what comes.
    async fn go_live(
        self: &Arc<Self>,
        map: &MapOptions,
        request: &SubscribeRequest,
        catch_up: &mut CatchUp,
        since: StreamPosition,
        entries: Entries,
    ) -> Result<(Generation, Option<StreamPosition>, SubscribeResult), Failure> {
        let plan = &mut catch_up.plan;
        let generation = match catch_up.held {
            Some(generation) => generation,
            None => {
                plan.has_delta = plan.can_have_delta && !request.delta.is_empty();
                self.hold_plan(plan).await?
            }
        };
        catch_up.held = Some(generation);
        let plan = &catch_up.plan;
        let mut result = SubscribeResult {
            r#type: RESULT_TYPE,
            epoch: since.epoch.as_str().to_owned(),
            delta: plan.has_delta,
            recoverable: plan.is_recoverable,
            state: self.entries_for(plan, &entries.publications, &since.epoch)?,
            data: plan.data.clone(),
            ..SubscribeResult::default()
        };
        if !map.has_stream() {
            return Ok((generation, None, result));
        }
        if entries.is_recovery {
            // Removes what has expired, and after a restart who was subscribed: these are changes, too.
            self.node
                .map_state(&plan.channel, &MapStateQuery::default())
                .await?;
        }
        let most = map.live_transition_max();
        let changes = self.changes(plan, &since, most.saturating_add(1)).await;
        let (publications, position) = match changes {
            Ok((publications, position))
                if publications.len() <= most && position.epoch == since.epoch =>
            {
                (publications, position)
            }
            Ok(_) => {
                if entries.is_recovery {
                    let outcome = RecoveryOutcome {
                        is_recovered: false,
                        has_publications: false,
                    };
                    self.node.recorder.recovery(outcome);
                }
                return Err(ErrorCode::UnrecoverablePosition.into());
            }
            Err(failure) => return Err(failure),
        };
        if entries.is_recovery && request.recover {
            self.node.recorder.recovery(RecoveryOutcome {
                is_recovered: true,
                has_publications: !publications.is_empty(),
            });
        }
        result.epoch = position.epoch.as_str().to_owned();
        result.offset = position.offset;
        result.publications = self.changes_for(plan, &publications, &position.epoch)?;
        result.was_recovering = entries.is_recovery && request.recover;
        result.recovered = result.was_recovering;
        Ok((generation, Some(position), result))
    }

    async fn hold_plan(self: &Arc<Self>, plan: &mut Plan) -> Result<Generation, Failure> {
        let info: Arc<ClientInfo> = self.state.lock().connected()?.info_in(&plan.chan_info);
        Ok(self.hold(plan, info).await?.generation)
    }

    /// Returns entries as the client is to be given them: those that it asked for, each whole.
    fn entries_for(
        &self,
        plan: &Plan,
        publications: &[Arc<Publication>],
        epoch: &Epoch,
    ) -> Result<Vec<wire::Publication>, Failure> {
        let mut publications = wanted(plan, publications, epoch);
        if plan.has_delta {
            for publication in &mut publications {
                publication
                    .compress(self.transport.encoding(), None)
                    .map_err(|error| error.disconnect())?;
            }
        }
        Ok(publications)
    }

    /// Returns changes as the client is to be given them: those that it asked for, as differences if it wants them.
    fn changes_for(
        &self,
        plan: &Plan,
        publications: &[Arc<Publication>],
        epoch: &Epoch,
    ) -> Result<Vec<wire::Publication>, Failure> {
        let mut publications = wanted(plan, publications, epoch);
        if plan.has_delta {
            let encoding = self.transport.encoding();
            wire::Publication::compress_by_key(&mut publications, encoding)
                .map_err(|error| error.disconnect())?;
        }
        Ok(publications)
    }
}

/// A part of what a client reads.
enum Page {
    /// The client asks for the next one.
    More(SubscribeResult),
    /// The last entries. The client can be subscribed.
    Last(Vec<Arc<Publication>>),
}

/// What answers to subscriptions to maps say that they are, whatever the type of the map.
const RESULT_TYPE: i32 = 1;
