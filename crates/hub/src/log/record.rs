//! Records: what stands in a segment.
//!
//! ```text
//!   length u32 | crc32c u32 | body: kind u8, fields …
//! ```
//!
//! The checksum covers the segment's id, the record's position, the length and the body.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    codec::{Fields, put_bytes, put_number},
    settings::RECORD_BYTES_MAX,
};
use crate::{ClientInfo, Epoch, MapChange, Publication, Tags, UnixMillis};

/// The text of an epoch. All zeros: no history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct EpochText(pub(super) [u8; 8]);

/// A place in the log. Ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Location {
    pub(super) segment: u32,
    /// Bytes from the beginning of the segment file.
    pub(super) position: u32,
}

/// A channel's history, but for where its publications stand. Times are milliseconds of the log's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamState {
    pub(super) epoch: EpochText,
    /// The newest offset that was assigned.
    pub(super) top: u64,
    /// The oldest offset that is kept, or `top + 1`.
    pub(super) first: u64,
    pub(super) expires_at: u64,
    pub(super) forgotten_at: u64,
    pub(super) meta_ttl: u64,
    /// Whether the bytes of the publications are limited.
    pub(super) counts_bytes: bool,
    pub(super) version: u64,
    pub(super) version_epoch: Epoch,
}

/// An idempotency key, and until when it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyField<'a> {
    pub(super) key: &'a str,
    pub(super) until: u64,
}

/// What a publication carries, ready to be written or as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    Publication(&'a Publication),
    Encoded(&'a [u8]),
}

/// One record.
#[derive(Debug)]
pub(super) enum Record<'a> {
    /// `number` stands for the channel `name` from here on.
    Name { number: u32, name: &'a str },
    /// The history of a channel as it is now. `keeps_records`: another epoch is a new name for the same history.
    Stream {
        number: u32,
        time: u64,
        state: StreamState,
        keeps_records: bool,
    },
    /// A publication with offset `state.top`.
    Publication {
        number: u32,
        time: u64,
        state: StreamState,
        key: Option<KeyField<'a>>,
        payload: Payload<'a>,
    },
    /// The key of a publication that is not kept, and its position if it had one.
    Key {
        number: u32,
        time: u64,
        key: KeyField<'a>,
        position: Option<(EpochText, u64)>,
    },
    /// Segments before `segment` have no record that is needed.
    Oldest { time: u64, segment: u32 },
    /// All before the location was synced when this was written.
    Synced { time: u64, location: Location },
    /// Bytes that could not be read, when the log was repaired.
    Skipped,
}

impl Location {
    /// Where nothing is: a publication that is known to be kept, and whose record has not been read yet.
    pub(super) const NONE: Self = Self {
        segment: 0,
        position: 0,
    };
}

impl EpochText {
    pub(super) fn new(epoch: &Epoch) -> Self {
        let bytes = epoch.as_str().as_bytes();
        Self(bytes.try_into().unwrap_or_default())
    }

    pub(super) fn is_none(self) -> bool {
        self.0 == [0; 8]
    }

    pub(super) fn epoch(self) -> Epoch {
        match self.is_none() {
            true => Epoch::default(),
            false => Epoch::new(&String::from_utf8_lossy(&self.0)),
        }
    }
}

