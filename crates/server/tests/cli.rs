//! What `--help` and `--version` say, and what a wrong command line is told.

mod support;

use support::{run, snapshot};

#[test]
fn help_is_what_we_meant() {
    for (name, args) in [
        ("help.txt", &["--help"][..]),
        ("help-serve.txt", &["serve", "--help"]),
        ("help-connect.txt", &["connect", "--help"]),
        ("help-bench.txt", &["bench", "--help"]),
        ("help-config.txt", &["config", "--help"]),
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
        &["config"],
    ] {
        let run = run(args);
        assert_eq!(run.code, Some(2), "{args:?}");
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?}");
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
