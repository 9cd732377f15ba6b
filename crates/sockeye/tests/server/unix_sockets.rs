//! Servers on Unix sockets, and clients that connect to them.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
};

use sockeye::{
    AddressLimits, CloseCode, Drain, Endpoint, ErrorKind, Message, Reply, Route, Server,
    ServerHandle, Session, UnixListen, WebSocket, connect,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, net::UnixStream, sync::mpsc::unbounded_channel};

use crate::{
    support::{
        Announcer, Echo, assert_echoes, http2_client_on, http2_connect, http2_websocket, open_on,
        read_to_end, request, soon, status_of,
    },
    tls::{dial_on, identity},
};

/// Sends the client's and the peer's address, as the server sees them.
struct Who(String);

impl Endpoint for Who {
    fn on_open(&mut self, session: &Session) {
        let _ = session.try_send(&self.0);
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}

fn with_routes(server: Server) -> Server {
    let slow = Route::new("/slow", |_request| Ok(Echo)).authorize(|_request| async {
        tokio::task::yield_now().await;
        Ok(())
    });
    server
        .route("/echo", |_request| Ok(Echo))
        .mount(slow)
        .route("/who", |request| {
            let (client, peer) = (request.client_addr(), request.peer_addr());
            Ok(Who(format!("{client:?} of {peer:?}")))
        })
}

async fn start(server: Server) -> ServerHandle {
    with_routes(server).start().await.unwrap()
}

/// Returns a directory, and the path of a socket in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    (directory, path)
}

async fn stream(path: &Path) -> UnixStream {
    soon(UnixStream::connect(path)).await.unwrap()
}

async fn told(websocket: &mut WebSocket) -> String {
    let message = soon(websocket.recv()).await.unwrap().unwrap();
    message.as_text().unwrap().to_owned()
}

#[tokio::test]
async fn workers_serve_websockets_and_http_on_a_unix_socket() {
    let (_directory, path) = place();
    let server = start(Server::bind_unix(path.as_path()).workers(3)).await;
    assert_eq!(server.unix_paths(), std::slice::from_ref(&path));
    assert!(server.local_addrs().is_empty());
    let mut websockets = Vec::new();
    for number in 0..30 {
        let route = ["/echo", "/slow"][number % 2];
        websockets.push(open_on(stream(&path).await, route, &[]).await.0);
    }
    for websocket in &mut websockets {
        assert_echoes(websocket, "hi").await;
    }
    let mut plain = stream(&path).await;
    let get = b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    plain.write_all(get).await.unwrap();
    assert_eq!(status_of(&read_to_end(&mut plain).await), 404);
    for websocket in &mut websockets {
        let closed = soon(websocket.close(CloseCode::NORMAL, "")).await;
        assert!(closed.is_clean(), "{closed:?}");
    }
}

/// The message is longer than the socket's buffers, so both ends have to wait.
#[tokio::test]
async fn a_message_longer_than_the_buffers_of_a_unix_socket_is_echoed() {
    let (_directory, path) = place();
    let server = start(Server::bind_unix(path.as_path())).await;
    let text = "x".repeat(900_000);
    for route in ["/echo", "/slow"] {
        let connecting = connect(format!("ws://a.example{route}")).unix_socket(&path);
        let mut websocket = soon(connecting.into_future()).await.unwrap();
        assert_echoes(&mut websocket, &text).await;
    }
    drop(server);
}

#[tokio::test]
async fn the_peer_of_a_unix_socket_has_no_address_and_no_limits_by_address() {
    let (_directory, path) = place();
    let mut limits = AddressLimits::default();
    limits.connections_max = 1;
    let server = Server::bind_unix(path.as_path()).address_limits(limits);
    let _server = start(server).await;
    for _ in 0..3 {
        let (mut websocket, _) = open_on(stream(&path).await, "/who", &[]).await;
        assert_eq!(told(&mut websocket).await, "None of None");
    }
}

