//! Commands of a client whose transport only carries data from the server.

use bytes::Bytes;
use serde::Deserialize as _;

use super::{DecodeError, Encoding, messages::messages};

messages! {
    /// The body of a request to `/emulation`: commands for a session that was opened over SSE or an HTTP stream.
    pub struct EmulationRequest {
        /// Id of the node that has the session ([`ConnectResult::node`](super::ConnectResult::node)).
        1 (string) node: String,
        /// Id of the session ([`ConnectResult::session`](super::ConnectResult::session)).
        2 (string) session: String,
        /// Commands as one frame. JSON has them as a JSON string that holds the frame; [`EmulationRequest::decode`]
        /// returns what the string holds.
        3 (bytes = "bytes") data: Bytes,
    }
}

impl EmulationRequest {
    /// Decodes the body of a request. `data` of the result is what [`Encoding::decode_commands`] takes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Empty`] and [`DecodeError::Malformed`].
    pub fn decode(encoding: Encoding, body: Bytes) -> Result<Self, DecodeError> {
        if body.is_empty() {
            return Err(DecodeError::Empty);
        }
        match encoding {
            Encoding::Protobuf => {
                prost::Message::decode(body).map_err(|error| DecodeError::malformed(&error))
            }
            Encoding::Json => {
                let request: Self = serde_json::from_slice(&body)
                    .map_err(|error| DecodeError::malformed(&error))?;
                let mut json = serde_json::Deserializer::from_slice(&request.data);
                let data = String::deserialize(&mut json)
                    .map_err(|error| DecodeError::malformed(&error))?;
                Ok(Self {
                    data: data.into(),
                    ..request
                })
            }
        }
    }
}
