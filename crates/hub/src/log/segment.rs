//! Segment files: their names and their first bytes.

use std::{io, sync::Arc};

use super::{
    LogSync,
    boot::BootId,
    codec::Fields,
    disk::{Disk, DiskFile},
};

/// What the first bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: u32,
    /// Bytes. Where the segment before ends. Records behind that position were refused, or stand in this segment. All
    /// before it had been synced when this segment was created. 0: there is no segment before.
    pub(super) previous_end: u32,
    /// Which start of the operating system wrote it.
    pub(super) boot: BootId,
    /// How it was synced.
    pub(super) sync: LogSync,
    /// Milliseconds of the log's clock.
    pub(super) time: u64,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.id.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.boot.0);
        bytes[32..40].copy_from_slice(&self.time.to_le_bytes());
        bytes[40] = match self.sync {
            LogSync::None => 0,
            LogSync::Interval => 1,
            LogSync::Each => 2,
        };
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header. `None`: it is not that of segment `id`.
    pub(super) fn decode(bytes: &[u8], id: u32) -> Option<Self> {
        let bytes: &[u8; SEGMENT_HEADER_BYTES] = bytes.try_into().ok()?;
        let (content, checksum) = bytes.split_at(CHECKSUM_AT);
        if crc32c::crc32c(content).to_le_bytes() != checksum {
            return None;
        }
        let mut fields = Fields(content.strip_prefix(MAGIC)?);
        let header = Self {
            id: fields.fixed_u32()?,
            previous_end: fields.fixed_u32()?,
            boot: BootId(fields.array()?),
            time: fields.fixed_u64()?,
            sync: match fields.byte()? {
                0 => LogSync::None,
                1 => LogSync::Interval,
                2 => LogSync::Each,
                _ => return None,
            },
        };
        (header.id == id).then_some(header)
    }

    /// Reads the header of a file. `Ok(None)`: the file doesn't begin with that of segment `id`.
    pub(super) fn read(file: &Arc<dyn DiskFile>, id: u32) -> io::Result<Option<Self>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let count = file.read_full_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes[..count], id))
    }
}

/// Creates a segment file with its first bytes and `records` behind them, and makes it last. It appears under its name when
/// it is complete. Nothing is left of it after an error, if the system allows.
pub(super) fn create_segment(
    disk: &dyn Disk,
    header: &SegmentHeader,
    records: &[u8],
) -> io::Result<Arc<dyn DiskFile>> {
    let name = segment_name(header.id);
    let unfinished = format!("{name}{UNFINISHED}");
    let create = || {
        let file = disk.create(&unfinished)?;
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(records);
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        disk.rename(&unfinished, &name)?;
        disk.sync()?;
        Ok(file)
    };
    let created = create();
    if created.is_err() {
        // The next attempt replaces what can't be removed.
        _ = disk.remove(&unfinished);
        _ = disk.remove(&name);
    }
    created
}

/// Returns the name of a segment's file.
pub(super) fn segment_name(id: u32) -> String {
    format!("{id:08x}.seg")
}

/// Returns the id of the segment that a file's name is that of.
pub(super) fn segment_id(name: &str) -> Option<u32> {
    let id = u32::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
    (id > 0 && segment_name(id) == name).then_some(id)
}

/// How the name of a file ends that isn't complete.
pub(super) const UNFINISHED: &str = ".new";

/// Bytes.
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;

const CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES - 4;

/// Format 1.
const MAGIC: &[u8; 8] = b"sockeye1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_a_changed_one_does_not() {
        let header = SegmentHeader {
            id: 7,
            previous_end: 4000,
            boot: BootId([3; 16]),
            sync: LogSync::Each,
            time: 1_800_000_000_000,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes, 7), Some(header));
        assert_eq!(SegmentHeader::decode(&bytes, 8), None);
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert_eq!(SegmentHeader::decode(&changed, 7), None, "byte {at}");
        }
    }

    #[test]
    fn names_are_those_of_ids() {
        assert_eq!(segment_name(255), "000000ff.seg");
        assert_eq!(segment_id("000000ff.seg"), Some(255));
        for other in [
            "ff.seg",
            "00000000.seg",
            "000000FF.seg",
            "000000ff.seg.new",
            "lock",
        ] {
            assert_eq!(segment_id(other), None, "{other}");
        }
    }
}
