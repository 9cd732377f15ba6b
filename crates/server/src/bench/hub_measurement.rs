//! The measurements of servers that speak the Centrifugal client protocol.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sockeye::{MessageKind, Session};
use tokio::time;

use super::{
    fan_out::FanOut,
    hub_client::{Hub, HubClient},
    link::Phase,
    measurement::{Failure, Measurement, Span, run_number},
    opening::{Opened, close, until},
    payload::Stamp,
    publisher::{Api, ApiPublisher, ClientPublisher, Publisher},
    recover::{Recovery, Visit},
    report::{Measured, Report},
};

impl Measurement<'_> {
    /// Clients subscribe, and one publishes.
    pub(super) async fn hub(&mut self) -> Result<Report, Failure> {
        let args = self.args;
        let hub = self.shared_hub();
        let fan_out = FanOut::new(
            Arc::clone(&self.run),
            Arc::clone(&hub.stamp),
            hub.names.len(),
            args.closed_loop(),
            args.patience.0,
            self.shards(),
        );
        let clients = (Arc::clone(&hub), Arc::clone(&fan_out));
        let opening = self.opening();
        let opened = opening
            .open(&self.run, &mut self.watch, move |number| {
                HubClient::new(&clients.0, &clients.1, number)
            })
            .await?;
        let publisher = self.publisher(&hub, &opened.sessions[0].1)?;
        let mut receivers = vec![0; hub.names.len()];
        for (number, _) in opened.sessions.iter().filter(|(number, _)| *number > 0) {
            for channel in hub.channels(number - 1) {
                receivers[channel] += 1;
            }
        }
        fan_out.seat(publisher, receivers);
        let wanted = opened.sessions.len() as u64 - 1;
        self.wait_for_clients(wanted, || fan_out.joined()).await?;
        self.deliver(&fan_out, &opened).await
    }

    /// Clients are away, miss publications, and come back all at once; again and again.
    pub(super) async fn recover(&mut self) -> Result<Report, Failure> {
        let args = self.args;
        let hub = self.shared_hub();
        let recovery = Recovery::new(&hub, args.hub.missed.0.into(), self.shards());
        let fan_out = FanOut::new(
            Arc::clone(&self.run),
            Arc::clone(&hub.stamp),
            hub.names.len(),
            0,
            args.patience.0,
            1,
        );
        let mut opening = self.opening();
        opening.wanted = 1;
        let client = (Arc::clone(&hub), fan_out);
        let publishing = opening
            .open(&self.run, &mut self.watch, move |number| {
                HubClient::new(&client.0, &client.1, number)
            })
            .await?;
        let publisher = self.publisher(&hub, &publishing.sessions[0].1)?;
        let (mut opened, _) = self.storm(&recovery, Visit::First).await?;
        let mut span = Span {
            lasted: Duration::ZERO,
            processor: Some(Duration::ZERO),
            server: args.hub.server_pid.map(|_| Duration::ZERO),
        };
        let mut published = 0;
        while span.lasted < args.duration.0 && !self.watch.is_interrupted() {
            self.close(&opened).await;
            self.run.enter(Phase::Open);
            let count = recovery.missed * hub.names.len() as u64;
            self.publish(&hub, &*publisher, published..published + count)
                .await?;
            published += count;
            let (returned, used) = self.storm(&recovery, Visit::Return).await?;
            opened = returned;
            span.lasted += used.lasted;
            span.processor = sum(span.processor, used.processor);
            span.server = sum(span.server, used.server);
            recovery.advance();
        }
        let mut report = self.report(&span, Some(&opened));
        self.close(&opened).await;
        close(
            &publishing.sessions,
            &self.run,
            &mut self.watch,
            args.patience.0,
        )
        .await;
        report.recoveries = Some(Measured::new(&recovery.times.sum(), span.lasted));
        Ok(report)
    }

    /// Opens all clients, and waits until they have all replies. Returns also what that took.
    async fn storm(
        &mut self,
        recovery: &Arc<Recovery>,
        visit: Visit,
    ) -> Result<(Opened, Span), Failure> {
        recovery.rest();
        let mut opening = self.opening();
        opening.wanted = self.args.connections();
        let (begun, used) = (Instant::now(), self.used());
        let clients = Arc::clone(recovery);
        let opened = opening
            .open(&self.run, &mut self.watch, move |number| {
                clients.endpoint(number, visit)
            })
            .await?;
        let wanted = opened.sessions.len() as u64;
        self.wait_for_clients(wanted, || recovery.ready()).await?;
        Ok((opened, self.span(begun, used)))
    }

    /// Publishes items, and waits until the server has accepted them.
    async fn publish(
        &mut self,
        hub: &Hub,
        publisher: &dyn Publisher,
        numbers: std::ops::Range<u64>,
    ) -> Result<(), Failure> {
        let end = numbers.end;
        let accepted = || hub.accepted.load(Ordering::Relaxed);
        let publishing = async {
            let mut beat = time::interval(Duration::from_millis(1));
            for number in numbers {
                while number >= accepted() + UNACCEPTED_MAX || !publisher.publish(number) {
                    beat.tick().await;
                }
            }
            until(|| accepted() >= end).await;
        };
        let patient = time::timeout(PUBLISHING_PATIENCE, publishing);
        let look = || format!("publishing: {} of {end}", accepted());
        match self.watch.during(patient, look).await {
            Some(Err(_)) => Err(self.flawed("the server has not accepted what was published")),
            _ => Ok(()),
        }
    }

    /// Waits until all clients have the replies to what they sent first.
    async fn wait_for_clients(
        &mut self,
        wanted: u64,
        ready: impl Fn() -> u64,
    ) -> Result<(), Failure> {
        let patient = time::timeout(self.args.patience.0, until(|| ready() >= wanted));
        let look = || format!("{} of {wanted} clients have subscribed", ready());
        match self.watch.during(patient, look).await {
            Some(Err(_)) => {
                Err(self.flawed(&format!("{} of {wanted} clients have subscribed", ready())))
            }
            _ => Ok(()),
        }
    }

    /// Returns a failure with what went wrong most often.
    fn flawed(&self, what: &str) -> Failure {
        let errors = self.run.errors();
        let most = errors.first().map(|(what, _)| format!("; {what}"));
        Failure::Flawed(format!("{what}{}", most.unwrap_or_default()))
    }

    fn publisher(&self, hub: &Arc<Hub>, session: &Session) -> Result<Box<dyn Publisher>, Failure> {
        let args = &self.args.hub;
        let Some(url) = args.batch_url().map_err(Failure::Usage)? else {
            return Ok(Box::new(ClientPublisher {
                session: session.clone(),
                stamp: Arc::clone(&hub.stamp),
                encoding: hub.encoding,
                names: Arc::clone(&hub.names),
            }));
        };
        Ok(Box::new(ApiPublisher::start(Api {
            url,
            key: args.api_key.clone().unwrap_or_default(),
            batch_max: args.batch.0 as usize,
            stamp: Arc::clone(&hub.stamp),
            names: Arc::clone(&hub.names),
            run: Arc::clone(&self.run),
            accepted: Arc::clone(&hub.accepted),
        })))
    }

    fn shared_hub(&self) -> Arc<Hub> {
        let args = self.args;
        // Without the quotation marks of a JSON string.
        let stamp = Stamp::new(run_number(), args.message_bytes() - 2, MessageKind::Text);
        Arc::new(Hub {
            run: Arc::clone(&self.run),
            dials: Arc::clone(&self.dials),
            encoding: args.encoding(),
            names: args.hub.names().into(),
            subscriptions: args.hub.subscriptions(),
            is_recoverable: args.mode() == super::args::Mode::Recover,
            stamp: Arc::new(stamp),
            accepted: Arc::new(AtomicU64::new(0)),
        })
    }
}

fn sum(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    Some(one? + other?)
}

/// Publications that wait for their replies: fewer than servers let wait.
const UNACCEPTED_MAX: u64 = 64;

/// Time for publishing what clients miss.
const PUBLISHING_PATIENCE: Duration = Duration::from_secs(60);
