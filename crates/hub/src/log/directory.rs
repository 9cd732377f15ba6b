//! A real directory.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    LogError,
    disk::{Disk, DiskFile},
};
use crate::open_private_file;

/// A directory that this process has locked.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Locked while this value lives. The kernel unlocks it when the process dies.
    _lock: File,
}

impl Directory {
    /// Opens a directory and locks it. Creates it if it is missing, for its owner alone (mode 0700).
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        let fail = |what: &str, source: io::Error| LogError::Io {
            what: format!("cannot {what} {}", path.display()),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(path)
            .map_err(|error| fail("make the directory", error))?;
        Self::open_existing(path)
    }

    /// Opens a directory that exists and locks it.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, LogError> {
        let file = path.join(LOCK);
        let fail = |what: &str, source: io::Error| LogError::Io {
            what: format!("cannot {what} {}", file.display()),
            source,
        };
        let lock = open_private_file(&file).map_err(|error| fail("open", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LogError::InUse {
                    directory: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(fail("lock", error)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = vec![];
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = open_private_file(&self.path.join(name))?;
        file.set_len(0)?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        fs::symlink_metadata(&path)?;
        Ok(Arc::new(open_private_file(&path)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, position)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The name of the lock file.
const LOCK: &str = "lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_serves_one_at_a_time_and_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("one/log");
        let first = Directory::open(&path).unwrap();
        first.create("a").unwrap();
        for (path, mode) in [(path.clone(), 0o700), (path.join("a"), 0o600)] {
            let permissions = fs::metadata(path).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o777, mode);
        }
        let error = Directory::open(&path).unwrap_err();
        assert!(matches!(error, LogError::InUse { .. }), "{error}");
        drop(first);
        Directory::open(&path).unwrap();
    }
}
