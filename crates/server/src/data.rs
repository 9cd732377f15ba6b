//! The directory of `--data`, for data that outlives the process.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sockeye_hub::open_private_file;

/// A directory that exists, is writable and is locked by this process.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Locked while this value lives. The kernel unlocks it when the process dies.
    _lock: File,
}

/// Opens the configured directory, if there is one.
///
/// # Errors
///
/// As [`DataDir::open`].
pub(crate) fn open(path: Option<&Path>) -> Result<Option<DataDir>, String> {
    let data = path.map(DataDir::open).transpose()?;
    if let Some(data) = &data {
        tracing::info!(directory = %data.path().display(), "what must last is kept");
    }
    Ok(data)
}

impl DataDir {
    /// Creates the directory if it is missing, private to its owner, and locks it by a file in it.
    ///
    /// # Errors
    ///
    /// The text is one line: the directory, what failed and what to do.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let refuse = |what: &str, error: io::Error| {
            format!(
                "--data {}: cannot {what}: {error}; name a directory that this user may write to, \
                 or leave --data out to keep everything in memory",
                path.display()
            )
        };
        make(path).map_err(|error| refuse("make the directory", error))?;
        warn_if_open(path);
        let file = path.join(LOCK);
        let mut lock = open_private_file(&file)
            .map_err(|error| refuse(&format!("write to it ({LOCK})"), error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "--data {}: in use by another process; give each server a directory of its own",
                    path.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(refuse("lock it", error)),
        }
        // Finds a full or read-only disk now, not with the first message.
        let text = format!("{}\n", std::process::id());
        lock.set_len(0)
            .and_then(|()| lock.write_all(text.as_bytes()))
            .map_err(|error| refuse("write to it", error))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Returns the path as it was configured.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates a directory of mode 0700, since presence data shows who was online when.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Keeps the mode of an existing directory, which may be deliberate (a container's volume, a group for backups). The files in
/// it are private to their owner.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let Ok(metadata) = fs::metadata(path) else {
            return;
        };
        let mode = metadata.permissions().mode() & 0o777;
        let directory = path.display();
        if mode & 0o022 != 0 {
            tracing::warn!(
                %directory,
                mode = format!("{mode:04o}"),
                "other users may write to the data directory, so they may remove or replace what is kept; \
                 `chmod 700` it"
            );
        } else if mode & 0o077 != 0 {
            tracing::warn!(
                %directory,
                mode = format!("{mode:04o}"),
                "other users may look into the data directory; its files are private, `chmod 700` hides them too"
            );
        }
    }
}

/// The name of the lock file, which holds the id of the process.
const LOCK: &str = "sockeye.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_is_made_and_holds_the_lock_alone() {
        let parent = tempfile::TempDir::new().unwrap();
        let path = parent.path().join("one/two");
        drop(DataDir::open(&path).unwrap());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        // The lock file of an ended process doesn't matter.
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_serves_one_at_a_time() {
        let parent = tempfile::TempDir::new().unwrap();
        let first = DataDir::open(parent.path()).unwrap();
        let error = DataDir::open(parent.path()).unwrap_err();
        assert!(error.contains("in use by another process"), "{error}");
        drop(first);
        DataDir::open(parent.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_directory_is_not_written_through() {
        let parent = tempfile::TempDir::new().unwrap();
        let (data, victim) = (parent.path().join("data"), parent.path().join("victim"));
        fs::create_dir(&data).unwrap();
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, data.join(LOCK)).unwrap();
        let error = DataDir::open(&data).unwrap_err();
        assert!(error.contains("symbolic link"), "{error}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_place_where_nothing_can_be_is_named_with_a_way_out() {
        let parent = tempfile::TempDir::new().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = DataDir::open(&path).unwrap_err();
            let begins = format!("--data {}: cannot make the directory: ", path.display());
            assert!(error.starts_with(&begins), "{error}");
            assert!(error.contains("leave --data out"), "{error}");
        }
    }
}