#[tokio::test]
async fn header_fields_of_a_proxy_are_believed_on_unix_sockets_if_they_are_trusted() {
    let forwarded = ["X-Forwarded-For: 192.0.2.7"];
    for (trusted, client) in [
        (&["unix:"][..], "Some(192.0.2.7)"),
        (&["127.0.0.1"], "None"),
        (&["unix:", "192.0.2.0/24"], "Some(203.0.113.5)"),
    ] {
        let (_directory, path) = place();
        let server = Server::bind_unix(path.as_path()).trusted_proxies(trusted.iter().copied());
        let _server = start(server).await;
        let chain = ["X-Forwarded-For: 203.0.113.5, 192.0.2.7"];
        let fields = match trusted.len() {
            2 => &chain,
            _ => &forwarded,
        };
        let (mut websocket, _) = open_on(stream(&path).await, "/who", fields).await;
        let said = told(&mut websocket).await;
        assert_eq!(said, format!("{client} of None"), "{trusted:?}");
    }
}

/// Otherwise a client could write malformed fields to be counted for no address.
#[tokio::test]
async fn clients_whose_fields_are_rejected_on_a_unix_socket_count_as_one_address() {
    let (_directory, path) = place();
    let mut limits = AddressLimits::default();
    limits.connections_max = 1;
    let server = Server::bind_unix(path.as_path()).trusted_proxies(["unix:"]);
    let _server = start(server.address_limits(limits)).await;
    let malformed = ["X-Forwarded-For: nonsense!"];
    let (_first, _) = open_on(stream(&path).await, "/echo", &malformed).await;
    let mut second = stream(&path).await;
    let bytes = request("/echo", &malformed);
    second.write_all(bytes.as_bytes()).await.unwrap();
    assert_eq!(status_of(&read_to_end(&mut second).await), 429);
}

#[tokio::test]
async fn a_proxy_names_its_client_by_the_proxy_protocol_on_a_unix_socket() {
    let (_directory, path) = place();
    let socket = UnixListen::at(&path).behind_proxy();
    let _server = start(Server::unbound().listen_unix(socket)).await;
    for (head, said) in [
        (
            &b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"[..],
            "Some(192.0.2.7) of Some(192.0.2.7:56324)",
        ),
        // The proxy connects for itself.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0", "None of None"),
    ] {
        let mut stream = stream(&path).await;
        stream.write_all(head).await.unwrap();
        let (mut websocket, _) = open_on(stream, "/who", &[]).await;
        assert_eq!(told(&mut websocket).await, said);
    }
}

#[tokio::test]
async fn tls_and_http2_are_served_on_a_unix_socket() {
    let (_directory, path) = place();
    let (tls, roots) = identity();
    let secure_path = path.with_extension("tls");
    let server = Server::bind_unix(path.as_path());
    let server = server.listen_unix(UnixListen::at(&secure_path).tls(tls));
    let _server = start(server).await;
    for route in ["/echo", "/slow"] {
        let secure = dial_on(stream(&secure_path).await, roots.clone(), &[]).await;
        let (mut websocket, _) = open_on(secure, route, &[]).await;
        assert_echoes(&mut websocket, &"x".repeat(300_000)).await;
    }
    let secure = dial_on(stream(&secure_path).await, roots, &[b"h2"]).await;
    for mut client in [
        http2_client_on(secure).await,
        http2_client_on(stream(&path).await).await,
    ] {
        let answer = http2_connect(&mut client, "/echo", &[]).await;
        let mut websocket = http2_websocket(answer).await;
        assert_echoes(&mut websocket, "hi").await;
    }
    let mut plain = stream(&secure_path).await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut plain).await;
    assert!(answer.contains("speaks TLS"), "{answer}");
}

#[tokio::test]
async fn a_client_connects_to_a_unix_socket_by_option_and_by_url() {
    let (_directory, path) = place();
    let _server = start(Server::bind_unix(path.as_path())).await;
    let shown = path.display();
    for connecting in [
        connect("ws://a.example/echo").unix_socket(&path),
        connect(format!("ws+unix:{shown}:/echo")),
        connect(format!("ws+unix://{shown}:/echo")),
        connect("ws+unix:/nowhere:/echo").unix_socket(&path),
    ] {
        let mut websocket = soon(connecting.into_future()).await.unwrap();
        assert_eq!(websocket.request().unwrap().peer_addr(), None);
        assert_echoes(&mut websocket, "hi").await;
    }
    let absent = connect("ws+unix:/nowhere/a.sock").await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Io);
    assert!(absent.to_string().contains("unix:/nowhere/a.sock"));
}

