//! Dials a target: resolves its name, connects TCP or a Unix socket, goes through a proxy, adds TLS.

use std::{io, net::SocketAddr, path::Path};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    Limits,
    client::{
        address_overrides::AddressOverrides,
        happy_eyeballs,
        phase::{Timeouts, within},
        proxy::{Destination, Proxy, ProxyScheme, ProxyServer, Socks5Error, socks5, tunnel},
        target::Target,
        unix_dial,
    },
    connection::Stream,
    error::{Error, ErrorKind},
    tls::{Alpn, ClientTls},
    url::Host,
};

/// The options of dialling.
pub(crate) struct Dialer<'a> {
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) addresses: &'a AddressOverrides,
    /// Where to connect instead of TCP and of the proxy.
    pub(crate) unix_socket: Option<&'a Path>,
    pub(crate) proxy: Option<&'a Proxy>,
    pub(crate) tls: &'a ClientTls,
    pub(crate) limits: &'a Limits,
}

/// A stream of bytes to the server, through TLS if the target has it.
pub(crate) struct DialedStream {
    pub(crate) stream: Box<dyn Stream>,
    /// The address of the TCP peer, which is the proxy if there is one. `None` for a Unix socket.
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) http: HttpVersion,
}

/// The version that ALPN has chosen; HTTP/1.1 without ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    Http1,
    Http2,
}

