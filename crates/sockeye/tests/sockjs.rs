//! SockJS over streams in memory, with a clock that the tests move. Where a test keeps an error that another server once made, it
//! names the report.

mod polling_client;

use std::time::Duration;

use http::{StatusCode, header};
use polling_client::{Client, body_of};
use sockeye::{
    AddressLimits, CloseCode, Closed, Endpoint, Group, Limits, Message, Origins, Rate, Refusal,
    Reply, Request, Route, Server, ServerHandle, Session, SessionCookie, Settings, Side, SockJs,
    SockJsSettings, SockJsWebSocket, WebSocket,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, timeout},
};

/// What an endpoint has heard.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Open(String),
    Message(String),
    Closed(u16, Side),
}

/// Reports what it hears, echoes, and closes when it is told to.
struct Reporter(UnboundedSender<Heard>);

impl Endpoint for Reporter {
    fn on_open(&mut self, session: &Session) {
        let path = session.request().unwrap().path().to_owned();
        let _ = self.0.send(Heard::Open(path));
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        let text = message.as_text().unwrap().to_owned();
        let reply = match &*text {
            "close" => Reply::Close(CloseCode::new(3000), "Go away!".to_owned()),
            "panic" => panic!("the endpoint panics, as the test wants"),
            "two" => {
                session.try_send("one").unwrap();
                Reply::Message("two".into())
            }
            "binary" => Reply::Message(Message::from(vec![0, 255])),
            _ => Reply::Echo,
        };
        let _ = self.0.send(Heard::Message(text));
        reply
    }

    fn on_close(&mut self, _: &Session, closed: &Closed) {
        let _ = self.0.send(Heard::Closed(closed.code.into(), closed.by));
    }
}

fn reporter() -> (Route, UnboundedReceiver<Heard>) {
    let (reports, heard) = unbounded_channel();
    let route = Route::new("/echo", move |_| Ok(Reporter(reports.clone())));
    (route, heard)
}

async fn start(route: Route, settings: SockJsSettings) -> Client {
    let sockjs = SockJs::new(route).settings(settings);
    Client::new(
        Server::unbound()
            .mount_sockjs(sockjs)
            .start()
            .await
            .unwrap(),
    )
}

async fn default_server() -> (Client, UnboundedReceiver<Heard>) {
    let (route, heard) = reporter();
    (start(route, SockJsSettings::default()).await, heard)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), future)
        .await
        .expect("it takes too long")
}

#[tokio::test(start_paused = true)]
async fn polling_opens_sends_and_receives() {
    let (client, mut heard) = default_server().await;
    assert_eq!(
        client.post("/echo/000/s/xhr", "").await,
        (200, "o\n".into())
    );
    assert_eq!(heard.recv().await, Some(Heard::Open("/echo".into())));
    assert_eq!(
        client.post("/echo/000/s/xhr_send", "[\"a\",\"b\"]").await,
        (204, "".into())
    );
    // Another server's number leads to the same session.
    assert_eq!(
        client.post("/echo/999/s/xhr", "").await,
        (200, "a[\"a\",\"b\"]\n".into())
    );
    assert_eq!(heard.recv().await, Some(Heard::Message("a".into())));
    let poll = client.post("/echo/000/s/xhr", "");
    let send = client.post("/echo/000/s/xhr_send", "[\"\\u0000%\\u2028\\ud83d\"]");
    let (poll, send) = tokio::join!(poll, send);
    assert_eq!(send.0, 204);
    assert_eq!(poll, (200, "a[\"\\u0000%\\u2028\\ufffd\"]\n".into()));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_opened_by_a_receiver_and_by_nothing_else() {
    let (client, mut heard) = default_server().await;
    assert_eq!(client.post("/echo/0/s/xhr_send", "[\"a\"]").await.0, 404);
    assert_eq!(client.post("/echo/0/s/jsonp_send", "[\"a\"]").await.0, 404);
    assert!(heard.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_receiver_is_gone_after_five_seconds_and_its_endpoint_hears_it() {
    // vert.x#373, #398: a session that was never polled again stayed for ever.
    let (client, mut heard) = default_server().await;
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "o\n");
    assert!(matches!(heard.recv().await, Some(Heard::Open(_))));
    let began = Instant::now();
    let closed = soon(heard.recv()).await;
    assert_eq!(closed, Some(Heard::Closed(1006, Side::Network)));
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(client.sessions(), 0);
    // sockjs-protocol#91, #33: a late poll opened another session, whose first half was missing.
    for _ in 0..2 {
        let late = client.post("/echo/0/s/xhr", "").await;
        assert_eq!(late, (200, "c[1002,\"Connection interrupted\"]\n".into()));
    }
    assert_eq!(client.post("/echo/0/s/xhr_send", "[\"a\"]").await.0, 404);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "o\n");
}

#[tokio::test(start_paused = true)]
async fn polls_keep_a_session_and_sending_does_not() {
    // vertx-web#2862: a session was closed although its client polled.
    let (client, mut heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    for _ in 0..4 {
        sleep(Duration::from_secs(4)).await;
        client.post("/echo/0/s/xhr_send", "[\"a\"]").await;
        assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "a[\"a\"]\n");
    }
    for _ in 0..4 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(client.post("/echo/0/s/xhr_send", "[\"b\"]").await.0, 204);
    }
    sleep(Duration::from_millis(1100)).await;
    while let Some(report) = heard.recv().await {
        if matches!(report, Heard::Closed(..)) {
            return;
        }
    }
    panic!("the session lives on");
}

