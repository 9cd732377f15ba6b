//! Searches for bytes that break `proxy_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::proxy_head(data));
