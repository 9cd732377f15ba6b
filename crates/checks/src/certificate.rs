//! A certificate that only the test trusts.

use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

/// A new self-signed certificate for `localhost` and `127.0.0.1`, in files that are removed when this is dropped.
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Makes key and certificate.
    ///
    /// # Panics
    /// If there is no room for two small files.
    pub fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("two good names");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificate = Self { folder };
        std::fs::write(certificate.chain_path(), cert.pem()).expect("a file can be written");
        std::fs::write(certificate.key_path(), signing_key.serialize_pem())
            .expect("a file can be written");
        certificate
    }

    /// Returns the value of `--tls-cert`, which is also the root that a peer is told to trust.
    pub fn chain(&self) -> String {
        self.chain_path().display().to_string()
    }

    /// Returns the value of `--tls-key`.
    pub fn key(&self) -> String {
        self.key_path().display().to_string()
    }

    fn chain_path(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key_path(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}
