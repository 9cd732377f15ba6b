//! For whom a proxy speaks: `Forwarded` (RFC 7239), and the `X-Forwarded-…` that were there before it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use http::{HeaderMap, HeaderName, header};
use sockeye_proto::handshake::is_authority;

use crate::{
    address::Key,
    cidr::Cidr,
    error::Error,
    handshake::{RequestInfo, Shown, Tls},
    server::route::{address_limits::Addresses, log_limit::LogLimit},
};

/// Whose word about others is taken.
#[derive(Debug, Default)]
pub(crate) struct TrustedProxies {
    cidrs: Vec<Cidr>,
    complaints: LogLimit,
}

/// What a trusted proxy tells of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    /// The nearest address that isn't trusted; if all are, the farthest.
    pub(crate) client_addr: Option<IpAddr>,
    /// Whether the client uses TLS.
    pub(crate) tls: Option<Tls>,
    /// Host and port that the client has asked for.
    pub(crate) host: Option<Arc<str>>,
    /// Whether something was told and can't be believed. Nothing else is here then.
    pub(crate) is_doubted: bool,
}

/// Why nothing of what a trusted proxy has passed on is believed. Whoever is behind it could have written it:
/// a proxy removes only the fields that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LatePeer {
    /// A field that can't be read. It doesn't count as absent: that would be a way to have another one
    /// believed.
    Malformed(&'static str),
    /// `Forwarded` and `X-Forwarded-…` say different things.
    Disagreement,
}

/// One element of `Forwarded`: a request as one of the proxies has got it. As it was written, since most
/// elements are a stranger's, and whether those can be read doesn't matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hop {
    from: Option<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// From whom a proxy has got a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Addr(IpAddr),
    /// `unknown`, or a name that the proxy made up (RFC 7239 sections 6.2 and 6.3).
    Hidden,
}

impl TrustedProxies {
    /// # Errors
    ///
    /// Kind `Config`, for what is neither an address nor a range.
    pub(crate) fn parse(cidrs: &[String]) -> Result<Self, Error> {
        Ok(Self {
            cidrs: Cidr::parse_all(cidrs)?,
            complaints: LogLimit::default(),
        })
    }

    /// Returns what the server takes a request for. `headers` are looked at only if the peer is a trusted proxy.
    pub(crate) fn request_info<'h>(
        &self,
        shown: Shown<'_>,
        addresses: &Addresses,
        headers: impl FnOnce() -> &'h HeaderMap,
    ) -> RequestInfo {
        let peer = shown.peer_addr.map(|addr| addr.ip().to_canonical());
        let Forwarded {
            client_addr,
            tls,
            host,
            is_doubted,
        } = self.told(peer, headers);
        let client_addr = client_addr.or(peer);
        let key = match is_doubted {
            // Or a request that can't be believed would be a way around the limits.
            true => client_addr.map(Key::of),
            false => client_addr
                .filter(|addr| !self.trusts(*addr))
                .and_then(|addr| addresses.key(addr)),
        };
        let host = host.or_else(|| shown.host.map(Arc::from));
        RequestInfo::new(tls.unwrap_or(shown.tls), host, client_addr, key)
    }

    /// What is known of a request beyond its connection; nothing if the peer isn't trusted, or nothing of
    /// what it says can be believed.
    pub(crate) fn told<'h>(
        &self,
        peer: Option<IpAddr>,
        headers: impl FnOnce() -> &'h HeaderMap,
    ) -> Forwarded {
        let Some(proxy) = peer.filter(|peer| self.trusts(*peer)) else {
            return Forwarded::default();
        };
        self.told_by(proxy, headers()).unwrap_or_else(|late_peer| {
            if let Some(untold) = self.complaints.due(Instant::now()) {
                tracing::warn!(
                    %proxy,
                    untold,
                    "{}: no forwarding field of this request is believed; let the proxy set or remove Forwarded, \
                     X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host",
                    late_peer.text()
                );
            }
            Forwarded::doubted()
        })
    }

    pub(crate) fn trusts(&self, addr: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(addr))
    }

    fn told_by(&self, proxy: IpAddr, headers: &HeaderMap) -> Result<Forwarded, LatePeer> {
        let standard = self.by_forwarded(proxy, headers)?;
        standard.joined(self.by_x_forwarded(proxy, headers)?)
    }

    fn by_forwarded(&self, proxy: IpAddr, headers: &HeaderMap) -> Result<Forwarded, LatePeer> {
        let malformed = LatePeer::Malformed("Forwarded");
        let hops = forwarded(headers).ok_or(malformed)?;
        let mut told = Forwarded::default();
        // Back from the proxy as far as the word of each is trusted.
        for hop in hops.iter().rev() {
            let proxy = told.client_addr.unwrap_or(proxy);
            if !self.trusts(proxy) {
                break;
            }
            let node = transposed(hop.from.as_deref().map(parse_node)).ok_or(malformed)?;
            let proto = hop.proto.as_deref().map(parse_proto);
            let host = hop.host.as_deref().map(parse_host);
            told = Forwarded {
                client_addr: match node {
                    Some(Node::Addr(addr)) => Some(addr),
                    Some(Node::Hidden) => Some(proxy),
                    None => told.client_addr,
                },
                tls: transposed(proto).ok_or(malformed)?,
                host: transposed(host).ok_or(malformed)?,
                is_doubted: false,
            };
            if !matches!(node, Some(Node::Addr(_))) {
                break;
            }
        }
        Ok(told)
    }

    fn by_x_forwarded(&self, proxy: IpAddr, headers: &HeaderMap) -> Result<Forwarded, LatePeer> {
        let mut client_addr = None;
        let nodes: Vec<&str> = elements(headers, &X_FORWARDED_FOR).collect();
        for node in nodes.into_iter().rev() {
            let proxy = client_addr.unwrap_or(proxy);
            if !self.trusts(proxy) {
                break;
            }
            let node = parse_node(node).ok_or(LatePeer::Malformed("X-Forwarded-For"))?;
            match node {
                Node::Addr(addr) => client_addr = Some(addr),
                Node::Hidden => {
                    client_addr = Some(proxy);
                    break;
                }
            }
        }
        // The nearest proxy's word is the last one. There is no telling to which address the others belong.
        let proto = elements(headers, &X_FORWARDED_PROTO).last();
        let host = elements(headers, &X_FORWARDED_HOST).last();
        Ok(Forwarded {
            client_addr,
            tls: transposed(proto.map(parse_proto))
                .ok_or(LatePeer::Malformed("X-Forwarded-Proto"))?,
            host: transposed(host.map(parse_host))
                .ok_or(LatePeer::Malformed("X-Forwarded-Host"))?,
            is_doubted: false,
        })
    }
}

