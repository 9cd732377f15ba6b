//! A namespace: what a program says of it, and its sockets.

use std::{collections::HashMap, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    args,
    broadcast::Broadcast,
    outgoing::Encoded,
    prepared::Ack,
    rooms::Rooms,
    socket::Socket,
    socket_core::{EmitError, SocketCore},
};
use crate::handshake::Request;

/// A namespace with the handlers of its events. `S` is the state of one socket, which the connect handler makes.
///
/// The handlers of one connection run one after the other, in the order of the client's packets, and each to its end before the next
/// begins. Those of different connections run at the same time. A handler that panics closes its own connection alone.
///
/// ```
/// use serde::Deserialize;
/// use sockeye::socketio::{ConnectRefusal, Namespace};
///
/// #[derive(Deserialize)]
/// struct Auth {
///     name: String,
/// }
///
/// struct User {
///     name: String,
/// }
///
/// let chat = Namespace::new("/chat", |request| async move {
///     let auth: Auth = request.auth().map_err(|_| ConnectRefusal::new("say who you are"))?;
///     Ok(User { name: auth.name })
/// })
/// .on("join", |socket, (room,): (String,)| async move { socket.join(&room).is_ok() })
/// .on("say", |socket, (room, text): (String, String)| async move {
///     let sent = socket.to(&room).emit("said", (&socket.state().name, text));
///     sent.unwrap_or_default()
/// });
/// ```
pub struct Namespace<S> {
    pattern: Pattern,
    handlers: Handlers<S>,
}

/// Which namespaces a client may name.
enum Pattern {
    Name(Arc<str>),
    Dynamic(Box<dyn Fn(&str) -> bool + Send + Sync>),
}

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type ConnectHandler<S> =
    Box<dyn Fn(ConnectRequest) -> BoxFuture<Result<S, ConnectRefusal>> + Send + Sync>;

type EventHandler<S> = Box<dyn Fn(Socket<S>, ReceivedEvent) -> BoxFuture<()> + Send + Sync>;

type RecoveryId<S> = Box<dyn Fn(&S) -> Option<String> + Send + Sync>;

type ConnectedHandler<S> = Box<dyn Fn(Socket<S>) -> BoxFuture<()> + Send + Sync>;

type DisconnectedHandler<S> =
    Box<dyn Fn(Socket<S>, DisconnectReason) -> BoxFuture<()> + Send + Sync>;

struct Handlers<S> {
    connect: ConnectHandler<S>,
    recovery_id: Option<RecoveryId<S>>,
    connected: Option<ConnectedHandler<S>>,
    events: HashMap<String, EventHandler<S>>,
    disconnected: Option<DisconnectedHandler<S>>,
}

/// A client that wants to connect to a namespace.
#[derive(Clone, Debug)]
pub struct ConnectRequest {
    namespace: Arc<str>,
    auth: Map<String, Value>,
    request: Arc<Request>,
}

/// Why a client may not connect. It gets the message and the data, and doesn't try again by itself. For what passes by itself, such as
/// too much load, there is [`ConnectRefusal::try_again`].
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRefusal {
    message: String,
    data: Option<Value>,
    /// Whether the connection is closed instead.
    passes: bool,
}

/// Why a socket is disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client has left the namespace.
    Client,
    /// The program has: [`Socket::disconnect`].
    Server,
    /// The connection has ended, in this way.
    Connection(crate::Closed),
    /// The connection has ended, and it isn't known how.
    Lost,
}

/// An event of a client.
pub(super) struct ReceivedEvent {
    pub(super) name: String,
    pub(super) id: Option<u64>,
    pub(super) args: Vec<Value>,
    pub(super) attachments: Vec<Bytes>,
}

/// The sockets of a namespace, for the program: it sends events that no client has asked for. Cheap to clone.
#[derive(Clone)]
pub struct NamespaceHandle {
    name: Arc<str>,
    rooms: Arc<Rooms<SocketCore>>,
}

