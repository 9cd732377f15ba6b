//! Configurations of Centrifugo 6, translated.

mod support;

use std::fs;

use support::{Run, root, run_in, run_with_stdin};
use tempfile::TempDir;

/// Imports `text` as a file of that name, without a look at what comes out.
fn translate(name: &str, text: &str) -> Run {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(name), text).unwrap();
    run_in(directory.path(), &["config", "import", name], &[])
}

/// Imports `text` as a file of that name.
fn import(name: &str, text: &str) -> Run {
    let directory = TempDir::new().unwrap();
    let run = translate(name, text);
    if run.code != Some(2) && !run.stderr.contains("Sockeye refuses this") {
        // What comes out is a configuration, whether or not all of it could be translated.
        fs::write(directory.path().join("sockeye.toml"), &run.stdout).unwrap();
        let check = run_in(directory.path(), &["config", "check"], &[]);
        assert_eq!(check.code, Some(0), "{}", check.stderr);
    }
    run
}

/// Returns the settings that stderr lists, without what to do about them.
fn noted(run: &Run) -> Vec<&str> {
    let lines = run.stderr.lines().skip(1);
    lines
        .map(|line| line.strip_prefix("sockeye: ").unwrap())
        .map(|line| line.split_once(": ").unwrap().0)
        .collect()
}

