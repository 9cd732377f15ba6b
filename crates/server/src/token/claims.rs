//! The claims of a token that is made, out of options.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sockeye_hub::UnixMillis;

use super::args::{CommonArgs, ConnectionArgs, Json, SubscriptionArgs};

/// Returns the claims of a connection token, JSON. The error names the option that is wrong.
pub(crate) fn of_connection(args: &ConnectionArgs, now: UnixMillis) -> Result<String, String> {
    let mut claims = Claims::default();
    if args.channels.iter().any(String::is_empty) {
        return Err("--channels: the name of a channel is empty".to_owned());
    }
    if !args.channels.is_empty() {
        claims.set("channels", Json::of(&args.channels));
    }
    claims.set_given("meta", args.meta.as_ref());
    claims.finish(&args.common, now)
}

/// Returns the claims of a subscription token, JSON. The error names the option that is wrong.
pub(crate) fn of_subscription(args: &SubscriptionArgs, now: UnixMillis) -> Result<String, String> {
    let mut claims = Claims::default();
    claims.set("channel", Json::string(&args.channel));
    if let Some(client) = &args.client {
        claims.set("client", Json::string(client));
    }
    claims.set_given("data", args.data.as_ref());
    claims.finish(&args.common, now)
}

#[derive(Default)]
struct Claims(BTreeMap<String, Box<RawValue>>);

impl Claims {
    fn set(&mut self, name: &str, value: Json) {
        self.0.insert(name.to_owned(), value.0);
    }

    fn set_given(&mut self, name: &str, value: Option<&Json>) {
        if let Some(value) = value {
            self.set(name, value.clone());
        }
    }

    fn finish(mut self, common: &CommonArgs, now: UnixMillis) -> Result<String, String> {
        let now = now.0 / 1000;
        self.set("sub", Json::string(&common.user));
        self.set("iat", Json::of(&now));
        if let Some(lifetime) = common.expires_in.0 {
            self.set("exp", Json::of(&(now + lifetime.as_secs())));
        }
        self.set_given("info", common.info.as_ref());
        for claim in &common.claims {
            if self.0.contains_key(&claim.name) {
                return Err(format!(
                    "--claim {}: the claim is there already",
                    claim.name
                ));
            }
            self.set(&claim.name, claim.value.clone());
        }
        Ok(serde_json::to_string(&self.0).expect("a map of JSON is JSON"))
    }
}