#[tokio::test(start_paused = true)]
async fn a_second_receiver_is_told_so_and_the_first_goes_on() {
    let (client, _heard) = default_server().await;
    let mut first = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(first.next().await.unwrap().len(), 2049);
    assert_eq!(first.next().await.unwrap(), "o\n");
    let refused = "c[2010,\"Another connection still open\"]\n";
    assert_eq!(
        client.post("/echo/0/s/xhr", "").await,
        (200, refused.into())
    );
    let mut second = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(second.next().await.unwrap().len(), 2049);
    assert_eq!(second.next().await.unwrap(), refused);
    assert_eq!(second.next().await, None);
    client.post("/echo/0/s/xhr_send", "[\"a\"]").await;
    assert_eq!(first.next().await.unwrap(), "a[\"a\"]\n");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_torn_off_ends_the_session() {
    for path in [
        "/echo/0/s/xhr_streaming",
        "/echo/0/s/eventsource",
        "/echo/0/s/xhr",
    ] {
        let (client, mut heard) = default_server().await;
        let method = if path.ends_with("eventsource") {
            "GET"
        } else {
            "POST"
        };
        client.post("/echo/0/s/xhr", "").await;
        assert!(matches!(heard.recv().await, Some(Heard::Open(_))));
        let receiver = client.begin(method, path, &[]).await;
        // The receiver is there: a second one is refused.
        let second = || async { client.post("/echo/0/s/xhr", "").await.1 };
        while !second().await.starts_with("c[2010") {}
        let torn_at = Instant::now();
        drop(receiver);
        let closed = soon(heard.recv()).await;
        assert_eq!(closed, Some(Heard::Closed(1006, Side::Network)), "{path}");
        assert!(torn_at.elapsed() < Duration::from_secs(5), "{path}");
        assert_eq!(
            second().await,
            "c[1002,\"Connection interrupted\"]\n",
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_gets_the_place_of_one_whose_end_is_on_its_way() {
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    let first = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    let second = client.post("/echo/0/s/xhr", "");
    let (second, ()) = tokio::join!(second, async {
        sleep(Duration::from_millis(50)).await;
        drop(first);
    });
    assert_eq!(second.1, "c[1002,\"Connection interrupted\"]\n");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_to_a_poll_that_has_ended() {
    // phoenix#5709: messages went to a poll that had been answered already, and were lost.
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    for number in 0..50 {
        let body = format!("[\"{number}\"]");
        let send = client.post("/echo/0/s/xhr_send", &body);
        let (poll, _) = tokio::join!(client.post("/echo/0/s/xhr", ""), send);
        assert_eq!(poll.1, format!("a[\"{number}\"]\n"));
        client
            .post("/echo/0/s/xhr_send", &format!("[\"between {number}\"]"))
            .await;
        let next = client.post("/echo/0/s/xhr", "").await;
        assert_eq!(next.1, format!("a[\"between {number}\"]\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_when_nothing_else_did_for_25_seconds() {
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    let began = Instant::now();
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "h\n");
    assert_eq!(began.elapsed().as_secs(), 25);
    let mut stream = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(stream.next().await.unwrap().len(), 2049);
    sleep(Duration::from_secs(20)).await;
    client.post("/echo/0/s/xhr_send", "[\"a\"]").await;
    assert_eq!(stream.next().await.unwrap(), "a[\"a\"]\n");
    let began = Instant::now();
    for seconds in [25, 50] {
        assert_eq!(stream.next().await.unwrap(), "h\n");
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_streaming_response_ends_when_it_is_long_enough_and_the_next_one_goes_on() {
    let (route, _heard) = reporter();
    let client = start(route, SockJsSettings::default().with_response_bytes_max(20)).await;
    let mut first = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(first.next().await.unwrap().len(), 2049);
    assert_eq!(first.next().await.unwrap(), "o\n");
    for (number, is_last) in [(1, false), (2, false), (3, true)] {
        client
            .post("/echo/0/s/xhr_send", &format!("[\"{number}\"]"))
            .await;
        assert_eq!(first.next().await.unwrap(), format!("a[\"{number}\"]\n"));
        if is_last {
            assert_eq!(first.next().await, None);
        }
    }
    client.post("/echo/0/s/xhr_send", "[\"4\"]").await;
    let mut second = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(second.next().await.unwrap().len(), 2049);
    assert_eq!(second.next().await.unwrap(), "a[\"4\"]\n");
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_sent_before_the_close_and_the_close_is_repeated() {
    let (client, mut heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    client
        .post("/echo/0/s/xhr_send", "[\"two\",\"close\"]")
        .await;
    assert_eq!(
        client.post("/echo/0/s/xhr", "").await.1,
        "a[\"one\",\"two\"]\n"
    );
    // sockjs-client#308: the client polled again and again, each time with a new session.
    for _ in 0..3 {
        assert_eq!(
            client.post("/echo/0/s/xhr", "").await.1,
            "c[3000,\"Go away!\"]\n"
        );
    }
    assert!(matches!(heard.recv().await, Some(Heard::Open(_))));
    assert_eq!(heard.recv().await, Some(Heard::Message("two".into())));
    assert_eq!(heard.recv().await, Some(Heard::Message("close".into())));
    assert_eq!(heard.recv().await, Some(Heard::Closed(3000, Side::Us)));
    assert_eq!(client.post("/echo/0/s/xhr_send", "[\"a\"]").await.0, 404);
    let mut stream = client.stream("GET", "/echo/0/s/eventsource", &[]).await;
    assert_eq!(stream.next().await.unwrap(), "\r\n");
    assert_eq!(
        stream.next().await.unwrap(),
        "data: c[3000,\"Go away!\"]\r\n\r\n"
    );
    assert_eq!(stream.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_panics_ends_its_own_session_alone() {
    // CVE-2020-7693, GHSA-273r-mgr4-v34f: a request ended the process.
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    client.post("/echo/0/other/xhr", "").await;
    client.post("/echo/0/s/xhr_send", "[\"panic\"]").await;
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "c[1011,\"\"]\n");
    client.post("/echo/0/other/xhr_send", "[\"a\"]").await;
    assert_eq!(client.post("/echo/0/other/xhr", "").await.1, "a[\"a\"]\n");
}

#[tokio::test(start_paused = true)]
async fn a_binary_message_is_left_out_and_the_session_goes_on() {
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    client
        .post("/echo/0/s/xhr_send", "[\"binary\",\"a\"]")
        .await;
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "a[\"a\"]\n");
}

#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_status_is_the_protocols() {
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    for (method, path, body, status, text) in [
        ("GET", "/echo", "", 200, "Welcome to SockJS!\n"),
        ("GET", "/echo/", "", 200, "Welcome to SockJS!\n"),
        ("GET", "/echo//", "", 404, "not found\n"),
        ("GET", "/echo/iframe.html", "", 404, "not found\n"),
        ("GET", "/echo/a./s/xhr", "", 404, "not found\n"),
        ("GET", "/echo/0/s/xhr", "", 405, ""),
        ("POST", "/echo/0/s/eventsource", "", 405, ""),
        ("POST", "/echo/0/s/websocket", "", 405, ""),
        (
            "GET",
            "/echo/0/s/websocket",
            "",
            400,
            "Not a valid websocket request\n",
        ),
        (
            "GET",
            "/echo/websocket",
            "",
            400,
            "Not a valid websocket request\n",
        ),
        ("POST", "/echo/0/s/xhr_send", "", 500, "Payload expected."),
        (
            "POST",
            "/echo/0/s/xhr_send",
            "[\"x",
            500,
            "Broken JSON encoding.",
        ),
        (
            "POST",
            "/echo/0/s/xhr_send",
            "\"x\"",
            500,
            "Broken JSON encoding.",
        ),
        ("POST", "/echo/0/s/xhr_send", "[]", 204, ""),
        (
            "GET",
            "/echo/0/s/jsonp",
            "",
            500,
            "\"callback\" parameter required",
        ),
        (
            "GET",
            "/echo/0/s/jsonp?c=a%28",
            "",
            500,
            "invalid \"callback\" parameter",
        ),
        (
            "GET",
            "/echo/0/s/htmlfile?callback=a%20b",
            "",
            500,
            "invalid \"callback\" parameter",
        ),
    ] {
        let fields = [("sec-fetch-site", "same-origin")];
        let answer = client.ask(method, path, &fields, body).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        if status == 405 {
            assert!(answer.headers().contains_key(header::ALLOW), "{path}");
            assert!(
                !answer.headers().contains_key(header::CONTENT_TYPE),
                "{path}"
            );
        }
        assert_eq!(body_of(answer).await, text, "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn jsonp_polls_and_sends_forms() {
    let (client, _heard) = default_server().await;
    let fields = [("sec-fetch-site", "same-origin")];
    let poll = || client.ask("GET", "/echo/0/s/jsonp?c=%63b", &fields, "");
    let answer = poll().await;
    // sockjs-node#163 (CVE-2014-4671), sockjs-tornado#116: the response was taken for a Flash file.
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(
        answer.headers()["content-type"],
        "application/javascript; charset=UTF-8"
    );
    assert_eq!(body_of(answer).await, "/**/cb(\"o\");\r\n");
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "x=y&d=%5B%22a+b%22%5D"),
        ("text/plain", "[\"%61\"]"),
    ] {
        let fields = [("content-type", content_type)];
        let answer = client
            .ask("POST", "/echo/0/s/jsonp_send", &fields, body)
            .await;
        assert_eq!(answer.status(), 200);
        assert_eq!(body_of(answer).await, "ok");
    }
    let answer = poll().await;
    assert_eq!(
        body_of(answer).await,
        "/**/cb(\"a[\\\"a b\\\",\\\"%61\\\"]\");\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn htmlfile_writes_scripts_that_no_message_ends() {
    let (client, _heard) = default_server().await;
    let fields = [("sec-fetch-site", "same-origin")];
    let mut stream = client
        .stream("GET", "/echo/0/s/htmlfile?c=cb", &fields)
        .await;
    assert!(stream.next().await.unwrap().contains("var c = parent.cb;"));
    assert_eq!(
        stream.next().await.unwrap(),
        "<script>\np(\"o\");\n</script>\r\n"
    );
    client.post("/echo/0/s/xhr_send", "[\"</script>\"]").await;
    let frame = "<script>\np(\"a[\\\"\\u003c/script>\\\"]\");\n</script>\r\n";
    assert_eq!(stream.next().await.unwrap(), frame);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_may_do_nothing_unless_the_route_says_so() {
    // CVE-2020-28481: any origin was let through by default.
    let (client, mut heard) = default_server().await;
    let foreign = [("origin", "http://evil.example")];
    for (method, path) in [
        ("GET", "/echo/info"),
        ("OPTIONS", "/echo/info"),
        ("POST", "/echo/0/s/xhr"),
        ("OPTIONS", "/echo/0/s/xhr"),
        ("GET", "/echo/0/s/eventsource"),
    ] {
        let answer = client.ask(method, path, &foreign, "").await;
        assert_eq!(answer.status(), 403, "{method} {path}");
        let allowed = answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed, None, "{method} {path}");
    }
    // Browsers send no `Origin` with scripts and frames, whose content the page can read.
    for path in ["/echo/0/s/jsonp?c=x", "/echo/0/s/htmlfile?c=x"] {
        for fields in [&[("sec-fetch-site", "cross-site")][..], &[]] {
            assert_eq!(
                client.ask("GET", path, fields, "").await.status(),
                403,
                "{path}"
            );
        }
    }
    assert!(heard.try_recv().is_err());

    let (route, _heard) = reporter();
    let open = start(route.origins(Origins::Any), SockJsSettings::default()).await;
    let answer = open.ask("POST", "/echo/0/s/xhr", &foreign, "").await;
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "http://evil.example"
    );
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
    assert_eq!(answer.headers()["vary"], "Origin");
    let answer = open.ask("OPTIONS", "/echo/0/s/xhr", &foreign, "").await;
    // eio#279: a preflight has no cookie, so that any node must answer it; sockjs has no state for it.
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        answer.headers()["access-control-allow-methods"],
        "OPTIONS, POST"
    );
    assert_eq!(
        answer.headers()["cache-control"],
        "public, max-age=31536000"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_else_can_use_a_session() {
    let by_name = |request: &Request| {
        Ok(request
            .query_param("user")
            .and_then(|user| user.parse().ok()))
    };
    let (route, mut heard) = reporter();
    let client = start(route.identify(by_name), SockJsSettings::default()).await;
    assert_eq!(client.post("/echo/0/s/xhr?user=ann", "").await.1, "o\n");
    assert!(matches!(heard.recv().await, Some(Heard::Open(_))));
    for path in [
        "/echo/0/s/xhr?user=bob",
        "/echo/0/s/xhr",
        "/echo/0/s/xhr_send?user=bob",
    ] {
        assert_eq!(client.post(path, "[\"a\"]").await.0, 404, "{path}");
    }
    assert_eq!(
        client
            .post("/echo/0/s/xhr_send?user=ann", "[\"a\"]")
            .await
            .0,
        204
    );
    // The same client with other credentials.
    let answer = client
        .ask("POST", "/echo/0/s/xhr?user=ann", &[("cookie", "new=1")], "")
        .await;
    assert_eq!(body_of(answer).await, "a[\"a\"]\n");
    sleep(Duration::from_secs(6)).await;
    assert_eq!(client.post("/echo/0/s/xhr?user=bob", "").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn where_a_check_does_not_say_who_a_client_is_the_credentials_tell() {
    let (route, _heard) = reporter();
    let route = route.authorize(|request| async move {
        match request.headers().contains_key("x-user") {
            true => Ok(()),
            false => Err(Refusal::new(StatusCode::UNAUTHORIZED)),
        }
    });
    let client = start(route, SockJsSettings::default()).await;
    let post = async |path: &str, user: Option<&str>| {
        let fields: Vec<_> = user.map(|user| ("x-user", user)).into_iter().collect();
        client
            .ask("POST", path, &fields, "[\"a\"]")
            .await
            .status()
            .as_u16()
    };
    assert_eq!(post("/echo/0/s/xhr", None).await, 401);
    assert_eq!(post("/echo/0/s/xhr", Some("ann")).await, 200);
    assert_eq!(post("/echo/0/s/xhr_send", Some("bob")).await, 404);
    assert_eq!(post("/echo/0/s/xhr_send", None).await, 401);
    assert_eq!(post("/echo/0/s/xhr_send", Some("ann")).await, 204);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_route_is_the_answer() {
    let route = Route::new("/echo", |_| -> Result<Reporter, Refusal> {
        Err(Refusal::new(StatusCode::UNAUTHORIZED).body("log in first\n"))
    });
    let client = start(route, SockJsSettings::default()).await;
    let (status, text) = client.post("/echo/0/s/xhr", "").await;
    assert_eq!((status, &*text), (401, "log in first\n"));
    assert_eq!(client.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_limited_in_all_for_each_client_and_for_each_address() {
    let by_name = |request: &Request| {
        Ok(request
            .query_param("user")
            .and_then(|user| user.parse().ok()))
    };
    let (route, _heard) = reporter();
    let settings = SockJsSettings::default()
        .with_sessions_max(3)
        .with_sessions_per_client_max(2);
    let client = start(route.identify(by_name), settings).await;
    for (path, status) in [
        ("/echo/0/a/xhr?user=ann", 200),
        ("/echo/0/b/xhr?user=ann", 200),
        ("/echo/0/c/xhr?user=ann", 429),
        ("/echo/0/d/xhr?user=bob", 200),
        ("/echo/0/e/xhr?user=bob", 503),
    ] {
        assert_eq!(client.post(path, "").await.0, status, "{path}");
    }
    sleep(Duration::from_secs(6)).await;
    assert_eq!(client.post("/echo/0/c/xhr?user=ann", "").await.0, 200);

    let (route, _heard) = reporter();
    let mut limits = AddressLimits::default();
    limits.connections_max = 4;
    limits.exempt = Vec::new();
    let server = Server::unbound()
        .address_limits(limits)
        .mount_sockjs(SockJs::new(route));
    let client = Client::from_address(server.start().await.unwrap(), "192.0.2.1:1");
    let mut statuses = Vec::new();
    for number in 0..5 {
        statuses.push(client.post(&format!("/echo/0/{number}/xhr"), "").await.0);
    }
    // Each request is a connection, too, while it is answered.
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_session_sends_at_the_pace_that_it_may() {
    let (route, _heard) = reporter();
    let settings = SockJsSettings::default()
        .with_send_rate(Rate::per_second(2))
        .with_waiting_sends_max(1);
    let client = start(route, settings).await;
    let mut stream = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(stream.next().await.unwrap().len(), 2049);
    let began = Instant::now();
    for _ in 0..6 {
        assert_eq!(client.post("/echo/0/s/xhr_send", "[\"a\"]").await.0, 204);
    }
    assert_eq!(began.elapsed().as_secs(), 2);
    let send = || client.post("/echo/0/s/xhr_send", "[\"a\"]");
    let (first, second, third) = tokio::join!(send(), send(), send());
    assert_eq!([first.0, second.0, third.0], [204, 204, 429]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused() {
    // GHSA-j4f2-536g-r55m: bodies were joined before their length was checked.
    let (route, _heard) = reporter();
    let client = start(route, SockJsSettings::default().with_body_bytes_max(10)).await;
    client.post("/echo/0/s/xhr", "").await;
    assert_eq!(
        client.post("/echo/0/s/xhr_send", "[\"123456\"]").await.0,
        204
    );
    assert_eq!(
        client.post("/echo/0/s/xhr_send", "[\"1234567\"]").await.0,
        413
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_receive_can_not_send_without_end() {
    let (route, _heard) = reporter();
    // socketioxide#273, engine.io#420: the queue of a client that didn't receive had no limit.
    let settings = Settings::default().with_outbox_bytes_max(2000);
    let client = start(route.settings(settings), SockJsSettings::default()).await;
    client.post("/echo/0/s/xhr", "").await;
    let body = format!("[\"{}\"]", "x".repeat(600));
    let mut sent = 0;
    // The last one waits until the session has ended, for want of a receiver.
    while client.post("/echo/0/s/xhr_send", &body).await.0 == 204 {
        sent += 1;
        assert!(sent < 10);
    }
    assert!(sent >= 1);
    assert_eq!(
        client.post("/echo/0/s/xhr", "").await.1,
        "c[1002,\"Connection interrupted\"]\n"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_can_not_queue_without_end_and_nothing_queued_is_lost() {
    struct Flood(UnboundedSender<usize>);
    impl Endpoint for Flood {
        fn on_message(&mut self, session: &Session, _: Message<'_>) -> Reply {
            let mut sent = 0;
            while session.try_send(format!("{sent:0>100}")).is_ok() {
                sent += 1;
                assert!(sent < 1000, "the outbox has no limit");
            }
            let _ = self.0.send(sent);
            Reply::None
        }
    }
    let (reports, mut sent) = unbounded_channel();
    let settings = Settings::default().with_outbox_bytes_max(10_000);
    let route = Route::new("/echo", move |_| Ok(Flood(reports.clone()))).settings(settings);
    let client = start(route, SockJsSettings::default()).await;
    let mut stream = client.stream("POST", "/echo/0/s/xhr_streaming", &[]).await;
    assert_eq!(stream.next().await.unwrap().len(), 2049);
    assert_eq!(stream.next().await.unwrap(), "o\n");
    for _ in 0..3 {
        client.post("/echo/0/s/xhr_send", "[\"flood\"]").await;
        let sent = sent.recv().await.unwrap();
        assert!(sent >= 80, "{sent}");
        let mut received: Vec<String> = Vec::new();
        while received.len() < sent {
            let frame = stream.next_line().await;
            let messages: Vec<String> = serde_json::from_str(&frame[1..]).unwrap();
            received.extend(messages);
        }
        let expected: Vec<String> = (0..sent).map(|number| format!("{number:0>100}")).collect();
        assert_eq!(received, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_has_members_by_websocket_and_by_sockjs() {
    struct Member(Group);
    impl Endpoint for Member {
        fn on_open(&mut self, session: &Session) {
            self.0.join(session);
        }
        fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
            self.0.send(message);
            Reply::None
        }
    }
    let room = Group::new();
    let for_sockjs = room.clone();
    let server = Server::unbound()
        .route("/room", move |_| Ok(Member(room.clone())))
        .sockjs("/sockjs/room", move |_| Ok(Member(for_sockjs.clone())));
    let client = Client::new(server.start().await.unwrap());
    client.post("/sockjs/room/0/s/xhr", "").await;
    let mut websocket = client.websocket("/room").await;
    client
        .post("/sockjs/room/0/s/xhr_send", "[\"by sockjs\"]")
        .await;
    let message = websocket.recv().await.unwrap().unwrap();
    assert_eq!(message.as_text(), Some("by sockjs"));
    assert_eq!(
        client.post("/sockjs/room/0/s/xhr", "").await.1,
        "a[\"by sockjs\"]\n"
    );
    websocket.send("by websocket").await.unwrap();
    assert_eq!(
        client.post("/sockjs/room/0/s/xhr", "").await.1,
        "a[\"by websocket\"]\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_websocket_carries_a_session_in_frames_of_the_protocol() {
    let (client, mut heard) = default_server().await;
    let mut websocket = client.websocket("/echo/000/s/websocket").await;
    let text = async |websocket: &mut WebSocket| {
        let message = websocket.recv().await.unwrap().unwrap();
        message.as_text().unwrap().to_owned()
    };
    assert_eq!(text(&mut websocket).await, "o");
    assert_eq!(heard.recv().await, Some(Heard::Open("/echo".into())));
    for message in ["", "[]", "[\"a\",\"b\"]", "\"c\""] {
        websocket.send(message).await.unwrap();
    }
    assert_eq!(text(&mut websocket).await, "a[\"a\",\"b\"]");
    assert_eq!(text(&mut websocket).await, "a[\"c\"]");
    // Two WebSockets may have the same id.
    let mut second = client.websocket("/echo/000/s/websocket").await;
    assert_eq!(text(&mut second).await, "o");
    second.send("[\"close\"]").await.unwrap();
    assert_eq!(text(&mut second).await, "c[3000,\"Go away!\"]");
    assert!(second.recv().await.unwrap().is_none());
    let began = Instant::now();
    assert_eq!(text(&mut websocket).await, "h");
    assert_eq!(began.elapsed().as_secs(), 25);
    websocket.close(CloseCode::new(4001), "bye").await;
    loop {
        if let Heard::Closed(code @ 4001, by) = heard.recv().await.unwrap() {
            assert_eq!((code, by), (4001, Side::Peer));
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn broken_json_ends_a_websocket_at_once() {
    // socketioxide#357: malformed input made the server loop.
    let (client, mut heard) = default_server().await;
    let mut websocket = client.websocket("/echo/000/s/websocket").await;
    assert!(websocket.recv().await.unwrap().is_some());
    websocket.send("[\"a").await.unwrap();
    let error = websocket.recv().await.unwrap_err();
    assert_eq!(error.closed().unwrap().code, CloseCode::INVALID_PAYLOAD);
    assert!(matches!(heard.recv().await, Some(Heard::Open(_))));
    assert!(matches!(soon(heard.recv()).await, Some(Heard::Closed(..))));
}

#[tokio::test(start_paused = true)]
async fn a_raw_websocket_has_no_frames_and_real_close_codes() {
    let (client, _heard) = default_server().await;
    let mut websocket = client.websocket("/echo/websocket").await;
    websocket.send("Hello world!\u{ffff}").await.unwrap();
    let message = websocket.recv().await.unwrap().unwrap();
    assert_eq!(message.as_text(), Some("Hello world!\u{ffff}"));
    websocket.send("close").await.unwrap();
    let error = websocket.recv().await.unwrap_err();
    assert_eq!(u16::from(error.closed().unwrap().code), 3000);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_on_any_other_path_is_refused_and_nothing_ends() {
    // sockjs-node#252: it ended the process.
    let (client, _heard) = default_server().await;
    for path in [
        "/echo",
        "/echo/",
        "/echo/info",
        "/echo/iframe.html",
        "/echo/0/s/xhr",
        "/echo/0/s/jsonp_send",
        "/echo/a./s/websocket",
        "/echo//s/websocket",
        "/echo/0/s/websocket/",
    ] {
        assert_eq!(client.websocket_status(path).await, 404, "{path}");
    }
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "o\n");
}

#[tokio::test(start_paused = true)]
async fn websockets_can_be_absent() {
    let (route, _heard) = reporter();
    let settings = SockJsSettings::default().with_websocket(SockJsWebSocket::Absent);
    let client = start(route, settings).await;
    let answer = client.ask("GET", "/echo/info", &[], "").await;
    assert!(body_of(answer).await.contains("\"websocket\":false"));
    for path in ["/echo/0/s/websocket", "/echo/websocket"] {
        assert_eq!(
            client.ask("GET", path, &[], "").await.status(),
            404,
            "{path}"
        );
        assert_eq!(client.websocket_status(path).await, 404, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cookie_is_on_session_urls_alone() {
    // sockjs-client#269: a cookie on `info` made pages of other origins fail.
    let (route, _heard) = reporter();
    let settings = SockJsSettings::default().with_session_cookie(SessionCookie::Sent);
    let client = start(route, settings).await;
    let answer = client.ask("GET", "/echo/info", &[], "").await;
    assert!(!answer.headers().contains_key(header::SET_COOKIE));
    let answer = client.ask("POST", "/echo/0/s/xhr", &[], "").await;
    assert_eq!(answer.headers()["set-cookie"], "JSESSIONID=dummy; path=/");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_gets_no_chunks_and_the_end_of_the_connection() {
    let (client, _heard) = default_server().await;
    client.post("/echo/0/s/xhr", "").await;
    client.post("/echo/0/s/xhr_send", "[\"a\",\"close\"]").await;
    let answer = client
        .raw("POST /echo/0/s/xhr_streaming HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(
        !head.contains("transfer-encoding") && !head.contains("content-length"),
        "{head}"
    );
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    assert_eq!(&body[2049..], "a[\"a\"]\nc[3000,\"Go away!\"]\n");
}

#[tokio::test(start_paused = true)]
async fn http_2_carries_all_requests_of_a_session() {
    let (client, _heard) = default_server().await;
    let mut http2 = client.http2().await;
    let mut stream = http2.stream("POST", "/echo/0/s/xhr_streaming").await;
    assert_eq!(stream.next_bytes(2049).await.len(), 2049);
    assert_eq!(stream.next_bytes(2).await, "o\n");
    assert_eq!(
        http2.ask("POST", "/echo/0/s/xhr_send", "[\"a\"]").await.0,
        204
    );
    assert_eq!(stream.next_bytes(7).await, "a[\"a\"]\n");
    assert_eq!(
        http2.ask("GET", "/echo", "").await.1,
        "Welcome to SockJS!\n"
    );
}

/// In real time, since a drain waits for the workers, whose threads have no clock that a test could move.
#[tokio::test]
async fn a_drain_closes_sessions_with_its_code_and_waits_for_no_poll() {
    let (route, mut heard) = reporter();
    let limits = Limits::default().with_close_timeout(Duration::from_millis(10));
    let client = start(route.limits(limits), SockJsSettings::default()).await;
    client.post("/echo/0/a/xhr", "").await;
    client.post("/echo/0/b/xhr", "").await;
    let mut stream = client.stream("POST", "/echo/0/a/xhr_streaming", &[]).await;
    assert_eq!(stream.next().await.unwrap().len(), 2049);
    let mut drain = sockeye::Drain::default();
    drain.code = CloseCode::SERVICE_RESTART;
    drain.reason = "restart".to_owned();
    drain.retry = None;
    let report = soon(client.drain(drain)).await;
    assert_eq!(stream.next().await.unwrap(), "c[1012,\"restart\"]\n");
    // Nobody came to take the other one's close.
    assert_eq!((report.closed, report.aborted, report.timed_out), (1, 1, 0));
    let mut ends = 0;
    while let Ok(report) = heard.try_recv() {
        ends += usize::from(matches!(report, Heard::Closed(..)));
    }
    assert_eq!(ends, 2);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_runs_by_sockjs_too() {
    let route = Route::conversation("/echo", |_request, mut websocket| async move {
        while let Ok(Some(message)) = websocket.recv().await {
            let text = message.as_text().unwrap().to_uppercase();
            if websocket.send(text).await.is_err() {
                return;
            }
        }
    });
    let client = start(route, SockJsSettings::default()).await;
    client.post("/echo/0/s/xhr", "").await;
    client.post("/echo/0/s/xhr_send", "[\"a\"]").await;
    assert_eq!(client.post("/echo/0/s/xhr", "").await.1, "a[\"A\"]\n");
}

#[tokio::test(start_paused = true)]
async fn a_path_with_parameters_has_them_for_the_endpoint() {
    struct Named(String);
    impl Endpoint for Named {
        fn on_open(&mut self, session: &Session) {
            let _ = session.try_send(&*self.0);
        }
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }
    }
    let server = Server::unbound().sockjs("/rooms/{room}", |request| {
        assert_eq!(request.path(), "/rooms/a%20b");
        Ok(Named(request.param("room").unwrap_or_default().to_owned()))
    });
    let client = Client::new(server.start().await.unwrap());
    client.post("/rooms/a%20b/0/s/xhr", "").await;
    assert_eq!(
        client.post("/rooms/a%20b/0/s/xhr", "").await.1,
        "a[\"a b\"]\n"
    );
    let mut websocket = client.websocket("/rooms/a%20b/0/s/websocket").await;
    for expected in ["o", "a[\"a b\"]"] {
        let message = websocket.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some(expected));
    }
}

#[tokio::test]
async fn a_path_that_can_not_be_is_refused_at_the_start() {
    for path in ["/", "/echo/", "echo"] {
        let (reports, _heard) = unbounded_channel();
        let server = Server::unbound().sockjs(path, move |_| Ok(Reporter(reports.clone())));
        let error = server.start().await.err();
        assert_eq!(error.unwrap().kind(), sockeye::ErrorKind::Config, "{path}");
    }
    let settings = SockJsSettings::default().with_iframe_script_url("\"".to_owned());
    let sockjs = SockJs::new(reporter().0).settings(settings);
    let started: Result<ServerHandle, _> = Server::unbound().mount_sockjs(sockjs).start().await;
    assert_eq!(started.err().unwrap().kind(), sockeye::ErrorKind::Config);
}
