//! WebSocket for Rust: server and client, callback style and loop style, on tokio.

mod closed;
mod endpoint;
mod error;
mod established;
mod request;
mod session;
mod settings;
mod stream;
mod websocket;

pub use closed::{Closed, Side};
pub use endpoint::{Endpoint, Reply};
pub use error::{Error, ErrorKind, Refused};
pub use request::Request;
pub use session::Session;
pub use settings::Settings;
pub use sockeye_proto::{CloseCode, Kind, Limits, Message, Role, extension::Deflate};
pub use stream::Stream;
pub use websocket::WebSocket;
