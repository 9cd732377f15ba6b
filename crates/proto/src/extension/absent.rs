//! What stands in for permessage-deflate where the feature `deflate` is off.
//!
//! Nothing is offered and every offer is declined, so that no connection has a codec: the two types have no value.

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::{
    Compression, Deflate, DeflateParams, End, ExtensionError, InflateError, Pool, Progress, grammar,
};
use crate::Role;

/// An inflater that never exists.
pub(crate) enum Inflater {}

/// A deflater that never exists.
pub(crate) enum Deflater {}

/// No contexts.
#[derive(Default)]
pub(super) struct Contexts;

impl Contexts {
    pub(super) fn debug_fields(&self, _pool: &mut fmt::DebugStruct<'_, '_>) {}
}

impl Deflate {
    /// Declines every offer: this build has no permessage-deflate.
    #[must_use]
    pub fn respond<'a>(
        &self,
        _offers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(DeflateParams, String)> {
        None
    }

    /// Checks that the server agreed to no extension: this build offers none.
    ///
    /// # Errors
    ///
    /// The server agreed to one all the same, or its header breaks the grammar.
    pub fn accept<'a>(
        &self,
        response: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<DeflateParams>, ExtensionError> {
        match grammar::all(response)?.is_empty() {
            true => Ok(None),
            false => Err(ExtensionError::NotOffered),
        }
    }
}

impl DeflateParams {
    pub(crate) fn inflater(&self, _role: Role) -> Inflater {
        match self.absent {}
    }

    pub(crate) fn deflater(&self, _role: Role, _level: u8) -> Deflater {
        match self.absent {}
    }
}

impl Inflater {
    pub(crate) fn inflate(
        &mut self,
        _pool: &mut Pool,
        _input: &mut &[u8],
        _end: End,
        _output: &mut Vec<u8>,
        _output_bytes_max: usize,
    ) -> Result<Progress, InflateError> {
        match *self {}
    }

    pub(crate) fn held_bytes(&self) -> usize {
        match *self {}
    }
}

impl Deflater {
    pub(crate) fn deflate(
        &mut self,
        _pool: &mut Pool,
        _input: &[u8],
        _end: End,
        _output: &mut Vec<u8>,
    ) {
        match *self {}
    }

    pub(crate) fn deflate_whole(
        &mut self,
        _pool: &mut Pool,
        _input: &[u8],
        _output: &mut Vec<u8>,
    ) -> Compression {
        match *self {}
    }
}

/// Offers nothing.
pub(crate) fn offer(_settings: &Deflate) -> Option<String> {
    None
}

/// Appends nothing: the message stays as it is.
pub(crate) fn deflate_once(
    _pool: &mut Pool,
    _payload: &[u8],
    _window_bits: u8,
    _level: u8,
    _output: &mut Vec<u8>,
) -> Compression {
    Compression::NotSmaller
}