#[tokio::test]
async fn a_live_socket_is_not_taken_and_an_abandoned_one_is_replaced() {
    let (_directory, path) = place();
    let first = start(Server::bind_unix(path.as_path())).await;
    let second = with_routes(Server::bind_unix(path.as_path()));
    let error = second.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("unix:"), "{error}");
    open_on(stream(&path).await, "/echo", &[]).await;
    drop(first);
    assert!(!path.exists(), "the server that made it has removed it");
    // What a killed process leaves: a file, and nobody who listens.
    drop(UnixListener::bind(&path).unwrap());
    let third = start(Server::bind_unix(path.as_path())).await;
    open_on(stream(&path).await, "/echo", &[]).await;
    drop(third);
}

#[tokio::test]
async fn servers_that_start_at_the_same_time_don_t_take_each_other_s_file() {
    for _ in 0..20 {
        let (_directory, path) = place();
        drop(UnixListener::bind(&path).unwrap());
        let begin = || tokio::spawn(Server::bind_unix(path.as_path()).workers(1).start());
        let mut started = Vec::new();
        for starting in [begin(), begin(), begin()] {
            started.extend(starting.await.unwrap().ok());
        }
        assert_eq!(started.len(), 1);
        assert!(UnixStream::connect(&path).await.is_ok());
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_socket_stays_and_so_does_one_that_took_the_socket_s_place() {
    let (_directory, path) = place();
    fs::write(&path, "precious").unwrap();
    let error = Server::bind_unix(path.as_path()).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    let server = start(Server::bind_unix(path.as_path())).await;
    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    server.drain(Drain::default()).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
}

#[tokio::test]
async fn the_file_has_the_mode_and_the_group_that_are_set() {
    use std::os::unix::fs::MetadataExt as _;

    let (directory, path) = place();
    // The one group to which every process may give its files.
    let group = fs::metadata(directory.path()).unwrap().gid();
    let socket = UnixListen::at(&path).mode(0o620).group(group);
    let _server = start(Server::unbound().listen_unix(socket)).await;
    let found = fs::metadata(&path).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o620);
    assert_eq!(found.gid(), group);
}

#[tokio::test]
async fn a_server_that_can_t_start_leaves_no_file() {
    let (directory, path) = place();
    let absent = directory.path().join("absent/a.sock");
    let server = Server::bind_unix(path.as_path()).listen_unix(absent);
    assert_eq!(server.start().await.unwrap_err().kind(), ErrorKind::Io);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_of_the_program_keeps_its_file_and_goes_on_listening() {
    let (_directory, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    for _ in 0..2 {
        let server = start(Server::bind_unix(listener.try_clone().unwrap())).await;
        assert_eq!(server.unix_paths(), std::slice::from_ref(&path));
        let (mut websocket, _) = open_on(stream(&path).await, "/echo", &[]).await;
        assert_echoes(&mut websocket, "hi").await;
        drop(websocket);
        server.drain(Drain::default()).await;
    }
    assert!(path.exists());
}

#[tokio::test]
async fn a_stream_that_the_program_accepts_is_carried_by_a_worker_too() {
    let server = start(Server::unbound()).await;
    let (near, far) = UnixStream::pair().unwrap();
    server.accept(far, None);
    let (mut websocket, _) = open_on(near, "/echo", &[]).await;
    assert_echoes(&mut websocket, &"x".repeat(300_000)).await;
    let (report, end) = tokio::join!(soon(server.drain(Drain::default())), soon(websocket.recv()));
    assert_eq!(report.closed, 1, "{report:?}");
    assert!(matches!(end, Ok(None)), "{end:?}");
}

#[tokio::test]
async fn a_peer_that_closes_a_unix_socket_ends_its_session() {
    let (_directory, path) = place();
    let (sender, mut opened) = unbounded_channel();
    let server = Server::bind_unix(path.as_path());
    let server = server.route("/told", move |_request| Ok(Announcer(sender.clone())));
    let server = start(server).await;
    let mut raw = stream(&path).await;
    raw.write_all(request("/told", &[]).as_bytes())
        .await
        .unwrap();
    let session = soon(opened.recv()).await.unwrap();
    drop(raw);
    let closed = soon(session.closed()).await;
    assert!(!closed.is_clean(), "{closed:?}");
    assert_eq!(soon(server.drain(Drain::default())).await.closed, 0);
}
