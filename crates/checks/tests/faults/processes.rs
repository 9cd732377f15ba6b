//! A process that is killed, and one that is stopped.

use std::time::Duration;

use crate::support::{BOUND, Client, GIVEN_UP, HEARTBEAT, NO_HEARTBEAT, Stopwatch, serve};

/// The kernel of a killed process closes its sockets, so no heartbeat is needed.
#[test]
fn kill_of_the_server_is_noticed_at_once() {
    let Some(mut server) = serve(&NO_HEARTBEAT) else {
        return;
    };
    let mut clients = Vec::new();
    for _ in 0..5 {
        let Some(client) = Client::start(&server.url("/echo"), &NO_HEARTBEAT) else {
            return;
        };
        clients.push(client);
    }
    let stopwatch = Stopwatch::start();
    server.process().kill();
    for client in clients {
        let ended = client.wait();
        stopwatch.noticed("kill -9 of the server, by a client", Duration::ZERO);
        assert_eq!(ended.code, Some(1), "{}", ended.transcript());
    }
}

#[test]
fn kill_of_a_client_is_noticed_at_once() {
    let Some(mut server) = serve(&NO_HEARTBEAT) else {
        return;
    };
    let Some(client) = Client::start(&server.url("/echo"), &NO_HEARTBEAT) else {
        return;
    };
    let stopwatch = Stopwatch::start();
    client.process().kill();
    server
        .process()
        .wait_for_text("closed by the network with 1006");
    stopwatch.noticed("kill -9 of a client, by the server", Duration::ZERO);
}

/// The kernel still answers for the process: TCP works, and the program doesn't.
#[test]
fn stopped_client_is_given_up_and_nobody_else_notices() {
    let Some(mut server) = serve(&HEARTBEAT) else {
        return;
    };
    let url = server.url("/echo");
    let (Some(stopped), Some(mut other)) = (
        Client::start(&url, &NO_HEARTBEAT),
        Client::start(&url, &NO_HEARTBEAT),
    ) else {
        return;
    };
    let stopwatch = Stopwatch::start();
    stopped.process().freeze();
    server.process().wait_for_text(GIVEN_UP);
    stopwatch.noticed("SIGSTOP of a client, by the server", BOUND);
    other.assert_echoes("still here");
    // The client learns of the end as soon as it continues.
    let stopwatch = Stopwatch::start();
    stopped.process().thaw();
    let ended = stopped.wait();
    stopwatch.noticed("the end, by the client that goes on", Duration::ZERO);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript());
    other.assert_echoes("and still");
    let stopped = server.stop();
    let given_up = stopped.transcript().matches(GIVEN_UP).count();
    assert_eq!(given_up, 1, "{}", stopped.transcript());
}

#[test]
fn stopped_server_is_given_up_by_its_client() {
    let Some(mut server) = serve(&NO_HEARTBEAT) else {
        return;
    };
    let Some(client) = Client::start(&server.url("/echo"), &HEARTBEAT) else {
        return;
    };
    let stopwatch = Stopwatch::start();
    server.process().freeze();
    let ended = client.wait();
    stopwatch.noticed("SIGSTOP of the server, by a client", BOUND);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript());
    assert!(
        ended.transcript().contains("no sign of life"),
        "{}",
        ended.transcript()
    );
    server.process().thaw();
}
