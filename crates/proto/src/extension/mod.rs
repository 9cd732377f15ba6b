//! Extensions: the grammar of `Sec-WebSocket-Extensions` and permessage-deflate (RFC 7692).
#![allow(missing_docs)]
use crate::Role;
use alloc::vec::Vec;
/// Settings of permessage-deflate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deflate {
    pub threshold_bytes: usize,
    pub level: u8,
}

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {}
impl DeflateParams {
    pub fn inflater(&self, _r: Role) -> Inflater {
        Inflater
    }
    pub fn deflater(&self, _r: Role, _s: &Deflate) -> Deflater {
        Deflater
    }
    pub fn window_bits(&self, _r: Role) -> u8 {
        15
    }
    pub fn takeover(&self, _r: Role) -> Takeover {
        Takeover::No
    }
}
#[derive(Default)]
pub struct Pool {
    pub(crate) scratch: Vec<u8>,
}
pub struct Inflater;
pub struct Deflater;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    Yes,
    No,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Yes,
    No,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    NeedInput,
    Full,
    End,
}
pub struct InflateError;
impl Inflater {
    pub fn inflate(
        &mut self,
        _pool: &mut Pool,
        _input: &mut &[u8],
        _end: End,
        _output: &mut Vec<u8>,
        _max: usize,
    ) -> Result<Progress, InflateError> {
        Err(InflateError)
    }
}
impl Deflater {
    pub fn deflate(&mut self, _pool: &mut Pool, _input: &[u8], _end: End, _output: &mut Vec<u8>) {}
}
