//! Searches for bytes that break `sockjs_send`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::sockjs_send(data));