#[test]
fn what_centrifugo_generates_is_translated_but_for_the_admin_page() {
    let run = import(
        "config.json",
        r#"{
            "client": {
                "token": {"hmac_secret_key": "bbe7d157-a253-4094-9759-06a8236543f9"},
                "allowed_origins": []
            },
            "admin": {"enabled": false, "password": "d0683813", "secret": "d53a9b75"},
            "http_api": {"key": "d7627bb6-2292-4911-82e1-615c0ed3eebb"}
        }"#,
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        run.stdout,
        "# Made from config.json by `sockeye config import`. What is not here has its default.\n\
         \n\
         listen = [\"0.0.0.0:8000\"]\n\
         \n\
         [http_api]\n\
         key = \"d7627bb6-2292-4911-82e1-615c0ed3eebb\"\n\
         \n\
         [client.token]\n\
         hmac_secret_key = \"bbe7d157-a253-4094-9759-06a8236543f9\"\n"
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a whole configuration and what becomes of it"
)]
fn a_chat_with_namespaces_is_translated_whole() {
    let run = import(
        "chat.json",
        r##"{
            "http_server": {"address": "127.0.0.1", "port": 9000},
            "log": {"level": "debug"},
            "client": {
                "allowed_origins": ["https://chat.example.com", "http://localhost:3000"],
                "token": {"hmac_secret_key": "secret", "audience": "chat"},
                "ping_interval": "15s",
                "channel_limit": 512,
                "queue_max_size": 2097152,
                "subscribe_to_user_personal_channel": {
                    "enabled": true,
                    "personal_channel_namespace": "user"
                }
            },
            "channel": {
                "history_meta_ttl": "1440h0m0s",
                "without_namespace": {"allow_subscribe_for_client": true},
                "namespaces": [
                    {
                        "name": "room",
                        "presence": true,
                        "join_leave": true,
                        "force_push_join_leave": true,
                        "history_size": 50,
                        "history_ttl": "1h30m",
                        "force_recovery": true,
                        "allow_subscribe_for_client": true,
                        "allow_publish_for_subscriber": true,
                        "channel_regex": "^[a-z0-9]+$",
                        "allow_user_limited_channels": true
                    },
                    {"name": "user"},
                    {
                        "name": "price",
                        "history_size": 1,
                        "history_ttl": "24h",
                        "force_recovery": true,
                        "force_recovery_mode": "cache",
                        "subscription_type": "stream"
                    }
                ]
            },
            "sse": {"enabled": true},
            "http_stream": {"enabled": true},
            "http_api": {"key": "api"}
        }"##,
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        run.stdout,
        r##"# Made from chat.json by `sockeye config import`. What is not here has its default.

listen = ["127.0.0.1:9000"]

[http_api]
key = "api"

[client]
allowed_origins = ["https://chat.example.com", "http://localhost:3000"]
ping_interval = "15s"
channel_limit = 512
queue_max_size = 2097152

[client.token]
hmac_secret_key = "secret"
audience = "chat"

[client.subscribe_to_user_personal_channel]
enabled = true
personal_channel_namespace = "user"

[channel]
history_meta_ttl = "1440h"

[channel.without_namespace]
allow_subscribe_for_client = true

[log]
filter = "debug"

[[channel.namespaces]]
name = "room"
allow_publish_for_subscriber = true
allow_subscribe_for_client = true
allow_user_limited_channels = true
channel_regex = "^[a-z0-9]+$"
force_push_join_leave = true
force_recovery = true
history_size = 50
history_ttl = "90m"
join_leave = true
presence = true

[[channel.namespaces]]
name = "user"

[[channel.namespaces]]
name = "price"
force_recovery = true
force_recovery_mode = "cache"
history_size = 1
history_ttl = "24h"
"##
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a whole configuration and what becomes of it"
)]
fn what_has_no_counterpart_is_listed_once_with_what_to_do() {
    let run = import(
        "big.json",
        r#"{
            "engine": {"type": "redis", "redis": {"address": "redis://:s3cret@redis:6379", "prefix": "app"}},
            "admin": {"enabled": true, "password": "s3cret", "secret": "s3cret"},
            "health": {"enabled": true},
            "client": {
                "allowed_origins": ["https://*.example.com"],
                "token": {"jwks_public_endpoint": "https://id.example.com/{{realm}}/jwks"},
                "proxy": {
                    "connect": {"enabled": true, "endpoint": "http://app:3000/connect", "timeout": "2s", "grpc_metadata": ["x"]}
                },
                "concurrency": 4
            },
            "channel": {
                "without_namespace": {"history_size": 10, "history_ttl": "300s", "allowed_delta_types": ["fossil"], "delta_publish": true},
                "namespaces": [
                    {"name": "board", "subscription_type": "map", "map": {"mode": "persistent", "stream_ttl": "1m30s", "publish_proxy_name": "default"}},
                    {"name": "asked", "map": {"publish_proxy_enabled": true}},
                    {"name": "lobby", "subscribe_stream_proxy_enabled": true, "subscribe_stream_proxy_name": "default"}
                ]
            },
            "rpc": {"proxy": {"endpoint": "grpc://app:3000"}},
            "node": {"name": "a"}
        }"#,
    );
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr
            .starts_with("sockeye: big.json: 11 settings have no counterpart\n"),
        "{}",
        run.stderr
    );
    assert_eq!(
        noted(&run),
        [
            "admin",
            "channel.namespaces[lobby].subscribe_stream_proxy_enabled",
            "channel.without_namespace.delta_publish",
            "client.allowed_origins",
            "client.proxy.connect.grpc_metadata",
            "client.token.jwks_public_endpoint",
            "engine",
            "health",
            "node.name",
            "rpc.proxy.endpoint",
            "channel.namespaces[asked].map.publish_proxy_enabled",
        ]
    );
    assert!(!run.stderr.contains("s3cret") && !run.stdout.contains("s3cret"));
    assert_eq!(
        run.stdout,
        "# Made from big.json by `sockeye config import`. What is not here has its default.\n\
         \n\
         listen = [\"0.0.0.0:8000\"]\n\
         \n\
         [client]\n\
         concurrency = 4\n\
         \n\
         [client.proxy.connect]\n\
         enabled = true\n\
         endpoint = \"http://app:3000/connect\"\n\
         timeout = \"2s\"\n\
         \n\
         [channel.without_namespace]\n\
         history_size = 10\n\
         history_ttl = \"300s\"\n\
         allowed_delta_types = [\"fossil\"]\n\
         \n\
         [[channel.namespaces]]\n\
         name = \"board\"\n\
         map = { mode = \"persistent\", stream_ttl = \"90s\" }\n\
         subscription_type = \"map\"\n\
         \n\
         [[channel.namespaces]]\n\
         name = \"asked\"\n\
         \n\
         [[channel.namespaces]]\n\
         name = \"lobby\"\n"
    );
}

