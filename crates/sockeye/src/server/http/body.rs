//! The body of a plain request, with its limits.

use std::{
    error::Error as StdError,
    fmt,
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use crate::{
    handshake::Refusal,
    memory::{MemoryAccount, MemoryBudget, MemoryPressure},
    server::{
        bodies::{Bodies, UnfinishedBody},
        http_settings::HttpSettings,
    },
    time::later,
};

/// The body of a plain request. Reading it fails when it is too large or too slow, or when memory is short.
pub(super) struct LimitedBody<B> {
    body: B,
    bytes_left: u64,
    /// Charges what was read of the body, because the handler that collects it holds that much.
    account: MemoryAccount,
    bodies: Arc<Bodies>,
    /// `Some` once a piece has come that isn't the last.
    unfinished: Option<UnfinishedBody>,
    /// Longest time between two pieces.
    timeout: Duration,
    /// When the whole body must have come.
    deadline: Instant,
    /// Runs while a reader waits for the next piece. `None` before the first wait: most bodies come at once.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    outcome: BodyOutcome,
}

/// Whether reading a body has failed, for the code that answers the request.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyOutcome(Arc<AtomicU8>);

/// Why reading a body has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyAbort {
    Bytes = 1,
    Time = 2,
    Memory = 3,
}

impl<B: Body<Data = Bytes> + Unpin> LimitedBody<B> {
    /// Limits the body of `request`, if it has one.
    ///
    /// # Errors
    ///
    /// The answer to a request whose `Content-Length` is too large.
    pub(super) fn limit(
        request: Request<B>,
        settings: &HttpSettings,
        budget: &MemoryBudget,
        bodies: &Arc<Bodies>,
    ) -> Result<(Request<Self>, Option<BodyOutcome>), Refusal> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > settings.body_bytes_max) {
            return Err(BodyAbort::Bytes.refusal());
        }
        let outcome = BodyOutcome::default();
        let has_body = !request.body().is_end_stream();
        let request = request.map(|body| Self {
            body,
            bytes_left: settings.body_bytes_max,
            account: budget.account(),
            bodies: Arc::clone(bodies),
            unfinished: None,
            timeout: settings.body_timeout,
            deadline: later(Instant::now(), settings.body_time_max),
            timer: None,
            is_waiting: false,
            outcome: outcome.clone(),
        });
        Ok((request, has_body.then_some(outcome)))
    }

    /// Counts a piece of the body.
    fn count(&mut self, bytes: usize) {
        let bytes = bytes * COST;
        self.account.charge(bytes);
        // Most bodies come in one piece, and are gone before they could matter.
        if self.unfinished.is_none() && !self.body.is_end_stream() {
            let unfinished = self.unfinished.insert(self.bodies.begin());
            unfinished.add(self.account.bytes());
        } else if let Some(unfinished) = &self.unfinished {
            unfinished.add(bytes);
        }
    }

    /// Returns whether memory is too short for what was read. A small body has room in any case: the bodies together have a
    /// limit of their own.
    fn is_too_much(&self) -> bool {
        let is_short = self.account.budget().pressure() == MemoryPressure::Hard;
        is_short && self.account.bytes() > SMALL_BYTES_MAX * COST
    }

    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<BodyAbort> {
        if !self.is_waiting {
            self.is_waiting = true;
            let until = later(Instant::now(), self.timeout).min(self.deadline);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| BodyAbort::Time),
            None => Poll::Pending,
        }
    }
}

impl<B> Body for LimitedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let must_end = this.unfinished.as_ref();
        let must_end = must_end.is_some_and(|unfinished| unfinished.must_end(cx.waker()));
        let abort = match Pin::new(&mut this.body).poll_frame(cx) {
            _ if must_end => BodyAbort::Memory,
            Poll::Pending => ready!(this.poll_limits(cx)),
            Poll::Ready(Some(Ok(frame))) => {
                this.is_waiting = false;
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.count(bytes);
                match this.bytes_left.checked_sub(bytes as u64) {
                    Some(_) if this.is_too_much() => BodyAbort::Memory,
                    // A peer that sends a byte now and then meets the timeout between pieces, so this needs a
                    // check of its own.
                    Some(_) if Instant::now() >= this.deadline => BodyAbort::Time,
                    Some(left) => {
                        this.bytes_left = left;
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    None => BodyAbort::Bytes,
                }
            }
            Poll::Ready(other) => {
                return Poll::Ready(other.map(|frame| frame.map_err(Into::into)));
            }
        };
        this.outcome.0.store(abort as u8, Ordering::Release);
        Poll::Ready(Some(Err(Box::new(abort))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl BodyOutcome {
    /// Returns the answer to the request, if reading the body has failed.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let abort = self.0.load(Ordering::Acquire);
        [BodyAbort::Bytes, BodyAbort::Time, BodyAbort::Memory]
            .into_iter()
            .find(|known| *known as u8 == abort)
            .map(BodyAbort::refusal)
    }
}

impl BodyAbort {
    fn refusal(self) -> Refusal {
        match self {
            Self::Bytes => Refusal::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body of the request is too large\n",
            ),
            Self::Time => Refusal::too_late(),
            Self::Memory => Refusal::unavailable("the server is short of memory\n"),
        }
    }
}

impl fmt::Display for BodyAbort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "the body is too large",
            Self::Time => "the body took too long",
            Self::Memory => "there is no memory for the body",
        })
    }
}

impl StdError for BodyAbort {}

/// What a byte of a body costs: the pieces as they were read, in buffers that aren't full, and the whole that is made of them.
const COST: usize = 3;

/// Bytes. A body of so many is read also when memory is short.
const SMALL_BYTES_MAX: usize = 4 << 10;
