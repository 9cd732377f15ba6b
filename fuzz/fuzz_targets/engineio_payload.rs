//! Searches for bytes that break `engineio_payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::engineio_payload(data));
