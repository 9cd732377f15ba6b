//! cargo run -p sockeye-examples --example other_handshake
//!
//! A WebSocket whose opening handshake another library does: here hyper, with an answer of the program's own.

use std::{convert::Infallible, error::Error};

use axum::{body::Body, http::HeaderValue};
use hyper::{
    HeaderMap, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn, upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use sockeye::{Deflate, Role, Settings, UpgradedStream, WebSocket};
use sockeye_proto::handshake::accept_key;
use tokio::net::{TcpListener, TcpStream};

/// Goes on where the handshake has ended.
async fn echo(
    upgraded: Upgraded,
    request: Request<()>,
    response: HeaderMap,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    // hyper may have read the beginning of a frame with the request.
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| "another stream than the one that was served")?;
    let upgraded = UpgradedStream::new(parts.io.into_inner(), Role::Server)
        .leftover(parts.read_buf)
        .request(&request)
        // The subprotocol and the parameters of permessage-deflate.
        .response_headers(response)
        .settings(Settings::default().with_deflate(Deflate::default()));
    let mut websocket = WebSocket::from_upgraded(upgraded)?;
    while let Some(message) = websocket.recv().await? {
        websocket.send(message).await?;
    }
    Ok(())
}

/// Answers 101 to every request that has a key. A library checks more, and the origin of a page.
fn switching(request: &Request<Incoming>) -> Option<Response<Body>> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let offers = offers.iter().map(HeaderValue::as_bytes);
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "upgrade")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept_key(key.to_str().ok()?));
    if let Some((_, agreed)) = Deflate::default().respond(offers) {
        response = response.header(header::SEC_WEBSOCKET_EXTENSIONS, agreed);
    }
    response.body(Body::empty()).ok()
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let Some(response) = switching(&request) else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return Ok(response);
    };
    let (headers, upgraded) = (response.headers().clone(), hyper::upgrade::on(&mut request));
    let request = request.map(drop);
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => {
                if let Err(error) = echo(upgraded, request, headers).await {
                    eprintln!("{error}");
                }
            }
            Err(error) => eprintln!("{error}"),
        }
    });
    Ok(response)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9000").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades();
        tokio::spawn(connection);
    }
}
