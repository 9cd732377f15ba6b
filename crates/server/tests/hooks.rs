//! Hooks: what the application decides over HTTP, and what clients get if it can't.

mod support;

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};
use sockeye::WebSocket;
use support::{
    Port, Server,
    back_end::{Asked, BackEnd, Reaction},
    run_in, talk,
};
use tempfile::TempDir;

/// Long enough for an application on a busy machine.
const PATIENT: &str = "30s";

/// Short enough to wait for.
const IMPATIENT: &str = "200ms";

/// Starts a server all of whose hooks ask `url`, with this timeout.
fn serve(url: &str, timeout: &str, more: &str) -> Server {
    let maps = maps(url, timeout);
    let file = format!(
        r#"
        listen = ["127.0.0.1:0"]
        [client.proxy.connect]
        enabled = true
        endpoint = "{url}/connect"
        timeout = "{timeout}"
        http_headers = ["X-Request", "X-Both"]
        emulated_headers = ["X-Emulated", "X-Both"]
        http = {{ static_headers = {{ X-Static = "static", X-Request = "replaced" }} }}
        [client.proxy.refresh]
        enabled = true
        endpoint = "{url}/refresh"
        timeout = "{timeout}"
        include_connection_meta = true
        [channel.proxy.subscribe]
        endpoint = "{url}/subscribe"
        timeout = "{timeout}"
        include_connection_meta = true
        http_headers = ["X-Request"]
        [channel.proxy.publish]
        endpoint = "{url}/publish"
        timeout = "{timeout}"
        [channel.proxy.sub_refresh]
        endpoint = "{url}/sub_refresh"
        timeout = "{timeout}"
        [rpc.proxy]
        endpoint = "{url}/rpc"
        timeout = "{timeout}"
        [rpc.without_namespace]
        proxy_enabled = true
        [[rpc.namespaces]]
        name = "named"
        proxy_enabled = true
        proxy_name = "special"
        [[rpc.namespaces]]
        name = "off"
        [[channel.namespaces]]
        name = "asked"
        subscribe_proxy_enabled = true
        publish_proxy_enabled = true
        sub_refresh_proxy_enabled = true
        history_size = 10
        history_ttl = "60s"
        allowed_delta_types = ["fossil"]
        [[channel.namespaces]]
        name = "open"
        allow_subscribe_for_client = true
        [[proxies]]
        name = "special"
        endpoint = "{url}/special"
        timeout = "{timeout}"
        binary_encoding = true
        http = {{ status_to_code_transforms = [
            {{ status_code = 404, to_error = {{ code = 1404, message = "nothing" }} }},
            {{ status_code = 418, to_disconnect = {{ code = 4418, reason = "teapot" }} }},
        ] }}
        {maps}
        {more}
        "#
    );
    Server::start_with(&[], &[("sockeye.toml", &file)])
}

/// Returns the part of the configuration that is about changes of maps.
fn maps(url: &str, timeout: &str) -> String {
    format!(
        r#"
        [channel.proxy.map_publish]
        endpoint = "{url}/map_publish"
        timeout = "{timeout}"
        include_connection_meta = true
        [channel.proxy.map_remove]
        endpoint = "{url}/map_remove"
        timeout = "{timeout}"
        http_headers = ["X-Request"]
        [[channel.namespaces]]
        name = "map"
        subscription_type = "map"
        allow_subscribe_for_client = true
        [channel.namespaces.map]
        mode = "persistent"
        client_key = "user_id"
        publish_proxy_enabled = true
        remove_proxy_enabled = true
        "#
    )
}

/// The application: what it does is what the client's payload says, or else the client's meta.
fn application(asked: &Asked) -> Reaction {
    let said = |field: &str| asked.body[field]["do"].as_str().map(str::to_owned);
    match said("data").or(said("meta")).as_deref().unwrap_or("allow") {
        "refuse" => Reaction::Json(json!({ "error": { "code": 1001, "message": "no entry" } })),
        "later" => Reaction::Json(
            json!({ "error": { "code": 1002, "message": "busy", "temporary": true } }),
        ),
        "ban" => Reaction::Json(json!({ "disconnect": { "code": 4501, "reason": "banned" } })),
        "500" => Reaction::Status(500),
        "nonsense" => Reaction::Text("<html>It works!</html>".to_owned()),
        "wrong type" => Reaction::Json(
            json!({ "result": { "data": 1, "user": 7, "expire_at": "x", "tags": 5, "b64data": [] } }),
        ),
        "huge" => Reaction::Text(format!(
            "{{\"result\":{{\"data\":\"{}\"}}}}",
            "x".repeat(2 << 20)
        )),
        "hang" => Reaction::Hang,
        "hang up" => Reaction::HangUp,
        "empty" => Reaction::Json(json!({})),
        _ => Reaction::Json(json!({ "result": allowed(asked) })),
    }
}

