//! A client in a build without TLS; with TLS there is nothing to see here.

#![cfg(all(feature = "client", not(feature = "rustls")))]

use sockeye::{ErrorKind, Proxy};
use tokio::net::TcpListener;

#[tokio::test]
async fn wss_is_an_error_that_names_the_feature_and_nothing_is_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let error = sockeye::connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("feature `tls`"), "{error}");
    tokio::select! {
        biased;
        accepted = listener.accept() => panic!("{accepted:?}"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_proxy_behind_tls_is_the_same_error() {
    let proxy = Proxy::http("https://127.0.0.1:1").unwrap();
    let error = sockeye::connect("ws://127.0.0.1:2/")
        .proxy(proxy)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("feature `tls`"), "{error}");
}

#[cfg(not(feature = "idn"))]
#[tokio::test]
async fn an_internationalized_name_is_an_error_that_names_its_feature() {
    let error = sockeye::connect("ws://b\u{fc}cher.example/")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Url);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("feature `idn`"), "{source}");
}
