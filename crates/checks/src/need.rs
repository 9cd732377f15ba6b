//! What a check needs from this machine, and what happens when it is not there.
//!
//! `make` sets everything up. Where it could not, a check that needs it says so and passes on somebody's
//! laptop; with `CI=true` it fails, because a check that never runs proves nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
///
/// # Panics
/// If this crate is not where it should be, `crates/checks`.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("two folders above this crate")
}

/// The binary `sockeye`: the one that `CHECKS_SOCKEYE` names, or the one built with these tests.
pub fn binary() -> Option<PathBuf> {
    if let Some(path) = env::var_os(BINARY_VARIABLE) {
        // Named, so it has to be there: starting it will tell.
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

/// Node.js with the packages of `peers/package.json`, ready to run `script`.
pub fn node(script: &str) -> Option<Command> {
    let packages = peers().join("node_modules/ws/package.json");
    exists(packages, "the npm packages of the peers", "make peers")?;
    let mut command = Command::new("node");
    // Node 20 has its own WebSocket behind this flag; later ones know it and have no need of it.
    command
        .args(["--experimental-websocket", "--no-warnings"])
        .arg(peers().join(script));
    Some(command)
}

/// Node.js, ready to run a script of the client for browsers, from its sources.
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

/// A file of an npm package of the peers.
pub fn package_file(path: &str) -> Option<PathBuf> {
    let path = peers().join("node_modules").join(path);
    exists(path, "the npm packages of the peers", "make peers")
}

/// Python with the packages of `peers/requirements.txt`, ready to run `script`.
pub fn python(script: &str) -> Option<Command> {
    let python = root().join(".venv/peers/bin/python");
    let python = exists(python, "the Python packages of the peers", "make peers")?;
    let mut command = Command::new(python);
    command.arg("-u").arg(peers().join(script));
    // Or it would leave its compiled modules in the tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

/// Autobahn's `wstest`.
pub fn wstest() -> Option<Command> {
    // No fault of whoever runs this: no package of today's systems brings Python 2.7.
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
    // Unbuffered: its lines are how a failing run is understood.
    command.arg("-u").arg(script);
    Some(command)
}

/// Chromium, under one of the names that it has.
pub fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| CHROMIUM_NAMES.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .or_else(|| missing("Chromium", "make chromium"))
}

/// Firefox, as Debian or others call it.
pub fn firefox() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| ["firefox-esr", "firefox"].map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .or_else(|| missing("Firefox", "make firefox"))
}

/// curl.
pub fn curl() -> Option<Command> {
    match Command::new("curl").arg("--version").output() {
        Ok(_) => Some(Command::new("curl")),
        Err(_) => missing("curl", "apt-get install curl"),
    }
}

/// `ip`, and the right to make networks.
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

/// nginx.
pub fn nginx() -> Option<Command> {
    administrators("nginx", "-v")
}

/// HAProxy.
pub fn haproxy() -> Option<Command> {
    administrators("haproxy", "-v")
}

/// A program that may lie where only an administrator's `PATH` leads.
fn administrators(name: &str, version: &str) -> Option<Command> {
    for path in [name.to_owned(), format!("/usr/sbin/{name}")] {
        if Command::new(&path).arg(version).output().is_ok() {
            return Some(Command::new(path));
        }
    }
    missing(name, "make proxies")
}

/// valgrind.
pub fn valgrind() -> Option<Command> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(_) => Some(Command::new("valgrind")),
        Err(_) => missing("valgrind", "make valgrind"),
    }
}

/// Debian's `redis-server`, or a Valkey, which speaks the same.
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

/// Says that a check does not run because something is missing here.
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
