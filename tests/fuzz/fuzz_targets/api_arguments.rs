//! Arguments of any method of the API, as JSON.

#![no_main]

#[allow(dead_code)]
#[path = "../../hostile/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::api_arguments(bytes));
