//! Where the key of `sockeye token` comes from.

use std::{
    env,
    fs::File,
    io::{self, Read},
    path::Path,
};

use sockeye_hub::token::{Verifier, VerifierConfig};

use super::args::{InspectArgs, Secret, SecretArgs};
use crate::config::{Config, HubConfig, Switch, of_file};

/// The environment variable of the server's configuration.
pub(crate) const SECRET_VARIABLE: &str = "SOCKEYE_CLIENT_TOKEN_HMAC_SECRET_KEY";

/// Bytes. A key or a token is much shorter.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connection,
    Subscription,
}

/// Returns the secret for tokens of this kind, if there is one.
pub(crate) fn secret(args: &SecretArgs, kind: Kind) -> Result<Option<Secret>, String> {
    if let Some(secret) = given_secret(args)? {
        return Ok(Some(secret));
    }
    Ok(file(args)?.and_then(|config| configured_secret(&config, kind)))
}

/// Returns the secret of the options or of the environment.
fn given_secret(args: &SecretArgs) -> Result<Option<Secret>, String> {
    if let Some(path) = &args.secret_file {
        let text = read_file(path)?;
        return text
            .parse()
            .map(Some)
            .map_err(|error| format!("{}: {error}", path.display()));
    }
    if let Some(secret) = &args.hmac_secret_key {
        return Ok(Some(secret.clone()));
    }
    match env::var(SECRET_VARIABLE) {
        Ok(secret) if secret.is_empty() => Ok(None),
        Ok(secret) => Ok(Some(Secret(secret))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(format!("{SECRET_VARIABLE} isn't UTF-8")),
    }
}

/// Returns the configuration file, if there is one.
fn file(args: &SecretArgs) -> Result<Option<Config>, String> {
    of_file(args.config.as_deref()).map_err(|error| error.to_string())
}

fn configured_secret(config: &Config, kind: Kind) -> Option<Secret> {
    let subscription = &config.subscription_token;
    let secret = match kind {
        Kind::Subscription if subscription.enabled == Switch::On => {
            &subscription.token.hmac_secret_key
        }
        _ => &config.token.hmac_secret_key,
    };
    secret.clone().map(|secret| Secret(secret.0))
}

/// Returns a verifier for tokens of this kind with the keys that were given, if there are any.
pub(crate) fn verifier(args: &InspectArgs, kind: Kind) -> Result<Option<Verifier>, String> {
    if let Some(path) = &args.public_key_file {
        return of_public_key(&read_file(path)?)
            .map(Some)
            .map_err(|error| format!("{}: {error}", path.display()));
    }
    if let Some(secret) = given_secret(&args.secret)? {
        return of_secret(secret).map(Some);
    }
    let Some(config) = file(&args.secret)? else {
        return Ok(None);
    };
    let hub = HubConfig::new(&config)?;
    Ok(match kind {
        Kind::Subscription => hub.subscription_verifier.or(hub.verifier),
        Kind::Connection => hub.verifier,
    })
}

/// Returns a verifier with this secret.
pub(crate) fn of_secret(secret: Secret) -> Result<Verifier, String> {
    let config = VerifierConfig {
        hmac_secret_key: Some(secret.0),
        ..VerifierConfig::default()
    };
    Verifier::new(config).map_err(|error| format!("the secret {}", error.reason()))
}

/// Returns a verifier with this public key, whatever its kind.
fn of_public_key(pem: &str) -> Result<Verifier, String> {
    let key = || Some(pem.to_owned());
    let none = VerifierConfig::default;
    let rsa = Verifier::new(VerifierConfig {
        rsa_public_key: key(),
        ..none()
    });
    let ecdsa = || {
        Verifier::new(VerifierConfig {
            ecdsa_public_key: key(),
            ..none()
        })
    };
    let ed25519 = || {
        Verifier::new(VerifierConfig {
            ed25519_public_key: key(),
            ..none()
        })
    };
    // What is wrong with a key of no kind, the first attempt says as well as the others.
    rsa.or_else(|error| ecdsa().or_else(|_| ed25519()).map_err(|_| error))
        .map_err(|error| error.reason().to_owned())
}

/// Returns the content of a file without the line break at its end.
fn read_file(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    File::open(path).and_then(read).map_err(failed)
}

/// Returns what can be read, without the line break at its end.
pub(crate) fn read(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    Ok(trimmed.strip_suffix('\r').unwrap_or(trimmed).to_owned())
}
