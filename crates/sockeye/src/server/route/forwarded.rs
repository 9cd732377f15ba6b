//! What proxies say about their clients: `Forwarded` (RFC 7239), and the older `X-Forwarded-…` fields.

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
    log_limit::LogLimit,
    server::route::address_limits::Addresses,
};

/// The proxies whose forwarding fields the server believes.
#[derive(Debug, Default)]
pub(crate) struct TrustedProxies {
    cidrs: Vec<Cidr>,
    /// Whether peers without an address are trusted: Unix sockets.
    trusts_unix: bool,
    log_limit: LogLimit,
}

/// What a trusted proxy says about a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    /// The address nearest to the server that isn't trusted. If all are trusted, the farthest one.
    pub(crate) client_addr: Option<IpAddr>,
    /// Whether the client uses TLS.
    pub(crate) tls: Option<Tls>,
    /// Host and port that the client has asked for.
    pub(crate) host: Option<Arc<str>>,
    /// Whether the forwarding fields are not believed. All other fields are `None` then.
    pub(crate) is_rejected: bool,
}

/// Why the server believes none of the forwarding fields of a request. A client could have written them: a proxy
/// removes only the fields that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ForwardedError {
    /// A field can't be parsed. It doesn't count as absent, because a client could then have another field believed.
    Malformed(&'static str),
    /// `Forwarded` and `X-Forwarded-…` say different things.
    Disagreement,
}

/// One element of `Forwarded`, which one proxy has written about the request it received. The values are kept as
/// text, because the server parses only those of trusted proxies: clients can write what they like in the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ForwardedElement {
    from: Option<String>,
    proto: Option<String>,
    host: Option<String>,
}

/// The peer from which a proxy has received a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Addr(IpAddr),
    /// `unknown`, or a name that the proxy made up (RFC 7239 sections 6.2 and 6.3).
    Hidden,
}

/// The entry that stands for peers without an address, as in nginx's `set_real_ip_from`.
const UNIX: &str = "unix:";

/// Stands for the address of a trusted proxy that has none, so that all clients behind it whose fields are rejected
/// count as one.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl TrustedProxies {
    /// # Errors
    ///
    /// Kind `Config` if an entry is neither an address, nor a range, nor [`UNIX`].
    pub(crate) fn parse(entries: &[String]) -> Result<Self, Error> {
        let cidrs = entries.iter().filter(|entry| *entry != UNIX);
        let cidrs: Vec<String> = cidrs.cloned().collect();
        Ok(Self {
            trusts_unix: cidrs.len() < entries.len(),
            cidrs: Cidr::parse_all(&cidrs)?,
            log_limit: LogLimit::default(),
        })
    }

    /// Returns what the client has asked for, as far as the server believes it. `headers` is called only if the peer
    /// is a trusted proxy.
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
            is_rejected,
        } = self.forwarded(peer, headers);
        let client_addr = client_addr.or(peer);
        let key = match is_rejected {
            // Otherwise a client could avoid its limits by forging fields.
            true => Some(Key::of(client_addr.unwrap_or(NO_ADDRESS))),
            false => client_addr
                .filter(|addr| !self.trusts(*addr))
                .and_then(|addr| addresses.key(addr)),
        };
        let host = host.or_else(|| shown.host.map(Arc::from));
        RequestInfo::new(tls.unwrap_or(shown.tls), host, client_addr, key)
    }

    /// Returns what the forwarding fields say. Empty if the peer isn't a trusted proxy, or if the fields are not
    /// believed.
    pub(crate) fn forwarded<'h>(
        &self,
        peer: Option<IpAddr>,
        headers: impl FnOnce() -> &'h HeaderMap,
    ) -> Forwarded {
        if !self.trusts_peer(peer) {
            return Forwarded::default();
        }
        self.read_trusted(peer, headers()).unwrap_or_else(|error| {
            if let Some(suppressed) = self.log_limit.due(Instant::now()) {
                tracing::warn!(
                    proxy = peer.map(display),
                    suppressed,
                    "{}: no forwarding field of this request is believed; let the proxy set or remove Forwarded, \
                     X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host",
                    error.text()
                );
            }
            Forwarded::rejected()
        })
    }

    pub(crate) fn trusts(&self, addr: IpAddr) -> bool {
        self.cidrs.iter().any(|cidr| cidr.contains(addr))
    }

    /// Returns whether a peer is trusted. One without an address is a Unix socket, or a stream that the program has passed
    /// to the server.
    fn trusts_peer(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.trusts_unix, |peer| self.trusts(peer))
    }

    fn read_trusted(
        &self,
        proxy: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Forwarded, ForwardedError> {
        let standard = self.read_standard(proxy, headers)?;
        standard.merged(self.read_x_forwarded(proxy, headers)?)
    }

    fn read_standard(
        &self,
        proxy: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Forwarded, ForwardedError> {
        let malformed = ForwardedError::Malformed("Forwarded");
        let elements = parse_forwarded_fields(headers).ok_or(malformed)?;
        let mut forwarded = Forwarded::default();
        // From the last element backwards, as long as the proxy that wrote it is trusted.
        for element in elements.iter().rev() {
            let proxy = forwarded.client_addr.or(proxy);
            if !self.trusts_peer(proxy) {
                break;
            }
            let node = ok_or_malformed(element.from.as_deref().map(parse_node)).ok_or(malformed)?;
            let proto = element.proto.as_deref().map(parse_proto);
            let host = element.host.as_deref().map(parse_host);
            forwarded = Forwarded {
                client_addr: match node {
                    Some(Node::Addr(addr)) => Some(addr),
                    Some(Node::Hidden) => proxy,
                    None => forwarded.client_addr,
                },
                tls: ok_or_malformed(proto).ok_or(malformed)?,
                host: ok_or_malformed(host).ok_or(malformed)?,
                is_rejected: false,
            };
            if !matches!(node, Some(Node::Addr(_))) {
                break;
            }
        }
        Ok(forwarded)
    }

    fn read_x_forwarded(
        &self,
        proxy: Option<IpAddr>,
        headers: &HeaderMap,
    ) -> Result<Forwarded, ForwardedError> {
        let mut client_addr = None;
        let nodes: Vec<&str> = list_items(headers, &X_FORWARDED_FOR).collect();
        for node in nodes.into_iter().rev() {
            let proxy = client_addr.or(proxy);
            if !self.trusts_peer(proxy) {
                break;
            }
            let node = parse_node(node).ok_or(ForwardedError::Malformed("X-Forwarded-For"))?;
            match node {
                Node::Addr(addr) => client_addr = Some(addr),
                Node::Hidden => {
                    client_addr = proxy;
                    break;
                }
            }
        }
        // The nearest proxy has written the last value. Which address the others belong to can't be told.
        let proto = list_items(headers, &X_FORWARDED_PROTO).last();
        let host = list_items(headers, &X_FORWARDED_HOST).last();
        Ok(Forwarded {
            client_addr,
            tls: ok_or_malformed(proto.map(parse_proto))
                .ok_or(ForwardedError::Malformed("X-Forwarded-Proto"))?,
            host: ok_or_malformed(host.map(parse_host))
                .ok_or(ForwardedError::Malformed("X-Forwarded-Host"))?,
            is_rejected: false,
        })
    }
}

impl Forwarded {
    fn rejected() -> Self {
        Self {
            is_rejected: true,
            ..Self::default()
        }
    }

    /// Joins what the two kinds of fields say. The proxy writes one of them, and a client may have written the other.
    fn merged(self, other: Self) -> Result<Self, ForwardedError> {
        Ok(Self {
            client_addr: agreed(self.client_addr, other.client_addr)?,
            tls: agreed(self.tls, other.tls)?,
            host: agreed(self.host, other.host)?,
            is_rejected: false,
        })
    }
}

impl ForwardedError {
    fn text(self) -> String {
        match self {
            Self::Malformed(name) => format!("{name} is malformed"),
            Self::Disagreement => "Forwarded and X-Forwarded-… disagree".to_owned(),
        }
    }
}

fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Result<Option<T>, ForwardedError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(ForwardedError::Disagreement),
        (one, other) => Ok(one.or(other)),
    }
}

