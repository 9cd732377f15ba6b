//! The result of an operation that is often known at once.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// The result of an operation: known already, or a future.
///
/// An implementation that works in memory answers at once, and nothing is allocated. One that asks another machine boxes
/// its future. A caller that can't wait takes the value with [`Answer::try_now`] and spawns the rest.
///
/// ```
/// use sockeye_hub::Answer;
///
/// let known = Answer::now(7);
/// assert_eq!(known.try_now().ok(), Some(7));
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let asked = Answer::later(async { 7 });
/// let Err(asked) = asked.try_now() else { panic!("a future has no value yet") };
/// assert_eq!(asked.await, 7);
/// # });
/// ```
///
/// # Panics
///
/// Polling panics when the answer was given before.
///
/// # Cancel safety
///
/// Dropping an answer doesn't undo the operation, which may happen in part, as a whole or not at all.
#[must_use = "the operation may not have happened before its answer is awaited"]
pub struct Answer<'a, T>(State<'a, T>);

enum State<'a, T> {
    /// `None` after the value was taken.
    Now(Option<T>),
    Later(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// Creates an answer that is known. Allocates nothing.
    pub fn now(value: T) -> Self {
        Self(State::Now(Some(value)))
    }

    /// Creates an answer that `future` will give.
    pub fn later(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self(State::Later(Box::pin(future)))
    }

    /// Returns the value if it is known already.
    ///
    /// # Errors
    ///
    /// The answer itself, to be awaited.
    pub fn try_now(self) -> Result<T, Self> {
        match self.0 {
            State::Now(Some(value)) => Ok(value),
            pending => Err(Self(pending)),
        }
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.get_mut().0 {
            State::Now(value) => Poll::Ready(value.take().expect("polled after it was ready")),
            State::Later(future) => future.as_mut().poll(context),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Now(value) => f.debug_tuple("Now").field(value).finish(),
            State::Later(_) => f.write_str("Later"),
        }
    }
}
