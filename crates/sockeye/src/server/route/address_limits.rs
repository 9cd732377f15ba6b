//! What one client address may take of a server.

use std::{net::IpAddr, sync::Arc, time::Instant};

use crate::{
    address::{AddressKey, AddressPermit, AddressTable, Key, Rate, RetryAfter},
    cidr::Cidr,
    error::Error,
};

/// What one client address may take of a server: [`crate::Server::address_limits`].
///
/// The numbers are generous: behind one address there may be a whole company, or thousands of customers of a
/// network without enough addresses of its own. They keep one machine from taking everything, no more.
///
/// Of IPv6 the first 64 bits count, since whoever has one address there has them all. A request that a
/// trusted proxy passes on counts for the address that the proxy names, and the proxy's own connections are
/// not counted; requests of which nothing can be believed count for the proxy's address, all together.
///
/// Beyond a limit the answer is 429 with `Retry-After`, before 101. Beyond those that can be told at the same
/// time, connections are just closed.
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
    /// Connections at the same time; each WebSocket that a proxy passes on, or that is one of many in an
    /// HTTP/2 connection, counts as one. Default 16,384.
    pub connections_max: u32,
    /// Connections that begin, and WebSockets that a proxy passes on or that are asked for on a connection
    /// that has begun before. `None`: any number. Default 500 a second, 10,000 at once.
    pub handshakes: Option<Rate>,
    /// Addresses (`192.0.2.1`) and ranges (`10.0.0.0/8`) that are not limited. Default the machine's own,
    /// `127.0.0.0/8` and `::1`: there are load tests, and proxies that nobody has told the server of.
    pub exempt: Vec<String>,
    /// Addresses of which something is known at the same time, some 100 bytes each. An address that finds no
    /// room isn't limited; the server's own limits count. Default 65,536.
    pub addresses_max: usize,
}

impl AddressLimits {
    /// No limits.
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
    /// Kind `Config`, for what is neither an address nor a range.
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

    /// What an address counts as, unless it is exempt.
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

    /// Counts one more connection of an address, as long as the permit lives. None if nothing is counted.
    pub(crate) fn enter(&self, key: Option<Key>) -> Result<Option<AddressPermit>, RetryAfter> {
        match key {
            Some(key) => self.table.enter(key, self.connections_max, Instant::now()),
            None => Ok(None),
        }
    }
}

/// How often each client address may do something: log in, post, show a key that is wrong. For a program's
/// own pages; [`AddressLimits`] are for the server's connections. Cheap to clone, and all clones count
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
/// Addresses count as [`AddressLimits`] says, and the exempt ones of the server are never refused. Of 65,536
/// addresses something is known at the same time, some 100 bytes each; one that finds no room isn't limited.
#[derive(Clone, Debug)]
pub struct AddressRateLimiter {
    rate: Option<Rate>,
    table: Arc<AddressTable>,
}

impl AddressRateLimiter {
    /// None has done it yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            rate: Some(rate),
            table: Arc::new(AddressTable::new(ADDRESSES_MAX)),
        }
    }

    /// Refuses nobody.
    #[must_use]
    pub fn off() -> Self {
        Self {
            rate: None,
            table: Arc::new(AddressTable::new(0)),
        }
    }

    /// Counts that the client of a request does it: `&RequestInfo`, or what is kept of it.
    ///
    /// # Errors
    ///
    /// Its address has done it too often. It isn't counted then.
    pub fn count(&self, client: impl Into<AddressKey>) -> Result<(), RetryAfter> {
        match (client.into().key(), self.rate) {
            (Some(key), Some(rate)) => self.table.count(key, rate, Instant::now()),
            _ => Ok(()),
        }
    }

    /// Whether [`AddressRateLimiter::count`] would be an error, without counting: before a key is looked at
    /// that is counted only if it is wrong.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn check(&self, client: impl Into<AddressKey>) -> Result<(), RetryAfter> {
        match (client.into().key(), self.rate) {
            (Some(key), Some(rate)) => self.table.check(key, rate, Instant::now()),
            _ => Ok(()),
        }
    }
}

/// Addresses in a table: some 6 MiB if all of them have something to remember.
const ADDRESSES_MAX: usize = 65_536;
