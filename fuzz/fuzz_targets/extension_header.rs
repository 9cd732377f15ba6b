//! Searches for bytes that break `extension_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::extension_header(data));
