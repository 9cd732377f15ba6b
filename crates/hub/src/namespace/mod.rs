//! Channels: what a channel's name says, and which options it has.
//!
//! ```text
//!   $chat:room#ann,bob
//!   │└┬─┘     └──┬──┘
//!   │ namespace  users that the name admits
//!   private: subscribing needs a token
//! ```
//!
//! [`Namespaces`] is made once from a [`ChannelConfig`], which it checks, and answers what a name means from then on.
//! Options and separators have the names that Centrifugo 6 gives them.
//!
//! ```
//! use std::time::Duration;
//! use sockeye_hub::namespace::{ChannelConfig, ChannelOptions, Namespace, Namespaces};
//!
//! let options = ChannelOptions {
//!     history_size: 100,
//!     history_ttl: Duration::from_secs(300),
//!     force_recovery: true,
//!     ..ChannelOptions::default()
//! };
//! let namespaces = Namespaces::new(ChannelConfig {
//!     namespaces: vec![Namespace { name: "chat".to_owned(), options }],
//!     ..ChannelConfig::default()
//! })?;
//! assert_eq!(namespaces.resolve("chat:room").unwrap().options.history_size, 100);
//! assert_eq!(namespaces.resolve("news").unwrap().options.history_size, 0);
//! # Ok::<_, sockeye_hub::namespace::ConfigError>(())
//! ```

mod check;
mod error;
mod map_options;
mod names;
mod namespaces;
mod options;
mod resolved;

pub use error::ConfigError;
pub use map_options::{ClientKeySource, MapMode, MapOptions, SubscriptionType};
pub use names::ChannelNames;
pub use namespaces::{ChannelConfig, Namespace, Namespaces};
pub use options::{
    ChannelOptions, DeltaType, Membership, PublicationDataFormat, RecoveryMode, SlowReader,
};
pub use resolved::{AllowedUsers, ResolvedChannel, UnresolvedChannel};
