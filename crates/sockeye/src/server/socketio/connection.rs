//! One connection: it reads the client's packets, and runs the handlers one after the other.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sockeye_proto::{CloseCode, Message};
use tokio::time::{Instant, sleep_until};

use super::{
    decoder::{Content, Decoder, Packet},
    namespace::{
        AnyNamespace, AnySocket, BoxFuture, ConnectRefusal, ConnectRequest, Connected,
        DisconnectReason, ReceivedEvent,
    },
    outgoing::{Encoded, PacketSender},
    packet::{BrokenPacket, ServerPacketKind},
    shared::SocketIoShared,
    socket_core::SocketCore,
};
use crate::{handshake::Request, time::later, websocket::WebSocket};

/// Serves one client until its connection ends.
pub(super) async fn serve(
    shared: Arc<SocketIoShared>,
    request: Arc<Request>,
    mut websocket: WebSocket,
) {
    let mut connection = Connection {
        sender: Arc::new(PacketSender::new(websocket.session().clone())),
        request,
        sockets: HashMap::new(),
        left: HashSet::new(),
        packets: VecDeque::new(),
        has_connected: false,
        is_closing: false,
        shared,
    };
    let settings = &connection.shared.settings;
    let mut decoder = Decoder::new(settings.attachment_bytes_max);
    let deadline = sleep_until(later(Instant::now(), settings.connect_timeout));
    tokio::pin!(deadline);
    let waiting_max = settings.waiting_packets_max.max(1);
    let sender = Arc::clone(&connection.sender);
    let mut running: Option<Running> = None;
    loop {
        if running.is_none() {
            running = connection.begin_ended().or_else(|| connection.begin_next());
        }
        tokio::select! {
            message = websocket.recv(), if connection.packets.len() < waiting_max => {
                let Ok(Some(message)) = message else { break };
                if connection.handle_message(&mut decoder, message).is_err() {
                    connection.close(CloseCode::PROTOCOL_ERROR);
                }
            }
            done = async { running.as_mut().expect("checked").0.as_mut().await }, if running.is_some() => {
                running = connection.handle_done(done);
            }
            // The program has ended a namespace. Its handler is next, behind the one that runs.
            () = sender.ended(), if running.is_none() => {}
            () = deadline.as_mut(), if !connection.has_connected && !connection.is_closing => {
                connection.close(CloseCode::POLICY_VIOLATION);
            }
        }
    }
    // What runs is dropped: a client that is gone amid its connect handler leaves nothing behind.
    drop(running);
    let closed = websocket.closed();
    connection
        .end(&closed.map_or(DisconnectReason::Lost, DisconnectReason::Connection))
        .await;
}

/// A handler that runs.
struct Running(BoxFuture<Done>);

/// What a handler has come to.
enum Done {
    Connect(AcceptedName, Result<Connected, ConnectRefusal>),
    Handled,
}

/// The namespace to which a client connects.
struct AcceptedName {
    namespace: Arc<dyn AnyNamespace>,
    name: Arc<str>,
}

/// The state of one connection.
struct Connection {
    shared: Arc<SocketIoShared>,
    sender: Arc<PacketSender>,
    request: Arc<Request>,
    sockets: HashMap<String, OpenSocket>,
    /// Namespaces that the client was in. Its packets for them may still be on their way.
    left: HashSet<String>,
    /// Packets that wait for a handler.
    packets: VecDeque<Packet>,
    /// Whether the client has been in a namespace.
    has_connected: bool,
    /// Whether the connection ends, and what the client sends is ignored.
    is_closing: bool,
}

struct OpenSocket {
    socket: Arc<dyn AnySocket>,
    namespace: Arc<dyn AnyNamespace>,
}

