//! What the server takes from a service manager and tells it. The test is the service manager: it passes sockets and
//! reads the notifications.
#![cfg(target_os = "linux")]

mod support;

use std::{
    net::TcpListener,
    os::{
        fd::{AsFd, IntoRawFd as _},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
    path::Path,
    process::Command,
};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use support::{PATIENCE, Run, Server, http, program};
use tempfile::TempDir;

/// Returns a bash that becomes `sockeye` with the sockets as its descriptors from 3 on. Only the process itself knows its
/// number, which `LISTEN_PID` has.
fn activated(directory: &Path, sockets: &[&dyn AsFd], names: &str, arguments: &[&str]) -> Command {
    let mut script = "exec".to_owned();
    for (number, socket) in sockets.iter().enumerate() {
        // Above the descriptors to which the shell gives a new meaning, and open for as long as the tests run.
        let inherited = fcntl_dupfd_cloexec(socket.as_fd(), 10).unwrap();
        fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
        script += &format!(" {}<&{}", number + 3, inherited.into_raw_fd());
    }
    script += "; LISTEN_PID=$$ exec \"$@\"";
    let mut command = program("bash", directory);
    command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_sockeye")]);
    command.args(arguments);
    command.env("LISTEN_FDS", sockets.len().to_string());
    command.env("LISTEN_FDNAMES", names);
    command
}

fn start(sockets: &[&dyn AsFd], names: &str, arguments: &[&str]) -> Server {
    let directory = TempDir::new().unwrap();
    let command = activated(directory.path(), sockets, names, arguments);
    Server::start_command(command, directory)
}

fn is_live(addr: &str) -> bool {
    http(addr, "GET /health/live HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 ")
}

fn tcp() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

#[test]
fn sockets_of_the_service_manager_are_listened_on_where_nothing_else_is_configured() {
    let place = TempDir::new().unwrap();
    let path = place.path().join("a.sock");
    let (tcp, addr) = tcp();
    let unix = UnixListener::bind(&path).unwrap();
    let server = start(&[&tcp, &unix], "web:local", &["serve"]);
    assert_eq!(server.addrs, std::slice::from_ref(&addr));
    assert!(is_live(&addr));
    assert!(
        server
            .banner
            .contains(&format!("ws+unix:{}", path.display())),
        "{}",
        server.banner
    );
    UnixStream::connect(&path).unwrap();
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // The service manager goes on to listen on them.
    UnixStream::connect(&path).unwrap();
    std::net::TcpStream::connect(&addr).unwrap();
}

#[test]
fn a_socket_is_chosen_by_its_number_or_its_name() {
    for listen in ["fd:4", "fd:second"] {
        let ((first, _), (second, addr)) = (tcp(), tcp());
        let server = start(
            &[&first, &second],
            "first:second",
            &["serve", "--listen", listen],
        );
        assert_eq!(server.addrs, std::slice::from_ref(&addr), "{listen}");
        assert!(is_live(&addr));
        server.signal("TERM");
        let (_, log) = server.wait();
        assert!(log.contains("3 (first)"), "the unused one is named: {log}");
    }
}

#[test]
fn an_address_that_is_configured_takes_the_place_of_the_sockets() {
    let (socket, addr) = tcp();
    let server = start(&[&socket], "web", &["serve", "--listen", "127.0.0.1:0"]);
    assert!(!server.addrs.contains(&addr));
    assert!(is_live(&server.addrs[0]));
}

fn refused(command: &mut Command) -> Run {
    let run = Run::from(command.output().unwrap());
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    run
}

#[test]
fn a_socket_that_is_not_there_or_doesn_t_listen_stops_the_start() {
    let directory = TempDir::new().unwrap();
    let (socket, _) = tcp();
    let absent = ["serve", "--listen", "fd:9"];
    let run = refused(&mut activated(directory.path(), &[&socket], "web", &absent));
    assert!(run.stderr.contains("no socket 9"), "{}", run.stderr);

    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let run = refused(&mut activated(
        directory.path(),
        &[&datagrams],
        "",
        &["serve"],
    ));
    assert!(run.stderr.contains("not a stream socket"), "{}", run.stderr);

    let (connected, _other) = UnixStream::pair().unwrap();
    let run = refused(&mut activated(
        directory.path(),
        &[&connected],
        "",
        &["serve"],
    ));
    assert!(run.stderr.contains("Accept=no"), "{}", run.stderr);
}

/// The variables are inherited by children of the process that they are for.
#[test]
fn sockets_for_another_process_are_left_alone() {
    let directory = TempDir::new().unwrap();
    let mut command = support::sockeye(directory.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.envs([("LISTEN_PID", "1"), ("LISTEN_FDS", "1")]);
    let server = Server::start_command(command, directory);
    assert!(is_live(&server.addrs[0]));
}

/// What the service manager is told.
struct Notifications(UnixDatagram);

impl Notifications {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn next(&self) -> String {
        let mut bytes = [0; 4096];
        let len = self.0.recv(&mut bytes).expect("a notification");
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    /// Returns the next one that begins so.
    fn wait_for(&self, start: &str) -> String {
        loop {
            let next = self.next();
            if next.starts_with(start) {
                return next;
            }
        }
    }
}

fn notifying(directory: TempDir, socket: &str, environment: &[(&str, &str)]) -> Server {
    let mut command = support::sockeye(directory.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", socket);
    command.envs(environment.iter().copied());
    Server::start_command(command, directory)
}

#[test]
fn the_service_manager_is_told_of_start_reload_and_end() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("notify.sock");
    let notifications = Notifications::new(UnixDatagram::bind(&path).unwrap());
    let server = notifying(directory, path.to_str().unwrap(), &[]);
    let ready = format!("READY=1\nSTATUS=serving on {}", server.addrs[0]);
    assert_eq!(notifications.next(), ready);
    server.signal("HUP");
    let reloading = notifications.next();
    let time = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .expect(&reloading);
    let time: u64 = time.parse().unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    // Both count from the start of the machine, one of them without the time in suspend.
    assert!(
        time > 0 && time as f64 <= (uptime + 1.0) * 1e6,
        "{time} {uptime}"
    );
    assert_eq!(notifications.next(), ready);
    server.signal("TERM");
    assert!(notifications.next().starts_with("STOPPING=1\nSTATUS="));
    assert_eq!(notifications.next(), "STATUS=draining, 0 open");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn the_watchdog_is_fed_through_a_socket_of_the_abstract_namespace() {
    let name = format!("sockeye-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let notifications = Notifications::new(UnixDatagram::bind_addr(&address).unwrap());
    let watched = [("WATCHDOG_USEC", "100000")];
    let server = notifying(TempDir::new().unwrap(), &format!("@{name}"), &watched);
    notifications.wait_for("READY=1");
    for _ in 0..3 {
        notifications.wait_for("WATCHDOG=1");
    }
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("notify.sock");
    let notifications = Notifications::new(UnixDatagram::bind(&path).unwrap());
    let watched = [("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")];
    let server = notifying(directory, path.to_str().unwrap(), &watched);
    assert!(notifications.next().starts_with("READY=1"));
    server.signal("TERM");
    assert!(notifications.next().starts_with("STOPPING=1"));
}

#[test]
fn a_notify_socket_that_is_not_there_stops_the_start() {
    let directory = TempDir::new().unwrap();
    let mut command = support::sockeye(directory.path());
    command
        .arg("serve")
        .env("NOTIFY_SOCKET", "/nowhere/notify.sock");
    let run = refused(&mut command);
    assert!(
        run.stderr.contains("NOTIFY_SOCKET=/nowhere"),
        "{}",
        run.stderr
    );
}
