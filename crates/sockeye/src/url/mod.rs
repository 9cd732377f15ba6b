//! URLs with a host, parsed as the URL Standard parses its special schemes. Tests compare the result with that of the crate
//! `url`, which brings 28 packages.
//!
//! ```text
//!   text ──> Url { scheme, user, Host, port, path, query, fragment } <── join(text)
//!                                │
//!                   Domain (IDNA, feature `idn`) | IPv4 | IPv6
//! ```

mod error;
mod host;
mod url;

#[cfg(test)]
mod tests;

pub(crate) use error::UrlError;
pub(crate) use host::Host;
pub(crate) use url::Url;
