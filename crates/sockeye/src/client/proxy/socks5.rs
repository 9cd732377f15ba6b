//! A connection through a SOCKS5 proxy: RFC 1928, with the user and password of RFC 1929.

use std::{fmt, io, net::SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{client::proxy::server::Credentials, connection::Stream};

/// The server that the proxy is asked to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    Address(SocketAddr),
    /// A name that the proxy resolves, and the port.
    Name(&'a str, u16),
}

/// Asks the proxy at the other end of `stream` to connect it to `destination`.
///
/// Reads no byte beyond the proxy's answers: the next ones are the server's.
///
/// # Cancel safety
///
/// Not cancel safe: after a dropped call the stream can't be used.
pub(crate) async fn socks5<S: Stream>(
    stream: &mut S,
    destination: &Destination<'_>,
    credentials: Option<&Credentials>,
) -> Result<(), Socks5Error> {
    choose_method(stream, credentials).await?;

    // RFC 1928 section 4: VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT.
    let mut request = vec![VERSION, COMMAND_CONNECT, 0];
    write_destination(&mut request, destination)?;
    stream.write_all(&request).await?;
    stream.flush().await?;

    // Section 6: VER, REP, RSV, ATYP, BND.ADDR, BND.PORT.
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    let [version, code, _, address_type] = reply;
    if version != VERSION {
        return Err(Socks5Error::Version(version));
    }
    if code != 0 {
        return Err(Socks5Error::Rejection(code));
    }
    let address_bytes = match address_type {
        TYPE_IPV4 => 4,
        TYPE_IPV6 => 16,
        TYPE_NAME => usize::from(stream.read_u8().await?),
        other => return Err(Socks5Error::AddressType(other)),
    };
    // The address from which the proxy connects isn't used.
    let mut bound = [0; 255 + 2];
    stream.read_exact(&mut bound[..address_bytes + 2]).await?;
    Ok(())
}

/// Offers the methods of authentication, of which the proxy picks one (RFC 1928 section 3).
async fn choose_method<S: Stream>(
    stream: &mut S,
    credentials: Option<&Credentials>,
) -> Result<(), Socks5Error> {
    let offer: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, METHOD_NONE, METHOD_PASSWORD],
        None => &[VERSION, 1, METHOD_NONE],
    };
    stream.write_all(offer).await?;
    stream.flush().await?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).await?;
    if choice[0] != VERSION {
        return Err(Socks5Error::Version(choice[0]));
    }
    match (choice[1], credentials) {
        (METHOD_NONE, _) => Ok(()),
        (METHOD_PASSWORD, Some(credentials)) => authenticate(stream, credentials).await,
        (METHOD_NONE_ACCEPTABLE, None) => Err(Socks5Error::CredentialsWanted),
        (METHOD_NONE_ACCEPTABLE, Some(_)) => Err(Socks5Error::NoMethod),
        (other, _) => Err(Socks5Error::MethodNotOffered(other)),
    }
}

/// Sends user and password (RFC 1929 section 2).
async fn authenticate<S: Stream>(
    stream: &mut S,
    credentials: &Credentials,
) -> Result<(), Socks5Error> {
    let mut request = vec![PASSWORD_VERSION];
    for bytes in [&credentials.user, &credentials.password] {
        // Can't fail: `ProxyServer::parse` has checked the lengths.
        let length = u8::try_from(bytes.len()).map_err(|_| Socks5Error::AuthenticationFailed)?;
        request.push(length);
        request.extend_from_slice(bytes);
    }
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    // The version is not checked: some proxies answer with 5 here, and nothing depends on it.
    match answer[1] {
        0 => Ok(()),
        _ => Err(Socks5Error::AuthenticationFailed),
    }
}

