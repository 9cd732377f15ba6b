//! The files of a log, as far as the log needs them. Tests put faults below it.

use std::{io, sync::Arc};

/// One directory.
///
/// A file that was created, renamed or removed may come back or be gone after a power cut until [`Disk::sync`].
pub(crate) trait Disk: Send + Sync + 'static {
    /// Returns the names of the files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, in place of one with that name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in place of one with that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Handles of it stay usable.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names last.
    fn sync(&self) -> io::Result<()>;
}

/// One file.
pub(crate) trait DiskFile: Send + Sync {
    /// Reads some bytes, fewer than asked perhaps. 0: the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes some of the bytes.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;

    /// Returns the length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes the contents last. After an error the contents since the last success are lost for good, whether or not a
    /// later call succeeds.
    fn sync(&self) -> io::Result<()>;
}

impl dyn DiskFile {
    /// Writes all bytes.
    pub(super) fn write_all_at(&self, mut bytes: &[u8], mut position: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, position) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until the buffer is full or the file ends. Returns how many bytes.
    pub(super) fn read_full_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
