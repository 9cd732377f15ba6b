//! The file of a Unix socket: made, taken over from a server that is gone, and removed.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::time::{Instant, sleep};

use crate::server::listening::listening_socket::BACKLOG;

/// Who may connect to a Unix socket: what is set of its file. `None` leaves what the system chooses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileAccess {
    pub(crate) mode: Option<u32>,
    pub(crate) user_id: Option<u32>,
    pub(crate) group_id: Option<u32>,
}

/// The file of a Unix socket that this process has made. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    /// Absolute, so that it is found in another working directory.
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Makes the file and listens on it.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody listens there, `AlreadyExists` if the file isn't a socket, and the system's own errors.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with time enabled.
    pub(crate) async fn listen(
        path: &Path,
        access: FileAccess,
    ) -> io::Result<(UnixListener, Self)> {
        let path = std::path::absolute(path)?;
        let address = SockAddr::unix(&path)?;
        // Another server of ours could find the same abandoned file, and remove the one that we make in its place.
        let _locked = lock_directory(&path).await?;
        remove_abandoned(&path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address)?;
        let metadata = fs::symlink_metadata(&path)?;
        // From here on the file is removed on an error.
        let file = Self {
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        if access.user_id.is_some() || access.group_id.is_some() {
            chown(&file.path, access.user_id, access.group_id)?;
        }
        if let Some(mode) = access.mode {
            fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
        }
        // Until now nobody could connect.
        socket.listen(BACKLOG)?;
        Ok((socket.into(), file))
    }
}

impl Drop for SocketFile {
    /// Removes the file, unless it was replaced. It must still be listened on: a server that is started meanwhile takes
    /// over only a file on which nobody listens, so the file can't be replaced between the check and the removal.
    fn drop(&mut self) {
        let is_own = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if is_own && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the file of a Unix socket");
        }
    }
}

/// Locks the directory of a file until the result is dropped. `None` if its file system has no locks.
async fn lock_directory(path: &Path) -> io::Result<Option<File>> {
    let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
    let deadline = Instant::now() + LOCK_TIME_MAX;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PAUSE).await,
            Err(TryLockError::WouldBlock) => {
                let message = "another process has locked the directory";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}

/// Removes a socket on which nobody listens.
fn remove_abandoned(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let message = "there is a file, which isn't a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server whose queue is full would keep a blocking socket waiting.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Somebody listens: for datagrams in the second case, with a full queue in the third.
        Ok(()) => Err(in_use()),
        Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => {
            Err(in_use())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(in_use()),
        Err(error) => Err(error),
    }
}

fn in_use() -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")
}

/// How long to wait while other servers make their files in the same directory, which takes each a millisecond. After
/// it, somebody else holds the lock for reasons of their own.
const LOCK_TIME_MAX: Duration = Duration::from_secs(2);

/// Time between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(5);