fn write_destination(
    request: &mut Vec<u8>,
    destination: &Destination<'_>,
) -> Result<(), Socks5Error> {
    let port = match destination {
        Destination::Address(SocketAddr::V4(address)) => {
            request.push(TYPE_IPV4);
            request.extend_from_slice(&address.ip().octets());
            address.port()
        }
        Destination::Address(SocketAddr::V6(address)) => {
            request.push(TYPE_IPV6);
            request.extend_from_slice(&address.ip().octets());
            address.port()
        }
        Destination::Name(name, port) => {
            // RFC 1928 section 5: the length is one byte.
            let length = u8::try_from(name.len()).map_err(|_| Socks5Error::NameTooLong)?;
            request.push(TYPE_NAME);
            request.push(length);
            request.extend_from_slice(name.as_bytes());
            *port
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    Ok(())
}

/// Why the proxy didn't connect to the server.
#[derive(Debug)]
pub(crate) enum Socks5Error {
    /// The connection to the proxy failed.
    Io(io::Error),
    /// The proxy speaks another protocol.
    Version(u8),
    /// The proxy demands authentication, and the client has no credentials.
    CredentialsWanted,
    /// The proxy accepts neither a password nor a client without authentication.
    NoMethod,
    /// The proxy picked a method that wasn't offered.
    MethodNotOffered(u8),
    /// The proxy refused the user and password.
    AuthenticationFailed,
    /// The server's name is longer than 255 bytes.
    NameTooLong,
    /// The proxy answered with this reply code (RFC 1928 section 6).
    Rejection(u8),
    /// The proxy answered with an unknown type of address.
    AddressType(u8),
}

impl Socks5Error {
    /// Returns whether the proxy may reach another address of the same server.
    pub(crate) fn is_about_address(&self) -> bool {
        matches!(
            self,
            Self::Rejection(
                REPLY_FAILURE
                    | REPLY_NETWORK_UNREACHABLE
                    | REPLY_HOST_UNREACHABLE
                    | REPLY_REFUSED
                    | REPLY_TTL_EXPIRED
                    | REPLY_ADDRESS_TYPE
            )
        )
    }
}

impl From<io::Error> for Socks5Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Socks5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("it closed the connection")
            }
            Self::Io(error) => error.fmt(f),
            Self::Version(version) => write!(f, "it speaks version {version}, not SOCKS5"),
            Self::CredentialsWanted => f.write_str("it demands a user and a password"),
            Self::NoMethod => f.write_str("it accepts none of our authentication methods"),
            Self::MethodNotOffered(method) => {
                write!(
                    f,
                    "it picked authentication method {method}, which we didn't offer"
                )
            }
            Self::AuthenticationFailed => f.write_str("it refused the user and password"),
            Self::NameTooLong => f.write_str("the server's name is over 255 bytes long"),
            Self::Rejection(code) => match reply_name(*code) {
                Some(name) => write!(f, "it answered {code}, {name}"),
                None => write!(f, "it answered {code}, an unassigned code"),
            },
            Self::AddressType(code) => write!(f, "it answered with unknown address type {code}"),
        }
    }
}

impl std::error::Error for Socks5Error {}

/// Returns the meaning of a reply code (RFC 1928 section 6).
fn reply_name(code: u8) -> Option<&'static str> {
    Some(match code {
        REPLY_FAILURE => "general failure",
        2 => "connection not allowed by its rules",
        REPLY_NETWORK_UNREACHABLE => "network unreachable",
        REPLY_HOST_UNREACHABLE => "host unreachable",
        REPLY_REFUSED => "connection refused",
        REPLY_TTL_EXPIRED => "TTL expired",
        7 => "command not supported",
        REPLY_ADDRESS_TYPE => "address type not supported",
        _ => return None,
    })
}

