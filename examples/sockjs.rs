//! cargo run -p sockeye-examples --example sockjs
//!
//! SockJS: an endpoint for clients that can't use WebSocket, on four paths with different settings. They are the paths that
//! the protocol's own suite of checks expects (github.com/sockjs/sockjs-protocol). An argument is the address on which to
//! listen. In a page: `new SockJS("http://localhost:8081/echo")`.

use sockeye::{
    CloseCode, Endpoint, Message, Origins, Reply, Route, Server, Session, SessionCookie, SockJs,
    SockJsSettings, SockJsWebSocket,
};

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

/// Closes each session as soon as it is open.
struct Close;

impl Endpoint for Close {
    fn on_open(&mut self, session: &Session) {
        session.close(CloseCode::new(3000), "Go away!");
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

fn echo(path: &str, settings: SockJsSettings) -> SockJs {
    // An echo protects nothing, so that pages of any origin may use it.
    let route = Route::new(path, |_request| Ok(Echo)).origins(Origins::Any);
    SockJs::new(route).settings(settings)
}

#[tokio::main]
async fn main() -> Result<(), sockeye::Error> {
    let addr = std::env::args().nth(1);
    let addr = addr.unwrap_or("127.0.0.1:8081".to_owned());
    // The suite wants short responses; the default is 128 KiB.
    let settings = SockJsSettings::default()
        .with_response_bytes_max(4096)
        .with_iframe_script_url(
            "https://cdn.jsdelivr.net/npm/sockjs-client@1/dist/sockjs.min.js".to_owned(),
        );
    let without_websocket = settings.clone().with_websocket(SockJsWebSocket::Absent);
    let with_cookie = settings.clone().with_session_cookie(SessionCookie::Sent);
    let close = Route::new("/close", |_request| Ok(Close)).origins(Origins::Any);
    println!("http://{addr}/echo");
    Server::bind(addr)
        .mount_sockjs(echo("/echo", settings.clone()))
        .mount_sockjs(echo("/disabled_websocket_echo", without_websocket))
        .mount_sockjs(echo("/cookie_needed_echo", with_cookie))
        .mount_sockjs(SockJs::new(close).settings(settings))
        .serve()
        .await
}
