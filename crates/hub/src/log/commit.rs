//! Orders, and the batches in which they are written.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    Index, Log,
    change::Change,
    channel::Channel,
    contents::Contents,
    index::millis,
    log::Segment,
    record::{EpochText, KeyField, Location, Payload, Record, StreamState, content_bytes},
    settings::RECORD_BYTES_MAX,
};
use crate::{
    Publication, StreamPosition,
    broker::{BrokerError, PublishOptions, Published, Suppression, keys},
};

/// What the log is to do.
pub(crate) enum Order {
    /// Write a publication that is kept or has a key.
    Publish {
        channel: Arc<str>,
        publication: Publication,
        options: PublishOptions,
    },
    /// Drop the publications of a channel.
    Remove { channel: Arc<str> },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Published(Published),
    /// Of [`Order::Remove`].
    Done,
    Refused(BrokerError),
}

/// A channel as it will be when what is in the buffer has been written.
struct Draft {
    state: StreamState,
    /// That of its history, if it begins one.
    new_epoch: EpochText,
    /// Bytes of the publications from `state.first` to `state.top`, where they are counted.
    content_bytes: u64,
    /// Those of this batch, by their offsets.
    contents: HashMap<u64, u32>,
    /// Keys of this batch.
    keys: Vec<(Arc<str>, Option<StreamPosition>)>,
    is_named: bool,
}

/// The channels of a batch, by number.
#[derive(Default)]
struct Drafts {
    channels: HashMap<u32, Draft>,
    /// Bytes. The keys of the batch.
    key_bytes: usize,
}

/// Whether an order's outcome depends on the write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depends {
    Yes,
    No,
}

impl Log {
    /// Carries out orders, in their order. When it returns, what was accepted has been written, in mode `each` synced too.
    pub(crate) fn commit(&mut self, orders: &[Order], now: u64) -> Vec<Outcome> {
        self.newest = self.newest.max(now);
        let now = self.newest;
        let mut outcomes = Vec::with_capacity(orders.len());
        while outcomes.len() < orders.len() {
            if let Err(error) = self.ready(now).and_then(|()| self.make_room(now)) {
                self.health.fail(&error);
                outcomes.resize(orders.len(), Outcome::Refused(error));
                break;
            }
            let begin = outcomes.len();
            let mut depends = vec![];
            let mut drafts = Drafts::default();
            self.append_synced(now);
            let index = Arc::clone(&self.index);
            let mut locked = index.lock();
            while outcomes.len() < orders.len() && self.has_room() {
                let order = &orders[outcomes.len()];
                let (outcome, depend) = self.plan(order, &mut drafts, now, &mut locked);
                outcomes.push(outcome);
                depends.push(depend);
            }
            drop(locked);
            if let Err(error) = self.flush() {
                for (outcome, depends) in outcomes[begin..].iter_mut().zip(depends) {
                    if depends == Depends::Yes {
                        *outcome = Outcome::Refused(error.clone());
                    }
                }
            }
        }
        outcomes
    }

    /// Returns whether the batch takes another order.
    fn has_room(&self) -> bool {
        let end = self.current.as_ref().map_or(0, |current| current.end);
        self.buffer.is_empty()
            || (self.buffer.len() < BATCH_BYTES_MAX
                && end + (self.buffer.len() as u64) < self.limits.segment_bytes())
    }

    /// Says what is on the disk, if the last such record says less.
    fn append_synced(&mut self, now: u64) {
        let synced_to = |it: &Segment| Location {
            segment: it.id,
            position: it.synced as u32,
        };
        let Some(location) = self.current.as_ref().map(synced_to) else {
            return;
        };
        if location > self.synced_mark {
            self.append(&Record::Synced {
                time: now,
                location,
            });
            // Should it not be written, the next one comes after more was synced: it is evidence, and less of it is no fault.
            self.synced_mark = location;
        }
    }

