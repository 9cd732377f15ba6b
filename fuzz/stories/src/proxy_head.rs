//! A head of the PROXY protocol, read as a server reads it.

use sockeye_proto::handshake::ProxyHead;

/// Reads what `data` begins with, never more than the head asks for.
///
/// # Panics
/// If it asks for nothing, for too much, or if all bytes at once say something else.
pub fn proxy_head(data: &[u8]) {
    let mut read = 0;
    let stepwise = loop {
        match ProxyHead::parse(&data[..read]) {
            Ok(ProxyHead::More(more)) => {
                assert!(more > 0, "waits for nothing");
                read += more;
                assert!(read <= ProxyHead::BYTES_MAX, "reads without a bound");
                if read > data.len() {
                    break None;
                }
            }
            Ok(ProxyHead::Whole { head_bytes, .. }) => {
                assert_eq!(head_bytes, read, "has read bytes of the peer");
                break Some(ProxyHead::parse(&data[..read]));
            }
            Err(_) => return,
        }
    };
    if let Some(stepwise) = stepwise {
        assert_eq!(stepwise, ProxyHead::parse(data));
    }
}
