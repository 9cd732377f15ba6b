//! Searches for bytes that break `frames_client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::frames_client(data));