    fn plan(
        &mut self,
        order: &Order,
        drafts: &mut Drafts,
        now: u64,
        index: &mut Index,
    ) -> (Outcome, Depends) {
        let (Order::Publish { channel, .. } | Order::Remove { channel }) = order;
        if matches!(order, Order::Remove { .. }) && index.number(channel).is_none() {
            return (Outcome::Done, Depends::No);
        }
        let number = match index.reserve(channel) {
            Ok(number) => number,
            Err(reached) => {
                let channels_max = reached.max;
                let error = BrokerError::TooManyChannels { channels_max };
                return (Outcome::Refused(error), Depends::No);
            }
        };
        let drafted = drafts.channels.contains_key(&number);
        let depends = if drafted { Depends::Yes } else { Depends::No };
        let draft = drafts.channels.entry(number).or_insert_with(|| {
            index.expire(number, now);
            let channel = index.channel(number);
            Draft {
                state: channel.state(),
                new_epoch: index.new_epoch(&channel.name),
                content_bytes: channel.contents().map_or(0, Contents::total),
                contents: HashMap::new(),
                keys: vec![],
                is_named: channel.named_in == self.era,
            }
        });
        match order {
            Order::Publish {
                publication,
                options,
                ..
            } => {
                let planned = plan_publish(draft, drafts.key_bytes, number, options, now, index);
                let plan = match planned {
                    Ok(plan) => plan,
                    Err(outcome) => return (outcome, depends),
                };
                let known = index.channel(number);
                self.append_publication(known, number, draft, publication, options, plan, now)
                    .map_or_else(
                        |error| (Outcome::Refused(error), depends),
                        |(published, key_bytes)| {
                            drafts.key_bytes += key_bytes;
                            (Outcome::Published(published), Depends::Yes)
                        },
                    )
            }
            Order::Remove { .. } => {
                if draft.state.epoch.is_none() || draft.state.first > draft.state.top {
                    return (Outcome::Done, depends);
                }
                draft.state.first = draft.state.top + 1;
                draft.content_bytes = 0;
                self.append_state(number, channel, draft, now);
                (Outcome::Done, Depends::Yes)
            }
        }
    }

    /// Begins a history.
    fn begin(&self, state: &mut StreamState, epoch: EpochText) {
        *state = StreamState {
            epoch,
            first: 1,
            meta_ttl: millis(self.limits.history_meta_ttl),
            ..StreamState::default()
        };
    }

    fn append_state(&mut self, number: u32, channel: &str, draft: &mut Draft, now: u64) {
        self.append_name(number, channel, draft);
        let state = draft.state.clone();
        self.append(&Record::Stream {
            number,
            time: now,
            state: state.clone(),
            keeps_records: false,
        });
        self.changes.push(Change::State {
            number,
            state,
            keeps_records: false,
            segment: self.current_id(),
        });
    }

    fn append_name(&mut self, number: u32, name: &str, draft: &mut Draft) {
        if !draft.is_named && self.append(&Record::Name { number, name }).is_some() {
            draft.is_named = true;
            self.changes.push(Change::Named { number });
        }
    }

    /// Appends a publication. Returns also the bytes of its key.
    #[expect(clippy::too_many_arguments, reason = "what is planned, and for what")]
    fn append_publication(
        &mut self,
        known: &Channel,
        number: u32,
        draft: &mut Draft,
        publication: &Publication,
        options: &PublishOptions,
        plan: PublishPlan,
        now: u64,
    ) -> Result<(Published, usize), BrokerError> {
        self.append_name(number, &known.name, draft);
        let PublishPlan { mut state, key } = plan;
        if let Some(state) = &mut state
            && state.epoch.is_none()
        {
            self.begin(state, draft.new_epoch);
            state.top = 1;
        }
        let payload = Payload::Publication(publication);
        let content = state.as_mut().map(|state| {
            set_options(state, options, now);
            draft.limit_bytes(state, options, &payload, known)
        });
        let field = key
            .as_ref()
            .map(|(key, until)| KeyField { key, until: *until });
        let record = match (&state, field) {
            (Some(state), key) => Record::Publication {
                number,
                time: now,
                state: state.clone(),
                key,
                payload,
            },
            (None, Some(key)) => Record::Key {
                number,
                time: now,
                key,
                position: None,
            },
            (None, None) => return Ok((not_kept(), 0)),
        };
        let Some(location) = self.append(&record) else {
            return Err(BrokerError::TooLarge {
                bytes_max: RECORD_BYTES_MAX as usize,
            });
        };
        let position = state.as_ref().map(|state| StreamPosition {
            offset: state.top,
            epoch: state.epoch.epoch(),
        });
        if let (Some(state), Some((content, content_bytes))) = (state, content) {
            draft.content_bytes = content_bytes;
            draft.contents.insert(state.top, content);
            draft.state = state.clone();
            self.changes.push(Change::Publication {
                number,
                state,
                location,
                content,
            });
        }
        let mut key_bytes = 0;
        if let Some((key, until)) = key {
            key_bytes = keys::cost_of_first(&key);
            draft.keys.push((key.clone(), position.clone()));
            self.changes.push(Change::Key {
                number,
                key,
                position: position.clone(),
                until,
                segment: location.segment,
            });
        }
        let published = Published {
            position,
            suppressed: None,
        };
        Ok((published, key_bytes))
    }
}