fn allowed(asked: &Asked) -> Value {
    match asked.path.as_str() {
        "/connect" => json!({
            "user": "ann", "data": { "hello": "ann" }, "meta": asked.body["data"]["meta"],
            "info": { "name": "Ann" }, "channels": ["open:a"],
            "subs": { "asked:own": { "data": 1, "override": { "force_recovery": { "value": true } } } },
            "expire_at": asked.body["data"]["expire_at"],
        }),
        "/subscribe" => json!({
            "data": { "welcome": true }, "override": { "force_positioning": { "value": true } },
            "expire_at": asked.body["data"]["expire_at"],
        }),
        "/publish" => {
            json!({
                "data": { "checked": asked.body["data"] }, "tags": { "kind": "new" },
                "delta": asked.body["data"]["delta"],
            })
        }
        "/map_publish" => json!({
            "data": { "checked": asked.body["data"] }, "tags": { "kind": "new" },
            "key_mode": asked.body["data"]["key_mode"],
        }),
        "/map_remove" => json!({ "key": "k", "tags": { "kind": "gone" } }),
        "/special" => json!({ "b64data": "eyJzcGVjaWFsIjp0cnVlfQ==" }),
        _ => json!({ "data": { "answer": 42 } }),
    }
}

/// A client that has sent nothing yet.
struct Client {
    websocket: WebSocket,
    next_id: u32,
}

impl Client {
    async fn open(server: &Server) -> Self {
        let websocket = sockeye::connect(server.ws("/connection/websocket"))
            .header("X-Request", "of the request")
            .header("X-Both", "of the request")
            .await
            .unwrap();
        Self {
            websocket,
            next_id: 1,
        }
    }

    /// Opens a client and connects it with this payload.
    async fn connected(server: &Server, data: Value) -> Self {
        let mut client = Self::open(server).await;
        let reply = client.call("connect", json!({ "data": data })).await;
        assert!(reply["connect"].is_object(), "{reply}");
        client
    }

    async fn send(&mut self, kind: &str, request: Value) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        let command = json!({ "id": id, kind: request });
        self.websocket.send(command.to_string()).await.unwrap();
        id
    }

    /// Sends a command and returns the reply. What comes before it is dropped.
    async fn call(&mut self, kind: &str, request: Value) -> Value {
        let id = self.send(kind, request).await;
        self.find(|object| object["id"] == json!(id)).await
    }

    /// Returns the next object that is looked for.
    async fn find(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Some(message) = self.websocket.recv().await.unwrap() else {
                panic!("it has ended: {:?}", self.websocket.closed())
            };
            let text = String::from_utf8(message.as_bytes().to_vec()).unwrap();
            let objects = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            if let Some(object) = objects.into_iter().find(&is_it) {
                return object;
            }
        }
    }

    /// Returns code and reason of the end.
    async fn end(&mut self) -> (u16, String) {
        while let Ok(Some(_)) = self.websocket.recv().await {}
        let closed = self.websocket.closed().expect("it has ended");
        let code = closed.received.map(u16::from).expect("a code");
        (code, closed.reason.to_string())
    }
}

/// The command of each hook that a client's command asks, with this payload.
fn command(hook: &str, data: &Value) -> (&'static str, Value) {
    match hook {
        "connect" => ("connect", json!({ "data": data })),
        "subscribe" => ("subscribe", json!({ "channel": "asked:a", "data": data })),
        "publish" => ("publish", json!({ "channel": "asked:a", "data": data })),
        "map_publish" => (
            "publish",
            json!({ "channel": "map:a", "type": 1, "key": "k", "data": data }),
        ),
        _ => ("rpc", json!({ "method": "m", "data": data })),
    }
}

const HOOKS: [&str; 5] = ["connect", "subscribe", "publish", "map_publish", "rpc"];

/// Opens a client that can send the command of a hook.
async fn ready(server: &Server, hook: &str) -> Client {
    match hook {
        "connect" => Client::open(server).await,
        _ => Client::connected(server, json!({})).await,
    }
}

