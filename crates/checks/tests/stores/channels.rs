//! Presence in channels of the hub, of two nodes that share a Redis.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use sockeye::Session;
use sockeye_checks::{Redis, Server};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::patience::until;

/// A node whose leases last for three seconds, and whose pings come every second.
fn node(redis: &Redis) -> Option<Server> {
    let url = redis.url();
    let options = [
        ["--presence-store", &*url],
        ["--presence-ttl", "3s"],
        ["--http-api-key", "s3cret"],
        ["--client-insecure", "on"],
        ["--client-ping-interval", "1s"],
        ["--client-pong-timeout", "500ms"],
        ["--channel-without-namespace-presence", "on"],
    ];
    Server::start(&options.concat())
}

/// Gives an order and returns its result.
fn order(server: &Server, name: &str, parameters: &Value) -> Value {
    let body = parameters.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    write!(
        stream,
        "POST /api/{name} HTTP/1.1\r\nHost: hub\r\nX-API-Key: s3cret\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (_, answer) = response.split_once("\r\n\r\n").expect("a head");
    let answer: Value = serde_json::from_str(answer).expect(answer);
    answer["result"].clone()
}

/// Returns the ids of the clients in a channel, as this node knows them.
fn present(server: &Server, channel: &str) -> Vec<String> {
    let result = order(server, "presence", &json!({ "channel": channel }));
    let clients = result["presence"].as_object().expect("clients");
    clients.keys().cloned().collect()
}

/// A client of the hub. A task of its own answers the pings, whatever the test waits for.
struct Client {
    session: Session,
    received: UnboundedReceiver<Value>,
    id: String,
    next_id: u32,
    pings: u32,
}

impl Client {
    async fn connect(server: &Server) -> Self {
        let url = server.url("/connection/websocket");
        let mut websocket = sockeye::connect(url).await.expect("a WebSocket");
        let session = websocket.session().clone();
        let (objects, received) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(message)) = websocket.recv().await {
                for line in message.as_text().expect("text").lines() {
                    let object: Value = serde_json::from_str(line).expect(line);
                    if object == json!({}) {
                        // Fails if the server has ended it meanwhile.
                        _ = websocket.session().send("{}").await;
                    }
                    _ = objects.send(object);
                }
            }
        });
        let mut client = Self {
            session,
            received,
            id: String::new(),
            next_id: 1,
            pings: 0,
        };
        let reply = client.call("connect", json!({})).await;
        client.id = reply["connect"]["client"].as_str().unwrap().to_owned();
        client
    }

    async fn call(&mut self, kind: &str, request: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        let command = json!({ "id": id, kind: request });
        self.session.send(command.to_string()).await.unwrap();
        loop {
            let object = self.next().await.expect("it is connected");
            if object["id"] == id {
                return object;
            }
        }
    }

    /// Returns the next object, which may be a ping; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let object = timeout(LIMIT, self.received.recv()).await;
        let object = object.expect("something comes")?;
        self.pings += u32::from(object == json!({}));
        Some(object)
    }

    async fn subscribe(&mut self, channel: &str) {
        let reply = self.call("subscribe", json!({ "channel": channel })).await;
        assert!(reply["subscribe"].is_object(), "{reply}");
    }
}

/// The clients' runtime.
fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// HUB 4, scenario 22.
#[test]
fn clients_of_a_channel_are_seen_on_both_nodes_and_a_killed_node_leaves_none() {
    let Some(redis) = Redis::start() else { return };
    let (Some(one), Some(two)) = (node(&redis), node(&redis)) else {
        return;
    };
    let runtime = runtime();
    let connect = |server: &Server| runtime.block_on(Client::connect(server));
    let (mut ann, mut bob, mut stays) = (connect(&one), connect(&two), connect(&two));
    runtime.block_on(async {
        ann.subscribe("news").await;
        bob.subscribe("news").await;
        stays.subscribe("news").await;
        stays.subscribe("other").await;
    });
    let mut all = vec![ann.id.clone(), bob.id.clone(), stays.id.clone()];
    all.sort();
    for server in [&one, &two] {
        until("all three", || present(server, "news"), |seen| *seen == all);
        until("one", || present(server, "other").len(), |seen| *seen == 1);
        let stats = order(server, "presence_stats", &json!({ "channel": "news" }));
        assert_eq!(stats["num_clients"], 3);
    }
    // A second device of a user, and who leaves one channel, are no matter of the others.
    runtime.block_on(bob.call("unsubscribe", json!({ "channel": "news" })));
    let mut two_left = vec![ann.id.clone(), stays.id.clone()];
    two_left.sort();
    let seen = || present(&one, "news");
    until("two are left", seen, |seen| *seen == two_left);
    // Dropping it sends SIGKILL.
    drop(one);
    let seen = || present(&two, "news");
    until("the living one", seen, |seen| *seen == [&*stays.id]);
    assert_eq!(present(&two, "other"), [&*stays.id]);
}

/// HUB 4, scenario 21.
#[test]
fn a_redis_that_stands_still_delays_no_ping_no_command_and_no_close() {
    let Some(redis) = Redis::start() else { return };
    let (Some(one), Some(two)) = (node(&redis), node(&redis)) else {
        return;
    };
    let runtime = runtime();
    let mut ann = runtime.block_on(Client::connect(&one));
    let mut far = runtime.block_on(Client::connect(&two));
    runtime.block_on(ann.subscribe("news"));
    runtime.block_on(far.subscribe("news"));
    let both = |seen: &Vec<String>| seen.len() == 2;
    until("both", || present(&one, "news"), both);

    // Until it is let go on below, nothing here can come from the store.
    redis.freeze();
    runtime.block_on(async {
        let pings = ann.pings;
        while ann.pings < pings + 3 {
            ann.next().await.expect("it stays connected");
        }
        // Commands that change presence are answered.
        ann.subscribe("more").await;
        let reply = ann.call("unsubscribe", json!({ "channel": "news" })).await;
        assert!(reply["unsubscribe"].is_object(), "{reply}");
        let mut other = Client::connect(&one).await;
        other.subscribe("more").await;
        let seen = present(&one, "more");
        assert!(
            seen.contains(&ann.id) && seen.contains(&other.id),
            "{seen:?}"
        );
        // An end by the back end comes, and takes the client out.
        let end = json!({ "user": "", "client": other.id });
        order(&one, "disconnect", &end);
        while other.next().await.is_some() {}
        assert_eq!(present(&one, "more"), [&*ann.id]);
    });
    redis.thaw();
    let seen = || present(&two, "more");
    until("what happened meanwhile", seen, |seen| *seen == [&*ann.id]);
    let seen = || present(&one, "news");
    until("only the far one", seen, |seen| *seen == [&*far.id]);
}

/// Time limit that only a failure reaches.
const LIMIT: Duration = Duration::from_secs(60);