impl Dialer<'_> {
    /// Connects to `target`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what is open. A lookup that has begun ends in its own thread.
    pub(crate) async fn dial(&self, target: &Target, alpn: Alpn) -> Result<DialedStream, Error> {
        if target.is_tls() {
            self.tls.check()?;
        }
        let (stream, peer_addr) = match self.unix_socket {
            Some(path) => (unix_dial::dial(path, self.timeouts.connect).await?, None),
            None => {
                let proxy = self.proxy.and_then(|proxy| proxy.server_for(target));
                let (stream, peer_addr) = match proxy {
                    Some(proxy) => self.connect_through(proxy, target).await?,
                    None => self.connect(&target.host, target.port).await?,
                };
                (stream, Some(peer_addr))
            }
        };
        let mut dialed = DialedStream {
            stream,
            peer_addr,
            http: HttpVersion::Http1,
        };
        if target.is_tls() {
            let handshake = self.tls.connect(dialed.stream, &target.host, alpn);
            let what = format!("the TLS handshake with {}", target.authority());
            let secured = within(self.timeouts.tls, what, handshake).await?;
            if secured.is_http2 {
                dialed.http = HttpVersion::Http2;
            }
            dialed.stream = secured.stream;
        }
        Ok(dialed)
    }

    async fn connect_through(
        &self,
        proxy: &ProxyServer,
        target: &Target,
    ) -> Result<(Box<dyn Stream>, SocketAddr), Error> {
        let destinations = match (proxy.scheme, &target.host) {
            (ProxyScheme::Http | ProxyScheme::Https, _) => Vec::new(),
            (ProxyScheme::Socks5h, Host::Domain(name)) => {
                vec![Destination::Name(name, target.port)]
            }
            (ProxyScheme::Socks5 | ProxyScheme::Socks5h, host) => {
                let addresses = self.resolve(host, target.port).await?;
                addresses
                    .into_iter()
                    .map(Destination::Address)
                    .take(SOCKS_ADDRESSES_MAX)
                    .collect()
            }
        };
        if proxy.is_http() {
            let (mut stream, peer_addr) = self.connect_to_proxy(proxy).await?;
            let authority = target.authority();
            let what = format!("CONNECT {authority} by proxy {proxy}");
            let tunnel = tunnel(&mut stream, proxy, &authority, self.limits);
            within(self.timeouts.proxy, what, tunnel).await?;
            return Ok((stream, peer_addr));
        }
        let mut last = None;
        for destination in &destinations {
            let (mut stream, peer_addr) = self.connect_to_proxy(proxy).await?;
            let what = format!("connecting to {} by proxy {proxy}", target.authority());
            let attempt =
                async { Ok(socks5(&mut stream, destination, proxy.credentials.as_ref()).await) };
            match within(self.timeouts.proxy, what, attempt).await? {
                Ok(()) => return Ok((stream, peer_addr)),
                Err(error) if error.is_about_address() => last = Some(error),
                Err(error) => return Err(socks5_error(proxy, target, error)),
            }
        }
        match last {
            Some(error) => Err(socks5_error(proxy, target, error)),
            None => Err(no_address(&target.host)),
        }
    }

    async fn connect_to_proxy(
        &self,
        proxy: &ProxyServer,
    ) -> Result<(Box<dyn Stream>, SocketAddr), Error> {
        let is_tls = proxy.scheme == ProxyScheme::Https;
        if is_tls {
            proxy.tls.check()?;
        }
        let (stream, peer_addr) = self.connect(&proxy.host, proxy.port).await?;
        if !is_tls {
            return Ok((stream, peer_addr));
        }
        let handshake = proxy.tls.connect(stream, &proxy.host, Alpn::Http1);
        let what = format!("the TLS handshake with proxy {proxy}");
        let secured = within(self.timeouts.tls, what, handshake).await?;
        Ok((secured.stream, peer_addr))
    }

    async fn connect(
        &self,
        host: &Host,
        port: u16,
    ) -> Result<(Box<dyn Stream>, SocketAddr), Error> {
        let addresses = self.resolve(host, port).await?;
        let limit = self.timeouts.connect;
        let attempt = async |address| match timeout(limit, TcpStream::connect(address)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("took longer than {limit:?}"),
            )),
        };
        match happy_eyeballs::race(addresses, attempt).await {
            Ok((stream, address)) => {
                // Whole frames are written, so a delay for more bytes gains nothing.
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), address))
            }
            Err(failed) if failed.is_empty() => Err(no_address(host)),
            Err(failed) => Err(unconnected(host, port, &failed)),
        }
    }

    async fn resolve(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, Error> {
        if let Some(addresses) = self.addresses.find(host, port) {
            return Ok(addresses);
        }
        let name = match host {
            Host::Ipv4(address) => return Ok(vec![(*address, port).into()]),
            Host::Ipv6(address) => return Ok(vec![(*address, port).into()]),
            Host::Domain(name) => name,
        };
        let lookup = async {
            let addresses = lookup_host((name.as_str(), port)).await.map_err(|error| {
                Error::new(ErrorKind::Resolve, format!("resolving {name} failed"))
                    .with_source(error)
            })?;
            Ok(addresses.collect())
        };
        within(self.timeouts.resolve, format!("resolving {name}"), lookup).await
    }
}

fn no_address(host: &Host) -> Error {
    Error::new(ErrorKind::Resolve, format!("{host} has no address"))
}

fn socks5_error(proxy: &ProxyServer, target: &Target, error: Socks5Error) -> Error {
    let message = format!("proxy {proxy} didn't connect to {}", target.authority());
    let kind = match error {
        Socks5Error::Io(_) => ErrorKind::Io,
        _ => ErrorKind::Proxy,
    };
    Error::new(kind, message).with_source(error)
}

/// Makes one error of all attempts, in one line.
fn unconnected(host: &Host, port: u16, failed: &[(SocketAddr, io::Error)]) -> Error {
    let all_timed_out = failed
        .iter()
        .all(|(_, error)| error.kind() == io::ErrorKind::TimedOut);
    let kind = if all_timed_out {
        ErrorKind::Timeout
    } else {
        ErrorKind::Io
    };
    let attempts: Vec<String> = failed
        .iter()
        .map(|(address, error)| format!("{address}: {error}"))
        .collect();
    Error::new(
        kind,
        format!(
            "connecting to {host}:{port} failed ({})",
            attempts.join("; ")
        ),
    )
}

/// Addresses. A proxy tries them one after the other, so the waits for many dead ones would add up.
const SOCKS_ADDRESSES_MAX: usize = 4;
