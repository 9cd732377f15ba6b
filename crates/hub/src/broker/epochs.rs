//! New epochs.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Epoch, random::mix};

/// Makes epochs, no two of which are alike by more than a chance of 1 in 2^48.
pub(crate) struct Epochs {
    seed: u64,
    made: AtomicU64,
}

impl Epochs {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            made: AtomicU64::new(0),
        }
    }

    pub(crate) fn make(&self) -> Epoch {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        epoch(mix(self.seed.wrapping_add(mix(number))))
    }

    /// Returns the epoch of a channel's history, the same one each time; another one for each `generation`.
    pub(crate) fn of(&self, channel: &str, generation: u64) -> Epoch {
        let mut hasher = DefaultHasher::new();
        (self.seed, channel, generation).hash(&mut hasher);
        epoch(hasher.finish())
    }
}

fn epoch(mut bits: u64) -> Epoch {
    let mut text = [0; EPOCH_BYTES];
    for letter in &mut text {
        *letter = LETTERS[(bits % 64) as usize];
        bits /= 64;
    }
    Epoch::new(str::from_utf8(&text).expect("the letters are ASCII"))
}

/// Bytes. As long as Centrifugo's, and with the counts of an `Arc` just the smallest allocation.
const EPOCH_BYTES: usize = 8;

/// Need no escape in JSON or in a URL.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn epochs_differ() {
        let epochs = Epochs::new(7);
        let made: HashSet<Epoch> = (0..10_000).map(|_| epochs.make()).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|epoch| epoch.as_str().len() == 8));
    }

    #[test]
    fn a_channel_and_a_generation_have_one_epoch() {
        let epochs = Epochs::new(7);
        assert_eq!(epochs.of("a", 1), epochs.of("a", 1));
        let others =
            [("a", 2), ("b", 1)].map(|(channel, generation)| epochs.of(channel, generation));
        assert!(!others.contains(&epochs.of("a", 1)));
        assert_ne!(epochs.of("a", 1), Epochs::new(8).of("a", 1));
    }

    #[test]
    fn another_seed_makes_others() {
        assert_ne!(Epochs::new(1).make(), Epochs::new(2).make());
        assert_eq!(Epochs::new(1).make(), Epochs::new(1).make());
    }
}
