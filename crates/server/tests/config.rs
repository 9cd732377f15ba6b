//! Flag over environment over file over default, and what a bad file is told.

mod support;

use std::fs;

use support::{compare, root, run, run_in};
use tempfile::TempDir;

/// Returns the line of `sockeye config check` for one key.
fn checked(key: &str, flags: &[&str], env: &[(&str, &str)], file: Option<&str>) -> String {
    let directory = TempDir::new().unwrap();
    if let Some(file) = file {
        fs::write(directory.path().join("sockeye.toml"), file).unwrap();
    }
    let args = [&["config", "check"], flags].concat();
    let run = run_in(directory.path(), &args, env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let line = run
        .stdout
        .lines()
        .find(|line| line.starts_with(key))
        .unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let flag = &["--connections-max", "4"][..];
    let env = &[("SOCKEYE_CONNECTIONS_MAX", "3")][..];
    let file = Some("[limits]\nconnections_max = 2\n");
    for (flags, env, file, expected) in [
        (&[][..], &[][..], None, "connections_max = 100000 # default"),
        (&[], &[], file, "connections_max = 2 # sockeye.toml:2"),
        (
            &[],
            env,
            file,
            "connections_max = 3 # SOCKEYE_CONNECTIONS_MAX",
        ),
        (
            &[],
            env,
            None,
            "connections_max = 3 # SOCKEYE_CONNECTIONS_MAX",
        ),
        (flag, &[], file, "connections_max = 4 # --connections-max"),
        (flag, env, file, "connections_max = 4 # --connections-max"),
        (flag, &[], None, "connections_max = 4 # --connections-max"),
    ] {
        assert_eq!(checked("connections_max", flags, env, file), expected);
    }
}

#[test]
fn lists_are_given_in_each_place_in_its_own_way() {
    let expected = "listen = [\"a:1\", \"b:2\"] #";
    for (flags, env, file) in [
        (&["--listen", "a:1", "--listen", "b:2"][..], &[][..], None),
        (&[], &[("SOCKEYE_LISTEN", "a:1, b:2")], None),
        (&[], &[], Some("listen = [\"a:1\", \"b:2\"]")),
    ] {
        let line = checked("listen", flags, env, file);
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(
        checked("listen", &[], &[], Some("listen = \"c:3\"")).starts_with("listen = [\"c:3\"]")
    );
}

#[test]
fn file_can_be_named_by_flag_and_by_environment() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("a.toml"), "deflate = false").unwrap();
    fs::write(directory.path().join("b.toml"), "deflate = \"on\"").unwrap();
    let check =
        |args: &[&str]| run_in(directory.path(), args, &[("SOCKEYE_CONFIG", "b.toml")]).stdout;
    assert!(check(&["config", "check"]).contains("# b.toml:1"));
    assert!(check(&["config", "check", "--config", "a.toml"]).contains("# a.toml:1"));
}

#[test]
fn defaults_and_the_result_of_a_check_are_files_that_can_be_used() {
    let directory = TempDir::new().unwrap();
    for args in [&["config", "default"][..], &["config", "check"]] {
        let printed = run_in(directory.path(), args, &[]);
        assert_eq!(printed.code, Some(0));
        fs::write(directory.path().join("again.toml"), printed.stdout).unwrap();
        let again = run_in(
            directory.path(),
            &["config", "check", "--config", "again.toml"],
            &[],
        );
        assert_eq!(again.code, Some(0), "{}", again.stderr);
    }
}

