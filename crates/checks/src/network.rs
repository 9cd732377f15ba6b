//! A network of our own, which can be broken.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::need;

/// Two places with a router between them, each in a network namespace of its own.
///
/// ```text
///   client 10.77.1.2 ───── 10.77.1.1 router 10.77.2.1 ───── 10.77.2.2 server
/// ```
///
/// What the router is told to lose is lost without a word, as on a radio that is out of reach: neither
/// end gets an error. Dropped, it takes the namespaces with it.
pub struct Network {
    name: String,
}

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where clients are.
    Client,
    /// Where the server is.
    Server,
}

impl Network {
    /// `None` if this machine can't have one.
    ///
    /// # Panics
    /// If it could, and doesn't.
    #[must_use]
    pub fn new() -> Option<Self> {
        need::ip()?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            name: format!("sockeye-{}-{count}", std::process::id()),
        };
        if let Err(error) = run(&["netns", "add", &network.namespace("router")]) {
            // Root in a container without that right: nothing that could be set up.
            eprintln!("skipped: this machine allows no network namespaces: {error}");
            return None;
        }
        network.build();
        Some(network)
    }

    /// The address of a place.
    #[must_use]
    pub fn address(&self, place: Place) -> &'static str {
        match place {
            Place::Client => "10.77.1.2",
            Place::Server => "10.77.2.2",
        }
    }

    /// The same command, run at a place.
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

    /// From now on nothing reaches `place`.
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

    /// `ip` within a namespace.
    fn ip(&self, place: &str, arguments: &[&str]) {
        let namespace = self.namespace(place);
        must(&[&["-n", &namespace], arguments].concat());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
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

    fn subnet(self) -> &'static str {
        match self {
            Self::Client => "10.77.1",
            Self::Server => "10.77.2",
        }
    }
}

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
