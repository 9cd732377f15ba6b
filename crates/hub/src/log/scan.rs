//! Reads the records of a segment one after another.

use std::{io, sync::Arc};

use super::{
    disk::DiskFile,
    record::{HEADER_BYTES, Location, checksum},
    settings::RECORD_BYTES_MAX,
};

/// Reads a part of a segment, record by record.
pub(super) struct Scan {
    file: Arc<dyn DiskFile>,
    segment: u32,
    /// Where the next record begins. `position <= end`
    position: u64,
    /// Where the records end.
    end: u64,
    /// Bytes of the file from `buffer_begin` on.
    buffer: Vec<u8>,
    /// `buffer_begin <= position`
    buffer_begin: u64,
}

/// What stands at a position.
#[derive(Debug)]
pub(super) enum Scanned<'a> {
    /// A record. The bytes are its body.
    Record(Location, &'a [u8]),
    /// Nothing more.
    End,
    /// Something that is not a record.
    Bad(u64, &'static str),
}

impl Scan {
    /// Creates a scan of the bytes from `position` to `end`.
    pub(super) fn new(file: Arc<dyn DiskFile>, segment: u32, position: u64, end: u64) -> Self {
        Self {
            file,
            segment,
            position,
            end,
            buffer: vec![],
            buffer_begin: position,
        }
    }

    /// Returns where the next record begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads the next record. What is bad stays where it is.
    pub(super) fn next(&mut self) -> io::Result<Scanned<'_>> {
        if self.position >= self.end {
            return Ok(Scanned::End);
        }
        let position = self.position;
        let length = match self.check()? {
            Ok(length) => length,
            Err(reason) => return Ok(Scanned::Bad(position, reason)),
        };
        self.position += (HEADER_BYTES + length) as u64;
        let begin = (position - self.buffer_begin) as usize + HEADER_BYTES;
        let location = Location {
            segment: self.segment,
            position: position as u32,
        };
        let body = &self.buffer[begin..begin + length];
        Ok(Scanned::Record(location, body))
    }

    /// Goes on to the next position behind this one at which a record stands. Returns whether there is one.
    pub(super) fn skip_to_record(&mut self) -> io::Result<bool> {
        while self.position + 1 < self.end {
            self.position += 1;
            if self.check()?.is_ok() {
                return Ok(true);
            }
        }
        self.position = self.end;
        Ok(false)
    }

    /// Returns the length of the body of the record at the position, or what is wrong there.
    fn check(&mut self) -> io::Result<Result<usize, &'static str>> {
        let left = self.end - self.position;
        if left < HEADER_BYTES as u64 || !self.fill(HEADER_BYTES)? {
            return Ok(Err("the record has no end"));
        }
        let begin = (self.position - self.buffer_begin) as usize;
        let word = |at: usize| {
            let bytes = self.buffer[begin + at..][..4].try_into();
            u32::from_le_bytes(bytes.expect("four bytes"))
        };
        let (length, expected) = (word(0), word(4));
        if length == 0 || length > RECORD_BYTES_MAX {
            return Ok(Err("no record has this length"));
        }
        let length = length as usize;
        if left < (HEADER_BYTES + length) as u64 || !self.fill(HEADER_BYTES + length)? {
            return Ok(Err("the record has no end"));
        }
        let begin = (self.position - self.buffer_begin) as usize + HEADER_BYTES;
        let location = Location {
            segment: self.segment,
            position: self.position as u32,
        };
        match checksum(location, &self.buffer[begin..begin + length]) == expected {
            true => Ok(Ok(length)),
            false => Ok(Err("the checksum is wrong")),
        }
    }

    /// Reads until the buffer has `count` bytes from the position on. Returns whether the file has so many.
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        let begin = (self.position - self.buffer_begin) as usize;
        if self.buffer.len() >= begin + count {
            return Ok(true);
        }
        self.buffer.drain(..begin.min(self.buffer.len()));
        self.buffer_begin = self.position;
        let filled = self.buffer.len();
        let wanted = count
            .max(READ_BYTES)
            .min((self.end - self.position) as usize);
        self.buffer.resize(wanted.max(filled), 0);
        let from = self.position + filled as u64;
        let read = self.file.read_full_at(&mut self.buffer[filled..], from)?;
        self.buffer.truncate(filled + read);
        Ok(self.buffer.len() >= count)
    }
}

/// Bytes. Read at once.
const READ_BYTES: usize = 256 << 10;
