//! The people that the server knows, as the login sees them.

use std::{fmt, future::Future, pin::Pin};

use axum::http::HeaderMap;

use super::{Cookies, Person};

/// The people that the server knows. The chat implements it for the login.
pub(crate) trait People: fmt::Debug + Send + Sync + 'static {
    /// Returns the person whose cookie the request carries. `None` if it carries none, or one that this server has not
    /// issued. Fails with [`Busy`] if the lookup can't be done now.
    fn recognise<'a>(&'a self, request: &'a HeaderMap, cookies: Cookies) -> Recognition<'a>;

    /// Creates a person.
    fn create(&self) -> Person;
}

/// The future of [`People::recognise`].
pub(crate) type Recognition<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Person>, Busy>> + Send + 'a>>;

/// Too many lookups wait, or the component that does them has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;
