//! WebSocket for Rust: server and client, callback style and loop style, on tokio.

mod attendant;
mod client;
mod closed;
mod drain;
mod driver;
mod endpoint;
mod error;
mod established;
mod exchange;
mod group;
mod happy_eyeballs;
mod inbox;
mod lend;
mod message_reader;
mod message_writer;
mod outbox;
mod prepared;
mod proxy;
mod request;
mod server;
mod session;
mod settings;
mod stream;
mod tls;
pub mod upgrade;
mod websocket;
mod wire;

pub use client::{Connect, Connecting, Http2, connect};
pub use closed::{Closed, Side};
pub use drain::{Drain, DrainReport};
pub use endpoint::{Endpoint, Reply};
pub use error::{Error, ErrorKind, Refused};
pub use group::Group;
pub use inbox::Control;
pub use message_reader::MessageReader;
pub use message_writer::MessageWriter;
pub use prepared::Prepared;
pub use proxy::Proxy;
pub use request::Request;
pub use server::{Origins, Refusal, Route, Server, ServerHandle};
pub use session::{Session, TrySendError};
pub use settings::Settings;
pub use sockeye_proto::{
    CloseCode, CloseFrame, Kind, Limits, Message, Role,
    extension::{Deflate, DeflateParams},
};
pub use stream::Stream;
pub use tls::{ClientTls, ServerTls};
pub use websocket::WebSocket;
