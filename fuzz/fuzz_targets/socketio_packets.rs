//! Searches for bytes that break `socketio_packets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sockeye_fuzz_stories::socketio_packets(data));