impl Connection {
    /// Takes one message. Answers pass the packets that wait for a handler, which may wait for them.
    fn handle_message(
        &mut self,
        decoder: &mut Decoder,
        message: Message<'static>,
    ) -> Result<(), BrokenPacket> {
        if self.is_closing {
            return Ok(());
        }
        let packet = match message.as_text() {
            Some(text) => decoder.handle_text(text)?,
            None => decoder.handle_binary(Bytes::copy_from_slice(message.as_bytes()))?,
        };
        let Some(packet) = packet else { return Ok(()) };
        match packet.content {
            Content::Ack {
                id,
                args,
                attachments,
            } => {
                if let Some(open) = self.sockets.get(&packet.namespace) {
                    open.socket.core().handle_ack(id, args, attachments);
                }
            }
            content => self.packets.push_back(Packet { content, ..packet }),
        }
        Ok(())
    }

    /// Closes the connection, with all its namespaces. The client connects anew.
    fn close(&mut self, code: CloseCode) {
        self.is_closing = true;
        self.packets.clear();
        self.sender.close(code);
    }

    /// Begins the handler of the next packet that has one.
    fn begin_next(&mut self) -> Option<Running> {
        while let Some(packet) = self.packets.pop_front() {
            let begun = match packet.content {
                Content::Connect(auth) => self.begin_connect(&packet.namespace, auth),
                Content::Disconnect => self.begin_disconnect(&packet.namespace),
                Content::Event {
                    name,
                    id,
                    args,
                    attachments,
                } => {
                    let event = ReceivedEvent {
                        name,
                        id,
                        args,
                        attachments,
                    };
                    self.begin_event(&packet.namespace, event)
                }
                Content::Ack { .. } => Ok(None),
            };
            match begun {
                Ok(None) => {}
                Ok(running) => return running,
                Err(BrokenPacket) => self.close(CloseCode::PROTOCOL_ERROR),
            }
        }
        None
    }

    /// Begins to tell of a socket that the program has disconnected.
    fn begin_ended(&mut self) -> Option<Running> {
        loop {
            let mut sockets = self.sockets.iter();
            let (name, _) = sockets.find(|(_, open)| !open.socket.core().is_open())?;
            let name = name.clone();
            if let Some(running) = self.leave(&name, DisconnectReason::Server) {
                return Some(running);
            }
        }
    }

    fn begin_connect(
        &mut self,
        name: &str,
        auth: Map<String, Value>,
    ) -> Result<Option<Running>, BrokenPacket> {
        if let Some(open) = self.sockets.get(name) {
            if open.socket.core().is_open() {
                return Err(BrokenPacket);
            }
            // The program has ended it, and the client comes back.
            self.packets.push_front(Packet {
                namespace: name.to_owned(),
                content: Content::Connect(auth),
            });
            return Ok(self.leave(name, DisconnectReason::Server));
        }
        let settings = &self.shared.settings;
        if self.sockets.len() >= settings.namespaces_max {
            return Err(BrokenPacket);
        }
        let dynamic_max = settings.dynamic_namespaces_max;
        let found = self.shared.namespaces.iter().find_map(|namespace| {
            let name = namespace.accept(name, dynamic_max)?;
            Some(AcceptedName {
                namespace: Arc::clone(namespace),
                name,
            })
        });
        let Some(accepted) = found else {
            self.refuse(name, &ConnectRefusal::new("Invalid namespace"));
            return Ok(None);
        };
        let name = Arc::clone(&accepted.name);
        let request = ConnectRequest::new(name, auth, Arc::clone(&self.request));
        let connecting = Arc::clone(&accepted.namespace).connect(request);
        Ok(Some(Running(Box::pin(async move {
            Done::Connect(accepted, connecting.await)
        }))))
    }

    fn begin_event(
        &mut self,
        namespace: &str,
        event: ReceivedEvent,
    ) -> Result<Option<Running>, BrokenPacket> {
        let Some(open) = self.sockets.get(namespace) else {
            return match self.left.contains(namespace) {
                true => Ok(None),
                false => Err(BrokenPacket),
            };
        };
        if !open.socket.core().is_open() {
            return Ok(None);
        }
        Ok(open.socket.event(event).map(Running::handler))
    }

