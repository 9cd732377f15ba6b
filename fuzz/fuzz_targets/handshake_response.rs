//! Searches for bytes that break `handshake_response`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::handshake_response(data));
