//! The trait that finds out which client a request comes from.

use crate::handshake::{ClientId, Refusal, Request};

/// Finds out which client a request comes from. The server calls it before 101, on the worker that has read the
/// request, so it must not block; [`crate::Route::identify_async`] is for lookups that take time.
///
/// Closures implement it, and [`crate::identity`] has ready implementations. `a.or(b)` asks `b` if `a` finds no
/// client.
///
/// ```no_run
/// # use sockeye::{Endpoint, Message, Reply, Session};
/// # struct Room;
/// # impl Endpoint for Room {
/// #     fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply { Reply::Echo }
/// # }
/// use sockeye::{Identify as _, Route, identity::{FromCookie, FromQuery}};
///
/// let route = Route::new("/room", |request| {
///     println!("{:?} connects", request.client_id());
///     Ok(Room)
/// })
/// .identify(FromQuery::new("client_id").or(FromCookie::new("client_id")));
/// ```
pub trait Identify: Send + Sync + 'static {
    /// Returns the client, or `None` if the request names none.
    ///
    /// # Errors
    ///
    /// The HTTP answer to a request whose credentials are wrong, in place of a WebSocket.
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal>;

    /// Asks `other` if this one finds no client.
    fn or<I: Identify>(self, other: I) -> Or<Self, I>
    where
        Self: Sized,
    {
        Or(self, other)
    }
}

/// Two ways to find the client, made by [`Identify::or`]. The second is asked if the first finds none.
#[derive(Clone, Copy, Debug)]
pub struct Or<A, B>(A, B);

impl<A: Identify, B: Identify> Identify for Or<A, B> {
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal> {
        match self.0.identify(request)? {
            Some(client) => Ok(Some(client)),
            None => self.1.identify(request),
        }
    }
}

impl<F> Identify for F
where
    F: Fn(&Request) -> Result<Option<ClientId>, Refusal> + Send + Sync + 'static,
{
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal> {
        self(request)
    }
}