impl<S: Send + Sync + 'static> Namespace<S> {
    /// Creates a namespace by its name, such as `/` or `/chat`. `connect` decides who may connect, and makes the state of a socket.
    ///
    /// # Panics
    ///
    /// If the name doesn't begin with `/`, or has a comma.
    pub fn new<F, T>(name: &str, connect: F) -> Self
    where
        F: Fn(ConnectRequest) -> T + Send + Sync + 'static,
        T: Future<Output = Result<S, ConnectRefusal>> + Send + 'static,
    {
        assert!(
            name.starts_with('/') && !name.contains(','),
            "{name:?} is not the name of a namespace"
        );
        Self::with(Pattern::Name(name.into()), connect)
    }

    /// Creates namespaces for all names that `matches` accepts. Each begins with its first socket and ends with its last.
    pub fn dynamic<F, T>(matches: impl Fn(&str) -> bool + Send + Sync + 'static, connect: F) -> Self
    where
        F: Fn(ConnectRequest) -> T + Send + Sync + 'static,
        T: Future<Output = Result<S, ConnectRefusal>> + Send + 'static,
    {
        Self::with(Pattern::Dynamic(Box::new(matches)), connect)
    }

    fn with<F, T>(pattern: Pattern, connect: F) -> Self
    where
        F: Fn(ConnectRequest) -> T + Send + Sync + 'static,
        T: Future<Output = Result<S, ConnectRefusal>> + Send + 'static,
    {
        Self {
            pattern,
            handlers: Handlers {
                connect: Box::new(move |request| Box::pin(connect(request))),
                recovery_id: None,
                connected: None,
                events: HashMap::new(),
                disconnected: None,
            },
        }
    }

    /// Sets what is done when a socket is connected, and its client knows it.
    #[must_use]
    pub fn connected<F, T>(mut self, handler: F) -> Self
    where
        F: Fn(Socket<S>) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        self.handlers.connected = Some(Box::new(move |socket| Box::pin(handler(socket))));
        self
    }

    /// Sets the handler of an event. `A` is a tuple of the arguments, or [`super::AnyArgs`]; an event with others is logged and left out.
    /// What the handler returns is the ack, if the client asks for one: a tuple or a list of arguments, or one argument.
    #[must_use]
    pub fn on<A, R, F, T>(mut self, event: &str, handler: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(Socket<S>, A) -> T + Send + Sync + 'static,
        T: Future<Output = R> + Send + 'static,
    {
        let handler: EventHandler<S> = Box::new(move |socket, received| {
            let ReceivedEvent {
                name,
                id,
                args,
                attachments,
            } = received;
            let args = match args::decode(args, attachments) {
                Ok(args) => args,
                Err(error) => {
                    tracing::debug!(%error, event = name, "an event has other arguments");
                    return Box::pin(std::future::ready(()));
                }
            };
            let answer = handler(socket.clone(), args);
            Box::pin(async move {
                let answer = answer.await;
                if let Some(id) = id {
                    acknowledge(socket.core(), id, &answer);
                }
            })
        });
        self.handlers.events.insert(event.to_owned(), handler);
        self
    }

    /// Sets the handler of an event whose answer isn't known when the handler returns, or must go out at a certain place among what
    /// else is sent: the handler, or what it leaves the [`Ack`] to, sends it. Otherwise as [`Namespace::on`].
    #[must_use]
    pub fn on_deferred<A, F, T>(mut self, event: &str, handler: F) -> Self
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(Socket<S>, A, Ack) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let handler: EventHandler<S> = Box::new(move |socket, received| {
            let ack = Ack::new(socket.core(), received.id);
            let args = match args::decode(received.args, received.attachments) {
                Ok(args) => args,
                Err(error) => {
                    tracing::debug!(%error, event = received.name, "an event has other arguments");
                    return Box::pin(std::future::ready(()));
                }
            };
            Box::pin(handler(socket, args, ack))
        });
        self.handlers.events.insert(event.to_owned(), handler);
        self
    }

    /// Sets the id with which the client of a socket comes back after its connection was lost, for a program that then recovers what the
    /// socket has missed. The client sends it as `pid` in its auth, with the last argument of its last event as `offset` if that was a
    /// text, and takes the new connection for a recovered one if it gets the same id again. Clients other than JavaScript's ignore it.
    #[must_use]
    pub fn recovery_id<F>(mut self, id: F) -> Self
    where
        F: Fn(&S) -> Option<String> + Send + Sync + 'static,
    {
        self.handlers.recovery_id = Some(Box::new(id));
        self
    }

    /// Sets what is done when a socket is disconnected. It has left its rooms then.
    #[must_use]
    pub fn disconnected<F, T>(mut self, handler: F) -> Self
    where
        F: Fn(Socket<S>, DisconnectReason) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        self.handlers.disconnected = Some(Box::new(move |socket, reason| {
            Box::pin(handler(socket, reason))
        }));
        self
    }
}

