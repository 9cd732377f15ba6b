//! A clock that jumps: to a process that was stopped, as a laptop's are while it sleeps, hours pass at once.

use std::time::Duration;

use sockeye_checks::let_pass;

use crate::support::{BOUND, Client, GIVEN_UP, HEARTBEAT, NO_HEARTBEAT, serve};

/// Longer than any peer may be silent.
const SLEEP: Duration = Duration::from_secs(9);

/// All deadlines have passed when the server wakes up, and no peer was late: their bytes wait in the kernel.
#[test]
fn server_that_has_slept_gives_nobody_up() {
    assert!(SLEEP > 2 * BOUND);
    let Some(mut server) = serve(&HEARTBEAT) else {
        return;
    };
    let mut clients = Vec::new();
    for _ in 0..5 {
        let Some(client) = Client::start(&server.url("/echo"), &NO_HEARTBEAT) else {
            return;
        };
        clients.push(client);
    }
    server.process().freeze();
    let_pass(SLEEP);
    server.process().thaw();
    // Until the next deadlines have passed.
    for round in 0..5 {
        let_pass(BOUND / 4);
        for client in &mut clients {
            client.assert_echoes(&format!("awake {round}"));
        }
    }
    println!(
        "a jump of {SLEEP:?}: {} clients, none given up",
        clients.len()
    );
    for client in clients {
        client.process().interrupt();
        client.wait();
    }
    let stopped = server.stop();
    assert!(
        !stopped.transcript().contains(GIVEN_UP),
        "{}",
        stopped.transcript()
    );
}

#[test]
fn client_that_has_slept_keeps_a_server_that_lives() {
    let Some(server) = serve(&NO_HEARTBEAT) else {
        return;
    };
    let Some(mut client) = Client::start(&server.url("/echo"), &HEARTBEAT) else {
        return;
    };
    client.process().freeze();
    let_pass(SLEEP);
    client.process().thaw();
    for round in 0..5 {
        let_pass(BOUND / 4);
        client.assert_echoes(&format!("awake {round}"));
    }
    println!("a jump of {SLEEP:?} at the client: the connection stays");
}
