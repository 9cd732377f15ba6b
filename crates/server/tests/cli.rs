//! What `--help` and `--version` say, and what a wrong command line is told.

mod support;

use std::{fs, process::Command};

use support::{run, run_in, snapshot};
use tempfile::TempDir;

#[test]
fn help_is_what_we_meant() {
    for (name, args) in [
        ("help.txt", &["--help"][..]),
        ("help-serve.txt", &["serve", "--help"]),
        ("help-serve-short.txt", &["serve", "-h"]),
        ("help-connect.txt", &["connect", "--help"]),
        ("help-bench.txt", &["bench", "--help"]),
        ("help-config.txt", &["config", "--help"]),
        ("help-log.txt", &["log", "--help"]),
        ("help-token.txt", &["token", "--help"]),
        (
            "help-token-connection.txt",
            &["token", "connection", "--help"],
        ),
        (
            "help-token-subscription.txt",
            &["token", "subscription", "--help"],
        ),
        ("help-token-inspect.txt", &["token", "inspect", "--help"]),
        ("help-config-import.txt", &["config", "import", "--help"]),
        ("help-completions.txt", &["completions", "--help"]),
        ("help-man.txt", &["man", "--help"]),
    ] {
        let help = run(args);
        assert_eq!(help.code, Some(0));
        snapshot(name, &help.stdout);
    }
}

#[test]
fn version_is_the_crates() {
    let version = run(&["--version"]);
    assert_eq!(
        version.stdout,
        format!("sockeye {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn bad_command_line_exits_with_2() {
    for args in [
        &["dance"][..],
        &["--dance"],
        &["serve", "--listen"],
        &["connect"],
        &["connect", "ws://a", "--echo", "--binary"],
        &["connect", "ws://a", "-H", "no colon"],
        &["connect", "ws://a", "-0", "--binary"],
        &["connect", "ws://a", "--json", "--echo"],
        &["connect", "ws://a", "--cert", "only.pem"],
        &["bench"],
        &["bench", "ws://a", "-m", "dance"],
        &["bench", "ws://a", "-c", "0"],
        &["bench", "ws://a", "--rate", "0"],
        &["bench", "ws://a", "--rate", "9", "-p", "9"],
        &["bench", "ws://a", "--message", "hi", "-s", "9"],
        &["bench", "ws://a/?t={token}"],
        &["bench", "ws://a", "-H", "Authorization: Bearer {token}"],
        &["connect", "ws://a", "--http2"],
        &["bench", "a", "--http2"],
        &["config"],
        &["token"],
        &["token", "connection"],
        &["token", "subscription", "--user", "42"],
        &[
            "token",
            "connection",
            "--user",
            "42",
            "--expires-in",
            "soon",
        ],
        &["token", "connection", "--user", "42", "--info", "{"],
        &["token", "connection", "--user", "42", "--claim", "x"],
        &[
            "token",
            "inspect",
            "--secret-file",
            "a",
            "--public-key-file",
            "b",
        ],
        &["completions", "cmd"],
        &["man", "dance"],
        &["man", "connect", "--dir", "pages"],
    ] {
        let run = run(args);
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let directory = TempDir::new().unwrap();
    let script = directory.path().join("sockeye.bash");
    fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    for (words, expected) in [
        ("sockeye conn", "connect"),
        ("sockeye connect --reso", "--resolve"),
        ("sockeye config che", "check"),
        ("sockeye bench --mode fan", "fan-out"),
        ("sockeye token insp", "inspect"),
    ] {
        let (before, last) = words.rsplit_once(' ').unwrap();
        let previous = before.rsplit(' ').next().unwrap();
        let count = words.split(' ').count() - 1;
        // As bash calls it when somebody presses tab.
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD={count}; \
             _sockeye sockeye '{last}' '{previous}'; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        let completed = Command::new("bash").args(["-c", &line]).output().unwrap();
        let completed = String::from_utf8(completed.stdout).unwrap();
        assert_eq!(completed.trim(), expected, "{words}");
    }
}

#[test]
fn every_shell_gets_a_script_that_knows_the_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{shell}: {}", script.stderr);
        for word in ["connect", "subprotocol", "fan-out"] {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn each_command_has_its_manual_page() {
    let directory = TempDir::new().unwrap();
    let written = run_in(directory.path(), &["man", "--dir", "pages/man1"], &[]);
    assert_eq!(
        (written.code, written.stdout.as_str()),
        (Some(0), ""),
        "{}",
        written.stderr
    );
    let mut names: Vec<String> = fs::read_dir(directory.path().join("pages/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "sockeye-bench.1",
        "sockeye-completions.1",
        "sockeye-config-check.1",
        "sockeye-config-default.1",
        "sockeye-config-import.1",
        "sockeye-config-reference.1",
        "sockeye-config.1",
        "sockeye-connect.1",
        "sockeye-log-check.1",
        "sockeye-log-dump.1",
        "sockeye-log-repair.1",
        "sockeye-log.1",
        "sockeye-man.1",
        "sockeye-serve.1",
        "sockeye-token-connection.1",
        "sockeye-token-inspect.1",
        "sockeye-token-subscription.1",
        "sockeye-token.1",
        "sockeye.1",
    ];
    assert_eq!(names, expected);
    for (command, name) in [
        (&[][..], "sockeye.1"),
        (&["connect"], "sockeye-connect.1"),
        (&["config", "check"], "sockeye-config-check.1"),
    ] {
        let printed = run(&[&["man"], command].concat()).stdout;
        let file = directory.path().join("pages/man1").join(name);
        assert!(printed == fs::read_to_string(file).unwrap(), "{name}");
        assert!(
            printed.contains(&format!(".TH {}", name.trim_end_matches(".1"))),
            "{printed}"
        );
    }
}

#[test]
fn bad_value_of_a_flag_is_one_line_that_says_what_is_allowed() {
    let run = run(&["--message-bytes-max", "12MB"]);
    assert_eq!(run.code, Some(2));
    assert_eq!(
        run.stderr,
        "sockeye: --message-bytes-max: \"12MB\" is not a size; \
         allowed: bytes, or a number with KiB, MiB or GiB; 1 to 1GiB\n"
    );
}
