//! OVF descriptors.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/appliances.rs"]
mod appliances;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| appliances::descriptor(bytes));
