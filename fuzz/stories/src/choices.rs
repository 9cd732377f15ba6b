//! Decisions, taken from the fuzzer's bytes.

use sockeye_proto::{
    Limits,
    extension::{Deflate, DeflateParams},
};

/// Decisions, taken from the front of the fuzzer's bytes; zero when there are none left.
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        byte
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// 0 to 65,535.
    pub fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// At most `count` bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Four bytes.
    pub fn params(&mut self) -> DeflateParams {
        let flags = self.byte();
        DeflateParams {
            server_no_context_takeover: flags & 1 == 1,
            client_no_context_takeover: flags & 2 == 2,
            server_max_window_bits: 8 + self.byte() % 8,
            client_max_window_bits: 8 + self.byte() % 8,
        }
    }

    /// Settings that fit `params`, or any at all.
    pub fn settings(&mut self) -> Deflate {
        let flags = self.byte();
        let mut settings = Deflate::default();
        settings.server_no_context_takeover = flags & 1 == 1;
        settings.client_no_context_takeover = flags & 2 == 2;
        settings.server_max_window_bits = self.byte() % 17;
        settings.client_max_window_bits = self.byte() % 17;
        settings.kept_window_bits_max = self.byte() % 17;
        settings.level = self.byte() % 11;
        settings.threshold_bytes = usize::from(self.byte());
        settings
    }

    /// Small limits, so that they are met.
    pub fn limits(&mut self) -> Limits {
        let mut limits = Limits::default();
        limits.frame_bytes_max = Some(self.number());
        limits.message_bytes_max = self.number();
        limits.fragments_max = Some(u32::from(self.byte()) + 1);
        limits
    }
}