impl Draft {
    /// Drops the oldest publications beyond the limit of bytes, for one on top of `state`. It stays, however large it is.
    /// Returns its bytes, and those of all that are kept; zeros where there is no limit.
    fn limit_bytes(
        &self,
        state: &mut StreamState,
        options: &PublishOptions,
        payload: &Payload<'_>,
        known: &Channel,
    ) -> (u32, u64) {
        let bytes_max = options.history_bytes_max as u64;
        state.counts_bytes = bytes_max > 0;
        if !state.counts_bytes {
            return (0, 0);
        }
        let content = content_bytes(payload);
        let content_at = |offset: u64| {
            let of_batch = self.contents.get(&offset).copied();
            let known = || known.contents().map_or(0, |it| it.get(offset));
            u64::from(of_batch.unwrap_or_else(known))
        };
        let mut kept = self.content_bytes;
        // What the limit of publications has dropped.
        for offset in self.state.first..state.first.min(state.top) {
            kept = kept.saturating_sub(content_at(offset));
        }
        kept += u64::from(content);
        while kept > bytes_max && state.first < state.top {
            kept = kept.saturating_sub(content_at(state.first));
            state.first += 1;
        }
        (content, kept)
    }
}

/// What a publication does to its channel.
struct PublishPlan {
    /// With the offset of the publication on top, but not yet with what the options say. `None`: it is not for the history.
    state: Option<StreamState>,
    key: Option<(Arc<str>, u64)>,
}

/// Plans a publication, or returns the answer if it is suppressed or refused.
fn plan_publish(
    draft: &Draft,
    key_bytes: usize,
    number: u32,
    options: &PublishOptions,
    now: u64,
    index: &Index,
) -> Result<PublishPlan, Outcome> {
    if let Some(suppressed) = suppress(draft, number, options, now, index) {
        return Err(Outcome::Published(suppressed));
    }
    let key = options.idempotency_key.clone();
    let key = key.filter(|_| !options.idempotency_ttl.is_zero());
    if let Some(key) = &key {
        // A channel with keys forgets one of its own if need be.
        let has_keys = index.channel(number).keys().is_some();
        let room = index.has_room_for_key(key_bytes + keys::cost_of_first(key));
        if let (false, Err(reached)) = (has_keys, room) {
            let idempotency_bytes_max = reached.max;
            return Err(Outcome::Refused(BrokerError::TooManyIdempotencyKeys {
                idempotency_bytes_max,
            }));
        }
    }
    let state = options.keeps_history().then(|| {
        let mut state = draft.state.clone();
        state.top += u64::from(!state.epoch.is_none());
        state
    });
    let until = now.saturating_add(millis(options.idempotency_ttl));
    Ok(PublishPlan {
        state,
        key: key.map(|key| (key, until)),
    })
}

/// Returns the answer to a publication that the channel needn't have, if it is one.
fn suppress(
    draft: &Draft,
    number: u32,
    options: &PublishOptions,
    now: u64,
    index: &Index,
) -> Option<Published> {
    if let Some(key) = &options.idempotency_key {
        let planned = draft.keys.iter().rev().find(|(planned, _)| planned == key);
        let seen = || {
            index
                .channel(number)
                .keys()?
                .seen(key, Duration::from_millis(now))
        };
        if let Some(position) = planned.map(|(_, position)| position).or_else(seen) {
            return Some(Published {
                position: position.clone(),
                suppressed: Some(Suppression::Idempotency),
            });
        }
    }
    let state = &draft.state;
    let is_same = options.version_epoch.is_empty() || options.version_epoch == state.version_epoch;
    let is_late = is_same && (1..=state.version).contains(&options.version);
    if options.keeps_history() && !state.epoch.is_none() && is_late {
        return Some(Published {
            position: Some(StreamPosition {
                offset: state.top,
                epoch: state.epoch.epoch(),
            }),
            suppressed: Some(Suppression::Version),
        });
    }
    None
}

/// Sets what the options of a publication say of its history.
fn set_options(state: &mut StreamState, options: &PublishOptions, now: u64) {
    remember(state, options.history_meta_ttl, now);
    let size = options.history_size as u64;
    state.first = state.first.max((state.top + 1).saturating_sub(size));
    state.expires_at = now.saturating_add(millis(options.history_ttl));
    if options.version > 0 {
        state.version = options.version;
        state.version_epoch = options.version_epoch.clone();
    }
}

/// Remembers a position for `meta_ttl` from now on; if that is 0, for as long as the last time.
fn remember(state: &mut StreamState, meta_ttl: Duration, now: u64) {
    if !meta_ttl.is_zero() {
        state.meta_ttl = millis(meta_ttl);
    }
    state.forgotten_at = now.saturating_add(state.meta_ttl);
}

/// Returns the answer to a publication that nobody wants to be kept or recognised.
fn not_kept() -> Published {
    Published {
        position: None,
        suppressed: None,
    }
}

/// Bytes. A batch that has so many is written before more is planned.
const BATCH_BYTES_MAX: usize = 4 << 20;
