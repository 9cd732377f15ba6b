//! The measurements, and what they have in common.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    args::{BenchArgs, Expect, Mode},
    echo::Echoes,
    fan_out::FanOut,
    handshakes::Handshakes,
    idle::IdleClient,
    link::{Phase, Run},
    machine,
    opening::{NoConnection, Opened, Opening, close, until},
    payload::{Payload, Stamp},
    publisher::RoomPublisher,
    quantity,
    report::{
        Asked, Connections, ErrorCount, FORMAT, Measured, Messages, Processor, Report, Scheduled,
        ServerUse, Times,
    },
    schedule::{Departure, Schedule, Sending},
    tally::Tally,
    tokens::Dials,
    watch::Watch,
};
use crate::config::Switch;

/// Runs the measurement of the options.
pub(crate) async fn measure(
    args: &BenchArgs,
    dials: Arc<Dials>,
    payload: Payload,
) -> Result<Report, Failure> {
    let mut measurement = Measurement {
        args,
        dials,
        run: Arc::new(Run::new()),
        watch: Watch::new(args.progress),
    };
    match args.mode() {
        Mode::Echo => measurement.echo(payload).await,
        Mode::Idle => measurement.idle().await,
        Mode::Connect => measurement.handshakes().await,
        Mode::FanOut => measurement.fan_out().await,
        Mode::Hub => measurement.hub().await,
        Mode::Recover => measurement.recover().await,
    }
}

/// Returns the number of connections, including a publisher.
pub(crate) fn wanted(args: &BenchArgs) -> usize {
    let has_publisher = matches!(args.mode(), Mode::FanOut | Mode::Hub | Mode::Recover);
    args.connections() + usize::from(has_publisher)
}

/// Why there is no report.
pub(crate) enum Failure {
    Usage(String),
    Flawed(String),
    NotConnected(String),
}

impl From<NoConnection> for Failure {
    fn from(reason: NoConnection) -> Self {
        match reason {
            NoConnection::Usage(text) => Self::Usage(text),
            NoConnection::Unreachable(text) => Self::NotConnected(text),
        }
    }
}

/// One measurement.
pub(super) struct Measurement<'a> {
    pub(super) args: &'a BenchArgs,
    pub(super) dials: Arc<Dials>,
    pub(super) run: Arc<Run>,
    pub(super) watch: Watch,
}

/// Time and resources of the counted part of a measurement.
pub(super) struct Span {
    pub(super) lasted: Duration,
    pub(super) processor: Option<Duration>,
    /// Processor time of the server.
    pub(super) server: Option<Duration>,
}

/// The processor time so far, of this process and of the server.
#[derive(Clone, Copy)]
pub(super) struct Used {
    own: Option<Duration>,
    server: Option<Duration>,
}

