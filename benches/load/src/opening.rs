//! Connections: dialled, upgraded, and ready to carry messages.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::{
    cycle::Wire,
    lane::Lane,
    line::Line,
    squeezed::{Deflate, Unsqueezer},
    wrong::Wrong,
};

/// How connections are opened.
#[derive(Debug)]
pub(crate) struct Opening {
    address: SocketAddr,
    wire: Wire,
    deflate: Option<Deflate>,
    tls: Option<Arc<ClientConfig>>,
}

impl Opening {
    /// Without TLS and without compression.
    pub(crate) fn new(address: SocketAddr, wire: Wire) -> Self {
        Self {
            address,
            wire,
            deflate: None,
            tls: None,
        }
    }

    /// The same with compression.
    pub(crate) fn deflate(mut self, deflate: Option<Deflate>) -> Self {
        self.deflate = deflate;
        self
    }

    /// The same with TLS, if there is a file with the certificate that is trusted.
    pub(crate) fn tls(mut self, trusted: Option<&Path>) -> Result<Self, Wrong> {
        let Some(trusted) = trusted else {
            return Ok(self);
        };
        let failed = |error| Wrong::System("the trusted certificate", io::Error::other(error));
        let mut roots = RootCertStore::empty();
        let certificate =
            CertificateDer::from_pem_file(trusted).map_err(|error| failed(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| failed(error.to_string()))?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        self.tls = Some(Arc::new(config));
        Ok(self)
    }

    /// Dials one connection after the other and upgrades each: it is done once, before the clock starts.
    pub(crate) fn open(&self, path: &str, count: usize) -> Result<Vec<Lane>, Wrong> {
        let request = request(self.address, path, self.deflate);
        (0..count)
            .map(|number| self.one(&request, number))
            .collect()
    }

    fn one(&self, request: &[u8], number: usize) -> Result<Lane, Wrong> {
        let mut socket = dial(self.address)?;
        let mut tls = None;
        if let Some(config) = &self.tls {
            let name = ServerName::from(self.address.ip());
            let session = ClientConnection::new(Arc::clone(config), name)
                .map_err(|error| Wrong::Answer(format!("TLS: {error}")))?;
            let session = tls.insert(Box::new(session));
            // Larger than what sixteen messages need: they are cut by the kernel's room, not by this.
            session.set_buffer_limit(Some(TLS_BYTES_MAX));
            let head = upgrade(
                &mut rustls::Stream::new(&mut **session, &mut socket),
                request,
            )?;
            self.check(&head)?;
        } else if self.wire == Wire::WebSocket {
            let head = upgrade(&mut socket, request)?;
            self.check(&head)?;
        }
        socket
            .set_nonblocking(true)
            .map_err(Wrong::system("non-blocking"))?;
        let unsqueezer = self
            .deflate
            .map(|deflate| Box::new(Unsqueezer::new(deflate, number)));
        Ok(Lane::new(Line::new(socket, tls), unsqueezer))
    }

    /// Compression that was offered has to be accepted, or something else would be measured.
    fn check(&self, head: &str) -> Result<(), Wrong> {
        if self.deflate.is_some() && !head.contains("permessage-deflate") {
            return Err(Wrong::Answer("no compression".into()));
        }
        Ok(())
    }
}

fn dial(address: SocketAddr) -> Result<TcpStream, Wrong> {
    let socket = TcpStream::connect(address).map_err(Wrong::system("connecting"))?;
    socket.set_nodelay(true).map_err(Wrong::system("nodelay"))?;
    let limit = Some(OPENING_TIMEOUT);
    socket
        .set_read_timeout(limit)
        .map_err(Wrong::system("read timeout"))?;
    Ok(socket)
}

/// The request for an upgrade. The key is the one of RFC 6455 section 1.3, whose answer is known.
pub(crate) fn request(address: SocketAddr, path: &str, deflate: Option<Deflate>) -> Vec<u8> {
    let extensions = deflate.map_or(String::new(), |deflate| {
        format!("Sec-WebSocket-Extensions: {}\r\n", deflate.offer())
    });
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
    .into_bytes()
}

/// Sends the request and reads the response, no byte further.
pub(crate) fn upgrade<S: Read + Write>(socket: &mut S, request: &[u8]) -> Result<String, Wrong> {
    socket
        .write_all(request)
        .map_err(Wrong::system("sending a request"))?;
    let mut head = Vec::with_capacity(256);
    let mut buffer = [0; 1024];
    loop {
        let count = socket
            .read(&mut buffer)
            .map_err(Wrong::system("reading a response"))?;
        if count == 0 {
            return Err(Wrong::Closed);
        }
        head.extend_from_slice(&buffer[..count]);
        if let Some(end) = head_end(&head) {
            if end != head.len() {
                return Err(Wrong::Answer("more than a response".into()));
            }
            return accept(&head);
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(Wrong::Answer("a response without an end".into()));
        }
    }
}

/// Where the head ends, if it does.
pub(crate) fn head_end(head: &[u8]) -> Option<usize> {
    let end = head.windows(4).position(|four| four == b"\r\n\r\n");
    end.map(|end| end + 4)
}

/// RFC 6455 section 4.1: status 101 and the answer to our key.
pub(crate) fn accept(head: &[u8]) -> Result<String, Wrong> {
    let head = String::from_utf8_lossy(head);
    let agreed = head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    if agreed {
        Ok(head.into_owned())
    } else {
        Err(Wrong::Answer(format!("no upgrade: {head}")))
    }
}

/// A server that takes longer over one handshake has none to offer.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Bytes that may be encrypted and unsent.
const TLS_BYTES_MAX: usize = 1 << 20;
