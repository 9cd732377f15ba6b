//! The namespace of the hub: what a client sends, as commands.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use sockeye::{
    CloseCode, EngineIo,
    socketio::{
        Ack, AnyArgs, ConnectRefusal, ConnectRequest, DisconnectReason, Namespace, Socket, SocketIo,
    },
};
use sockeye_hub::{
    Client, ConnectionInfo, Disconnect, ErrorCode, Node,
    wire::{
        self, Command, ConnectResult, HistoryRequest, PresenceRequest, PresenceStatsRequest,
        PublishRequest, RefreshRequest, RpcRequest, SubRefreshRequest, SubscribeRequest,
        UnsubscribeRequest,
    },
};

use super::{
    arguments::{Arguments, Auth, BadArguments, HistoryOptions, SubscribeOptions, app_data},
    link::{CONNECT_ID, ConnectFailure, ENCODING, Effect, Link, NAMESPACE, Waiter},
    output,
    recovery::{Bringing, Recoverable, Recoveries},
    settings::SocketIoTransportSettings,
    transport::SocketIoTransport,
};
use crate::transport::request_fields::request_fields;

/// Makes the path by which clients of Socket.IO reach `node`, in namespace `/`.
///
/// ```
/// use sockeye::Server;
/// use sockeye_hub::{Node, namespace::{ChannelConfig, Namespaces}};
/// use sockeye_server::transport::{SocketIoTransportSettings, socketio_mount};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let node = Node::builder(Namespaces::new(ChannelConfig::default())?).start();
/// let mount = socketio_mount(&node, "/socket.io", SocketIoTransportSettings::default());
/// let server = Server::bind("127.0.0.1:0").mount_engineio(mount);
/// # drop(server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use]
pub fn socketio_mount(node: &Node, path: &str, settings: SocketIoTransportSettings) -> EngineIo {
    let SocketIoTransportSettings {
        mut settings,
        socketio,
        queue_max_size,
        recovery,
        origins,
    } = settings;
    settings.outbox_bytes_max = queue_max_size;
    // So that the hub knows a drain from other ends.
    settings.drain_close = Some((shutdown_code(), "shutdown"));
    let hub = Arc::new(Hub {
        node: node.clone(),
        queue_max_size,
        recoveries: recovery.map(|max_time| Arc::new(Recoveries::new(node, max_time))),
    });
    let namespace = Namespace::new(NAMESPACE, move |request| connect(Arc::clone(&hub), request))
        .recovery_id(|socket: &HubSocket| Some(socket.recoverable.as_ref()?.pid.to_string()))
        .connected(|socket: Socket<HubSocket>| async move { socket.state().open(&socket) })
        .disconnected(|socket, reason| async move { socket.state().handle_ended(&reason).await });
    SocketIo::new()
        .namespace(with_commands(namespace))
        .settings(socketio)
        .mount(path, |route| {
            route
                .settings(settings)
                .origins(origins)
                .origin_advice("add {origin} to client.allowed_origins")
        })
}

/// What the sockets have in common.
struct Hub {
    node: Node,
    queue_max_size: usize,
    /// `None`: clients don't come back.
    recoveries: Option<Arc<Recoveries>>,
}

/// The state of one socket: a client of the hub.
struct HubSocket {
    client: Arc<Client>,
    link: Arc<Link>,
    /// What the hub has answered, until the client is told.
    connected: Mutex<Option<Box<ConnectResult>>>,
    /// `Some` if the client may come back.
    recoverable: Option<Arc<Recoverable>>,
}

/// Adds the events that clients send.
fn with_commands(namespace: Namespace<HubSocket>) -> Namespace<HubSocket> {
    let commands: [(&str, MakeCommand); 9] = [
        ("subscribe", subscribe),
        ("unsubscribe", unsubscribe),
        ("publish", publish),
        ("presence", presence),
        ("presence_stats", presence_stats),
        ("history", history),
        ("refresh", refresh),
        ("sub_refresh", sub_refresh),
        ("rpc", rpc),
    ];
    commands
        .into_iter()
        .fold(namespace, |namespace, (event, make)| {
            namespace.on_deferred(
                event,
                move |socket: Socket<HubSocket>, args: AnyArgs, ack: Ack| async move {
                    match make(&mut Arguments::new(args)) {
                        Ok(command) => socket.state().handle_command(command, ack).await,
                        Err(BadArguments) => {
                            // A client that can't take the answer is closed by what follows.
                            let _ = ack.send_json(output::error_ack(&ErrorCode::BadRequest.into()));
                        }
                    }
                },
            )
        })
}

/// Makes a command of an event's arguments.
type MakeCommand = fn(&mut Arguments) -> Result<Command, BadArguments>;

/// Asks the hub whether a client may connect.
async fn connect(hub: Arc<Hub>, request: ConnectRequest) -> Result<HubSocket, ConnectRefusal> {
    let Ok(auth) = request.auth::<Auth>() else {
        let error = ConnectFailure::Error(ErrorCode::BadRequest.into());
        return Err(refusal(error));
    };
    let (link, decision) = Link::new(hub.queue_max_size);
    let link = Arc::new(link);
    let info = ConnectionInfo {
        headers: request_fields(request.request().headers()),
        credentials: None,
    };
    let transport = SocketIoTransport(Arc::clone(&link));
    // Closes the client if this future is dropped.
    let mut socket = HubSocket {
        client: hub.node.open(transport, info),
        link,
        connected: Mutex::default(),
        recoverable: None,
    };
    socket.send(&Command {
        id: CONNECT_ID,
        connect: Some(wire::ConnectRequest {
            token: auth.token,
            data: app_data(&auth.data),
            name: auth.name,
            version: auth.version,
            ..wire::ConnectRequest::default()
        }),
        ..Command::default()
    });
    match decision.await {
        Ok(Ok(connected)) => {
            if let Some(recoveries) = &hub.recoveries {
                let bringing = Bringing {
                    pid: auth.pid.as_str(),
                    text: auth.offset.as_str(),
                    has_server_side: connected.subs.values().next().is_some(),
                };
                let begun = recoveries.begin(&socket.client, &socket.link, bringing);
                socket.recoverable = begun.await;
            }
            *socket.connected.lock() = Some(Box::new(connected));
            Ok(socket)
        }
        Ok(Err(failure)) => Err(refusal(failure)),
        Err(_) => Err(ConnectRefusal::try_again()),
    }
}

