use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn registry(clients_max: usize, devices_per_client_max: usize) -> Registry {
    let limits = Limits {
        clients_max,
        devices_per_client_max,
        ..Limits::default()
    };
    Registry::new(limits, SaveMode::Changes)
}

fn name(index: u8) -> Arc<str> {
    format!("c{index}").into()
}

fn join(registry: &mut Registry, at: u64, client: &str) -> (Tracking, Option<Change>) {
    registry.join(UnixMillis(at), &client.into(), "web".into())
}

fn away(registry: &Registry, client: &str) -> Option<u64> {
    match registry.status(client) {
        Some(Status::Offline { last_seen }) => Some(last_seen.0),
        _ => None,
    }
}

#[test]
fn the_first_device_puts_a_client_online_and_the_last_one_offline() {
    let mut registry = registry(9, 9);
    let ann: Arc<str> = "ann".into();
    let (one, first) = join(&mut registry, 1, "ann");
    let (two, second) = join(&mut registry, 2, "ann");
    let at = UnixMillis(1);
    let client = Arc::clone(&ann);
    assert_eq!((first, second), (Some(Change::Online { client, at }), None));
    assert_eq!(registry.leave(UnixMillis(3), &ann, one), None);
    let at = UnixMillis(4);
    let client = Arc::clone(&ann);
    assert_eq!(
        registry.leave(at, &ann, two),
        Some(Change::Offline { client, at })
    );
    assert_eq!(away(&registry, "ann"), Some(4));
}

#[test]
fn a_device_beyond_the_limit_is_listed_as_soon_as_there_is_room() {
    let mut registry = registry(9, 3);
    let ann: Arc<str> = "ann".into();
    let trackings: Vec<Tracking> = (0..7).map(|at| join(&mut registry, at, "ann").0).collect();
    let listed = |registry: &Registry| match registry.status("ann") {
        Some(Status::Online { devices, .. }) => {
            devices.iter().map(|device| device.since.0).collect()
        }
        _ => Vec::new(),
    };
    let saved =
        |registry: &mut Registry| match registry.poll_unsaved(UnixMillis(9), 9).clients.pop() {
            Some(ClientRecord {
                state: ClientState::Local { devices, .. },
                ..
            }) => devices.len(),
            _ => 0,
        };
    assert_eq!(listed(&registry), [0, 1, 2]);
    // First an unlisted device leaves, then listed ones in any order.
    for (tracking, left) in [
        (4, vec![0, 1, 2]),
        (1, vec![0, 2, 3]),
        (0, vec![2, 3, 5]),
        (3, vec![2, 5, 6]),
    ] {
        assert_eq!(
            registry.leave(UnixMillis(8), &ann, trackings[tracking]),
            None
        );
        assert_eq!(listed(&registry), left);
    }
    for (tracking, left) in [(2, vec![5, 6]), (5, vec![6])] {
        assert_eq!(
            registry.leave(UnixMillis(8), &ann, trackings[tracking]),
            None
        );
        assert_eq!(listed(&registry), left);
    }
    // Other nodes take a client with an empty list for one that has left.
    assert_eq!(saved(&mut registry), 1);
    assert_eq!(registry.list(None, 9)[0].devices, 1);
    assert!(registry.leave(UnixMillis(9), &ann, trackings[6]).is_some());
}

#[test]
fn devices_beyond_the_limit_count_without_being_listed() {
    let mut registry = registry(9, 1);
    let ann: Arc<str> = "ann".into();
    let (listed, _) = join(&mut registry, 1, "ann");
    let (unlisted, _) = join(&mut registry, 2, "ann");
    assert_eq!(registry.list(None, 9)[0].devices, 2);
    assert_eq!(registry.leave(UnixMillis(3), &ann, listed), None);
    assert!(registry.is_online("ann"));
    assert!(registry.leave(UnixMillis(4), &ann, unlisted).is_some());
}

#[test]
fn the_client_seen_longest_ago_is_forgotten_first() {
    let mut registry = registry(2, 9);
    for (at, client) in [(1, "ann"), (2, "bob"), (3, "cat")] {
        let (tracking, _) = join(&mut registry, at, client);
        registry.leave(UnixMillis(at), &client.into(), tracking);
    }
    assert_eq!(away(&registry, "ann"), None);
    assert_eq!(away(&registry, "bob"), Some(2));
    let batch = registry.poll_unsaved(UnixMillis(4), 9);
    let ann = batch.clients.iter().find(|saved| &*saved.client == "ann");
    assert_eq!(ann.unwrap().state, ClientState::Forgotten);
}

