//! The WebSocket protocol (RFC 6455, RFC 7692) as a state machine.
//!
//! What it is:
//! - bytes in, events and bytes out, for both roles;
//! - strict: every MUST of the two RFCs is checked, and every refusal has a close code or an HTTP status;
//! - bounded: everything that a peer can make grow has a named limit ([`Limits`]).
//!
//! What it is not:
//! - not an I/O library: sockets, clocks, tasks and random numbers belong to the caller and are arguments here;
//! - not an HTTP library: it reads and writes the one request and the one response of a handshake ([`handshake`]).
//!
//! ```text
//!   network                                                                        application
//!   bytes ──> decoder ──> frame ──> assembler (inflate, UTF-8) ──> message ──> Event
//!   bytes <── encoder <── frame <── (deflate) <── message / ping / close
//! ```
//!
//! [`Connection`] joins the two directions. A driver that holds them under different locks uses [`Receiver`] and
//! [`Sender`]; what such a driver needs to be fast is in [`driver`].
//!
//! Cargo features, both on by default:
//! - `std` picks SIMD at run time for UTF-8 validation; without it the crate is `no_std` + `alloc`;
//! - `deflate` is permessage-deflate (RFC 7692); without it no client offers the extension, every server declines it, and
//!   zlib-rs is not built.
//!
//! Both ends of a WebSocket, without a network between them:
//!
//! ```
//! use sockeye_proto::{CloseCode, Connection, Event, Input, Limits, Message};
//!
//! let mut client = Connection::client(Limits::default(), None, [7; 32]);
//! let mut server = Connection::server(Limits::default(), None);
//!
//! client.send(&Message::from("hello"))?;
//! client.close(CloseCode::NORMAL, "")?;
//! let mut bytes = Vec::new();
//! client.poll_transmit(&mut bytes);
//!
//! let mut input = Input::new(&mut bytes);
//! assert_eq!(server.poll_event(&mut input)?, Some(Event::Message("hello".into())));
//! assert!(matches!(server.poll_event(&mut input)?, Some(Event::Close(_))));
//! assert_eq!(server.poll_event(&mut input)?, None);
//! assert!(server.is_closed());
//! assert_eq!(server.close_code(), Some(CloseCode::NORMAL));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/protocol.rs` of the repository is a complete echo server on `std::net::TcpStream`, handshake included.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod setters;

mod close;
mod error;
mod limits;
mod message;
mod payload;
mod printable;
mod role;

mod frame;
mod mask;
mod utf8;

mod decoder;
mod encoder;

mod assembler;
mod event;
mod unfinished;

mod receiver;
mod sender;

mod connection;

pub mod extension;
pub mod handshake;

mod backoff;
mod heartbeat;

pub mod driver;

pub use assembler::Delivery;
pub use backoff::Backoff;
pub use close::CloseCode;
pub use connection::Connection;
pub use decoder::Input;
pub use error::{ProtocolError, Violation};
pub use event::{CloseFrame, Event, Part};
pub use heartbeat::{Heartbeat, HeartbeatAction, HeartbeatConfig, Pong, ReadState};
pub use limits::Limits;
pub use message::{Message, MessageKind};
pub use payload::{Binary, Text};
pub use printable::Printable;
pub use receiver::Receiver;
pub use role::Role;
pub use sender::{SendError, Sender};
pub use unfinished::Pace;
