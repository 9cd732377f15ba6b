//! The client through proxies: HTTP CONNECT and SOCKS5.

mod scripted;

use std::time::Duration;

use scripted::{Authority, Head, accept, accept_tls, answer, assert_greeted, greet, listen};
use sockeye::{ClientTls, ErrorKind, Proxy, connect};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    join,
};

const CONNECTED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[tokio::test]
async fn http_proxy_is_asked_for_the_server_and_then_carries_the_handshake() {
    let (listener, address) = listen().await;
    let proxy = Proxy::http(&format!("http://{address}")).unwrap();
    // The client doesn't resolve the name.
    let client = connect("ws://server.invalid/x").proxy(proxy);
    let server = async {
        let mut stream = accept(&listener).await;
        let asked = answer(&mut stream, CONNECTED).await;
        (asked, greet(&mut stream).await)
    };
    let (websocket, (asked, head)) = join!(client, server);
    assert_greeted(websocket).await;
    assert_eq!(asked.line(), "CONNECT server.invalid:80 HTTP/1.1");
    assert_eq!(asked.field("Host"), Some("server.invalid:80"));
    assert_eq!(asked.field("Proxy-Authorization"), None);
    assert_eq!(head.line(), "GET /x HTTP/1.1");
    assert_eq!(head.field("Host"), Some("server.invalid"));
}

#[tokio::test]
async fn http_proxy_gets_its_credentials_and_the_server_doesnt() {
    let (listener, address) = listen().await;
    let proxy = Proxy::http(&format!("http://u:p@{address}")).unwrap();
    let client = connect("ws://[2001:db8::1]:81/").proxy(proxy);
    let server = async {
        let mut stream = accept(&listener).await;
        // Old proxies answer with fields of a body that doesn't follow.
        let connected = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n";
        let asked = answer(&mut stream, connected).await;
        (asked, greet(&mut stream).await)
    };
    let (websocket, (asked, head)) = join!(client, server);
    assert_greeted(websocket).await;
    assert_eq!(asked.line(), "CONNECT [2001:db8::1]:81 HTTP/1.1");
    assert_eq!(asked.field("Proxy-Authorization"), Some("Basic dTpw"));
    assert_eq!(head.field("Proxy-Authorization"), None);
    assert_eq!(head.field("Authorization"), None);
}

#[tokio::test]
async fn refusal_of_an_http_proxy_brings_its_answer() {
    let (listener, address) = listen().await;
    let proxy = Proxy::http(&format!("http://{address}")).unwrap();
    let server = async {
        let no = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho";
        answer(&mut accept(&listener).await, no).await
    };
    let (result, _) = join!(connect("wss://server.invalid/").proxy(proxy), server);
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert_eq!(error.status().unwrap(), 407);
    assert_eq!(error.rejection().unwrap().body, b"who");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_bad_answer_of_an_http_proxy_is_a_proxy_error() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(1 << 15));
    for (bytes, kind) in [
        ("SSH-2.0-OpenSSH\r\n", ErrorKind::Proxy),
        ("HTTP/1.1 200 OK\r\n\r\nmore", ErrorKind::Proxy),
        (&long, ErrorKind::Limit),
        ("HTTP/1.1 200", ErrorKind::Io),
    ] {
        let (listener, address) = listen().await;
        let proxy = Proxy::http(&format!("http://{address}")).unwrap();
        let server = async {
            let mut stream = accept(&listener).await;
            Head::read(&mut stream).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        };
        let (result, ()) = join!(connect("ws://server.invalid/").proxy(proxy), server);
        let error = result.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("proxy"), "{error}");
    }
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_and_with_a_proxy_itself() {
    let authority = Authority::new();
    let (to_proxy, to_server) = (
        authority.acceptor("localhost", &[]),
        authority.acceptor("server.invalid", &["http/1.1"]),
    );
    let tls = ClientTls::new().roots_only(&authority.pem).unwrap();
    let (listener, address) = listen().await;
    let proxy = Proxy::http(&format!("https://localhost:{}", address.port())).unwrap();
    let client = connect("wss://server.invalid/")
        .tls(tls.clone())
        .proxy(proxy.tls(tls));
    let server = async {
        let mut tunnel = accept_tls(&listener, &to_proxy).await;
        let asked = answer(&mut tunnel, CONNECTED).await;
        let mut stream = to_server.accept(tunnel).await.unwrap();
        (asked, greet(&mut stream).await)
    };
    let (websocket, (asked, head)) = join!(client, server);
    assert_greeted(websocket).await;
    assert_eq!(asked.line(), "CONNECT server.invalid:443 HTTP/1.1");
    assert_eq!(head.field("Host"), Some("server.invalid"));
}

