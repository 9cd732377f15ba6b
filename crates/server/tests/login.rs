//! Login by QR code as a proxy, an attacker and a browser without a window see it.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sockeye::{CloseCode, WebSocket};
use support::{Server, talk};
use tempfile::TempDir;
use tokio::net::TcpStream;

// Issue 13, B.9.
#[test]
fn behind_a_proxy_that_speaks_tls_everything_is_the_clients() {
    talk(async {
        let server = Server::start(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--trusted-proxies",
            "127.0.0.1",
        ]);
        let told = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "chat.example"),
        ];
        let page = "https://chat.example";
        let mut screen = Client::new(&server, page, &told);
        let mut phone = Client::new(&server, page, &told);
        let answer = screen.get("/login");
        assert_eq!(
            answer.fields("set-cookie")[0].split_once(';').unwrap().1,
            " Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert!(screen.cookies.contains_key("__Host-login_key"));
        assert_eq!(
            answer.fields("strict-transport-security"),
            ["max-age=31536000"]
        );
        phone.get("/login/confirm");
        let mut websocket = screen.wait().await;
        let ticket = hear(&mut websocket).await;
        let url = ticket["response"]["url"].as_str().unwrap();
        let ticket = url
            .strip_prefix("https://chat.example/login/confirm#")
            .unwrap();
        let scan = phone.post("/login/scan", &json!({ "ticket": ticket }));
        assert_eq!(
            (scan.status, &scan.body["ip"]),
            (200, &json!("203.0.113.9"))
        );
        // What the connection itself shows is the proxy's, and no page of ours is there.
        let mut stranger = Client::new(&server, &format!("http://{}", server.addrs[0]), &told);
        stranger.cookies.clone_from(&phone.cookies);
        let refused = stranger.post("/login/scan", &json!({ "ticket": ticket }));
        assert_eq!(refused.status, 403);
        // So that the person who sets the proxy up sees what it tells.
        let told = json!({ "error": "elsewhere", "expected": page, "ip": "203.0.113.9" });
        assert_eq!(refused.body, told);
        let identity = phone.get("/socket/chat-uuid");
        assert_eq!(
            identity.fields("set-cookie")[0].split_once(';').unwrap().1,
            " Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000; Secure"
        );
        assert!(phone.cookies.contains_key("__Host-chat_uuid"));
    });
}

