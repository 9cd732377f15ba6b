//! `sockeye token`: tokens that are made are valid, and `inspect` says in its text and its exit code which are.

mod support;

use std::fs;

use support::{Run, run, run_in, run_with_stdin};
use tempfile::TempDir;

const SECRET: (&str, &str) = ("SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY", "secret");

/// A token that expired at the end of 2019, signed by `openssl dgst -sha256 -hmac secret`.
const EXPIRED: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImV4cCI6MTU3NzgzNjgwMH0.w_JJbqKOFb9QhORMGEeyC72XL2eGI80Sfi2ar38ed0I";

/// Runs `sockeye token` with the secret in the environment.
fn token(args: &[&str]) -> Run {
    let directory = TempDir::new().unwrap();
    run_in(directory.path(), &[&["token"], args].concat(), &[SECRET])
}

/// Makes a token.
fn made(args: &[&str]) -> String {
    let run = token(args);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    // The secret of the tests is as short as the one of those who try it out.
    assert!(
        run.stderr
            .starts_with("sockeye: warning: the secret: 6 bytes can be guessed; take 32 "),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    run.stdout.strip_suffix('\n').unwrap().to_owned()
}

fn inspected_with(secret: &str, token: &str) -> Run {
    run_with_stdin(
        &["token", "inspect", "--hmac-secret-key", secret],
        format!("{token}\n").as_bytes(),
    )
}

#[test]
fn a_connection_token_says_what_its_options_say() {
    let token = made(&[
        "connection",
        "--user",
        "42",
        "--channels",
        "news,chat",
        "--info",
        r#"{"name": "Ann"}"#,
        "--meta",
        "1",
        "--claim",
        "admin=true",
        "--claim",
        "plan=gold",
    ]);
    let inspected = inspected_with("secret", &token);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stdout);
    for line in [
        r#"  "sub": "42""#,
        r#"  "admin": true,"#,
        r#"  "plan": "gold","#,
        r#"    "name": "Ann""#,
        r#"    "news","#,
        r#"  "meta": 1,"#,
        "Kind:     connection token",
        "User:     42",
        "Verdict:  valid",
    ] {
        let text = &inspected.stdout;
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(inspected.stdout.contains(", in 59 minutes\n"));
}

#[test]
fn a_subscription_token_says_what_its_options_say() {
    let token = made(&[
        "subscription",
        "--user",
        "42",
        "--channel",
        "$news",
        "--client",
        "c1",
        "--data",
        "[]",
        "--expires-in",
        "never",
    ]);
    let inspected = inspected_with("secret", &token);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stdout);
    for line in [
        r#"  "channel": "$news","#,
        r#"  "client": "c1","#,
        r#"  "data": [],"#,
        "Kind:     subscription token",
        "Channel:  $news",
        "Expires:  never",
    ] {
        let text = &inspected.stdout;
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn the_exit_code_says_whether_a_token_is_valid() {
    let token = made(&["connection", "--user", "42"]);
    assert_eq!(inspected_with("secret", &token).code, Some(0));

    let other = inspected_with("another", &token);
    assert_eq!(other.code, Some(1));
    assert!(
        other
            .stdout
            .ends_with("Verdict:  invalid token: the signature is wrong\n")
    );

    let inspected = inspected_with("secret", EXPIRED);
    assert_eq!(inspected.code, Some(1));
    assert!(inspected.stdout.ends_with("Verdict:  expired\n"));

    let unverified = run_with_stdin(&["token", "inspect"], token.as_bytes());
    assert_eq!(unverified.code, Some(3));
    assert!(
        unverified
            .stdout
            .ends_with("Verdict:  not verified, because no key was given\n")
    );
}

#[test]
fn a_token_is_read_from_stdin_or_from_the_command_line() {
    // Without times, which are told as seen from now.
    let token = include_str!("../../hub/tests/token/fixtures/issuer_a.jwt");
    let piped = run_with_stdin(&["token", "inspect"], token.as_bytes());
    let dash = run_with_stdin(&["token", "inspect", "-"], token.as_bytes());
    let given = run(&["token", "inspect", token.trim_end()]);
    for inspected in [&piped, &dash, &given] {
        assert_eq!(inspected.code, Some(3), "{}", inspected.stderr);
        assert_eq!(inspected.stdout, piped.stdout);
    }
    assert!(piped.stdout.contains("\nUser:     42\n"));
}

#[test]
fn the_secret_may_be_in_a_file_and_a_line_break_at_its_end_is_not_part_of_it() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("secret.txt"), "secret\n").unwrap();
    let args = [
        "token",
        "connection",
        "--user",
        "42",
        "--secret-file",
        "secret.txt",
    ];
    // Of both, the file counts.
    let env = [(SECRET.0, "another")];
    let made = run_in(directory.path(), &args, &env);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(inspected_with("secret", made.stdout.trim()).code, Some(0));

    let missing = run(&[
        "token",
        "connection",
        "--user",
        "42",
        "--secret-file",
        "gone",
    ]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.stderr.starts_with("sockeye: gone: "),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_public_key_of_any_kind_verifies_a_token() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../hub/tests/token/fixtures");
    for (key, token) in [
        ("rsa.pem", "RS256.jwt"),
        ("p256.pem", "ES256.jwt"),
        ("p384.pem", "ES384.jwt"),
        ("ed25519.pem", "EdDSA.jwt"),
    ] {
        let key = format!("{fixtures}/{key}");
        let args = ["token", "inspect", "--public-key-file", &key];
        let token = fs::read(format!("{fixtures}/{token}")).unwrap();
        let inspected = run_with_stdin(&args, &token);
        assert_eq!(inspected.code, Some(0), "{key}: {}", inspected.stdout);
    }
    let key = format!("{fixtures}/p521.pem");
    let refused = run(&["token", "inspect", "--public-key-file", &key]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused
            .stderr
            .ends_with("p521.pem: is a key on the curve P-521, which isn't supported\n"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_cannot_be_made_is_one_line_with_the_reason() {
    for (args, message) in [
        (
            &["connection", "--user", "42", "--claim", "sub=1"][..],
            "--claim sub: the claim is there already",
        ),
        (
            &["connection", "--user", "42", "--claim", "nbf=soon"],
            "a server would refuse this token: invalid token: `nbf` isn't a number of seconds",
        ),
        (
            &["connection", "--user", "42", "--claim", "channel=news"],
            "a server would refuse this token: invalid token: it is a subscription token (it has the claim `channel`)",
        ),
        (
            &["connection", "--user", "42", "--channels", "a,,b"],
            "--channels: the name of a channel is empty",
        ),
        (
            &["subscription", "--user", "42", "--channel", ""],
            "a server would refuse this token: invalid token: it has no claim `channel`",
        ),
    ] {
        let run = token(args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert_eq!(run.stderr, format!("sockeye: {message}\n"));
    }
    let without_secret = run(&["token", "connection", "--user", "42"]);
    assert_eq!(without_secret.code, Some(2));
    assert_eq!(
        without_secret.stderr,
        "sockeye: there is no secret to sign with: set SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY, or give --secret-file or --config\n"
    );
}

#[test]
fn the_configuration_file_has_the_secret_of_each_kind() {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    let (one, two) = (&*"1".repeat(32), &*"2".repeat(32));
    let of_connections = format!("[client.token]\nhmac_secret_key = \"{one}\"\n");
    let of_subscriptions =
        format!("[client.subscription_token]\nenabled = true\nhmac_secret_key = \"{two}\"\n");
    write("other.toml", &format!("{of_connections}{of_subscriptions}"));
    let run = |args: &[&str]| run_in(directory.path(), &[&["token"], args].concat(), &[]);
    let connection = ["connection", "--user", "42"];
    let subscription = ["subscription", "--user", "42", "--channel", "news"];
    // Without a file that is named or there, there is no secret.
    let without = run(&connection);
    assert_eq!(without.code, Some(2));
    assert!(
        without.stderr.contains("or give --secret-file or --config"),
        "{}",
        without.stderr
    );
    for (args, secret) in [(&connection[..], one), (&subscription, two)] {
        let made = run(&[args, &["--config", "other.toml"]].concat());
        assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
        let token = made.stdout.trim();
        assert_eq!(inspected_with(secret, token).code, Some(0), "{secret}");
        let inspected = run(&["inspect", "--config", "other.toml", token]);
        assert_eq!(inspected.code, Some(0), "{}", inspected.stdout);
    }
    write("sockeye.toml", &of_connections);
    let made = run(&subscription);
    assert_eq!(
        inspected_with(one, made.stdout.trim()).code,
        Some(0),
        "{}",
        made.stderr
    );
    let wrong = run(&["inspect", "--config", "missing.toml", made.stdout.trim()]);
    assert_eq!(wrong.code, Some(2));
    write("sockeye.toml", "[client.token]\nhmac_secret = 1\n");
    let broken = run(&connection);
    assert_eq!(broken.code, Some(2));
    assert!(
        broken
            .stderr
            .starts_with("sockeye: sockeye.toml:2: unknown key"),
        "{}",
        broken.stderr
    );
}

#[test]
fn a_token_must_be_what_the_configuration_file_demands() {
    let directory = TempDir::new().unwrap();
    let file = "[client.token]\nhmac_secret_key = \"one\"\nissuer = \"us\"\n";
    fs::write(directory.path().join("sockeye.toml"), file).unwrap();
    let run = |args: &[&str]| run_in(directory.path(), &[&["token"], args].concat(), &[]);
    let made = |claim: &str| run(&["connection", "--user", "42", "--claim", claim]).stdout;
    assert_eq!(run(&["inspect", made("iss=us").trim()]).code, Some(0));
    assert_eq!(run(&["inspect", made("iss=them").trim()]).code, Some(1));
}
