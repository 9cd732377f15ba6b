//! Limits for each client address.

use std::{net::IpAddr, sync::Arc, time::Instant};

use crate::{
    address::{AddressKey, AddressPermit, AddressTable, Key, Rate, RetryAfter},
    cidr::Cidr,
    error::Error,
};

/// Limits for each client address, for [`crate::Server::address_limits`].
///
/// The defaults are generous, because a whole company may share one address, or thousands of customers of a network
/// that is short of addresses. They keep one machine from taking the whole server, no more.
///
/// Of an IPv6 address the first 64 bits count, because a host usually has all addresses below them. A request from a
/// trusted proxy counts for the address that the proxy names, and the proxy's own connections don't count. Requests
/// whose forwarding fields are not believed count for the proxy's address, all together.
///
/// Beyond a limit the server answers with 429 and `Retry-After`, before 101. When too many such answers are in
/// progress at the same time, it closes further connections without one.
///
/// ```
/// use sockeye::{AddressLimits, Rate};
///
/// let mut limits = AddressLimits::default();
/// limits.connections_max = 100;
/// limits.handshakes = Some(Rate::per_second(10).burst(50));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressLimits {
    /// Most connections at the same time. Each WebSocket from a trusted proxy, and each on an HTTP/2 connection,
    /// counts as one. Default 16,384.
    pub connections_max: u32,
    /// Rate of new connections, and of WebSockets from a trusted proxy or on a connection that is already open.
    /// `None` sets no limit. Default 500 a second, with a burst of 10,000.
    pub handshakes: Option<Rate>,
    /// Addresses (`192.0.2.1`) and ranges (`10.0.0.0/8`) without limits. Default: the machine's own, `127.0.0.0/8`
    /// and `::1`, where load tests run, and proxies that are not named as trusted.
    pub exempt: Vec<String>,
    /// Most addresses of which the server remembers something at the same time, some 100 bytes each. An address that
    /// finds no room has no limits; the server's own limits still hold. Default 65,536.
    pub addresses_max: usize,
}

impl AddressLimits {
    /// Returns limits that limit nothing.
    #[must_use]
    pub fn off() -> Self {
        Self {
            connections_max: u32::MAX,
            handshakes: None,
            exempt: Vec::new(),
            addresses_max: 0,
        }
    }
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            handshakes: Some(Rate::per_second(500).burst(10_000)),
            exempt: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
            addresses_max: ADDRESSES_MAX,
        }
    }
}

/// The client addresses of a server, and what each has taken.
#[derive(Debug)]
pub(crate) struct Addresses {
    connections_max: u32,
    handshakes: Option<Rate>,
    exempt: Vec<Cidr>,
    table: Arc<AddressTable>,
}

impl Addresses {
    /// # Errors
    ///
    /// Kind `Config` if an entry is neither an address nor a range.
    pub(crate) fn new(limits: AddressLimits) -> Result<Self, Error> {
        Ok(Self {
            connections_max: limits.connections_max,
            handshakes: limits.handshakes,
            exempt: Cidr::parse_all(&limits.exempt)?,
            table: Arc::new(AddressTable::new(limits.addresses_max)),
        })
    }

    pub(crate) fn table(&self) -> &Arc<AddressTable> {
        &self.table
    }

    /// Returns the key that an address counts under, unless it is exempt.
    pub(crate) fn key(&self, addr: IpAddr) -> Option<Key> {
        let is_exempt = self.exempt.iter().any(|cidr| cidr.contains(addr));
        (!is_exempt).then(|| Key::of(addr))
    }

    /// Counts one more handshake of an address.
    pub(crate) fn count_handshake(&self, key: Option<Key>) -> Result<(), RetryAfter> {
        match (key, self.handshakes) {
            (Some(key), Some(rate)) => self.table.count(key, rate, Instant::now()),
            _ => Ok(()),
        }
    }

    /// Counts one more connection of an address, as long as the permit lives. `None` if nothing is counted.
    pub(crate) fn count_connection(
        &self,
        key: Option<Key>,
    ) -> Result<Option<AddressPermit>, RetryAfter> {
        match key {
            Some(key) => self.table.enter(key, self.connections_max, Instant::now()),
            None => Ok(None),
        }
    }
}

/// A limit on how often each client address may do something: log in, post, show a wrong key. It is for a program's
/// own pages; [`AddressLimits`] are for the server's connections. It is cheap to clone, and all clones count
/// together.
///
/// ```no_run
/// use axum::response::{IntoResponse, Response};
/// use sockeye::{AddressRateLimiter, Rate, Refusal, RequestInfo};
///
/// # fn router() -> axum::Router {
/// let posts = AddressRateLimiter::new(Rate::per_minute(60));
/// let post = move |info: RequestInfo| async move {
///     match posts.count(&info) {
///         Ok(()) => "posted\n".into_response(),
///         Err(error) => Refusal::from(error).into_response(),
///     }
/// };
/// axum::Router::new().route("/post", axum::routing::post(post))
/// # }
/// ```
///
/// Addresses count as [`AddressLimits`] describes, and the server's exempt addresses are never refused. The limiter
/// remembers 65,536 addresses at the same time, some 100 bytes each; an address that finds no room has no limit.
#[derive(Clone, Debug)]
pub struct AddressRateLimiter {
    rate: Option<Rate>,
    table: Arc<AddressTable>,
}

impl AddressRateLimiter {
    /// Creates a limiter that allows each address `rate`.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate: Some(rate),
            table: Arc::new(AddressTable::new(ADDRESSES_MAX)),
        }
    }

    /// Creates a limiter that allows everything.
    #[must_use]
    pub fn off() -> Self {
        Self {
            rate: None,
            table: Arc::new(AddressTable::new(0)),
        }
    }

    /// Counts one action of the client of a request, which is given as `&RequestInfo` or as the [`AddressKey`] that a
    /// program keeps of it.
    ///
    /// # Errors
    ///
    /// [`RetryAfter`] if its address has acted too often. The action is not counted then.
    pub fn count(&self, client: impl Into<AddressKey>) -> Result<(), RetryAfter> {
        match (client.into().key(), self.rate) {
            (Some(key), Some(rate)) => self.table.count(key, rate, Instant::now()),
            _ => Ok(()),
        }
    }

    /// Returns what [`AddressRateLimiter::count`] would, without counting. A program calls this before it checks a
    /// key of which it counts only the wrong ones.
    ///
    /// # Errors
    ///
    /// The errors of [`AddressRateLimiter::count`].
    pub fn check(&self, client: impl Into<AddressKey>) -> Result<(), RetryAfter> {
        match (client.into().key(), self.rate) {
            (Some(key), Some(rate)) => self.table.check(key, rate, Instant::now()),
            _ => Ok(()),
        }
    }
}

/// Addresses. A full table takes some 6 MiB.
const ADDRESSES_MAX: usize = 65_536;
