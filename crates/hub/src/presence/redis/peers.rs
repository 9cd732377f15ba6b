//! The other nodes, and the last change of each that this node has applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::notice::{self, Event, Notice};
use crate::{UnixMillis, presence::StoreEvent};

/// The other nodes, and the last change of each that this node has applied. Pure, like the registry.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The nodes whose changes are applied, by name.
    followed: BTreeMap<Arc<str>, Peer>,
    /// The nodes whose hash has to be read.
    unread: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct Peer {
    /// The number of the last change that was applied.
    number: u64,
    /// When the node was last alive.
    alive_at: UnixMillis,
}

/// Nodes. More than any real cluster has.
const NODES_MAX: usize = 1024;

impl Peers {
    /// Applies a message of the channel.
    pub(super) fn handle_notice(&mut self, now: UnixMillis, notice: Notice) -> Option<StoreEvent> {
        let node: Arc<str> = notice.node.into();
        let at = UnixMillis(notice.at);
        match notice.event {
            Event::Changed { number, clients } => {
                match self.followed.get_mut(&node) {
                    // Applied already, with the hash.
                    Some(peer) if number <= peer.number => return None,
                    Some(peer) if number == peer.number + 1 => {
                        *peer = Peer {
                            number,
                            alive_at: now,
                        };
                        let clients = notice::clients_from_wire(clients);
                        return Some(StoreEvent::NodeChanged { node, at, clients });
                    }
                    _ => self.read_again(node),
                }
                None
            }
            Event::Replaced => {
                self.read_again(node);
                None
            }
            Event::Left => {
                self.unread.remove(&node);
                self.followed.remove(&node)?;
                Some(StoreEvent::NodeGone { node, at })
            }
        }
    }

    /// Compares the number of a node's hash, read at a heartbeat, with the last one applied. `renewed_at` is when the node
    /// renewed its lease. `None` means that the hash has expired, so the node is dead.
    pub(super) fn handle_number(
        &mut self,
        renewed_at: UnixMillis,
        node: &Arc<str>,
        number: Option<u64>,
    ) -> Option<StoreEvent> {
        match (number, self.followed.get_mut(node)) {
            (Some(number), Some(peer)) if number == peer.number => peer.alive_at = renewed_at,
            // The message with the change is on its way, or lost.
            (Some(_), _) => self.read_again(Arc::clone(node)),
            (None, followed) => {
                let at = followed.map(|peer| peer.alive_at);
                self.followed.remove(node);
                let was_unread = self.unread.remove(node);
                if at.is_some() || was_unread {
                    return Some(StoreEvent::NodeGone {
                        node: Arc::clone(node),
                        at: at.unwrap_or(renewed_at),
                    });
                }
            }
        }
        None
    }

    /// Records that a node's hash was read, and that it has this number.
    pub(super) fn handle_read(&mut self, now: UnixMillis, node: &Arc<str>, number: u64) {
        self.unread.remove(node);
        let peer = Peer {
            number,
            alive_at: now,
        };
        self.followed.insert(Arc::clone(node), peer);
    }

    /// Returns the nodes whose hash has to be read.
    pub(super) fn unread(&self) -> Vec<Arc<str>> {
        self.unread.iter().cloned().collect()
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Returns all nodes, read or not.
    pub(super) fn known(&self) -> BTreeSet<Arc<str>> {
        let followed = self.followed.keys().cloned();
        followed.chain(self.unread.iter().cloned()).collect()
    }

    /// Forgets all nodes. Returns when any of them was last alive.
    pub(super) fn clear(&mut self) -> Option<UnixMillis> {
        let alive_at = self.followed.values().map(|peer| peer.alive_at).max();
        *self = Self::default();
        alive_at
    }

    /// Marks all nodes as unread, because messages were missed while this node was disconnected.
    pub(super) fn read_all_again(&mut self) {
        for node in self.known() {
            self.unread.insert(node);
        }
    }

    fn read_again(&mut self, node: Arc<str>) {
        if self.followed.len() + self.unread.len() < NODES_MAX || self.unread.contains(&node) {
            self.unread.insert(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(number: u64) -> Notice {
        Notice {
            node: "n".to_owned(),
            at: 9,
            event: Event::Changed {
                number,
                clients: vec![("ann".to_owned(), Vec::new())],
            },
        }
    }

    fn following(number: u64) -> (Peers, Arc<str>) {
        let mut peers = Peers::default();
        let node = Arc::from("n");
        peers.handle_read(UnixMillis(1), &node, number);
        (peers, node)
    }

    #[test]
    fn changes_are_taken_in_order_and_each_once() {
        let (mut peers, _) = following(4);
        assert!(peers.handle_notice(UnixMillis(2), changed(4)).is_none());
        assert!(peers.handle_notice(UnixMillis(2), changed(5)).is_some());
        assert!(peers.handle_notice(UnixMillis(2), changed(5)).is_none());
        assert!(!peers.has_unread());
    }

    #[test]
    fn a_change_that_is_missing_makes_the_hash_be_read_again() {
        let (mut peers, node) = following(4);
        assert!(peers.handle_notice(UnixMillis(2), changed(6)).is_none());
        assert_eq!(peers.unread(), [Arc::clone(&node)]);
        peers.handle_read(UnixMillis(3), &node, 6);
        assert!(peers.handle_notice(UnixMillis(4), changed(7)).is_some());

        let (mut peers, node) = following(4);
        assert!(peers.handle_number(UnixMillis(2), &node, Some(5)).is_none());
        assert!(peers.has_unread(), "a heartbeat shows the gap, too");
    }

    #[test]
    fn a_node_without_a_hash_is_gone_since_its_last_heartbeat() {
        let (mut peers, node) = following(4);
        assert!(peers.handle_number(UnixMillis(7), &node, Some(4)).is_none());
        let gone = peers.handle_number(UnixMillis(20), &node, None);
        let at = UnixMillis(7);
        assert_eq!(
            gone,
            Some(StoreEvent::NodeGone {
                node: Arc::clone(&node),
                at
            })
        );
        assert_eq!(peers.handle_number(UnixMillis(21), &node, None), None);
    }

    #[test]
    fn an_unknown_node_is_read_and_one_that_leaves_is_gone() {
        let mut peers = Peers::default();
        assert!(peers.handle_notice(UnixMillis(1), changed(3)).is_none());
        assert!(peers.has_unread());
        let (mut peers, _) = following(4);
        let left = Notice {
            node: "n".to_owned(),
            at: 9,
            event: Event::Left,
        };
        assert!(matches!(
            peers.handle_notice(UnixMillis(2), left),
            Some(StoreEvent::NodeGone {
                at: UnixMillis(9),
                ..
            })
        ));
        assert!(peers.known().is_empty());
    }
}
