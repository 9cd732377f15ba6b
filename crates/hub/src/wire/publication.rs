//! What was published, by which client, and at which position.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    EncodeError, Encoding, Map, NotJson, TextEntry, check_json, fossil_delta, messages::messages,
};

messages! {
    /// One item published to a channel.
    pub struct Publication {
        /// Payload, or its difference from the one before (`delta`).
        4 (bytes = "bytes") data: Bytes,
        /// Client that published, if it was one.
        5 (message, optional) info: Option<ClientInfo>,
        /// Position in the channel's history. 0 if the channel has none.
        6 (uint64) offset: u64,
        /// Tags by name, which filters compare.
        7 (message, repeated) tags: Map<TextEntry>,
        /// Says that `data` is a difference.
        8 (bool) delta: bool,
        /// Milliseconds since 1970. Between servers only.
        9 (int64) time: i64,
        /// Channel, if it isn't the one of the subscription: a pattern was subscribed.
        10 (string) channel: String,
        /// Key of a map's entry.
        11 (string) key: String,
        /// Says that the map's entry was removed.
        12 (bool) removed: bool,
        /// Orders the entries of a map.
        13 (sint64) score: i64,
        /// Epoch, where the client can't know it: in the first publication of a history.
        14 (string) epoch: String,
        /// Payload of the publication before. Between servers only.
        15 (bytes = "bytes") prev_data: Bytes,
        /// Version of a shared poll's item.
        16 (uint64) version: u64,
    }

    /// A client as others see it.
    pub struct ClientInfo {
        /// User. Empty for an anonymous one. JSON always has it.
        1 (string) user: String = ALWAYS,
        /// Id of the connection. JSON always has it.
        2 (string) client: String = ALWAYS,
        /// Payload that belongs to the connection.
        3 (bytes = "bytes") conn_info: Bytes,
        /// Payload that belongs to the subscription.
        4 (bytes = "bytes") chan_info: Bytes,
    }

    /// A position in a channel's history.
    pub struct StreamPosition {
        /// Offset of a publication.
        1 (uint64) offset: u64,
        /// Identity of the history that the offset belongs to.
        2 (string) epoch: String,
    }
}

impl Publication {
    /// Returns the payload's difference from `previous` in both encodings; `None` if the whole payload isn't longer.
    pub(crate) fn difference(data: &[u8], previous: &[u8]) -> Option<Bytes> {
        // Clients have nothing, or `null`, where there was no payload.
        if previous.is_empty() || data.is_empty() {
            return None;
        }
        fossil_delta::encode(previous, data).map(Bytes::from)
    }

    /// Gives the payload the form for a subscriber with delta compression: `difference`, or whole if there is none. JSON
    /// has payloads and differences alike as strings.
    pub(crate) fn compress(
        &mut self,
        encoding: Encoding,
        difference: Option<Bytes>,
    ) -> Result<(), EncodeError> {
        if self.data.is_empty() && !self.key.is_empty() {
            // A removal, or an entry that is its key alone. Clients parse the string, which must hold JSON.
            if encoding == Encoding::Json {
                self.data = Bytes::from_static(br#""null""#);
            }
            return Ok(());
        }
        if encoding == Encoding::Json {
            check_json(self.data.clone()).map_err(|NotJson| EncodeError::NotJson)?;
        }
        if let Some(difference) = difference {
            self.data = difference;
            self.delta = true;
        }
        if encoding == Encoding::Json {
            let text = std::str::from_utf8(&self.data).map_err(|_| EncodeError::NotJson)?;
            let string = serde_json::to_vec(text).map_err(|_| EncodeError::NotJson)?;
            self.data = string.into();
        }
        Ok(())
    }

    /// Gives publications that follow each other the form for a subscriber with delta compression: the first whole, each
    /// other one as its difference from the one before.
    pub(crate) fn compress_all(
        publications: &mut [Self],
        encoding: Encoding,
    ) -> Result<(), EncodeError> {
        let mut previous: Option<Bytes> = None;
        for publication in publications {
            let whole = publication.data.clone();
            let difference = previous.and_then(|previous| Self::difference(&whole, &previous));
            publication.compress(encoding, difference)?;
            previous = Some(whole);
        }
        Ok(())
    }

    /// Gives changes of a map that follow each other the form for a subscriber with delta compression: each one as its
    /// difference from the one before with the same key.
    pub(crate) fn compress_by_key(
        publications: &mut [Self],
        encoding: Encoding,
    ) -> Result<(), EncodeError> {
        let mut previous: BTreeMap<String, Bytes> = BTreeMap::new();
        for publication in publications {
            let (whole, is_removed) = (publication.data.clone(), publication.removed);
            let before = previous.remove(&publication.key);
            let difference = before.and_then(|before| Self::difference(&whole, &before));
            publication.compress(encoding, difference)?;
            if !is_removed {
                previous.insert(publication.key.clone(), whole);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(data: &'static str) -> Publication {
        Publication {
            data: Bytes::from_static(data.as_bytes()),
            ..Publication::default()
        }
    }

    const ONE: &str = r#"{"text":"a line that stays the same","n":1}"#;
    const TWO: &str = r#"{"text":"a line that stays the same","n":2}"#;

    #[test]
    fn json_has_strings_also_where_the_whole_payload_is_sent() {
        let mut publications = [publication(ONE), publication("[1]"), publication("[1]")];
        Publication::compress_all(&mut publications, Encoding::Json).expect("JSON");
        assert_eq!(
            publications.each_ref().map(|publication| publication.delta),
            [false; 3]
        );
        let texts = publications.map(|publication| {
            serde_json::from_slice::<String>(&publication.data).expect("a string")
        });
        assert_eq!(texts, [ONE, "[1]", "[1]"]);
    }

    #[test]
    fn a_difference_is_marked_and_is_from_the_one_before() {
        for encoding in [Encoding::Json, Encoding::Protobuf] {
            let mut publications = [publication(ONE), publication(TWO)];
            Publication::compress_all(&mut publications, encoding).expect("JSON");
            let [first, second] = publications;
            assert!(!first.delta && second.delta);
            let delta = match encoding {
                Encoding::Json => serde_json::from_slice::<String>(&second.data)
                    .expect("a string")
                    .into(),
                Encoding::Protobuf => second.data,
            };
            assert_eq!(
                Some(delta),
                fossil_delta::encode(ONE.as_bytes(), TWO.as_bytes()).map(Bytes::from)
            );
        }
    }

    #[test]
    fn what_is_not_json_reaches_protobuf_alone() {
        for data in ["no JSON", "{} {}", ""] {
            let mut one = publication(data);
            assert_eq!(
                one.compress(Encoding::Json, None),
                Err(EncodeError::NotJson)
            );
            let mut one = publication(data);
            assert_eq!(one.compress(Encoding::Protobuf, None), Ok(()));
            assert_eq!(one.data, data);
        }
    }
}
