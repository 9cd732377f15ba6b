//! `sockeye bench`, against our own server and against servers that lose, change and drop.

mod support;

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use sockeye::{
    CloseCode, Endpoint, Group, Message, Origins, Refusal, Reply, Route, Server, ServerHandle,
    Session,
};
use support::{Run, run, sockeye};
use tempfile::TempDir;

/// Serves one endpoint in this process.
async fn serve<E: Endpoint>(
    make: impl Fn() -> E + Send + Sync + 'static,
) -> (ServerHandle, String) {
    let route = Route::new("/", move |_| Ok(make())).origins(Origins::Any);
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let url = format!("ws://{}/", server.local_addrs()[0]);
    (server, url)
}

/// Runs it for a moment, with JSON. The runtime of the test goes on serving.
async fn bench(url: &str, args: &[&str]) -> (Run, Value) {
    let mut all = vec![
        "bench",
        url,
        "--json",
        "--duration",
        "300ms",
        "--warm-up",
        "50ms",
    ];
    all.extend(args);
    let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let run = tokio::task::spawn_blocking(move || {
        run(&all.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let run = run.await.unwrap();
    let json = serde_json::from_str(&run.stdout).unwrap_or_default();
    (run, json)
}

fn number(json: &Value, pointer: &str) -> f64 {
    json.pointer(pointer)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{pointer} is no number in {json}"))
}

fn is_ordered(json: &Value, times: &str) -> bool {
    let names = ["min", "p50", "p90", "p99", "p99_9", "max"];
    let times = names.map(|name| number(json, &format!("{times}/{name}")));
    times[0] > 0.0 && times.is_sorted()
}

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

/// Answers each message but every fifth; that one is its answer to `treat`.
struct Odd {
    count: u32,
    treat: fn(Message<'_>) -> Reply,
}

impl Endpoint for Odd {
    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        self.count += 1;
        if self.count.is_multiple_of(5) {
            (self.treat)(message)
        } else {
            Reply::Echo
        }
    }
}

struct Place(Group);

impl Endpoint for Place {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        self.0.send(message);
        Reply::None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_counts_round_trips_and_their_time() {
    let (_server, url) = serve(|| Echo).await;
    for extra in [&[][..], &["--binary"], &["--deflate"], &["--threads", "2"]] {
        let args = ["-c", "5", "-p", "3", "-s", "1KiB"];
        let (run, json) = bench(&url, &[&args[..], extra].concat()).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(json["mode"], "echo");
        assert_eq!(json["url"], url.as_str());
        assert_eq!(json["interrupted"], false);
        assert_eq!(json["connections"]["opened"], 5);
        assert_eq!(json["connections"]["stayed"], 5);
        assert_eq!(json["asked"]["message_bytes"], 1024);
        assert!(number(&json, "/round_trips/count") > 0.0);
        assert!(number(&json, "/round_trips/per_second") > 0.0);
        assert!(number(&json, "/measured_s") >= 0.3);
        assert!(is_ordered(&json, "/round_trips/time_us"), "{json}");
        assert!(is_ordered(&json, "/connections/opening_time_us"), "{json}");
        assert_eq!(json["messages"]["wrong"], 0);
        assert_eq!(json["messages"]["lost"], 0);
        assert_eq!(json["deliveries"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_echo_is_wrong() {
    let treat: fn(Message<'_>) -> Reply = |message| {
        let text = message.as_text().unwrap_or_default().to_lowercase();
        Reply::Message(text.into())
    };
    let (_server, url) = serve(move || Odd { count: 0, treat }).await;
    let (run, json) = bench(&url, &["-c", "2"]).await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(number(&json, "/messages/wrong") > 0.0);
    assert_eq!(json["messages"]["lost"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_comes_back_as_binary_is_wrong() {
    let treat: fn(Message<'_>) -> Reply =
        |message| Reply::Message(message.as_bytes().to_vec().into());
    let (_server, url) = serve(move || Odd { count: 0, treat }).await;
    let (run, json) = bench(&url, &["-c", "1"]).await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(number(&json, "/messages/wrong") > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_that_is_left_out_is_lost_and_the_next_one_is_right() {
    let (_server, url) = serve(|| Odd {
        count: 0,
        treat: |_| Reply::None,
    })
    .await;
    let (run, json) = bench(&url, &["-c", "1", "-p", "4", "--patience", "300ms"]).await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(number(&json, "/messages/lost") > 0.0);
    assert_eq!(json["messages"]["wrong"], 0);
    assert!(number(&json, "/round_trips/count") > number(&json, "/messages/lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_ends_is_lost_and_its_reason_shown() {
    let treat: fn(Message<'_>) -> Reply =
        |_| Reply::Close(CloseCode::new(4000), "enough".to_owned());
    let (_server, url) = serve(move || Odd { count: 0, treat }).await;
    let (run, json) = bench(&url, &["-c", "3", "-p", "2"]).await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(json["connections"]["opened"], 3);
    assert_eq!(json["connections"]["lost"], 3);
    assert_eq!(json["connections"]["stayed"], 0);
    let what = json["troubles"][0]["what"].as_str().unwrap();
    assert!(what.contains("4000") && what.contains("enough"), "{what}");
    assert_eq!(json["troubles"][0]["count"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_counts_who_stays() {
    let (_server, url) = serve(|| Echo).await;
    let (run, json) = bench(&url, &["-m", "idle", "-c", "200"]).await;
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(json["connections"]["opened"], 200);
    assert_eq!(json["connections"]["stayed"], 200);
    assert!(number(&json, "/connections/opening_s") > 0.0);
    assert_eq!(json["round_trips"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_server_has_no_room_for_are_refused() {
    let server = Server::bind("127.0.0.1:0")
        .route("/", |_| Ok(Echo))
        .connections_max(4)
        .start()
        .await
        .unwrap();
    let url = format!("ws://{}/", server.local_addrs()[0]);
    let (run, json) = bench(&url, &["-m", "idle", "-c", "10"]).await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(json["connections"]["opened"], 4);
    assert_eq!(json["connections"]["refused"], 6);
    let what = json["troubles"][0]["what"].as_str().unwrap();
    assert!(what.contains("503"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_counts_handshakes() {
    let (_server, url) = serve(|| Echo).await;
    let (run, json) = bench(&url, &["-m", "connect", "-c", "4"]).await;
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(number(&json, "/handshakes/count") > 0.0);
    assert!(is_ordered(&json, "/handshakes/time_us"));
    assert_eq!(json["connections"]["lost"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_counts_deliveries_and_the_time_to_the_last() {
    let room = Group::new();
    let (_server, url) = serve(move || Place(room.clone())).await;
    for in_flight in ["1", "4"] {
        let (run, json) = bench(&url, &["-m", "fan-out", "-c", "20", "-p", in_flight]).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(
            json["connections"]["opened"], 21,
            "a publisher and 20 receivers"
        );
        let publications = number(&json, "/publications/count");
        let deliveries = number(&json, "/deliveries/count");
        assert!(publications > 0.0);
        assert!((deliveries / publications - 20.0).abs() < 10.0, "{json}");
        assert!(is_ordered(&json, "/publications/time_us"));
        assert!(is_ordered(&json, "/deliveries/time_us"));
        assert!(
            number(&json, "/publications/time_us/mean")
                >= number(&json, "/deliveries/time_us/mean")
        );
        assert_eq!(json["messages"]["lost"], 0);
        assert_eq!(json["messages"]["wrong"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_counts_what_a_room_leaves_out_as_lost() {
    /// Sends every fifth message to no one.
    struct Forgetful(Group, u32);
    impl Endpoint for Forgetful {
        fn on_open(&mut self, session: &Session) {
            self.0.join(session);
        }
        fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
            self.1 += 1;
            if !self.1.is_multiple_of(5) {
                self.0.send(message);
            }
            Reply::None
        }
    }
    let room = Group::new();
    let (_server, url) = serve(move || Forgetful(room.clone(), 0)).await;
    let (run, json) = bench(
        &url,
        &["-m", "fan-out", "-c", "3", "-p", "2", "--patience", "300ms"],
    )
    .await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(number(&json, "/messages/lost") >= 3.0, "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_needs_a_room() {
    let (_server, url) = serve(|| Echo).await;
    let (run, _) = bench(&url, &["-m", "fan-out", "-c", "2", "--patience", "200ms"]).await;
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("0 of 2 receivers") && run.stderr.contains("/websocket/ws"));
    assert_eq!(run.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_rate_sends_what_is_due_and_counts_each_answer() {
    let room = Group::new();
    let (_echo, echo) = serve(|| Echo).await;
    let (_room, room) = serve(move || Place(room.clone())).await;
    let fan_out = ["-m", "fan-out", "-c", "3", "--rate", "200"];
    for (url, args) in [
        (&echo, &["-c", "4", "--rate", "200"][..]),
        (&room, &fan_out),
    ] {
        let (run, json) = bench(url, args).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(json["asked"]["rate"], 200);
        assert_eq!(json["schedule"]["rate"], 200);
        let due = number(&json, "/schedule/due");
        // The measured time includes what it takes to notice that it is over.
        assert!(
            (200.0 * number(&json, "/measured_s") - due).abs() <= 20.0,
            "{json}"
        );
        let sent = number(&json, "/schedule/sent");
        assert!(sent > 0.0 && sent <= due, "{json}");
        assert!(is_ordered(&json, "/schedule/late_us"), "{json}");
        let counted = json["round_trips"]["count"].as_f64();
        let counted = counted.or_else(|| json["publications"]["count"].as_f64());
        assert_eq!(counted, Some(sent), "each answer counts, whenever it comes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_is_asked_as_often_and_each_wait_is_in_its_times() {
    /// Answers no message before the 50th has come, and then all of them at once, again and again.
    struct Stalling(Vec<Message<'static>>);
    impl Endpoint for Stalling {
        fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
            self.0.push(message.into_owned());
            if self.0.len() == 50 {
                for message in self.0.drain(..) {
                    session.try_send(message).unwrap();
                }
            }
            Reply::None
        }
    }
    let (_server, url) = serve(|| Stalling(Vec::new())).await;
    let args = ["-c", "1", "--rate", "500", "--patience", "300ms"];
    let (run, json) = bench(&url, &args).await;
    // The last ones wait for others that don't come.
    assert!(run.code == Some(0) || run.code == Some(1), "{}", run.stderr);
    assert!(number(&json, "/round_trips/count") >= 50.0, "{json}");
    // The first of 50 waits for 98 ms, the last one for nothing. A closed loop would wait for ever.
    assert!(
        number(&json, "/round_trips/time_us/p50") >= 40_000.0,
        "{json}"
    );
    assert!(
        number(&json, "/round_trips/time_us/max") >= 90_000.0,
        "{json}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_the_generator_does_not_reach_is_told() {
    let (_server, url) = serve(|| Echo).await;
    let (run, json) = bench(&url, &["-c", "1", "--rate", "4000000000"]).await;
    assert_eq!(json["schedule"]["is_late"], true, "{json}");
    assert!(number(&json, "/schedule/sent") < number(&json, "/schedule/due"));
    assert!(run.stderr.contains("was late itself"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_does_not_take_or_answer_is_lost_and_not_kept_for_ever() {
    struct Silent;
    impl Endpoint for Silent {
        fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
            Reply::None
        }
    }
    let (_server, url) = serve(|| Silent).await;
    let args = ["-c", "1", "--rate", "40000", "--patience", "10ms"];
    let (run, json) = bench(&url, &args).await;
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        number(&json, "/messages/lost") >= number(&json, "/schedule/sent"),
        "{json}"
    );
    assert_eq!(json["round_trips"]["count"], 0);

    let (run, json) = bench(&url, &["-c", "2", "--rate", "500", "--expect", "none"]).await;
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(json["round_trips"], Value::Null);
    assert_eq!(json["asked"]["expect"], "none");
    assert!(number(&json, "/schedule/sent") > 0.0);
    assert!(number(&json, "/schedule/per_second") > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_answer_counts_where_any_is_expected() {
    let treat: fn(Message<'_>) -> Reply = |_| Reply::Message("something else".into());
    let (_server, url) = serve(move || Odd { count: 0, treat }).await;
    for extra in [&["-p", "3"][..], &["--rate", "300"]] {
        let args = [&["-c", "2", "--expect", "any"], extra].concat();
        let (run, json) = bench(&url, &args).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert!(number(&json, "/round_trips/count") > 0.0);
        assert_eq!(json["messages"]["wrong"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_message_is_what_the_server_gets() {
    /// Each message once.
    struct Remembers(Arc<Mutex<Vec<Message<'static>>>>);
    impl Endpoint for Remembers {
        fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
            let mut heard = self.0.lock().unwrap();
            if !heard.contains(&message) {
                heard.push(message.into_owned());
            }
            Reply::Echo
        }
    }
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("message");
    std::fs::write(&file, b"\xffline\n").unwrap();
    let at_file = format!("@{}", file.display());
    for (message, extra, expected) in [
        (
            r#"{"type":"ping"}"#,
            &[][..],
            Message::from(r#"{"type":"ping"}"#),
        ),
        (&at_file, &["--binary"], Message::from(&b"\xffline\n"[..])),
    ] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let remembers = Arc::clone(&heard);
        let (_server, url) = serve(move || Remembers(Arc::clone(&remembers))).await;
        let args = [&["-c", "2", "-p", "4", "--message", message], extra].concat();
        let (run, json) = bench(&url, &args).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(json["asked"]["message"], "given");
        assert_eq!(json["asked"]["message_bytes"], expected.len());
        assert_eq!(*heard.lock().unwrap(), [expected]);
    }
    let refused =
        |args: &[&str]| run(&[&["bench", "ws://127.0.0.1:1/", "--message"], args].concat());
    for (args, part) in [
        (&[at_file.as_str()][..], "--binary"),
        (&["@/nowhere/at/all"], "/nowhere/at/all"),
    ] {
        let run = refused(args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_take_turns_in_the_url_a_header_or_a_subprotocol() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("tokens");
    std::fs::write(&file, "sesame&1\n\nsesame+2\nsesame-3\n").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let route = Route::new("/", {
        let seen = Arc::clone(&seen);
        move |request| {
            let field = |name: &str| {
                let value = request.headers().get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            };
            seen.lock().unwrap().push((
                request.query().unwrap_or_default().to_owned(),
                field("authorization"),
                field("sec-websocket-protocol"),
            ));
            Ok(Echo)
        }
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(route.origins(Origins::Any))
        .start();
    let server = server.await.unwrap();
    let url = format!("ws://{}/", server.local_addrs()[0]);
    let query = format!("{url}?token={{token}}");
    let tokens = [
        "-m",
        "idle",
        "-c",
        "5",
        "--token-file",
        file.to_str().unwrap(),
    ];
    let (bearer, offered) = ("Authorization: Bearer {token}", "v2,{token}");
    let header_and_name = ["-H", bearer, "--subprotocol", offered];
    for (url, extra) in [(&query, &[][..]), (&url, &header_and_name)] {
        let (run, _) = bench(url, &[&tokens[..], extra].concat()).await;
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
        seen.sort();
        let expected = ["sesame&1", "sesame&1", "sesame+2", "sesame+2", "sesame-3"].map(|token| {
            let encoded = token.replace('&', "%26").replace('+', "%2B");
            match extra.is_empty() {
                true => (format!("token={encoded}"), None, None),
                false => (
                    String::new(),
                    Some(format!("Bearer {token}")),
                    Some(format!("v2, {token}")),
                ),
            }
        });
        assert_eq!(seen, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_secrets() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("tokens");
    let refusing = Route::new("/", |_| -> Result<Echo, _> {
        Err(Refusal::new(http::StatusCode::UNAUTHORIZED))
    });
    let server = Server::bind("127.0.0.1:0")
        .mount(refusing.origins(Origins::Any))
        .start();
    let server = server.await.unwrap();
    let url = format!("ws://{}/?t={{token}}", server.local_addrs()[0]);
    for (tokens, part) in [
        ("open+sesame", "401"),
        ("open sesame", "line 1"),
        ("", "no token"),
    ] {
        std::fs::write(&file, tokens).unwrap();
        let (run, _) = bench(&url, &["--token-file", file.to_str().unwrap()]).await;
        assert!(run.code > Some(1), "{}", run.stderr);
        assert!(run.stderr.contains(part), "{}", run.stderr);
        assert!(!run.stderr.contains("sesame"), "{}", run.stderr);
    }
    std::fs::write(&file, "open+sesame").unwrap();
    let place_less = url.replace("{token}", "");
    let (run, _) = bench(&place_less, &["--token-file", file.to_str().unwrap()]).await;
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("put {token} where"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_json_it_prints_a_table_and_on_request_progress() {
    let (_server, url) = serve(|| Echo).await;
    let text = tokio::task::spawn_blocking(move || {
        let args = [
            "bench",
            &url,
            "-d",
            "1200ms",
            "-w",
            "0s",
            "-c",
            "2",
            "--progress",
        ];
        run(&args)
    });
    let text = text.await.unwrap();
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for part in [
        "echo  ws://",
        "2 connections, 32 B text, 1 in flight each",
        "round trips",
        "p99.9",
        "0 wrong, 0 lost",
    ] {
        assert!(
            text.stdout.contains(part),
            "{part} is missing in\n{}",
            text.stdout
        );
    }
    assert!(text.stderr.contains("round trips/s"), "{}", text.stderr);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_prints_what_it_has() {
    let (_server, url) = serve(|| Echo).await;
    let run: Run = tokio::task::spawn_blocking(move || {
        let directory = TempDir::new().unwrap();
        let mut child = sockeye(directory.path())
            .args([
                "bench",
                &url,
                "-d",
                "1h",
                "-w",
                "0s",
                "--json",
                "--progress",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The first line of progress: it measures.
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let kill = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        child.wait_with_output().unwrap().into()
    })
    .await
    .unwrap();
    assert_eq!(run.code, Some(0));
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["interrupted"], true);
    assert!(number(&json, "/round_trips/count") > 0.0);
    assert!(number(&json, "/measured_s") < 3600.0);
}

#[test]
fn what_cannot_be_measured_is_one_line_and_an_exit_code() {
    let refused = |args: &[&str], code, part: &str| {
        let run = run(&[&["bench"][..], args].concat());
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{args:?}: {}", run.stderr);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.lines().count()),
            ("", 1),
            "{args:?}"
        );
    };
    // Port 1 is reserved (RFC 6335), and no program listens on it.
    refused(&["ws://127.0.0.1:1/"], 3, "refused");
    refused(&["ftp://127.0.0.1/"], 2, "ftp");
    refused(&["ws://127.0.0.1:1/", "-d", "0s"], 2, "--duration");
    for (args, part) in [
        (&["--expect", "none"][..], "--rate"),
        (&["-m", "idle", "--rate", "1"], "--rate"),
        (&["-m", "fan-out", "--message", "hi"], "--message"),
        (&["-m", "connect", "--expect", "any"], "--expect"),
        (&["--token-file", "/nowhere/at/all"], "/nowhere/at/all"),
    ] {
        refused(&[&["ws://127.0.0.1:1/"], args].concat(), 2, part);
    }
}

#[cfg(unix)]
#[test]
fn more_connections_than_open_files_is_bad_usage() {
    let run: Run = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -Sn 100; ulimit -Hn 200; exec \"$0\" bench ws://127.0.0.1:1/ -c 1000",
        ])
        .arg(env!("CARGO_BIN_EXE_sockeye"))
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("1064 open files") && run.stderr.contains("--connections 136"),
        "{}",
        run.stderr
    );
}
