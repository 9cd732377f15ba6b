//! One channel of a shard: its subscribers, and the lists that they are on.

use std::{collections::HashMap, sync::Arc};

use super::{
    ClientKey, Effect, Item, ListId, Room, Variant,
    held::{HeldPublications, cost},
    lag::Lag,
    member::{Alone, Held, Member, MemberState},
};
use crate::{Publication, StreamPosition};

pub(crate) struct Channel<A> {
    pub(crate) name: Arc<str>,
    pub(crate) members: HashMap<ClientKey, Member<A>>,
    lists: Vec<List>,
    /// The members that are on no list, which get each publication separately.
    unlisted: Vec<ClientKey>,
    /// What the lists have been given. `None` until a publication or a subscriber with a position comes.
    position: Option<StreamPosition>,
    lag: Lag,
    held: HeldPublications,
    /// The last publication that all members of lists with delta compression have been given. `None` also if the program
    /// had no memory left for it: the next one is sent whole then.
    last: Option<Arc<Publication>>,
    /// Whether the broker delivers the channel to this node.
    pub(crate) is_delivered: bool,
}

struct List {
    id: ListId,
    variant: Variant,
    len: usize,
}

/// Numbers for lists, used again.
#[derive(Default)]
pub(crate) struct ListIds {
    free: Vec<ListId>,
    next: u32,
}

impl ListIds {
    fn take(&mut self) -> ListId {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            ListId(self.next - 1)
        })
    }
}