/// What is allowed at the top of the file.
const TOP: &str = "listen, unix_mode, unix_owner, proxy_protocol, trusted_proxies, public_url, deflate, workers, busy_poll, data, dev, proxies, [http_api], \
    [client], [websocket], [uni_websocket], [sse], [http_stream], [uni_sse], [emulation], [broker], [map_broker], [prometheus], [channel], [rpc], [sockjs], [socketio], [chat], [login], [tls], [limits], [http], [lifetime], [heartbeat], [drain], \
    [presence], [log]";

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a whole configuration and what becomes of it"
)]
fn bad_file_is_one_line_with_file_line_key_and_what_is_allowed() {
    for (file, expected) in [
        (
            "lisen = \"a:1\"",
            "f.toml:1: unknown key lisen; did you mean listen?",
        ),
        (
            "\n[limits]\nlisten = 1",
            "f.toml:3: unknown key limits.listen; did you mean listen?",
        ),
        (
            "[hub]\n",
            &*format!("f.toml:1: unknown key hub; allowed here: {TOP}"),
        ),
        (
            "listen = 8080",
            "f.toml:1: listen: an integer does not fit; allowed: HOST:PORT such as 127.0.0.1:8080, [::1]:8080 or localhost:0; unix:PATH; fd:NUMBER or fd:NAME, or a list of them",
        ),
        (
            "listen = [\n\"a:1\",\n\"b\",\n]",
            "f.toml:3: listen: \"b\" is not an address; allowed: HOST:PORT such as 127.0.0.1:8080, [::1]:8080 or localhost:0; unix:PATH; fd:NUMBER or fd:NAME",
        ),
        (
            "[limits]\nfragments_max = -1",
            "f.toml:2: limits.fragments_max: \"-1\" is not a count; allowed: a number, 1 to 4294967295",
        ),
        (
            "[limits]\nfragments_max = \"1\"",
            "f.toml:2: limits.fragments_max: a string does not fit; allowed: a number, 1 to 4294967295",
        ),
        (
            "[drain]\ntimeout = 3",
            "f.toml:2: drain.timeout: an integer does not fit; allowed: a number with ms, s, m or h; up to 24h",
        ),
        (
            "deflate = \"maybe\"",
            "f.toml:1: deflate: \"maybe\" is not a switch; allowed: on, off",
        ),
        (
            "workers = 0",
            "f.toml:1: workers: \"0\" is not a count; allowed: a number, 1 to 4294967295",
        ),
        (
            "config = \"x\"",
            &*format!("f.toml:1: unknown key config; allowed here: {TOP}"),
        ),
        (
            "[chanel]\nmax_length = 1",
            "f.toml:1: unknown key chanel; did you mean channel?",
        ),
        (
            "[channel.without_namespaces]\npresence = true",
            "f.toml:1: unknown key channel.without_namespaces; did you mean channel.without_namespace?",
        ),
        (
            "[[channel.namespaces]]\nname = \"chat\"\npresense = true",
            "f.toml:3: channel.namespaces: unknown key presense; did you mean presence?",
        ),
        (
            "[[channel.namespaces]]\nname = \"chat\"\nhistory_ttl = 300",
            "f.toml:3: channel.namespaces: history_ttl: an integer does not fit; allowed: a number with ms, s, m or h; up to 87600h",
        ),
        (
            "\n[[channel.namespaces]]\npresence = true",
            "f.toml:2: channel.namespaces: a namespace needs a name",
        ),
        (
            "[channel.without_namespace]\nforce_recovery = true",
            "f.toml:2: channel.without_namespace: force_recovery and history_size: without history_size and history_ttl there are no positions",
        ),
        (
            "\n[[channel.namespaces]]\nname = \"chat\"\nhistory_size = 1",
            "f.toml:2: channel.namespaces, chat: history_size and history_ttl: history needs both",
        ),
        (
            "[[channel.namespaces]]\nname = \"chat\"\n[[channel.namespaces]]\nname = \"news\"\n\n[[channel.namespaces]]\nname = \"chat\"",
            "f.toml:6: channel.namespaces: name \"chat\": there are two of it",
        ),
        (
            "[[channel.namespaces]]\nname = \"chat\"\n[[channel.namespaces]]\nname = \"news\"\nchannel_regex = \"(\"",
            "f.toml:3: channel.namespaces, news: channel_regex:",
        ),
        (
            "[presence]\nttl = \"0s\"",
            "f.toml:2: presence.ttl: too short; allowed: 1s or more",
        ),
        (
            "[client]\nping_interval = \"8s\"",
            "f.toml:2: client.ping_interval: 8s is not longer than client.pong_timeout, 8s: the next ping would come before the answer to the last",
        ),
        (
            "[client]\npong_timeout = \"30s\"",
            "f.toml:2: client.pong_timeout: 30s is not shorter than client.ping_interval, 25s: the next ping would come before the answer to the last",
        ),
        (
            "listen = \":8080\"",
            "f.toml:1: listen: \":8080\" has no host; say 0.0.0.0:8080 or 127.0.0.1:8080",
        ),
        ("listen =\n", "f.toml:1: not TOML:"),
    ] {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("f.toml"), file).unwrap();
        // `serve` and `config check` say the same.
        for command in [&["serve"][..], &["config", "check"]] {
            let run = run_in(
                directory.path(),
                &[command, &["--config", "f.toml"]].concat(),
                &[],
            );
            assert_eq!(run.code, Some(2), "{file}");
            assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
            let line = run.stderr.trim_end().strip_prefix("sockeye: ").unwrap();
            match expected.ends_with(':') {
                true => assert!(line.starts_with(expected), "{line}"),
                false => assert_eq!(line, expected),
            }
        }
    }
}