impl Measurement<'_> {
    async fn echo(&mut self, payload: Payload) -> Result<Report, Failure> {
        let args = self.args;
        let echoes = Echoes::new(Arc::clone(&self.run), payload, args, self.shards());
        let clients = Arc::clone(&echoes);
        let opening = self.opening();
        let opened = opening
            .open(&self.run, &mut self.watch, move |number| {
                clients.endpoint(number)
            })
            .await?;
        let open = opened.sessions.len() as u64;
        self.run.enter(Phase::WarmUp);
        let schedule = self.schedule(|| {
            let (echoes, sessions) = (Arc::clone(&echoes), opened.sessions.clone());
            let mut next = 0;
            move |departure| {
                next = (next + 1) % sessions.len();
                let (before, from) = sessions.split_at(next);
                echoes.send(from.iter().chain(before), departure)
            }
        });
        echoes.start(&opened.sessions);
        let run = Arc::clone(&self.run);
        let all_lost = || run.dropped.load(Ordering::Relaxed) >= open;
        let span = match (args.expect, &schedule) {
            (Expect::None, Some((schedule, _))) => {
                let schedule = Arc::clone(schedule);
                self.time(|| schedule.sent(), "messages", all_lost).await
            }
            _ => {
                self.time(|| echoes.times.count(), "round trips", all_lost)
                    .await
            }
        };
        self.drain(|| echoes.outstanding() == 0).await;
        self.run
            .lost
            .fetch_add(echoes.outstanding() as u64, Ordering::Relaxed);
        self.close(&opened).await;
        let mut report = self.report(&span, Some(&opened));
        report.round_trips =
            (args.expect != Expect::None).then(|| Measured::new(&echoes.times.sum(), span.lasted));
        report.schedule = schedule.map(|schedule| scheduled(schedule, span.lasted));
        Ok(report)
    }

    async fn idle(&mut self) -> Result<Report, Failure> {
        let run = Arc::clone(&self.run);
        let opening = self.opening();
        let opened = opening
            .open(&self.run, &mut self.watch, move |_| IdleClient::new(&run))
            .await?;
        let open = opened.sessions.len() as u64;
        let run = Arc::clone(&self.run);
        let lost = || run.dropped.load(Ordering::Relaxed);
        let span = self
            .time(|| open - lost().min(open), "open", || lost() >= open)
            .await;
        self.close(&opened).await;
        Ok(self.report(&span, Some(&opened)))
    }

    async fn handshakes(&mut self) -> Result<Report, Failure> {
        // One alone first: if it fails, so would the others.
        let mut opening = self.opening();
        opening.wanted = 1;
        let run = Arc::clone(&self.run);
        let opened = opening
            .open(&self.run, &mut self.watch, move |_| IdleClient::new(&run))
            .await?;
        self.close(&opened).await;
        let handshakes = Arc::new(Handshakes {
            run: Arc::clone(&self.run),
            dials: Arc::clone(&self.dials),
            next: AtomicUsize::new(1),
            timeout: self.args.dial.timeout.0,
            times: Tally::new(self.shards()),
        });
        self.run.enter(Phase::WarmUp);
        let mut tasks = handshakes.start(self.args.connections());
        let span = self
            .time(|| handshakes.times.count(), "handshakes", || false)
            .await;
        self.run.enter(Phase::Drain);
        let finished = async { while tasks.join_next().await.is_some() {} };
        let patient = time::timeout(self.args.patience.0, finished);
        let _ = self.watch.during(patient, || "finishing".to_owned()).await;
        let mut report = self.report(&span, None);
        report.handshakes = Some(Measured::new(&handshakes.times.sum(), span.lasted));
        Ok(report)
    }

    async fn fan_out(&mut self) -> Result<Report, Failure> {
        let args = self.args;
        let stamp = Arc::new(Stamp::new(run_number(), args.message_bytes(), args.kind()));
        let fan_out = FanOut::new(
            Arc::clone(&self.run),
            Arc::clone(&stamp),
            1,
            args.closed_loop(),
            args.patience.0,
            self.shards(),
        );
        let clients = Arc::clone(&fan_out);
        let opening = self.opening();
        let opened = opening
            .open(&self.run, &mut self.watch, move |number| {
                clients.endpoint(number)
            })
            .await?;
        let receivers = opened.sessions.len() as u64 - 1;
        let publisher = RoomPublisher {
            // The first connection.
            session: opened.sessions[0].1.clone(),
            stamp,
        };
        fan_out.seat(Box::new(publisher), vec![receivers]);
        self.gather(&fan_out, receivers).await?;
        self.deliver(&fan_out, &opened).await
    }

    /// Publishes, and counts what is delivered.
    pub(super) async fn deliver(
        &mut self,
        fan_out: &Arc<FanOut>,
        opened: &Opened,
    ) -> Result<Report, Failure> {
        self.run.enter(Phase::WarmUp);
        let schedule = self.schedule(|| {
            let fan_out = Arc::clone(fan_out);
            move |departure| fan_out.send(departure)
        });
        fan_out.start();
        let is_over = || {
            fan_out.expire();
            fan_out.is_over()
        };
        let span = self
            .time(|| fan_out.deliveries.count(), "deliveries", is_over)
            .await;
        self.drain(|| fan_out.outstanding() == 0).await;
        fan_out.abandon();
        self.close(opened).await;
        let mut report = self.report(&span, Some(opened));
        report.publications = Some(Measured::new(&fan_out.lasts.sum(), span.lasted));
        report.deliveries = Some(Measured::new(&fan_out.deliveries.sum(), span.lasted));
        report.schedule = schedule.map(|schedule| scheduled(schedule, span.lasted));
        Ok(report)
    }

    /// Waits until all receivers have received a publication.
    async fn gather(&mut self, fan_out: &FanOut, receivers: u64) -> Result<(), Failure> {
        let everybody = async {
            let mut beat = time::interval(CALL_INTERVAL);
            while fan_out.joined() < receivers {
                beat.tick().await;
                fan_out.call();
            }
        };
        let patient = time::timeout(self.args.patience.0, everybody);
        let look = || {
            format!(
                "the room: {} of {receivers} hear the publisher",
                fan_out.joined()
            )
        };
        match self.watch.during(patient, look).await {
            Some(Err(_)) => Err(Failure::Flawed(format!(
                "{} of {receivers} receivers hear what another connection sends: \
                 fan-out needs a URL where everybody gets what one sends, such as /websocket/ws",
                fan_out.joined()
            ))),
            _ => Ok(()),
        }
    }

    /// Warms up, then measures until the time is over, ctrl-C is pressed or `is_over` returns true.
    async fn time(
        &mut self,
        counted: impl Fn() -> u64,
        what: &str,
        mut is_over: impl FnMut() -> bool,
    ) -> Span {
        if !self.watch.is_interrupted() {
            self.run.enter(Phase::WarmUp);
            let warm_up = time::timeout(self.args.warm_up(), until(&mut is_over));
            let _ = self.watch.during(warm_up, || "warming up".to_owned()).await;
        }
        let (begun, used) = (Instant::now(), self.used());
        if !self.watch.is_interrupted() {
            self.run.enter(Phase::Measure);
            let (mut before, mut looked) = (0, begun);
            let look = || {
                let (now, count) = (Instant::now(), counted());
                let rate = count.saturating_sub(before) as f64 / (now - looked).as_secs_f64();
                (before, looked) = (count, now);
                let elapsed = (now - begun).as_secs();
                match self.args.mode() {
                    Mode::Idle => format!("{elapsed} s: {} {what}", quantity::count(count)),
                    _ => format!("{elapsed} s: {} {what}/s", quantity::count(rate as u64)),
                }
            };
            let measuring = time::timeout(self.args.duration.0, until(&mut is_over));
            let _ = self.watch.during(measuring, look).await;
        }
        self.span(begun, used)
    }

    pub(super) fn used(&self) -> Used {
        let server = self.args.hub.server_pid;
        Used {
            own: machine::processor_time(),
            server: server.and_then(machine::processor_time_of),
        }
    }

    /// Returns what was used since `before`.
    pub(super) fn span(&self, begun: Instant, before: Used) -> Span {
        let (lasted, after) = (begun.elapsed(), self.used());
        let difference = |after: Option<Duration>, before| Some(after?.saturating_sub(before?));
        Span {
            lasted,
            processor: difference(after.own, before.own),
            server: difference(after.server, before.server),
        }
    }

    /// Starts to send at a fixed rate, if the options have one. `make` creates the function that sends one message.
    fn schedule<S: FnMut(Departure) -> bool + Send + 'static>(
        &self,
        make: impl FnOnce() -> S,
    ) -> Option<(Arc<Schedule>, Sending)> {
        let schedule = Schedule::new(Arc::clone(&self.run), self.args.rate?.0);
        let sending = schedule.start(make());
        Some((schedule, sending))
    }

    /// Stops sending, and waits for messages in flight.
    pub(super) async fn drain(&mut self, is_done: impl FnMut() -> bool) {
        self.run.enter(Phase::Drain);
        let done = time::timeout(self.args.patience.0, until(is_done));
        let _ = self
            .watch
            .during(done, || "waiting for the last messages".to_owned())
            .await;
    }

    pub(super) async fn close(&mut self, opened: &Opened) {
        close(
            &opened.sessions,
            &self.run,
            &mut self.watch,
            self.args.patience.0,
        )
        .await;
    }

    pub(super) fn opening(&self) -> Opening {
        Opening {
            dials: Arc::clone(&self.dials),
            timeout: self.args.dial.timeout.0,
            wanted: wanted(self.args),
            at_once: self.args.opening.0 as usize,
        }
    }

    /// Histograms for each thread, so that two threads rarely lock the same one.
    pub(super) fn shards(&self) -> usize {
        match self.args.threads() {
            1 => 1,
            threads => 4 * threads,
        }
    }

    pub(super) fn report(&self, span: &Span, opened: Option<&Opened>) -> Report {
        let (args, run) = (self.args, &self.run);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let open = opened.map_or(0, |opened| opened.sessions.len() as u64);
        let lost = count(&run.dropped);
        let processors = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
        // Plus the thread that sends at a fixed rate.
        let own_threads = (args.threads() + usize::from(args.rate.is_some())).min(processors);
        Report {
            format: FORMAT,
            mode: args.mode().name(),
            url: without_credentials(&args.dial.url),
            interrupted: self.watch.is_interrupted(),
            asked: Asked {
                connections: args.connections(),
                message_bytes: args.message_bytes(),
                kind: if args.binary { "binary" } else { "text" },
                in_flight: args.in_flight.0,
                rate: args.rate.map(|rate| rate.0),
                expect: args.expect.name(),
                message: match args.message() {
                    Some(_) => "given",
                    None => "generated",
                },
                duration_s: args.duration.0.as_secs_f64(),
                warm_up_s: args.warm_up().as_secs_f64(),
                deflate: args.deflate == Switch::On,
                threads: args.threads(),
                channels: args.hub.channels(),
                subscriptions: args.hub.subscriptions(),
                missed: args.hub.missed.0,
            },
            connections: Connections {
                opened: open,
                refused: count(&run.refused),
                lost,
                stayed: open.saturating_sub(lost),
                opening_s: opened.map_or(0.0, |opened| opened.took.as_secs_f64()),
                opening_time_us: opened
                    .map(|opened| Times::new(&opened.times.sum()))
                    .unwrap_or_default(),
            },
            measured_s: span.lasted.as_secs_f64(),
            round_trips: None,
            handshakes: None,
            publications: None,
            deliveries: None,
            recoveries: None,
            schedule: None,
            messages: Messages {
                wrong: count(&run.wrong),
                lost: count(&run.lost),
            },
            processor: span
                .processor
                .map(|used| Processor::new(used, span.lasted, own_threads)),
            server: span.server.map(|used| ServerUse {
                seconds: used.as_secs_f64(),
                memory_bytes: args
                    .hub
                    .server_pid
                    .and_then(machine::memory_of)
                    .unwrap_or(0),
            }),
            errors: run
                .errors()
                .into_iter()
                .map(|(what, count)| ErrorCount { what, count })
                .collect(),
        }
    }
}

/// Waits for the thread that sends, and returns its result.
fn scheduled((schedule, sending): (Arc<Schedule>, Sending), measured: Duration) -> Scheduled {
    let begun = sending.join();
    Scheduled::new(&schedule, schedule.due(begun), measured)
}

/// Returns a number that tells this run from others.
pub(super) fn run_number() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Time between two checks whether messages are still in flight. Long enough to be no load.
const CALL_INTERVAL: Duration = Duration::from_millis(50);

/// Removes user and password from the URL, since reports are shared.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| {
        (&url[..scheme.len() + "://".len()], rest)
    });
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_no_password() {
        let shown = without_credentials("wss://me:secret@example.com/a@b?c");
        assert_eq!(shown, "wss://example.com/a@b?c");
        assert_eq!(without_credentials("localhost:8080"), "localhost:8080");
    }
}
