//! Waiting for a condition or a change, with a time limit.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use sockeye_hub::presence::{Changes, Update};
use tokio::time;

/// Calls `look` until `is_it` accepts the result.
#[track_caller]
pub(crate) fn until<T: Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    is_it: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if is_it(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: still {seen:?}");
        std::thread::park_timeout(PAUSE);
    }
}

/// Waits until `is_it` returns true, without blocking the thread.
pub(crate) async fn soon(what: &str, mut is_it: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_it() {
        assert!(Instant::now() < deadline, "{what}: still not so");
        time::sleep(PAUSE).await;
    }
}

/// Returns the next update of a subscription.
pub(crate) async fn next(changes: &mut Changes) -> Update {
    let update = time::timeout(PATIENCE, changes.next()).await;
    update
        .expect("a change within patience")
        .expect("it goes on")
}

/// Time limit that only a failure reaches.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two checks.
const PAUSE: Duration = Duration::from_millis(20);
