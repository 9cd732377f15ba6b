//! Redirects: how many are followed, and what another origin sees.

mod scripted;

use scripted::{Head, accept, answer, assert_greeted, greet, listen};
use sockeye::{ErrorKind, connect};
use tokio::{join, net::TcpListener};

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

async fn redirect_from(listener: &TcpListener, status: u16, location: &str) -> Head {
    answer(&mut accept(listener).await, &redirect(status, location)).await
}

#[tokio::test]
async fn redirect_within_the_origin_keeps_credentials() {
    for status in [301, 302, 303, 307, 308] {
        let (listener, address) = listen().await;
        let client = connect(format!("ws://u:p@{address}/a"))
            .header("Cookie", "c=1")
            .subprotocols(["x"])
            .redirects_max(1);
        let server = async {
            redirect_from(&listener, status, "/b?c").await;
            greet(&mut accept(&listener).await).await
        };
        let (websocket, head) = join!(client, server);
        assert_greeted(websocket).await;
        assert_eq!(head.line(), "GET /b?c HTTP/1.1");
        assert_eq!(head.field("Authorization"), Some("Basic dTpw"));
        assert_eq!(head.field("Cookie"), Some("c=1"));
        assert_eq!(head.field("Sec-WebSocket-Protocol"), Some("x"));
    }
}

#[tokio::test]
async fn other_origin_sees_no_credentials_nor_does_the_first_after_a_redirect_back() {
    let (first, first_address) = listen().await;
    let (second, second_address) = listen().await;
    let client = connect(format!("ws://u:p@{first_address}/"))
        .header("authorization", "Bearer x")
        .header("COOKIE", "c=1")
        .header("Proxy-Authorization", "Basic eA==")
        .header("X-API-Key", "secret")
        .header("X-Anything", "secret")
        .header("Host", "inside.example")
        .header("Origin", "https://app.example")
        .header("accept-language", "de")
        .header("User-Agent", "mine")
        .subprotocols(["token.secret"])
        .redirects_max(2);
    let server = async {
        let there = redirect_from(&first, 307, &format!("http://{second_address}/2")).await;
        let location = format!("ws://evil:evil@{first_address}/3");
        let away = redirect_from(&second, 302, &location).await;
        let back = greet(&mut accept(&first).await).await;
        (there, away, back)
    };
    let (websocket, (there, away, back)) = join!(client, server);
    assert!(
        websocket
            .as_ref()
            .unwrap()
            .request()
            .unwrap()
            .subprotocols()
            .is_empty()
    );
    assert_greeted(websocket).await;
    assert_eq!(there.field("Authorization"), Some("Bearer x"));
    assert_eq!(there.field("Cookie"), Some("c=1"));
    assert_eq!(there.field("Host"), Some("inside.example"));
    for (head, address) in [(away, second_address), (back, first_address)] {
        for name in [
            "Authorization",
            "Cookie",
            "Proxy-Authorization",
            "X-API-Key",
            "X-Anything",
            "Sec-WebSocket-Protocol",
        ] {
            assert_eq!(head.field(name), None, "{name}");
        }
        assert_eq!(head.field("Host"), Some(address.to_string().as_str()));
        assert_eq!(head.field("Origin"), Some("https://app.example"));
        assert_eq!(head.field("Accept-Language"), Some("de"));
        assert_eq!(head.field("User-Agent"), Some("mine"));
    }
}

#[tokio::test]
async fn credentials_of_the_url_stay_with_its_origin() {
    let (first, first_address) = listen().await;
    let (second, second_address) = listen().await;
    let client = connect(format!("ws://u:p@{first_address}/")).redirects_max(1);
    let server = async {
        redirect_from(&first, 307, &format!("//{second_address}/")).await;
        greet(&mut accept(&second).await).await
    };
    let (websocket, head) = join!(client, server);
    assert_greeted(websocket).await;
    assert_eq!(head.field("Authorization"), None);
}

#[tokio::test]
async fn redirect_is_an_error_by_default_and_says_where_it_leads() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/"));
    let (result, _) = join!(client, redirect_from(&listener, 301, "/new"));
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.status().unwrap(), 301);
    assert_eq!(error.rejection().unwrap().headers["location"], "/new");
    assert!(
        error.to_string().contains(&format!("ws://{address}/new")),
        "{error}"
    );
}

#[tokio::test]
async fn loop_ends_at_redirects_max() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/")).redirects_max(3);
    let server = async {
        for _ in 0..4 {
            redirect_from(&listener, 302, "/").await;
        }
    };
    let (result, ()) = join!(client, server);
    assert_eq!(result.err().unwrap().status().unwrap(), 302);
}

#[tokio::test]
async fn refusal_behind_a_redirect_is_the_last_servers() {
    let (listener, address) = listen().await;
    let client = connect(format!("ws://{address}/")).redirects_max(3);
    let server = async {
        redirect_from(&listener, 302, "/x").await;
        let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone";
        answer(&mut accept(&listener).await, gone).await
    };
    let (result, _) = join!(client, server);
    let error = result.err().unwrap();
    assert_eq!(error.rejection().unwrap().body, b"gone");
    assert!(error.to_string().contains("/x"), "{error}");
}
