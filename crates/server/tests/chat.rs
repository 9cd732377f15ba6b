//! The chat's dialect, spoken with the binary.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sockeye::{CloseCode, WebSocket};
use support::{Server, talk};

#[test]
fn the_articles_page_is_greeted_is_online_and_fetches() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    talk(async {
        let mut browser = Browser::new(&server);
        let mut page = Page::open(&server).await;
        let client_id = page.hear("CONNECT").await["client_id"].clone();
        assert!(client_id.as_str().is_some_and(|id| !id.is_empty()));
        let uuid = browser.uuid();
        // To the letter, as the article's script puts it together.
        let said = format!(r#"{{"url":"/chat/online","chat_token":"abc","uuid":"{uuid}"}}"#);
        page.say_text(&said).await;
        let online = page.hear("ONLINE").await;
        assert_eq!(online["client_id"], client_id);
        let (status, rs) = browser.ask("/socket/get-msg");
        assert_eq!(
            (status, &rs["code"], &rs["data"]["list"]),
            (200, &json!(0), &json!([]))
        );
        for beat in [
            r#"{"url":"/chat/heart-beat"}"#,
            r#"{"url":"/chat/heart-beat","chat_token":"abc"}"#,
        ] {
            page.say_text(beat).await;
            assert!(page.hear("HEARTBEAT").await["time"].is_u64());
        }
        // The same browser is the same person, another one isn't.
        assert_eq!(browser.uuid(), uuid);
        assert_ne!(Browser::new(&server).uuid(), uuid);
    });
}

#[test]
fn mistakes_are_errors_and_only_a_bad_token_ends_the_connection() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--chat-token", "s3cret"]);
    talk(async {
        let mut page = Page::open(&server).await;
        page.hear("CONNECT").await;
        page.token = "s3cret";
        let stranger = "9f1b6f2e-8d0a-4c55-9a51-0a3f6a8f1d2c";
        for (said, code) in [
            (json!("no object"), "bad_json"),
            (json!({ "url": "/chat/nothing" }), "unknown_url"),
            (json!({ "url": "/chat/join", "room": "tea" }), "not_online"),
            (json!({ "url": "/chat/online", "uuid": "me" }), "wrong_uuid"),
            (
                json!({ "url": "/chat/online", "uuid": stranger }),
                "wrong_uuid",
            ),
        ] {
            page.say(said).await;
            assert_eq!(page.hear("ERROR").await["code"], code);
        }
        page.websocket.send(&b"x"[..]).await.unwrap();
        assert_eq!(page.hear("ERROR").await["code"], "binary");
        page.say_text(r#"{"url":"/chat/people","chat_token":"guess"}"#)
            .await;
        assert_eq!(page.hear("ERROR").await["code"], "bad_token");
        assert_eq!(page.close_code().await, Some(CloseCode::POLICY_VIOLATION));
    });
}

#[test]
fn one_uuid_for_one_connection() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    talk(async {
        let mut page = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        let other = Browser::new(&server).uuid();
        page.say(json!({ "url": "/chat/online", "uuid": other }))
            .await;
        assert_eq!(page.hear("ERROR").await["code"], "wrong_uuid");
    });
}