impl<A: Clone> Channel<A> {
    pub(crate) fn new(name: &Arc<str>) -> Self {
        Self {
            name: Arc::clone(name),
            members: HashMap::new(),
            lists: Vec::new(),
            unlisted: Vec::new(),
            position: None,
            lag: Lag::default(),
            held: HeldPublications::default(),
            last: None,
            is_delivered: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What the lists have been given.
    pub(crate) fn position(&self) -> Option<&StreamPosition> {
        self.position.as_ref()
    }

    /// Returns the bytes of what is kept: for members whose history is being read, and for those with delta compression.
    pub(crate) fn kept_bytes(&self) -> usize {
        let last = self.last.as_ref();
        self.held.bytes() + last.map_or(0, |last| cost(last))
    }

    /// Begins to keep publications for a new member whose history is being read.
    pub(crate) fn hold(&mut self, variant: Variant) -> MemberState {
        let from = self.held.enter();
        MemberState::Held(Box::new(Held { variant, from }))
    }

    /// Adds a member that is on no list.
    pub(crate) fn insert(&mut self, key: ClientKey, member: Member<A>) {
        self.unlisted.push(key);
        self.members.insert(key, member);
    }

    /// Removes a member.
    pub(crate) fn remove(
        &mut self,
        key: ClientKey,
        ids: &mut ListIds,
        effects: &mut Vec<Effect<A>>,
    ) -> Option<Member<A>> {
        let member = self.members.remove(&key)?;
        match member.state {
            MemberState::Listed(list) => {
                self.leave(list, member.client.clone(), ids, effects);
            }
            _ => self.unlisted.retain(|unlisted| *unlisted != key),
        }
        if let MemberState::Held(_) = member.state {
            self.held.end();
        }
        Some(member)
    }

    /// Ends the wait of a held member that has been told `position`, or that doesn't follow one.
    pub(crate) fn release(
        &mut self,
        key: ClientKey,
        position: Option<StreamPosition>,
        ids: &mut ListIds,
        effects: &mut Vec<Effect<A>>,
    ) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        let MemberState::Held(held) = std::mem::replace(&mut member.state, MemberState::Lost)
        else {
            return;
        };
        let Held { variant, from } = *held;
        let came = self.held.leave(from);
        let Some(position) = position else {
            if variant.is_map && came.is_none() {
                // A map without one of its changes is another map.
                return self.lose(key, effects);
            }
            let client = member.client.clone();
            // It was promised nothing, and gets what there is.
            for (publication, position) in came.into_iter().flatten() {
                let item = Item::of(&publication, position.as_ref()).for_variant(&variant, None);
                send_to(&client, &self.name, &variant, &publication, item, effects);
            }
            return self.enlist(key, variant, ids, effects);
        };
        member.state = MemberState::Alone(Box::new(Alone {
            knows_epoch: !position.epoch.is_empty(),
            variant,
            position,
            lag: Lag::default(),
            last: None,
        }));
        let Some(came) = came else {
            return self.lose(key, effects);
        };
        for (publication, position) in &came {
            self.serve_alone(key, publication, position.as_ref(), effects);
        }
        self.join_if_there(key, ids, effects);
    }

    /// Hands a publication to all members. `room` is asked only if it is to be kept.
    pub(crate) fn publish(
        &mut self,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
        room: impl Fn() -> Room,
        ids: &mut ListIds,
        effects: &mut Vec<Effect<A>>,
    ) {
        match self.step(position) {
            Step::Next => self.send_to_lists(publication, position, &room, effects),
            Step::Known => {}
            Step::Gap => {
                self.last = None;
                self.lose_positioned(ids, effects);
                self.send_to_lists(publication, position, &room, effects);
            }
        }
        if self.held.is_kept() {
            self.held.keep(publication, position, room());
        }
        if self.unlisted.is_empty() {
            return;
        }
        for key in self.unlisted.clone() {
            self.serve_alone(key, publication, position, effects);
            self.join_if_there(key, ids, effects);
        }
    }

    /// Sends a join or a leave to those who asked for them.
    pub(crate) fn announce(&self, item: &Item, effects: &mut Vec<Effect<A>>) {
        for list in self.lists.iter().filter(|list| list.variant.has_join_leave) {
            effects.push(list.send(&self.name, item.clone()));
        }
        for key in &self.unlisted {
            let member = &self.members[key];
            if let MemberState::Alone(alone) = &member.state
                && alone.variant.has_join_leave
            {
                effects.push(Effect::SendTo {
                    client: member.client.clone(),
                    channel: Arc::clone(&self.name),
                    item: item.clone(),
                });
            }
        }
    }

    /// Compares the positions of the lists and of the members that are on none with the broker's. One that is behind may
    /// only be waiting for a publication that is on its way: see [`Lag`].
    pub(crate) fn check(
        &mut self,
        top: &StreamPosition,
        ids: &mut ListIds,
        effects: &mut Vec<Effect<A>>,
    ) {
        let own = self.position.as_ref();
        if own.is_some_and(|own| self.lag.judge(own, top)) {
            self.position = Some(top.clone());
            self.lose_positioned(ids, effects);
        }
        for key in self.unlisted.clone() {
            let Some(member) = self.members.get_mut(&key) else {
                continue;
            };
            let MemberState::Alone(alone) = &mut member.state else {
                continue;
            };
            match alone.lag.judge(&alone.position, top) {
                true => self.lose(key, effects),
                false => self.join_if_there(key, ids, effects),
            }
        }
    }

    /// Whether a member waits for publications that must not be missing.
    pub(crate) fn has_positioned(&self) -> bool {
        let is_alone = |key| {
            let member: Option<&Member<A>> = self.members.get(key);
            member.is_some_and(|member| matches!(member.state, MemberState::Alone(_)))
        };
        self.lists.iter().any(|list| list.variant.is_positioned)
            || self.unlisted.iter().any(is_alone)
    }

    /// Moves the channel's position. A position with an empty epoch takes that of the first publication, which nobody
    /// could know before.
    fn step(&mut self, position: Option<&StreamPosition>) -> Step {
        let Some(position) = position else {
            return Step::Next;
        };
        let step = match &self.position {
            Some(own) if !follows_epoch(own, position) => Step::Gap,
            Some(own) if position.offset <= own.offset => return Step::Known,
            Some(own) if position.offset > own.offset + 1 => Step::Gap,
            _ => Step::Next,
        };
        self.position = Some(position.clone());
        step
    }

    fn send_to_lists(
        &mut self,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
        room: impl Fn() -> Room,
        effects: &mut Vec<Effect<A>>,
    ) {
        for list in &self.lists {
            if list.variant.wants(publication) {
                let item = Item::of(publication, position);
                let of_entry = entry_before(publication);
                let previous = of_entry.as_ref().or(self.last.as_ref());
                let item = item.for_variant(&list.variant, previous);
                effects.push(list.send(&self.name, item));
            }
        }
        let is_change = publication.change.is_some();
        let keeps = !is_change && self.has_delta_list() && room() == Room::Enough;
        self.last = keeps.then(|| Arc::clone(publication));
    }

    fn has_delta_list(&self) -> bool {
        self.lists.iter().any(|list| list.variant.has_delta)
    }

    /// Gives a publication to a member that is on no list, if it is the next one.
    fn serve_alone(
        &mut self,
        key: ClientKey,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
        effects: &mut Vec<Effect<A>>,
    ) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        let MemberState::Alone(alone) = &mut member.state else {
            return;
        };
        if let Some(position) = position {
            if !follows_epoch(&alone.position, position)
                || position.offset > alone.position.offset + 1
            {
                return self.lose(key, effects);
            }
            if position.offset <= alone.position.offset {
                return;
            }
            alone.position = position.clone();
        }
        if alone.variant.has_delta && !alone.variant.is_map {
            alone.last = Some(Arc::clone(publication));
        }
        // The member has all entries as they were at its position.
        let previous = entry_before(publication);
        let item = Item::of(publication, position);
        let mut item = item.for_variant(&alone.variant, previous.as_ref());
        if !alone.knows_epoch
            && alone.variant.wants(publication)
            && let Some(position) = position
        {
            item = item.with_epoch(&position.epoch);
            alone.knows_epoch = true;
        }
        send_to(
            &member.client,
            &self.name,
            &alone.variant,
            publication,
            item,
            effects,
        );
    }

