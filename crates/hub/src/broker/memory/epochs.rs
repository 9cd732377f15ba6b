//! New epochs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Epoch;

/// Makes epochs, no two of which are alike by more than a chance of 1 in 2^48.
pub(super) struct Epochs {
    seed: u64,
    made: AtomicU64,
}

impl Epochs {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            made: AtomicU64::new(0),
        }
    }

    pub(super) fn make(&self) -> Epoch {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut bits = mix(self.seed.wrapping_add(mix(number)));
        let mut text = [0; EPOCH_BYTES];
        for letter in &mut text {
            *letter = LETTERS[(bits % 64) as usize];
            bits /= 64;
        }
        Epoch::new(str::from_utf8(&text).expect("the letters are ASCII"))
    }
}

/// Spreads the bits of `number`: the finaliser of SplitMix64, which maps no two numbers to one.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
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
    fn another_seed_makes_others() {
        assert_ne!(Epochs::new(1).make(), Epochs::new(2).make());
        assert_eq!(Epochs::new(1).make(), Epochs::new(1).make());
    }
}
