//! A certificate that only the load generator trusts.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::cell::Identity;

/// Certificate and key, in files.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Makes both, unless they lie in the folder already.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let made = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        if !made.certificate.exists() || !made.key.exists() {
            fs::create_dir_all(folder)?;
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(["127.0.0.1".to_owned()])?;
            fs::write(&made.certificate, cert.pem())?;
            fs::write(&made.key, signing_key.serialize_pem())?;
        }
        Ok(made)
    }

    pub(crate) fn paths(&self) -> Identity<'_> {
        Identity {
            certificate: &self.certificate,
            key: &self.key,
        }
    }
}
