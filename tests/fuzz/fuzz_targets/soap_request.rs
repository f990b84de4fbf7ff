//! Objects that are read by the schema and sent again.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::soap_request(bytes));
