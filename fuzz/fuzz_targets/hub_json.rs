//! Searches for bytes that break `hub_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::hub_json(data));
