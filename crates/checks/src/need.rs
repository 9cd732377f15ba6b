//! What a check needs from this machine, and what happens when it is not there.
//!
//! `make` sets everything up. Where it could not, a check that needs it says so and passes on a person's
//! laptop; with `CI=true` it fails, because a check that never runs proves nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the repository's root.
///
/// # Panics
/// If this crate is not where it should be, `crates/checks`.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("two folders above this crate")
}

/// Returns the binary `sockeye`: the one that `CHECKS_SOCKEYE` names, or the one built with these tests.
pub fn binary() -> Option<PathBuf> {
    if let Some(path) = env::var_os(BINARY_VARIABLE) {
        // It was named, so starting it fails if it isn't there.
        return Some(PathBuf::from(path));
    }
    // target/PROFILE/deps/test-0123 -> target/PROFILE/sockeye
    let test = env::current_exe().ok()?;
    let path = test.parent()?.parent()?.join("sockeye");
    exists(
        path,
        "the binary `sockeye`",
        "cargo build -p sockeye-server",
    )
}

/// Returns Node.js with the packages of `peers/package.json`, ready to run `script`.
pub fn node(script: &str) -> Option<Command> {
    let packages = peers().join("node_modules/ws/package.json");
    exists(packages, "the npm packages of the peers", "make peers")?;
    let mut command = Command::new("node");
    // Node 20 has its own WebSocket behind this flag, which later versions accept and don't need.
    command
        .args(["--experimental-websocket", "--no-warnings"])
        .arg(peers().join(script));
    Some(command)
}

/// Returns Node.js, ready to run a script of the client for browsers from its sources.
pub fn client(script: &str) -> Option<Command> {
    let client = root().join("clients/js");
    let remedy = "make client";
    exists(
        client.join("node_modules/ready"),
        "the client for browsers",
        remedy,
    )?;
    let mut command = Command::new("node");
    command
        .args(["--experimental-websocket", "--no-warnings", "--import", "tsx"])
        .arg(client.join(script))
        // Where `tsx` is found.
        .current_dir(client);
    Some(command)
}

/// Returns a file of an npm package of the peers.
pub fn package_file(path: &str) -> Option<PathBuf> {
    let path = peers().join("node_modules").join(path);
    exists(path, "the npm packages of the peers", "make peers")
}

/// Returns Python with the packages of `peers/requirements.txt`, ready to run `script`.
pub fn python(script: &str) -> Option<Command> {
    let python = root().join(".venv/peers/bin/python");
    let python = exists(python, "the Python packages of the peers", "make peers")?;
    let mut command = Command::new(python);
    command.arg("-u").arg(peers().join(script));
    // Otherwise it would leave its compiled modules in the tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// Returns the program in Go that uses the hub's SDK.
pub fn go_sdk() -> Option<Command> {
    let program = sdk_program("go", "sdk")?;
    Some(Command::new(program))
}

/// Returns the program in Rust that uses the hub's SDK.
pub fn rust_sdk() -> Option<Command> {
    let program = sdk_program("rust", "debug/sdk")?;
    Some(Command::new(program))
}

/// Returns the program in Java that uses the hub's SDK.
pub fn java_sdk() -> Option<Command> {
    java("Sdk")
}

/// Returns the program in Java that uses the client of Socket.IO.
pub fn java_socketio() -> Option<Command> {
    java("SocketIo")
}

fn java(class: &str) -> Option<Command> {
    let packages = sdk_program("java", "classpath")?;
    let packages = std::fs::read_to_string(packages).expect("a file");
    let classes = root().join(".work/sdks/java/classes");
    let mut command = Command::new("java");
    command.args(["-cp", &format!("{}:{packages}", classes.display()), class]);
    Some(command)
}

fn sdk_program(language: &str, file: &str) -> Option<PathBuf> {
    let folder = root().join(".work/sdks");
    if let Ok(reason) = std::fs::read_to_string(folder.join(format!("no-{language}"))) {
        eprintln!("skipped, the SDK for {language}: {}", reason.trim_end());
        return None;
    }
    let what = format!("the SDK for {language}");
    exists(folder.join(language).join(file), &what, "make sdks")
}

/// Returns Autobahn's `wstest`.
pub fn wstest() -> Option<Command> {
    // Current systems have no package with Python 2.7.
    if let Ok(reason) = std::fs::read_to_string(root().join(".venv/no-autobahn")) {
        eprintln!("skipped, the Autobahn test suite: {}", reason.trim_end());
        return None;
    }
    let bin = root().join(".venv/autobahn/bin");
    let script = exists(
        bin.join("wstest"),
        "the Autobahn test suite",
        "make autobahn",
    )?;
    let mut command = Command::new(bin.join("python"));
    // Unbuffered, so that its last lines explain a run that fails.
    command.arg("-u").arg(script);
    Some(command)
}

/// Returns Chromium, under one of its names.
pub fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| CHROMIUM_NAMES.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .or_else(|| missing("Chromium", "make chromium"))
}

/// Returns Firefox, under one of its names.
pub fn firefox() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| ["firefox-esr", "firefox"].map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .or_else(|| missing("Firefox", "make firefox"))
}

/// Returns curl.
pub fn curl() -> Option<Command> {
    match Command::new("curl").arg("--version").output() {
        Ok(_) => Some(Command::new("curl")),
        Err(_) => missing("curl", "apt-get install curl"),
    }
}

/// Returns whether `ip` is there, and the right to make networks.
pub fn ip() -> Option<()> {
    let remedy = "as root: make faults";
    if Command::new("ip").arg("-V").output().is_err() {
        return missing("ip (iproute2)", remedy);
    }
    if !rustix::process::geteuid().is_root() {
        return missing("the right to make network namespaces", remedy);
    }
    Some(())
}

/// Returns nginx.
pub fn nginx() -> Option<Command> {
    administrators("nginx", "-v")
}

/// Returns HAProxy.
pub fn haproxy() -> Option<Command> {
    administrators("haproxy", "-v")
}

/// Returns a program that may lie where only an administrator's `PATH` leads.
fn administrators(name: &str, version: &str) -> Option<Command> {
    for path in [name.to_owned(), format!("/usr/sbin/{name}")] {
        if Command::new(&path).arg(version).output().is_ok() {
            return Some(Command::new(path));
        }
    }
    missing(name, "make proxies")
}

/// Returns valgrind.
pub fn valgrind() -> Option<Command> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(_) => Some(Command::new("valgrind")),
        Err(_) => missing("valgrind", "make valgrind"),
    }
}

/// Returns Debian's `redis-server`, or Valkey, which has the same protocol.
pub fn redis() -> Option<Command> {
    let names = ["redis-server", "valkey-server"];
    let found = names
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    match found {
        Some(name) => Some(Command::new(name)),
        None => missing("redis-server", "make redis"),
    }
}

/// Prints that a check doesn't run because something is missing here.
///
/// # Panics
/// With `CI=true`.
pub fn missing<T>(what: &str, remedy: &str) -> Option<T> {
    let line = format!("{what}: not on this machine. To set it up: {remedy}");
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{line}");
    eprintln!("skipped, {line}");
    None
}

fn exists(path: PathBuf, what: &str, remedy: &str) -> Option<PathBuf> {
    if path.exists() {
        Some(path)
    } else {
        missing(what, remedy)
    }
}

fn peers() -> PathBuf {
    root().join("crates/checks/peers")
}

/// Not `SOCKEYE_…` alone: those are configuration keys of the product.
const BINARY_VARIABLE: &str = "CHECKS_SOCKEYE";

/// Debian's name first; the rest are what other systems call it.
const CHROMIUM_NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
