//! What the server tells the service manager: `sd_notify(3)` of systemd.
//!
//! ```text
//!   start ──READY──> serving ──STOPPING──> drain ──> end
//!                     │   ^  └── WATCHDOG, while the server is healthy
//!            RELOADING└───┘READY
//! ```

#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{
        ffi::OsStrExt as _,
        net::{SocketAddr, UnixDatagram},
    },
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use sockeye::ServerHandle;

use crate::readiness::Readiness;

/// Tells the service manager about the server. Without a service manager it does nothing.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// Connects to the socket that `NOTIFY_SOCKET` names: a path, or `@` and a name of the abstract namespace.
    ///
    /// # Errors
    ///
    /// The variable names no socket that can be connected to. In one line.
    pub(crate) fn from_env() -> Result<Self, String> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let socket =
            connect(&name).map_err(|error| format!("NOTIFY_SOCKET={}: {error}", name.display()))?;
        Ok(Self {
            socket: Some(socket),
        })
    }

    /// Tells that the server accepts connections, for the first time or after a reload.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\n{}", status_line(status)));
    }

    /// Tells that the configuration is being read again. [`Notifier::ready`] ends it.
    pub(crate) fn reloading(&self) {
        // `Type=notify-reload` needs the time, to tell this reload from an earlier one.
        let now = clock_gettime(ClockId::Monotonic);
        let now_us = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"));
    }

    /// Tells that the server has begun to end.
    pub(crate) fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\n{}", status_line(status)));
    }

    /// Shows this line in `systemctl status`.
    pub(crate) fn status(&self, status: &str) {
        self.send(&status_line(status));
    }

    /// Shows the service manager that the process lives, unless a component has failed: then it shows the failures. A
    /// service manager that doesn't hear of the process in time restarts it.
    pub(crate) fn feed_watchdog(&self, failures: &[String]) {
        match failures.is_empty() {
            true => self.send("WATCHDOG=1"),
            false => self.status(&failures.join("; ")),
        }
    }

    fn send(&self, state: &str) {
        let Some(socket) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, "cannot notify the service manager");
        }
    }
}

/// Feeds the watchdog of the service manager, if it watches this process, for ever: while the server drains, too.
pub(crate) async fn feed_watchdog(notifier: Arc<Notifier>, readiness: Readiness) {
    let Some(interval) = watchdog_interval() else {
        return;
    };
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        notifier.feed_watchdog(&readiness.failures());
    }
}

/// Returns where the server listens, in one line for the service manager.
pub(crate) fn serving_status(server: &ServerHandle) -> String {
    let addrs = server.local_addrs().iter().map(ToString::to_string);
    let paths = server.unix_paths().iter();
    let paths = paths.map(|path| format!("unix:{}", path.display()));
    let places: Vec<String> = addrs.chain(paths).collect();
    format!("serving on {}", places.join(", "))
}

/// Returns how often to call [`Notifier::feed_watchdog`]: half of the time after which the service manager restarts the process.
/// `None` if it doesn't watch this process.
fn watchdog_interval() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let is_ours =
        number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
    let limit_us = number("WATCHDOG_USEC").filter(|limit_us| *limit_us > 0 && is_ours)?;
    Some(Duration::from_micros(limit_us / 2))
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A service manager that doesn't read must not stop the server.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A line break would begin another field.
fn status_line(status: &str) -> String {
    format!("STATUS={}", status.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_has_failed_is_shown_and_the_watchdog_starves() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let notifier = Notifier { socket: Some(near) };
        let told = || {
            let mut bytes = [0; 256];
            let len = far.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..len].to_vec()).unwrap()
        };
        notifier.feed_watchdog(&[]);
        assert_eq!(told(), "WATCHDOG=1");
        notifier.feed_watchdog(&["the chat\nWATCHDOG=1".to_owned(), "presence".to_owned()]);
        assert_eq!(told(), "STATUS=the chat WATCHDOG=1; presence");
    }
}