#[test]
fn all_that_is_wrong_is_said_each_in_its_line() {
    let directory = TempDir::new().unwrap();
    let check = |file: &str, env: &[(&str, &str)]| {
        fs::write(directory.path().join("sockeye.toml"), file).unwrap();
        let run = run_in(directory.path(), &["config", "check"], env);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.stderr
    };
    // What is wrong by itself comes first; what is wrong together is looked at when the rest is right.
    let stderr = check(
        "lisen = \"a:1\"\nworkers = 0\n[[channel.namespaces]]\nname = \"a\"\npresense = 1\nhistory_ttl = 1\n",
        &[("SOCKEYE_DEFLATE", "perhaps")],
    );
    let places: Vec<_> = stderr
        .lines()
        .map(|line| line.split(": ").take(4).collect::<Vec<_>>()[1..3].join(" "))
        .collect();
    let mut sorted = places.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "SOCKEYE_DEFLATE \"perhaps\" is not a switch; allowed",
            "sockeye.toml:1 unknown key lisen; did you mean listen?",
            "sockeye.toml:2 workers",
            "sockeye.toml:5 channel.namespaces",
            "sockeye.toml:6 channel.namespaces",
        ],
        "{stderr}"
    );
    let stderr = check(
        "[client.proxy.connect]\nenabled = true\n[presence]\nttl = \"10ms\"\n[channel.without_namespace]\nforce_recovery = true\n",
        &[],
    );
    for line in [2, 4, 6] {
        assert!(
            stderr.contains(&format!("sockeye: sockeye.toml:{line}: ")),
            "{stderr}"
        );
    }
    assert_eq!(stderr.lines().count(), 3, "{stderr}");
}

#[test]
fn what_works_and_cannot_be_meant_is_a_warning() {
    let directory = TempDir::new().unwrap();
    let file = "[client.token]\nhmac_secret_key = \"s3cret\"\n[[channel.namespaces]]\nname = \"room\"\n\
        allow_presence_for_subscriber = true\n";
    fs::write(directory.path().join("sockeye.toml"), file).unwrap();
    let env = [("SOCKEYE_LISTN", "a:1")];
    let run = run_in(directory.path(), &["config", "check"], &env);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(
        run.stderr,
        "sockeye: warning: SOCKEYE_LISTN: unknown variable; did you mean SOCKEYE_LISTEN?\n\
         sockeye: warning: client.token.hmac_secret_key: 6 bytes can be guessed; take 32 random ones or more (RFC 7518 \
         section 3.2), such as those of `openssl rand -hex 32`\n\
         sockeye: warning: channel.namespaces, room: allow_presence_for_subscriber does nothing: presence is off\n"
    );
}

#[test]
fn bad_environment_names_the_variable() {
    let directory = TempDir::new().unwrap();
    let run = run_in(
        directory.path(),
        &["serve"],
        &[("SOCKEYE_DRAIN_TIMEOUT", "soon")],
    );
    assert_eq!(run.code, Some(2));
    assert_eq!(
        run.stderr,
        "sockeye: SOCKEYE_DRAIN_TIMEOUT: \"soon\" is not a length of time; allowed: a number with ms, s, m or h; up to 24h\n"
    );
}

#[test]
fn missing_file_is_an_error_only_if_it_was_named() {
    let directory = TempDir::new().unwrap();
    assert_eq!(
        run_in(directory.path(), &["config", "check"], &[]).code,
        Some(0)
    );
    let run = run_in(
        directory.path(),
        &["config", "check", "--config", "none.toml"],
        &[],
    );
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr
            .starts_with("sockeye: cannot read configuration none.toml: "),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1);
}

#[test]
fn api_key_is_told_from_where_but_never_shown() {
    for args in [
        &["config", "check", "--api-key", "s3cret"][..],
        &["config", "check", "--api-key", "s3cret with a space"],
    ] {
        let run = run(args);
        assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"));
        assert!(format!("{}{}", run.stdout, run.stderr).contains("--http-api-key"));
    }
}

