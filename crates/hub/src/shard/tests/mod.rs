//! The shard with a caller that carries out its effects in memory.

mod rules;
mod simulation;

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    ClientKey, Effect, Form, Generation, Item, ListId, NewSubscription, Room, Shard, Variant,
};
use crate::{
    ClientInfo, Epoch, Publication, RareBytes, StreamPosition, namespace::SlowReader,
    wire::Encoding,
};

const CHANNEL: &str = "news";

/// A shard, and what its clients have received.
#[derive(Default)]
struct World {
    shard: Shard<u64>,
    /// Whether there is memory for what is kept.
    room: Room,
    lists: BTreeMap<ListId, BTreeSet<u64>>,
    received: BTreeMap<u64, Vec<Item>>,
    /// How much clients had received when they subscribed.
    received_before: BTreeMap<u64, usize>,
    /// Publications that were sent as differences.
    differences: usize,
    insufficient: Vec<(ClientKey, Generation)>,
    /// Sends to lists since the beginning.
    list_sends: usize,
}

impl World {
    fn begin(&mut self, client: u64, variant: Variant) -> Generation {
        let received = self.received.get(&client).map_or(0, Vec::len);
        self.received_before.insert(client, received);
        let subscription = NewSubscription {
            client,
            variant,
            info: info(client),
            is_present: true,
            announces: true,
        };
        let begun = self
            .shard
            .begin(&CHANNEL.into(), ClientKey(client), subscription);
        begun.generation
    }

    fn release(&mut self, client: u64, generation: Generation, position: Option<StreamPosition>) {
        let mut effects = Vec::new();
        self.shard.release(
            CHANNEL,
            ClientKey(client),
            generation,
            position,
            &mut effects,
        );
        self.carry_out(effects);
    }

    fn publish(&mut self, publication: &Arc<Publication>, position: Option<&StreamPosition>) {
        let mut effects = Vec::new();
        let room = self.room;
        self.shard
            .publish(CHANNEL, publication, position, || room, &mut effects);
        self.carry_out(effects);
    }

    fn announce(&mut self, item: &Item) {
        let mut effects = Vec::new();
        self.shard.announce(CHANNEL, item, &mut effects);
        self.carry_out(effects);
    }

    fn check(&mut self, top: &StreamPosition) {
        let mut effects = Vec::new();
        self.shard.check(CHANNEL, top, &mut effects);
        self.carry_out(effects);
    }

    fn remove(&mut self, client: u64, generation: Generation) -> bool {
        let mut effects = Vec::new();
        let removed = self
            .shard
            .remove(CHANNEL, ClientKey(client), generation, &mut effects);
        self.carry_out(effects);
        removed.is_some()
    }

    fn carry_out(&mut self, effects: Vec<Effect<u64>>) {
        for effect in effects {
            match effect {
                Effect::OpenList { list, .. } => {
                    assert!(self.lists.insert(list, BTreeSet::new()).is_none());
                }
                Effect::CloseList { list } => {
                    assert_eq!(self.lists.remove(&list), Some(BTreeSet::new()));
                }
                Effect::Join { list, client } => {
                    assert!(self.lists.get_mut(&list).unwrap().insert(client));
                }
                Effect::Leave { list, client } => {
                    assert!(self.lists.get_mut(&list).unwrap().remove(&client));
                }
                Effect::SendToList { list, item, .. } => {
                    self.list_sends += 1;
                    for client in self.lists[&list].clone() {
                        self.receive(client, item.clone());
                    }
                }
                Effect::SendTo { client, item, .. } => {
                    self.receive(client, item);
                }
                Effect::Insufficient {
                    key, generation, ..
                } => self.insufficient.push((key, generation)),
            }
        }
    }

    /// Takes in what a client is sent. A difference must be from the publication that it was sent last.
    fn receive(&mut self, client: u64, item: Item) {
        let received = self.received.entry(client).or_default();
        if let Item::Publication {
            form: Form::Fossil(Some(previous)),
            ..
        } = &item
        {
            let of_this_subscription = &received[self.received_before[&client]..];
            let last = of_this_subscription
                .iter()
                .rev()
                .find_map(|item| match item {
                    Item::Publication { publication, .. } => Some(publication),
                    _ => None,
                });
            assert_eq!(
                last,
                Some(previous),
                "client {client} can't apply the difference"
            );
            self.differences += 1;
        }
        received.push(item);
    }

    /// Returns the offsets of the publications that a client has received.
    fn offsets(&self, client: u64) -> Vec<u64> {
        let items = self.received.get(&client).into_iter().flatten();
        items
            .filter_map(|item| match item {
                Item::Publication { publication, .. } => Some(publication.offset),
                _ => None,
            })
            .collect()
    }
}

fn variant() -> Variant {
    Variant {
        transport: TypeId::of::<u64>(),
        encoding: Encoding::Json,
        is_unidirectional: false,
        has_delta: false,
        is_map: false,
        has_join_leave: false,
        is_positioned: true,
        filter: None,
        slow_reader: SlowReader::Disconnect,
    }
}

fn delta_variant() -> Variant {
    Variant {
        has_delta: true,
        ..variant()
    }
}

fn info(client: u64) -> Arc<ClientInfo> {
    Arc::new(ClientInfo {
        user: "".into(),
        client: client.to_string().into(),
        conn_info: RareBytes::default(),
        chan_info: RareBytes::default(),
    })
}

fn publication(offset: u64) -> Arc<Publication> {
    Arc::new(Publication {
        data: Bytes::from_static(b"{}"),
        offset,
        ..Publication::default()
    })
}

fn position(offset: u64, epoch: &str) -> StreamPosition {
    StreamPosition {
        offset,
        epoch: Epoch::new(epoch),
    }
}