#[test]
fn a_room_is_heard_in_order_and_a_resend_is_not_doubled() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    talk(async {
        let mut ann = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        let mut bob = Page::online(&server, &mut Browser::new(&server), "鲍勃").await;
        ann.join("tea", Value::Null).await;
        let joined = bob.join("tea", Value::Null).await;
        assert_eq!(joined["count"], 2);
        let newcomer = ann.hear("JOIN").await;
        assert_eq!(
            (&newcomer["person"]["name"], &newcomer["count"]),
            (&json!("鲍勃"), &json!(2))
        );
        for id in ["m1", "m2", "m1", "m3"] {
            ann.say(json!({ "url": "/chat/msg", "room": "tea", "text": id, "id": id }))
                .await;
        }
        let sent: Vec<Value> = ann.hear_many("SENT", 4).await;
        assert_eq!(seqs(&sent), [1, 2, 1, 3]);
        assert_eq!(sent[2]["again"], true);
        for page in [&mut ann, &mut bob] {
            let heard = page.hear_many("MSG", 3).await;
            assert_eq!(seqs(&heard), [1, 2, 3]);
            assert_eq!(heard[0]["from"]["name"], "Ann");
        }
        // Who leaves hears nothing more, and can't talk there either.
        bob.say(json!({ "url": "/chat/leave", "room": "tea" }))
            .await;
        bob.hear("LEFT").await;
        assert_eq!(ann.hear("LEAVE").await["count"], 1);
        bob.say(json!({ "url": "/chat/msg", "room": "tea", "text": "?" }))
            .await;
        assert_eq!(bob.hear("ERROR").await["code"], "not_in_room");
    });
}

#[test]
fn who_returns_to_a_room_asks_for_what_came_since() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    talk(async {
        let mut browser = Browser::new(&server);
        let mut ann = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        let mut bob = Page::online(&server, &mut browser, "Bob").await;
        ann.join("tea", Value::Null).await;
        let epoch = bob.join("tea", Value::Null).await["past"]["epoch"].clone();
        ann.say(json!({ "url": "/chat/msg", "room": "tea", "text": "one" }))
            .await;
        let read = bob.hear("MSG").await["seq"].clone();
        drop(bob);
        ann.hear("LEAVE").await;
        ann.say(json!({ "url": "/chat/msg", "room": "tea", "text": "two" }))
            .await;
        ann.hear_many("SENT", 2).await;
        let mut bob = Page::online(&server, &mut browser, "Bob").await;
        let since = json!({ "since": read, "epoch": epoch });
        let past = bob.join("tea", since).await["past"].clone();
        assert_eq!((&past["complete"], &past["seq"]), (&json!(true), &json!(2)));
        assert_eq!(texts(&past["messages"]), ["two"]);
        let gone = bob
            .join("tea", json!({ "since": 1, "epoch": "other" }))
            .await;
        assert_eq!(gone["past"]["complete"], false);
        assert_eq!(texts(&gone["past"]["messages"]), ["one", "two"]);
    });
}

#[test]
fn a_private_message_is_heard_at_once_by_whoever_is_there() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    talk(async {
        let mut browser = Browser::new(&server);
        let mut ann = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        let (mut desk, mut phone) = (
            Page::online(&server, &mut browser, "Bob").await,
            Page::online(&server, &mut browser, "Bob").await,
        );
        let to = desk.address.clone();
        ann.say(json!({ "url": "/chat/msg", "to": to, "text": "psst", "id": "p1" }))
            .await;
        assert_eq!(ann.hear("SENT").await["waits"], false);
        for page in [&mut ann, &mut desk, &mut phone] {
            let heard = page.hear("MSG").await;
            assert_eq!(
                (&heard["text"], &heard["to"]["address"]),
                (&json!("psst"), &json!(to))
            );
        }
        assert_eq!(browser.ask("/socket/get-msg").1["data"]["count"], 0);
        ann.say(json!({ "url": "/chat/msg", "to": "9f1b6f2e-8d0a-8c55-9a51-0a3f6a8f1d2c", "text": "?" })).await;
        assert_eq!(ann.hear("ERROR").await["code"], "no_such_person");
    });
}

