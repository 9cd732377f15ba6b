//! The entries of a map, without a broker.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    change::{Change, MapCondition, MapSuppression},
    entries::{Entry, MapEntries, cost},
    limits::PAGE_BYTES_MAX,
};
use crate::{Epoch, MapChange, Publication};

fn entry(key: &str, data: &str, offset: u64) -> Entry {
    Entry {
        publication: Arc::new(Publication {
            data: Bytes::copy_from_slice(data.as_bytes()),
            offset,
            change: Some(Box::new(MapChange::set(key))),
            ..Publication::default()
        }),
        expires_at: None,
        version: 0,
        version_epoch: Epoch::default(),
        holders: 0,
    }
}

fn entries(keys: &[&str]) -> MapEntries {
    let mut entries = MapEntries::default();
    for (offset, key) in (1..).zip(keys) {
        entries.set(&Arc::from(*key), entry(key, "1", offset));
    }
    entries
}

fn keys(entries: &[Arc<Publication>]) -> Vec<&str> {
    let entries = entries.iter();
    entries
        .map(|entry| &*entry.change.as_ref().unwrap().key)
        .collect()
}

#[test]
fn pages_are_in_the_order_of_keys_and_go_on_behind_a_key_that_is_gone() {
    let mut entries = entries(&["d", "a", "c", "b"]);
    let page = entries.page(None, 2);
    assert_eq!(keys(&page.entries), ["a", "b"]);
    assert_eq!(page.next.as_deref(), Some("b"));
    entries.take("b");
    let page = entries.page(Some("b"), 2);
    assert_eq!(keys(&page.entries), ["c", "d"]);
    assert_eq!(page.next, None);
    assert_eq!(entries.page(Some("d"), 2), super::entries::Page::default());
    assert_eq!(
        entries.page(None, 0).entries,
        Vec::<Arc<Publication>>::new()
    );
}

#[test]
fn a_page_of_large_entries_is_short_but_never_empty() {
    let large = "x".repeat(PAGE_BYTES_MAX);
    let mut entries = MapEntries::default();
    for key in ["a", "b", "c"] {
        entries.set(&Arc::from(key), entry(key, &large, 1));
    }
    let page = entries.page(None, 100);
    assert_eq!(keys(&page.entries), ["a"]);
    assert_eq!(page.next.as_deref(), Some("a"));
}

#[test]
fn another_epoch_leaves_the_entries_without_their_offsets() {
    let mut entries = entries(&["a", "b"]);
    entries.position.offset = 2;
    entries.set_epoch(&Epoch::new("next"));
    assert_eq!(entries.position.offset, 0);
    assert_eq!(entries.get("b").unwrap().publication.offset, 0);
    assert_eq!(entries.get("b").unwrap().publication.data, "1");
}

#[test]
fn an_entry_that_is_set_again_expires_later_and_one_that_is_held_does_not() {
    let mut entries = MapEntries::default();
    let key: Arc<str> = "a".into();
    let at = Duration::from_secs;
    let expiring = |seconds| Entry {
        expires_at: Some(at(seconds)),
        ..entry("a", "1", 0)
    };
    entries.set(&key, expiring(1));
    entries.set(&key, expiring(5));
    assert_eq!(entries.deadline(), Some(at(5)));
    assert_eq!(entries.expired(at(4)), None);
    assert_eq!(entries.expired(at(5)), Some(Arc::clone(&key)));
    entries.set_expiry("a", None);
    entries.entry_mut("a").unwrap().holders = 1;
    entries.set(&key, expiring(9));
    assert_eq!(entries.deadline(), None);
    assert_eq!(entries.get("a").unwrap().holders, 1);
    entries.set_expiry("a", Some(at(9)));
    entries.take("a");
    assert_eq!((entries.deadline(), entries.len()), (None, 0));
}

#[test]
fn conditions_and_versions_say_why_a_change_does_not_happen() {
    let mut entries = entries(&["a"]);
    entries.entry_mut("a").unwrap().version = 3;
    let change = |key: &str, version, condition| Change {
        key: key.into(),
        data: Some(Bytes::new()),
        version,
        condition,
        ..Change::default()
    };
    for (change, suppressed) in [
        (change("a", 0, MapCondition::None), None),
        (
            change("a", 3, MapCondition::IfNew),
            Some(MapSuppression::Version),
        ),
        (change("a", 4, MapCondition::IfExists), None),
        (
            change("a", 0, MapCondition::IfNew),
            Some(MapSuppression::KeyExists),
        ),
        (change("b", 1, MapCondition::IfNew), None),
        (
            change("b", 0, MapCondition::IfExists),
            Some(MapSuppression::KeyNotFound),
        ),
    ] {
        assert_eq!(entries.suppression(&change), suppressed, "{change:?}");
    }
    let removal = |key: &str| Change {
        key: key.into(),
        ..Change::default()
    };
    assert_eq!(entries.suppression(&removal("a")), None);
    let missing = Some(MapSuppression::KeyNotFound);
    assert_eq!(entries.suppression(&removal("b")), missing);
}

#[test]
fn what_an_entry_costs_grows_with_what_is_in_it() {
    let small = entry("a", "1", 1).publication;
    let large = entry("a", "12345", 1).publication;
    assert_eq!(cost("a", &large) - cost("a", &small), 4);
    assert_eq!(cost("abc", &small) - cost("a", &small), 2);
}