/// Sends what a handler has returned. A client whose outbox is full loses its connection, since it would wait for the answer.
fn acknowledge(socket: &SocketCore, id: u64, answer: &impl Serialize) {
    match Encoded::ack(&socket.namespace, id, answer) {
        Ok(packet) => {
            if let Err(EmitError::Full) = socket.send(&packet) {
                socket
                    .sender
                    .close(sockeye_proto::CloseCode::TRY_AGAIN_LATER);
            }
        }
        Err(error) => tracing::error!(%error, "an answer can't be sent"),
    }
}

/// A namespace whose state has any type.
pub(super) trait AnyNamespace: Send + Sync {
    /// Returns the name, if a client may name this namespace so.
    fn accept(&self, name: &str, dynamic_max: usize) -> Option<Arc<str>>;

    /// Returns the sockets of a namespace that isn't dynamic.
    fn handle(&self, name: &str) -> Option<NamespaceHandle>;

    /// Adds the socket that `make` makes with the table of its namespace.
    fn insert(
        &self,
        name: &Arc<str>,
        make: &mut dyn FnMut(Arc<Rooms<SocketCore>>) -> Arc<SocketCore>,
    ) -> Arc<SocketCore>;

    /// Forgets a dynamic namespace without sockets.
    fn clean(&self, name: &str);

    fn connect(
        self: Arc<Self>,
        request: ConnectRequest,
    ) -> BoxFuture<Result<Connected, ConnectRefusal>>;
}

/// A client that may connect.
pub(super) struct Connected {
    /// What the client comes back with.
    pub(super) recovery_id: Option<String>,
    pub(super) make: MakeSocket,
}

/// Makes the socket of a client that may connect.
pub(super) type MakeSocket = Box<dyn FnOnce(Arc<SocketCore>) -> Arc<dyn AnySocket> + Send>;

/// A socket whose state has any type.
pub(super) trait AnySocket: Send + Sync {
    fn core(&self) -> &Arc<SocketCore>;

    fn connected(&self) -> Option<BoxFuture<()>>;

    fn event(&self, event: ReceivedEvent) -> Option<BoxFuture<()>>;

    fn disconnected(&self, reason: DisconnectReason) -> Option<BoxFuture<()>>;
}

/// A namespace that serves.
pub(super) struct ServedNamespace<S> {
    pattern: Pattern,
    handlers: Arc<Handlers<S>>,
    /// By name. A namespace that isn't dynamic is always there.
    tables: Mutex<HashMap<Arc<str>, Arc<Rooms<SocketCore>>>>,
}

struct TypedSocket<S> {
    socket: Socket<S>,
    handlers: Arc<Handlers<S>>,
}

impl<S: Send + Sync + 'static> ServedNamespace<S> {
    pub(super) fn new(namespace: Namespace<S>) -> Self {
        let mut tables = HashMap::new();
        if let Pattern::Name(name) = &namespace.pattern {
            tables.insert(Arc::clone(name), Arc::default());
        }
        Self {
            pattern: namespace.pattern,
            handlers: Arc::new(namespace.handlers),
            tables: Mutex::new(tables),
        }
    }
}

