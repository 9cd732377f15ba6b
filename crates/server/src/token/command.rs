//! Runs `sockeye token`.

use std::{io, process::ExitCode};

use sockeye_hub::{
    Clock, SystemClock, UnixMillis,
    token::{TokenError, sign_hs256},
};

use super::{
    args::{InspectArgs, SecretArgs, TokenCommand},
    claims,
    keys::{self, Kind},
    report::{Report, Verdict},
};
use crate::{config::short_secret, fail, log::Notices, print};

pub(crate) fn run(command: &TokenCommand, notices: Notices) -> ExitCode {
    let now = SystemClock.now();
    let made = match command {
        TokenCommand::Connection(args) => claims::of_connection(args, now).and_then(|claims| {
            signed(&claims, &args.common.secret, Kind::Connection, now, notices)
        }),
        TokenCommand::Subscription(args) => claims::of_subscription(args, now).and_then(|claims| {
            signed(
                &claims,
                &args.common.secret,
                Kind::Subscription,
                now,
                notices,
            )
        }),
        TokenCommand::Inspect(args) => {
            return match inspected(args, now) {
                Ok(report) => {
                    print(report.text.as_bytes());
                    ExitCode::from(match report.verdict {
                        Verdict::Valid => 0,
                        Verdict::Invalid => 1,
                        Verdict::Unverified => 3,
                    })
                }
                Err(message) => fail(notices, &message),
            };
        }
    };
    match made {
        Ok(token) => print(format!("{token}\n").as_bytes()),
        Err(message) => fail(notices, &message),
    }
}

fn signed(
    claims: &str,
    secret: &SecretArgs,
    kind: Kind,
    now: UnixMillis,
    notices: Notices,
) -> Result<String, String> {
    let secret = keys::secret(secret, kind)?.ok_or_else(|| {
        format!(
            "there is no secret to sign with: set {}, or give --secret-file or --config",
            keys::SECRET_VARIABLE
        )
    })?;
    let warning = short_secret("the secret", &secret.0);
    let token = sign_hs256(secret.0.as_bytes(), claims.as_bytes()).map_err(refused)?;
    // A claim of the wrong type is found here, and not when a client connects.
    let verifier = keys::of_secret(secret)?;
    match kind {
        Kind::Connection => verifier.verify_connection(&token, now).map(|_| ()),
        Kind::Subscription => verifier.verify_subscription(&token, now).map(|_| ()),
    }
    .map_err(refused)?;
    if let Some(warning) = warning {
        notices.warn(&warning);
    }
    Ok(token)
}

fn refused(error: TokenError) -> String {
    format!("a server would refuse this token: {error}")
}

fn inspected(args: &InspectArgs, now: UnixMillis) -> Result<Report, String> {
    let token = match args.token.as_str() {
        "-" => keys::read(io::stdin()).map_err(|error| format!("stdin: {error}"))?,
        token => token.to_owned(),
    };
    let token = token.trim();
    let verifier = keys::verifier(args, Report::kind(token))?;
    Ok(Report::new(token, verifier.as_ref(), now))
}
