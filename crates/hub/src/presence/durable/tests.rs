use super::*;
use crate::presence::{Device, store::ClientRecord};

fn batch(at: u64, clients: &[(&str, ClientState)]) -> Batch {
    Batch {
        at: UnixMillis(at),
        clients: clients
            .iter()
            .map(|(client, state)| ClientRecord {
                client: Arc::from(*client),
                state: state.clone(),
            })
            .collect(),
        is_last: true,
        is_anybody_online: true,
    }
}

fn here(since: u64) -> ClientState {
    ClientState::Local {
        since: UnixMillis(since),
        devices: vec![Device {
            name: "web".into(),
            since: UnixMillis(since),
        }],
    }
}

fn away(last_seen: u64) -> ClientState {
    ClientState::Offline {
        last_seen: UnixMillis(last_seen),
    }
}

async fn seen_after_restart(store: &mut Durable) -> Vec<(String, u64)> {
    let events = store.open(UnixMillis(9999)).await.unwrap();
    let [StoreEvent::LastSeen(seen)] = &events[..] else {
        panic!("{events:?}")
    };
    let pairs = seen.iter();
    let mut pairs: Vec<_> = pairs
        .map(|(client, at)| (client.to_string(), at.0))
        .collect();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn after_a_crash_online_clients_were_last_seen_at_the_last_heartbeat() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Durable::in_directory(directory.path(), &Limits::default());
    store.open(UnixMillis(1)).await.unwrap();
    let changes = batch(10, &[("ann", here(5)), ("bob", here(6)), ("cat", away(7))]);
    store.save(changes).await.unwrap();
    store.save(batch(20, &[("bob", away(15))])).await.unwrap();
    store.save(batch(30, &[])).await.unwrap();
    // Not closed: the file is as a crash leaves it.
    let pairs = seen_after_restart(&mut store).await;
    let expected = [("ann", 30), ("bob", 15), ("cat", 7)];
    let expected = expected.map(|(client, at)| (client.to_owned(), at));
    assert_eq!(pairs, expected);
    // A second restart changes nothing.
    assert_eq!(seen_after_restart(&mut store).await, expected);
}

#[tokio::test]
async fn more_clients_than_the_limit_allows_are_forgotten_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Durable::in_directory(directory.path(), &Limits::default());
    store.open(UnixMillis(1)).await.unwrap();
    let changes = batch(10, &[("ann", away(3)), ("bob", away(1)), ("cat", away(2))]);
    store.save(changes).await.unwrap();
    store.clients_max = 2;
    for _ in 0..2 {
        let expected = [("ann".to_owned(), 3), ("cat".to_owned(), 2)];
        assert_eq!(seen_after_restart(&mut store).await, expected);
    }
}

#[tokio::test]
async fn a_second_process_can_not_open_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut one = Durable::in_directory(directory.path(), &Limits::default());
    one.open(UnixMillis(1)).await.unwrap();
    let mut other = Durable::in_directory(directory.path(), &Limits::default());
    let error = other.open(UnixMillis(1)).await.unwrap_err();
    assert!(!error.is_outage(), "{error}");
    assert!(error.to_string().contains("in use by another"), "{error}");
}

#[tokio::test]
async fn an_error_of_a_damaged_file_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(Durable::FILE_NAME);
    std::fs::write(
        &file,
        "not a database, but long enough to have been one ".repeat(200),
    )
    .unwrap();
    let mut store = Durable::in_directory(directory.path(), &Limits::default());
    let error = store.open(UnixMillis(1)).await.unwrap_err();
    assert!(!error.is_outage(), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
}
