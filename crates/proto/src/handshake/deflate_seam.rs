//! The one door to permessage-deflate's negotiation.

use alloc::string::String;

use crate::extension::{Deflate, DeflateParams};

/// What was wrong with an extension field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionError {}

impl core::fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("extension not offered")
    }
}

impl core::error::Error for ExtensionError {}

pub(super) fn offer(_settings: &Deflate) -> String {
    String::from("permessage-deflate")
}

pub(super) fn respond<'a>(
    _settings: &Deflate,
    _offers: impl IntoIterator<Item = &'a [u8]>,
) -> Option<(DeflateParams, String)> {
    None
}

pub(super) fn accept<'a>(
    _settings: &Deflate,
    response: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<DeflateParams>, ExtensionError> {
    if response.into_iter().next().is_some() {
        return Err(ExtensionError {});
    }
    Ok(None)
}

pub(super) fn check<'a>(_fields: impl IntoIterator<Item = &'a [u8]>) -> Result<(), ExtensionError> {
    Ok(())
}
