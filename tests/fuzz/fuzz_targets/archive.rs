//! Archives, as they stream by.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/appliances.rs"]
mod appliances;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| appliances::archive(bytes));