#[test]
fn each_hook_is_asked_and_what_it_says_holds() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::open(&server).await;
        let data = json!({ "meta": { "secret": 1 } });
        let request = json!({ "data": data, "name": "js", "version": "9" });
        let reply = client.call("connect", request).await;
        let id = reply["connect"]["client"].clone();
        assert_eq!(reply["connect"]["data"], json!({ "hello": "ann" }));
        assert_eq!(reply["connect"]["subs"]["open:a"], json!({}));
        assert_eq!(
            reply["connect"]["subs"]["asked:own"]["recoverable"],
            json!(true)
        );
        assert_eq!(
            back_end.next("/connect").body,
            json!({
                "client": id, "transport": "websocket", "protocol": "json", "encoding": "json",
                "data": data, "name": "js", "version": "9",
            })
        );
        let mut asked = json!({
            "client": id, "transport": "websocket", "protocol": "json", "encoding": "json", "user": "ann",
        });
        let (kind, request) = command("subscribe", &json!(1));
        let reply = client.call(kind, request).await;
        assert_eq!(reply["subscribe"]["data"], json!({ "welcome": true }));
        assert_eq!(reply["subscribe"]["positioned"], json!(true));
        asked["channel"] = json!("asked:a");
        asked["data"] = json!(1);
        asked["meta"] = json!({ "secret": 1 });
        assert_eq!(back_end.next("/subscribe").body, asked);
        let (kind, request) = command("publish", &json!(2));
        client.send(kind, request).await;
        let push = client
            .find(|object| object["push"]["pub"].is_object())
            .await;
        let publication = &push["push"]["pub"];
        assert_eq!(publication["data"], json!({ "checked": 2 }));
        assert_eq!(publication["tags"], json!({ "kind": "new" }));
        assert_eq!(publication["info"]["conn_info"], json!({ "name": "Ann" }));
        asked["data"] = json!(2);
        // This hook isn't told the meta.
        asked.as_object_mut().unwrap().remove("meta");
        assert_eq!(back_end.next("/publish").body, asked);
        let (kind, request) = command("rpc", &json!(3));
        let reply = client.call(kind, request).await;
        assert_eq!(reply["rpc"]["data"], json!({ "answer": 42 }));
        asked.as_object_mut().unwrap().remove("channel");
        asked["method"] = json!("m");
        asked["data"] = json!(3);
        assert_eq!(back_end.next("/rpc").body, asked);
    });
}

#[test]
fn the_application_decides_what_clients_set_and_remove_in_maps() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::connected(&server, json!({ "meta": 1 })).await;
        let whole = json!({ "channel": "map:a", "type": 1, "phase": 2 });
        assert!(client.call("subscribe", whole).await["subscribe"].is_object());
        let (kind, request) = command("map_publish", &json!({ "key_mode": "if_new" }));
        client.send(kind, request.clone()).await;
        let is_change = |object: &Value| object["push"]["pub"].is_object();
        let change = client.find(is_change).await["push"]["pub"].clone();
        // Its key is not what the options would make of it.
        assert_eq!(change["key"], "k");
        assert_eq!(change["data"]["checked"], json!({ "key_mode": "if_new" }));
        assert_eq!(change["tags"], json!({ "kind": "new" }));
        assert_eq!(change["info"]["user"], "ann");
        let asked = back_end.next("/map_publish");
        assert_eq!(asked.body["key"], "k");
        assert_eq!(asked.body["channel"], "map:a");
        assert_eq!(asked.body["meta"], 1);
        // A condition that isn't met is no error.
        assert!(client.call(kind, request).await["publish"].is_object());
        let remove = json!({ "channel": "map:a", "type": 1, "key": "other", "removed": true });
        client.send("publish", remove).await;
        let change = client.find(is_change).await["push"]["pub"].clone();
        assert_eq!(
            (&change["key"], &change["removed"]),
            (&json!("k"), &json!(true))
        );
        assert_eq!(change["tags"], json!({ "kind": "gone" }));
        assert_eq!(change["offset"], 2);
        let asked = back_end.next("/map_remove");
        assert_eq!(asked.body["key"], "other");
        assert!(asked.body["data"].is_null(), "{}", asked.body);
    });
}