#[test]
fn a_key_can_be_given_by_its_earlier_name_but_its_new_one_wins() {
    let both = "api_key = \"a\"\n[http_api]\nkey = \"b\"\n";
    for (flags, env, file, origin) in [
        (&["--api-key", "a"][..], &[][..], None, "--http-api-key"),
        (
            &[],
            &[("SOCKEYE_API_KEY", "a")],
            Some(both),
            "SOCKEYE_API_KEY",
        ),
        (
            &[],
            &[("SOCKEYE_API_KEY", "a"), ("SOCKEYE_HTTP_API_KEY", "b")],
            None,
            "SOCKEYE_HTTP_API_KEY",
        ),
        (&[], &[], Some("api_key = \"a\"\n"), "sockeye.toml:1"),
        (&[], &[], Some(both), "sockeye.toml:3"),
    ] {
        let line = checked("# key is set", flags, env, file);
        assert_eq!(line, format!("# key is set and not shown: {origin}"));
    }
    // The new name alone is a flag that the help shows.
    assert!(!run(&["serve", "--help"]).stdout.contains("--api-key"));
}

#[test]
fn namespaces_are_tables_in_the_file_and_json_elsewhere() {
    let json = r#"[{"name": "chat", "history_size": 5, "history_ttl": "60s"}, {"name": "news"}]"#;
    let tables = "[[channel.namespaces]]\nname = \"chat\"\nhistory_ttl = \"60s\"\nhistory_size = 5\n\
        [[channel.namespaces]]\nname = \"news\"\n";
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("t.toml"), tables).unwrap();
    for (flags, env, origin) in [
        (&["--config", "t.toml"][..], &[][..], "t.toml:1"),
        (&["--channel-namespaces", json], &[], "--channel-namespaces"),
        (
            &[],
            &[("SOCKEYE_CHANNEL_NAMESPACES", json)],
            "SOCKEYE_CHANNEL_NAMESPACES",
        ),
    ] {
        let check = run_in(
            directory.path(),
            &[&["config", "check"], flags].concat(),
            env,
        );
        let expected = format!(
            "namespaces = [\n    {{ name = \"chat\", history_size = 5, history_ttl = \"60s\" }},\n    \
             {{ name = \"news\" }},\n] # {origin}\n"
        );
        assert!(check.stdout.contains(&expected), "{}", check.stdout);
        // What a check prints can be used as the file.
        fs::write(directory.path().join("again.toml"), &check.stdout).unwrap();
        let again = run_in(
            directory.path(),
            &["config", "check", "--config", "again.toml"],
            &[],
        );
        let lines = &expected[..expected.find('#').unwrap()];
        assert!(again.stdout.contains(lines), "{}", again.stderr);
    }
}

#[test]
fn secrets_of_tokens_are_never_shown() {
    for key in ["client-token", "client-subscription-token"] {
        let flag = format!("--{key}-hmac-secret-key");
        let run = run(&["config", "check", &flag, "s3cret"]);
        assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"));
        assert!(run.stdout.contains(&flag), "{}", run.stdout);
    }
}

#[test]
fn password_of_a_redis_is_never_shown() {
    let url = "redis://:s3cret@localhost/0";
    let wrong = "rediss://:s3cret@localhost/0";
    for url in [url, wrong] {
        let run = run(&["config", "check", "--presence-store", url]);
        assert!(!run.stdout.contains("s3cret") && !run.stderr.contains("s3cret"));
    }
}

#[test]
fn durable_presence_needs_a_place() {
    let lone = run(&["config", "check", "--presence-store", "durable"]);
    assert_eq!(
        (lone.code, lone.stderr.as_str()),
        (Some(2), "sockeye: --presence-store: needs --data too\n")
    );
}

#[test]
fn certificate_and_key_go_together() {
    let lone = run(&["config", "check", "--tls-cert", "a.pem"]);
    assert_eq!(
        (lone.code, lone.stderr.as_str()),
        (Some(2), "sockeye: --tls-cert: needs --tls-key too\n")
    );
}

#[test]
fn reference_page_is_up_to_date() {
    compare(
        &root().join("docs/reference/config.md"),
        &run(&["config", "reference"]).stdout,
    );
}
