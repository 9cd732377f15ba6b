//! Who a request comes from.

use crate::handshake::{ClientId, Refusal, Request};

/// Who a request comes from. Asked before 101, on the worker that read the request: it must not block.
/// [`crate::Route::authorize`] is for what takes time.
///
/// A closure will do, or one of the ready ones in [`crate::identity`]; `a.or(b)` asks `b` where `a` finds nobody.
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
///     println!("{:?} comes", request.client_id());
///     Ok(Room)
/// })
/// .identify(FromQuery::new("client_id").or(FromCookie::new("client_id")));
/// ```
pub trait Identify: Send + Sync + 'static {
    /// The client, or `None` if the request doesn't say.
    ///
    /// # Errors
    ///
    /// The HTTP answer in place of a WebSocket, for who says something wrong.
    fn identify(&self, request: &Request) -> Result<Option<ClientId>, Refusal>;

    /// Asks `other` where this one finds nobody.
    fn or<I: Identify>(self, other: I) -> Or<Self, I>
    where
        Self: Sized,
    {
        Or(self, other)
    }
}

/// Two ways to tell, the second one for where the first finds nobody: [`Identify::or`].
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