    /// Moves a member to its list when both are at the same place, it knows the epoch, and it has a publication to differ
    /// from.
    fn join_if_there(&mut self, key: ClientKey, ids: &mut ListIds, effects: &mut Vec<Effect<A>>) {
        let has_lists = !self.lists.is_empty();
        let Some(MemberState::Alone(alone)) = self.members.get(&key).map(|member| &member.state)
        else {
            return;
        };
        let needs_last = alone.variant.has_delta && !alone.variant.is_map;
        if !alone.knows_epoch || needs_last && alone.last.is_none() {
            return;
        }
        match &self.position {
            Some(own) if *own == alone.position => {}
            // Nobody on a list waits for what lies between.
            Some(own) if !has_lists && own.offset < alone.position.offset => {
                self.position = Some(alone.position.clone());
            }
            None => self.position = Some(alone.position.clone()),
            Some(_) if !has_lists && self.position_is_of_others(&alone.position) => {
                self.position = Some(alone.position.clone());
            }
            Some(_) => return,
        }
        let (variant, last) = (alone.variant.clone(), alone.last.clone());
        if needs_last {
            self.last = self.common_last(last);
        }
        self.enlist(key, variant, ids, effects);
    }

    /// Returns the last publication of the lists with delta compression, if it is also that of a member that joins them.
    fn common_last(&self, joining: Option<Arc<Publication>>) -> Option<Arc<Publication>> {
        if !self.has_delta_list() {
            return joining;
        }
        let last = self.last.as_ref()?;
        joining.filter(|joining| Arc::ptr_eq(joining, last))
    }

    /// Whether the channel's position belongs to another history than `position`.
    fn position_is_of_others(&self, position: &StreamPosition) -> bool {
        self.position
            .as_ref()
            .is_none_or(|own| own.epoch != position.epoch)
    }

