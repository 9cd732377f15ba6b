//! Socket.IO on one path.

use std::{fmt, sync::Arc};

use sockeye_proto::Role;
use tokio::io::duplex;

use super::{
    client::TestClient,
    connection::serve,
    namespace::{AnyNamespace, Namespace, NamespaceHandle, ServedNamespace},
    settings::SocketIoSettings,
    shared::SocketIoShared,
};
use crate::{
    error::Error,
    handshake::Request,
    server::{engineio::EngineIo, route::Route},
    settings::Settings,
    websocket::WebSocket,
};

/// Namespaces that clients reach by Socket.IO 5: the client library of most pages, npm `socket.io-client` from version 3 on. For
/// [`crate::Server::socketio`].
///
/// ```no_run
/// use sockeye::{Server, socketio::{Namespace, SocketIo}};
///
/// # async fn example() -> Result<(), sockeye::Error> {
/// let echo = Namespace::new("/", |_request| async { Ok(()) })
///     .on("echo", |_socket, (text,): (String,)| async move { text });
/// let socketio = SocketIo::new().namespace(echo);
/// Server::bind("127.0.0.1:8080").socketio("/socket.io", socketio).serve().await
/// # }
/// ```
pub struct SocketIo {
    namespaces: Vec<Arc<dyn AnyNamespace>>,
    settings: SocketIoSettings,
}

impl SocketIo {
    /// Creates Socket.IO without a namespace.
    #[must_use]
    pub fn new() -> Self {
        Self {
            namespaces: Vec::new(),
            settings: SocketIoSettings::default(),
        }
    }

    /// Adds a namespace. The first one that has a name, or matches it, counts.
    #[must_use]
    pub fn namespace<S: Send + Sync + 'static>(mut self, namespace: Namespace<S>) -> Self {
        self.namespaces
            .push(Arc::new(ServedNamespace::new(namespace)));
        self
    }

    /// Sets how Socket.IO is served. Default: [`SocketIoSettings::default`].
    #[must_use]
    pub fn settings(mut self, settings: SocketIoSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Returns the sockets of a namespace, to send events that no client has asked for. `None` if there is none by this name, and for
    /// dynamic ones, whose sockets have [`super::Socket::broadcast`].
    #[must_use]
    pub fn handle(&self, name: &str) -> Option<NamespaceHandle> {
        let mut namespaces = self.namespaces.iter();
        namespaces.find_map(|namespace| namespace.handle(name))
    }

    /// Makes the Engine.IO that carries it, for [`crate::Server::mount_engineio`]. `adjust` sets who may connect: origins, `identify`,
    /// `authorize`.
    pub fn mount(self, path: impl Into<String>, adjust: impl FnOnce(Route) -> Route) -> EngineIo {
        let engine = self.settings.engine.clone();
        let shared = self.into_shared();
        let route = Route::conversation(path, move |request, websocket| {
            serve(Arc::clone(&shared), request, websocket)
        });
        EngineIo::new(adjust(route)).settings(engine)
    }

    /// Returns a server in memory, for tests.
    #[must_use]
    pub fn in_memory(self) -> InMemory {
        InMemory(self.into_shared())
    }

    fn into_shared(self) -> Arc<SocketIoShared> {
        Arc::new(SocketIoShared {
            namespaces: self.namespaces,
            settings: self.settings,
        })
    }
}

/// Namespaces without a server, for tests: clients connect in memory. Time is tokio's, which a test can pause.
pub struct InMemory(Arc<SocketIoShared>);

impl InMemory {
    /// Opens a connection, which is in no namespace yet.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn connect(&self) -> Result<TestClient, Error> {
        let (ours, theirs) = duplex(IN_MEMORY_BYTES);
        let settings = Settings {
            heartbeat: None,
            ..Settings::default()
        };
        let served = WebSocket::from_stream(theirs, Role::Server, settings.clone())?;
        let shared = Arc::clone(&self.0);
        tokio::spawn(serve(shared, Arc::new(Request::default()), served));
        let websocket = WebSocket::from_stream(ours, Role::Client, settings)?;
        Ok(TestClient::new(websocket))
    }
}

/// Bytes that wait between a client in memory and its server, in each direction.
const IN_MEMORY_BYTES: usize = 64 << 10;

impl Default for SocketIo {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SocketIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIo")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}
