//! The application beside the hub: hands out tokens, and serves the page with the SDK.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use sockeye_checks::sockeye;

/// An HTTP server for a few requests. Its threads end with the test's process.
pub(crate) struct BackEnd {
    address: SocketAddr,
}

/// What is served at a path.
pub(crate) struct File {
    /// Its media type.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

impl BackEnd {
    /// Starts one with files beside `/token?user=NAME&lifetime=TIME`.
    pub(crate) fn start(files: BTreeMap<&'static str, File>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let files = Arc::new(files);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let files = Arc::clone(&files);
                thread::spawn(move || answer(stream, &files));
            }
        });
        Self { address }
    }

    /// Where a page from here is, whose origin is not the server's.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of a user's tokens.
    pub(crate) fn tokens(&self, user: &str, lifetime: &str) -> String {
        self.url(&format!("/token?user={user}&lifetime={lifetime}"))
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<&str, File>) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    // The head has to be read, or closing would reset the connection.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let token = path
        .strip_prefix("/token?user=")
        .and_then(|query| query.split_once("&lifetime="))
        .map(|(user, lifetime)| token(user, lifetime));
    let (status, kind, body) = match (&token, files.get(path)) {
        (Some(token), _) => ("200 OK", "text/plain", token.as_str()),
        (None, Some(file)) => ("200 OK", file.kind, file.text.as_str()),
        (None, None) => ("404 Not Found", "text/plain", ""),
    };
    // A client that has gone needs no answer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Makes a token as an administrator does. It subscribes the user to [`SERVER_SIDE`].
fn token(user: &str, lifetime: &str) -> String {
    let arguments = ["connection", "--user", user, "--expires-in", lifetime];
    let mut command = sockeye("token", &arguments).expect("the binary that serves");
    command.args(["--hmac-secret-key", SECRET, "--channels", SERVER_SIDE]);
    let made = command.output().expect("a token");
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

pub(crate) const SECRET: &str = "a secret for tokens, long enough";

/// The channel that tokens name.
pub(crate) const SERVER_SIDE: &str = "direct";
