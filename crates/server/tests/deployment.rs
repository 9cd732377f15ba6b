//! The files and pages for systemd, Docker and Kubernetes name settings, paths and times that work.

mod support;

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command, time::Duration};

use rcgen::generate_simple_self_signed;
use support::{Server, root, run, sockeye};
use tempfile::TempDir;

fn how_to(name: &str) -> String {
    let path = root().join("docs/howto").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the pages and files that an operator copies from.
fn copied_files() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs/howto")];
    let mut files = vec![root().join("README.md"), root().join("README.zh-CN.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
}

/// Returns what starts with `prefix` and goes on with such letters.
fn words<'t>(text: &'t str, prefix: &'t str, is_part: fn(char) -> bool) -> BTreeSet<&'t str> {
    let starts = text.match_indices(prefix).filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '-' && before != '_')
    });
    starts
        .map(|(at, _)| {
            let rest = &text[at + prefix.len()..];
            let end = rest.find(|letter| !is_part(letter));
            &text[at..at + prefix.len() + end.unwrap_or(rest.len())]
        })
        .collect()
}

fn reference() -> String {
    fs::read_to_string(root().join("docs/reference/config.md")).unwrap()
}

#[test]
fn every_environment_variable_in_a_how_to_is_a_setting() {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let known = reference();
    let known = words(&known, "SOCKEYE_", is_part);
    let mut count = 0;
    for path in copied_files() {
        let text = fs::read_to_string(&path).unwrap();
        for name in words(&text, "SOCKEYE_", is_part) {
            assert!(known.contains(name), "{}: {name}", path.display());
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

/// Flags of other programs that the pages tell how to use.
const FLAGS_OF_OTHERS: &[&str] = &[
    // cargo, make, npm
    "--example",
    "--git",
    "--ignore-scripts",
    "--locked",
    "--open",
    "--path",
    "--release",
    "--target",
    "--test",
    "--target",
    "--workspace",
    // docker
    "--chown",
    "--from",
    "--interval",
    "--memory",
    "--mount",
    "--network",
    "--rm",
    "--start-period",
    "--stop-timeout",
    "--ulimit",
    // jq
    "--raw-output0",
    // kubectl
    "--from-literal",
    // systemctl, useradd
    "--no-create-home",
    "--now",
    "--shell",
    "--system",
    "--data-urlencode",
];

#[test]
fn every_flag_in_a_how_to_is_a_flag() {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let mut known = reference();
    for command in ["serve", "connect", "bench", "config", "completions", "man"] {
        known += &run(&[command, "--help"]).stdout;
    }
    for token in ["connection", "subscription", "inspect"] {
        known += &run(&["token", token, "--help"]).stdout;
    }
    let known = words(&known, "--", is_part);
    let mut count = 0;
    for path in copied_files() {
        let text = fs::read_to_string(&path).unwrap();
        for flag in words(&text, "--", is_part) {
            // Rules of tables and of comments.
            if flag.trim_matches('-').is_empty() {
                continue;
            }
            let is_known = known.contains(flag) || FLAGS_OF_OTHERS.contains(&flag);
            assert!(is_known, "{}: {flag}", path.display());
            count += 1;
        }
    }
    assert!(count >= 60, "{count}");
}

#[test]
fn every_key_in_a_how_to_is_a_setting() {
    let reference = reference();
    let headings = reference
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    let known: BTreeSet<&str> = headings.collect();
    let sections: BTreeSet<&str> = known
        .iter()
        .filter_map(|key| Some(key.split_once('.')?.0))
        .collect();
    let mut count = 0;
    for path in copied_files() {
        let text = fs::read_to_string(&path).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let key = quoted.split([' ', '=']).next().unwrap();
            let is_key = key.split_once('.').is_some_and(|(section, name)| {
                sections.contains(section)
                    && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            });
            if is_key {
                // A section is as good.
                let section = format!("{key}.");
                let is_known = known
                    .iter()
                    .any(|known| *known == key || known.starts_with(&section));
                assert!(is_known, "{}: {key}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 15, "{count}");
}

/// Roots of file systems and of other programs' paths.
const OTHER_ROOTS: &[&str] = &[
    "/etc/", "/run/", "/var/", "/usr/", "/proc/", "/data", "/dev/", "/rooms/",
];

#[test]
fn every_path_in_a_how_to_is_served() {
    let everything = ["--prometheus-enabled", "on"];
    let server = Server::start(&[&["serve", "--listen", "127.0.0.1:0"], &everything[..]].concat());
    let is_there = |path: &str| {
        let answer = server.http(&format!("GET {path} HTTP/1.1\r\n\r\n"));
        if !answer.starts_with("HTTP/1.1 404 ") {
            return true;
        }
        let connected = run(&["connect", "--no-proxy", "--wait", "1ms", &server.ws(path)]);
        connected.code == Some(0) || !connected.stderr.contains(" answered 404 ")
    };
    assert!(!is_there("/nothing"));
    let mut count = 0;
    for path in copied_files() {
        let text = fs::read_to_string(&path).unwrap();
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        for quoted in text.split('`').skip(1).step_by(2).filter(|_| is_page) {
            let is_path = quoted.starts_with('/')
                && !quoted.starts_with("/close")
                && !quoted.starts_with("/ping")
                && quoted
                    .chars()
                    .all(|one| one.is_ascii_alphanumeric() || "/-_".contains(one))
                && !OTHER_ROOTS.iter().any(|root| quoted.starts_with(root));
            if is_path {
                assert!(is_there(quoted), "{}: {quoted}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn configuration_in_a_how_to_passes_the_check() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().display().to_string();
    let certificate = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, text) in [
        ("fullchain.pem", certificate.cert.pem()),
        ("privkey.pem", certificate.signing_key.serialize_pem()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let mut texts = vec![how_to("systemd/sockeye.toml")];
    for page in copied_files() {
        let page = fs::read_to_string(page).unwrap();
        let blocks = page.split("```toml\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
        // A manifest of cargo's isn't a configuration of ours.
        texts.extend(blocks.filter(|block| !block.contains("[dependencies]")));
    }
    assert!(texts.len() >= 3, "{texts:?}");
    for text in texts {
        let text = text
            .replace("/etc/sockeye/tls", &place)
            .replace("/var/lib/sockeye", &place);
        fs::write(directory.path().join("sockeye.toml"), &text).unwrap();
        let output = sockeye(directory.path())
            .args(["config", "check"])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{stderr}");
    }
}

#[test]
fn the_page_for_systemd_shows_the_configuration_that_lies_beside_it() {
    let file = how_to("systemd/sockeye.toml");
    let settings = file.lines().skip_while(|line| line.starts_with('#'));
    let settings: String = settings.map(|line| format!("{line}\n")).collect();
    assert!(how_to("systemd.md").contains(&format!("```toml\n{settings}```")));
}

/// Parses a duration such as `5s` or `2m`.
fn duration(text: &str) -> Duration {
    let text = text.trim_matches('"');
    let split = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let seconds_each = match &text[split..] {
        "" | "s" => 1,
        "m" => 60,
        unit => panic!("a duration in {unit}"),
    };
    Duration::from_secs(text[..split].parse::<u64>().unwrap() * seconds_each)
}

/// Returns the text behind `name = ` or `name=`, in a file with one setting a line.
fn value<'t>(text: &'t str, name: &str) -> &'t str {
    let mut lines = text.lines();
    let line = lines.find_map(|line| {
        line.trim()
            .strip_prefix(name)?
            .trim_start()
            .strip_prefix('=')
    });
    line.unwrap_or_else(|| panic!("no {name}")).trim()
}

/// What a server needs beyond its drain until its process has ended.
const END: Duration = Duration::from_secs(5);

#[test]
fn systemd_waits_for_the_end_of_the_drain() {
    let configuration = how_to("systemd/sockeye.toml");
    let drain =
        duration(value(&configuration, "notice")) + duration(value(&configuration, "timeout"));
    let unit = how_to("systemd/sockeye.service");
    assert!(duration(value(&unit, "TimeoutStopSec")) >= drain + END);
}

/// The service manager waits for the notification, feeds the watchdog by it, and passes the socket by its name.
#[test]
fn the_units_of_systemd_use_what_the_server_tells_and_takes() {
    let unit = how_to("systemd/sockeye.service");
    assert_eq!(value(&unit, "Type"), "notify");
    assert!(duration(value(&unit, "WatchdogSec")) >= Duration::from_secs(10));
    assert!(value(&unit, "RestrictAddressFamilies").contains("AF_UNIX"));
    let socket = how_to("systemd/sockeye.socket");
    let name = value(&socket, "FileDescriptorName");
    assert!(how_to("systemd.md").contains(&format!("listen = [\"fd:{name}\"]")));
    assert!(!socket.contains("Accept=yes"));
    let port = value(&socket, "ListenStream");
    assert!(how_to("systemd/sockeye.toml").contains(&format!(":{port}\"")));
}

/// Where systemd is installed, it finds no fault with the units.
#[test]
fn systemd_verifies_the_units() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        return;
    };
    assert!(version.status.success());
    let directory = TempDir::new().unwrap();
    let program = env!("CARGO_BIN_EXE_sockeye");
    for name in ["sockeye.service", "sockeye.socket"] {
        // The program must be there, and so must the user.
        let text = how_to(&format!("systemd/{name}"));
        let text = text.replace("/usr/local/bin/sockeye", program);
        let text = text.replace("User=sockeye", "User=root");
        let text = text.replace("Group=sockeye", "Group=root");
        fs::write(directory.path().join(name), text).unwrap();
    }
    for name in ["sockeye.service", "sockeye.socket"] {
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(directory.path().join(name))
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&verified.stderr);
        let about_ours = complaints.lines().filter(|line| line.contains("sockeye"));
        assert_eq!(about_ours.collect::<Vec<_>>(), [""; 0], "{complaints}");
        assert!(verified.status.success(), "{complaints}");
    }
}

/// Returns the scalars of a YAML file of block mappings and sequences, as `a.b.0.c = value`.
fn scalars(yaml: &str) -> Vec<String> {
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut scalars = Vec::new();
    for line in yaml.lines() {
        let mut rest = line.trim_start();
        let mut indent = line.len() - rest.len();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        assert!(indent.is_multiple_of(2) && !line.contains('\t'), "{line}");
        if rest == "---" {
            path.clear();
            continue;
        }
        while let Some(item) = rest.strip_prefix("- ") {
            path.retain(|(at, name)| {
                *at < indent || (*at == indent && name.parse::<usize>().is_err())
            });
            let index = scalars.len();
            path.push((indent, index.to_string()));
            indent += 2;
            rest = item;
        }
        path.retain(|(at, _)| *at < indent);
        let (key, value) = rest
            .split_once(':')
            .unwrap_or_else(|| panic!("no mapping: {line}"));
        path.push((indent, key.to_owned()));
        if !value.is_empty() {
            let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
            scalars.push(format!("{} ={value}", names.join(".")));
        }
    }
    scalars
}

/// Returns the value of the one scalar whose path ends so.
fn scalar<'s>(scalars: &'s [String], end: &str) -> &'s str {
    let found: Vec<&str> = scalars
        .iter()
        .filter_map(|scalar| scalar.split_once(" = "))
        .filter_map(|(path, value)| path.ends_with(end).then_some(value))
        .collect();
    assert_eq!(found.len(), 1, "{end}: {found:?} in {scalars:#?}");
    found[0]
}

/// Returns the value of an environment variable of the manifest.
fn variable<'s>(scalars: &'s [String], name: &str) -> &'s str {
    let at = scalars
        .iter()
        .position(|scalar| scalar.ends_with(&format!(".name = {name}")));
    let at = at.unwrap_or_else(|| panic!("no {name}"));
    scalars[at + 1].split_once(".value = ").unwrap().1
}

#[test]
fn kubernetes_waits_for_the_end_of_the_drain() {
    let manifest = scalars(&how_to("kubernetes/sockeye.yaml"));
    let drain = duration(variable(&manifest, "SOCKEYE_DRAIN_NOTICE"))
        + duration(variable(&manifest, "SOCKEYE_DRAIN_TIMEOUT"));
    let grace = duration(scalar(&manifest, ".terminationGracePeriodSeconds"));
    assert!(grace >= drain + END, "{grace:?} for {drain:?}");
    // The load balancer has seen that the pod isn't ready before the pod stops accepting.
    let period = duration(scalar(&manifest, ".readinessProbe.periodSeconds"));
    assert!(duration(variable(&manifest, "SOCKEYE_DRAIN_NOTICE")) >= 2 * period);
}

#[test]
fn kubernetes_probes_paths_that_answer_on_the_port_that_is_listened_on() {
    let manifest = scalars(&how_to("kubernetes/sockeye.yaml"));
    let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = scalar(&manifest, &format!(".{probe}.httpGet.path"));
        let answer = server.http(&format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert_eq!(scalar(&manifest, &format!(".{probe}.httpGet.port")), "http");
    }
    let port = scalar(&manifest, ".containerPort");
    let listen = variable(&manifest, "SOCKEYE_LISTEN").trim_matches('"');
    assert_eq!(listen.rsplit_once(':').unwrap().1, port);
}

#[test]
fn the_health_check_of_the_image_tells_a_server_from_none() {
    let dockerfile = how_to("docker/Dockerfile");
    let check = dockerfile.split("HEALTHCHECK").nth(1).unwrap();
    let command = check.split("CMD ").nth(1).unwrap().lines().next().unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    assert_eq!(command[0], "sockeye");
    let server = Server::start(&["serve", "--listen", "127.0.0.1:0"]);
    let with_address = |address: &str| {
        let arguments: Vec<String> = command[1..]
            .iter()
            .map(|word| word.replace("127.0.0.1:8080", address))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments).code
    };
    assert_eq!(with_address(&server.addrs[0]), Some(0));
    let nobody = support::Port::reserve();
    assert_eq!(with_address(&nobody.addr()), Some(3));
}
