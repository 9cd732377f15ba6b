//! `sockeye bench` with a hub: what subscribers get, and what clients recover.

mod support;

use serde_json::Value;
use support::{Run, Server, run};

const FILE: &str = r#"
listen = ["127.0.0.1:0"]
[http_api]
key = "s3cret"
[client]
insecure = true
[channel.without_namespace]
allow_publish_for_client = true
allow_subscribe_for_client = true
[[channel.namespaces]]
name = "history"
history_size = 100
history_ttl = "60s"
force_recovery = true
allow_publish_for_client = true
allow_subscribe_for_client = true
"#;

fn server() -> Server {
    Server::start_with(&[], &[("sockeye.toml", FILE)])
}

/// Runs it for a moment, with JSON.
fn bench(server: &Server, args: &[&str]) -> (Run, Value) {
    let url = server.ws("/connection/websocket");
    let common = ["bench", &url, "--json", "-d", "300ms", "-w", "50ms"];
    let run = run(&[&common[..], args].concat());
    let json = serde_json::from_str(&run.stdout).unwrap_or_default();
    (run, json)
}

fn number(json: &Value, pointer: &str) -> f64 {
    let number = json.pointer(pointer).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("{pointer} is no number in {json}"))
}

fn is_ordered(json: &Value, times: &str) -> bool {
    let names = ["min", "p50", "p90", "p99", "p99_9", "max"];
    let times = names.map(|name| number(json, &format!("{times}/{name}")));
    times[0] > 0.0 && times.is_sorted()
}

#[test]
fn subscribers_of_a_hub_get_what_a_client_publishes_in_both_encodings() {
    let server = server();
    for encoding in [&[][..], &["--binary"]] {
        let args = ["-c", "20", "-p", "4", "-s", "100"];
        let (run, json) = bench(&server, &[&args[..], encoding].concat());
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(json["mode"], "hub", "by the path of the URL");
        assert_eq!(json["asked"]["message_bytes"], 100);
        assert_eq!(
            json["connections"]["opened"], 21,
            "a publisher and 20 subscribers"
        );
        let publications = number(&json, "/publications/count");
        let deliveries = number(&json, "/deliveries/count");
        assert!(publications > 0.0);
        // Those at the ends of the measurement are counted in part.
        assert!((deliveries - 20.0 * publications).abs() <= 80.0, "{json}");
        assert!(is_ordered(&json, "/publications/time_us"));
        assert!(is_ordered(&json, "/deliveries/time_us"));
        assert_eq!(
            number(&json, "/messages/lost") + number(&json, "/messages/wrong"),
            0.0
        );
        assert_eq!(json["server"], Value::Null);
    }
}

#[test]
fn clients_have_several_of_many_channels_and_a_back_end_publishes() {
    let server = server();
    let api = format!("http://{}/api", server.addrs[0]);
    let process = server.process_id().to_string();
    let args = [
        "-c",
        "15",
        "--channels",
        "6",
        "--subscriptions",
        "2",
        "-p",
        "12",
        "--batch",
        "4",
        "--api",
        &api,
        "--api-key",
        "s3cret",
        "--server-pid",
        &process,
    ];
    let (run, json) = bench(&server, &args);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    // 15 clients with two of six channels each: five clients for each channel.
    let publications = number(&json, "/publications/count");
    let deliveries = number(&json, "/deliveries/count");
    assert!(publications > 0.0);
    assert!((deliveries - 5.0 * publications).abs() <= 60.0, "{json}");
    assert_eq!(json["asked"]["channels"], 6);
    assert_eq!(json["asked"]["subscriptions"], 2);
    if cfg!(target_os = "linux") {
        assert!(number(&json, "/server/seconds") > 0.0);
        assert!(number(&json, "/server/memory_bytes") > 1e6);
    }
    let wrong = [&args[..12], &["--api-key", "wrong"]].concat();
    let (run, _) = bench(&server, &[&wrong[..], &["--patience", "200ms"]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stdout.contains("not published: the status is 401"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_fixed_rate_goes_to_a_hub_too_and_the_text_says_what_was_measured() {
    let server = server();
    let url = server.ws("/connection/websocket");
    let run = run(&[
        "bench", &url, "-c", "3", "--rate", "100", "-d", "300ms", "-w", "50ms",
    ]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("hub  {url}"));
    assert!(
        lines[1].starts_with(
            "  3 subscribers, 1 channel, 34 B text, 100/s in all; 0.3 s after 0.05 s of warm-up"
        ),
        "{}",
        lines[1]
    );
    for name in [
        "publications",
        "to the last",
        "deliveries",
        "to each",
        "messages      0 wrong, 0 lost",
    ] {
        let found = lines
            .iter()
            .any(|line| line.starts_with(&format!("  {name}")));
        assert!(found, "{name}: {}", run.stdout);
    }
}

#[test]
fn clients_come_back_and_recover_exactly_what_they_have_missed() {
    let server = server();
    for encoding in [&[][..], &["--binary"]] {
        let args = [
            "-m",
            "recover",
            "-c",
            "10",
            "--missed",
            "7",
            "--channel",
            "history:",
            "--channels",
            "4",
            "--subscriptions",
            "2",
        ];
        let (run, json) = bench(&server, &[&args[..], encoding].concat());
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(json["mode"], "recover");
        let recoveries = number(&json, "/recoveries/count");
        assert!(recoveries >= 10.0 && recoveries % 10.0 == 0.0, "{json}");
        assert!(is_ordered(&json, "/recoveries/time_us"));
        assert!(number(&json, "/measured_s") >= 0.3);
        assert_eq!(number(&json, "/messages/wrong"), 0.0);
        assert_eq!(json["deliveries"], Value::Null);
    }
}

#[test]
fn what_a_hub_refuses_is_said() {
    let server = server();
    let args = ["-c", "3", "--channel", "nothing:", "--patience", "300ms"];
    let (run, _) = bench(&server, &args);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let said = "0 of 3 clients have subscribed; not subscribed: 102 unknown channel";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let (run, json) = bench(&server, &["-m", "recover", "-c", "2"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(number(&json, "/messages/wrong") >= 2.0, "{json}");
    assert!(
        run.stdout
            .contains("not recoverable: the channel needs history"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_token_of_the_file_is_what_a_client_connects_with() {
    let file = r#"
        listen = ["127.0.0.1:0"]
        [client.token]
        hmac_secret_key = "secret"
        [channel.without_namespace]
        allow_publish_for_client = true
        allow_subscribe_for_client = true
    "#;
    let server = Server::start_with(&[], &[("sockeye.toml", file)]);
    let token = sockeye_hub::token::sign_hs256(b"secret", br#"{"sub":"ann"}"#).unwrap();
    let tokens = server.directory.path().join("tokens");
    std::fs::write(&tokens, format!("{token}\n")).unwrap();
    let (run, json) = bench(
        &server,
        &["-c", "2", "--token-file", tokens.to_str().unwrap()],
    );
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(number(&json, "/deliveries/count") > 0.0);
}

#[test]
fn channels_that_do_not_fit_the_clients_are_bad_usage() {
    for (args, said) in [
        (
            &["--subscriptions", "2"][..],
            "--subscriptions 2: there are 1 --channels",
        ),
        (
            &["--channels", "3", "-c", "2"],
            "leave some without a subscriber",
        ),
        (
            &["--api", "ftp://a", "--api-key", "k"],
            "is neither http nor https",
        ),
        (&["--batch", "3"], "--api"),
    ] {
        let run = run(&[&["bench", "ws://127.0.0.1:1/connection/websocket"], args].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}