#[test]
fn a_refusal_reaches_the_client_as_it_is() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        for hook in HOOKS {
            let mut client = ready(&server, hook).await;
            let (kind, request) = command(hook, &json!({ "do": "refuse" }));
            let reply = client.call(kind, request).await;
            assert_eq!(
                reply["error"],
                json!({ "code": 1001, "message": "no entry" }),
                "{hook}"
            );
            let mut client = ready(&server, hook).await;
            let (kind, request) = command(hook, &json!({ "do": "later" }));
            let reply = client.call(kind, request).await;
            let later = json!({ "code": 1002, "message": "busy", "temporary": true });
            assert_eq!(reply["error"], later, "{hook}");
            let mut client = ready(&server, hook).await;
            let (kind, request) = command(hook, &json!({ "do": "ban" }));
            client.send(kind, request).await;
            assert_eq!(client.end().await, (4501, "banned".to_owned()), "{hook}");
        }
    });
}

/// What a client gets if the application can't be asked.
fn unavailable() -> Value {
    json!({ "code": 100, "message": "internal server error", "temporary": true })
}

#[test]
fn an_application_that_fails_is_a_temporary_error() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        for hook in HOOKS {
            for failure in ["500", "nonsense", "wrong type", "huge", "hang up"] {
                let mut client = ready(&server, hook).await;
                let (kind, request) = command(hook, &json!({ "do": failure }));
                let reply = client.call(kind, request).await;
                assert_eq!(reply["error"], unavailable(), "{hook}, {failure}");
            }
        }
    });
}

#[test]
fn an_application_that_does_not_answer_in_time_is_a_temporary_error() {
    let back_end = BackEnd::start(|_| Reaction::Hang);
    let more = "[client.token]\nhmac_secret_key = \"secret\"\n";
    let server = serve(&back_end.url(""), IMPATIENT, more);
    talk(async {
        let mut client = Client::open(&server).await;
        let (kind, request) = command("connect", &json!({}));
        assert_eq!(client.call(kind, request).await["error"], unavailable());
        let token = sockeye_hub::token::sign_hs256(b"secret", br#"{"sub":"ann"}"#).unwrap();
        let mut client = Client::open(&server).await;
        let reply = client.call("connect", json!({ "token": token })).await;
        assert!(reply["connect"].is_object(), "{reply}");
        for hook in &HOOKS[1..] {
            let (kind, request) = command(hook, &json!(1));
            assert_eq!(
                client.call(kind, request).await["error"],
                unavailable(),
                "{hook}"
            );
        }
    });
}

#[test]
fn an_application_that_is_down_is_a_temporary_error_and_a_line_in_the_log() {
    let port = Port::reserve();
    let server = serve(&format!("http://{}", port.addr()), PATIENT, "");
    talk(async {
        let mut client = Client::open(&server).await;
        let (kind, request) = command("connect", &json!({}));
        assert_eq!(client.call(kind, request).await["error"], unavailable());
    });
    server.signal("TERM");
    let (_, log) = server.wait();
    let line = log
        .lines()
        .find(|line| line.contains("the application can't be asked"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for part in [
        "WARN",
        "connect",
        "client.proxy.connect",
        "Connection refused",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn an_answer_without_a_result_is_a_yes_but_for_connecting() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    let anonymous = "[client]\nallow_anonymous_connect_without_token = true\n";
    let open = serve(&back_end.url(""), PATIENT, anonymous);
    let data = json!({ "do": "empty" });
    talk(async {
        let mut client = Client::open(&server).await;
        let (kind, request) = command("connect", &data);
        client.send(kind, request).await;
        assert_eq!(client.end().await, (3501, "bad request".to_owned()));
        let mut client = Client::connected(&open, data.clone()).await;
        for (hook, result) in [
            ("subscribe", "subscribe"),
            ("publish", "publish"),
            ("rpc", "rpc"),
        ] {
            let (kind, request) = command(hook, &data);
            let reply = client.call(kind, request).await;
            assert!(reply[result].is_object(), "{reply}");
        }
    });
}

#[test]
fn only_the_header_fields_that_are_named_are_forwarded() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::open(&server).await;
        let brought = json!({
            "X-Emulated": "of the client", "X-Both": "of the client", "X-Request": "of the client",
            "X-Static": "of the client",
        });
        client.call("connect", json!({ "headers": brought })).await;
        let fields = back_end.next("/connect").fields;
        assert_eq!(fields["x-static"], "static");
        assert_eq!(fields["x-request"], "of the request");
        assert_eq!(fields["x-both"], "of the request");
        assert_eq!(fields["x-emulated"], "of the client");
        assert_eq!(fields["content-type"], "application/json");
        assert!(!fields.contains_key("sec-websocket-key"), "{fields:?}");
        let (kind, request) = command("subscribe", &json!(1));
        client.call(kind, request).await;
        let fields = back_end.next("/subscribe").fields;
        assert_eq!(fields["x-request"], "of the request");
        assert!(
            !fields.contains_key("x-both") && !fields.contains_key("x-static"),
            "{fields:?}"
        );
    });
}

#[test]
fn procedures_have_namespaces_and_statuses_have_codes() {
    let back_end = BackEnd::start(|asked| match asked.body["method"].as_str() {
        Some("named:missing") => Reaction::Status(404),
        Some("named:teapot") => Reaction::Status(418),
        _ => application(asked),
    });
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::connected(&server, json!({})).await;
        let reply = client
            .call("rpc", json!({ "method": "named:x", "data": { "a": 1 } }))
            .await;
        assert_eq!(reply["rpc"]["data"], json!({ "special": true }));
        let asked = back_end.next("/special").body;
        // printf '{"a":1}' | base64
        assert_eq!(
            (&asked["b64data"], &asked["encoding"]),
            (&json!("eyJhIjoxfQ=="), &json!("binary"))
        );
        for (method, error) in [
            (
                "unknown:x",
                json!({ "code": 104, "message": "method not found" }),
            ),
            ("off:x", json!({ "code": 108, "message": "not available" })),
            (
                "named:missing",
                json!({ "code": 1404, "message": "nothing" }),
            ),
        ] {
            let reply = client.call("rpc", json!({ "method": method })).await;
            assert_eq!(reply["error"], error, "{method}");
        }
        client
            .send("rpc", json!({ "method": "named:teapot" }))
            .await;
        assert_eq!(client.end().await, (4418, "teapot".to_owned()));
    });
}

