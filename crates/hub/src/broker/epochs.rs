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

    /// Returns a seed, which is as unlike others as the epochs.
    pub(crate) fn seed(&self) -> u64 {
        mix(self
            .seed
            .wrapping_add(mix(self.made.fetch_add(1, Ordering::Relaxed))))
    }
}

/// The epochs of channels without a history.
///
/// Such a channel is not kept: it has the same epoch when somebody asks again, and so has its first publication. When a history
/// with publications is forgotten, the channel's next one gets another epoch. So do other channels without a history whose names
/// share a number with it.
pub(crate) struct UnpublishedEpochs {
    seed: u64,
    /// How many histories have been forgotten, for each of [`FORGOTTEN_PARTS`] parts of all names.
    forgotten: Box<[AtomicU64]>,
}

impl UnpublishedEpochs {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            forgotten: (0..FORGOTTEN_PARTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the epoch of a channel without a history.
    pub(crate) fn of(&self, channel: &str) -> Epoch {
        self.of_generation(channel, self.part(channel).load(Ordering::Relaxed))
    }

    /// Returns the epoch that a channel has as soon as its history is forgotten.
    pub(crate) fn after_forgetting(&self, channel: &str) -> Epoch {
        let forgotten = self.part(channel).load(Ordering::Relaxed);
        self.of_generation(channel, forgotten + 1)
    }

    /// Counts a history with publications that is forgotten.
    pub(crate) fn forget(&self, channel: &str) {
        self.part(channel).fetch_add(1, Ordering::Relaxed);
    }

    fn of_generation(&self, channel: &str, generation: u64) -> Epoch {
        let mut hasher = DefaultHasher::new();
        (self.seed, channel, generation).hash(&mut hasher);
        epoch(hasher.finish())
    }

    fn part(&self, channel: &str) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, channel).hash(&mut hasher);
        &self.forgotten[hasher.finish() as usize % FORGOTTEN_PARTS]
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

/// 32 KiB. The more there are, the rarer a channel without publications gets another epoch.
const FORGOTTEN_PARTS: usize = 4096;

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
    fn a_channel_without_a_history_has_one_epoch_until_one_is_forgotten() {
        let epochs = UnpublishedEpochs::new(7);
        let first = epochs.of("a");
        assert_eq!(epochs.of("a"), first);
        assert_ne!(epochs.of("b"), first);
        assert_ne!(UnpublishedEpochs::new(8).of("a"), first);
        let next = epochs.after_forgetting("a");
        epochs.forget("a");
        assert_eq!(epochs.of("a"), next);
        assert_ne!(next, first);
    }

    #[test]
    fn another_seed_makes_others() {
        assert_ne!(Epochs::new(1).make(), Epochs::new(2).make());
        assert_eq!(Epochs::new(1).make(), Epochs::new(1).make());
    }
}