impl Record<'_> {
    /// Appends the record to `buffer`, which will be written to `segment` so that the buffer's first byte has position
    /// `base`. Returns the record's location, or `None` if the record would be too large; then nothing was appended.
    pub(super) fn append(&self, buffer: &mut Vec<u8>, segment: u32, base: u64) -> Option<Location> {
        let begin = buffer.len();
        let location = Location {
            segment,
            position: u32::try_from(base + begin as u64).ok()?,
        };
        buffer.extend_from_slice(&[0; HEADER_BYTES]);
        self.encode(buffer);
        let length = buffer.len() - begin - HEADER_BYTES;
        if length > RECORD_BYTES_MAX as usize {
            buffer.truncate(begin);
            return None;
        }
        let checksum = checksum(location, &buffer[begin + HEADER_BYTES..]);
        buffer[begin..begin + 4].copy_from_slice(&(length as u32).to_le_bytes());
        buffer[begin + 4..begin + 8].copy_from_slice(&checksum.to_le_bytes());
        Some(location)
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Name { number, name } => {
                buffer.push(NAME);
                put_number(buffer, u64::from(*number));
                put_bytes(buffer, name.as_bytes());
            }
            Self::Stream {
                number,
                time,
                state,
                keeps_records,
            } => {
                buffer.push(STREAM);
                put_number(buffer, u64::from(*number));
                put_number(buffer, *time);
                let flags = if *keeps_records { KEEPS_RECORDS } else { 0 };
                put_state(buffer, state, *time, flags);
            }
            Self::Publication {
                number,
                time,
                state,
                key,
                payload,
            } => {
                buffer.push(PUBLICATION);
                put_number(buffer, u64::from(*number));
                put_number(buffer, *time);
                put_state(
                    buffer,
                    state,
                    *time,
                    if key.is_some() { HAS_KEY } else { 0 },
                );
                if let Some(key) = key {
                    put_key(buffer, key, *time);
                }
                match payload {
                    Payload::Publication(publication) => put_publication(buffer, publication),
                    Payload::Encoded(bytes) => buffer.extend_from_slice(bytes),
                }
            }
            Self::Key {
                number,
                time,
                key,
                position,
            } => {
                buffer.push(KEY);
                put_number(buffer, u64::from(*number));
                put_number(buffer, *time);
                put_key(buffer, key, *time);
                put_position(buffer, *position);
            }
            Self::Oldest { time, segment } => {
                buffer.push(OLDEST);
                put_number(buffer, *time);
                put_number(buffer, u64::from(*segment));
            }
            Self::Synced { time, location } => {
                buffer.push(SYNCED);
                put_number(buffer, *time);
                put_number(buffer, u64::from(location.segment));
                put_number(buffer, u64::from(location.position));
            }
            Self::Skipped => buffer.push(SKIPPED),
        }
    }
}

impl<'a> Record<'a> {
    /// Reads a body whose checksum is right. `None`: a kind or a form that this version doesn't know.
    pub(super) fn decode(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        match fields.byte()? {
            NAME => Some(Self::Name {
                number: fields.number_u32()?,
                name: fields.text()?,
            }),
            STREAM => {
                let (number, time) = (fields.number_u32()?, fields.number()?);
                let (state, flags) = take_state(&mut fields, time)?;
                let keeps_records = flags & KEEPS_RECORDS != 0;
                Some(Self::Stream {
                    number,
                    time,
                    state,
                    keeps_records,
                })
            }
            PUBLICATION => {
                let (number, time) = (fields.number_u32()?, fields.number()?);
                let (state, flags) = take_state(&mut fields, time)?;
                let key = match flags & HAS_KEY != 0 {
                    true => Some(take_key(&mut fields, time)?),
                    false => None,
                };
                let payload = Payload::Encoded(fields.0);
                Some(Self::Publication {
                    number,
                    time,
                    state,
                    key,
                    payload,
                })
            }
            KEY => {
                let (number, time) = (fields.number_u32()?, fields.number()?);
                let key = take_key(&mut fields, time)?;
                let position = take_position(&mut fields)?;
                Some(Self::Key {
                    number,
                    time,
                    key,
                    position,
                })
            }
            OLDEST => Some(Self::Oldest {
                time: fields.number()?,
                segment: fields.number_u32()?,
            }),
            SYNCED => Some(Self::Synced {
                time: fields.number()?,
                location: Location {
                    segment: fields.number_u32()?,
                    position: fields.number_u32()?,
                },
            }),
            SKIPPED => Some(Self::Skipped),
            _ => None,
        }
    }