#[test]
fn hooks_are_translated_whole() {
    let run = import(
        "hooks.json",
        r#"{
            "client": {"proxy": {
                "connect": {
                    "enabled": true, "endpoint": "https://app/connect", "timeout": "1s",
                    "http_headers": ["Cookie"], "emulated_headers": [], "include_connection_meta": false,
                    "http": {
                        "static_headers": {"X-Key": "k"},
                        "tls": {"enabled": false, "server_ca_pem": "/ca.pem"},
                        "status_to_code_transforms": [
                            {"status_code": 404, "to_error": {"code": 1404, "message": "nothing", "temporary": false}}
                        ]
                    },
                    "grpc": {"compression": false, "tls": {"enabled": false}}
                },
                "refresh": {"enabled": false, "endpoint": "", "timeout": "1s"}
            }},
            "channel": {
                "proxy": {"subscribe": {"endpoint": "http://app/subscribe", "timeout": "1.5s"}},
                "without_namespace": {"subscribe_proxy_enabled": true, "subscribe_proxy_name": "default"},
                "namespaces": [{"name": "money", "publish_proxy_enabled": true, "publish_proxy_name": "billing"}]
            },
            "rpc": {
                "namespace_boundary": ":",
                "namespaces": [{"name": "money", "proxy_enabled": true, "proxy_name": "billing"}]
            },
            "proxies": [{"name": "billing", "endpoint": "http://billing/", "timeout": "3s", "binary_encoding": true}],
            "http_api": {"insecure": true}
        }"#,
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let (_, configuration) = run.stdout.split_once("\n\n").unwrap();
    assert_eq!(
        configuration,
        r#"listen = ["0.0.0.0:8000"]

[http_api]
insecure = true

[client.proxy.connect]
enabled = true
endpoint = "https://app/connect"
http_headers = ["Cookie"]
http = { static_headers = { X-Key = "k" }, status_to_code_transforms = [{ status_code = 404, to_error = { code = 1404, message = "nothing" } }] }

[channel.without_namespace]
subscribe_proxy_enabled = true

[channel.proxy.subscribe]
endpoint = "http://app/subscribe"
timeout = "1500ms"

[[channel.namespaces]]
name = "money"
publish_proxy_enabled = true
publish_proxy_name = "billing"

[[proxies]]
name = "billing"
binary_encoding = true
endpoint = "http://billing/"
timeout = "3s"

[[rpc.namespaces]]
name = "money"
proxy_enabled = true
proxy_name = "billing"
"#
    );
}

#[test]
fn the_how_to_page_shows_what_the_command_prints() {
    let page = fs::read_to_string(root().join("docs/howto/from-centrifugo.md")).unwrap();
    let block = |language: &str| {
        let start = format!("```{language}\n");
        let (_, rest) = page.split_once(&start).expect("a block of that language");
        rest.split("```").next().unwrap().to_owned()
    };
    let run = import("centrifugo.json", &block("json"));
    let (_, configuration) = run.stdout.split_once("\n\n").unwrap();
    assert_eq!(configuration, block("toml"));
    assert_eq!(run.stderr, block("text"));
    assert_eq!(run.code, Some(1));
}

