//! The hub by the client of Socket.IO for Java.

use serde_json::{Value, json};
use sockeye_checks::{Process, Server, need};

use crate::programs::LIMIT;

#[test]
fn java_by_polling_by_websocket_and_from_one_to_the_other() {
    for mode in ["polling", "websocket", "upgrade"] {
        let (Some(mut peer), Some(server)) = (need::java_socketio(), Server::start(&["--dev"]))
        else {
            return;
        };
        peer.args([&format!("http://127.0.0.1:{}", server.port()), mode]);
        let ended = Process::start("the client", &mut peer, LIMIT).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.transcript());
        let facts: Vec<Value> = ended
            .out()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let expected = [
            json!({ "fact": "connected", "client": true }),
            json!({ "fact": "subscribed", "offset": 0 }),
            json!({ "fact": "published", "answer": {} }),
            json!({ "fact": "data", "text": "Grüße" }),
            json!({ "fact": "bytes", "same": true }),
            json!({ "fact": "refused", "code": 102 }),
            json!({ "fact": "unknown", "message": "Invalid namespace" }),
        ];
        assert_eq!(facts, expected, "{mode}");
    }
}
