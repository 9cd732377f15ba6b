use super::*;
use crate::presence::{Device, store::Saved};

fn batch(at: u64, clients: &[(&str, State)]) -> Batch {
    Batch {
        at: UnixMillis(at),
        clients: clients
            .iter()
            .map(|(client, state)| Saved {
                client: Arc::from(*client),
                state: state.clone(),
            })
            .collect(),
        is_last: true,
        is_anybody_online: true,
    }
}

fn here(since: u64) -> State {
    State::Here {
        since: UnixMillis(since),
        devices: vec![Device::new("web".into(), UnixMillis(since))],
    }
}

fn away(last_seen: u64) -> State {
    State::Away {
        last_seen: UnixMillis(last_seen),
    }
}

async fn seen_after_restart(store: &mut Durable) -> Vec<(String, u64)> {
    let news = store.open(UnixMillis(9999)).await.unwrap();
    let [News::Seen(seen)] = &news[..] else {
        panic!("{news:?}")
    };
    let pairs = seen.iter();
    let mut pairs: Vec<_> = pairs
        .map(|(client, at)| (client.to_string(), at.0))
        .collect();
    pairs.sort();
    pairs
}

#[tokio::test]
async fn those_who_were_here_at_the_end_were_last_seen_at_the_last_sign_of_life() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Durable::in_directory(directory.path(), &Limits::default());
    store.open(UnixMillis(1)).await.unwrap();
    let changes = batch(10, &[("ann", here(5)), ("bob", here(6)), ("cat", away(7))]);
    store.save(changes).await.unwrap();
    store.save(batch(20, &[("bob", away(15))])).await.unwrap();
    store.save(batch(30, &[])).await.unwrap();
    // No orderly end: the file is as a crash would leave it.
    let pairs = seen_after_restart(&mut store).await;
    let expected = [("ann", 30), ("bob", 15), ("cat", 7)];
    let expected = expected.map(|(client, at)| (client.to_owned(), at));
    assert_eq!(pairs, expected);
    // A second restart knows no better.
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
async fn one_file_is_for_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut one = Durable::in_directory(directory.path(), &Limits::default());
    one.open(UnixMillis(1)).await.unwrap();
    let mut other = Durable::in_directory(directory.path(), &Limits::default());
    let error = other.open(UnixMillis(1)).await.unwrap_err();
    assert!(!error.is_outage(), "{error}");
    assert!(error.to_string().contains("in use by another"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_named_with_a_way_out() {
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