#[test]
fn toml_is_read_too_and_tls_becomes_ours() {
    // The check of a configuration reads the certificate, which isn't there.
    let run = translate(
        "config.toml",
        r#"
[http_server]
port = "443"

[http_server.tls]
enabled = true
cert_pem = "/etc/tls/cert.pem"
key_pem = "/etc/tls/key.pem"

[client]
insecure = false

[client.token]
ecdsa_public_key = """
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/vtQui+K6gM8w0avNKiLvTeZxtIu
BRY/qizdM3dZkcgfY90bVMEm1kMyJfj97TyhCxIxgOCVov0uFC/jxs31XA==
-----END PUBLIC KEY-----
"""

[[channel.namespaces]]
name = "news"
history_size = 5
history_ttl = "60s"

[http_api]
key = "api"

[websocket]
compression = true
"#,
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    for expected in [
        "listen = [\"0.0.0.0:443\"]\n",
        "[tls]\ncert = \"/etc/tls/cert.pem\"\nkey = \"/etc/tls/key.pem\"\n",
        "[client.token]\necdsa_public_key = \"\"\"\n-----BEGIN PUBLIC KEY-----\n",
        "[[channel.namespaces]]\nname = \"news\"\nhistory_size = 5\nhistory_ttl = \"60s\"\n",
    ] {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
}

#[test]
fn a_private_key_in_the_file_is_not_copied() {
    let run = import(
        "tls.json",
        r#"{"http_server": {"tls": {
            "enabled": true,
            "cert_pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "key_pem": "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"
        }}}"#,
    );
    assert_eq!(run.code, Some(1));
    assert_eq!(
        noted(&run),
        ["http_server.tls.cert_pem", "http_server.tls.key_pem"]
    );
    assert!(!run.stdout.contains("MIGH") && !run.stderr.contains("MIGH"));
}

#[test]
fn what_our_rules_refuse_is_said_before_the_start() {
    let run = import(
        "odd.json",
        r#"{"channel": {"namespaces": [{"name": "chat", "allow_recovery": true}]}}"#,
    );
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains(
            "channel.namespaces, chat: Sockeye refuses this: allow_recovery and history_size: "
        ),
        "{}",
        run.stderr
    );
}

#[test]
fn one_bad_origin_does_not_take_the_others_with_it() {
    let run = import(
        "origins.json",
        r#"{"client": {"allowed_origins": ["https://a.example", "https://*.b.example", "http://c.example:3000"]}}"#,
    );
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout
            .contains("allowed_origins = [\"https://a.example\", \"http://c.example:3000\"]\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr
            .contains("client.allowed_origins: left out: \"https://*.b.example\" is not an origin"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("a.example"), "{}", run.stderr);
}

#[test]
fn what_has_another_name_or_is_not_needed_is_said_so() {
    let run = import(
        "more.json",
        r#"{
            "shutdown": {"timeout": "45s"},
            "http_api": {"handler_prefix": "/centrifugo", "error_mode": "transport"},
            "websocket": {"compression": true, "compression_min_size": 128, "read_buffer_size": 512},
            "uni_websocket": {"join_push_messages": true},
            "client": {"presence_update_interval": "10s", "channel_position_max_time_lag": "1s", "token": {"user_id_claim": ""}},
            "usage_stats": {"disabled": false, "x": 1}
        }"#,
    );
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("[drain]\ntimeout = \"45s\"\n"),
        "{}",
        run.stdout
    );
    for expected in [
        "http_api.handler_prefix: the API is at /api\n",
        "http_api.error_mode: a back end asks for it",
        "websocket.compression_min_size: use deflate",
        "websocket.read_buffer_size: not needed",
        "client.presence_update_interval: not needed: presence is exact\n",
        "client.channel_position_max_time_lag: not needed",
        "usage_stats: not needed: nothing is sent anywhere\n",
    ] {
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
    }
    assert!(!run.stdout.contains("user_id_claim"), "{}", run.stdout);
    assert!(!run.stderr.contains("no such option"), "{}", run.stderr);
}

