//! The index in a file, so that a start needn't read the whole log.
//!
//! ```text
//!   block: length u32 | crc32c u32 | payload            the checksum covers the block's number, too
//!   blocks: head (location, oldest, segments) · channels · channels · … · end (how many, whether clean)
//! ```
//!
//! It is written a few channels at a time, while the log goes on. A start reads the log again from the location that was the
//! end when the checkpoint was begun. A record that a later state of a channel already contains changes nothing then.

use std::{io, sync::Arc, time::Duration};

use super::{
    Index, LogLimits,
    channel::Channel,
    codec::{Fields, put_bytes, put_number},
    disk::{Disk, DiskFile},
    record::{EpochText, Location, StreamState, put_position, take_position},
};
use crate::{Epoch, StreamPosition};

/// The last checkpoint, and the one that is being written.
#[derive(Default)]
pub(super) struct Checkpoint {
    /// A start reads the log from here.
    pub(super) location: Location,
    /// Bytes. The file.
    pub(super) file_bytes: u64,
    /// [`Log::appended`](super::Log) when the last one was begun.
    pub(super) appended: u64,
    pub(super) unfinished: Option<Unfinished>,
}

/// A checkpoint that is being written.
pub(super) struct Unfinished {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) location: Location,
    pub(super) appended: u64,
    pub(super) blocks: u32,
    /// Bytes. What was written.
    pub(super) end: u64,
    pub(super) synced: u64,
    pub(super) next_number: usize,
    pub(super) channels: u64,
}

/// What a checkpoint says, but for the channels.
#[derive(Debug)]
pub(super) struct CheckpointHead {
    pub(super) location: Location,
    pub(super) newest: u64,
    pub(super) oldest: u32,
    /// Of each segment from `oldest` on: publications that were written, and until when its keys are remembered.
    pub(super) segments: Vec<(u32, u64)>,
    /// Channels, about: others may have come or gone while it was written.
    pub(super) channels: u32,
    /// What the epochs of channels without a history are made from. `None`: it must not be used again.
    pub(super) epoch_seed: Option<u64>,
    /// Nothing was written after it, unless the log is longer than `location`.
    pub(super) is_clean: bool,
    /// Bytes. The file.
    pub(super) file_bytes: u64,
}

/// How a checkpoint ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The log goes on.
    Open,
    /// The log is closed.
    Clean,
}

impl Checkpoint {
    /// Returns the bytes of the files.
    pub(super) fn bytes(&self) -> u64 {
        self.file_bytes + self.unfinished.as_ref().map_or(0, |it| it.end)
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Returns whether so much was appended that a new one is due.
    pub(super) fn is_due(&self, appended: u64, limits: &LogLimits) -> bool {
        appended - self.appended >= limits.checkpoint_bytes.max(2 * self.file_bytes)
    }

    /// Sets what was found at the start.
    pub(super) fn found(head: &CheckpointHead) -> Self {
        Self {
            location: head.location,
            file_bytes: head.file_bytes,
            appended: 0,
            unfinished: None,
        }
    }
}

impl Unfinished {
    pub(super) fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut block = Vec::with_capacity(payload.len() + 8);
        block.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        block.extend_from_slice(&checksum(self.blocks, payload).to_le_bytes());
        block.extend_from_slice(payload);
        self.file.write_all_at(&block, self.end)?;
        self.blocks += 1;
        self.end += block.len() as u64;
        Ok(())
    }
}

/// Reads the last checkpoint into an index. `Ok(None)`: there is none. The inner error says what is wrong with it.
pub(super) fn read_checkpoint(
    disk: &dyn Disk,
    limits: &LogLimits,
) -> io::Result<Option<Result<(CheckpointHead, Index), &'static str>>> {
    let file = match disk.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut blocks = Blocks {
        length: file.len()?,
        file,
        position: 0,
        count: 0,
    };
    let Some(block) = blocks.next()? else {
        return Ok(Some(Err("its first block is damaged")));
    };
    let Some(mut head) = decode_head(&block) else {
        return Ok(Some(Err("it is of another version")));
    };
    head.file_bytes = blocks.length;
    let mut index = Index::new(limits, head.oldest);
    index.set_epoch_seed(head.epoch_seed.unwrap_or_default());
    // Not more than the file can hold.
    let channels_max = head.file_bytes / CHANNEL_BYTES_MIN;
    index.make_room(u64::from(head.channels).min(channels_max) as usize);
    let mut channels = 0;
    loop {
        let Some(block) = blocks.next()? else {
            return Ok(Some(Err("a block is damaged")));
        };
        let mut fields = Fields(&block);
        match fields.byte() {
            Some(CHANNELS) => {
                while !fields.0.is_empty() {
                    if take_channel(&mut fields, &mut index).is_none() {
                        return Ok(Some(Err("a channel can't be read")));
                    }
                    channels += 1;
                }
            }
            Some(END) => {
                let is_complete = fields.number() == Some(channels);
                head.is_clean = fields.byte() == Some(1);
                head.epoch_seed.take_if(|_| fields.byte() != Some(0));
                return Ok(Some(match is_complete {
                    true => Ok((head, index)),
                    false => Err("channels are missing"),
                }));
            }
            _ => return Ok(Some(Err("a block is of another version"))),
        }
    }
}

struct Blocks {
    file: Arc<dyn DiskFile>,
    length: u64,
    position: u64,
    count: u32,
}

