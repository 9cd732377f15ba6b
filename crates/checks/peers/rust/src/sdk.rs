//! The SDK tokio-centrifuge: takes orders on standard input (`sdk_orders.mjs` has them), prints one line of JSON per fact.
//!
//! It has no history, no presence, no recovery, no server-side subscriptions, and takes one token for good.
//!
//! `sdk http://HOST:PORT TOKENS [--protobuf]`

use std::{
    io::{BufRead, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use tokio_centrifuge::{
    client::{Client, RequestError},
    config::{BackoffReconnect, Config},
};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let url = format!(
        "{}/connection/websocket",
        arguments[1].replacen("http", "ws", 1)
    );
    let config = Config::new()
        .with_token(fetch(&arguments[2]))
        .with_reconnect_strategy(BackoffReconnect {
            factor: 2.0,
            min_delay: Duration::from_millis(50),
            max_delay: Duration::from_millis(500),
        });
    let client = if arguments.iter().any(|argument| argument == "--protobuf") {
        Client::new(
            &format!("{url}?cf_protocol=protobuf"),
            config.use_protobuf(),
        )
    } else {
        Client::new(&url, config)
    };
    client.on_connecting(|event| tell(json!({ "fact": "connecting", "code": event.code })));
    client.on_connected(|_| tell(json!({ "fact": "connected" })));
    client.on_disconnected(|event| tell(json!({ "fact": "disconnected", "code": event.code })));
    let orders = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Handle::current();
        for line in std::io::stdin().lock().lines() {
            runtime.block_on(obey(&client, &line.expect("a line")));
        }
    });
    orders.await.expect("the orders");
}

async fn obey(client: &Client, line: &str) {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (name, first, rest) = (word(), word(), word());
    match name {
        "connect" => drop(client.connect()),
        "disconnect" => drop(client.disconnect()),
        "subscribe" => subscribe(client, first),
        "unsubscribe" => {
            let subscription = client.get_subscription(first);
            drop(subscription.expect("a subscription").unsubscribe());
        }
        "publish" => {
            let answer = client.publish(first, rest.into()).await;
            tell(answered(name, answer.map(|()| json!({}))));
        }
        "rpc" => {
            let answer = client.rpc(first, rest.into()).await;
            tell(answered(
                name,
                answer.map(|data| json!({ "data": parse(&data) })),
            ));
        }
        _ => panic!("this SDK can't {name}"),
    }
}

fn subscribe(client: &Client, channel: &str) {
    let subscription = client.new_subscription(channel);
    subscription
        .on_subscribed(|event| tell(json!({ "fact": "subscribed", "channel": event.channel })));
    subscription.on_unsubscribed(|event| {
        tell(json!({ "fact": "unsubscribed", "channel": event.channel, "code": event.code }));
    });
    let name = channel.to_owned();
    subscription.on_publication(move |publication| {
        let by = publication.info.map(|info| info.user).unwrap_or_default();
        let data = parse(&publication.data);
        let offset = publication.offset;
        tell(json!({ "fact": "publication", "channel": name, "offset": offset, "data": data, "by": by }));
    });
    drop(subscription.subscribe());
}

fn answered(name: &str, answer: Result<Value, RequestError>) -> Value {
    let (code, values) = match answer {
        Ok(values) => (json!(0), values),
        Err(RequestError::ErrorResponse(error)) => (json!(error.code), json!({})),
        Err(error) => (json!(-1), json!({ "error": error.to_string() })),
    };
    let mut fact = json!({ "fact": "answer", "to": name, "code": code });
    let object = fact.as_object_mut().expect("an object");
    object.extend(values.as_object().cloned().unwrap_or_default());
    fact
}

fn parse(data: &[u8]) -> Value {
    serde_json::from_slice(data).expect("JSON")
}

fn tell(fact: Value) {
    println!("{fact}");
}

/// Returns the body at an `http:` URL.
fn fetch(url: &str) -> String {
    let rest = url.strip_prefix("http://").expect("an http: URL");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).expect("a server");
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let (_, body) = response.split_once("\r\n\r\n").expect("a head");
    body.to_owned()
}
