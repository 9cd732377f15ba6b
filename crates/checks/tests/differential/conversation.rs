//! One exchange with one server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::expand::{Facts, expand};
use super::http::{Answer, Request};
use super::peer::{Peer, encoded};
use super::protobuf;
use super::script::{Encoding, Exchange};
use super::transcript::{Message, Normalizer, canonical};

/// What each client received, by its name, and what the requests were answered.
pub(crate) type Transcript = BTreeMap<String, Vec<String>>;

/// How many messages each client had after a step.
pub(crate) type Counts = BTreeMap<char, usize>;

/// Has the exchange with a server. `expected` are the counts of the other server: the same number is waited for.
pub(crate) fn talk(
    server: SocketAddr,
    exchange: &Exchange,
    encoding: Encoding,
    tag: &str,
    patience: Duration,
    expected: Option<&[Counts]>,
) -> (Transcript, Vec<Counts>) {
    let mut conversation = Conversation {
        server,
        encoding,
        patience,
        peers: BTreeMap::new(),
        paths: BTreeMap::new(),
        answers: Vec::new(),
    };
    let mut counts = Vec::new();
    for (index, step) in exchange.steps.iter().enumerate() {
        let step = expand(step, tag, &conversation);
        conversation.take(&step);
        conversation.settle(expected.and_then(|counts| counts.get(index)));
        counts.push(conversation.counts());
    }
    (conversation.transcript(), counts)
}

struct Conversation {
    server: SocketAddr,
    encoding: Encoding,
    patience: Duration,
    peers: BTreeMap<char, Peer>,
    /// Where the WebSockets of clients are opened that haven't sent anything yet.
    paths: BTreeMap<char, String>,
    answers: Vec<Message>,
}

impl Conversation {
    fn take(&mut self, step: &str) {
        if let Some(order) = step.strip_prefix("api ") {
            let (name, body) = order.split_once(' ').unwrap_or((order, ""));
            let request = format!("POST /api/{name} <X-API-Key: s3cret> {body}");
            return self.request(&Request::parse(&request));
        }
        if let Some(request) = step.strip_prefix("http ") {
            return self.request(&Request::parse(request));
        }
        if let Some(channel) = step.strip_prefix("gone ") {
            return self.wait_until_gone(channel);
        }
        let (letter, action) = match step.split_at_checked(3) {
            Some((head, action)) if head.ends_with(": ") => {
                (head.chars().next().expect("a letter"), action)
            }
            _ => ('a', step),
        };
        self.act(letter, action);
    }

    fn request(&mut self, request: &Request<'_>) {
        let answer = Answer::read(&request.send(self.server));
        self.answers.push(Message::answer(&answer));
    }

    /// Waits until nobody is in the channel: the server may notice late that a connection has ended.
    fn wait_until_gone(&self, channel: &str) {
        let deadline = Instant::now() + LONG;
        let text = format!(
            "POST /api/presence_stats <X-API-Key: s3cret> {}",
            json!({ "channel": channel })
        );
        loop {
            let answer = Answer::read(&Request::parse(&text).send(self.server));
            let stats: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            if stats["result"]["num_clients"] == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{channel}: {}", answer.body);
        }
    }

    fn act(&mut self, letter: char, action: &str) {
        let (verb, argument) = action.split_once(' ').unwrap_or((action, ""));
        match verb {
            "path" => {
                self.paths.insert(letter, argument.to_owned());
                // Also if it is never sent anything.
                self.peer(letter);
            }
            "stream" => {
                let mut request = Request::parse(argument);
                if self.encoding == Encoding::Protobuf {
                    request.body = encoded(&String::from_utf8_lossy(&request.body));
                }
                let peer = Peer::stream(self.server, self.encoding, &request);
                self.peers.insert(letter, peer);
                // The head, and a reply.
                self.wait_for(letter, 2);
            }
            "emulate" => self.emulate(letter, argument),
            "end" => self.peer(letter).end(),
            "wait" => {
                let count = argument.parse().unwrap_or(usize::MAX / 2);
                let limit = LONG;
                let peer = self.peer(letter);
                peer.wait(peer.received.len() + count, limit);
            }
            "have" => {
                let count = argument.parse().expect("a count");
                self.peer(letter).wait(count, LONG);
            }
            "hex" => self.send_raw(letter, 2, &bytes_of(argument)),
            "text" => self.send_raw(letter, 1, argument.replace('⏎', "\n").as_bytes()),
            "binary" => self.send_raw(letter, 2, argument.as_bytes()),
            "repeat" => {
                let (count, text) = argument.split_once(' ').expect("a count");
                let count: usize = count.parse().expect("a number");
                for i in 1..=count {
                    self.peer(letter).send(&text.replace("@i", &i.to_string()));
                }
                self.wait_for(letter, count);
            }
            _ => {
                let commands = action.replace('⏎', "\n");
                self.peer(letter).send(&commands);
                self.wait_for(letter, replies_of(&commands));
            }
        }
    }