    /// Returns the time of the log's clock at which the record was written, if it says so.
    pub(super) fn time(&self) -> Option<u64> {
        match self {
            Self::Name { .. } | Self::Skipped => None,
            Self::Stream { time, .. }
            | Self::Publication { time, .. }
            | Self::Key { time, .. }
            | Self::Oldest { time, .. }
            | Self::Synced { time, .. } => Some(*time),
        }
    }
}

/// Returns the checksum of a record.
pub(super) fn checksum(location: Location, body: &[u8]) -> u32 {
    let mut head = [0; 12];
    head[..4].copy_from_slice(&location.segment.to_le_bytes());
    head[4..8].copy_from_slice(&location.position.to_le_bytes());
    head[8..].copy_from_slice(&(body.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&head), body)
}

/// Returns a record of `count` bytes, its header included, that says nothing.
pub(super) fn skipped(location: Location, count: usize) -> Vec<u8> {
    let mut record = vec![0; count];
    record[HEADER_BYTES] = SKIPPED;
    let checksum = checksum(location, &record[HEADER_BYTES..]);
    let length = (count - HEADER_BYTES) as u32;
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
    record
}

fn put_state(buffer: &mut Vec<u8>, state: &StreamState, time: u64, flags: u8) {
    let has_version = state.version > 0;
    let version = if has_version { HAS_VERSION } else { 0 };
    let bytes = if state.counts_bytes { COUNTS_BYTES } else { 0 };
    buffer.push(flags | version | bytes);
    buffer.extend_from_slice(&state.epoch.0);
    put_number(buffer, state.top);
    put_number(buffer, (state.top + 1).saturating_sub(state.first));
    put_number(buffer, state.expires_at.saturating_sub(time));
    put_number(buffer, state.forgotten_at.saturating_sub(time));
    put_number(buffer, state.meta_ttl);
    if has_version {
        put_number(buffer, state.version);
        put_bytes(buffer, state.version_epoch.as_str().as_bytes());
    }
}

/// Returns the state and the flags.
fn take_state(fields: &mut Fields<'_>, time: u64) -> Option<(StreamState, u8)> {
    let flags = fields.byte()?;
    let epoch = EpochText(fields.array()?);
    let top = fields.number()?;
    let first = (top.checked_add(1)?).checked_sub(fields.number()?)?;
    if first == 0 {
        return None;
    }
    let mut state = StreamState {
        epoch,
        top,
        first,
        expires_at: time.saturating_add(fields.number()?),
        forgotten_at: time.saturating_add(fields.number()?),
        meta_ttl: fields.number()?,
        counts_bytes: flags & COUNTS_BYTES != 0,
        ..StreamState::default()
    };
    if flags & HAS_VERSION != 0 {
        state.version = fields.number()?;
        state.version_epoch = Epoch::new(fields.text()?);
    }
    Some((state, flags))
}

fn put_key(buffer: &mut Vec<u8>, key: &KeyField<'_>, time: u64) {
    put_bytes(buffer, key.key.as_bytes());
    put_number(buffer, key.until.saturating_sub(time));
}

fn take_key<'a>(fields: &mut Fields<'a>, time: u64) -> Option<KeyField<'a>> {
    Some(KeyField {
        key: fields.text()?,
        until: time.saturating_add(fields.number()?),
    })
}

/// Appends a position; the epoch of none is zeros.
pub(super) fn put_position(buffer: &mut Vec<u8>, position: Option<(EpochText, u64)>) {
    let (epoch, offset) = position.unwrap_or_default();
    buffer.extend_from_slice(&epoch.0);
    put_number(buffer, offset);
}

/// Reads a position, which may be none.
pub(super) fn take_position(fields: &mut Fields<'_>) -> Option<Option<(EpochText, u64)>> {
    let position = (EpochText(fields.array()?), fields.number()?);
    Some((!position.0.is_none()).then_some(position))
}