/// Centrifugo sends differences only of what was published with `delta`. Here the subscriber alone decides, so the answer may
/// have it and needn't.
#[test]
fn a_publication_that_a_hook_lets_through_is_a_difference_for_a_subscriber_that_asks() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::connected(&server, json!({})).await;
        let request = json!({ "channel": "asked:a", "delta": "fossil" });
        let reply = client.call("subscribe", request).await;
        assert_eq!(reply["subscribe"]["delta"], json!(true), "{reply}");
        let text = "a text that stays the same ".repeat(10);
        let mut is_first = true;
        for delta in [json!(true), json!(false), Value::Null, json!(true)] {
            let data = json!({ "text": text, "delta": delta });
            let request = json!({ "channel": "asked:a", "data": data });
            client.send("publish", request).await;
            let push = client
                .find(|object| object["push"]["pub"].is_object())
                .await;
            let publication = &push["push"]["pub"];
            assert_eq!(publication["delta"] == json!(true), !is_first, "{push}");
            let length = publication["data"].as_str().unwrap().len();
            assert_eq!(length < text.len(), !is_first, "{push}");
            is_first = false;
        }
        // What isn't a truth value spoils the answer, as it does there.
        let data = json!({ "delta": "yes" });
        let request = json!({ "channel": "asked:a", "data": data });
        let reply = client.call("publish", request).await;
        assert_eq!(reply["error"]["code"], json!(100), "{reply}");
    });
}

#[test]
fn channels_without_a_hook_are_decided_by_their_options() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::connected(&server, json!({})).await;
        back_end.next("/connect");
        let reply = client
            .call("subscribe", json!({ "channel": "open:b" }))
            .await;
        assert!(reply["subscribe"].is_object(), "{reply}");
        for request in [
            json!({ "channel": "closed" }),
            json!({ "channel": "$asked:a" }),
        ] {
            let reply = client.call("subscribe", request).await;
            assert_eq!(reply["error"]["code"], json!(103), "{reply}");
        }
        let reply = client
            .call("publish", json!({ "channel": "open:b", "data": 1 }))
            .await;
        assert_eq!(reply["error"]["code"], json!(103), "{reply}");
        assert_eq!(back_end.count(), 0);
    });
}

#[test]
fn requests_share_a_connection_and_do_not_exceed_their_number() {
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let back_end = BackEnd::start(move |asked| {
        if asked.body["method"] == json!("held") {
            let _ = released.lock().unwrap().recv();
        }
        application(asked)
    });
    let server = serve(
        &back_end.url(""),
        PATIENT,
        "[limits]\nhook_requests_max = 1\n",
    );
    talk(async {
        let mut client = Client::connected(&server, json!({})).await;
        for _ in 0..20 {
            client.call("rpc", json!({ "method": "m" })).await;
        }
        // Not one for each call.
        let connections = back_end.connections();
        assert!(connections < 20, "{connections}");
        client.send("rpc", json!({ "method": "held" })).await;
        let second = client.send("rpc", json!({ "method": "m" })).await;
        // Another endpoint isn't held up; its answer comes after the second call would have been made.
        let reply = client.call("rpc", json!({ "method": "named:x" })).await;
        assert!(reply["rpc"].is_object(), "{reply}");
        release.send(()).unwrap();
        client.find(|object| object["id"] == json!(second)).await;
        assert_eq!(back_end.running_max("/rpc"), 1);
    });
}