/// Returns what a client is told that the hub doesn't let in. Clients don't come back by themselves after a refusal, so what passes ends
/// the connection instead.
fn refusal(failure: ConnectFailure) -> ConnectRefusal {
    let (code, message, passes) = match &failure {
        ConnectFailure::Error(error) => (error.code, &*error.message, error.temporary),
        ConnectFailure::Disconnect(disconnect) => (
            u32::from(disconnect.code()),
            disconnect.reason(),
            disconnect.reconnects(),
        ),
    };
    match passes {
        true => ConnectRefusal::try_again(),
        false => ConnectRefusal::new(message).with_data(json!({ "code": code })),
    }
}

impl HubSocket {
    /// Begins to send to the client.
    fn open(&self, socket: &Socket<Self>) {
        if let Some(connected) = self.connected.lock().take() {
            let recoverable = self.recoverable.as_ref();
            if connected.subs.values().next().is_some() {
                // They can't be repeated.
                self.link.lose_positions();
            }
            let is_recovered = recoverable.is_some_and(|recoverable| recoverable.is_recovered);
            let event = output::connected_event(*connected, is_recovered);
            let missed = recoverable.map(|recoverable| recoverable.take_missed());
            let missed = missed.unwrap_or_default();
            self.link.open(socket.sender(), event, missed);
        }
    }

    async fn handle_command(&self, mut command: Command, ack: Ack) {
        let effect = Effect::of(&command, self.recoverable.as_ref(), &self.link).await;
        command.id = self.link.expect(Waiter::Client(ack, effect));
        self.send(&command);
    }

    fn send(&self, command: &Command) {
        let mut frame = Vec::new();
        // Only a filter can fail, and there is none.
        if ENCODING.encode_command(command, &mut frame).is_ok() {
            self.client.handle_frame(frame.into());
        }
    }

    async fn handle_ended(&self, reason: &DisconnectReason) {
        let drained = match reason {
            DisconnectReason::Connection(closed) => closed.sent == Some(shutdown_code()),
            _ => false,
        };
        let disconnect = self.link.disconnect();
        let is_final = disconnect.as_ref().is_some_and(|ended| !ended.reconnects());
        match disconnect {
            Some(disconnect) => self.client.close_ended(&disconnect),
            None if drained => self.client.close_ended(&Disconnect::SHUTDOWN),
            None => self.client.close(),
        }
        if let Some(recoverable) = &self.recoverable
            && (is_final || *reason == DisconnectReason::Client)
        {
            recoverable.forget().await;
        }
    }
}

impl Drop for HubSocket {
    /// Closes the client, also if the connection ends before it is connected.
    fn drop(&mut self) {
        self.client.close();
    }
}

fn shutdown_code() -> CloseCode {
    CloseCode::new(Disconnect::SHUTDOWN.code())
}

fn subscribe(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    let channel = arguments.next()?;
    let options: SubscribeOptions = arguments.optional()?;
    let mut request = SubscribeRequest {
        channel,
        token: options.token,
        data: app_data(&options.data),
        // Where the channel has them. A page that doesn't need them can leave the events without a handler.
        positioned: true,
        recoverable: true,
        join_leave: true,
        ..SubscribeRequest::default()
    };
    if let Some(since) = options.since {
        request.recover = true;
        request.offset = since.offset;
        request.epoch = since.epoch;
    }
    Ok(Command {
        subscribe: Some(request),
        ..Command::default()
    })
}

fn unsubscribe(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        unsubscribe: Some(UnsubscribeRequest {
            channel: arguments.next()?,
        }),
        ..Command::default()
    })
}

fn publish(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        publish: Some(PublishRequest {
            channel: arguments.next()?,
            data: arguments.payload()?,
            ..PublishRequest::default()
        }),
        ..Command::default()
    })
}

fn presence(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        presence: Some(PresenceRequest {
            channel: arguments.next()?,
        }),
        ..Command::default()
    })
}

fn presence_stats(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        presence_stats: Some(PresenceStatsRequest {
            channel: arguments.next()?,
        }),
        ..Command::default()
    })
}

fn history(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    let channel = arguments.next()?;
    let options: HistoryOptions = arguments.optional()?;
    Ok(Command {
        history: Some(HistoryRequest {
            channel,
            limit: options.limit,
            since: options.since.map(Into::into),
            reverse: options.reverse,
        }),
        ..Command::default()
    })
}

fn refresh(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        refresh: Some(RefreshRequest {
            token: arguments.next()?,
        }),
        ..Command::default()
    })
}

fn sub_refresh(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        sub_refresh: Some(SubRefreshRequest {
            channel: arguments.next()?,
            token: arguments.next()?,
            ..SubRefreshRequest::default()
        }),
        ..Command::default()
    })
}

fn rpc(arguments: &mut Arguments) -> Result<Command, BadArguments> {
    Ok(Command {
        rpc: Some(RpcRequest {
            method: arguments.next()?,
            data: arguments.optional_payload()?,
        }),
        ..Command::default()
    })
}