#[test]
fn hooks_that_cannot_be_asked_are_not_left_on() {
    let run = import(
        "grpc.json",
        r#"{
            "client": {"proxy": {"connect": {"enabled": true, "endpoint": "grpc://app:12000", "timeout": "2s"}}},
            "channel": {
                "proxy": {
                    "publish": {"endpoint": "http://app/publish"},
                    "map_publish": {"endpoint": "http://app/set"},
                    "map_remove": {"endpoint": "grpc://app:12000"}
                },
                "without_namespace": {"subscribe_proxy_enabled": true},
                "namespaces": [
                    {"name": "money", "publish_proxy_enabled": true, "publish_proxy_name": "billing"},
                    {"name": "open", "publish_proxy_enabled": true},
                    {"name": "lobby", "subscription_type": "map",
                     "map": {"mode": "persistent", "publish_proxy_enabled": true, "remove_proxy_enabled": true}}
                ]
            },
            "rpc": {"without_namespace": {"proxy_enabled": true}, "proxy": {"endpoint": "grpc://app:12000"}},
            "proxies": [{"name": "billing", "endpoint": "grpc://billing:12000"}]
        }"#,
    );
    assert_eq!(run.code, Some(1));
    let (_, configuration) = run.stdout.split_once("\n\n").unwrap();
    assert_eq!(
        configuration,
        "listen = [\"0.0.0.0:8000\"]\n\n\
         [channel.proxy.publish]\nendpoint = \"http://app/publish\"\n\n\
         [channel.proxy.map_publish]\nendpoint = \"http://app/set\"\n\n\
         [[channel.namespaces]]\nname = \"money\"\n\n\
         [[channel.namespaces]]\nname = \"open\"\npublish_proxy_enabled = true\n\n\
         [[channel.namespaces]]\nname = \"lobby\"\n\
         map = { mode = \"persistent\", publish_proxy_enabled = true }\n\
         subscription_type = \"map\"\n"
    );
    for path in [
        "client.proxy.connect.enabled",
        "channel.without_namespace.subscribe_proxy_enabled",
        "channel.namespaces[money].publish_proxy_enabled",
        "channel.namespaces[lobby].map.remove_proxy_enabled",
        "rpc.without_namespace.proxy_enabled",
    ] {
        let expected = format!("{path}: the hook is left out");
        assert!(run.stderr.contains(&expected), "{path}: {}", run.stderr);
    }
}

#[test]
fn stdin_is_read_as_json_and_as_toml() {
    for text in [
        r#"{"client": {"channel_limit": 7}}"#,
        "[client]\nchannel_limit = 7\n",
    ] {
        let run = run_with_stdin(&["config", "import", "-"], text.as_bytes());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(
            run.stdout.starts_with("# Made from stdin by "),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains("channel_limit = 7\n"), "{}", run.stdout);
    }
}

#[test]
fn what_is_not_a_configuration_of_version_6_is_refused() {
    for (name, text, expected) in [
        (
            "old.json",
            r#"{"token_hmac_secret_key": "secret", "namespaces": []}"#,
            "sockeye: old.json: token_hmac_secret_key at the top is a key of Centrifugo 5 or older; ",
        ),
        (
            "config.yaml",
            "client:\n  insecure: true\n",
            "sockeye: config.yaml: YAML is not read; ",
        ),
        ("broken.json", "{", "sockeye: broken.json: not JSON: "),
        (
            "broken.toml",
            "\na =",
            "sockeye: broken.toml: 2: not TOML: ",
        ),
        (
            "list.json",
            "[]",
            "sockeye: list.json: not a configuration: ",
        ),
    ] {
        let run = import(name, text);
        assert_eq!(run.code, Some(2), "{name}");
        assert!(run.stderr.starts_with(expected), "{}", run.stderr);
        assert!(run.stdout.is_empty(), "{name}");
        assert!(!run.stderr.contains("secret\""), "{}", run.stderr);
    }
}
