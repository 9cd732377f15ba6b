//! Files that only their owner can read.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// Opens a file for reading and writing that only its owner may read or write (mode 0600), and creates it if it is missing.
/// The mode of an existing file is changed to 0600. Symbolic links are not followed.
///
/// # Errors
///
/// The file can't be opened, its mode can't be changed, or the path is a symbolic link, a directory or a device.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // NONBLOCK: opening a named pipe must not block.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(|error| explain(path, error))?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let kind = io::ErrorKind::InvalidInput;
        return Err(io::Error::new(kind, "it is not a regular file"));
    }
    #[cfg(unix)]
    {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};
        if metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

/// Replaces the system's error for a symbolic link, "Too many levels of symbolic links", by a plain one.
fn explain(path: &Path, error: io::Error) -> io::Error {
    match path.is_symlink() {
        true => io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a symbolic link, which is not followed",
        ),
        false => error,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_its_owners_alone_also_one_that_was_not() {
        let folder = tempfile::tempdir().unwrap();
        let [new, old] = ["new", "old"].map(|name| folder.path().join(name));
        open_private_file(&new).unwrap();
        assert_eq!(mode(&new), 0o600);
        fs::write(&old, "kept").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o664)).unwrap();
        open_private_file(&old).unwrap();
        assert_eq!(
            (mode(&old), fs::read(&old).unwrap()),
            (0o600, b"kept".to_vec())
        );
    }

    #[test]
    fn a_link_is_not_followed_and_what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [target, connections, dangling] =
            ["target", "link", "dangling"].map(|name| folder.path().join(name));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &connections).unwrap();
        symlink(folder.path().join("nothing"), &dangling).unwrap();
        for path in [&connections, &dangling] {
            let error = open_private_file(path).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert!(!folder.path().join("nothing").exists());
        assert!(open_private_file(folder.path()).is_err());
        assert!(open_private_file(Path::new("/dev/null")).is_err());
    }
}
