//! The keys of the hub's clients: their tokens, times and limits.

use clap::Args;

use crate::config::{
    Bytes, Count, HttpUrl, LongPeriod, Number, Period, PublicKey, Section, Switch, Text,
    TokenSecret, WebOrigin,
};

/// The section of clients.
#[derive(Clone, Debug)]
pub(crate) struct InClient;

impl Section for InClient {
    const PATH: &'static str = "client";
}

/// The section of the tokens of connections.
#[derive(Clone, Debug)]
pub(crate) struct InToken;

impl Section for InToken {
    const PATH: &'static str = "client.token";
}

/// The section of the tokens of subscriptions.
#[derive(Clone, Debug)]
pub(crate) struct InSubscriptionToken;

impl Section for InSubscriptionToken {
    const PATH: &'static str = "client.subscription_token";
}

/// The section of personal channels.
#[derive(Clone, Debug)]
pub(crate) struct InPersonalChannel;

impl Section for InPersonalChannel {
    const PATH: &'static str = "client.subscribe_to_user_personal_channel";
}

/// How clients are treated.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClientKeys {
    /// Origins of web pages that can connect. May be given many times. Default: pages of the same host alone. Clients that
    /// are no web pages send none, and can always connect
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) allowed_origins: Vec<WebOrigin>,

    /// Let clients connect without a token, as anonymous. A token that a client has is checked all the same
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) allow_anonymous_connect_without_token: Switch,

    /// Refuse tokens without a user. Such clients are ended with 3507
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) disallow_anonymous_connection_tokens: Switch,

    /// Tell clients the server's time (milliseconds since 1970) when they connect
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) connect_include_server_time: Switch,

    /// Let everybody connect, subscribe, publish, and read history and presence. For development only. A token that a
    /// client has is checked all the same
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) insecure: Switch,

    /// Time between two pings of a client. The first comes after half of it to all of it
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) ping_interval: Period,

    /// Time in which a client must answer a ping, or it is ended with 3012
    #[arg(long, value_name = "TIME", default_value = "8s")]
    pub(crate) pong_timeout: Period,

    /// Time in which a client must have sent its connect command, or it is ended with 3502
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) stale_close_delay: Period,

    /// Time after the expiry of a connection in which it can still be refreshed; then it is ended with 3005
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) expired_close_delay: Period,

    /// Time after the expiry of a subscription in which it can still be refreshed; then its client is ended with 3006
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) expired_sub_close_delay: Period,

    /// Most channels that one client can be subscribed to. Beyond it subscribing fails with error 106
    #[arg(long, value_name = "COUNT", default_value = "128")]
    pub(crate) channel_limit: Count,

    /// Most connections of one user. Beyond it a new one is ended with 3504. 0: no limit. Anonymous clients have none
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub(crate) user_connection_limit: Number,

    /// Commands of one client that are carried out at the same time. Those about one channel keep their order
    #[arg(long, value_name = "COUNT", default_value = "8")]
    pub(crate) concurrency: Count,

    /// Commands of one client that may wait for others of its own. Beyond it the client is ended with 3013
    #[arg(long, value_name = "COUNT", default_value = "1024")]
    pub(crate) commands_waiting_max: Count,

    /// Bytes of the commands of one client that may wait for others of its own. Beyond it the client is ended with 3013
    #[arg(long, value_name = "SIZE", default_value = "2MiB")]
    pub(crate) command_bytes_waiting_max: Bytes,

    /// Most bytes that wait for a client that reads slowly. Beyond it the client is ended with 3008, and recovers
    /// when it comes back
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    pub(crate) queue_max_size: Bytes,

    /// Most publications that a recovery delivers. A client that has missed more is not recovered
    #[arg(long, value_name = "COUNT", default_value = "300")]
    pub(crate) recovery_max_publication_limit: Count,

    /// Most publications in one answer to a client that asks for the history
    #[arg(long, value_name = "COUNT", default_value = "300")]
    pub(crate) history_max_publication_limit: Count,

    /// Most bytes of publications in one answer: of a recovery, of all recoveries in one connect command, of the history. Who
    /// has missed more is not recovered; the history comes in several answers. Presence that needs more fails with error 106
    #[arg(long, value_name = "SIZE", default_value = "4MiB")]
    pub(crate) answer_bytes_max: Bytes,

    /// Time between two checks of a subscription's position
    #[arg(long, value_name = "TIME", default_value = "40s")]
    pub(crate) channel_position_check_delay: LongPeriod,
}

/// Which tokens are believed.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenKeys {
    /// Secret of tokens that are signed with HMAC: HS256, HS384, HS512
    #[arg(long, value_name = "SECRET")]
    pub(crate) hmac_secret_key: Option<TokenSecret>,

    /// Secret that was used before, for tokens that are still about
    #[arg(long, value_name = "SECRET")]
    pub(crate) hmac_previous_secret_key: Option<TokenSecret>,

    /// Unix time in seconds from which on tokens with the previous secret are refused. 0: never
    #[arg(long, value_name = "SECONDS", default_value = "0")]
    pub(crate) hmac_previous_secret_key_valid_until: Number,

    /// Public key (PEM) of tokens that are signed with RSA: RS256, RS384, RS512, PS256, PS384, PS512
    #[arg(long, value_name = "PEM")]
    pub(crate) rsa_public_key: Option<PublicKey>,

    /// Public key (PEM) of tokens that are signed with ECDSA: ES256, ES384
    #[arg(long, value_name = "PEM")]
    pub(crate) ecdsa_public_key: Option<PublicKey>,

    /// Public key (PEM) of tokens that are signed with Ed25519: EdDSA
    #[arg(long, value_name = "PEM")]
    pub(crate) ed25519_public_key: Option<PublicKey>,

    /// URL at which an issuer publishes its public keys (JWKS). They are fetched when a token names a key that is not
    /// known, at most every ten seconds, and used for an hour. No URL is made from claims
    #[arg(long, value_name = "URL")]
    pub(crate) jwks_public_endpoint: Option<HttpUrl>,

    /// Audience that a token must have
    #[arg(long, value_name = "TEXT")]
    pub(crate) audience: Option<Text>,

    /// Issuer that a token must have
    #[arg(long, value_name = "TEXT")]
    pub(crate) issuer: Option<Text>,

    /// Claim that has the user
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    pub(crate) user_id_claim: Text,
}

/// Whether subscriptions have tokens of their own.
#[derive(Args, Clone, Debug)]
pub(crate) struct SubscriptionTokenKeys {
    /// Check the tokens of subscriptions by this section. Off: by client.token
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) enabled: Switch,

    #[command(flatten)]
    pub(crate) token: TokenKeys,
}

/// Whether users have a channel of their own.
#[derive(Args, Clone, Debug)]
pub(crate) struct PersonalChannelKeys {
    /// Subscribe each client with a user to the user's personal channel, #USER, when it connects
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) enabled: Switch,

    /// End the other connections of a user with 3504 when a new one comes
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) single_connection: Switch,

    /// Namespace of personal channels. Empty: none
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) personal_channel_namespace: Text,
}
