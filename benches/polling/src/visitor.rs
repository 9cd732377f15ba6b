//! One client: a page in a browser, which wants every update.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye::Deflate;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{self, MissedTickBehavior},
};

use crate::{
    counted::{Counted, Counts},
    update::{Update, now_ns},
};

/// How a page hears of updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Asks again and again, so much time between two questions.
    Ajax(Duration),
    /// Asks, and the server answers when it has something.
    LongPolling,
    WebSocket,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ajax(interval) => write!(f, "Ajax polling {} s", interval.as_secs_f64()),
            Self::LongPolling => f.write_str("long polling"),
            Self::WebSocket => f.write_str("WebSocket"),
        }
    }
}

/// What all clients of one measurement share.
pub(crate) struct Visit {
    pub(crate) addr: String,
    pub(crate) method: Method,
    pub(crate) counts: Arc<Counts>,
    pub(crate) requests: AtomicU64,
    /// Clients that are connected.
    pub(crate) ready: AtomicUsize,
    /// Nanoseconds from an update to a client that has it.
    pub(crate) delays: Mutex<Vec<u64>>,
}

impl Visit {
    /// Runs one client until the program that started it ends it. `share` of the interval passes before the first request,
    /// because people don't open a page all at once.
    pub(crate) async fn stay(&self, share: f64) -> io::Result<()> {
        match self.method {
            Method::Ajax(interval) => self.ajax(interval, share).await,
            Method::LongPolling => self.long_polling().await,
            Method::WebSocket => self.websocket().await,
        }
    }

    async fn ajax(&self, interval: Duration, share: f64) -> io::Result<()> {
        let mut stream = self.connect().await?;
        self.ready.fetch_add(1, Ordering::Relaxed);
        let mut seen = 0;
        let mut beat = time::interval_at(time::Instant::now() + interval.mul_f64(share), interval);
        // A browser's timer skips what it missed.
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            beat.tick().await;
            seen += self.ask(&mut stream, "/updates", seen).await?;
        }
    }

    async fn long_polling(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        self.ready.fetch_add(1, Ordering::Relaxed);
        let mut seen = 0;
        loop {
            seen += self.ask(&mut stream, "/wait", seen).await?;
        }
    }

    async fn websocket(&self) -> io::Result<()> {
        let stream = self.connect().await?;
        let mut connect = sockeye::connect(format!("ws://{}/ws", self.addr))
            .header("Pragma", "no-cache")
            .header("Cache-Control", "no-cache")
            .header("Origin", format!("http://{}", self.addr))
            // A browser offers it; this server doesn't take it.
            .deflate(Deflate::default());
        for (name, value) in BROWSER {
            connect = connect.header(name, value);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut websocket = connect.over(stream).await.map_err(io::Error::other)?;
        self.ready.fetch_add(1, Ordering::Relaxed);
        while let Some(message) = websocket.recv().await.map_err(io::Error::other)? {
            let update: Update = serde_json::from_slice(message.as_bytes())?;
            self.note(&[update]);
        }
        Err(io::Error::other("the server closed the WebSocket"))
    }

    async fn connect(&self) -> io::Result<Counted> {
        Counted::connect(&self.addr, &self.counts).await
    }

    /// One request; how many updates its answer holds.
    async fn ask(&self, stream: &mut Counted, path: &str, seen: usize) -> io::Result<usize> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let head = request(&self.addr, path, seen);
        let body = exchange(stream, &head).await?;
        let updates: Vec<Update> = serde_json::from_slice(&body)?;
        self.note(&updates);
        Ok(updates.len())
    }

    fn note(&self, updates: &[Update]) {
        let now = now_ns();
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.extend(updates.iter().map(|update| now.saturating_sub(update.at)));
    }
}

/// One request and the body of its answer.
pub(crate) async fn exchange(stream: &mut Counted, head: &str) -> io::Result<Vec<u8>> {
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        if !head.starts_with("http/1.1 2") {
            return Err(io::Error::other(format!("the server answered {head}")));
        }
        let length = head
            .split_once("content-length:")
            .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok())
            .unwrap_or(0);
        let begin = end + 4;
        while answer.len() < begin + length {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        return Ok(answer.split_off(begin));
    }
}

/// What a script's `fetch` sends from a page of the same origin, in today's Chrome.
fn request(addr: &str, path: &str, seen: usize) -> String {
    let mut head = format!(
        "GET {path}?since={seen} HTTP/1.1\r\nHost: {addr}\r\nConnection: keep-alive\r\n\
         sec-ch-ua-platform: \"Windows\"\r\n\
         sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
         sec-ch-ua-mobile: ?0\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\nReferer: http://{addr}/\r\n"
    );
    for (name, value) in BROWSER {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

/// Fields that a browser sends with every request, its WebSocket handshake too. The cookie is a short one.
const BROWSER: [(&str, &str); 4] = [
    (
        "User-Agent",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/140.0.0.0 Safari/537.36",
    ),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9"),
    ("Cookie", "session=5f2c1d9e8b7a46f3a0e1d2c3b4a59687"),
];

/// Bytes of a polling request, for the page.
pub(crate) fn request_bytes() -> usize {
    request("127.0.0.1:8080", "/updates", 10).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_a_browsers() {
        assert!(
            (500..=700).contains(&request_bytes()),
            "{}",
            request_bytes()
        );
    }
}