fn in_seconds(seconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() + seconds
}

/// The application of clients whose time is short: their meta says what it does when the time is over.
fn with_short_times(asked: &Asked) -> Reaction {
    let said = asked.body["meta"].as_str().unwrap_or_default();
    match asked.path.as_str() {
        "/refresh" | "/sub_refresh" => match said {
            "good" => Reaction::Json(
                json!({ "result": { "expire_at": in_seconds(1000), "meta": "new", "info": 7 } }),
            ),
            "expired" => Reaction::Json(json!({ "result": { "expired": true } })),
            "refused" => {
                Reaction::Json(json!({ "disconnect": { "code": 4501, "reason": "banned" } }))
            }
            _ => Reaction::Status(500),
        },
        _ => application(asked),
    }
}

#[test]
fn a_connection_that_the_application_does_not_refresh_is_ended() {
    let back_end = BackEnd::start(with_short_times);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        for meta in ["expired", "refused"] {
            let data = json!({ "meta": meta, "expire_at": in_seconds(2) });
            let mut client = Client::open(&server).await;
            let reply = client.call("connect", json!({ "data": data })).await;
            // A client that is told would refresh itself.
            assert_eq!(reply["connect"].get("expires"), None, "{reply}");
            assert_eq!(
                client.end().await,
                (3005, "connection expired".to_owned()),
                "{meta}"
            );
            let asked = back_end.next("/refresh").body;
            assert_eq!(
                (&asked["user"], &asked["meta"]),
                (&json!("ann"), &json!(meta))
            );
        }
    });
}

#[test]
fn a_connection_that_the_application_refreshes_has_its_new_meta() {
    let back_end = BackEnd::start(with_short_times);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let data = json!({ "meta": "good", "expire_at": in_seconds(2) });
        let mut client = Client::connected(&server, data).await;
        back_end.next("/refresh");
        // The answer is on its way.
        for number in 0.. {
            let channel = format!("asked:{number}");
            let reply = client
                .call("subscribe", json!({ "channel": channel }))
                .await;
            assert!(reply["subscribe"].is_object(), "{reply}");
            if back_end.next("/subscribe").body["meta"] == json!("new") {
                break;
            }
        }
    });
}

#[test]
fn a_connection_goes_on_while_the_application_fails() {
    let back_end = BackEnd::start(with_short_times);
    let server = serve(&back_end.url(""), PATIENT, "");
    let log = talk(async {
        let data = json!({ "meta": "failing", "expire_at": in_seconds(2) });
        let mut client = Client::connected(&server, data).await;
        back_end.next("/refresh");
        for _ in 0..10 {
            let reply = client.call("rpc", json!({ "method": "m" })).await;
            assert!(reply["rpc"].is_object(), "{reply}");
        }
        server.signal("TERM");
        assert_eq!(client.end().await.0, 3001);
        server.wait().1
    });
    assert!(log.contains("the status is 500"), "{log}");
}

#[test]
fn a_subscription_whose_time_is_over_is_refreshed_or_ended_by_the_application() {
    let back_end = BackEnd::start(|asked| match asked.path.as_str() {
        "/sub_refresh" if asked.body["channel"] == json!("asked:over") => {
            Reaction::Json(json!({ "result": { "expired": true } }))
        }
        "/sub_refresh" => Reaction::Json(json!({ "result": { "expire_at": in_seconds(1000) } })),
        _ => application(asked),
    });
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        let mut client = Client::connected(&server, json!({})).await;
        for channel in ["asked:stays", "asked:over"] {
            let data = json!({ "expire_at": in_seconds(2) });
            let request = json!({ "channel": channel, "data": data });
            let reply = client.call("subscribe", request).await;
            assert_eq!(reply["subscribe"].get("expires"), None, "{reply}");
        }
        let push = client
            .find(|object| object["push"]["unsubscribe"].is_object())
            .await;
        assert_eq!(push["push"]["channel"], json!("asked:over"));
        assert_eq!(push["push"]["unsubscribe"]["code"], json!(2501));
        // What would have ended first is still there.
        let reply = client
            .call("subscribe", json!({ "channel": "asked:stays" }))
            .await;
        assert_eq!(reply["error"]["code"], json!(105), "{reply}");
    });
}

