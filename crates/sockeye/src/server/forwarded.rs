//! For whom a proxy speaks: `Forwarded` (RFC 7239), and the `X-Forwarded-…` that were there before it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

use super::origin::Tls;
use crate::{Error, ErrorKind, Request, network::Network};

/// Whose word about others is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

/// What a trusted proxy tells of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The nearest address that isn't trusted; if all are, the farthest.
    pub(crate) client_addr: Option<IpAddr>,
    /// Whether the client uses TLS.
    pub(crate) tls: Option<Tls>,
    /// Host and port that the client has asked for.
    pub(crate) host: Option<String>,
}

/// One element of `Forwarded`: a request as one of the proxies has got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hop {
    /// `None` if it isn't told, or is told in a way that we can't follow.
    from: Option<IpAddr>,
    tls: Option<Tls>,
    host: Option<String>,
}

impl TrustedProxies {
    /// # Errors
    ///
    /// Kind `Config`, for what is neither an address nor a range.
    pub(crate) fn parse(networks: &[String]) -> Result<Self, Error> {
        let parse = |text: &String| {
            Network::parse(text).ok_or_else(|| {
                let message =
                    format!("{text:?} is no network; allowed: 127.0.0.1, 10.0.0.0/8, fd00::/8");
                Error::new(ErrorKind::Config, message)
            })
        };
        networks
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What is known of the request beyond its own address; nothing if that isn't trusted.
    pub(crate) fn told(&self, request: &Request) -> Told {
        match request.peer_addr {
            Some(peer) if self.trusts(peer.ip()) => self.told_by(peer.ip(), request.headers()),
            _ => Told::default(),
        }
    }

    fn trusts(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(addr))
    }

    fn told_by(&self, proxy: IpAddr, headers: &HeaderMap) -> Told {
        let forwarded = forwarded(headers);
        let x_forwarded: Vec<Hop> = elements(headers, &X_FORWARDED_FOR)
            .map(|node| Hop {
                from: parse_node(node),
                ..Hop::default()
            })
            .collect();
        let client = match (forwarded.is_empty(), x_forwarded.is_empty()) {
            (_, true) => self.client(proxy, &forwarded),
            (true, false) => self.client(proxy, &x_forwarded),
            (false, false) => {
                let (one, other) = (
                    self.client(proxy, &forwarded),
                    self.client(proxy, &x_forwarded),
                );
                // The proxy writes one of them, and whoever is behind it may have written the other.
                if one.0 != other.0 {
                    tracing::debug!(%proxy, "Forwarded and X-Forwarded-For disagree: neither is believed");
                    return Told::default();
                }
                one
            }
        };
        let (client_addr, hop) = client;
        let x_proto = || {
            elements(headers, &X_FORWARDED_PROTO)
                .last()
                .and_then(parse_proto)
        };
        let x_host = || {
            elements(headers, &X_FORWARDED_HOST)
                .last()
                .map(str::to_owned)
        };
        Told {
            client_addr: Some(client_addr),
            tls: hop.and_then(|hop| hop.tls).or_else(x_proto),
            host: hop.and_then(|hop| hop.host.clone()).or_else(x_host),
        }
    }

    /// Goes back from `proxy` as far as the word of each is trusted. The address that is reached, and the
    /// hop that has told it.
    fn client<'h>(&self, proxy: IpAddr, hops: &'h [Hop]) -> (IpAddr, Option<&'h Hop>) {
        let mut reached = (proxy.to_canonical(), None);
        for hop in hops.iter().rev() {
            match hop.from {
                Some(from) if self.trusts(reached.0) => reached = (from, Some(hop)),
                _ => break,
            }
        }
        reached
    }
}

/// The elements of all `Forwarded` fields, the nearest proxy's last. None if one of the fields is malformed:
/// where one element ends and the next begins can't be told then.
fn forwarded(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops = Vec::new();
    for value in headers.get_all(header::FORWARDED) {
        match value.to_str().ok().and_then(parse_forwarded) {
            Some(more) => hops.extend(more),
            None => return Vec::new(),
        }
    }
    hops
}

/// RFC 7239 section 4: elements between commas, of pairs between semicolons.
fn parse_forwarded(value: &str) -> Option<Vec<Hop>> {
    let mut hops = vec![Hop::default()];
    let mut rest = value.trim();
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix([';', ',']) {
            if rest.starts_with(',') {
                hops.push(Hop::default());
            }
            rest = next.trim_start();
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        // Or what a client wrote could swallow the beginning of what the proxy adds.
        if !name.bytes().all(is_token) {
            return None;
        }
        let (text, after) = take_value(after)?;
        let hop = hops.last_mut()?;
        match () {
            () if name.eq_ignore_ascii_case("for") => hop.from = parse_node(&text),
            () if name.eq_ignore_ascii_case("proto") => hop.tls = parse_proto(&text),
            () if name.eq_ignore_ascii_case("host") => hop.host = Some(text),
            () => {}
        }
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with([';', ',']) {
            return None;
        }
    }
    Some(hops)
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A token or a quoted string, and what follows it.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (!token.is_empty() && !token.contains('"')).then(|| (token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// The parts between commas of all fields of that name, without those that are empty.
fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter();
    values
        // What can't be read stays a part, so that it isn't stepped over.
        .map(|value| value.to_str().unwrap_or("?"))
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// RFC 7239 section 6, and what is written in its place: an address with or without a port, IPv6 with or
/// without brackets, quoted or not. `None` for `unknown`, for what hides behind `_`, and for garbage.
fn parse_node(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let addr = text
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
        .or_else(|| {
            // In brackets without a port, or with one that hides.
            let (addr, port) = text.strip_prefix('[')?.split_once(']')?;
            let addr = addr.parse().ok().map(IpAddr::V6)?;
            (port.is_empty() || port.starts_with(":_")).then_some(addr)
        })
        .or_else(|| {
            let (addr, _) = text.split_once(":_")?;
            Some(IpAddr::V4(addr.parse::<Ipv4Addr>().ok()?))
        })?;
    Some(addr.to_canonical())
}

fn parse_proto(text: &str) -> Option<Tls> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    match () {
        () if is("https") || is("wss") => Some(Tls::Yes),
        () if is("http") || is("ws") => Some(Tls::No),
        () => None,
    }
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests;
