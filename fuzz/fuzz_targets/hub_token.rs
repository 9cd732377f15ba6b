//! Searches for bytes that break `hub_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::hub_token(data));
