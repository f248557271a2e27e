#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| execd::fuzz::env_file(data));
