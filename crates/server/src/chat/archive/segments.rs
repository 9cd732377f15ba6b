//! The memory of an archive without a file, allocated in segments when they are written.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;
use sockeye::MemoryAccount;

/// Memory for a database. Parts that were never written take none.
#[derive(Debug)]
pub(super) struct Segments(Mutex<State>);

#[derive(Debug)]
struct State {
    len: u64,
    /// The bytes of the segments, charged to the memory budget.
    held: MemoryAccount,
    /// The segments by number, of [`SEGMENT_BYTES`] each.
    segments: BTreeMap<u64, Box<[u8]>>,
}

impl Segments {
    pub(super) fn new(held: MemoryAccount) -> Self {
        Self(Mutex::new(State {
            len: 0,
            held,
            segments: BTreeMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Segments {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        state.check(offset, out.len())?;
        for (number, at, range) in parts(offset, out.len()) {
            let part = &mut out[range];
            match state.segments.get(&number) {
                Some(segment) => part.copy_from_slice(&segment[at..at + part.len()]),
                None => part.fill(0),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        if len < state.len {
            // When the length grows again, these bytes must be zero.
            let keep = len.div_ceil(SEGMENT_BYTES as u64);
            state.segments.split_off(&keep);
            let rest = usize::try_from(len % SEGMENT_BYTES as u64).unwrap_or_default();
            if rest > 0
                && let Some(segment) = state.segments.get_mut(&(keep - 1))
            {
                segment[rest..].fill(0);
            }
        }
        state.len = len;
        state.count();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.check(offset, data.len())?;
        for (number, at, range) in parts(offset, data.len()) {
            let part = &data[range];
            let segment = state.segments.entry(number);
            let segment = segment.or_insert_with(|| vec![0; SEGMENT_BYTES].into());
            segment[at..at + part.len()].copy_from_slice(part);
        }
        state.count();
        Ok(())
    }
}

impl State {
    fn count(&mut self) {
        self.held.set(self.segments.len() * SEGMENT_BYTES);
    }

    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Returns the segments that a range covers: number, offset in the segment, and part of the range.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let place = offset + done as u64;
        let at = usize::try_from(place % SEGMENT_BYTES as u64).unwrap_or_default();
        let start = done;
        done += (SEGMENT_BYTES - at).min(len - done);
        Some((place / SEGMENT_BYTES as u64, at, start..done))
    })
}

/// Bytes. Large enough to be few, small enough that a beginning is cheap.
const SEGMENT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use sockeye::MemoryBudget;

    use super::*;

    #[test]
    fn what_was_written_is_read_across_segments_and_the_rest_is_zero() {
        let memory = Segments::new(MemoryBudget::default().account());
        memory.set_len(200_000).unwrap();
        let data: Vec<u8> = (0..100_000_u32).map(|index| index as u8 | 1).collect();
        memory.write(50_000, &data).unwrap();
        let mut out = vec![9; 150_000];
        memory.read(49_999, &mut out).unwrap();
        assert_eq!((out[0], &out[1..100_001]), (0, &data[..]));
        assert!(out[100_001..].iter().all(|byte| *byte == 0));
        assert!(memory.read(199_999, &mut [0; 2]).is_err());
        assert!(memory.write(200_000, &[0]).is_err());
    }

    #[test]
    fn what_was_cut_off_comes_back_as_zero() {
        let budget = MemoryBudget::new(1 << 20);
        let memory = Segments::new(budget.account());
        memory.set_len(200_000).unwrap();
        assert_eq!(budget.used_bytes(), 0);
        memory.write(0, &[7; 200_000]).unwrap();
        assert_eq!(budget.used_bytes(), 4 * SEGMENT_BYTES);
        memory.set_len(70_000).unwrap();
        memory.set_len(200_000).unwrap();
        let mut out = vec![9; 200_000];
        memory.read(0, &mut out).unwrap();
        assert!(out[..70_000].iter().all(|byte| *byte == 7));
        assert!(out[70_000..].iter().all(|byte| *byte == 0));
        assert_eq!(budget.used_bytes(), 2 * SEGMENT_BYTES);
    }
}
