//! What the application is asked, as JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use sockeye_hub::{ClientView, ConnectEvent, wire::Encoding};

use crate::config::EndpointConfig;

/// One question. Each hook has its part of the fields; what is empty is left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Question<'a> {
    client: &'a str,
    transport: &'a str,
    protocol: &'static str,
    /// How payloads are given: `json`, or `binary` for base64.
    encoding: &'static str,
    /// Absent while the client connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) channel: &'a str,
    /// Of an entry of a map.
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) key: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    pub(super) method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "String::is_empty")]
    b64data: String,
    #[serde(skip_serializing_if = "is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    channels: &'a [String],
}

/// The client's payload isn't JSON, and the endpoint takes nothing else.
#[derive(Debug)]
pub(super) struct NotJson;

impl<'a> Question<'a> {
    /// Asks who a client is.
    pub(super) fn of_connect(
        event: &'a ConnectEvent,
        endpoint: &EndpointConfig,
    ) -> Result<Self, NotJson> {
        Self {
            client: &event.client,
            transport: event.transport,
            protocol: protocol(event.encoding),
            encoding: encoding(endpoint),
            name: &event.name,
            version: &event.version,
            channels: &event.channels,
            ..Self::default()
        }
        .with_data(&event.data, endpoint)
    }

    /// Asks about a client that is connected.
    pub(super) fn of(client: &'a ClientView, endpoint: &EndpointConfig) -> Self {
        let meta = endpoint.include_connection_meta.then_some(&client.meta);
        Self {
            client: &client.client,
            transport: client.transport,
            protocol: protocol(client.encoding),
            encoding: encoding(endpoint),
            user: Some(&client.user),
            meta: meta.and_then(|meta| serde_json::from_slice(meta).ok()),
            ..Self::default()
        }
    }

    /// Adds the client's payload.
    pub(super) fn with_data(
        mut self,
        data: &'a Bytes,
        endpoint: &EndpointConfig,
    ) -> Result<Self, NotJson> {
        if data.is_empty() {
            return Ok(self);
        }
        if endpoint.binary_encoding {
            self.b64data = STANDARD.encode(data);
        } else {
            self.data = Some(serde_json::from_slice(data).map_err(|_| NotJson)?);
        }
        Ok(self)
    }

    /// Returns the body of the request.
    pub(super) fn json(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("texts and JSON are JSON")
            .into()
    }
}

fn protocol(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Protobuf => "protobuf",
    }
}

fn encoding(endpoint: &EndpointConfig) -> &'static str {
    match endpoint.binary_encoding {
        true => "binary",
        false => "json",
    }
}

fn is_empty(text: &str) -> bool {
    text.is_empty()
}
