//! Time limits of plain HTTP: heads, bodies, idle connections, unread answers. The test moves the clock.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use http::{Request, StatusCode};
use sockeye::{HttpSettings, MemoryBudget, Server, ServerHandle};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::{Instant, sleep},
};

use crate::support::{Echo, status_of};

const SECOND: Duration = Duration::from_secs(1);

/// Bytes. More than all windows and buffers on the way.
const LARGE: usize = 1 << 20;

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn start(http: HttpSettings) -> ServerHandle {
    let pages = Router::new()
        .route("/", get(|| async { "welcome" }))
        .route("/large", get(|| async { vec![b'x'; LARGE] }))
        .route(
            "/length",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route("/unread", post(|_: Request<Body>| async { "done" }));
    let server = Server::unbound().route("/echo", |_request| Ok(Echo));
    server.fallback(pages).http(http).start().await.unwrap()
}

fn connect(server: &ServerHandle) -> DuplexStream {
    let (client, theirs) = duplex(16 << 10);
    server.accept(theirs, None);
    client
}

/// Waits until no connection is left, and returns how long it took.
async fn emptied(server: &ServerHandle) -> Duration {
    let began = Instant::now();
    while server.connections() > 0 {
        assert!(began.elapsed() < 1000 * SECOND, "still connected");
        sleep(SECOND / 10).await;
    }
    began.elapsed()
}

fn is_about(time: Duration, expected: Duration) -> bool {
    time >= expected && time <= expected + 3 * SECOND
}

/// Reads the next head, without a limit of time.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn answer_of(stream: &mut DuplexStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_answered_with_408() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut stream = connect(&server);
        let head = format!("POST /length HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n5\r\nhel");
        stream.write_all(head.as_bytes()).await.unwrap();
        let began = Instant::now();
        let answer = answer_of(&mut stream).await;
        assert_eq!(status_of(&answer), 408, "{answer}");
        assert!(is_about(began.elapsed(), http.body_timeout));
        drop(stream);
        emptied(&server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_byte_by_byte_has_a_time_for_the_whole() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    let (mut reader, mut writer) = tokio::io::split(connect(&server));
    let head = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(5 * SECOND).await;
        }
    });
    let began = Instant::now();
    let head = read_head(&mut reader).await;
    assert_eq!(status_of(&head), 408, "{head}");
    let time = began.elapsed();
    assert!(is_about(time, http.body_time_max) || is_about(time, http.body_time_max + 3 * SECOND));
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_slowly_and_steadily_is_taken() {
    let server = start(HttpSettings::default()).await;
    let mut stream = connect(&server);
    let head = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..4 {
        sleep(10 * SECOND).await;
        stream.write_all(b"x").await.unwrap();
    }
    let head = read_head(&mut stream).await;
    assert_eq!(status_of(&head), 200, "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_answered_with_413() {
    let mut http = HttpSettings::default();
    http.body_bytes_max = 10;
    let server = start(http).await;
    for (body, expected) in [
        ("Content-Length: 10\r\n\r\n0123456789", 200),
        ("Content-Length: 11\r\n\r\n", 413),
        (
            "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n",
            413,
        ),
    ] {
        let mut stream = connect(&server);
        let bytes = format!("POST /length HTTP/1.1\r\nHost: a\r\n{body}");
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert_eq!(status_of(&head), expected, "{body} {head}");
        let is_closed = head.to_lowercase().contains("connection: close");
        assert_eq!(is_closed, expected == 413, "{head}");
    }
}

/// Starts a server that answers with the length of a body.
async fn start_with(budget: &MemoryBudget) -> ServerHandle {
    let pages = Router::new().route(
        "/length",
        post(|body: Bytes| async move { body.len().to_string() }),
    );
    let server = Server::unbound().fallback(pages);
    let server = server.memory_budget(budget.clone());
    server.start().await.unwrap()
}

/// Sends the head of a request, and `bytes` of its body, which has 1,000,000. Returns the answer's head, and the stream.
async fn send_body(server: &ServerHandle, bytes: usize) -> (String, DuplexStream) {
    let stream = connect(server);
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let sending = async {
        // Refused, the server reads no more.
        let _ = writer.write_all(&vec![b'x'; bytes]).await;
        std::future::pending::<()>().await;
    };
    let head = tokio::select! {
        head = read_head(&mut reader) => head,
        () = sending => unreachable!(),
    };
    (head, reader.unsplit(writer))
}

#[tokio::test(start_paused = true)]
async fn bodies_are_charged_with_what_they_cost_and_given_back() {
    let budget = MemoryBudget::new(2 << 20);
    let server = start_with(&budget).await;
    // A million bytes cost more than two mebibytes.
    let (head, stream) = send_body(&server, 1_000_000).await;
    assert_eq!(status_of(&head), 503, "{head}");
    drop(stream);
    emptied(&server).await;
    // Each thread may hold back less than 16 KiB of its report.
    assert!(budget.used_bytes() < 16 << 10, "{}", budget.used_bytes());
}

#[tokio::test(start_paused = true)]
async fn bodies_that_stop_end_first_when_all_hold_too_much_and_others_are_served() {
    let budget = MemoryBudget::new(8 << 20);
    let server = Arc::new(start_with(&budget).await);
    let stops = [(); 2].map(|()| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { send_body(&server, 300_000).await.0 })
    });
    while budget.used_bytes() < 1_700_000 {
        sleep(SECOND / 100).await;
    }
    for _ in 0..3 {
        let (head, _) = send_body(&server, 1_000_000).await;
        assert_eq!(status_of(&head), 200, "{head}");
    }
    for head in stops {
        let head = head.await.unwrap();
        assert_eq!(status_of(&head), 503, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_body_is_read_also_when_memory_is_short() {
    let budget = MemoryBudget::new(1 << 20);
    let server = start_with(&budget).await;
    let mut others = budget.account();
    let mut stream = connect(&server);
    stream.write_all(PLAIN.as_bytes()).await.unwrap();
    assert_eq!(status_of(&read_head(&mut stream).await), 404);
    others.set(2 << 20);
    for (length, expected) in [(4096, 200), (5000, 503)] {
        let head = format!("POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; length]).await.unwrap();
        let head = read_head(&mut stream).await;
        assert_eq!(status_of(&head), expected, "{length} {head}");
        let mut length_of = [0; 4];
        stream.read_exact(&mut length_of).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_unread_answer_ends_the_connection() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    let mut stream = connect(&server);
    let request = PLAIN.replace("GET /", "GET /large");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(is_about(emptied(&server).await, http.send_timeout));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slowly_is_sent_whole() {
    let server = start(HttpSettings::default()).await;
    let mut stream = connect(&server);
    let request = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = 0;
    let mut piece = vec![0; 16 << 10];
    loop {
        sleep(20 * SECOND).await;
        match stream.read(&mut piece).await.unwrap() {
            0 => break,
            len => read += len,
        }
    }
    assert!(read > LARGE, "{read}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_without_an_answer() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    let mut stream = connect(&server);
    for pause in [Duration::ZERO, http.keepalive_timeout - SECOND] {
        sleep(pause).await;
        stream.write_all(PLAIN.as_bytes()).await.unwrap();
        read_head(&mut stream).await;
        stream.read_exact(&mut [0; 7]).await.unwrap();
    }
    let began = Instant::now();
    assert_eq!(answer_of(&mut stream).await, "");
    assert!(is_about(began.elapsed(), http.keepalive_timeout));
}

#[tokio::test(start_paused = true)]
async fn a_later_head_has_the_time_of_the_first() {
    let server = start(HttpSettings::default()).await;
    let mut stream = connect(&server);
    stream.write_all(PLAIN.as_bytes()).await.unwrap();
    read_head(&mut stream).await;
    stream.read_exact(&mut [0; 7]).await.unwrap();
    sleep(30 * SECOND).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    let began = Instant::now();
    let answer = answer_of(&mut stream).await;
    assert_eq!(status_of(&answer), 408, "{answer}");
    assert!(is_about(began.elapsed(), 10 * SECOND));
}

/// Connects an HTTP/2 client, and returns it with the end of its connection.
async fn http2(
    server: &ServerHandle,
) -> (
    h2::client::SendRequest<Bytes>,
    tokio::task::JoinHandle<Result<(), h2::Error>>,
) {
    let (send, connection) = h2::client::handshake(connect(server)).await.unwrap();
    (send, tokio::spawn(connection))
}

fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("http://a.example{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_over_http2_is_answered_with_408() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    let (mut send, _connection) = http2(&server).await;
    let (response, mut body) = send
        .send_request(request("POST", "/length"), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"hel"), false).unwrap();
    let began = Instant::now();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(is_about(began.elapsed(), http.body_timeout));
}

#[tokio::test(start_paused = true)]
async fn an_unread_answer_over_http2_is_reset() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    let (mut send, _connection) = http2(&server).await;
    let (response, _) = send.send_request(request("GET", "/large"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let began = Instant::now();
    // What is read without reopening the window leaves no room for more.
    let error = loop {
        match body.data().await.expect("not the whole") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    assert!(is_about(began.elapsed(), http.send_timeout));
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_http2_that_is_read_slowly_is_sent_whole() {
    let server = start(HttpSettings::default()).await;
    let (mut send, _connection) = http2(&server).await;
    let (response, _) = send.send_request(request("GET", "/large"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut read = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        read += data.len();
        sleep(5 * SECOND).await;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(read, LARGE);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_http2_gets_a_goaway() {
    let http = HttpSettings::default();
    let server = start(http.clone()).await;
    let (mut send, connection) = http2(&server).await;
    let (response, _) = send.send_request(request("GET", "/"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "welcome");
    drop(body);
    let began = Instant::now();
    connection.await.unwrap().unwrap();
    assert!(is_about(began.elapsed(), http.keepalive_timeout));
    emptied(&server).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http2_without_a_request_is_ended() {
    let server = start(HttpSettings::default()).await;
    let (_send, connection) = http2(&server).await;
    let began = Instant::now();
    let _ = connection.await.unwrap();
    assert!(is_about(began.elapsed(), 10 * SECOND));
    emptied(&server).await;
}

#[tokio::test(start_paused = true)]
async fn an_unused_body_costs_no_time() {
    let server = start(HttpSettings::default()).await;
    let mut stream = connect(&server);
    let head = "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let head = read_head(&mut stream).await;
    assert_eq!(status_of(&head), 200, "{head}");
    assert!(began.elapsed() < SECOND);
}