#[test]
fn what_is_said_to_somebody_away_is_handed_out_once_also_across_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let start = || Server::start(&["--listen", "127.0.0.1:0", "--data", &data]);
    let server = start();
    let (mut browser, mut other, to) = talk(async {
        let mut browser = Browser::new(&server);
        let mut bob = Page::online(&server, &mut browser, "Bob").await;
        let to = bob.address.clone();
        let mut ann_browser = Browser::new(&server);
        let mut ann = Page::online(&server, &mut ann_browser, "Ann").await;
        ann.join("tea", Value::Null).await;
        ann.say(json!({ "url": "/chat/msg", "room": "tea", "text": "in the room", "id": "r1" }))
            .await;
        ann.hear("SENT").await;
        bob.join("tea", Value::Null).await;
        drop(bob);
        ann.hear("LEAVE").await;
        ann.say(json!({ "url": "/chat/msg", "to": to, "text": "while you were away", "id": "p1" }))
            .await;
        assert_eq!(ann.hear("SENT").await["waits"], true);
        (browser, ann_browser, to)
    });
    // SENT says that it is durable.
    server.signal("KILL");
    server.wait();

    let server = start();
    browser.move_to(&server);
    other.move_to(&server);
    let (status, rs) = browser.ask("/socket/get-msg");
    assert_eq!(
        (status, texts(&rs["data"]["list"])),
        (200, vec!["while you were away".to_owned()])
    );
    server.signal("KILL");
    server.wait();

    let server = start();
    browser.move_to(&server);
    other.move_to(&server);
    assert_eq!(browser.ask("/socket/get-msg").1["data"]["count"], 0);
    talk(async {
        let mut ann = Page::online(&server, &mut other, "Ann").await;
        let joined = ann.join("tea", json!({ "since": 0 })).await;
        assert_eq!(texts(&joined["past"]["messages"]), ["in the room"]);
        // Sent again, because the page can't know that it was taken before the crash.
        ann.say(json!({ "url": "/chat/msg", "to": to, "text": "while you were away", "id": "p1" }))
            .await;
        assert_eq!(ann.hear("SENT").await["again"], true);
    });
    assert_eq!(browser.ask("/socket/get-msg").1["data"]["count"], 0);
}

#[test]
fn what_waits_is_handed_out_until_it_is_confirmed_and_looking_changes_nothing() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let mut browser = Browser::new(&server);
    let uuid = browser.uuid();
    talk(async {
        let bob = Page::online(&server, &mut browser, "Bob").await;
        let to = bob.address.clone();
        let mut ann = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        ann.join("tea", Value::Null).await;
        drop(bob);
        // Until the server has seen that he is away, nothing waits for him.
        loop {
            ann.say(json!({ "url": "/chat/msg", "to": to, "text": "important" }))
                .await;
            if ann.hear("SENT").await["waits"] == true {
                break;
            }
        }
    });
    let ask = |method: &str, query: &str, fields: &str| {
        server.http(&format!(
            "{method} /socket/get-msg{query} HTTP/1.1\r\nCookie: chat_uuid={uuid}\r\n{fields}\r\n"
        ))
    };
    for _ in 0..2 {
        let head = ask("HEAD", "", "").to_lowercase();
        assert!(
            head.starts_with("http/1.1 200") && !head.contains("set-cookie"),
            "{head}"
        );
        let ahead = ask("GET", "", "Sec-Purpose: prefetch\r\n").to_lowercase();
        assert!(
            ahead.starts_with("http/1.1 503") && !ahead.contains("set-cookie"),
            "{ahead}"
        );
    }
    // Nor is anybody made by looking.
    for (method, fields) in [("HEAD", ""), ("GET", "Purpose: prefetch\r\n")] {
        let looked = server.http(&format!(
            "{method} /socket/chat-uuid HTTP/1.1\r\n{fields}\r\n"
        ));
        assert!(!looked.to_lowercase().contains("set-cookie"), "{looked}");
    }
    // An answer that got lost, as often as it may: without its cookie nothing is confirmed.
    let mut data = Value::Null;
    for _ in 0..3 {
        let answer = ask("GET", "", "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        data = serde_json::from_str::<Value>(body).unwrap()["data"].take();
        assert_eq!(
            (texts(&data["list"]), &data["more"]),
            (vec!["important".to_owned()], &json!(false))
        );
    }
    let (seq, epoch) = (&data["seq"], data["epoch"].as_str().unwrap());
    let not_utf8 = ask("GET", &format!("?after={seq}&epoch=%ff"), "");
    assert!(not_utf8.starts_with("HTTP/1.1 400"), "{not_utf8}");
    assert!(not_utf8.contains("epoch: not UTF-8"), "{not_utf8}");
    let bad = ask("GET", "?after=1", "");
    assert!(bad.starts_with("HTTP/1.1 400"), "{bad}");
    let confirming = format!("?after={seq}&epoch={epoch}");
    for _ in 0..2 {
        let answer = ask("GET", &confirming, "");
        assert!(answer.contains("\"count\":0"), "{answer}");
    }
    assert_eq!(browser.ask("/socket/get-msg").1["data"]["count"], 0);
}

