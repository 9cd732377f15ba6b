//! The contract of presence with every store.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sockeye_checks::Redis;
use sockeye_hub::presence::{self, Change, Durable, Limits, Memory, Presence, Store, Update};
use sockeye_hub::{ManualClock, StoreError, SystemClock, UnixMillis};

use crate::patience::{next, soon};

#[tokio::test(flavor = "multi_thread")]
async fn memory_keeps_the_contract() {
    keeps_the_contract(|| Ok(Memory), Remembers::Nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let store = || Ok(Durable::in_directory(directory.path(), &Limits::default()));
    keeps_the_contract(store, Remembers::LastSeen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_the_contract() {
    let Some(redis) = Redis::start() else { return };
    let ttl = Duration::from_secs(10);
    let store = || presence::Redis::new(&redis.url(), ttl, &Limits::default());
    keeps_the_contract(store, Remembers::LastSeen).await;
}

/// What a store knows after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remembers {
    LastSeen,
    Nothing,
}

/// `store` creates a new store over the same data each time.
async fn keeps_the_contract<S: Store>(
    store: impl Fn() -> Result<S, StoreError>,
    remembers: Remembers,
) {
    the_first_device_puts_a_client_online_and_the_last_one_offline(store().unwrap()).await;
    changes_of_many_threads_alternate_and_end_offline(store().unwrap()).await;
    a_slow_subscriber_is_told_what_it_missed(store().unwrap()).await;
    last_seen_outlives_an_orderly_end(store, remembers).await;
}

async fn open(store: impl Store) -> Presence {
    let opened = Presence::open(Limits::default(), Arc::new(SystemClock), store).await;
    opened.unwrap()
}

async fn the_first_device_puts_a_client_online_and_the_last_one_offline(store: impl Store) {
    let clock = Arc::new(ManualClock::at(UnixMillis(1000)));
    let limits = Limits::default();
    let opened = Presence::open(limits, Arc::clone(&clock) as Arc<_>, store).await;
    let presence = opened.unwrap();
    let mut changes = presence.subscribe();
    let one = presence.join("ann", "web");
    let two = presence.join("ann", "phone");
    clock.advance(Duration::from_millis(5));
    drop(one);
    assert!(presence.is_online("ann"));
    assert_eq!(presence.devices("ann").len(), 1);
    drop(two);
    let (client, at) = (Arc::from("ann"), UnixMillis(1000));
    assert_eq!(
        next(&mut changes).await,
        Update::Change(Change::Online { client, at })
    );
    let (client, at) = (Arc::from("ann"), UnixMillis(1005));
    assert_eq!(
        next(&mut changes).await,
        Update::Change(Change::Offline { client, at })
    );
    assert_eq!(presence.last_seen("ann"), Some(at));
    presence.close().await;
    // There was no other change.
    assert_eq!(changes.next().await, None);
    // Calls after close have no effect.
    drop(presence.join("late", "web"));
    presence.close().await;
}

async fn changes_of_many_threads_alternate_and_end_offline(store: impl Store) {
    let mut limits = Limits::default();
    limits.changes_max = 1 << 16;
    let opened = Presence::open(limits, Arc::new(SystemClock), store).await;
    let presence = opened.unwrap();
    let mut changes = presence.subscribe();
    thread::scope(|scope| {
        for number in 0..8_u32 {
            let presence = &presence;
            scope.spawn(move || {
                for round in 0..500_u32 {
                    let client = format!("c{}", (number * 7 + round) % 5);
                    let guard = presence.join(client.as_str(), "web");
                    assert!(presence.is_online(&client));
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(presence.count(), 0);
    presence.close().await;
    let mut online: HashMap<Arc<str>, bool> = HashMap::new();
    while let Some(update) = changes.next().await {
        let Update::Change(change) = update else {
            panic!("{update:?}")
        };
        let is_online = matches!(change, Change::Online { .. });
        let before = online.insert(Arc::clone(change.client()), is_online);
        assert_ne!(
            before.unwrap_or(false),
            is_online,
            "the same change twice: {change:?}"
        );
    }
    assert!(!online.is_empty() && online.values().all(|is_online| !is_online));
}

async fn a_slow_subscriber_is_told_what_it_missed(store: impl Store) {
    let mut limits = Limits::default();
    limits.changes_max = 4;
    let opened = Presence::open(limits, Arc::new(SystemClock), store).await;
    let presence = opened.unwrap();
    let mut changes = presence.subscribe();
    for _ in 0..5 {
        drop(presence.join("ann", "web"));
    }
    assert_eq!(next(&mut changes).await, Update::Missed(6));
    for _ in 0..4 {
        assert!(matches!(next(&mut changes).await, Update::Change(_)));
    }
    presence.close().await;
}

async fn last_seen_outlives_an_orderly_end<S: Store>(
    store: impl Fn() -> Result<S, StoreError>,
    remembers: Remembers,
) {
    let presence = open(store().unwrap()).await;
    drop(presence.join("gone", "web"));
    let gone = presence.last_seen("gone");
    // Who is here at the end leaves with it.
    let _here = presence.join("here", "web");
    presence.close().await;
    let here = presence.last_seen("here");

    let presence = open(store().unwrap()).await;
    match remembers {
        Remembers::LastSeen => {
            soon("the last-seen times", || {
                presence.last_seen("here").is_some()
            })
            .await;
            assert_eq!(presence.last_seen("gone"), gone);
            assert_eq!(presence.last_seen("here"), here);
        }
        Remembers::Nothing => assert_eq!(presence.last_seen("gone"), None),
    }
    assert_eq!(presence.count(), 0);
    presence.close().await;
}
