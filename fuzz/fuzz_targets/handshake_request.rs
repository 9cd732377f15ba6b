//! Searches for bytes that break `handshake_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::handshake_request(data));
