//! A network that silently drops all packets, in one direction or in both.

use sockeye_checks::{Network, Place, Server, let_pass, sockeye};

use crate::support::{
    BOUND, Client, GIVEN_UP, HEARTBEAT, LIMIT, NO_HEARTBEAT, Stopwatch, serve_command,
};

struct Fixture {
    network: Network,
    server: Server,
}

fn start(heartbeat: &[&str]) -> Option<Fixture> {
    let network = Network::new()?;
    let command = serve_command(network.address(Place::Server), heartbeat)?;
    let command = network.command(Place::Server, &command);
    let server = Server::start_command(command, LIMIT);
    Some(Fixture { network, server })
}

impl Fixture {
    fn client(&self, heartbeat: &[&str]) -> Option<Client> {
        let url = self.server.url("/echo");
        let command = sockeye("connect", &[&[&*url], heartbeat].concat())?;
        let command = self.network.command(Place::Client, &command);
        Some(Client::start_command(command))
    }
}

#[test]
fn both_ends_notice_when_nothing_comes_through() {
    let Some(mut fixture) = start(&HEARTBEAT) else {
        return;
    };
    let Some(client) = fixture.client(&HEARTBEAT) else {
        return;
    };
    let stopwatch = Stopwatch::start();
    fixture.network.lose_all_to(Place::Client);
    fixture.network.lose_all_to(Place::Server);
    fixture.server.process().wait_for_text(GIVEN_UP);
    stopwatch.noticed("loss in both directions, by the server", BOUND);
    let ended = client.wait();
    stopwatch.noticed("loss in both directions, by the client", BOUND);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript());
    assert!(
        ended.transcript().contains("no sign of life"),
        "{}",
        ended.transcript()
    );
}

/// The client's pings still arrive, so only the client can notice, and its reset still
/// comes too.
#[test]
fn both_ends_notice_when_nothing_reaches_the_client() {
    let Some(mut fixture) = start(&HEARTBEAT) else {
        return;
    };
    let Some(client) = fixture.client(&HEARTBEAT) else {
        return;
    };
    let stopwatch = Stopwatch::start();
    fixture.network.lose_all_to(Place::Client);
    let ended = client.wait();
    stopwatch.noticed("loss on the way to the client, by the client", BOUND);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript());
    fixture
        .server
        .process()
        .wait_for_text("closed by the network with 1006");
    stopwatch.noticed("loss on the way to the client, by the server", BOUND);
}

/// The server's reset reaches the client, which needs no heartbeat for that.
#[test]
fn both_ends_notice_when_nothing_reaches_the_server() {
    let Some(mut fixture) = start(&HEARTBEAT) else {
        return;
    };
    let Some(client) = fixture.client(&NO_HEARTBEAT) else {
        return;
    };
    let stopwatch = Stopwatch::start();
    fixture.network.lose_all_to(Place::Server);
    fixture.server.process().wait_for_text(GIVEN_UP);
    stopwatch.noticed("loss on the way to the server, by the server", BOUND);
    let ended = client.wait();
    stopwatch.noticed("loss on the way to the server, by the client", BOUND);
    assert_eq!(ended.code, Some(1), "{}", ended.transcript());
}

/// The peer ends while the network is cut: its FIN is lost, and for the server's TCP the connection is open.
#[test]
fn half_open_connection_is_given_up() {
    let Some(mut fixture) = start(&HEARTBEAT) else {
        return;
    };
    let (Some(client), Some(mut other)) =
        (fixture.client(&NO_HEARTBEAT), fixture.client(&NO_HEARTBEAT))
    else {
        return;
    };
    other.assert_echoes("before");
    let stopwatch = Stopwatch::start();
    fixture.network.lose_all_to(Place::Client);
    fixture.network.lose_all_to(Place::Server);
    client.process().kill();
    other.process().kill();
    for which in ["first", "second"] {
        fixture.server.process().wait_for_text(GIVEN_UP);
        let what = format!("half-open TCP, by the server, the {which} of two");
        stopwatch.noticed(&what, BOUND);
    }
}

/// Without a heartbeat nothing is noticed, which shows that the heartbeat does it.
#[test]
fn without_heartbeat_a_half_open_connection_stays() {
    let Some(mut fixture) = start(&NO_HEARTBEAT) else {
        return;
    };
    let Some(client) = fixture.client(&NO_HEARTBEAT) else {
        return;
    };
    fixture.network.lose_all_to(Place::Client);
    fixture.network.lose_all_to(Place::Server);
    client.process().kill();
    let_pass(2 * BOUND);
    fixture.server.process().interrupt();
    let text = fixture.server.process().wait_for_text("draining, ");
    assert!(text.contains("draining, 1 open"), "{text}");
}
