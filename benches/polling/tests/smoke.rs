//! A small measurement from beginning to end.

use std::{fs, path::Path, process::Command};

#[test]
fn every_method_delivers_every_update_and_polling_asks_more_often() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("polling");
    let status = Command::new(env!("CARGO_BIN_EXE_polling"))
        .args([
            "--clients",
            "4",
            "--updates",
            "3",
            "--span",
            "0.3",
            "--interval",
            "0.05",
            "--into",
        ])
        .arg(&folder)
        .status()
        .unwrap();
    assert!(status.success());
    let csv = fs::read_to_string(folder.join("polling.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let names: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(names, ["Ajax polling 0.05 s", "long polling", "WebSocket"]);
    let number = |row: usize, name: &str| -> f64 {
        let column = rows[0].iter().position(|other| *other == name).unwrap();
        rows[row][column].parse().unwrap()
    };
    for (row, method) in (1..).zip(&names) {
        for name in [
            "bytes_up",
            "bytes_down",
            "segments",
            "server_cpu_ms",
            "delay_p50_ms",
        ] {
            assert!(number(row, name) > 0.0, "{name} of {method}");
        }
    }
    // At least four questions each in 0.3 s; three answers and a question left open; one handshake.
    assert!(number(1, "requests") >= 16.0);
    assert!((number(2, "requests") - 16.0).abs() < f64::EPSILON);
    assert!((number(3, "requests") - 4.0).abs() < f64::EPSILON);
    let page = fs::read_to_string(folder.join("polling.md")).unwrap();
    assert!(page.contains("3 updates to 4 clients, against WebSocket"));
    assert!(
        fs::read_to_string(folder.join("images/polling.svg"))
            .unwrap()
            .ends_with("</svg>\n")
    );
}
