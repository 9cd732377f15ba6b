//! Many connections at once, and the messages that run to and fro on them.

use std::time::{Duration, Instant};

use crate::{
    lane::Lane,
    readiness::Readiness,
    track::{Pace, Track},
    wrong::Wrong,
};

/// All connections of a run.
pub(crate) struct Course {
    readiness: Readiness,
    lanes: Vec<Lane>,
    /// Bytes that came, over all connections.
    pub(crate) received: isize,
    /// When something came last.
    heard: Instant,
}

impl Course {
    pub(crate) fn new(lanes: Vec<Lane>) -> Result<Self, Wrong> {
        let readiness = Readiness::new().map_err(Wrong::system("epoll"))?;
        for (number, lane) in lanes.iter().enumerate() {
            readiness
                .add(lane.socket(), number)
                .map_err(Wrong::system("epoll"))?;
        }
        Ok(Self {
            readiness,
            lanes,
            received: 0,
            heard: Instant::now(),
        })
    }

    /// Sends `count` messages on each connection.
    pub(crate) fn send(&mut self, track: &mut Track, count: usize) -> Result<(), Wrong> {
        self.lanes
            .iter_mut()
            .try_for_each(|lane| lane.send(track, count))
    }

    /// Lets messages run to and fro for so long.
    pub(crate) fn go(&mut self, track: &mut Track, time: Duration) -> Result<(), Wrong> {
        let end = Instant::now() + time;
        loop {
            let before = self.received;
            self.step(track)?;
            let now = Instant::now();
            if self.received != before {
                self.heard = now;
            } else if now - self.heard > SILENCE_MAX {
                return Err(Wrong::Silence(SILENCE_MAX.as_secs()));
            }
            if now >= end {
                return Ok(());
            }
        }
    }

    /// Lets messages run to and fro until all are through that may be sent.
    pub(crate) fn exhaust(&mut self, track: &mut Track) -> Result<(), Wrong> {
        while track.left > 0 {
            self.go(track, WAIT)?;
        }
        self.end(track)
    }

    /// Lets what is under way come back, so that nothing is missing in the end.
    pub(crate) fn end(&mut self, track: &mut Track) -> Result<(), Wrong> {
        let under_way: usize = self.lanes.iter().map(|lane| lane.outstanding).sum();
        if under_way * track.cycle.expected_frame > ENDING_BYTES_MAX {
            return Ok(());
        }
        track.pace = Pace::Ending;
        for lane in &mut self.lanes {
            self.received += lane.take(track)?;
        }
        while self.lanes.iter().any(|lane| lane.outstanding > 0) {
            self.go(track, WAIT)?;
        }
        Ok(())
    }

    fn step(&mut self, track: &mut Track) -> Result<(), Wrong> {
        let ready = self.readiness.wait(WAIT).map_err(Wrong::system("epoll"))?;
        for ready in ready {
            self.received += self.lanes[ready.number].turn(track, ready)?;
        }
        Ok(())
    }
}

/// How long one wait may take: the clock is looked at in between.
const WAIT: Duration = Duration::from_millis(20);

/// A server that sends nothing for so long has lost something.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Bytes. More than that under way takes too long to wait for; each byte that came was compared anyway.
const ENDING_BYTES_MAX: usize = 256 << 20;
