//! Writes the index into a checkpoint, a part at a time.

use std::io;

use super::{
    Log, LogError,
    append::refusal,
    checkpoint::{
        CHANNELS, Checkpoint, END, Ending, NAME, UNFINISHED_NAME, Unfinished, encode_head,
        put_channel,
    },
    codec::put_number,
    record::Location,
};
use crate::broker::BrokerError;

impl Log {
    /// Writes a checkpoint as a whole.
    pub(super) fn write_checkpoint(&mut self, ending: Ending) -> Result<(), BrokerError> {
        self.begin_checkpoint()?;
        while !self.continue_checkpoint(ending)? {}
        Ok(())
    }

    /// Begins a checkpoint in place of one that is unfinished.
    pub(super) fn begin_checkpoint(&mut self) -> Result<(), BrokerError> {
        let Some(current) = &self.current else {
            return Ok(());
        };
        let location = Location {
            segment: current.id,
            position: current.end as u32,
        };
        // Names that were written before the location are not read by a start.
        self.era += 1;
        self.checkpoint.unfinished = None;
        let file = self.disk.create(UNFINISHED_NAME);
        let file = file.map_err(|error| refusal("write a checkpoint of", &error))?;
        let mut unfinished = Unfinished {
            file,
            location,
            appended: self.appended,
            blocks: 0,
            end: 0,
            synced: 0,
            next_number: 0,
            channels: 0,
        };
        let head = encode_head(&self.index.lock(), location, self.newest);
        let written = unfinished.write(&head);
        self.checkpoint.unfinished = Some(unfinished);
        self.checked(written)
    }

    /// Writes some more channels. Returns whether the checkpoint is complete.
    pub(super) fn continue_checkpoint(&mut self, ending: Ending) -> Result<bool, BrokerError> {
        let Some(unfinished) = &mut self.checkpoint.unfinished else {
            return Ok(true);
        };
        let mut block = vec![CHANNELS];
        let is_complete = {
            let index = self.index.lock();
            let begin = unfinished.next_number;
            unfinished.next_number = begin + STEP_CHANNELS;
            for channel in index.channels(begin..unfinished.next_number) {
                if !channel.is_idle() {
                    put_channel(&mut block, channel);
                    unfinished.channels += 1;
                }
            }
            unfinished.next_number >= index.numbers_end()
        };
        let mut written = unfinished.write(&block);
        if written.is_ok() && unfinished.end - unfinished.synced >= SYNC_BYTES {
            written = unfinished.file.sync();
            unfinished.synced = unfinished.end;
        }
        self.checked(written)?;
        if is_complete {
            // What the checkpoint says must not outlive the records that it comes from.
            let synced = self.sync();
            if synced.is_err() {
                self.checkpoint.unfinished = None;
            }
            synced?;
            let finished = self.finish(ending);
            self.checked(finished)?;
        }
        Ok(is_complete)
    }

    fn finish(&mut self, ending: Ending) -> io::Result<()> {
        let Some(unfinished) = &mut self.checkpoint.unfinished else {
            return Ok(());
        };
        let mut block = vec![END];
        put_number(&mut block, unfinished.channels);
        block.push(u8::from(ending == Ending::Clean));
        // Now, since a history may have been forgotten after the checkpoint was begun and before its channel's turn.
        block.push(u8::from(self.index.lock().has_forgotten()));
        unfinished.write(&block)?;
        unfinished.file.sync()?;
        self.disk.rename(UNFINISHED_NAME, NAME)?;
        self.disk.sync()?;
        self.checkpoint = Checkpoint {
            location: unfinished.location,
            file_bytes: unfinished.end,
            appended: unfinished.appended,
            unfinished: None,
        };
        Ok(())
    }

    /// Removes the checkpoint: the epochs that follow from its seed may be those of publications that are lost.
    pub(super) fn remove_checkpoint(&mut self) -> Result<(), LogError> {
        let removed = match self.disk.remove(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.disk.sync()),
        };
        removed.map_err(LogError::io("remove", NAME))?;
        self.checkpoint = Checkpoint::default();
        Ok(())
    }

    /// Gives up the checkpoint after an error. The last one is still good.
    fn checked(&mut self, result: io::Result<()>) -> Result<(), BrokerError> {
        result.map_err(|error| {
            self.checkpoint.unfinished = None;
            _ = self.disk.remove(UNFINISHED_NAME);
            refusal("write a checkpoint of", &error)
        })
    }
}

/// Channels that are written at once, under the lock of the index: about a millisecond.
const STEP_CHANNELS: usize = 4096;

/// Bytes. What is written is synced so often that no single sync takes long.
const SYNC_BYTES: u64 = 8 << 20;