    fn send_raw(&mut self, letter: char, opcode: u8, bytes: &[u8]) {
        self.peer(letter).send_raw(opcode, bytes);
        self.wait_for(letter, 1);
    }

    /// Sends commands of a client that reads a response.
    fn emulate(&mut self, letter: char, commands: &str) {
        let commands = commands.replace('⏎', "\n");
        let [session, node] = ["session", "node"].map(|name| self.of_connect(letter, name));
        let request = match self.encoding {
            Encoding::Json => {
                let body = json!({ "session": session, "node": node, "data": commands });
                body.to_string().into_bytes()
            }
            Encoding::Protobuf => protobuf::encode_emulation(&session, &node, &encoded(&commands)),
        };
        let content_type = match self.encoding {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/octet-stream",
        };
        let text = format!("POST /emulation <Content-Type: {content_type}>");
        let mut emulation = Request::parse(&text);
        emulation.body = request;
        self.request(&emulation);
        self.wait_for(letter, replies_of(&commands));
    }

    fn wait_for(&mut self, letter: char, count: usize) {
        let limit = self.patience * ANSWER_PATIENCE;
        let peer = self.peer(letter);
        peer.wait(peer.received.len() + count, limit);
    }

    /// Takes what else comes.
    fn settle(&mut self, expected: Option<&Counts>) {
        let limit = self.patience * ANSWER_PATIENCE;
        let mut quiet = self.patience;
        for (letter, peer) in &mut self.peers {
            if let Some(count) = expected.and_then(|expected| expected.get(letter)) {
                peer.wait(*count, limit);
            }
            if peer.is_closed() {
                continue;
            }
            peer.settle(quiet);
            // The others have had this time too.
            quiet = Duration::ZERO;
        }
    }

    fn counts(&self) -> Counts {
        let peers = self.peers.iter();
        peers
            .map(|(letter, peer)| (*letter, peer.received.len()))
            .collect()
    }

    fn peer(&mut self, letter: char) -> &mut Peer {
        let default = match self.encoding {
            Encoding::Json => "/connection/websocket",
            Encoding::Protobuf => "/connection/websocket?cf_protocol=protobuf",
        };
        let path = self.paths.get(&letter).map_or(default, String::as_str);
        self.peers
            .entry(letter)
            .or_insert_with(|| Peer::websocket(self.server, self.encoding, path))
    }

    fn transcript(self) -> Transcript {
        let clients = self.peers.iter();
        let clients =
            clients.filter_map(|(letter, peer)| Some((*letter, peer.of_connect("client")?)));
        let mut normalizer = Normalizer::new(clients);
        let mut transcript = Transcript::new();
        for (letter, peer) in &self.peers {
            let lines = peer.received.iter().map(|message| normalizer.line(message));
            transcript.insert(letter.to_string(), lines.collect());
        }
        let lines = self.answers.iter().map(|message| normalizer.line(message));
        transcript.insert("requests".to_owned(), lines.collect());
        transcript
    }
}

impl Facts for Conversation {
    fn of_connect(&self, letter: char, field: &str) -> String {
        let peer = self.peers.get(&letter);
        peer.and_then(|peer| peer.of_connect(field))
            .unwrap_or_default()
    }

    fn last_epoch(&self) -> String {
        let messages = self.peers.values().flat_map(|peer| &peer.received);
        let epochs = messages.chain(&self.answers).filter_map(Message::value);
        epochs.filter_map(epoch_in).next_back().unwrap_or_default()
    }
}

/// Finds an epoch anywhere in a message.
fn epoch_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => object.iter().find_map(|(name, value)| match value {
            Value::String(epoch) if name == "epoch" => Some(epoch.clone()),
            value => epoch_in(value),
        }),
        Value::Array(array) => array.iter().find_map(epoch_in),
        _ => None,
    }
}

/// Returns how many replies commands have: one for each id.
fn replies_of(commands: &str) -> usize {
    let commands = commands.lines().filter_map(canonical);
    commands
        .filter(|command| command.get("id").is_some_and(|id| *id != 0))
        .count()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

/// How many times longer than silence an answer is waited for that must come.
const ANSWER_PATIENCE: u32 = 20;

/// For what takes its time: an expiry.
const LONG: Duration = Duration::from_secs(15);
