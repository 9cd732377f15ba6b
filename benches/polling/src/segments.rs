//! How many TCP segments open connections have exchanged: the kernel's count, asked for over netlink (`sock_diag(7)`).

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, netlink, recv, send, socket};

/// Segments in both directions, acknowledgements without data included, of all open IPv4 connections whose local port is
/// `server_port`, but for the one from `control_port`.
///
/// # Errors
/// Not a Linux, or one without `inet_diag`.
pub(crate) fn exchanged(server_port: u16, control_port: u16) -> io::Result<u64> {
    let socket = socket(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&socket, &request(server_port), SendFlags::empty())?;
    let mut answer = vec![0; ANSWER_BYTES];
    let mut sum = 0;
    loop {
        let (bytes, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = &answer[..bytes];
        while let Some((kind, body, next)) = message(rest) {
            match kind {
                DONE => return Ok(sum),
                SOCK_DIAG_BY_FAMILY => {
                    let ports = (be16(body, 4), be16(body, 6));
                    if ports.0 == Some(server_port) && ports.1 != Some(control_port) {
                        sum += segments(body).unwrap_or(0);
                    }
                }
                _ => {
                    return Err(io::Error::other(
                        "the kernel doesn't tell about its TCP connections",
                    ));
                }
            }
            rest = next;
        }
    }
}

/// A dump of the established connections with this local port, with their `tcp_info`.
fn request(port: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    // nlmsghdr: length, type, NLM_F_REQUEST | NLM_F_DUMP, sequence number, port id.
    bytes.extend(72_u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(0x301_u16.to_ne_bytes());
    bytes.extend([0; 8]);
    // inet_diag_req_v2: AF_INET, IPPROTO_TCP, the extension INET_DIAG_INFO, padding, the state TCP_ESTABLISHED.
    bytes.extend([2, 6, 1 << (INET_DIAG_INFO - 1), 0]);
    bytes.extend((1_u32 << 1).to_ne_bytes());
    // inet_diag_sockid: our port; anything else may be anything.
    bytes.extend(port.to_be_bytes());
    bytes.resize(72, 0);
    bytes
}

/// The first netlink message: type, body, what follows.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(16..length)?;
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body, next))
}

/// `tcpi_segs_out + tcpi_segs_in` from an `inet_diag_msg` and its attributes.
fn segments(body: &[u8]) -> Option<u64> {
    // inet_diag_msg has 72 bytes.
    let mut attributes = body.get(72..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        if kind == INET_DIAG_INFO {
            let info = attributes.get(4..length)?;
            let field =
                |at: usize| Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
            return Some(u64::from(field(136)?) + u64::from(field(140)?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const DONE: u16 = 3;
const INET_DIAG_INFO: u16 = 2;

/// Bytes. The kernel fills at most 32 KiB at once.
const ANSWER_BYTES: usize = 1 << 15;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn segments_of_a_connection_are_counted_and_those_of_another_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut clients = Vec::new();
        for _ in 0..100 {
            let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            for _ in 0..3 {
                client.write_all(b"up").unwrap();
                server.read_exact(&mut [0; 2]).unwrap();
            }
            clients.push((client, server));
        }
        let all = exchanged(port, 0).unwrap();
        assert!((600..=1000).contains(&all), "{all}");
        let control = clients[0].0.local_addr().unwrap().port();
        assert!(exchanged(port, control).unwrap() < all);
    }
}