    fn enlist(
        &mut self,
        key: ClientKey,
        variant: Variant,
        ids: &mut ListIds,
        effects: &mut Vec<Effect<A>>,
    ) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        let client = member.client.clone();
        let at = self.lists.iter().position(|list| list.variant == variant);
        let at = at.unwrap_or_else(|| {
            let id = ids.take();
            effects.push(Effect::OpenList {
                list: id,
                first: client.clone(),
                slow_reader: variant.slow_reader,
            });
            self.lists.push(List {
                id,
                variant,
                len: 0,
            });
            self.lists.len() - 1
        });
        let list = &mut self.lists[at];
        list.len += 1;
        member.state = MemberState::Listed(list.id);
        self.unlisted.retain(|unlisted| *unlisted != key);
        effects.push(Effect::Join {
            list: list.id,
            client,
        });
    }

    fn leave(&mut self, id: ListId, client: A, ids: &mut ListIds, effects: &mut Vec<Effect<A>>) {
        effects.push(Effect::Leave { list: id, client });
        let Some(at) = self.lists.iter().position(|list| list.id == id) else {
            return;
        };
        self.lists[at].len -= 1;
        if self.lists[at].len == 0 {
            self.lists.swap_remove(at);
            if !self.has_delta_list() {
                self.last = None;
            }
            ids.free.push(id);
            effects.push(Effect::CloseList { list: id });
        }
    }

    /// Marks a member that is on no list as one that has missed something.
    fn lose(&mut self, key: ClientKey, effects: &mut Vec<Effect<A>>) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        member.state = MemberState::Lost;
        effects.push(Effect::Insufficient {
            client: member.client.clone(),
            key,
            channel: Arc::clone(&self.name),
            generation: member.generation,
        });
    }

    /// Takes all members with a position from their lists: a publication is missing.
    fn lose_positioned(&mut self, ids: &mut ListIds, effects: &mut Vec<Effect<A>>) {
        let positioned: Vec<ListId> = self
            .lists
            .iter()
            .filter(|list| list.variant.is_positioned)
            .map(|list| list.id)
            .collect();
        if positioned.is_empty() {
            return;
        }
        let mut lost: Vec<(ClientKey, ListId)> = self
            .members
            .iter()
            .filter_map(|(key, member)| match member.state {
                MemberState::Listed(list) if positioned.contains(&list) => Some((*key, list)),
                _ => None,
            })
            .collect();
        // The order of a map is another one in each run.
        lost.sort_unstable();
        for (key, list) in lost {
            let client = self.members[&key].client.clone();
            self.leave(list, client, ids, effects);
            self.unlisted.push(key);
            self.lose(key, effects);
        }
    }
}

impl List {
    fn send<A>(&self, channel: &Arc<str>, item: Item) -> Effect<A> {
        Effect::SendToList {
            list: self.id,
            variant: self.variant.clone(),
            channel: Arc::clone(channel),
            item,
        }
    }
}

/// What a publication is to the lists of a channel.
enum Step {
    /// The next one, or one without a position.
    Next,
    /// They have been given it.
    Known,
    /// The next one is missing, or the history has begun anew.
    Gap,
}

/// Returns what set the entry before that a change of a map sets.
fn entry_before(publication: &Publication) -> Option<Arc<Publication>> {
    publication.change.as_ref()?.previous.upgrade()
}

/// Whether `next` belongs to the history of `own`, or begins the one that `own` waited for.
fn follows_epoch(own: &StreamPosition, next: &StreamPosition) -> bool {
    own.epoch == next.epoch || (own.is_unknown() && next.offset == 1)
}

fn send_to<A: Clone>(
    client: &A,
    channel: &Arc<str>,
    variant: &Variant,
    publication: &Publication,
    item: Item,
    effects: &mut Vec<Effect<A>>,
) {
    if variant.wants(publication) {
        effects.push(Effect::SendTo {
            client: client.clone(),
            channel: Arc::clone(channel),
            item,
        });
    }
}
