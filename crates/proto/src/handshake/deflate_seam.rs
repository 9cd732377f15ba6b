//! The one door to permessage-deflate's negotiation.

use alloc::string::String;

/// Settings, both roles.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deflate {}

/// What both ends agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {}

/// What was wrong with an extension field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionError {}

impl core::fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("extension not offered")
    }
}

impl core::error::Error for ExtensionError {}

impl Deflate {
    pub(super) fn offer(&self) -> String {
        String::from("permessage-deflate")
    }

    pub(super) fn respond<'a>(
        &self,
        _offers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(DeflateParams, String)> {
        None
    }

    pub(super) fn accept<'a>(
        &self,
        response: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<DeflateParams>, ExtensionError> {
        if response.into_iter().next().is_some() {
            return Err(ExtensionError {});
        }
        Ok(None)
    }
}
