//! Routes: parameters, origins, credentials, subprotocols, both styles.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use sockeye::{
    AppHeartbeat, ClientId, Closed, Deflate, Endpoint, Message, Origins, Refusal, Reply, Request,
    Route, Server, ServerHandle, Session,
};

use crate::support::{
    Echo, assert_echoes, exchange, open, recv_text, request, soon, status, status_of,
};

async fn start(route: Route) -> ServerHandle {
    Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap()
}

/// Sends a greeting, then echoes.
struct Greeter(String);

impl Endpoint for Greeter {
    fn on_open(&mut self, session: &Session) {
        session.try_send(self.0.as_str()).unwrap();
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

#[tokio::test]
async fn path_parameters_are_decoded_within_their_segment() {
    let route = Route::new("/rooms/{room}/{*rest}", |request| {
        let text = format!("{:?} {:?}", request.param("room"), request.param("rest"));
        Ok(Greeter(text))
    });
    let server = start(route).await;
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/rooms/a%2Fb%20%C3%A9/x/y?z=1", &[]).await;
    assert_eq!(
        recv_text(&mut websocket).await,
        r#"Some("a/b é") Some("x/y")"#
    );
    assert_eq!(
        status(addr, request("/rooms/%FF/x", &[]).as_bytes()).await,
        400
    );
    assert_eq!(status(addr, request("/rooms/a", &[]).as_bytes()).await, 404);
}

#[tokio::test]
async fn what_browsers_leave_unencoded_is_taken_and_passed_on() {
    let route = Route::new("/rooms/{room}", |request| {
        let text = format!("{:?} {:?}", request.param("room"), request.query());
        Ok(Greeter(text))
    });
    let server = start(route).await;
    for (target, expected) in [
        ("/rooms/a?50%", r#"Some("a") Some("50%")"#),
        ("/rooms/50%?q=%zz", r#"Some("50%") Some("q=%zz")"#),
        (
            "/rooms/a|b?q=%u4e2d|{}",
            r#"Some("a|b") Some("q=%u4e2d|{}")"#,
        ),
        ("/rooms/a?q=\"b\"", r#"Some("a") Some("q=%22b%22")"#),
    ] {
        let (mut websocket, _) = open(server.local_addrs()[0], target, &[]).await;
        assert_eq!(recv_text(&mut websocket).await, expected, "{target}");
    }
}

#[tokio::test]
async fn endpoint_sees_the_request() {
    let route = Route::new("/", |request| {
        Ok(Greeter(format!(
            "{} {} {:?} {:?} {} {} {}",
            request.method(),
            request.uri(),
            request.cookie("b").as_deref(),
            request.headers()["x-y"],
            request.peer_addr().is_some(),
            request.is_tls(),
            request.subprotocols().join("+"),
        )))
    });
    let server = start(route).await;
    let fields = ["Cookie: a=1; b=2", "X-Y: z", "Sec-WebSocket-Protocol: p, q"];
    let (mut websocket, head) = open(server.local_addrs()[0], "/?k=v", &fields).await;
    assert_eq!(
        recv_text(&mut websocket).await,
        r#"GET /?k=v Some("2") "z" true false p+q"#
    );
    assert!(!head.contains("Sec-WebSocket-Protocol"), "{head}");
}

#[tokio::test]
async fn origins_are_checked_before_101() {
    let server = Server::bind("127.0.0.1:0")
        .route("/same", |_request| Ok(Echo))
        .mount(Route::new("/any", |_request| Ok(Echo)).origins(Origins::Any))
        .mount(
            Route::new("/list", |_request| Ok(Echo))
                .origins(Origins::List(vec!["https://b.example".into()])),
        )
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    for (path, origin, admitted) in [
        ("/same", "http://a.example", true),
        ("/same", "http://a.example:80", true),
        ("/same", "https://a.example", true),
        ("/same", "http://a.example:81", false),
        ("/same", "http://b.example", false),
        ("/same", "null", false),
        ("/any", "http://b.example", true),
        ("/any", "null", true),
        ("/list", "https://b.example", true),
        ("/list", "http://b.example", false),
        ("/list", "http://a.example", false),
        ("/list", "null", false),
    ] {
        let field = format!("Origin: {origin}");
        if admitted {
            open(addr, path, &[&field]).await;
        } else {
            let answer = status(addr, request(path, &[&field]).as_bytes()).await;
            assert_eq!(answer, 403, "{path} {origin}");
        }
    }
    for path in ["/same", "/any", "/list"] {
        open(addr, path, &[]).await;
    }
}

#[tokio::test]
async fn authorize_refuses_with_status_fields_and_body() {
    let route = Route::new("/", |_request| Ok(Echo)).authorize(|request| async move {
        // A check that takes time.
        tokio::task::yield_now().await;
        match request.headers().get("authorization") {
            Some(_) => Ok(()),
            None => Err(Refusal::new(StatusCode::UNAUTHORIZED)
                .header("www-authenticate", "Bearer")
                .header("content-type", "application/json")
                .body(r#"{"error":"token"}"#)),
        }
    });
    let server = start(route).await;
    let addr = server.local_addrs()[0];
    let answer = exchange(addr, request("/", &[]).as_bytes()).await;
    let (before, dated) = answer.split_once("date: ").expect("a date");
    let (_, after) = dated.split_once("\r\n").expect("a whole line");
    assert_eq!(
        before,
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-type: application/json\r\n"
    );
    assert_eq!(
        after,
        "connection: close\r\ncontent-length: 17\r\n\r\n{\"error\":\"token\"}"
    );
    let (mut websocket, _) = open(addr, "/", &["Authorization: Bearer x"]).await;
    assert_echoes(&mut websocket, "hi").await;
}

#[tokio::test]
async fn endpoint_finds_what_authorize_returned() {
    #[derive(Clone)]
    struct User(u32);
    let route = Route::new("/", |request| {
        let User(id) = request
            .extensions()
            .get::<User>()
            .expect("left by authorize");
        Ok(Greeter(id.to_string()))
    })
    .authorize(|_request| async { Ok(User(7)) });
    let server = start(route).await;
    let (mut websocket, _) = open(server.local_addrs()[0], "/", &[]).await;
    assert_eq!(recv_text(&mut websocket).await, "7");
}

#[tokio::test]
async fn factory_and_conversation_get_what_authorize_found_with_its_type() {
    #[derive(Clone)]
    struct User(String);
    async fn user(request: Arc<Request>) -> Result<User, Refusal> {
        tokio::task::yield_now().await;
        let name = request.query_param("name");
        name.map(User).ok_or(Refusal::new(StatusCode::UNAUTHORIZED))
    }
    let endpoints = Route::authorized("/endpoint", user, |request, User(name)| {
        Ok(Greeter(format!("{name} on {}", request.path())))
    });
    let conversations =
        Route::authorized_conversation("/loop", user, |User(name), websocket| async move {
            websocket.send(name).await.unwrap();
        });
    let server = Server::bind("127.0.0.1:0").mount(endpoints);
    let server = server.mount(conversations).start().await.unwrap();
    let addr = server.local_addrs()[0];
    for (path, said) in [
        ("/endpoint?name=ann", "ann on /endpoint"),
        ("/loop?name=bob", "bob"),
    ] {
        let (mut websocket, _) = open(addr, path, &[]).await;
        assert_eq!(recv_text(&mut websocket).await, said);
    }
    for path in ["/endpoint", "/loop?nobody"] {
        let answer = exchange(addr, request(path, &[]).as_bytes()).await;
        assert_eq!(status_of(&answer), 401, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_authorize_returns_is_the_requests_client() {
    let route = Route::new("/", |request| {
        let client = request.client_id().expect("found by authorize");
        Ok(Greeter(client.to_string()))
    })
    .authorize(|_request| async {
        tokio::task::yield_now().await;
        Ok("ann".parse::<ClientId>().expect("a name"))
    });
    let server = start(route).await;
    let (mut websocket, _) = open(server.local_addrs()[0], "/", &[]).await;
    assert_eq!(recv_text(&mut websocket).await, "ann");
}

#[tokio::test]
async fn factory_refuses_before_101() {
    let route = Route::new("/{name}", |request| match request.param("name") {
        Some("open") => Ok(Echo),
        _ => Err(Refusal::new(StatusCode::GONE).body("closed\n")),
    });
    let server = start(route).await;
    let addr = server.local_addrs()[0];
    let answer = exchange(addr, request("/shut", &[]).as_bytes()).await;
    assert_eq!(status_of(&answer), 410);
    assert!(answer.ends_with("\r\n\r\nclosed\n"), "{answer}");
    open(addr, "/open", &[]).await;
}

#[tokio::test]
async fn subprotocol_is_chosen_by_the_servers_preference() {
    let route = Route::new("/", |_request| Ok(Echo)).subprotocols(["v2", "v1"]);
    let server = start(route).await;
    let addr = server.local_addrs()[0];
    for (offer, chosen) in [("v1, v2", Some("v2")), ("v0, v1", Some("v1")), ("v0", None)] {
        let (_, head) = open(addr, "/", &[&format!("Sec-WebSocket-Protocol: {offer}")]).await;
        match chosen {
            Some(name) => {
                assert!(
                    head.contains(&format!("\r\nSec-WebSocket-Protocol: {name}\r\n")),
                    "{head}"
                );
            }
            None => assert!(!head.contains("Sec-WebSocket-Protocol"), "{head}"),
        }
    }
}

#[tokio::test]
async fn deflate_is_agreed_to_where_the_route_says_so() {
    let server = Server::bind("127.0.0.1:0")
        .route("/plain", |_request| Ok(Echo))
        .mount(Route::new("/deflate", |_request| Ok(Echo)).deflate(Deflate::default()))
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let offer = "Sec-WebSocket-Extensions: permessage-deflate";
    let (_, head) = open(addr, "/plain", &[offer]).await;
    assert!(!head.contains("permessage-deflate"), "{head}");
    let (_, head) = open(addr, "/deflate", &[offer]).await;
    assert!(
        head.contains("\r\nSec-WebSocket-Extensions: permessage-deflate"),
        "{head}"
    );
}

#[tokio::test]
async fn conversation_holds_the_websocket() {
    let route = Route::conversation("/{name}", |request, mut websocket| async move {
        let name = request.param("name").unwrap_or_default().to_owned();
        websocket.send(format!("hello {name}")).await.unwrap();
        while let Ok(Some(message)) = websocket.recv().await {
            websocket.send(message).await.unwrap();
        }
    });
    let server = start(route).await;
    let (mut websocket, _) = open(server.local_addrs()[0], "/ann", &[]).await;
    assert_eq!(recv_text(&mut websocket).await, "hello ann");
    assert_echoes(&mut websocket, "hi").await;
    assert_eq!(server.sessions(), 1);
    let closed = soon(websocket.close(sockeye::CloseCode::NORMAL, "bye")).await;
    assert!(closed.is_clean(), "{closed}");
}

#[tokio::test]
async fn endpoint_hears_how_it_ended() {
    struct Witness(
        Arc<Mutex<Option<Closed>>>,
        tokio::sync::mpsc::UnboundedSender<()>,
    );
    impl Endpoint for Witness {
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            Reply::None
        }
        fn on_close(&mut self, _session: &Session, closed: &Closed) {
            *self.0.lock().unwrap() = Some(closed.clone());
            self.1.send(()).unwrap();
        }
    }
    let seen = Arc::new(Mutex::new(None));
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    let witness = Arc::clone(&seen);
    let server = start(Route::new("/", move |_request| {
        Ok(Witness(Arc::clone(&witness), told.clone()))
    }))
    .await;
    let (mut websocket, _) = open(server.local_addrs()[0], "/", &[]).await;
    soon(websocket.close(sockeye::CloseCode::new(4321), "why")).await;
    soon(tell.recv()).await.unwrap();
    let closed = seen.lock().unwrap().take().unwrap();
    assert_eq!(
        (closed.code.as_u16(), closed.reason.as_str()),
        (4321, "why")
    );
}

#[tokio::test]
async fn endpoint_that_panics_ends_only_its_own_session() {
    struct Bomb;
    impl Endpoint for Bomb {
        fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
            assert_ne!(message.as_text(), Some("boom"), "on purpose");
            Reply::Echo
        }
    }
    let server = start(Route::new("/", |_request| Ok(Bomb))).await;
    let addr = server.local_addrs()[0];
    let (mut other, _) = open(addr, "/", &[]).await;
    let (mut websocket, _) = open(addr, "/", &[]).await;
    websocket.send("boom").await.unwrap();
    let _ = soon(websocket.recv()).await;
    soon(async {
        while (server.sessions(), server.connections()) != (1, 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_echoes(&mut other, "fine").await;
}

#[tokio::test]
async fn conversation_that_returns_closes() {
    let route = Route::conversation("/", |_request, websocket| async move {
        websocket.send("that was all").await.unwrap();
    });
    let server = start(route).await;
    let (mut websocket, _) = open(server.local_addrs()[0], "/", &[]).await;
    assert_eq!(recv_text(&mut websocket).await, "that was all");
    assert_eq!(soon(websocket.recv()).await.unwrap(), None);
    assert!(websocket.closed().unwrap().is_clean());
}

#[tokio::test]
async fn wrong_routes_are_refused_at_the_start() {
    for (paths, part) in [
        (["/a", "/a"], "route /a"),
        (["/{a}", "/{b}"], "route /{b}"),
        (["/a", "b"], "does not begin with /"),
        (["/a", "/{"], "route /{"),
        // The router would accept these, and no request would match them.
        (["/a", "/x/:id"], "a parameter is written {id}, not :id"),
        (["/a", "/x/*"], "all that is left is written {*rest}, not *"),
        (["/a", "/{id}/{id}"], "two parameters are named \"id\""),
    ] {
        let server = Server::bind("127.0.0.1:0")
            .route(paths[0], |_request| Ok(Echo))
            .route(paths[1], |_request| Ok(Echo));
        let error = server.start().await.unwrap_err();
        assert_eq!(error.kind(), sockeye::ErrorKind::Config);
        let text = error.report().to_string();
        assert!(text.contains(part), "{text}");
    }
    let server = Server::bind("127.0.0.1:0")
        .mount(Route::new("/", |_request| Ok(Echo)).subprotocols(["a b"]));
    assert_eq!(
        server.start().await.unwrap_err().kind(),
        sockeye::ErrorKind::Config
    );
}

#[tokio::test]
async fn a_route_answers_app_heartbeats_for_endpoints_and_conversations() {
    let conversation = Route::conversation("/loop", |_request, mut websocket| async move {
        while let Ok(Some(message)) = websocket.recv().await {
            if websocket.send(message).await.is_err() {
                break;
            }
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(Route::new("/calls", |_request| Ok(Echo)).app_heartbeat(AppHeartbeat::default()))
        .mount(conversation.app_heartbeat(AppHeartbeat::default()))
        .mount(Route::new("/plain", |_request| Ok(Echo)))
        .start()
        .await
        .unwrap();
    for (path, answer) in [("/calls", "pong"), ("/loop", "pong"), ("/plain", "ping")] {
        let (mut client, _) = open(server.local_addrs()[0], path, &[]).await;
        soon(client.send("ping")).await.unwrap();
        assert_eq!(recv_text(&mut client).await, answer, "{path}");
        assert_echoes(&mut client, "else").await;
    }
}