impl Forwarded {
    fn doubted() -> Self {
        Self {
            is_doubted: true,
            ..Self::default()
        }
    }

    /// What two kinds of fields tell together. The proxy writes one of them, and whoever is behind it may have
    /// written the other.
    fn joined(self, other: Self) -> Result<Self, LatePeer> {
        Ok(Self {
            client_addr: agreed(self.client_addr, other.client_addr)?,
            tls: agreed(self.tls, other.tls)?,
            host: agreed(self.host, other.host)?,
            is_doubted: false,
        })
    }
}

impl LatePeer {
    fn text(self) -> String {
        match self {
            Self::Malformed(name) => format!("{name} is malformed"),
            Self::Disagreement => "Forwarded and X-Forwarded-… disagree".to_owned(),
        }
    }
}

fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Result<Option<T>, LatePeer> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(LatePeer::Disagreement),
        (one, other) => Ok(one.or(other)),
    }
}

/// `None` for what is there and can't be read.
fn transposed<T>(parsed: Option<Option<T>>) -> Option<Option<T>> {
    match parsed {
        Some(None) => None,
        Some(read) => Some(read),
        None => Some(None),
    }
}

/// The elements of all `Forwarded` fields, the nearest proxy's last. `None` if one of the fields is malformed:
/// where one element ends and the next begins can't be told then.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    for value in headers.get_all(header::FORWARDED) {
        hops.extend(value.to_str().ok().and_then(parse_forwarded)?);
    }
    Some(hops)
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
        let parameter = match () {
            () if name.eq_ignore_ascii_case("for") => Some(&mut hop.from),
            () if name.eq_ignore_ascii_case("proto") => Some(&mut hop.proto),
            () if name.eq_ignore_ascii_case("host") => Some(&mut hop.host),
            () => None,
        };
        // Each at most once in an element.
        if parameter.is_some_and(|parameter| parameter.replace(text).is_some()) {
            return None;
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
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        // What can't be read stays a part, so that it isn't stepped over.
        .map(|part| str::from_utf8(part).unwrap_or("?").trim())
        .filter(|part| !part.is_empty())
}

/// RFC 7239 section 6, and what is written in its place: an address with or without a port, IPv6 with or
/// without brackets, quoted or not. `None` for garbage.
fn parse_node(text: &str) -> Option<Node> {
    let text = text.trim_matches('"');
    let addr = text
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
        .or_else(|| {
            // In brackets without a port, or with one that hides.
            let (addr, port) = text.strip_prefix('[')?.split_once(']')?;
            let addr = addr.parse().ok().map(IpAddr::V6)?;
            (port.is_empty() || port.strip_prefix(':').is_some_and(is_obfuscated)).then_some(addr)
        })
        .or_else(|| {
            let (addr, port) = text.split_once(':')?;
            let addr = addr.parse::<Ipv4Addr>().ok()?;
            is_obfuscated(port).then_some(IpAddr::V4(addr))
        });
    match addr {
        Some(addr) => Some(Node::Addr(addr.to_canonical())),
        None => is_hidden(text).then_some(Node::Hidden),
    }
}

/// `unknown` or an obfuscated name, with or without a port.
fn is_hidden(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_port = |port: &str| is_obfuscated(port) || port.parse::<u16>().is_ok();
    (name.eq_ignore_ascii_case("unknown") || is_obfuscated(name)) && port.is_none_or(is_port)
}

/// RFC 7239 section 6.3.
fn is_obfuscated(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let name = text.strip_prefix('_').unwrap_or_default();
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// In small letters, so that two of them can be compared.
fn parse_host(text: &str) -> Option<Arc<str>> {
    is_authority(text).then(|| text.to_ascii_lowercase().into())
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