const VERSION: u8 = 5;
const COMMAND_CONNECT: u8 = 1;
const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const METHOD_NONE_ACCEPTABLE: u8 = 0xff;
const PASSWORD_VERSION: u8 = 1;
const TYPE_IPV4: u8 = 1;
const TYPE_NAME: u8 = 3;
const TYPE_IPV6: u8 = 4;
const REPLY_FAILURE: u8 = 1;
const REPLY_NETWORK_UNREACHABLE: u8 = 3;
const REPLY_HOST_UNREACHABLE: u8 = 4;
const REPLY_REFUSED: u8 = 5;
const REPLY_TTL_EXPIRED: u8 = 6;
const REPLY_ADDRESS_TYPE: u8 = 8;

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// Plays a proxy that expects and answers in turns, and then sends one byte of the tunnel.
    async fn proxy(mut stream: DuplexStream, turns: Vec<(Vec<u8>, Vec<u8>)>) {
        for (expected, answer) in turns {
            let mut got = vec![0; expected.len()];
            stream.read_exact(&mut got).await.unwrap();
            assert_eq!(got, expected);
            // Byte by byte: answers may come in any pieces.
            for byte in answer {
                stream.write_all(&[byte]).await.unwrap();
            }
        }
    }

    async fn run(
        destination: Destination<'_>,
        credentials: Option<Credentials>,
        turns: &[(&[u8], &[u8])],
    ) -> Result<u8, Socks5Error> {
        let (mut ours, theirs) = duplex(1);
        let turns = turns
            .iter()
            .map(|(a, b)| (a.to_vec(), b.to_vec()))
            .collect();
        let server = tokio::spawn(proxy(theirs, turns));
        let result = socks5(&mut ours, &destination, credentials.as_ref()).await;
        let result = match result {
            Ok(()) => Ok(ours.read_u8().await?),
            Err(error) => Err(error),
        };
        server.await.unwrap();
        result
    }

    fn credentials() -> Option<Credentials> {
        Some(Credentials {
            user: b"user".to_vec(),
            password: b"pass".to_vec(),
        })
    }

    #[tokio::test]
    async fn addresses_of_both_families_and_names_are_sent_as_such() {
        let hello: (&[u8], &[u8]) = (&[5, 1, 0], &[5, 0]);
        let v4 = Destination::Address("1.2.3.4:258".parse().unwrap());
        let request = [5, 1, 0, 1, 1, 2, 3, 4, 1, 2];
        let reply = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 77];
        assert_eq!(
            run(v4, None, &[hello, (&request, &reply)]).await.unwrap(),
            77
        );

        let v6 = Destination::Address("[::1]:80".parse().unwrap());
        let request = [
            5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80,
        ];
        let mut reply = vec![5, 0, 0, 4];
        reply.extend([0; 18]);
        reply.push(78);
        assert_eq!(
            run(v6, None, &[hello, (&request, &reply)]).await.unwrap(),
            78
        );

        let name = Destination::Name("ab.c", 443);
        let request = [5, 1, 0, 3, 4, b'a', b'b', b'.', b'c', 1, 187];
        let reply = [5, 0, 0, 3, 2, b'x', b'y', 0, 0, 79];
        assert_eq!(
            run(name, None, &[hello, (&request, &reply)]).await.unwrap(),
            79
        );
    }

    #[tokio::test]
    async fn user_and_password_are_sent_if_the_proxy_wants_them() {
        let name = || Destination::Name("a", 80);
        let connect: (&[u8], &[u8]) = (
            &[5, 1, 0, 3, 1, b'a', 0, 80],
            &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
        );
        let hello: (&[u8], &[u8]) = (&[5, 2, 0, 2], &[5, 2]);
        let login = b"\x01\x04user\x04pass";
        let turns = [hello, (login, &[1, 0]), connect];
        assert_eq!(run(name(), credentials(), &turns).await.unwrap(), 1);
        let not_wanted = [(hello.0, &[5, 0][..]), connect];
        assert_eq!(run(name(), credentials(), &not_wanted).await.unwrap(), 1);
        let refused = run(name(), credentials(), &[hello, (login, &[1, 1])]).await;
        assert!(matches!(refused, Err(Socks5Error::AuthenticationFailed)));
    }

    #[tokio::test]
    async fn bad_choices_of_method_are_named() {
        let name = || Destination::Name("a", 80);
        let wanted = run(name(), None, &[(&[5, 1, 0], &[5, 0xff])]).await;
        assert!(matches!(wanted, Err(Socks5Error::CredentialsWanted)));
        let none = run(name(), credentials(), &[(&[5, 2, 0, 2], &[5, 0xff])]).await;
        assert!(matches!(none, Err(Socks5Error::NoMethod)));
        let other = run(name(), None, &[(&[5, 1, 0], &[5, 2])]).await;
        assert!(matches!(other, Err(Socks5Error::MethodNotOffered(2))));
        let http = run(name(), None, &[(&[5, 1, 0], b"HT")]).await;
        assert!(matches!(http, Err(Socks5Error::Version(b'H'))));
        let eof = run(name(), None, &[(&[5, 1, 0], &[5])]).await.unwrap_err();
        assert_eq!(eof.to_string(), "it closed the connection");
    }

    #[tokio::test]
    async fn every_reply_code_has_its_name() {
        let names = [
            (1, "general failure"),
            (2, "connection not allowed by its rules"),
            (3, "network unreachable"),
            (4, "host unreachable"),
            (5, "connection refused"),
            (6, "TTL expired"),
            (7, "command not supported"),
            (8, "address type not supported"),
            (9, "an unassigned code"),
        ];
        for (code, name) in names {
            let turns: [(&[u8], &[u8]); 2] = [
                (&[5, 1, 0], &[5, 0]),
                (&[5, 1, 0, 3, 1, b'a', 0, 80], &[5, code, 0, 1]),
            ];
            let error = run(Destination::Name("a", 80), None, &turns)
                .await
                .unwrap_err();
            assert_eq!(error.to_string(), format!("it answered {code}, {name}"));
        }
    }

    #[tokio::test]
    async fn name_over_255_bytes_is_refused_before_it_is_sent() {
        let name = "x".repeat(256);
        let result = run(Destination::Name(&name, 80), None, &[(&[5, 1, 0], &[5, 0])]).await;
        assert!(matches!(result, Err(Socks5Error::NameTooLong)));
    }
}
