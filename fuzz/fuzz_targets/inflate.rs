//! Searches for bytes that break `inflate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::inflate(data));
