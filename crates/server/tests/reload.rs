//! What SIGHUP makes a running server read again.
#![cfg(unix)]

mod support;

use std::{path::Path, time::Instant};

use support::{PATIENCE, Server, run_in, run_with_stdin};

/// Writes a certificate for `localhost` and its key into the files that the server reads.
fn write_certificate(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// Returns the exit code of a client that trusts `file` alone.
fn code_with(server: &Server, file: &Path) -> Option<i32> {
    let port = server.addrs[0].rsplit(':').next().unwrap();
    let url = format!("wss://localhost:{port}/echo");
    let file = file.to_str().unwrap();
    let args = [
        "connect",
        &url,
        "--cacert",
        file,
        "--exit-after",
        "1",
        "--wait",
        "60s",
    ];
    run_with_stdin(&args, b"hi\n").code
}

// Issue 13, D.26.
#[test]
fn a_hang_up_renews_the_certificate_and_the_log_filter_and_ends_nothing() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().to_owned();
    write_certificate(&path);
    let config = |filter: &str| {
        let text = format!(
            "listen = [\"127.0.0.1:0\"]\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n[log]\nfilter = \"{filter}\"\n"
        );
        std::fs::write(path.join("sockeye.toml"), text).unwrap();
    };
    config("info");
    let old = path.join("old.pem");
    std::fs::copy(path.join("cert.pem"), &old).unwrap();
    let command = support::sockeye(&path);
    let server = Server::start_command(command, directory);
    assert_eq!(code_with(&server, &old), Some(0));

    write_certificate(&path);
    config("sockeye=debug,info");
    server.signal("HUP");
    let new = path.join("cert.pem");
    let begun = Instant::now();
    while code_with(&server, &new) != Some(0) {
        assert!(
            begun.elapsed() < PATIENCE,
            "the certificate is still the old one"
        );
    }
    assert_eq!(code_with(&server, &old), Some(3));

    // Neither a broken key nor a broken configuration changes anything.
    let renewed = path.join("renewed.pem");
    std::fs::copy(&new, &renewed).unwrap();
    std::fs::write(path.join("key.pem"), "nonsense").unwrap();
    server.signal("HUP");
    std::fs::write(path.join("sockeye.toml"), "nonsense").unwrap();
    server.signal("HUP");
    assert_eq!(code_with(&server, &renewed), Some(0));
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("new connections get the certificate read now"),
        "{log}"
    );
    assert!(log.contains("SIGHUP: the "), "{log}");
    // Of the library, at debug.
    assert!(log.contains("DEBUG") && log.contains("open"), "{log}");
}

// Issue 13, D.26.
#[test]
fn a_check_of_the_configuration_reads_certificate_and_key() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path();
    let args = [
        "config",
        "check",
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
    ];
    let check = || run_in(path, &args, &[]);
    let refused = |part: &str| {
        let check = check();
        assert_eq!(check.code, Some(2), "{part}");
        assert!(check.stdout.is_empty(), "{}", check.stdout);
        assert_eq!(check.stderr.lines().count(), 1, "{}", check.stderr);
        assert!(check.stderr.contains(part), "{part}: {}", check.stderr);
    };
    refused("cert.pem");
    write_certificate(path);
    let good = check();
    assert_eq!(good.code, Some(0), "{}", good.stderr);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path.join("key.pem"), other.signing_key.serialize_pem()).unwrap();
    refused("don't fit");
    std::fs::write(path.join("key.pem"), "nonsense").unwrap();
    refused("key.pem");
    std::fs::remove_file(path.join("key.pem")).unwrap();
    refused("key.pem");
}