#[test]
fn browsers_are_told_to_stay_with_https_only_where_that_is_ours_to_say() {
    for (more, host, proto, expected) in [
        (&[][..], "chat.example", "https", 1),
        (&["--hsts", "off"][..], "chat.example", "https", 0),
        (&[], "chat.example", "http", 0),
        (&[], "chat.example:8443", "https", 0),
        (&[], "localhost", "https", 0),
        (&[], "192.0.2.1", "https", 0),
        (&[], "[2001:db8::1]", "https", 0),
    ] {
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--trusted-proxies",
            "127.0.0.1",
        ];
        let server = Server::start(&[&arguments[..], more].concat());
        let told = [("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host)];
        for path in ["/", "/chat", "/login", "/health/live", "/nowhere"] {
            let answer = Client::new(&server, "", &told).get(path);
            let fields = answer.fields("strict-transport-security");
            assert_eq!(fields.len(), expected, "{host} {proto} {path}");
        }
    }
}

// Issue 13, B.9.
#[test]
fn identities_are_made_by_the_server_alone() {
    let data = TempDir::new().unwrap();
    let data = data.path().to_str().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", data];
    let server = Server::start(&arguments);
    let made_up = "b9a1c1de-6c3f-4d0e-9a53-0d3f5f2f6a11";
    let mut client = Client::new(&server, "", &[]);
    client.cookies.insert("chat_uuid".into(), made_up.into());
    assert_eq!(client.get("/socket/get-msg").status, 401);
    let uuid = client.get("/socket/chat-uuid").body["data"]["uuid"].clone();
    assert_ne!(uuid, made_up);
    assert_eq!(client.cookies["chat_uuid"], uuid);
    assert_eq!(client.get("/socket/chat-uuid").body["data"]["uuid"], uuid);
    drop(server);
    // What was given out is known again by a server that keeps what it has.
    let server = Server::start(&arguments);
    client.addr.clone_from(&server.addrs[0]);
    assert_eq!(client.get("/socket/chat-uuid").body["data"]["uuid"], uuid);
    assert_eq!(client.get("/socket/get-msg").status, 200);
}

#[test]
fn a_phone_with_an_identity_of_its_own_making_is_nobody() {
    talk(async {
        let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
        let mut scene = Scene::new(&server).await;
        let made_up = "b9a1c1de-6c3f-4d0e-9a53-0d3f5f2f6a11";
        scene
            .phone
            .cookies
            .insert("chat_uuid".into(), made_up.into());
        let code = scene.confirm().await;
        assert_ne!(scene.phone.cookies["chat_uuid"], made_up);
        let taken = scene
            .screen
            .post("/login/exchange", &json!({ "code": code }));
        assert_eq!(taken.status, 200);
        assert_eq!(
            scene.screen.cookies["chat_uuid"],
            scene.phone.cookies["chat_uuid"]
        );
    });
}

// Issue 13, B.9.
#[test]
fn who_the_browser_is_already_is_not_replaced_without_its_consent() {
    talk(async {
        let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
        let mut scene = Scene::new(&server).await;
        let before = scene.screen.get("/socket/chat-uuid").body["data"]["uuid"].clone();
        let known = scene.screen.post("/login/identity", &json!({}));
        assert_eq!(known.body["is_known"], true);
        let code = scene.confirm().await;
        let asked = scene
            .screen
            .post("/login/exchange", &json!({ "code": code }));
        assert_eq!(
            (asked.status, &asked.body["error"]),
            (409, &json!("replaces"))
        );
        assert_eq!(scene.screen.cookies["chat_uuid"], before);
        let taken = scene
            .screen
            .post("/login/exchange", &json!({ "code": code, "replace": true }));
        assert_eq!((taken.status, &taken.body["name"]), (200, &json!("Ann")));
        assert_eq!(
            scene.screen.cookies["chat_uuid"],
            scene.phone.cookies["chat_uuid"]
        );
        let again = scene
            .screen
            .post("/login/exchange", &json!({ "code": code }));
        assert_eq!(again.status, 410);
    });
}

#[test]
fn who_logs_out_is_nobody() {
    let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
    let page = format!("http://{}", server.addrs[0]);
    let mut client = Client::new(&server, &page, &[]);
    client.get("/login");
    client.get("/socket/chat-uuid");
    let out = client.post("/login/logout", &json!({}));
    let removed = out.fields("set-cookie");
    assert_eq!(removed.len(), 3);
    for field in removed {
        assert!(
            field.contains("=; Path=/; HttpOnly; ") && field.contains("; Max-Age=0"),
            "{field}"
        );
    }
    assert_eq!(client.cookies, BTreeMap::new());
    assert_eq!(client.get("/socket/get-msg").status, 401);
    // A page of another site can't log a person out.
    let mut elsewhere = Client::new(&server, "http://evil.example", &[]);
    elsewhere.get("/login");
    assert_eq!(elsewhere.post("/login/logout", &json!({})).status, 403);
}

// Issue 13, A.6.
#[test]
fn a_host_whose_name_no_code_can_hold_is_refused_before_101() {
    talk(async {
        let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
        let page = format!("http://{}", "a".repeat(300));
        let mut client = Client::new(&server, &page, &[]);
        client.get("/login");
        let error = client.dial().await.unwrap_err();
        assert_eq!(
            error.status().map(|status| status.as_u16()),
            Some(400),
            "{error}"
        );
    });
}

// Issue 13, A.6.
#[test]
fn whoever_asks_for_code_after_code_is_cut_off_and_the_next_one_is_served() {
    talk(async {
        let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
        let page = format!("http://{}", server.addrs[0]);
        let mut client = Client::new(&server, &page, &[]);
        client.get("/login");
        let mut websocket = client.wait().await;
        for _ in 0..60 {
            // It may be closed by then.
            let _ = websocket.send(r#"{"url":"/login/renew"}"#).await;
        }
        let mut tickets = 0;
        while let Ok(Some(_)) = websocket.recv().await {
            tickets += 1;
        }
        assert!((10..20).contains(&tickets), "{tickets}");
        let received = websocket.closed().and_then(|closed| closed.received);
        assert_eq!(received, Some(CloseCode::POLICY_VIOLATION));
        assert_eq!(hear(&mut client.wait().await).await["event"], "TICKET");
    });
}

/// A browser that shows a code and a phone that has scanned it.
struct Scene {
    screen: Client,
    phone: Client,
    websocket: WebSocket,
    ticket: String,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let page = format!("http://{}", server.addrs[0]);
        let mut screen = Client::new(server, &page, &[]);
        let mut phone = Client::new(server, &page, &[]);
        screen.get("/login");
        phone.get("/login/confirm");
        let mut websocket = screen.wait().await;
        let heard = hear(&mut websocket).await;
        let url = heard["response"]["url"].as_str().unwrap();
        Self {
            ticket: url.split_once('#').unwrap().1.to_owned(),
            screen,
            phone,
            websocket,
        }
    }

    /// Confirms the login on the phone, and returns what the browser's WebSocket receives.
    async fn confirm(&mut self) -> String {
        let scan = self
            .phone
            .post("/login/scan", &json!({ "ticket": self.ticket }));
        let said = json!({ "ticket": self.ticket, "csrf": scan.body["csrf"], "name": "Ann" });
        assert_eq!(self.phone.post("/login/confirm", &said).status, 200);
        loop {
            let response = hear(&mut self.websocket).await["response"].take();
            if let Some(code) = response["code"].as_str() {
                return code.to_owned();
            }
        }
    }
}

// Issue 13, A.7.
#[test]
fn codes_and_identities_are_counted_for_each_address() {
    talk(async {
        let server = Server::start(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--trusted-proxies",
            "127.0.0.1",
            "--address-tickets-per-minute",
            "1",
            "--address-identities-per-hour",
            "1",
        ]);
        let page = format!("http://{}", server.addrs[0]);
        let at = |address| {
            let mut client = Client::new(&server, &page, &[("X-Forwarded-For", address)]);
            client.get("/login");
            client
        };
        for (screen, is_made) in [("192.0.2.1", true), ("192.0.2.2", false)] {
            let (screen, mut phone) = (at(screen), at("192.0.2.9"));
            let mut websocket = screen.wait().await;
            let ticket = hear(&mut websocket).await["response"].take();
            let url = ticket["url"].as_str().unwrap().to_owned();
            let ticket = url.split_once('#').unwrap().1;
            let scan = phone.post("/login/scan", &json!({ "ticket": ticket }));
            let said = json!({ "ticket": ticket, "csrf": scan.body["csrf"], "name": "Ann" });
            let answer = phone.post("/login/confirm", &said);
            assert_eq!(answer.status == 200, is_made, "{}", answer.body);
            if !is_made {
                assert_eq!(
                    (answer.status, &answer.body["error"]),
                    (429, &json!("too_many"))
                );
                assert_eq!(answer.fields("retry-after").len(), 1);
            }
            // One more code for the same address is one too many.
            let error = screen.wait().await.recv().await.unwrap_err();
            assert_eq!(error.closed().unwrap().code, CloseCode::TRY_AGAIN_LATER);
        }
    });
}