#[test]
fn a_time_that_has_passed_is_an_error() {
    let back_end = BackEnd::start(application);
    let server = serve(&back_end.url(""), PATIENT, "");
    talk(async {
        for hook in ["connect", "subscribe"] {
            let mut client = ready(&server, hook).await;
            let (kind, request) = command(hook, &json!({ "expire_at": 5 }));
            let reply = client.call(kind, request).await;
            assert_eq!(reply["error"]["code"], json!(110), "{hook}: {reply}");
        }
    });
}

#[test]
fn a_token_is_checked_and_the_application_is_not_asked() {
    let back_end = BackEnd::start(application);
    let more = "[client.token]\nhmac_secret_key = \"secret\"\n";
    let server = serve(&back_end.url(""), PATIENT, more);
    talk(async {
        let token = sockeye_hub::token::sign_hs256(b"secret", br#"{"sub":"ann"}"#).unwrap();
        let mut client = Client::open(&server).await;
        let reply = client.call("connect", json!({ "token": token })).await;
        assert!(reply["connect"].is_object(), "{reply}");
        let mut client = Client::open(&server).await;
        client.send("connect", json!({ "token": "a.b.c" })).await;
        assert_eq!(client.end().await.0, 3500);
        assert_eq!(back_end.count(), 0);
    });
}

#[test]
fn an_endpoint_can_have_a_certificate_of_another_authority() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let tls = sockeye::ServerTls::from_pem(&certificate, key.serialize_pem()).unwrap();
    let ask = |endpoint: String, http: &str| {
        let file = format!(
            "listen = [\"127.0.0.1:0\"]\n[client.proxy.connect]\nenabled = true\nendpoint = \"{endpoint}\"\ntimeout = \"30s\"\n{http}\n"
        );
        let files = [("sockeye.toml", file.as_str()), ("ca.pem", &certificate)];
        Server::start_with(&[], &files)
    };
    talk(async {
        let answer = || async { r#"{"result":{"user":"ann"}}"# };
        let router = axum::Router::new().route("/connect", axum::routing::post(answer));
        let application = sockeye::Server::unbound()
            .listen_tls("127.0.0.1:0", tls)
            .fallback(router);
        let application = application.start().await.unwrap();
        let port = application.local_addrs()[0].port();
        let trusting = "server_ca_pem = \"ca.pem\"";
        for (host, http) in [
            (
                "localhost",
                format!("http = {{ tls = {{ enabled = true, {trusting} }} }}"),
            ),
            (
                "127.0.0.1",
                format!(
                    "http = {{ tls = {{ enabled = true, {trusting}, server_name = \"localhost\" }} }}"
                ),
            ),
            (
                "127.0.0.1",
                "http = { tls = { enabled = true, insecure_skip_verify = true } }".to_owned(),
            ),
        ] {
            let server = ask(format!("https://{host}:{port}/connect"), &http);
            Client::connected(&server, json!({})).await;
        }
        let server = ask(format!("https://localhost:{port}/connect"), "");
        let mut client = Client::open(&server).await;
        let reply = client.call("connect", json!({})).await;
        assert_eq!(reply["error"], unavailable());
        drop(client);
        server.signal("TERM");
        let (_, log) = server.wait();
        assert!(log.contains("invalid peer certificate"), "{log}");
    });
}

#[test]
fn keys_of_tokens_are_fetched_from_their_endpoint() {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let public = URL_SAFE_NO_PAD.encode(key.der_bytes());
    let set = json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1", "x": public },
    ] });
    let issuer = BackEnd::start(move |_| Reaction::Json(set.clone()));
    let token = |kid: &str| {
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = part(json!({ "alg": "EdDSA", "kid": kid }));
        let signed = format!("{header}.{}", part(json!({ "sub": "ann" })));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    };
    let down = Port::reserve();
    let serve = |url: String| {
        let file = format!(
            "listen = [\"127.0.0.1:0\"]\n[client.token]\njwks_public_endpoint = \"{url}\"\n"
        );
        Server::start_with(&[], &[("sockeye.toml", &file)])
    };
    talk(async {
        let server = serve(issuer.url("/keys"));
        for _ in 0..3 {
            let mut client = Client::open(&server).await;
            let reply = client.call("connect", json!({ "token": token("1") })).await;
            assert!(reply["connect"].is_object(), "{reply}");
        }
        // A key that may have been published since is an error that passes; the endpoint isn't asked for each.
        let mut client = Client::open(&server).await;
        let reply = client.call("connect", json!({ "token": token("2") })).await;
        assert_eq!(reply["error"], unavailable());
        assert_eq!(issuer.count(), 1);
        let mut client = Client::open(&server).await;
        let forged = format!("{}A", token("1"));
        client.send("connect", json!({ "token": forged })).await;
        assert_eq!(client.end().await.0, 3500);
        let server = serve(format!("http://{}/keys", down.addr()));
        let mut client = Client::open(&server).await;
        let reply = client.call("connect", json!({ "token": token("1") })).await;
        assert_eq!(reply["error"], unavailable());
        drop(client);
        server.signal("TERM");
        let (_, log) = server.wait();
        assert!(log.contains("keys can't be fetched"), "{log}");
    });
}

