//! Identities are made here and nowhere else.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::person::Person;

/// Makes identities, and knows its own again without remembering any: of the 122 free bits of a UUID of version 4
/// half are random, and the others follow from them and from a key that nobody else has.
///
/// ```text
///   byte    0 1 2 3   4 5   6 7   8      9 … 15
///           random          tag   random tag         (bits 4 to 7 of byte 6: version; 6 and 7 of byte 8: variant)
/// ```
pub(crate) struct Identities([u8; KEY_BYTES]);

impl Identities {
    /// Those of a server that keeps nothing: of this process.
    ///
    /// # Errors
    ///
    /// The system gives no randomness.
    pub(crate) fn of_this_process() -> Result<Self, String> {
        Ok(Self(random().map_err(|error| error.to_string())?))
    }

    /// Those whose key lies in `folder`; it is made if there is none.
    ///
    /// # Errors
    ///
    /// The file can be neither read nor made, or isn't a key. The text says which.
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

    /// Somebody new.
    pub(crate) fn make(&self) -> Person {
        let mut bytes = *Uuid::new_v4().as_bytes();
        let tag = self.tag(bytes);
        for at in TAGGED {
            bytes[at] = merged(at, bytes[at], tag[at]);
        }
        Person::of(Uuid::from_bytes(bytes))
    }

    /// Whether this one was made here.
    pub(crate) fn is_ours(&self, person: Person) -> bool {
        let bytes = *person.uuid().as_bytes();
        let tag = self.tag(bytes);
        let mut expected = bytes;
        for at in TAGGED {
            expected[at] = merged(at, bytes[at], tag[at]);
        }
        expected.ct_eq(&bytes).into()
    }

    /// A hash over the key and over what is random, which both have always the same length: so nobody can make
    /// another one out of it.
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

/// The version stays.
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

/// Whole or not at all, and readable by nobody else.
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

/// Bytes of a UUID that follow from the others: 68 bits.
const TAGGED: [usize; 9] = [6, 7, 9, 10, 11, 12, 13, 14, 15];

/// As long as the hash.
const KEY_BYTES: usize = 32;

/// Below the directory of `--data`.
const FILE: &str = "chat-identities.key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_here_is_known_and_nothing_else_is() {
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
    fn a_key_that_is_kept_is_the_same_next_time_and_its_owners_alone() {
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
