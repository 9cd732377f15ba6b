//! An application that the test scripts: it answers POSTs, or misbehaves.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use super::PATIENCE;

/// What the application does with a question.
pub(crate) enum Reaction {
    Json(Value),
    /// Status 200 with this body, whatever it is.
    Text(String),
    Status(u16),
    /// Reads on, and answers nothing.
    Hang,
    /// Closes the connection.
    HangUp,
}

/// A question that has come.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// By lower-case name.
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// The application. It ends with the process.
#[derive(Clone)]
pub(crate) struct BackEnd(Arc<Shared>);

struct Shared {
    addr: String,
    script: Box<dyn Fn(&Asked) -> Reaction + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    more: Condvar,
    connections: AtomicUsize,
    /// Questions on each path that are there now, and the most that were.
    running: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl BackEnd {
    pub(crate) fn start(script: impl Fn(&Asked) -> Reaction + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let back_end = Self(Arc::new(Shared {
            addr: listener.local_addr().unwrap().to_string(),
            script: Box::new(script),
            asked: Mutex::default(),
            more: Condvar::new(),
            connections: AtomicUsize::new(0),
            running: Mutex::default(),
        }));
        let accepting = back_end.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let back_end = accepting.clone();
                back_end.0.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || back_end.talk(stream.unwrap()));
            }
        });
        back_end
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.addr)
    }

    /// Returns the first question on this path, which may still have to come, and forgets all up to it.
    pub(crate) fn next(&self, path: &str) -> Asked {
        let mut asked = self.0.asked.lock().unwrap();
        loop {
            if let Some(index) = asked.iter().position(|asked| asked.path == path) {
                return asked.drain(..=index).next_back().unwrap();
            }
            let (guard, waited) = self.0.more.wait_timeout(asked, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "nobody asks {path}");
            asked = guard;
        }
    }

    /// Returns how many questions have come since the last look.
    pub(crate) fn count(&self) -> usize {
        self.0.asked.lock().unwrap().drain(..).count()
    }

    /// Returns how many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Returns the most questions that were on this path at the same time.
    pub(crate) fn running_max(&self, path: &str) -> usize {
        self.0.running.lock().unwrap()[path].1
    }

    fn talk(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(asked) = read(&mut reader) {
            {
                let mut running = self.0.running.lock().unwrap();
                let (now, max) = running.entry(asked.path.clone()).or_default();
                *now += 1;
                *max = (*max).max(*now);
            }
            self.0.asked.lock().unwrap().push(asked.clone());
            self.0.more.notify_all();
            let reaction = (self.0.script)(&asked);
            self.0
                .running
                .lock()
                .unwrap()
                .entry(asked.path.clone())
                .or_default()
                .0 -= 1;
            let (status, body) = match reaction {
                Reaction::Json(value) => (200, value.to_string()),
                Reaction::Text(text) => (200, text),
                Reaction::Status(status) => (status, String::new()),
                Reaction::HangUp => return,
                Reaction::Hang => {
                    let _ = std::io::copy(&mut reader, &mut std::io::sink());
                    return;
                }
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            // A server that has read enough of a long answer closes.
            if stream.write_all(head.as_bytes()).is_err()
                || stream.write_all(body.as_bytes()).is_err()
            {
                return;
            }
        }
    }
}

/// Reads one request; `None` at the end of the connection.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut fields = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        fields.insert(name.to_lowercase(), value.to_owned());
    }
    let length = fields.get("content-length").map_or("0", String::as_str);
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        path,
        fields,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}