    fn begin_disconnect(&mut self, name: &str) -> Result<Option<Running>, BrokenPacket> {
        match self.sockets.contains_key(name) || self.left.contains(name) {
            true => Ok(self.leave(name, DisconnectReason::Client)),
            false => Err(BrokenPacket),
        }
    }

    /// Removes the socket of a namespace. Returns its handler of the end.
    fn leave(&mut self, name: &str, reason: DisconnectReason) -> Option<Running> {
        let open = self.sockets.remove(name)?;
        let reason = match open.socket.core().end() {
            true => reason,
            false => DisconnectReason::Server,
        };
        open.namespace.clean(name);
        if self.left.len() < self.shared.settings.namespaces_max {
            self.left.insert(name.to_owned());
        }
        open.socket.disconnected(reason).map(Running::handler)
    }

    /// Handles what a handler has come to. Returns what runs next for the same packet.
    fn handle_done(&mut self, done: Done) -> Option<Running> {
        let Done::Connect(AcceptedName { namespace, name }, connected) = done else {
            return None;
        };
        let connected = match connected {
            Ok(connected) => connected,
            Err(refusal) if refusal.passes() => {
                self.close(CloseCode::TRY_AGAIN_LATER);
                return None;
            }
            Err(refusal) => {
                self.refuse(&name, &refusal);
                return None;
            }
        };
        let mut id = [0; 15];
        if getrandom::fill(&mut id).is_err() {
            self.close(CloseCode::INTERNAL_ERROR);
            return None;
        }
        let id: Arc<str> = URL_SAFE_NO_PAD.encode(id).into();
        let Connected { recovery_id, make } = connected;
        let data = match recovery_id {
            Some(pid) => json!({ "sid": &*id, "pid": pid }),
            None => json!({ "sid": &*id }),
        };
        let data = data.to_string();
        let answer = Encoded::plain(ServerPacketKind::Connect, &name, &data);
        if self.sender.send(&answer).is_err() {
            self.close(CloseCode::TRY_AGAIN_LATER);
            return None;
        }
        // From now on the socket gets broadcasts, for which the client is ready.
        let settings = &self.shared.settings;
        let core = namespace.insert(&name, &mut |rooms| {
            Arc::new(SocketCore::new(
                Arc::clone(&id),
                Arc::clone(&name),
                rooms,
                Arc::clone(&self.sender),
                Arc::clone(&self.request),
                (settings.rooms_max, settings.waiting_acks_max),
            ))
        });
        let socket = make(core);
        let running = socket.connected().map(Running::handler);
        self.left.remove(&*name);
        self.has_connected = true;
        let open = OpenSocket { socket, namespace };
        self.sockets.insert((*name).to_owned(), open);
        running
    }

    fn refuse(&self, name: &str, refusal: &ConnectRefusal) {
        let packet = Encoded::plain(ServerPacketKind::ConnectError, name, &refusal.to_json());
        if self.sender.send(&packet).is_err() {
            self.sender.close(CloseCode::TRY_AGAIN_LATER);
        }
    }

    /// Disconnects all sockets. All are gone before the first handler is told.
    async fn end(mut self, reason: &DisconnectReason) {
        let mut handlers = Vec::new();
        for (name, open) in std::mem::take(&mut self.sockets) {
            let reason = match open.socket.core().end() {
                true => reason.clone(),
                false => DisconnectReason::Server,
            };
            handlers.extend(open.socket.disconnected(reason));
            open.namespace.clean(&name);
        }
        for handler in handlers {
            handler.await;
        }
    }
}

impl Drop for Connection {
    /// Disconnects what is left, if the task is aborted or a handler panics.
    fn drop(&mut self) {
        for (name, open) in std::mem::take(&mut self.sockets) {
            open.socket.core().end();
            open.namespace.clean(&name);
        }
    }
}

impl Running {
    fn handler(handler: BoxFuture<()>) -> Self {
        Self(Box::pin(async move {
            handler.await;
            Done::Handled
        }))
    }
}