impl<S: Send + Sync + 'static> AnyNamespace for ServedNamespace<S> {
    fn accept(&self, name: &str, dynamic_max: usize) -> Option<Arc<str>> {
        match &self.pattern {
            Pattern::Name(own) => (**own == *name).then(|| Arc::clone(own)),
            Pattern::Dynamic(matches) => {
                let accepted = matches(name).then(|| Arc::from(name));
                let tables = self.tables.lock();
                accepted.filter(|_| tables.contains_key(name) || tables.len() < dynamic_max)
            }
        }
    }

    fn handle(&self, name: &str) -> Option<NamespaceHandle> {
        let Pattern::Name(own) = &self.pattern else {
            return None;
        };
        let tables = self.tables.lock();
        let rooms = (**own == *name).then(|| tables.get(name))??;
        Some(NamespaceHandle {
            name: Arc::clone(own),
            rooms: Arc::clone(rooms),
        })
    }

    fn insert(
        &self,
        name: &Arc<str>,
        make: &mut dyn FnMut(Arc<Rooms<SocketCore>>) -> Arc<SocketCore>,
    ) -> Arc<SocketCore> {
        // The table's lock is held, so that nobody forgets a namespace between its making and its first socket.
        let mut tables = self.tables.lock();
        let rooms = tables.entry(Arc::clone(name)).or_default();
        let socket = make(Arc::clone(rooms));
        rooms.insert(&socket.id, &socket);
        socket
    }

    fn clean(&self, name: &str) {
        if let Pattern::Dynamic(_) = self.pattern {
            let mut tables = self.tables.lock();
            if tables.get(name).is_some_and(|rooms| rooms.len() == 0) {
                tables.remove(name);
            }
        }
    }

    fn connect(
        self: Arc<Self>,
        request: ConnectRequest,
    ) -> BoxFuture<Result<Connected, ConnectRefusal>> {
        let handlers = Arc::clone(&self.handlers);
        let connecting = (handlers.connect)(request);
        Box::pin(async move {
            let state = Arc::new(connecting.await?);
            let recovery_id = handlers.recovery_id.as_ref();
            Ok(Connected {
                recovery_id: recovery_id.and_then(|id| id(&state)),
                make: Box::new(move |core| {
                    Arc::new(TypedSocket {
                        socket: Socket::new(core, state),
                        handlers,
                    })
                }),
            })
        })
    }
}

impl<S: Send + Sync + 'static> AnySocket for TypedSocket<S> {
    fn core(&self) -> &Arc<SocketCore> {
        self.socket.core()
    }

    fn connected(&self) -> Option<BoxFuture<()>> {
        let handler = self.handlers.connected.as_ref()?;
        Some(handler(self.socket.clone()))
    }

    fn event(&self, event: ReceivedEvent) -> Option<BoxFuture<()>> {
        let handler = self.handlers.events.get(&event.name)?;
        Some(handler(self.socket.clone(), event))
    }

    fn disconnected(&self, reason: DisconnectReason) -> Option<BoxFuture<()>> {
        let handler = self.handlers.disconnected.as_ref()?;
        Some(handler(self.socket.clone(), reason))
    }
}

impl NamespaceHandle {
    /// Returns the namespace's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins a broadcast to a room.
    pub fn to(&self, room: &str) -> Broadcast {
        self.all().to(room)
    }

    /// Begins a broadcast to the whole namespace.
    pub fn all(&self) -> Broadcast {
        Broadcast::new(Arc::clone(&self.rooms), Arc::clone(&self.name))
    }

    /// Returns how many sockets are connected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Returns whether no socket is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ConnectRequest {
    pub(super) fn new(
        namespace: Arc<str>,
        auth: Map<String, Value>,
        request: Arc<Request>,
    ) -> Self {
        Self {
            namespace,
            auth,
            request,
        }
    }

    /// Returns the name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns what the client has sent as `auth`; an empty object if it has sent nothing.
    ///
    /// # Errors
    ///
    /// It isn't an `A`.
    pub fn auth<A: DeserializeOwned>(&self) -> Result<A, serde_json::Error> {
        serde_json::from_value(Value::Object(self.auth.clone()))
    }

    /// Returns the request that opened the connection, with the client's address and what [`crate::Route::authorize`] has left.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }
}

impl ConnectRefusal {
    /// Refuses with a message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
            passes: false,
        }
    }

    /// Refuses for a reason that passes: the connection is closed, with all its namespaces, and the client connects anew after a while. It
    /// isn't told why.
    #[must_use]
    pub fn try_again() -> Self {
        Self {
            passes: true,
            ..Self::new("")
        }
    }

    pub(super) fn passes(&self) -> bool {
        self.passes
    }

    /// Adds data for the client: `error.data` there.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// Returns the packet's data. They are always an object: io.socket for Java fails with anything else.
    pub(super) fn to_json(&self) -> String {
        let mut fields = Map::new();
        fields.insert("message".to_owned(), json!(self.message));
        if let Some(data) = &self.data {
            fields.insert("data".to_owned(), data.clone());
        }
        Value::Object(fields).to_string()
    }
}

impl<S> fmt::Debug for Namespace<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.pattern {
            Pattern::Name(name) => name,
            Pattern::Dynamic(_) => "(dynamic)",
        };
        f.debug_struct("Namespace")
            .field("name", &name)
            .field("events", &self.handlers.events.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NamespaceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NamespaceHandle").field(&self.name).finish()
    }
}
