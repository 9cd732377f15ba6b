//! Issues identities and verifies them.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::person::Person;

/// Issues identities, and recognises them without storing any: of the 122 free bits of a UUID of version 4 half are random,
/// and the others are a hash of them and of a secret key.
///
/// ```text
///   byte    0 1 2 3   4 5   6 7   8      9 … 15
///           random          tag   random tag         (bits 4 to 7 of byte 6: version; 6 and 7 of byte 8: variant)
/// ```
pub(crate) struct Identities([u8; KEY_BYTES]);

impl Identities {
    /// Creates a key for this process.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(crate) fn of_this_process() -> Result<Self, String> {
        Ok(Self(random().map_err(|error| error.to_string())?))
    }

    /// Reads the key in `folder`, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// The file can't be read or created, or isn't a key. The text says which.
    pub(crate) fn kept(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let refuse = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Ok(bytes) => {
                let key = bytes.try_into();
                key.map(Self)
                    .map_err(|_| refuse(&format!("this is not a key of {KEY_BYTES} bytes")))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = random().map_err(|error| refuse(&error))?;
                store(&path, &key).map_err(|error| refuse(&error))?;
                Ok(Self(key))
            }
            Err(error) => Err(refuse(&error)),
        }
    }

    /// Creates a person.
    pub(crate) fn make(&self) -> Person {
        let mut bytes = *Uuid::new_v4().as_bytes();
        let tag = self.tag(bytes);
        for at in TAGGED {
            bytes[at] = merged(at, bytes[at], tag[at]);
        }
        Person::of(Uuid::from_bytes(bytes))
    }

    /// Returns whether this key has issued the person.
    pub(crate) fn is_ours(&self, person: Person) -> bool {
        let bytes = *person.uuid().as_bytes();
        let tag = self.tag(bytes);
        let mut expected = bytes;
        for at in TAGGED {
            expected[at] = merged(at, bytes[at], tag[at]);
        }
        expected.ct_eq(&bytes).into()
    }

    /// Returns the hash of the key and the random bits. Both have a fixed length, which rules out extending them.
    fn tag(&self, bytes: [u8; 16]) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(b"sockeye chat identity\0");
        hash.update(self.0);
        hash.update(&bytes[..6]);
        hash.update([bytes[8]]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&hash.finalize()[..16]);
        tag
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identities(…)")
    }
}

/// Merges a byte of the tag, but keeps the version.
fn merged(at: usize, byte: u8, tag: u8) -> u8 {
    match at {
        6 => byte & 0xf0 | tag & 0x0f,
        _ => tag,
    }
}

fn random() -> Result<[u8; KEY_BYTES], getrandom::Error> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key)?;
    Ok(key)
}

/// Writes the file completely or not at all, readable by its owner only.
fn store(path: &Path, key: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(key)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// The bytes of a UUID that hold the tag: 68 bits.
const TAGGED: [usize; 9] = [6, 7, 9, 10, 11, 12, 13, 14, 15];

/// Bytes of the key: as long as the hash.
const KEY_BYTES: usize = 32;

/// The file in the directory of `--data`.
const FILE: &str = "chat-identities.key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identities_of_the_same_key_are_recognised() {
        let ours = Identities::of_this_process().unwrap();
        let others = Identities::of_this_process().unwrap();
        for _ in 0..100 {
            let person = ours.make();
            assert_eq!(Person::parse(&person.to_string()), Some(person));
            assert!(ours.is_ours(person) && !others.is_ours(person));
            assert!(!ours.is_ours(Person::of(Uuid::new_v4())));
        }
        assert_ne!(ours.make(), ours.make());
    }

    #[test]
    fn a_stored_key_is_read_again_and_private() {
        let folder = tempfile::TempDir::new().unwrap();
        let person = Identities::kept(folder.path()).unwrap().make();
        assert!(Identities::kept(folder.path()).unwrap().is_ours(person));
        let path = folder.path().join(FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, "short").unwrap();
        let error = Identities::kept(folder.path()).unwrap_err();
        assert!(error.contains("not a key of 32 bytes"), "{error}");
    }
}
