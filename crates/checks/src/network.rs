//! A network for tests, which can be interrupted, or be slow.

use std::env;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::SystemTime;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::need;
use crate::shaped_link::{Shape, ShapedLink, Side};

/// Two places with a router between them, each in a network namespace of its own.
///
/// ```text
///   client 10.77.1.2 ───── 10.77.1.1 router 10.77.2.1 ───── 10.77.2.2 server
/// ```
///
/// Packets that the router is told to lose are dropped silently, as on a radio that is out of reach: neither
/// end gets an error. A [`Network::shaped`] has a [`Shape`]d link for its router. Dropped, it takes the namespaces
/// with it.
pub struct Network {
    name: String,
    link: Option<ShapedLink>,
}

/// A place in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The place of the clients.
    Client,
    /// The place of the server.
    Server,
}

impl Network {
    /// Creates a network; `None` if this machine can't have one.
    ///
    /// # Panics
    /// If it could, and doesn't.
    #[must_use]
    pub fn new() -> Option<Self> {
        let network = Self::begin("router")?;
        network.build();
        Some(network)
    }

    /// Makes a network as [`Network::new`] does, with a link of this shape between the two places. Its segments have at
    /// most 1,400 bytes.
    ///
    /// Which packets are lost follows from a seed that is printed; the variable `CHECKS_SEED` sets it. `None` as
    /// above.
    ///
    /// # Panics
    /// As above.
    #[must_use]
    pub fn shaped(shape: Shape) -> Option<Self> {
        let mut network = Self::begin("router")?;
        network.build();
        let sides = [Place::Client, Place::Server].map(|place| network.wrap(place));
        let [Some(client), Some(server)] = sides else {
            return need::missing("VXLAN devices", "modprobe vxlan");
        };
        let seed = seed();
        println!("{shape:?}, CHECKS_SEED={seed}");
        network.link = Some(ShapedLink::new(shape, seed, client, server));
        Some(network)
    }

    /// Returns a device at `place`, with the place's address, whose packets go to a socket of the router.
    fn wrap(&self, place: Place) -> Option<Side> {
        let (name, outer) = (place.name(), place.subnet());
        let (near, far) = (format!("{outer}.1"), format!("{outer}.2"));
        let namespace = self.namespace(name);
        let (port, wrapped) = (VXLAN_PORT.to_string(), ["type", "vxlan", "id", "1"]);
        let ends = ["local", &far, "remote", &near, "dstport", &port];
        let add = ["-n", &namespace, "link", "add", "wrapped"];
        run(&[&add[..], &wrapped, &ends].concat()).ok()?;
        // One segment for each packet, as if it had to go through a real device.
        let up = ["link", "set", "wrapped", "mtu", MTU, "gso_max_segs", "1"];
        self.ip(name, &up);
        let address = format!("{}/16", place.address_on_shaped_link());
        self.ip(name, &["address", "add", &address, "dev", "wrapped"]);
        self.ip(name, &["link", "set", "wrapped", "up"]);
        let socket = thread::scope(|scope| {
            let bind = scope.spawn(|| {
                self.move_to("router");
                UdpSocket::bind((&*near, VXLAN_PORT)).expect("a port of a namespace of its own")
            });
            bind.join().expect("a socket")
        });
        let device = format!("{far}:{VXLAN_PORT}").parse().expect("an address");
        Some(Side { socket, device })
    }

