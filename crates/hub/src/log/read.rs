//! Publications, read from the disk.

use std::sync::Arc;

use super::{
    LogError,
    disk::DiskFile,
    error::damaged,
    index::Found,
    record::{HEADER_BYTES, Location, Payload, Record, checksum, decode_publication},
    segment::segment_name,
    settings::RECORD_BYTES_MAX,
};
use crate::{
    Publication,
    broker::{AnswerBytes, History},
};

/// Reads the publications of one answer. Any thread may, while the log goes on: a file that is removed meanwhile stays
/// readable.
pub(crate) struct Reader {
    found: Found,
    /// The part of a file that was read last: publications of a channel often stand near each other.
    buffer: Vec<u8>,
    buffer_at: Location,
}

impl Reader {
    pub(crate) fn new(found: Found) -> Self {
        Self {
            found,
            buffer: vec![],
            buffer_at: Location::NONE,
        }
    }

    /// Returns whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.places.is_empty()
    }

    /// Reads the publications, but after the first one only so many that their records have at most `bytes_max` bytes.
    /// Blocks while the disk does.
    pub(crate) fn read(mut self, bytes_max: usize) -> Result<History, LogError> {
        let places = std::mem::take(&mut self.found.places);
        let mut publications = vec![];
        let mut bytes = 0_usize;
        let mut answer_bytes = AnswerBytes::new(self.found.bytes_max);
        for (offset, location) in places {
            let (publication, record_bytes) = self.publication(offset, location)?;
            bytes = bytes.saturating_add(record_bytes);
            let has_room = answer_bytes.admit(&publication);
            if !publications.is_empty() && (bytes > bytes_max || !has_room) {
                break;
            }
            publications.push(Arc::new(publication));
        }
        Ok(History {
            publications,
            position: self.found.position.clone(),
        })
    }

    /// Reads one publication. Returns also the bytes of its record.
    fn publication(
        &mut self,
        offset: u64,
        location: Location,
    ) -> Result<(Publication, usize), LogError> {
        let bad = |reason| damaged(location.segment, u64::from(location.position), reason);
        let files = self.found.files.iter();
        let file = files.clone().find(|(id, _)| *id == location.segment);
        let Some((_, file)) = file.cloned() else {
            let file = segment_name(location.segment);
            return Err(LogError::Missing { file });
        };
        let header = self.bytes(&file, location, HEADER_BYTES)?;
        let Some((length, expected)) = header.and_then(|header| {
            let length = u32::from_le_bytes(*header.first_chunk()?);
            let expected = u32::from_le_bytes(*header[4..].first_chunk()?);
            (length <= RECORD_BYTES_MAX).then_some((length as usize, expected))
        }) else {
            return Err(bad("the record can't be read"));
        };
        let record = self.bytes(&file, location, HEADER_BYTES + length)?;
        let body = record.map_or(&[][..], |record| &record[HEADER_BYTES..]);
        if body.is_empty() || checksum(location, body) != expected {
            return Err(bad("the checksum is wrong"));
        }
        match Record::decode(body) {
            Some(Record::Publication {
                state,
                payload: Payload::Encoded(payload),
                ..
            }) if state.top == offset => {
                let publication = decode_publication(payload, offset);
                let publication = publication.ok_or_else(|| bad("the record can't be read"))?;
                Ok((publication, length))
            }
            _ => Err(bad("another record is there")),
        }
    }

    /// Returns `count` bytes from a location on. `None`: the file has fewer.
    fn bytes(
        &mut self,
        file: &Arc<dyn DiskFile>,
        location: Location,
        count: usize,
    ) -> Result<Option<&[u8]>, LogError> {
        let begin = (location.segment == self.buffer_at.segment)
            .then(|| location.position.checked_sub(self.buffer_at.position))
            .flatten();
        if let Some(begin) = begin.map(|begin| begin as usize)
            && begin + count <= self.buffer.len()
        {
            return Ok(Some(&self.buffer[begin..begin + count]));
        }
        self.buffer.resize(count.max(READ_BYTES), 0);
        let read = file.read_full_at(&mut self.buffer, u64::from(location.position));
        let read = read.map_err(LogError::io("read", &segment_name(location.segment)))?;
        self.buffer.truncate(read);
        self.buffer_at = location;
        Ok(self.buffer.get(..count))
    }
}

/// Bytes. Read at once: some publications of the usual size.
const READ_BYTES: usize = 4 << 10;