#[test]
fn an_answer_with_misspelt_keys_is_taken_without_them_and_told_in_the_log() {
    let app = BackEnd::start(|_| Reaction::Json(json!({ "result": { "userId": "42" } })));
    let server = serve(&app.url(""), PATIENT, "");
    talk(async {
        // As Centrifugo takes it: a result without a user is an anonymous client.
        for _ in 0..2 {
            let mut client = Client::open(&server).await;
            let reply = client.call("connect", json!({})).await;
            assert!(reply["connect"].is_object(), "{reply}");
        }
    });
    server.signal("TERM");
    let (_, log) = server.wait();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("the application's answer has keys that mean nothing"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(
        lines[0].contains("userId (did you mean user?)") && lines[0].contains("WARN"),
        "{log}"
    );
}

#[test]
fn bad_hooks_are_one_line_that_names_the_key() {
    let check = |file: &str| {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("sockeye.toml"), file).unwrap();
        let run = run_in(directory.path(), &["config", "check"], &[]);
        assert_eq!(run.code, Some(2), "{file}");
        run.stderr
    };
    for (file, expected) in [
        (
            "[client.proxy.connect]\nendpoint = \"grpc://localhost:12000\"",
            "sockeye: sockeye.toml:2: client.proxy.connect.endpoint: \"grpc://localhost:12000\": there is no GRPC; allowed: ",
        ),
        (
            "[client.proxy.connect]\nenabled = true",
            "sockeye: sockeye.toml:2: client.proxy.connect.enabled: the hook is on, and client.proxy.connect.endpoint is not set",
        ),
        (
            "[[channel.namespaces]]\nname = \"news\"\n[[channel.namespaces]]\nname = \"money\"\npublish_proxy_enabled = true",
            "sockeye: sockeye.toml:3: channel.namespaces: namespace money: publish_proxy_enabled: the hook is on, and channel.proxy.publish.endpoint is not set",
        ),
        (
            "[[proxies]]\nname = \"a\"\nendpoint = \"http://a\"\n[[proxies]]\nname = \"b\"",
            "sockeye: sockeye.toml:4: proxies: proxy b.endpoint: it is not set",
        ),
        (
            "[channel.proxy.publish]\n[channel.proxy.publish.http]\nstatic_header = {}",
            "sockeye: sockeye.toml:2: channel.proxy.publish.http: unknown field `static_header`",
        ),
        (
            "[[proxies]]\nname = \"a\"\nendpoint = \"http://a\"\ntimeout = 3",
            "sockeye: sockeye.toml:4: proxies: timeout: an integer does not fit",
        ),
        (
            "\n[[channel.namespaces]]\nname = \"money\"\nsubscribe_proxy_name = \"b\"",
            "sockeye: sockeye.toml:2: channel.namespaces: namespace money: subscribe_proxy_name: there is no \"b\" in proxies",
        ),
    ] {
        let error = check(file);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn secrets_of_hooks_are_not_shown() {
    let file = r#"
        [client.proxy.connect]
        endpoint = "http://app:s3cret@localhost/connect"
        [rpc.proxy.http]
        static_headers = { X-Key = "s3cret" }
        [[proxies]]
        name = "billing"
        endpoint = "http://billing/"
        http = { static_headers = { X-Key = "s3cret" } }
    "#;
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("sockeye.toml"), file).unwrap();
    let run = run_in(directory.path(), &["config", "check"], &[]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(!run.stdout.contains("s3cret"), "{}", run.stdout);
    assert!(
        run.stdout.contains("# proxies is set and not shown"),
        "{}",
        run.stdout
    );
}