#[test]
fn when_all_clients_are_online_one_more_is_not_tracked() {
    let mut registry = registry(1, 9);
    join(&mut registry, 1, "ann");
    let (tracking, change) = join(&mut registry, 2, "bob");
    assert_eq!((tracking, change), (Tracking::Untracked, None));
    assert_eq!(registry.leave(UnixMillis(3), &"bob".into(), tracking), None);
    assert_eq!((registry.count(), registry.untracked()), (1, 1));
    // Another device of an online client needs no room.
    assert_ne!(join(&mut registry, 4, "ann").0, Tracking::Untracked);
}

#[test]
fn an_invalid_name_is_not_tracked() {
    let mut registry = registry(9, 9);
    for client in ["", "a\nb", &"x".repeat(129)] {
        assert_eq!(join(&mut registry, 1, client).0, Tracking::Untracked);
    }
    assert_eq!(registry.count(), 0);
}

#[test]
fn a_clock_that_is_set_back_puts_no_client_offline_before_it_was_online() {
    let mut registry = registry(9, 9);
    let (tracking, _) = join(&mut registry, 50, "ann");
    registry.leave(UnixMillis(10), &"ann".into(), tracking);
    assert_eq!(away(&registry, "ann"), Some(50));
}

#[test]
fn consecutive_pages_hold_every_client_once() {
    let mut registry = registry(99, 9);
    for index in 0..25 {
        join(&mut registry, 1, &name(index));
    }
    let mut found = Vec::new();
    let mut after: Option<Arc<str>> = None;
    loop {
        let page = registry.list(after.as_deref(), 10);
        found.extend(page.iter().map(|listed| Arc::clone(&listed.client)));
        if page.len() < 10 {
            break;
        }
        after = found.last().cloned();
    }
    let mut expected: Vec<_> = (0..25).map(name).collect();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn last_seen_times_from_the_store_never_replace_later_ones() {
    let mut registry = registry(2, 9);
    join(&mut registry, 5, "ann");
    let last_seen = |pairs: &[(&str, u64)]| {
        let pairs = pairs.iter();
        StoreEvent::LastSeen(
            pairs
                .map(|(client, at)| (Arc::from(*client), UnixMillis(*at)))
                .collect(),
        )
    };
    let mut changes = Vec::new();
    registry.handle_event(
        last_seen(&[("ann", 9), ("bob", 7), ("bob", 3)]),
        &mut changes,
    );
    assert!(registry.is_online("ann") && changes.is_empty());
    assert_eq!(away(&registry, "bob"), Some(7));
    // There is room for one client, the latest.
    registry.handle_event(last_seen(&[("old", 1), ("new", 8)]), &mut changes);
    assert_eq!(away(&registry, "new"), Some(8));
    assert_eq!(away(&registry, "old"), None);
}

/// The inputs of the registry, with small numbers for names.
#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    /// One of the connected devices leaves.
    Leave(prop::sample::Index),
    Changed(u8, u8, u8),
    Snapshot(u8, Vec<(u8, u8)>),
    NodeGone(u8),
    Alone,
    Save,
}

fn step() -> impl Strategy<Value = Step> {
    let (client, node, devices) = (0..5_u8, 0..3_u8, 0..3_u8);
    let pairs = prop::collection::vec((client.clone(), 1..3_u8), 0..4);
    prop_oneof![
        4 => client.clone().prop_map(Step::Join),
        4 => any::<prop::sample::Index>().prop_map(Step::Leave),
        3 => (node.clone(), client, devices).prop_map(|(n, c, d)| Step::Changed(n, c, d)),
        1 => (node.clone(), pairs).prop_map(|(n, pairs)| Step::Snapshot(n, pairs)),
        1 => node.prop_map(Step::NodeGone),
        1 => Just(Step::Alone),
        1 => Just(Step::Save),
    ]
}

/// A simple model: the devices of each client on each node.
#[derive(Default)]
struct Model {
    local: Vec<(u8, Tracking)>,
    remote: HashMap<(u8, u8), u8>,
    last_seen: HashMap<u8, u64>,
    /// The clients with local devices, as the store was told last.
    saved: BTreeSet<u8>,
}

impl Model {
    fn has_local_devices(&self, client: u8) -> bool {
        self.local.iter().any(|(local, _)| *local == client)
    }

    fn devices(&self, client: u8) -> usize {
        let local = self
            .local
            .iter()
            .filter(|(local, _)| *local == client)
            .count();
        let remote = self.remote.iter().filter(|((_, c), _)| *c == client);
        local + remote.map(|(_, devices)| *devices as usize).sum::<usize>()
    }

    fn online(&self) -> Vec<u8> {
        (0..5).filter(|client| self.devices(*client) > 0).collect()
    }
}

