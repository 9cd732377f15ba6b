//! The configured listeners, added to the server.

use nix::unistd::{Group, User};
use sockeye::{Server, ServerTls, UnixListen};

use crate::{
    activation::{PassedListener, PassedSockets},
    config::{Config, FileOwner, ListenAddr, Loaded, Switch},
};

/// Adds every configured listener. If no configuration says where to listen, the server listens on the sockets that the
/// service manager passes, and by default if it passes none.
///
/// # Errors
///
/// The owner of Unix sockets isn't known to the system, or a socket of the service manager can't be used. In one line.
pub(crate) fn add_listeners(
    mut server: Server,
    loaded: &Loaded,
    mut passed: PassedSockets,
    tls: Option<&ServerTls>,
) -> Result<Server, String> {
    let config = &loaded.config;
    if !passed.is_empty() && !loaded.origins.contains_key("listen") {
        let sockets = passed.take_all()?;
        return Ok(add_passed(server, sockets, config, tls));
    }
    let ids = config.unix_owner.as_ref().map(Ids::look_up).transpose()?;
    let ids = ids.unwrap_or_default();
    for addr in &config.listen {
        server = match addr {
            ListenAddr::Tcp { .. } => match (config.proxy_protocol, tls) {
                (Switch::On, tls) => server.listen_behind_proxy(addr, tls.cloned()),
                (Switch::Off, Some(tls)) => server.listen_tls(addr, tls.clone()),
                (Switch::Off, None) => server.listen(addr),
            },
            ListenAddr::Unix(path) => {
                let mut socket = UnixListen::at(path);
                if let Some(mode) = config.unix_mode {
                    socket = socket.mode(mode.0);
                }
                if let Some(user_id) = ids.user {
                    socket = socket.owner(user_id);
                }
                if let Some(group_id) = ids.group {
                    socket = socket.group(group_id);
                }
                server.listen_unix(with_options(socket, config, tls))
            }
            ListenAddr::Passed(socket) => {
                let sockets = passed.take(socket);
                let sockets = sockets.map_err(|error| format!("--listen {addr}: {error}"))?;
                add_passed(server, sockets, config, tls)
            }
        };
    }
    if !passed.is_empty() {
        let descriptors = passed.shown();
        tracing::warn!(
            descriptors,
            "no --listen names these sockets of the service manager"
        );
    }
    Ok(server)
}

fn add_passed(
    server: Server,
    sockets: Vec<PassedListener>,
    config: &Config,
    tls: Option<&ServerTls>,
) -> Server {
    let add = |server: Server, socket| match (socket, config.proxy_protocol, tls) {
        (PassedListener::Unix(socket), ..) => {
            server.listen_unix(with_options(socket.into(), config, tls))
        }
        (PassedListener::Tcp(socket), Switch::On, tls) => {
            server.listener_behind_proxy(socket, tls.cloned())
        }
        (PassedListener::Tcp(socket), Switch::Off, Some(tls)) => {
            server.listener_tls(socket, tls.clone())
        }
        (PassedListener::Tcp(socket), Switch::Off, None) => server.listener(socket),
    };
    sockets.into_iter().fold(server, add)
}

/// Sets what all listeners share.
fn with_options(mut socket: UnixListen, config: &Config, tls: Option<&ServerTls>) -> UnixListen {
    if let Some(tls) = tls {
        socket = socket.tls(tls.clone());
    }
    match config.proxy_protocol {
        Switch::On => socket.behind_proxy(),
        Switch::Off => socket,
    }
}

/// The numbers of a user and a group.
#[derive(Clone, Copy, Debug, Default)]
struct Ids {
    user: Option<u32>,
    group: Option<u32>,
}

impl Ids {
    /// Asks the system for the numbers of names.
    fn look_up(owner: &FileOwner) -> Result<Self, String> {
        let user = |name: &String| {
            id(name, "user", || {
                Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
            })
        };
        let group = |name: &String| {
            id(name, "group", || {
                Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
            })
        };
        Ok(Self {
            user: owner.user.as_ref().map(user).transpose()?,
            group: owner.group.as_ref().map(group).transpose()?,
        })
    }
}

/// Returns a number as it stands, and the number of a name.
fn id(
    name: &str,
    what: &str,
    look_up: impl Fn() -> nix::Result<Option<u32>>,
) -> Result<u32, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match look_up() {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!("--unix-owner: there is no {what} {name:?}")),
        Err(error) => Err(format!(
            "--unix-owner: looking up the {what} {name:?} failed: {error}"
        )),
    }
}
