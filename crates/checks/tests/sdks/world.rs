//! The server, the wire to it, the application beside it, and a list of what was published.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use serde_json::{Value, json};
use sockeye_checks::Server;
use tempfile::TempDir;

use crate::{
    back_end::{BackEnd, File, SECRET},
    relay::Relay,
};

pub(crate) struct World {
    server: Option<Server>,
    relay: Relay,
    pub(crate) back_end: BackEnd,
    /// By channel, in order, since the server's start: the data and the user who published it; none for the API.
    published: BTreeMap<String, Vec<(Value, String)>>,
    directory: TempDir,
}

impl World {
    /// Starts everything; nothing without a binary.
    pub(crate) fn start(files: BTreeMap<&'static str, File>) -> Option<Self> {
        Self::start_with(files, "")
    }

    /// Starts everything with further keys of the configuration, which have no section.
    pub(crate) fn start_with(files: BTreeMap<&'static str, File>, keys: &str) -> Option<Self> {
        let back_end = BackEnd::start(files);
        let directory = tempfile::tempdir().unwrap();
        let origin = back_end.url("");
        let configuration = CONFIGURATION
            .replace("SECRET", SECRET)
            .replace("KEY", KEY)
            .replace("ORIGIN", &origin);
        let configuration = format!("{keys}\n{configuration}");
        std::fs::write(directory.path().join("sockeye.toml"), configuration).unwrap();
        let server = serve(&directory)?;
        Some(Self {
            relay: Relay::start(address(&server)),
            server: Some(server),
            back_end,
            published: BTreeMap::new(),
            directory,
        })
    }

    /// The server as clients reach it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.relay.address())
    }

    /// Gives an order by the API, past the relay.
    #[track_caller]
    pub(crate) fn order(&self, name: &str, parameters: &Value) -> Value {
        let server = self.server.as_ref().expect("it runs");
        let body = parameters.to_string();
        let mut stream = TcpStream::connect(address(server)).expect("it listens");
        write!(
            stream,
            "POST /api/{name} HTTP/1.1\r\nHost: hub\r\nX-API-Key: {KEY}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (_, answer) = response.split_once("\r\n\r\n").expect("a head");
        let answer: Value = serde_json::from_str(answer).expect(&response);
        assert!(answer.get("error").is_none(), "{name} {body}: {answer}");
        answer["result"].clone()
    }

    /// Publishes by the API.
    #[track_caller]
    pub(crate) fn publish(&mut self, channel: &str, data: Value) {
        self.order("publish", &json!({ "channel": channel, "data": data }));
        self.note(channel, data, "");
    }

    /// Notes what a client has published.
    pub(crate) fn note(&mut self, channel: &str, data: Value, user: &str) {
        let published = self.published.entry(channel.to_owned()).or_default();
        published.push((data, user.to_owned()));
    }

    /// What a subscriber must have got of a channel since the server's start, and what its history must have.
    pub(crate) fn publications(&self, channel: &str) -> Vec<Value> {
        let published = self.published.get(channel).into_iter().flatten();
        let numbered = (1..).zip(published);
        numbered
            .map(|(offset, (data, by))| {
                json!({ "channel": channel, "offset": offset, "data": data, "by": by })
            })
            .collect()
    }

    /// The data alone.
    pub(crate) fn data(&self, channel: &str) -> Vec<Value> {
        let publications = self.publications(channel);
        publications
            .iter()
            .map(|publication| publication["data"].clone())
            .collect()
    }

    /// Returns how many bytes clients were sent.
    pub(crate) fn delivered(&self) -> u64 {
        self.relay.delivered()
    }

    /// Cuts all clients off until [`mend`](Self::mend).
    pub(crate) fn cut(&self) {
        self.relay.cut();
    }

    pub(crate) fn mend(&self) {
        let server = self.server.as_ref().expect("it runs");
        self.relay.lead_to(address(server));
    }

    /// Kills the server and starts another one with the same configuration, which remembers nothing.
    pub(crate) fn restart(&mut self) {
        let mut server = self.server.take().expect("it runs");
        server.process().kill();
        drop(server);
        self.published.clear();
        self.server = serve(&self.directory);
        self.mend();
    }
}

fn serve(directory: &TempDir) -> Option<Server> {
    let file = directory.path().join("sockeye.toml");
    Server::start(&["--config", file.to_str().unwrap()])
}

fn address(server: &Server) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, server.port()).into()
}

const KEY: &str = "s3cret";

const CONFIGURATION: &str = r#"
[http_api]
key = "KEY"

[client]
allowed_origins = ["ORIGIN"]

[client.token]
hmac_secret_key = "SECRET"

[channel.without_namespace]
history_size = 100
history_ttl = "300s"
force_recovery = true
presence = true
join_leave = true
force_push_join_leave = true
allow_subscribe_for_client = true
allow_publish_for_client = true
allow_history_for_client = true
allow_presence_for_client = true
allowed_delta_types = ["fossil"]

[[channel.namespaces]]
name = "newest"
history_size = 1
history_ttl = "300s"
force_recovery = true
force_recovery_mode = "cache"
allow_subscribe_for_client = true
allowed_delta_types = ["fossil"]
"#;