fn apply(step: &Step, now: u64, registry: &mut Registry, model: &mut Model) -> Vec<Change> {
    let devices = |count: u8| {
        (0..count)
            .map(|_| Device {
                name: "tv".into(),
                since: UnixMillis(now),
            })
            .collect::<Vec<_>>()
    };
    let node = |index: &u8| Arc::<str>::from(format!("n{index}"));
    let at = UnixMillis(now);
    let mut changes = Vec::new();
    match step {
        Step::Join(client) => {
            let (tracking, change) = registry.join(at, &name(*client), "web".into());
            changes.extend(change);
            model.local.push((*client, tracking));
        }
        Step::Leave(which) if !model.local.is_empty() => {
            let (client, tracking) = model.local.remove(which.index(model.local.len()));
            changes.extend(registry.leave(at, &name(client), tracking));
        }
        Step::Leave(_) => {}
        Step::Changed(n, client, count) => {
            let clients = vec![(name(*client), devices(*count))];
            let node = node(n);
            registry.handle_event(StoreEvent::NodeChanged { node, at, clients }, &mut changes);
            model.remote.insert((*n, *client), *count);
        }
        Step::Snapshot(n, pairs) => {
            let clients = pairs.iter().map(|(c, count)| (name(*c), devices(*count)));
            let clients = clients.collect();
            let node = node(n);
            registry.handle_event(StoreEvent::NodeSnapshot { node, at, clients }, &mut changes);
            model.remote.retain(|(node, _), _| node != n);
            for (client, count) in pairs {
                model.remote.insert((*n, *client), *count);
            }
        }
        Step::NodeGone(n) => {
            let node = node(n);
            registry.handle_event(StoreEvent::NodeGone { node, at }, &mut changes);
            model.remote.retain(|(node, _), _| node != n);
        }
        Step::Alone => {
            registry.handle_event(StoreEvent::AllNodesGone { at }, &mut changes);
            model.remote.clear();
        }
        Step::Save => loop {
            let batch = registry.poll_unsaved(at, 2);
            for saved in &batch.clients {
                let client = saved.client[1..].parse().unwrap();
                match saved.state {
                    ClientState::Local { .. } => model.saved.insert(client),
                    _ => model.saved.remove(&client),
                };
            }
            if batch.is_last {
                let here = (0..5).filter(|client| model.has_local_devices(*client));
                assert_eq!(model.saved, here.collect::<BTreeSet<u8>>());
                break;
            }
        },
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 512 } else { 4096 }))]

    #[test]
    fn the_registry_agrees_with_a_simple_model(steps in prop::collection::vec(step(), 1..60)) {
        let mut registry = registry(99, 99);
        let mut model = Model::default();
        for (now, step) in (1..).zip(&steps) {
            let before = model.online();
            let changes = apply(step, now, &mut registry, &mut model);
            let after = model.online();

            // The changes are exactly the differences, each once.
            let mut came: Vec<_> = Vec::new();
            let mut went: Vec<_> = Vec::new();
            for change in &changes {
                let client: u8 = change.client()[1..].parse().unwrap();
                match change {
                    Change::Online { .. } => came.push(client),
                    Change::Offline { at, .. } => {
                        prop_assert_eq!(at.0, now);
                        model.last_seen.insert(client, now);
                        went.push(client);
                    }
                }
            }
            came.sort_unstable();
            went.sort_unstable();
            let expected = |from: &[u8], to: &[u8]| {
                to.iter().copied().filter(|client| !from.contains(client)).collect::<Vec<_>>()
            };
            prop_assert_eq!(came, expected(&before, &after));
            prop_assert_eq!(went, expected(&after, &before));

            // Every query agrees with the model.
            prop_assert_eq!(registry.count(), after.len());
            let listed: Vec<_> = registry.list(None, 99).iter().map(|l| l.devices).collect();
            prop_assert_eq!(listed, after.iter().map(|c| model.devices(*c)).collect::<Vec<_>>());
            for client in 0..5 {
                prop_assert_eq!(registry.is_online(&name(client)), after.contains(&client));
                if !after.contains(&client) {
                    prop_assert_eq!(away(&registry, &name(client)), model.last_seen.get(&client).copied());
                }
            }
        }
    }

    #[test]
    fn the_table_never_grows_beyond_its_limit(clients in prop::collection::vec((0..20_u8, any::<bool>()), 1..80)) {
        let mut registry = registry(4, 2);
        let mut here = Vec::new();
        for (now, (client, stays)) in (1..).zip(clients) {
            let at = UnixMillis(now);
            let (tracking, _) = registry.join(at, &name(client), "web".into());
            if stays {
                here.push((client, tracking));
            } else {
                registry.leave(at, &name(client), tracking);
            }
            prop_assert!(registry.online.len() + registry.last_seen.len() <= 4);
            prop_assert!(registry.unsaved.as_ref().unwrap().len() <= 8);
        }
        for (client, tracking) in here {
            registry.leave(UnixMillis(1000), &name(client), tracking);
        }
        prop_assert_eq!(registry.count(), 0);
    }
}