impl Blocks {
    /// Reads the next block. `Ok(None)`: it is damaged or isn't there.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut header = [0; 8];
        if self.file.read_full_at(&mut header, self.position)? < header.len() {
            return Ok(None);
        }
        let mut fields = Fields(&header);
        let (Some(length), Some(expected)) = (fields.fixed_u32(), fields.fixed_u32()) else {
            return Ok(None);
        };
        let end = self.position + 8 + u64::from(length);
        if end > self.length {
            return Ok(None);
        }
        let mut payload = vec![0; length as usize];
        let read = self.file.read_full_at(&mut payload, self.position + 8)?;
        if read < payload.len() || checksum(self.count, &payload) != expected {
            return Ok(None);
        }
        self.position = end;
        self.count += 1;
        Ok(Some(payload))
    }
}

fn checksum(number: u32, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), payload)
}

pub(super) fn encode_head(index: &Index, location: Location, newest: u64) -> Vec<u8> {
    let mut block = MAGIC.to_vec();
    put_number(&mut block, u64::from(location.segment));
    put_number(&mut block, u64::from(location.position));
    put_number(&mut block, newest);
    put_number(&mut block, u64::from(index.oldest()));
    put_number(&mut block, index.len() as u64);
    block.extend_from_slice(&index.epoch_seed().to_le_bytes());
    put_number(&mut block, index.segments().count() as u64);
    for (_, segment) in index.segments() {
        put_number(&mut block, u64::from(segment.records));
        put_number(&mut block, segment.keys_until);
    }
    block
}

fn decode_head(block: &[u8]) -> Option<CheckpointHead> {
    let mut fields = Fields(block.strip_prefix(MAGIC)?);
    let location = Location {
        segment: fields.number_u32()?,
        position: fields.number_u32()?,
    };
    let (newest, oldest) = (fields.number()?, fields.number_u32()?);
    let channels = fields.number_u32()?;
    let epoch_seed = Some(fields.fixed_u64()?);
    let segments = (0..fields.number()?).map(|_| Some((fields.number_u32()?, fields.number()?)));
    Some(CheckpointHead {
        location,
        newest,
        oldest,
        channels,
        segments: segments.collect::<Option<_>>()?,
        epoch_seed,
        is_clean: false,
        file_bytes: 0,
    })
}

pub(super) fn put_channel(block: &mut Vec<u8>, channel: &Channel) {
    put_bytes(block, channel.name.as_bytes());
    let state = channel.state();
    block.extend_from_slice(&state.epoch.0);
    if !state.epoch.is_none() {
        for number in [
            state.top,
            channel.expires_at(),
            state.forgotten_at,
            state.meta_ttl,
            state.version,
            u64::from(channel.anchor),
        ] {
            put_number(block, number);
        }
        put_bytes(block, state.version_epoch.as_str().as_bytes());
        put_number(block, channel.count() as u64);
        for location in channel.locations() {
            block.extend_from_slice(&location.segment.to_le_bytes());
            block.extend_from_slice(&location.position.to_le_bytes());
        }
        block.push(u8::from(state.counts_bytes));
        if let Some(contents) = channel.contents() {
            for offset in state.first..=state.top {
                put_number(block, u64::from(contents.get(offset)));
            }
        }
    }
    put_number(block, channel.keys().map_or(0, |keys| keys.len() as u64));
    for (key, position, until) in channel.keys().iter().flat_map(|keys| keys.iter()) {
        put_bytes(block, key.as_bytes());
        put_number(block, super::index::millis(until));
        let position = position.as_ref();
        put_position(
            block,
            position.map(|it| (EpochText::new(&it.epoch), it.offset)),
        );
    }
}

/// Reads a channel into the index.
fn take_channel(fields: &mut Fields<'_>, index: &mut Index) -> Option<()> {
    let mut channel = Channel::new(fields.text()?);
    let epoch = EpochText(fields.array()?);
    if !epoch.is_none() {
        let mut state = StreamState {
            epoch,
            top: fields.number()?,
            expires_at: fields.number()?,
            forgotten_at: fields.number()?,
            meta_ttl: fields.number()?,
            version: fields.number()?,
            ..StreamState::default()
        };
        channel.anchor = fields.number_u32()?;
        state.version_epoch = Epoch::new(fields.text()?);
        let count = fields.number()?;
        let places = fields.take(usize::try_from(count.checked_mul(8)?).ok()?)?;
        state.first = (state.top.checked_add(1)?).checked_sub(count)?;
        channel.set_range(state.first, state.top, |_| {});
        channel.set_state(&state);
        let mut places = Fields(places);
        for offset in state.first..=state.top {
            let location = Location {
                segment: places.fixed_u32()?,
                position: places.fixed_u32()?,
            };
            channel.set_location(offset, location);
        }
        if fields.byte()? != 0 {
            for offset in state.first..=state.top {
                channel.set_content(offset, fields.number_u32()?);
            }
        }
    }
    // Of two with one name the later one counts: its channel was forgotten and began anew meanwhile.
    let number = index.insert(channel);
    for _ in 0..fields.number()? {
        let key = fields.text()?.into();
        let until = fields.number()?;
        let position = take_position(fields)?.map(|(epoch, offset)| StreamPosition {
            offset,
            epoch: epoch.epoch(),
        });
        let until = super::index::millis(Duration::from_millis(until));
        index.remember_key(number, &key, position, until, 0);
    }
    Some(())
}

/// The file's name.
pub(super) const NAME: &str = "checkpoint";

/// The file's name until it is complete.
pub(super) const UNFINISHED_NAME: &str = "checkpoint.new";

/// Format 3. One of another version is ignored, and the log read instead.
const MAGIC: &[u8] = b"sockeye checkpoint 3";

/// Bytes. The shortest channel: lengths of its name and of its keys, and no epoch.
const CHANNEL_BYTES_MIN: u64 = 10;

// The kinds of blocks behind the first.
pub(super) const CHANNELS: u8 = 1;
pub(super) const END: u8 = 2;
