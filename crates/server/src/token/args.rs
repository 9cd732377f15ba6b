//! The options of `sockeye token`.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use serde_json::value::RawValue;

use super::lifetime::Lifetime;

/// Shown at the end of `sockeye token --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  export SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY=…
  sockeye token connection --user 42
  sockeye token subscription --user 42 --channel '$news' --expires-in 10m
  sockeye token connection --user 42 | sockeye token inspect

A token is a password until it expires: its holder acts as that user.";

const MAKE_AFTER_HELP: &str = "\
The secret must be the server's client.token.hmac_secret_key. It is taken from --secret-file,
else from --hmac-secret-key, else from the environment: SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY,
else from the configuration file: the one that --config names, or sockeye.toml. A token for a
subscription takes client.subscription_token.hmac_secret_key there, if the file enables it.

Exit code:
  0  the token is on stdout
  2  bad usage, no secret, or claims that a server would refuse";

const INSPECT_AFTER_HELP: &str = "\
The key is taken from an option, else from the environment: SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY,
else from the configuration file: the one that --config names, or sockeye.toml. A file gives all of
its keys, and the issuer and the audience that it demands; keys are not fetched from a URL.
Without a key the token is shown, and its signature isn't verified.

Exit code:
  0  the token is valid now
  1  it isn't: wrong signature, expired, not valid yet, or malformed
  2  bad usage, or a key that can't be read
  3  there was no key to verify it with";

#[derive(Subcommand, Debug)]
pub(crate) enum TokenCommand {
    /// Make a token that says who a client is
    #[command(after_help = MAKE_AFTER_HELP)]
    Connection(ConnectionArgs),
    /// Make a token with which a client may subscribe to one channel
    #[command(after_help = MAKE_AFTER_HELP)]
    Subscription(SubscriptionArgs),
    /// Show what a token says, whether it is valid now, and when it expires
    #[command(after_help = INSPECT_AFTER_HELP)]
    Inspect(InspectArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectionArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// Channels that the server subscribes the client to, separated by commas
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
    pub(crate) channels: Vec<String>,

    /// What the server keeps with the connection and tells no client
    #[arg(long, value_name = "JSON")]
    pub(crate) meta: Option<Json>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SubscriptionArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// The channel
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: String,

    /// The id of the only client that may use the token [default: any client of the user]
    #[arg(long, value_name = "ID")]
    pub(crate) client: Option<String>,

    /// What the client is told when it is subscribed
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Option<Json>,
}

/// What tokens of both kinds can say.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArgs {
    /// The user's id; an empty one is an anonymous client
    #[arg(long, value_name = "ID")]
    pub(crate) user: String,

    /// How long the token is valid: a number with s, m, h or d, or `never`
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) expires_in: Lifetime,

    /// What others see about the client
    #[arg(long, value_name = "JSON")]
    pub(crate) info: Option<Json>,

    /// Any other claim. The value is JSON, or else a string. May be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<Claim>,

    #[command(flatten)]
    pub(crate) secret: SecretArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct SecretArgs {
    /// The file that holds the secret; a line break at its end isn't part of it
    #[arg(long, value_name = "FILE", conflicts_with = "hmac_secret_key")]
    pub(crate) secret_file: Option<PathBuf>,

    /// The secret itself. Other users of this machine can see it in the list of processes, and the shell keeps it in its
    /// history: for tests only
    #[arg(long, value_name = "SECRET")]
    pub(crate) hmac_secret_key: Option<Secret>,

    /// Configuration file of the server. Default: `sockeye.toml`, if there is one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct InspectArgs {
    /// The token, or `-` to read it from stdin. Other users of this machine can see what is given here
    #[arg(value_name = "TOKEN", default_value = "-", hide_default_value = true)]
    pub(crate) token: String,

    /// The file that holds the public key in PEM: RSA, ECDSA with P-256 or P-384, or Ed25519
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_file", "hmac_secret_key"])]
    pub(crate) public_key_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) secret: SecretArgs,
}

/// A secret. Its `Debug` hides it.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.is_empty() {
            true => Err("it is empty".to_owned()),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// JSON as it was typed.
#[derive(Clone, Debug)]
pub(crate) struct Json(pub(crate) Box<RawValue>);

impl FromStr for Json {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("not JSON: {error}; a string needs double quotes"))
    }
}

/// The value of --claim.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) value: Json,
}

impl FromStr for Claim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.parse().unwrap_or_else(|_| Json::string(value)),
            }),
            _ => Err("no name and value with = between them".to_owned()),
        }
    }
}

impl Json {
    /// Returns a JSON string.
    pub(crate) fn string(text: &str) -> Self {
        Self::of(&text)
    }

    /// Returns a value as JSON.
    pub(crate) fn of(value: &impl serde::Serialize) -> Self {
        Self(serde_json::value::to_raw_value(value).expect("text and numbers are JSON"))
    }
}