/// Plays a SOCKS5 proxy without authentication that answers `reply`. Returns ATYP, address and port of the request.
async fn socks5<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, reply: u8) -> Vec<u8> {
    let mut hello = [0; 3];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(hello, [5, 1, 0]);
    stream.write_all(&[5, 0]).await.unwrap();
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request[..3], [5, 1, 0]);
    let mut asked = vec![request[3]];
    let length = match request[3] {
        1 => 4,
        4 => 16,
        3 => {
            let length = stream.read_u8().await.unwrap();
            asked.push(length);
            usize::from(length)
        }
        other => panic!("address type {other}"),
    };
    let start = asked.len();
    asked.resize(start + length + 2, 0);
    stream.read_exact(&mut asked[start..]).await.unwrap();
    stream
        .write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    asked
}

#[tokio::test]
async fn socks5h_leaves_the_name_to_the_proxy_and_socks5_resolves_it_here() {
    for (scheme, url, expected) in [
        (
            "socks5h",
            "ws://a.invalid/",
            b"\x03\x09a.invalid\x00\x50".to_vec(),
        ),
        ("socks5h", "ws://1.2.3.4:256/", vec![1, 1, 2, 3, 4, 1, 0]),
        ("socks5", "ws://localhost:80/", vec![1, 127, 0, 0, 1, 0, 80]),
        (
            "socks5",
            "ws://[::2]/",
            [&[4][..], &[0; 15], &[2, 0, 80]].concat(),
        ),
    ] {
        let (listener, address) = listen().await;
        let proxy = Proxy::socks5(&format!("{scheme}://{address}")).unwrap();
        let server = async {
            let mut stream = accept(&listener).await;
            let mut asked = socks5(&mut stream, 0).await;
            if asked[0] == 4 && url.contains("localhost") {
                // The resolver returns the IPv6 address first.
                asked = expected.clone();
            }
            greet(&mut stream).await;
            asked
        };
        let (websocket, asked) = join!(connect(url).proxy(proxy), server);
        assert_greeted(websocket).await;
        assert_eq!(asked, expected, "{scheme} {url}");
    }
}

#[tokio::test]
async fn socks5_password_is_sent() {
    let (listener, address) = listen().await;
    let proxy = Proxy::socks5(&format!("socks5h://me:pw@{address}")).unwrap();
    let server = async {
        let mut stream = accept(&listener).await;
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, [5, 2, 0, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        let mut bytes = [0; 7];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"\x01\x02me\x02pw");
        stream.write_all(&[1, 9]).await.unwrap();
    };
    let (result, ()) = join!(connect("ws://a.invalid/").proxy(proxy), server);
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    let text = error.report().to_string();
    assert!(text.contains("refused the user and password"), "{text}");
    assert!(
        text.contains("a.invalid:80") && text.contains(&address.to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn socks5_refusal_names_the_code() {
    let (listener, address) = listen().await;
    let proxy = Proxy::socks5(&format!("socks5h://{address}")).unwrap();
    let server = async { socks5(&mut accept(&listener).await, 2).await };
    let (result, _) = join!(connect("ws://a.invalid/").proxy(proxy), server);
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(
        error
            .report()
            .to_string()
            .contains("2, connection not allowed by its rules"),
        "{error}"
    );
}

#[tokio::test]
async fn silent_proxy_runs_into_the_proxy_timeout() {
    let (listener, address) = listen().await;
    for proxy in [
        Proxy::http(&format!("http://{address}")).unwrap(),
        Proxy::socks5(&format!("socks5h://{address}")).unwrap(),
    ] {
        let client = connect("ws://a.invalid/")
            .proxy(proxy)
            .proxy_timeout(Duration::from_millis(10));
        let error = client.await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let text = error.to_string();
        assert!(
            text.contains("proxy") && text.contains(&address.to_string()),
            "{text}"
        );
        drop(accept(&listener).await);
    }
}

#[tokio::test]
async fn hosts_in_no_proxy_are_reached_directly() {
    let (listener, address) = listen().await;
    let variables = [
        ("ALL_PROXY", "socks5h://proxy.invalid"),
        ("NO_PROXY", "127.0.0.0/8"),
    ];
    let proxy = Proxy::from_variables(variables).unwrap();
    let client = connect(format!("ws://{address}")).proxy(proxy);
    let (websocket, _) = join!(client, async { greet(&mut accept(&listener).await).await });
    assert_greeted(websocket).await;
}
