//! The sockets of a server that is about to start, and what accepts on them.

use std::{io, net::SocketAddr, num::NonZero, path::PathBuf, time::Duration};

use crate::{
    error::{Error, ErrorKind},
    server::{
        first_request::AcceptSettings,
        listen::{Bound, Listen, Listener, SocketOwner},
        listening::{Listening, LocalAddr},
        worker::Acceptor,
    },
};

/// All that a server listens on.
pub(super) struct Bindings {
    pub(super) listening: Listening,
    /// The accept loops on tokio.
    pub(super) listeners: Vec<Listener>,
    /// Those of each worker.
    pub(super) acceptors: Vec<Vec<Acceptor>>,
    pub(super) local_addrs: Vec<SocketAddr>,
    pub(super) unix_paths: Vec<PathBuf>,
}

impl Bindings {
    pub(super) async fn bind(
        listens: Vec<Listen>,
        workers: NonZero<usize>,
        keepalive: Option<Duration>,
    ) -> Result<Self, Error> {
        let mut all = Self {
            listening: Listening::default(),
            listeners: Vec::new(),
            acceptors: Vec::new(),
            local_addrs: Vec::with_capacity(listens.len()),
            unix_paths: Vec::new(),
        };
        all.acceptors.resize_with(workers.get(), Vec::new);
        for listen in listens {
            let is_for_workers = listen.is_for_workers();
            for mut bound in listen.bind(workers).await? {
                match &bound.local_addr {
                    LocalAddr::Tcp(addr) => all.local_addrs.push(*addr),
                    LocalAddr::Unix(path) => all.unix_paths.extend(path.clone()),
                }
                if bound.owner == SocketOwner::Server {
                    let file = bound.file.take();
                    let added = all.listening.add(&bound.sockets, file);
                    added.map_err(|error| cannot_listen(&bound.local_addr, error))?;
                }
                match is_for_workers {
                    true => distribute_sockets(bound, keepalive, &mut all.acceptors)?,
                    false => all.listeners.extend(listeners_of(bound)?),
                }
            }
        }
        Ok(all)
    }
}

fn cannot_listen(local_addr: &LocalAddr, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot listen on {local_addr}")).with_source(error)
}

/// Gives each worker one of the sockets, as long as there are sockets.
fn distribute_sockets(
    bound: Bound,
    keepalive: Option<Duration>,
    acceptors: &mut [Vec<Acceptor>],
) -> Result<(), Error> {
    let local_addr = bound.local_addr;
    for (socket, acceptors) in bound.sockets.into_iter().zip(acceptors) {
        let acceptor = Acceptor::new(socket, local_addr.clone(), keepalive)
            .map_err(|error| cannot_listen(&local_addr, error))?;
        acceptors.push(acceptor);
    }
    Ok(())
}

/// Returns an accept loop on tokio for each socket.
fn listeners_of(bound: Bound) -> Result<Vec<Listener>, Error> {
    let Bound {
        local_addr,
        tls,
        preface,
        sockets,
        owner: _,
        file: _,
    } = bound;
    let accept_settings = AcceptSettings { preface, tls };
    sockets
        .into_iter()
        .map(|socket| {
            Listener::new(socket, accept_settings.clone(), local_addr.clone())
                .map_err(|error| cannot_listen(&local_addr, error))
        })
        .collect()
}