#[test]
fn a_page_from_before_confirms_by_its_cookie_with_the_next_request() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let (mut browser, mut other) = (Browser::new(&server), Browser::new(&server));
    talk(async {
        let bob = Page::online(&server, &mut browser, "Bob").await;
        let to = bob.address.clone();
        drop(bob);
        let mut ann = Page::online(&server, &mut other, "Ann").await;
        loop {
            ann.say(json!({ "url": "/chat/msg", "to": to, "text": "important" }))
                .await;
            if ann.hear("SENT").await["waits"] == true {
                break;
            }
        }
        assert_eq!(browser.ask("/socket/get-msg").1["data"]["count"], 1);
        // Loading the page again begins with its uuid, which shows the cookie.
        let mut bob = Page::open(&server).await;
        bob.hear("CONNECT").await;
        let uuid = browser.uuid();
        bob.say(json!({ "url": "/chat/online", "uuid": uuid }))
            .await;
        assert_eq!(bob.hear("ONLINE").await["waiting"], 0);
    });
    assert_eq!(browser.ask("/socket/get-msg").1["data"]["count"], 0);
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_no_chat_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let args = ["--listen", "127.0.0.1:0", "--data", &data];
    let server = Server::start(&args);
    talk(async {
        let mut ann = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        ann.join("tea", Value::Null).await;
        for text in ["one", "two", "three"] {
            ann.say(json!({ "url": "/chat/msg", "room": "tea", "text": text }))
                .await;
            ann.hear("SENT").await;
        }
    });
    server.signal("TERM");
    server.wait();
    for name in ["chat.redb", "presence.redb"] {
        let file = folder.path().join("data").join(name);
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        // All but the first page, which says where the others are.
        for page in damaged.chunks_mut(4096).skip(1) {
            if page.iter().any(|byte| *byte != 0) {
                page[..64].fill(0xA5);
            }
        }
        std::fs::write(&file, damaged).unwrap();
        let run = support::run_in(folder.path(), &args, &[]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        let line = run.stderr.lines().last().unwrap();
        assert!(
            line.contains(name) && line.contains("move it away"),
            "{line}"
        );
        std::fs::write(&file, whole).unwrap();
    }
    Server::start(&args);
}

#[test]
fn messages_are_fetched_only_by_who_they_are_for_and_only_from_this_site() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let mut nobody = Browser::new(&server);
    let (status, rs) = nobody.ask("/socket/get-msg");
    assert_eq!((status, &rs["code"]), (401, &json!(401)));
    let head = server
        .http("GET /socket/chat-uuid HTTP/1.1\r\n\r\n")
        .to_lowercase();
    for part in ["httponly", "samesite=strict", "cache-control: no-store"] {
        assert!(head.contains(part), "{part} is missing in {head}");
    }
    let foreign = server.http("GET /socket/get-msg HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\n\r\n");
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
}

#[test]
fn a_back_end_sees_who_is_in_the_chat() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--api-key", "k3y"]);
    talk(async {
        let page = Page::online(&server, &mut Browser::new(&server), "Ann").await;
        let path = format!("/api/presence/{}", page.address);
        let asked = server.http(&format!("GET {path} HTTP/1.1\r\nX-API-Key: k3y\r\n\r\n"));
        let (_, body) = asked.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        assert_eq!(status["online"], true, "{asked}");
    });
}