/// Returns `None` for a value that is there and can't be parsed.
fn ok_or_malformed<T>(parsed: Option<Option<T>>) -> Option<Option<T>> {
    match parsed {
        Some(None) => None,
        Some(read) => Some(read),
        None => Some(None),
    }
}

/// Returns the elements of all `Forwarded` fields, the nearest proxy's last. `None` if one of the fields is
/// malformed, because then it is unclear where one element ends and the next begins.
fn parse_forwarded_fields(headers: &HeaderMap) -> Option<Vec<ForwardedElement>> {
    let mut elements = Vec::new();
    for value in headers.get_all(header::FORWARDED) {
        elements.extend(value.to_str().ok().and_then(parse_forwarded)?);
    }
    Some(elements)
}

/// Parses one field. RFC 7239 section 4: commas separate elements, semicolons separate pairs.
fn parse_forwarded(value: &str) -> Option<Vec<ForwardedElement>> {
    let mut elements = vec![ForwardedElement::default()];
    let mut rest = value.trim();
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix([';', ',']) {
            if rest.starts_with(',') {
                elements.push(ForwardedElement::default());
            }
            rest = next.trim_start();
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        // Otherwise the text of a client could swallow the beginning of what the proxy adds.
        if !name.bytes().all(is_token) {
            return None;
        }
        let (text, after) = take_value(after)?;
        let element = elements.last_mut()?;
        let parameter = match () {
            () if name.eq_ignore_ascii_case("for") => Some(&mut element.from),
            () if name.eq_ignore_ascii_case("proto") => Some(&mut element.proto),
            () if name.eq_ignore_ascii_case("host") => Some(&mut element.host),
            () => None,
        };
        // RFC 7239 section 4: each parameter at most once in an element.
        if parameter.is_some_and(|parameter| parameter.replace(text).is_some()) {
            return None;
        }
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with([';', ',']) {
            return None;
        }
    }
    Some(elements)
}

/// Returns whether the byte may be in a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Splits a token or a quoted string off the beginning of `text`.
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

/// Returns the non-empty parts between commas of all fields of that name.
fn list_items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        // A part that can't be read stays a part, so that it isn't skipped.
        .map(|part| str::from_utf8(part).unwrap_or("?").trim())
        .filter(|part| !part.is_empty())
}

/// Parses a node (RFC 7239 section 6), and what proxies write instead: an address with or without a port, IPv6 with
/// or without brackets, quoted or not. `None` for anything else.
fn parse_node(text: &str) -> Option<Node> {
    let text = text.trim_matches('"');
    let addr = text
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
        .or_else(|| {
            // In brackets, without a port or with an obfuscated one.
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

/// Returns whether the text is `unknown` or an obfuscated name, with or without a port.
fn is_hidden(text: &str) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_port = |port: &str| is_obfuscated(port) || port.parse::<u16>().is_ok();
    (name.eq_ignore_ascii_case("unknown") || is_obfuscated(name)) && port.is_none_or(is_port)
}

/// Returns whether the text is an obfuscated name (RFC 7239 section 6.3).
fn is_obfuscated(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let name = text.strip_prefix('_').unwrap_or_default();
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// Parses a host with or without a port. Returns it in lower case, so that two of them can be compared.
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