    /// Creates its first namespace, if this machine can have one.
    fn begin(place: &str) -> Option<Self> {
        need::ip()?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            name: format!("sockeye-{}-{count}", std::process::id()),
            link: None,
        };
        if let Err(error) = run(&["netns", "add", &network.namespace(place)]) {
            // A container's root may lack this right, and nothing here can get it.
            eprintln!("skipped: this machine allows no network namespaces: {error}");
            return None;
        }
        Some(network)
    }

    /// Moves the calling thread to a place: its later sockets, and those of the threads that it starts.
    ///
    /// # Panics
    /// If it can't be there.
    pub fn enter(&self, place: Place) {
        self.move_to(place.name());
    }

    fn move_to(&self, place: &str) {
        let path = format!("/run/netns/{}", self.namespace(place));
        let namespace = File::open(path).expect("a namespace");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("a thread may move");
    }

    /// Interrupts the shaped link.
    pub fn cut(&self) {
        self.set_cut(true);
    }

    /// Ends the interruption of the shaped link.
    pub fn mend(&self) {
        self.set_cut(false);
    }

    fn set_cut(&self, is_cut: bool) {
        let link = self.link.as_ref().expect("a shaped link");
        link.set_cut(is_cut);
    }

    /// Returns the address of a place.
    #[must_use]
    pub fn address(&self, place: Place) -> &'static str {
        match (&self.link, place) {
            (Some(_), place) => place.address_on_shaped_link(),
            (None, Place::Client) => "10.77.1.2",
            (None, Place::Server) => "10.77.2.2",
        }
    }

    /// Returns `command`, to be run at a place.
    #[must_use]
    pub fn command(&self, place: Place, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside
            .args(["netns", "exec", &self.namespace(place.name())])
            .arg(command.get_program())
            .args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(variable, value),
                None => inside.env_remove(variable),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// Drops all packets to `place` from now on.
    pub fn lose_all_to(&self, place: Place) {
        let target = format!("{}/32", self.address(place));
        self.ip("router", &["route", "add", "blackhole", &target]);
    }

    fn build(&self) {
        for place in [Place::Client, Place::Server] {
            let (name, subnet) = (place.name(), place.subnet());
            must(&["netns", "add", &self.namespace(name)]);
            let (router, own) = (self.namespace("router"), self.namespace(name));
            must(&[
                "link", "add", name, "netns", &router, "type", "veth", "peer", "name", "uplink",
                "netns", &own,
            ]);
            let (near, far) = (format!("{subnet}.1"), format!("{subnet}.2/24"));
            self.ip(
                "router",
                &["address", "add", &format!("{near}/24"), "dev", name],
            );
            self.ip("router", &["link", "set", name, "up"]);
            self.ip(name, &["address", "add", &far, "dev", "uplink"]);
            self.ip(name, &["link", "set", "uplink", "up"]);
            self.ip(name, &["link", "set", "lo", "up"]);
            self.ip(name, &["route", "add", "default", "via", &near]);
        }
        // Namespaces have settings of their own: the machine's stay as they are.
        must(&[
            "netns",
            "exec",
            &self.namespace("router"),
            "sh",
            "-c",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
        ]);
    }

    fn namespace(&self, place: &str) -> String {
        format!("{}-{place}", self.name)
    }

    /// Runs `ip` within a namespace.
    fn ip(&self, place: &str, arguments: &[&str]) {
        let namespace = self.namespace(place);
        must(&[&["-n", &namespace], arguments].concat());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.link = None;
        for place in ["client", "server", "router"] {
            let _ = run(&["netns", "delete", &self.namespace(place)]);
        }
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    fn address_on_shaped_link(self) -> &'static str {
        match self {
            Self::Client => "10.78.1.2",
            Self::Server => "10.78.2.2",
        }
    }

    fn subnet(self) -> &'static str {
        match self {
            Self::Client => "10.77.1",
            Self::Server => "10.77.2",
        }
    }
}

/// Returns what the variable `CHECKS_SEED` says, or any.
fn seed() -> u64 {
    let set = env::var("CHECKS_SEED").ok();
    set.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64)
    })
}

/// Bytes of a packet: a segment of 1,400 bytes, and 40 of headers.
const MTU: &str = "1440";

/// The port of VXLAN (RFC 7348).
const VXLAN_PORT: u16 = 4789;

fn must(arguments: &[&str]) {
    if let Err(error) = run(arguments) {
        panic!("ip {}: {error}", arguments.join(" "));
    }
}

fn run(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