#[test]
fn too_fast_is_too_fast() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    talk(async {
        let mut page = Page::open(&server).await;
        page.hear("CONNECT").await;
        for _ in 0..100 {
            page.say_text(r#"{"url":"/chat/heart-beat","id":"m1"}"#)
                .await;
        }
        let error = page.hear("ERROR").await;
        // The page must know which of its messages it was.
        assert_eq!([&error["code"], &error["id"]], ["too_fast", "m1"]);
    });
}

#[test]
fn the_chat_has_its_path_and_comes_before_what_else_is_there() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--chat-path", "/echo,/talk"]);
    talk(async {
        for path in ["/echo", "/talk"] {
            let mut page = Page::open_at(&server, path).await;
            page.hear("CONNECT").await;
        }
    });
    let banner = &server.banner;
    assert!(
        banner.contains("/echo ") && !banner.contains("echo, text"),
        "{banner}"
    );
}

/// A page's WebSocket.
struct Page {
    websocket: WebSocket,
    token: &'static str,
    address: String,
    /// Heard while it waited for something else.
    heard: Vec<Value>,
}

impl Page {
    async fn open(server: &Server) -> Self {
        Self::open_at(server, "/chat").await
    }

    async fn open_at(server: &Server, path: &str) -> Self {
        Self {
            websocket: sockeye::connect(server.ws(path)).await.unwrap(),
            token: "abc",
            address: String::new(),
            heard: Vec::new(),
        }
    }

    async fn online(server: &Server, browser: &mut Browser, name: &str) -> Self {
        let mut page = Self::open(server).await;
        page.hear("CONNECT").await;
        let uuid = browser.uuid();
        page.say(json!({ "url": "/chat/online", "uuid": uuid, "name": name }))
            .await;
        let address = page.hear("ONLINE").await["address"].clone();
        page.address = address.as_str().unwrap().to_owned();
        page
    }

    async fn join(&mut self, room: &str, since: Value) -> Value {
        let mut said = json!({ "url": "/chat/join", "room": room });
        for (key, value) in since.as_object().into_iter().flatten() {
            said[key] = value.clone();
        }
        self.say(said).await;
        self.hear("JOINED").await
    }

    async fn say(&mut self, mut said: Value) {
        if said.is_object() {
            said["chat_token"] = json!(self.token);
        }
        self.say_text(&said.to_string()).await;
    }

    async fn say_text(&mut self, text: &str) {
        self.websocket.send(text.to_owned()).await.unwrap();
    }

    /// Returns the next event of that name, whatever came before it.
    async fn hear(&mut self, name: &str) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(|event| event["event"] == name) {
                return self.heard.remove(at)["response"].take();
            }
            let message = self.websocket.recv().await.unwrap();
            let message = message.unwrap_or_else(|| panic!("closed before {name}"));
            self.heard
                .push(serde_json::from_str(message.as_text().unwrap()).unwrap());
        }
    }

    async fn hear_many(&mut self, name: &str, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.hear(name).await);
        }
        events
    }

    async fn close_code(mut self) -> Option<CloseCode> {
        while let Ok(Some(_)) = self.websocket.recv().await {}
        let closed = self.websocket.closed()?;
        closed.received
    }
}

/// Plain HTTP with a jar of cookies.
struct Browser {
    addr: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(server: &Server) -> Self {
        Self {
            addr: server.addrs[0].clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// Continues with the same cookies at a server on another port.
    fn move_to(&mut self, server: &Server) {
        self.addr.clone_from(&server.addrs[0]);
    }

    fn uuid(&mut self) -> String {
        let (_, rs) = self.ask("/socket/chat-uuid");
        rs["data"]["uuid"].as_str().unwrap().to_owned()
    }

    fn ask(&mut self, path: &str) -> (u16, Value) {
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = match pairs.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", pairs.join("; ")),
        };
        let request = format!("GET {path} HTTP/1.1\r\n{cookies}\r\n");
        let response = support::http(&self.addr, &request);
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }
}

fn texts(messages: &Value) -> Vec<String> {
    let messages = messages.as_array().unwrap().iter();
    messages
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect()
}