/// Appends what a publication carries. The offset is in the record's state.
fn put_publication(buffer: &mut Vec<u8>, publication: &Publication) {
    put_number(buffer, publication.time.0);
    put_number(buffer, publication.tags.len() as u64);
    for (name, value) in publication.tags.iter() {
        put_bytes(buffer, name.as_bytes());
        put_bytes(buffer, value.as_bytes());
    }
    let (info, change) = (&publication.info, &publication.change);
    let info_flag = if info.is_some() { HAS_INFO } else { 0 };
    buffer.push(info_flag | change.as_ref().map_or(0, |it| change_flags(it)));
    if let Some(info) = info {
        put_bytes(buffer, info.user.as_bytes());
        put_bytes(buffer, info.client.as_bytes());
        put_bytes(buffer, &info.conn_info);
        put_bytes(buffer, &info.chan_info);
    }
    if let Some(change) = change {
        put_bytes(buffer, change.key.as_bytes());
    }
    buffer.extend_from_slice(&publication.data);
}

fn change_flags(change: &MapChange) -> u8 {
    HAS_CHANGE | if change.removed { REMOVES } else { 0 }
}

/// Returns [`Publication::content_bytes`] of what a record of a publication carries; 0 if it can't be read.
pub(super) fn content_bytes(payload: &Payload<'_>) -> u32 {
    let bytes = match payload {
        Payload::Publication(publication) => Some(publication.content_bytes()),
        Payload::Encoded(bytes) => content_bytes_of(bytes),
    };
    bytes.map_or(0, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
}

fn content_bytes_of(payload: &[u8]) -> Option<usize> {
    let mut fields = Fields(payload);
    let mut bytes = 0;
    fields.number()?;
    for _ in 0..fields.number()? {
        bytes += fields.bytes()?.len() + fields.bytes()?.len();
    }
    let flags = fields.byte()?;
    if flags & HAS_INFO != 0 {
        for _ in 0..4 {
            bytes += fields.bytes()?.len();
        }
    }
    if flags & HAS_CHANGE != 0 {
        // The key.
        fields.bytes()?;
    }
    Some(bytes + fields.0.len())
}

/// Returns the publication that a record of a publication carries.
pub(super) fn decode_publication(payload: &[u8], offset: u64) -> Option<Publication> {
    let mut fields = Fields(payload);
    let time = UnixMillis(fields.number()?);
    let tags = (0..fields.number()?)
        .map(|_| Some((fields.text()?, fields.text()?)))
        .collect::<Option<Vec<(&str, &str)>>>()?;
    let flags = fields.byte()?;
    let info = match flags & HAS_INFO {
        0 => None,
        _ => Some(Arc::new(ClientInfo {
            user: fields.text()?.into(),
            client: fields.text()?.into(),
            conn_info: Bytes::copy_from_slice(fields.bytes()?).into(),
            chan_info: Bytes::copy_from_slice(fields.bytes()?).into(),
        })),
    };
    let change = match (flags & HAS_CHANGE, flags & REMOVES) {
        (0, _) => None,
        (_, 0) => Some(Box::new(MapChange::set(fields.text()?))),
        (_, _) => Some(Box::new(MapChange::remove(fields.text()?))),
    };
    Some(Publication {
        data: Bytes::copy_from_slice(fields.0),
        info,
        tags: tags.into_iter().collect::<Tags>(),
        offset,
        time,
        change,
    })
}

/// Returns the state to be written with a publication that is written again: the channel's, as if the publication were its
/// newest.
pub(super) fn copied_state(mut state: StreamState, offset: u64) -> StreamState {
    state.top = offset;
    state.first = state.first.min(offset + 1);
    state
}

/// Bytes. Length and checksum.
pub(super) const HEADER_BYTES: usize = 8;

// The kinds of records. Not 0, so that a block of zeros is no record.
const NAME: u8 = 1;
const STREAM: u8 = 2;
const PUBLICATION: u8 = 3;
const KEY: u8 = 4;
const OLDEST: u8 = 5;
const SYNCED: u8 = 6;
const SKIPPED: u8 = 7;

// Flags of a state.
const HAS_VERSION: u8 = 1;
const HAS_KEY: u8 = 2;
const KEEPS_RECORDS: u8 = 4;
const COUNTS_BYTES: u8 = 8;

// Flags of a publication.
const HAS_INFO: u8 = 1;
const HAS_CHANGE: u8 = 2;
const REMOVES: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RareBytes;

    fn publication() -> Publication {
        Publication {
            data: Bytes::from_static(b"data\0\n"),
            info: Some(Arc::new(ClientInfo {
                user: "ann".into(),
                client: "c1".into(),
                conn_info: Bytes::from_static(b"{}").into(),
                chan_info: RareBytes::default(),
            })),
            tags: [("a", "1"), ("b", "")].into_iter().collect(),
            offset: 9,
            time: UnixMillis(1_800_000_000_001),
            change: Some(Box::new(MapChange::remove("ann's place"))),
        }
    }

    #[test]
    fn a_publication_comes_back_with_everything_in_it() {
        let state = StreamState {
            epoch: EpochText(*b"abcdefgh"),
            top: 9,
            first: 7,
            expires_at: 2_000,
            forgotten_at: u64::MAX,
            meta_ttl: 77,
            counts_bytes: true,
            version: 3,
            version_epoch: "v".into(),
        };
        let key = KeyField {
            key: "k",
            until: 1_500,
        };
        let publication = publication();
        let record = Record::Publication {
            number: 300,
            time: 1_000,
            state: state.clone(),
            key: Some(key),
            payload: Payload::Publication(&publication),
        };
        let mut buffer = vec![0xee; 3];
        let location = record.append(&mut buffer, 5, 100).unwrap();
        assert_eq!((location.segment, location.position), (5, 103));
        let Some(Record::Publication {
            number: 300,
            time: 1_000,
            state: read,
            key: Some(read_key),
            payload: Payload::Encoded(payload),
        }) = Record::decode(&buffer[3 + HEADER_BYTES..])
        else {
            panic!("another record")
        };
        assert_eq!((read, read_key), (state, key));
        let counted = content_bytes(&Payload::Encoded(payload));
        // The data, the tags, the client.
        assert_eq!(counted, 6 + 3 + 7);
        assert_eq!(counted as usize, publication.content_bytes());
        assert_eq!(decode_publication(payload, 9), Some(publication));
    }

    #[test]
    fn the_checksum_depends_on_segment_position_length_and_body() {
        let at = |segment, position| Location { segment, position };
        let right = checksum(at(1, 64), b"body");
        assert_ne!(right, checksum(at(2, 64), b"body"));
        assert_ne!(right, checksum(at(1, 65), b"body"));
        assert_ne!(right, checksum(at(1, 64), b"bodz"));
        assert_ne!(checksum(at(1, 64), b""), checksum(at(1, 64), b"\0"));
    }

    #[test]
    fn a_record_that_is_too_large_is_not_appended() {
        let name = "x".repeat(RECORD_BYTES_MAX as usize);
        let record = Record::Name {
            number: 1,
            name: &name,
        };
        let mut buffer = vec![1];
        assert_eq!(record.append(&mut buffer, 1, 0), None);
        assert_eq!(buffer, [1]);
    }

    /// Whatever bytes stand in a body, reading them ends.
    #[test]
    fn no_body_panics() {
        let publication = publication();
        let record = Record::Publication {
            number: 1,
            time: 1,
            state: StreamState {
                first: 1,
                ..StreamState::default()
            },
            key: None,
            payload: Payload::Publication(&publication),
        };
        let mut buffer = vec![];
        record.append(&mut buffer, 1, 0).unwrap();
        let body = &buffer[HEADER_BYTES..];
        for end in 0..body.len() {
            if let Some(Record::Publication {
                payload: Payload::Encoded(payload),
                ..
            }) = Record::decode(&body[..end])
            {
                decode_publication(payload, 1);
            }
        }
        for at in 0..body.len() {
            let mut body = body.to_vec();
            body[at] ^= 0xff;
            if let Some(Record::Publication {
                payload: Payload::Encoded(payload),
                ..
            }) = Record::decode(&body)
            {
                decode_publication(payload, 1);
            }
        }
    }
}
