//! Client ids: from the query, a cookie, a token, or a function of the program.

use std::{collections::HashMap, future::pending, time::Duration};

use http::StatusCode;
use sockeye::{
    ClientId, Endpoint, Identify, Message, Refusal, Reply, Request, Route, Server, ServerHandle,
    Session,
    identity::{FromCookie, FromQuery, FromToken},
};

use tokio::{io::AsyncWriteExt as _, sync::mpsc::unbounded_channel};

use crate::support::{
    connect, exchange, http2_client, http2_connect, http2_websocket, open, read_head, recv_text,
    request, soon, status, status_of,
};

/// Sends the client's id.
struct Greeter(String);

impl Endpoint for Greeter {
    fn on_open(&mut self, session: &Session) {
        session.try_send(self.0.as_str()).unwrap();
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

async fn start(identify: impl Identify) -> ServerHandle {
    let route = Route::new("/", |request: &Request| {
        let name = request.client_id().map_or("nobody", ClientId::as_str);
        Ok(Greeter(name.to_owned()))
    });
    let server = Server::bind("127.0.0.1:0").mount(route.identify(identify));
    server.start().await.unwrap()
}

async fn name(server: &ServerHandle, path: &str, fields: &[&str]) -> String {
    let (mut websocket, _) = open(server.local_addrs()[0], path, fields).await;
    recv_text(&mut websocket).await
}

async fn refused(server: &ServerHandle, path: &str, fields: &[&str]) -> u16 {
    status(server.local_addrs()[0], request(path, fields).as_bytes()).await
}

#[tokio::test]
async fn the_query_names_the_client_and_the_cookie_where_the_query_does_not() {
    let server = start(FromQuery::new("client_id").or(FromCookie::new("who"))).await;
    assert_eq!(
        name(&server, "/?client_id=ann", &["Cookie: who=bob"]).await,
        "ann"
    );
    assert_eq!(
        name(&server, "/?a=1&client_id=M%C3%BCller+7", &[]).await,
        "Müller 7"
    );
    assert_eq!(
        name(&server, "/?client_id=", &["Cookie: a=1; who=bob"]).await,
        "bob"
    );
    assert_eq!(name(&server, "/", &[]).await, "nobody");
}

#[tokio::test]
async fn a_name_that_is_none_is_answered_with_400() {
    let server = start(FromQuery::new("client_id")).await;
    let long = format!("/?client_id={}", "x".repeat(129));
    for path in ["/?client_id=a%0Ab", "/?client_id=%00", &long] {
        assert_eq!(refused(&server, path, &[]).await, 400, "{path}");
    }
}

#[tokio::test]
async fn a_bearer_token_or_one_in_the_query_is_looked_up() {
    let tokens = HashMap::from([("t1".to_owned(), "ann".parse::<ClientId>().unwrap())]);
    let server = start(FromToken::new(tokens)).await;
    assert_eq!(
        name(&server, "/", &["Authorization: bearer t1"]).await,
        "ann"
    );
    assert_eq!(name(&server, "/?token=t1", &[]).await, "ann");
    assert_eq!(
        name(&server, "/", &["Authorization: Basic dDE="]).await,
        "nobody"
    );
    // A request with a wrong token is refused even where none is required.
    assert_eq!(
        refused(&server, "/", &["Authorization: Bearer t2"]).await,
        401
    );
    assert_eq!(refused(&server, "/?token=t2", &[]).await, 401);
}

#[tokio::test]
async fn where_a_token_is_required_a_request_without_one_is_refused() {
    let tokens = |token: &str| (token == "t1").then(|| "ann".parse().unwrap());
    let server = start(FromToken::new(tokens).required().parameter("k")).await;
    assert_eq!(name(&server, "/?k=t1", &[]).await, "ann");
    let answer = exchange(server.local_addrs()[0], request("/", &[]).as_bytes()).await;
    assert_eq!(status_of(&answer), 401);
    assert!(
        answer
            .to_lowercase()
            .contains("www-authenticate: bearer\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn authorize_knows_the_client_id() {
    let route = Route::new("/", |request: &Request| {
        Ok(Greeter(
            request.extensions().get::<String>().unwrap().clone(),
        ))
    })
    .identify(|_: &Request| Ok(Some("ann".parse().unwrap())))
    .authorize(|request| async move {
        let client = request.client_id().ok_or(StatusCode::FORBIDDEN)?;
        Ok::<_, Refusal>(format!("{client} may"))
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    assert_eq!(name(&server, "/", &[]).await, "ann may");
}

#[tokio::test]
async fn an_identify_that_panics_is_one_answer_500() {
    let server = start(|_: &Request| panic!("nobody knows")).await;
    assert_eq!(refused(&server, "/", &[]).await, 500);
    assert_eq!(refused(&server, "/", &[]).await, 500);
}

fn greeting(path: &str) -> Route {
    Route::new(path, |request: &Request| {
        let name = request.client_id().map_or("nobody", ClientId::as_str);
        Ok(Greeter(name.to_owned()))
    })
}

/// Looks a cookie up as if in a database: the result comes later.
async fn looked_up(request: std::sync::Arc<Request>) -> Result<Option<ClientId>, Refusal> {
    tokio::task::yield_now().await;
    match request.cookie("session").as_deref() {
        Some("forged") => Err(Refusal::new(StatusCode::UNAUTHORIZED).body("log in\n")),
        Some("panic") => panic!("the test wants it"),
        Some(session) => Ok(session.parse().ok()),
        None => Ok(None),
    }
}

async fn start_looking_up() -> ServerHandle {
    let named = greeting("/").identify(FromQuery::new("client_id"));
    let checked = greeting("/checked").identify_async(looked_up);
    let checked = checked.authorize(async |request| match request.client_id() {
        Some(_) => Ok(()),
        None => Err(Refusal::new(StatusCode::FORBIDDEN)),
    });
    let server = Server::bind("127.0.0.1:0").mount(named.identify_async(looked_up));
    server.mount(checked).start().await.unwrap()
}

#[tokio::test]
async fn an_identity_may_be_looked_up_if_the_request_does_not_show_it() {
    let server = start_looking_up().await;
    let cookie = ["Cookie: session=bob"];
    assert_eq!(name(&server, "/", &cookie).await, "bob");
    assert_eq!(name(&server, "/?client_id=ann", &cookie).await, "ann");
    assert_eq!(name(&server, "/", &[]).await, "nobody");
    assert_eq!(name(&server, "/checked", &cookie).await, "bob");
    assert_eq!(refused(&server, "/checked", &[]).await, 403);
    for path in ["/", "/checked"] {
        assert_eq!(
            refused(&server, path, &["Cookie: session=forged"]).await,
            401
        );
        assert_eq!(
            refused(&server, path, &["Cookie: session=panic"]).await,
            500
        );
    }
    let mut client = http2_client(server.local_addrs()[0]).await;
    let response = http2_connect(&mut client, "/", &[("cookie", "session=bob")]).await;
    assert_eq!(recv_text(&mut http2_websocket(response).await).await, "bob");
}

#[tokio::test]
async fn a_lookup_that_takes_too_long_is_answered_with_503() {
    let route = greeting("/").identify_async(|_request| pending());
    let route = route.identify_timeout(Duration::from_millis(50));
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(refused(&server, "/", &[]).await, 503);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

/// The bytes are read while the server watches for the client's end.
#[tokio::test]
async fn what_a_client_sends_during_a_lookup_is_not_lost() {
    let (begun, mut begins) = unbounded_channel();
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    let released = std::sync::Arc::clone(&release);
    let route = Route::new("/", |_request| Ok(crate::support::Echo));
    let route = route.identify_async(move |_request| {
        let _ = begun.send(());
        let released = std::sync::Arc::clone(&released);
        async move {
            released.notified().await;
            Ok(None)
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let mut stream = connect(server.local_addrs()[0]).await;
    stream
        .write_all(request("/", &[]).as_bytes())
        .await
        .unwrap();
    soon(begins.recv()).await.unwrap();
    let messages: Vec<String> = (0..300).map(|number| format!("message {number}")).collect();
    for text in &messages {
        let frame = crate::support::frame(0x81, text.as_bytes());
        stream.write_all(&frame).await.unwrap();
    }
    release.notify_one();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let settings = sockeye::Settings::default();
    let role = sockeye::Role::Client;
    let mut websocket = sockeye::WebSocket::from_stream(stream, role, settings).unwrap();
    for text in &messages {
        assert_eq!(recv_text(&mut websocket).await, *text);
    }
}

/// Tells when it is dropped.
struct Dropped(tokio::sync::mpsc::UnboundedSender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[tokio::test]
async fn a_lookup_and_a_check_end_when_the_client_goes_away() {
    let (sender, mut events) = unbounded_channel();
    let to_check = sender.clone();
    let lookup = greeting("/lookup").identify_async(move |_request| {
        let dropped = Dropped(sender.clone());
        async move {
            let _ = dropped.0.send("begun");
            pending().await
        }
    });
    let check = greeting("/check").authorize(move |_request| {
        let dropped = Dropped(to_check.clone());
        async move {
            let _ = dropped.0.send("begun");
            pending::<Result<(), Refusal>>().await
        }
    });
    let server = Server::bind("127.0.0.1:0").mount(lookup).mount(check);
    let server = server.start().await.unwrap();
    let addr = server.local_addrs()[0];
    let plain = "GET /plain HTTP/1.1\r\nHost: a.example\r\n\r\n";
    for path in ["/lookup", "/check"] {
        // As the first request of a connection, and after a plain one.
        for before in ["", plain] {
            let mut stream = connect(addr).await;
            stream.write_all(before.as_bytes()).await.unwrap();
            if !before.is_empty() {
                read_head(&mut stream).await;
            }
            stream
                .write_all(request(path, &[]).as_bytes())
                .await
                .unwrap();
            assert_eq!(soon(events.recv()).await, Some("begun"), "{path} {before}");
            drop(stream);
            assert_eq!(
                soon(events.recv()).await,
                Some("dropped"),
                "{path} {before}"
            );
        }
        let mut client = http2_client(addr).await;
        let mut asking = Box::pin(http2_connect(&mut client, path, &[]));
        tokio::select! {
            _ = &mut asking => panic!("it waits for the route"),
            event = soon(events.recv()) => assert_eq!(event, Some("begun")),
        }
        drop(asking);
        drop(client);
        assert_eq!(
            soon(events.recv()).await,
            Some("dropped"),
            "{path} over HTTP/2"
        );
    }
}
