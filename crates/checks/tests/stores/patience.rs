//! Waiting for what has to come.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use sockeye_hub::presence::{Changes, Heard};
use tokio::time;

/// Looks again and again until `look` gives what `is_it` wants.
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

/// The same in a task.
pub(crate) async fn soon(what: &str, mut is_it: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_it() {
        assert!(Instant::now() < deadline, "{what}: still not so");
        time::sleep(PAUSE).await;
    }
}

/// The next change that is heard.
pub(crate) async fn next(changes: &mut Changes) -> Heard {
    let heard = time::timeout(PATIENCE, changes.next()).await;
    heard
        .expect("a change within patience")
        .expect("it goes on")
}

/// Whether nothing has been heard up to now.
pub(crate) async fn is_silent(changes: &mut Changes) -> bool {
    time::timeout(PAUSE, changes.next()).await.is_err()
}

/// Only a failure reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
