//! The server API as a back end sees it.

mod support;

use support::{Server, run_in};
use tempfile::TempDir;

#[test]
fn nothing_of_the_api_is_told_without_the_key() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--api-key", "s3cret"]);
    for key in [
        "",
        "X-API-Key: wrong\r\n",
        "X-API-Key: wrong\r\nX-API-Key: s3cre\r\n",
    ] {
        for path in ["/api", "/api/nothing"] {
            let answer = server.http(&format!("GET {path} HTTP/1.1\r\n{key}\r\n"));
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert!(
                answer.contains("content-type: application/json\r\n"),
                "{answer}"
            );
            assert!(answer.contains("\"code\":\"unauthorized\""), "{answer}");
        }
    }
    let answer = server.http("GET /api/nothing HTTP/1.1\r\nX-API-Key: s3cret\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("\"code\":\"unknown_path\""), "{answer}");
    // Who gave the key knows it; the terminal's next reader need not.
    assert!(!server.banner.contains("s3cret"), "{}", server.banner);
}

#[test]
fn without_a_configured_key_one_is_made_and_printed() {
    let server = Server::start(&["--listen", "127.0.0.1:0"]);
    let line = server.banner.lines().find(|line| line.contains("/api,"));
    let key = line.unwrap().split_whitespace().nth(6).unwrap();
    let answer = server.http(&format!(
        "GET /api/nothing HTTP/1.1\r\nX-API-Key: {key}\r\n\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn data_directory_is_made_at_the_start() {
    let server = Server::start(&["--listen", "127.0.0.1:0", "--data", "var/lib"]);
    assert!(server.directory.path().join("var/lib").is_dir());
}

#[test]
fn data_directory_that_cannot_be_used_is_one_line_and_exit_code_2() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let run = run_in(
        directory.path(),
        &["--listen", "127.0.0.1:0", "--data", "file/below"],
        &[],
    );
    assert_eq!(run.code, Some(2));
    assert!(run.stdout.is_empty());
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    let begins = "sockeye: --data file/below: cannot make the directory: ";
    assert!(run.stderr.starts_with(begins), "{}", run.stderr);
}
