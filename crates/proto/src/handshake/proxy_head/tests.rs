use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::*;

fn whole(source: Option<&str>, head_bytes: usize) -> Result<ProxyHead, ProxyHeadError> {
    Ok(ProxyHead::Whole {
        source: source.map(|source| source.parse().unwrap()),
        head_bytes,
    })
}

/// Returns a header of version 2.
fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[command, family], &len, payload].concat()
}

/// Reads as a server does: never more than `More` says.
fn read(bytes: &[u8]) -> Result<(Option<SocketAddr>, usize), ProxyHeadError> {
    let mut read = 0;
    loop {
        match ProxyHead::parse(&bytes[..read])? {
            ProxyHead::Whole { source, head_bytes } => {
                assert_eq!(head_bytes, read, "read beyond the head");
                return Ok((source, read));
            }
            ProxyHead::More(more) => {
                assert!(more > 0 && read + more <= ProxyHead::BYTES_MAX);
                read += more;
                if read > bytes.len() {
                    return Err(ProxyHeadError::Missing);
                }
            }
        }
    }
}

#[test]
fn a_line_names_its_source() {
    for (line, source) in [
        (
            "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
            Some("192.0.2.7:56324"),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            Some("255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 2001:db8::7 ::1 0 1\r\n",
            Some("[2001:db8::7]:0"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN what ever\r\n", None),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            None,
        ),
    ] {
        assert_eq!(
            ProxyHead::parse(line.as_bytes()),
            whole(source, line.len()),
            "{line}"
        );
        let more = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(
            ProxyHead::parse(more.as_bytes()),
            whole(source, line.len()),
            "{line}"
        );
    }
}

#[test]
fn a_line_that_is_not_right_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 1\r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4 ::1 ::1 56324 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 056324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n",
        "PROXY TCP4 192.0.2.7 nowhere 1 443\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 1 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN\rX",
        "PROXY \u{fffd} 1 1 1 1 1\r\n",
    ] {
        let refused = ProxyHead::parse(line.as_bytes());
        assert_eq!(refused, Err(ProxyHeadError::Malformed), "{line}");
    }
    let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(read(long.as_bytes()), Err(ProxyHeadError::TooLong));
}

#[test]
fn a_wrong_byte_is_noticed_at_once() {
    for bytes in [
        "GET / HTTP/1.1",
        "\x16\x03\x01",
        "PRI * HTTP/2.0",
        "PROXX ",
        "\r\n\r\nX",
        "proxy ",
    ] {
        assert_eq!(
            ProxyHead::parse(bytes.as_bytes()),
            Err(ProxyHeadError::Missing),
            "{bytes}"
        );
    }
}

#[test]
fn a_binary_head_names_its_source() {
    let ipv4 = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb];
    let mut ipv6 = [0; 36];
    (ipv6[0], ipv6[15], ipv6[32], ipv6[33]) = (0x20, 7, 1, 2);
    let with_notes = [&ipv4[..], &[4, 0, 2, 0, 0]].concat();
    for (command, family, payload, source) in [
        (0x21, 0x11, &ipv4[..], Some("192.0.2.7:56324")),
        (0x21, 0x11, &with_notes, Some("192.0.2.7:56324")),
        (0x21, 0x21, &ipv6, Some("[2000::7]:258")),
        // The proxy connects for itself; the rest is ignored.
        (0x20, 0x11, &ipv4, None),
        (0x20, 0x00, &[], None),
        (0x20, 0x11, &[], None),
        // The peer has no IP address.
        (0x21, 0x00, &[1, 2, 3], None),
        (0x21, 0x31, &[0; 216], None),
        (0x21, 0x12, &ipv4, None),
    ] {
        let head = binary(command, family, payload);
        assert_eq!(
            ProxyHead::parse(&head),
            whole(source, head.len()),
            "{family:x}"
        );
        let more = [&head[..], b"GET"].concat();
        assert_eq!(
            ProxyHead::parse(&more),
            whole(source, head.len()),
            "{family:x}"
        );
    }
}

#[test]
fn a_binary_head_that_is_not_right_is_refused_before_its_payload() {
    for (command, family, len, error) in [
        (0x11, 0x11, 12, ProxyHeadError::Malformed),
        (0x22, 0x11, 12, ProxyHeadError::Malformed),
        (0x21, 0x41, 12, ProxyHeadError::Malformed),
        (0x21, 0x13, 12, ProxyHeadError::Malformed),
        (0x21, 0x11, 11, ProxyHeadError::Malformed),
        (0x21, 0x21, 35, ProxyHeadError::Malformed),
        (0x21, 0x31, 215, ProxyHeadError::Malformed),
        (0x21, 0x11, 4081, ProxyHeadError::TooLong),
        (0x20, 0x00, 65535, ProxyHeadError::TooLong),
    ] {
        let head = binary(command, family, &vec![0; len]);
        assert_eq!(
            ProxyHead::parse(&head[..16]),
            Err(error),
            "{command:x} {family:x} {len}"
        );
    }
}

fn heads() -> impl Strategy<Value = (Vec<u8>, Option<SocketAddr>)> {
    let line = any::<(IpAddr, u16, u16)>().prop_map(|(source, port, other)| {
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {source} {source} {port} {other}\r\n");
        (line.into_bytes(), Some(SocketAddr::new(source, port)))
    });
    let unknown = "UNKNOWN( [ -~]{0,80})?"
        .prop_map(|rest: String| (format!("PROXY {rest}\r\n").into_bytes(), None));
    let notes = prop::collection::vec(any::<u8>(), 0..300);
    let binary = any::<(IpAddr, u16)>();
    let binary = (binary, notes).prop_map(|((source, port), notes)| {
        let (family, octets) = match source {
            IpAddr::V4(source) => (0x11, source.octets().to_vec()),
            IpAddr::V6(source) => (0x21, source.octets().to_vec()),
        };
        let ports = port.to_be_bytes();
        let payload = [&octets[..], &octets, &ports, &[0, 1], &notes].concat();
        (
            super::tests::binary(0x21, family, &payload),
            Some(SocketAddr::new(source, port)),
        )
    });
    prop_oneof![line, unknown, binary]
}

proptest! {
    #[test]
    fn every_head_is_read_to_its_last_byte_and_not_beyond((head, source) in heads(), behind: Vec<u8>) {
        let bytes = [&head[..], &behind].concat();
        prop_assert_eq!(read(&bytes), Ok((source, head.len())));
        prop_assert_eq!(
            ProxyHead::parse(&bytes),
            Ok(ProxyHead::Whole { source, head_bytes: head.len() })
        );
    }

    #[test]
    fn no_beginning_of_a_head_is_refused((head, _) in heads()) {
        for cut in 0..head.len() {
            let cut = ProxyHead::parse(&head[..cut]);
            prop_assert!(matches!(cut, Ok(ProxyHead::More(_))), "{cut:?}");
        }
    }

    #[test]
    fn any_bytes_are_read_within_bounds(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let _ = read(&[b"PROXY ", &bytes[..]].concat());
        let _ = read(&[V2_SIGNATURE, &bytes].concat());
    }
}