/// Plain HTTP from a page of some origin, with a jar of cookies.
struct Client {
    addr: String,
    page: String,
    fields: Vec<(String, String)>,
    cookies: BTreeMap<String, String>,
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }
}

impl Client {
    fn new(server: &Server, page: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter();
        Self {
            addr: server.addrs[0].clone(),
            page: page.to_owned(),
            fields: fields
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            cookies: BTreeMap::new(),
        }
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head()))
    }

    fn post(&mut self, path: &str, said: &Value) -> Answer {
        let (body, page) = (said.to_string(), self.page.clone());
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nOrigin: {page}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{}\r\n{body}",
            self.head()
        ))
    }

    fn head(&self) -> String {
        let mut head: String = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        if !self.cookies.is_empty() {
            head.push_str(&format!("Cookie: {}\r\n", self.shown()));
        }
        head
    }

    fn shown(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn ask(&mut self, request: &str) -> Answer {
        let response = support::http(&self.addr, request);
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        };
        for field in answer.fields("set-cookie") {
            let (name, value) = field.split(';').next().unwrap().split_once('=').unwrap();
            match field.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Opens the browser's socket.
    async fn wait(&self) -> WebSocket {
        self.dial().await.unwrap()
    }

    async fn dial(&self) -> Result<WebSocket, sockeye::Error> {
        let host = match self.fields.is_empty() {
            true => self.page.split_once("://").unwrap().1,
            false => &self.addr,
        };
        let stream = TcpStream::connect(&self.addr).await.unwrap();
        let mut connect = sockeye::connect(format!("ws://{host}/login/ws"))
            .header("Origin", &self.page)
            .header("Cookie", self.shown());
        for (name, value) in &self.fields {
            connect = connect.header(name, value);
        }
        connect.over(stream).await
    }
}

async fn hear(websocket: &mut WebSocket) -> Value {
    let message = websocket.recv().await.unwrap().expect("it is open");
    serde_json::from_str(message.as_text().unwrap()).unwrap()
}
