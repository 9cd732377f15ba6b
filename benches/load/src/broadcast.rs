//! Broadcast: what one connection publishes, all the others get.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    cli::{Broadcast, Target, Window},
    cycle::{Cycle, Payload, Wire},
    lane::Lane,
    opening::Opening,
    readiness::{Readiness, Ready},
    report::{Latency, Report, Shape},
    track::Track,
    usage::Usage,
    wrong::Wrong,
};

/// Runs the scenario: the receivers dial `/room`, the publisher dials `/publish`.
pub(crate) fn run(
    target: &Target,
    window: &Window,
    broadcast: &Broadcast,
) -> Result<Report, Wrong> {
    let opening = Opening::new(target.address, Wire::WebSocket);
    let receivers = opening.open("/room", broadcast.receivers)?;
    let publisher = opening.open("/publish", 1)?;
    let shape = Shape {
        scenario: "broadcast",
        connections: broadcast.receivers,
        bytes: broadcast.bytes,
        in_flight: broadcast.in_flight,
    };
    let mut readiness = Readiness::new().map_err(Wrong::system("epoll"))?;
    let mut course = Course {
        track: Track::new(
            Cycle::new(Payload::Binary, broadcast.bytes, Wire::WebSocket),
            broadcast.in_flight + 1,
        ),
        lanes: receivers,
        publisher: publisher.into_iter().next().expect("one was opened"),
        got: vec![0; broadcast.receivers],
        under_way: VecDeque::new(),
        finished: 0,
        deliveries: 0,
        times: Vec::new(),
    };
    for (number, lane) in course.lanes.iter().enumerate() {
        readiness
            .add(lane.socket(), number)
            .map_err(Wrong::system("epoll"))?;
    }
    readiness
        .add(course.publisher.socket(), broadcast.receivers)
        .map_err(Wrong::system("epoll"))?;
    // A server may let a session into the room after it has answered the handshake.
    std::thread::sleep(SETTLING);
    course.publish(broadcast.in_flight)?;
    if let Some(count) = window.count {
        let before = Usage::now(&target.server_pid);
        let start = Instant::now();
        course.go(&mut readiness, |course| course.finished >= count as u64)?;
        let used = Usage::now(&target.server_pid).since(before);
        let deliveries = course.deliveries as f64;
        let mut report = Report::new(shape, start.elapsed(), deliveries, used);
        report.latency = Latency::of(course.times);
        return Ok(report);
    }
    course.go(&mut readiness, after(window.warm_up()))?;
    course.times.clear();
    let before = Usage::now(&target.server_pid);
    let (start, deliveries) = (Instant::now(), course.deliveries);
    course.go(&mut readiness, after(window.measured()))?;
    let elapsed = start.elapsed();
    let used = Usage::now(&target.server_pid).since(before);
    let count = (course.deliveries - deliveries) as f64;
    let mut report = Report::new(shape, elapsed, count, used);
    report.latency = Latency::of(course.times);
    Ok(report)
}

/// Over when the time is.
fn after(time: Duration) -> impl Fn(&Course) -> bool {
    let end = Instant::now() + time;
    move |_| Instant::now() >= end
}

struct Course {
    track: Track,
    lanes: Vec<Lane>,
    publisher: Lane,
    /// Publications that each receiver has whole.
    got: Vec<u64>,
    /// Those that not everybody has, oldest first: when they were published, and who still waits.
    under_way: VecDeque<(Instant, usize)>,
    /// How many everybody has.
    finished: u64,
    /// Messages that came, over all receivers.
    deliveries: u64,
    /// From a publication to its last delivery.
    times: Vec<Duration>,
}

impl Course {
    fn publish(&mut self, count: usize) -> Result<(), Wrong> {
        let now = Instant::now();
        let everybody = self.lanes.len();
        self.under_way
            .extend(std::iter::repeat_n((now, everybody), count));
        self.publisher.send(&mut self.track, count)
    }

    fn go(
        &mut self,
        readiness: &mut Readiness,
        is_over: impl Fn(&Self) -> bool,
    ) -> Result<(), Wrong> {
        let mut heard = Instant::now();
        loop {
            let before = self.deliveries;
            for ready in readiness.wait(WAIT).map_err(Wrong::system("epoll"))? {
                self.turn(ready)?;
            }
            let now = Instant::now();
            let through = self.under_way.iter().take_while(|(_, left)| *left == 0);
            let through = through.count();
            for (published, _) in self.under_way.drain(..through) {
                self.times.push(now - published);
            }
            self.finished += through as u64;
            if through > 0 {
                self.publish(through)?;
            }
            if self.deliveries > before {
                heard = now;
            } else if now - heard > SILENCE_MAX {
                return Err(Wrong::Silence(SILENCE_MAX.as_secs()));
            }
            if is_over(self) {
                return Ok(());
            }
        }
    }

    fn turn(&mut self, ready: Ready) -> Result<(), Wrong> {
        let Some(lane) = self.lanes.get_mut(ready.number) else {
            // The publisher: nothing comes to it, but what the kernel hasn't taken may fit now.
            return self.publisher.turn(&mut self.track, ready).map(|_| ());
        };
        if !ready.readable {
            return Ok(());
        }
        while let Some((count, room)) = lane.read(&mut self.track)? {
            let whole = lane.advance(&self.track, count) as u64;
            let got = &mut self.got[ready.number];
            for index in *got..*got + whole {
                let left = self.under_way.get_mut((index - self.finished) as usize);
                let left = left.ok_or_else(|| Wrong::Answer("more than was published".into()))?;
                left.1 -= 1;
            }
            *got += whole;
            self.deliveries += whole;
            if count < room {
                break;
            }
        }
        Ok(())
    }
}

/// Long enough for any server to finish what follows a handshake.
const SETTLING: Duration = Duration::from_millis(200);

/// How long one wait may take: the clock is looked at in between.
const WAIT: Duration = Duration::from_millis(20);

/// A server that delivers nothing for so long has lost something.
const SILENCE_MAX: Duration = Duration::from_secs(10);
